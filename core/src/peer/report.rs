//! How a link is, as the role tells it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::latency::LatencySummary;
use crate::{Instant, Label, LinkId, PeerId};

/// How a neighbor's link is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LinkReport {
    /// The neighbor.
    pub peer: PeerId,
    /// The link and this node's label for it; `None` while there is no connection.
    pub link: Option<(LinkId, Label)>,
    /// Its state.
    pub state: LinkState,
    /// Smoothed round trip.
    pub rtt: Duration,
    /// Lost probes, in thousandths.
    pub loss_permille: u16,
    /// Probes of this connection that returned.
    pub probes_returned: u64,
    /// Probes of this connection that are given up as lost.
    pub probes_lost: u64,
    /// When a probe of this connection last returned, or when the first could have; `None` while there is no connection.
    pub heard: Option<Instant>,
    /// How often a link to this neighbor was established.
    pub established: u64,
    /// The time between two probes as it is now: longer while the link is at rest; zero while there is no connection.
    pub probed_every: Duration,
    /// Until when it counts as carrying frames other than probes of the link itself, whatever becomes of the connection:
    /// a path that somebody uses, or keeps warm, leads over it.
    pub carries_until: Instant,
    /// Whether more than 40 % of the last ten attempts to reach the neighbor failed (see
    /// [`ProbeWindow`](super::ProbeWindow)): reason to accuse it, even if single probes return. It says nothing about
    /// whether frames may be sent; `state` does.
    pub failing: bool,
    /// What the last round trips to this neighbor took, over all links that it had in the life of this role.
    pub latency: LatencySummary,
}

/// The states of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LinkState {
    /// No connection, or none yet.
    Dialing,
    /// Connected, but probes do not come back.
    Down,
    /// Probes are overdue.
    Late,
    /// Probes come back.
    Up,
}

impl LinkState {
    /// Whether frames may be sent over the link.
    pub const fn is_usable(self) -> bool {
        matches!(self, LinkState::Up | LinkState::Late)
    }

    /// The state's name.
    pub const fn name(self) -> &'static str {
        match self {
            LinkState::Dialing => "dialing",
            LinkState::Down => "down",
            LinkState::Late => "late",
            LinkState::Up => "up",
        }
    }
}
