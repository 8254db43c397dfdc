//! Why a stream could not be had.

use prunella_core::limits::SESSIONS_MAX;
use prunella_core::wire::StreamRefusal;

/// Why a stream to a peer could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// No path leads to the peer now.
    #[error("no route to the peer: {reason}")]
    NoRoute {
        /// What the path search says.
        reason: String,
    },
    /// The peer did not answer in time. Whether it acted is unknown.
    #[error("the peer did not answer in time")]
    TimedOut,
    /// One of the two could not prove who it is.
    #[error("authentication failed: {reason}")]
    Authentication {
        /// What is wrong.
        reason: String,
    },
    /// The peer said no.
    #[error("refused by the peer: {0}")]
    Refused(StreamRefusal),
    /// The connection was lost. Whether the peer acted is unknown.
    #[error("the session was lost: {reason}")]
    Lost {
        /// What was seen.
        reason: String,
    },
    /// The peer takes on no new sessions now; another may.
    #[error("overloaded: the peer takes on no new sessions now")]
    Overloaded,
    /// There are as many sessions as there may be.
    #[error("this node has as many sessions as it may have ({SESSIONS_MAX})")]
    OverLimit,
    /// The endpoint is closed.
    #[error("the node is shutting down")]
    NotRunning,
}

impl SessionError {
    /// What kind of failure it is, in a word.
    pub fn name(&self) -> &'static str {
        match self {
            SessionError::NoRoute { .. } => "no-route",
            SessionError::TimedOut => "timed-out",
            SessionError::Authentication { .. } => "authentication",
            SessionError::Refused(_) => "refused",
            SessionError::Lost { .. } => "lost",
            SessionError::Overloaded => "overloaded",
            SessionError::OverLimit => "over-limit",
            SessionError::NotRunning => "not-running",
        }
    }
}
