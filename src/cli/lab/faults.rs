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
    /// Let an actor of any kind but surfaces handle nothing for a while, at any node
    StallActor,
    /// Let an actor take 20 to 200 ms longer for each message, at any node
    SlowActor,
    /// Set the wall clock of any node wrong, by two minutes or an hour, ahead or behind
    ClockJump,
    /// Let the disk of any node be full
    DiskFull,
    /// Let each call to the disk of any node take 50 to 250 ms longer
    SlowDisk,
    /// Have the certificate of any node renewed, as if it were about to expire
    Certificate,
    /// Double 30 % of what travels on a link of the path in use, in one direction or both
    Duplicate,
    /// Let 30 % of what travels on a link of the path in use be overtaken, in one direction or both
    Reorder,
    /// Let a link of the path in use pass no more than 1 MB/s, in one direction or both
    Throttle,
}

impl FaultKind {
    /// Every kind, in the order of the report.
    pub(super) const ALL: [FaultKind; 22] = [
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
        FaultKind::StallActor,
        FaultKind::SlowActor,
        FaultKind::ClockJump,
        FaultKind::DiskFull,
        FaultKind::SlowDisk,
        FaultKind::Certificate,
        FaultKind::Duplicate,
        FaultKind::Reorder,
        FaultKind::Throttle,
    ];

    /// Whether the lab injects it when the user does not choose: what breaks links, nodes and actors of the path in use.
    pub(super) fn is_default(self) -> bool {
        use FaultKind::{Certificate, ClockJump, DiskFull, Duplicate, Reorder};
        use FaultKind::{SlowActor, SlowDisk, StallActor, Throttle};
        let others = [StallActor, SlowActor, ClockJump, DiskFull, SlowDisk, Certificate, Duplicate, Reorder, Throttle];
        !others.contains(&self)
    }

    /// Whether a soak draws it: actors are killed all the time anyway.
    pub(super) fn is_drawn(self) -> bool {
        self != FaultKind::KillActor
    }

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
            FaultKind::StallActor => "stall-actor",
            FaultKind::SlowActor => "slow-actor",
            FaultKind::ClockJump => "clock-jump",
            FaultKind::DiskFull => "disk-full",
            FaultKind::SlowDisk => "slow-disk",
            FaultKind::Certificate => "certificate",
            FaultKind::Duplicate => "duplicate",
            FaultKind::Reorder => "reorder",
            FaultKind::Throttle => "throttle",
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
pub(super) const ACTORS: [&str; 10] =
    ["knowledge", "policy", "gossip", "peer", "monitor", "pathfinder", "planner", "executor", "rebalancer", "ledger"];

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
    fn a_soak_draws_every_kind_but_the_one_that_it_does_all_the_time() {
        let drawn: Vec<_> = FaultKind::ALL.into_iter().filter(|kind| kind.is_drawn()).collect();
        assert_eq!(drawn.len(), FaultKind::ALL.len() - 1);
        assert!(drawn.contains(&FaultKind::Throttle) && !drawn.contains(&FaultKind::KillActor));
        assert_eq!(FaultKind::ALL.into_iter().filter(|kind| kind.is_default()).count(), 13);
    }

    #[test]
    fn a_run_of_kill_actor_kills_every_kind_once() {
        assert_eq!(FaultKind::KillActor.faults().len(), ACTORS.len());
        let others = FaultKind::ALL.into_iter().filter(|kind| *kind != FaultKind::KillActor);
        assert!(others.into_iter().all(|kind| kind.faults() == [Fault { kind, actor: None }]));
    }
}
