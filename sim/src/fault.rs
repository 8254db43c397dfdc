//! What goes wrong: faults, how they are drawn, how they begin and end.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use prunella_core::Instant;
use prunella_core::node::Role;

use crate::disk::Damage;
use crate::event::Event;
use crate::mix::Kind;
use crate::news::News;
use crate::world::World;

/// Something that goes wrong with the network or with a node. Nodes are named by their number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing passes between two nodes.
    Cut {
        /// One end.
        a: usize,
        /// The other end.
        b: usize,
    },
    /// Nothing passes from one node to another; the other direction works.
    CutOneWay {
        /// Who is not heard.
        from: usize,
        /// Who hears nothing.
        to: usize,
    },
    /// A wire holds back everything that is sent in one direction, and lets it go when the fault ends.
    Clog {
        /// Who is not heard for a while.
        from: usize,
        /// Who hears nothing for a while.
        to: usize,
    },
    /// Nothing passes between these nodes and all others.
    Partition {
        /// One side.
        side: BTreeSet<usize>,
    },
    /// Nothing passes between the two sides; everybody else reaches both.
    Split {
        /// One side.
        left: BTreeSet<usize>,
        /// The other side.
        right: BTreeSet<usize>,
    },
    /// A node's process is held still; what arrives meanwhile waits.
    Pause {
        /// Which node.
        node: usize,
    },
    /// A node's process is killed, and started again from its disk when the fault ends. What was not flushed is gone.
    Kill {
        /// Which node.
        node: usize,
        /// What else happens to the disk.
        damage: Damage,
    },
    /// The next write to a node's store fails: its writer crashes, and with it everything that stands on it. At once
    /// over: the supervisor starts all of it again.
    FailWrite {
        /// Which node.
        node: usize,
    },
    /// A role crashes over the next message that it takes. At once over: its supervisor starts it again.
    Crash {
        /// Which node.
        node: usize,
        /// Which role.
        role: Role,
    },
    /// A node's wall clock is wrong by this much, until the fault ends.
    Jump {
        /// Which node.
        node: usize,
        /// By how much, in milliseconds: forward if positive.
        by_ms: i64,
    },
}

/// A fault that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultReport {
    /// Which.
    pub fault: Fault,
    /// When it began.
    pub began: Instant,
    /// When it ended; `None` while it lasts.
    pub ended: Option<Instant>,
    /// The longest silence between two answers that ended after this fault began and before the next one did, of
    /// pairs of nodes between which a way existed all the time.
    pub longest_gap: Duration,
}

impl Fault {
    /// The kind's name.
    pub fn name(&self) -> &'static str {
        match self {
            Fault::Cut { .. } => "cut",
            Fault::CutOneWay { .. } => "cut-one-way",
            Fault::Clog { .. } => "clog",
            Fault::Partition { .. } => "partition",
            Fault::Split { .. } => "split",
            Fault::Pause { .. } => "pause",
            Fault::Kill { damage, .. } => damage.name(),
            Fault::FailWrite { .. } => "fail-write",
            Fault::Crash { .. } => "crash",
            Fault::Jump { .. } => "jump",
        }
    }

    /// The wires that it cuts, in each direction, among all wires.
    pub(crate) fn cuts(&self, wires: &[(usize, usize)]) -> Vec<(usize, usize)> {
        let both = |apart: &dyn Fn(usize, usize) -> bool| {
            let cut = wires.iter().filter(|(a, b)| apart(*a, *b) || apart(*b, *a));
            cut.flat_map(|(a, b)| [(*a, *b), (*b, *a)]).collect()
        };
        match self {
            Fault::CutOneWay { from, to } => vec![(*from, *to)],
            Fault::Cut { a, b } => vec![(*a, *b), (*b, *a)],
            Fault::Partition { side } => both(&|a, b| side.contains(&a) && !side.contains(&b)),
            Fault::Split { left, right } => both(&|a, b| left.contains(&a) && right.contains(&b)),
            _ => Vec::new(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Fault::Cut { a, b } => write!(f, "{name} {a}-{b}"),
            Fault::CutOneWay { from, to } | Fault::Clog { from, to } => write!(f, "{name} {from}->{to}"),
            Fault::Partition { side } => write!(f, "{name} {}", list(side)),
            Fault::Split { left, right } => write!(f, "{name} {} from {}", list(left), list(right)),
            Fault::Pause { node } | Fault::Kill { node, .. } | Fault::FailWrite { node } => write!(f, "{name} {node}"),
            Fault::Crash { node, role: Role::Peer(peer) } => write!(f, "{name} {node} peer {}", peer.short()),
            Fault::Crash { node, role } => write!(f, "{name} {node} {}", format!("{role:?}").to_lowercase()),
            Fault::Jump { node, by_ms } => write!(f, "{name} {node} by {} s", by_ms / 1000),
        }
    }
}

