//! What became of the way to a destination, as the monitor hears it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::PeerId;

/// What became of a destination, for the monitor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathReport {
    /// The destination.
    pub destination: PeerId,
    /// What happened.
    pub change: PathChange,
}

/// What can happen to the way to a destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum PathChange {
    /// Traffic moved to another path.
    Switched {
        /// The relays of the path that was left.
        from: Vec<PeerId>,
        /// The relays of the path that is used now.
        to: Vec<PeerId>,
        /// Why.
        cause: SwitchCause,
        /// For how long no probe of the path that was left had returned; zero if that path is gone.
        silent: Duration,
    },
    /// No path works.
    Lost,
    /// A path works again, or for the first time.
    Found,
    /// Nobody talks to it any more; it is not watched.
    Released,
}

/// Why traffic moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SwitchCause {
    /// The path's probes were overdue.
    Late,
    /// A relay reported that it could not pass frames on.
    Broken,
    /// Its probes returned, but what was sent over it was not acknowledged.
    Unacknowledged,
    /// Its probes returned, but the destination hears no acknowledgments, and left a path over a relay of this one.
    Unanswered,
    /// The round trip of its first link rises, and will soon be longer than it may be.
    Rising,
    /// The path's links are gone.
    Gone,
    /// Another path is notably better.
    Better,
}
