//! What a system is started on: hosts, and cables between them.

use prunella_bench::{End, Host, Lab, LabError, Switch};

/// How hosts are joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Shape {
    /// Two hosts and a cable.
    Pair,
    /// Three hosts in a line.
    Line,
    /// From the first to the last over one of two, by cables that can be cut.
    Diamond,
}

impl Shape {
    /// How the report calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Pair => "one hop",
            Shape::Line => "two hops",
            Shape::Diamond => "diamond",
        }
    }

    fn joins(self) -> &'static [[usize; 2]] {
        match self {
            Shape::Pair => &[[0, 1]],
            Shape::Line => &[[0, 1], [1, 2]],
            Shape::Diamond => &[[0, 1], [1, 3], [0, 2], [2, 3]],
        }
    }
}

/// The hosts of a shape; dropping it ends what runs on them.
#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) lab: Lab,
    pub(crate) shape: Shape,
    pub(crate) hosts: Vec<Host>,
    pub(crate) joins: Vec<Join>,
}

/// Two hosts that can talk to each other.
#[derive(Debug)]
pub(crate) struct Join {
    pub(crate) hosts: [usize; 2],
    pub(crate) ends: [End; 2],
    /// Where it can be cut, if it can.
    pub(crate) switch: Option<Switch>,
}

impl Ground {
    /// Makes the hosts and lays the cables.
    pub(crate) fn lay(shape: Shape) -> Result<Self, LabError> {
        let lab = Lab::new()?;
        let count = shape.joins().iter().flatten().max().map_or(0, |last| last + 1);
        let hosts = (0..count).map(|number| lab.host(&format!("h{number}"))).collect::<Result<Vec<_>, _>>()?;
        let join = |&[a, b]: &[usize; 2]| {
            if shape == Shape::Diamond {
                let switch = lab.switch(&[&hosts[a], &hosts[b]])?;
                let ends = [switch.ends[0].clone(), switch.ends[1].clone()];
                return Ok(Join { hosts: [a, b], ends, switch: Some(switch) });
            }
            Ok(Join { hosts: [a, b], ends: lab.cable(&hosts[a], &hosts[b])?.ends, switch: None })
        };
        let joins = shape.joins().iter().map(join).collect::<Result<Vec<_>, LabError>>()?;
        Ok(Self { lab, shape, hosts, joins })
    }

    /// Where the work begins.
    pub(crate) fn source(&self) -> &Host {
        &self.hosts[0]
    }

    /// Where it ends.
    pub(crate) fn target(&self) -> &Host {
        &self.hosts[self.hosts.len() - 1]
    }

    /// The last host's address, on its last cable.
    pub(crate) fn target_end(&self) -> &End {
        &self.joins[self.joins.len() - 1].ends[1]
    }

    /// Each neighbor of a host, and where the host finds it.
    pub(crate) fn neighbors(&self, host: usize) -> impl Iterator<Item = (usize, &End)> {
        let other = move |join: &'_ Join| match join.hosts {
            [a, b] if a == host => Some((b, 1)),
            [a, b] if b == host => Some((a, 0)),
            _ => None,
        };
        self.joins.iter().filter_map(move |join| other(join).map(|(far, end)| (far, &join.ends[end])))
    }

    /// Lets the middle of a line pass packets on, as a router of the network below would.
    pub(crate) fn route_below(&self) -> Result<(), LabError> {
        let [first, second] = &self.joins[..] else { return Ok(()) };
        self.hosts[1].be_router()?;
        self.hosts[0].route(&second.ends[1].subnet(), first.ends[1].v4.into())?;
        self.hosts[2].route(&first.ends[0].subnet(), second.ends[0].v4.into())
    }
}