fn list(nodes: &BTreeSet<usize>) -> String {
    nodes.iter().map(usize::to_string).collect::<Vec<_>>().join(",")
}

impl World {
    /// Begins a fault and returns its number, with which [`World::heal`] ends it.
    pub fn inject(&mut self, fault: Fault) -> usize {
        self.spread_news(News::Fault { what: fault.to_string() });
        for (from, to) in fault.cuts(&self.network.wires()) {
            self.network.cut(from, to);
        }
        let mut ended = None;
        match &fault {
            Fault::Clog { from, to } => self.network.clog(*from, *to),
            Fault::Pause { node } => self.hosts[*node].paused += 1,
            Fault::Kill { node, damage } => self.kill(*node, *damage),
            Fault::FailWrite { node } => {
                self.hosts[*node].disk.fail_next();
                ended = Some(self.now);
            }
            Fault::Crash { node, role } => {
                self.crash(*node, *role);
                ended = Some(self.now);
            }
            Fault::Jump { node, by_ms } => self.jump(*node, *by_ms),
            _ => {}
        }
        self.faults.push(FaultReport { fault, began: self.now, ended, longest_gap: Duration::ZERO });
        self.judge_reachability();
        self.faults.len() - 1
    }

    /// Ends a fault, if it lasts.
    pub fn heal(&mut self, fault: usize) {
        let Some(report) = self.faults.get_mut(fault).filter(|report| report.ended.is_none()) else { return };
        report.ended = Some(self.now);
        let fault = report.fault.clone();
        self.spread_news(News::Fault { what: format!("{fault} is over") });
        for (from, to) in fault.cuts(&self.network.wires()) {
            self.network.mend(from, to);
        }
        match fault {
            Fault::Clog { from, to } => self.unclog(from, to),
            Fault::Pause { node } => self.resume(node),
            Fault::Kill { node, .. } => self.boot(node),
            Fault::Jump { node, by_ms } => self.jump(node, -by_ms),
            _ => {}
        }
        self.judge_reachability();
    }

    /// Ends every fault that lasts.
    pub fn heal_all(&mut self) {
        for fault in 0..self.faults.len() {
            self.heal(fault);
        }
    }

    /// Draws a fault, begins it, and decides when it ends and when the next one is drawn.
    pub(crate) fn on_fault_due(&mut self) {
        if self.now >= self.stormy_until {
            return;
        }
        let every = self.config.mix.every();
        self.queue.push(self.now + self.rng.jitter(every, 60), Event::FaultDue);
        if let Some(fault) = self.draw_fault() {
            let lasts = FAULT_MIN + Duration::from_millis(self.rng.below(FAULT_SPREAD_MS) as u64);
            let fault = self.inject(fault);
            self.queue.push(self.now + lasts, Event::Heal { fault });
        }
    }

