//! What the role is to do, and what of it when the node sheds load.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::peer::Probing;

/// What the role is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Paths kept per destination.
    pub paths: usize,
    /// How many of them are probed as often as the one in use.
    pub warm: usize,
    /// How paths that carry or may soon carry traffic are probed.
    pub probing: Probing,
    /// How much longer than usual, at least, a probe of the path in use may take before traffic is sent on the next path
    /// as well; zero: it never is.
    pub hedge_after: Duration,
    /// Over how many paths traffic to a destination may be spread: one for no spread.
    pub lanes: usize,
}

impl Config {
    /// The same with less to do: no copies, and every path is probed more seldom, the one in use several times as often as
    /// the others. A break is noticed later by the time between two probes.
    pub(super) fn shedding(self) -> Self {
        let Self { probing, .. } = self;
        let probing = Probing { interval: (probing.interval * SHED_FACTOR).min(probing.idle_interval), ..probing };
        Self { warm: 0, hedge_after: Duration::ZERO, probing, ..self }
    }
}

/// How much more seldom paths are probed while the node sheds load.
const SHED_FACTOR: u32 = 5;
