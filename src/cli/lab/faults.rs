//! The kinds of faults: what the user calls them, and how long each is in force.

use std::time::Duration;

/// A kind of fault, as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum FaultKind {
    /// Kill a relay on the path in use (SIGKILL)
    KillNode,
    /// Stop a relay on the path in use for two seconds (SIGSTOP, SIGCONT)
    PauseNode,
    /// Drop everything on the first link of the path in use
    CutLink,
    /// Drop one direction of one link of the path in use
    OneWay,
    /// Delay what travels on the first link of the path in use by 100 to 120 ms each way
    SlowLink,
    /// Lose 30 % of what travels on the first link of the path in use
    LossyLink,
    /// Cut the first link of the path in use and mend it again, four times in two seconds
    Flap,
    /// Cut off the source and the first relay from each other, though both can talk to the others
    PartialPartition,
    /// Split off a part of the mesh with the relays of the path in use, and heal the split
    Split,
    /// Restart every node in turn but the two at which the traffic ends
    RollingRestart,
    /// Keep twice as many threads busy as there are processors, at a relay of the path in use
    CpuHog,
    /// Kill each kind of actor at the node where the requests start
    KillActor,
    /// Let a relay of the path in use pass probes and drop payload
    GrayRelay,
}

impl FaultKind {
    /// Every kind, in the order of the report.
    pub(super) const ALL: [FaultKind; 13] = [
        FaultKind::KillNode,
        FaultKind::PauseNode,
        FaultKind::CutLink,
        FaultKind::OneWay,
        FaultKind::SlowLink,
        FaultKind::LossyLink,
        FaultKind::Flap,
        FaultKind::PartialPartition,
        FaultKind::Split,
        FaultKind::RollingRestart,
        FaultKind::CpuHog,
        FaultKind::KillActor,
        FaultKind::GrayRelay,
    ];

    /// The name that the user knows.
    pub(super) const fn name(self) -> &'static str {
        match self {
            FaultKind::KillNode => "kill-node",
            FaultKind::PauseNode => "pause-node",
            FaultKind::CutLink => "cut-link",
            FaultKind::OneWay => "one-way",
            FaultKind::SlowLink => "slow-link",
            FaultKind::LossyLink => "lossy-link",
            FaultKind::Flap => "flap",
            FaultKind::PartialPartition => "partial-partition",
            FaultKind::Split => "split",
            FaultKind::RollingRestart => "rolling-restart",
            FaultKind::CpuHog => "cpu-hog",
            FaultKind::KillActor => "kill-actor",
            FaultKind::GrayRelay => "gray-relay",
        }
    }

    /// The faults of one run: one, or one for each kind of actor.
    pub(super) fn faults(self) -> Vec<Fault> {
        match self {
            FaultKind::KillActor => ACTORS.map(|actor| Fault { kind: self, actor: Some(actor) }).into(),
            _ => vec![Fault { kind: self, actor: None }],
        }
    }
}

/// The kinds of actors that are killed, in this order; there is a `peer` for each neighbor.
pub(super) const ACTORS: [&str; 8] =
    ["knowledge", "policy", "gossip", "peer", "monitor", "pathfinder", "planner", "executor"];

/// One fault to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Its kind.
    pub(super) kind: FaultKind,
    /// The kind of actor that is killed, one of [`ACTORS`]; only for [`FaultKind::KillActor`].
    pub(super) actor: Option<&'static str>,
}

impl Fault {
    /// How long the fault is in force before it is mended.
    pub(super) fn duration(self) -> Duration {
        match self.kind {
            FaultKind::PauseNode | FaultKind::Flap | FaultKind::CpuHog => Duration::from_millis(2000),
            FaultKind::KillActor => Duration::from_millis(500),
            _ => Duration::from_millis(1500),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn the_users_names_are_the_reports_names() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_str(kind.name(), false), Ok(kind));
        }
        assert_eq!(FaultKind::value_variants(), FaultKind::ALL);
    }

    #[test]
    fn a_run_of_kill_actor_kills_every_kind_once() {
        assert_eq!(FaultKind::KillActor.faults().len(), ACTORS.len());
        let others = FaultKind::ALL.into_iter().filter(|kind| *kind != FaultKind::KillActor);
        assert!(others.into_iter().all(|kind| kind.faults() == [Fault { kind, actor: None }]));
    }
}