    /// A fault that makes sense now; `None` if the node drawn is in trouble already.
    fn draw_fault(&mut self) -> Option<Fault> {
        let wires = self.network.wires();
        let (mut a, mut b) = *self.rng.pick(&wires)?;
        if self.rng.below(2) == 0 {
            std::mem::swap(&mut a, &mut b);
        }
        let node = self.rng.below(self.hosts.len());
        let well = self.hosts[node].is_running();
        let kill = |damage| well.then_some(Fault::Kill { node, damage });
        match self.config.mix.pick(&mut self.rng)? {
            Kind::Cut => Some(Fault::Cut { a, b }),
            Kind::CutOneWay => Some(Fault::CutOneWay { from: a, to: b }),
            Kind::Clog => Some(Fault::Clog { from: a, to: b }),
            Kind::Partition => Some(Fault::Partition { side: self.draw_side(&BTreeSet::new()) }),
            Kind::Split => {
                let left = self.draw_side(&BTreeSet::new());
                let right = self.draw_side(&left);
                (!right.is_empty()).then_some(Fault::Split { left, right })
            }
            Kind::Pause => well.then_some(Fault::Pause { node }),
            Kind::Kill => kill(Damage::None),
            Kind::KillTorn => kill(Damage::Torn),
            Kind::KillCorrupt => kill(Damage::Corrupt),
            Kind::LoseDisk => kill(Damage::Lost),
            Kind::FailWrite => well.then_some(Fault::FailWrite { node }),
            Kind::Crash => well.then(|| Fault::Crash { node, role: self.draw_role(node) }),
            Kind::Jump => self.hosts[node].is_on_time().then(|| Fault::Jump { node, by_ms: self.draw_jump() }),
        }
    }

    /// Up to half of the nodes, without the ones that are taken.
    fn draw_side(&mut self, taken: &BTreeSet<usize>) -> BTreeSet<usize> {
        let length = 1 + self.rng.below(self.hosts.len() / 2);
        let nodes: Vec<usize> = (0..length).map(|_| self.rng.below(self.hosts.len())).collect();
        nodes.into_iter().filter(|node| !taken.contains(node)).collect()
    }

    fn draw_role(&mut self, node: usize) -> Role {
        let neighbors: Vec<usize> = self.network.neighbors(node).into_iter().collect();
        let roles = [
            Role::Policy,
            Role::Gossip,
            Role::Monitor,
            Role::Pathfinder,
            Role::Planner,
            Role::Executor,
            Role::Rebalancer,
            Role::Ledger,
        ];
        match self.rng.below(roles.len() + 2) {
            at if at < roles.len() => roles[at],
            _ => self.rng.pick(&neighbors).map_or(Role::Gossip, |peer| Role::Peer(self.hosts[*peer].peer_id())),
        }
    }

    /// Seconds, minutes, hours or more than a day, forward or back.
    fn draw_jump(&mut self) -> i64 {
        let most_s = [60, 3_600, 36 * 3_600][self.rng.below(3)];
        let by_ms = 1000 * (1 + self.rng.below(most_s) as i64);
        if self.rng.below(2) == 0 { by_ms } else { -by_ms }
    }
}

/// The shortest fault.
const FAULT_MIN: Duration = Duration::from_millis(200);
/// How much longer a fault may last, in milliseconds.
const FAULT_SPREAD_MS: usize = 5000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_leaves_everybody_else_with_both_sides() {
        let wires = [(0, 1), (0, 2), (1, 2), (2, 3)];
        let split = Fault::Split { left: [0].into(), right: [1, 3].into() };
        assert_eq!(split.cuts(&wires), [(0, 1), (1, 0)]);
        let partition = Fault::Partition { side: [0].into() };
        assert_eq!(partition.cuts(&wires), [(0, 1), (1, 0), (0, 2), (2, 0)]);
        assert_eq!(Fault::CutOneWay { from: 2, to: 1 }.cuts(&wires), [(2, 1)]);
    }
}
