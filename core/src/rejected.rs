//! Why something that came from outside was turned away.

use serde::{Deserialize, Serialize};

/// Hostile or odd input, by name. It is counted and dropped; it never fails an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Rejected {
    /// Not decodable: garbage, truncated, or a value outside its range.
    #[error("malformed")]
    Malformed,
    /// A version of the protocol that this node does not speak.
    #[error("unknown protocol version")]
    UnknownVersion,
    /// The signature or authentication code does not fit the bytes.
    #[error("not authentic")]
    Unsigned,
    /// It has expired.
    #[error("stale")]
    Stale,
    /// Well-formed, but the sender may not say it.
    #[error("not authorized")]
    Unauthorized,
    /// Larger, longer or more than a limit allows.
    #[error("over a limit")]
    OverLimit,
    /// From somebody who has not proven, or not said, who it is.
    #[error("unknown sender")]
    UnknownSender,
    /// Issued further ahead than clocks may differ.
    #[error("from the future")]
    Future,
    /// Seen before, or too old to tell.
    #[error("replayed")]
    Replayed,
    /// It decodes, but is not written in the one form that its encoder gives it.
    #[error("not in canonical form")]
    NonCanonical,
    /// Signed, but not by the origin that it names.
    #[error("wrong origin")]
    WrongOrigin,
    /// It contradicts itself: a sketch or a summary of what cannot be.
    #[error("inconsistent")]
    Inconsistent,
    /// More often than the rate allows.
    #[error("over the rate")]
    Flood,
    /// Behind too much that was bad: not looked at.
    #[error("distrusted")]
    Distrusted,
}

impl Rejected {
    /// Every reason, in the order in which counters are listed.
    pub const ALL: [Rejected; 14] = [
        Rejected::Malformed,
        Rejected::UnknownVersion,
        Rejected::Unsigned,
        Rejected::Stale,
        Rejected::Unauthorized,
        Rejected::OverLimit,
        Rejected::UnknownSender,
        Rejected::Future,
        Rejected::Replayed,
        Rejected::NonCanonical,
        Rejected::WrongOrigin,
        Rejected::Inconsistent,
        Rejected::Flood,
        Rejected::Distrusted,
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
            Rejected::UnknownSender => "unknown_sender",
            Rejected::Future => "future",
            Rejected::Replayed => "replayed",
            Rejected::NonCanonical => "non_canonical",
            Rejected::WrongOrigin => "wrong_origin",
            Rejected::Inconsistent => "inconsistent",
            Rejected::Flood => "flood",
            Rejected::Distrusted => "distrusted",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_reason_is_listed_once_in_its_order_and_under_a_name_of_its_own() {
        let names: BTreeSet<_> = Rejected::ALL.iter().map(|reason| reason.name()).collect();
        assert_eq!(names.len(), Rejected::ALL.len());
        for (i, reason) in Rejected::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, i, "counters are indexed by it");
        }
        assert_eq!(Rejected::Distrusted as usize + 1, Rejected::ALL.len(), "the last one is listed");
    }
}
