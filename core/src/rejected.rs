//! Why something that came from outside was turned away.

use serde::{Deserialize, Serialize};

/// Hostile or odd input, by name. It is counted and dropped; it never fails an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Rejected {
    /// Not decodable: garbage, truncated, trailing bytes, or a value outside its range.
    #[error("malformed")]
    Malformed,
    /// A version of the protocol that this node does not speak.
    #[error("unknown protocol version")]
    UnknownVersion,
    /// The signature or authentication code does not fit the bytes.
    #[error("not authentic")]
    Unsigned,
    /// Expired, from the future, already seen, or older than what is known.
    #[error("stale")]
    Stale,
    /// Well-formed, but the sender may not say it.
    #[error("not authorized")]
    Unauthorized,
    /// Larger, longer or more than a limit allows.
    #[error("over a limit")]
    OverLimit,
}

impl Rejected {
    /// Every reason, in the order in which counters are listed.
    pub const ALL: [Rejected; 6] = [
        Rejected::Malformed,
        Rejected::UnknownVersion,
        Rejected::Unsigned,
        Rejected::Stale,
        Rejected::Unauthorized,
        Rejected::OverLimit,
    ];

    /// The name under which the reason is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Rejected::Malformed => "malformed",
            Rejected::UnknownVersion => "unknown_version",
            Rejected::Unsigned => "unsigned",
            Rejected::Stale => "stale",
            Rejected::Unauthorized => "unauthorized",
            Rejected::OverLimit => "over_limit",
        }
    }
}
