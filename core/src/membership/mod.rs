//! Membership: who is alive, suspect or down, decided from what several neighbors say.
//!
//! It hears every links record and every judgment as it is applied, who made itself known by a node record, and time; it answers with
//! [`Change`]s. Invariant: nobody is removed by the word of fewer than H of its observers, and a verdict depends on the
//! records held and on how long they have said so, never on the order in which those of one moment arrived. So nodes
//! that hold the same records come to the same verdict without a round of consensus.
//!
//! # Where it comes from
//!
//! - **SWIM** (Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group Membership
//!   Protocol", DSN 2002): suspicion before removal. One accuser is enough there; here it takes several.
//! - **Rapid** (Suresh, Malkhi, Gopalan, Porto Carreiro and Lokhandwala, "Stable and Consistent Membership at Scale with
//!   Rapid", USENIX ATC 2018): several observers, watermarks L and H, and patience while anybody is in between.
//! - **Lifeguard** (Dadgar, Phillips and Currey, "Lifeguard: Local Health Awareness for More Accurate Failure
//!   Detection", DSN-W 2018): who is late itself takes longer to accuse, and the suspect is told so that it can refute.
//!
//! # Where it differs, and why
//!
//! - Observers are the neighbors that both ends list, not K rings: links exist anyway and are probed anyway. Because it
//!   takes both ends, nobody can appoint itself an observer. K differs from node to node, so L and H follow from it
//!   ([`verdict::Thresholds`]).
//! - Two nodes observe each other for [`PAIR_FADES_AFTER`](crate::limits::PAIR_FADES_AFTER) longer than their records say,
//!   because a link that fell silent is in neither list until it is accused.
//! - A refutation does not raise an incarnation number as in SWIM; it names the accuser's record and the version up to
//!   which that is wrong. Versions that the refuter cannot have seen yet are not refuted.
//! - No consensus on views (Rapid, section 4.3). Links records are last-writer state that everybody holds, so equal
//!   records give equal verdicts; while records are on their way two nodes may differ. Nothing here needs more.
//! - Rapid waits for as long as any subject at all is between L and H. Here only subjects that share an observer delay a
//!   removal, by [`STABILITY_WAIT_MAX`](crate::limits::STABILITY_WAIT_MAX) at most: one node that stays in between must
//!   not keep a large mesh from ever removing another.
//! - An observer that is itself accused by at least L of its own observers (and by two, if it has two) has no voice, nor
//!   has one that is down. Rapid counts suspects as accusing each other (its implicit alerts); an abstention needs no guess.
//! - A removed node comes back by itself when its observers report it working for long enough
//!   ([`RETURN_AFTER_MIN`](crate::limits::RETURN_AFTER_MIN), doubled by each removal). In Rapid it has to join anew.
//! - Lifeguard's buddy system piggybacks a suspicion on the next probe of the suspect. Here the suspicion is a
//!   record that is pushed to everybody, the suspect included, so no further message is needed.
//!
//! # The pieces
//!
//! [`Membership`] judges. [`Accusations`] decides what this node itself says about its neighbors, with [`Health`] holding
//! it back when it is the sick one, and [`ProbeWindow`](crate::peer::ProbeWindow) telling lossy links from working ones. [`PartitionDetector`] says
//! whether more than half of all members are in reach. [`Ballot`] says whom the mesh believes no more.

pub mod accuse;
pub mod ballot;
mod case;
pub mod health;
mod index;
mod listing;
mod lists;
pub mod quorum;
pub mod roster;
mod standing;
mod testimony;
pub mod verdict;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::PeerId;

pub use accuse::Accusations;
pub use ballot::{Ballot, Votes};
pub use health::Health;
pub use quorum::PartitionDetector;
pub use roster::Roster;
pub use standing::Membership;
pub use testimony::Testimony;

/// What the mesh makes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Status {
    /// Fewer than L of its observers accuse it.
    Alive,
    /// At least L accuse it: it may be going, or they may be wrong.
    Suspect,
    /// It was removed: at least H accused it for long enough, or it let its links record expire.
    Down,
}

impl Status {
    /// The status's name.
    pub const fn name(self) -> &'static str {
        match self {
            Status::Alive => "alive",
            Status::Suspect => "suspect",
            Status::Down => "down",
        }
    }
}

/// A member's status changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Whose.
    pub peer: PeerId,
    /// What it was.
    pub from: Status,
    /// What it is.
    pub to: Status,
    /// Why.
    pub evidence: Evidence,
}

/// What a change rests on; counts are at the moment of the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What led to it.
    pub reason: Reason,
    /// Observers whose accusation counts.
    pub accusers: usize,
    /// Observers with a voice.
    pub voting: usize,
    /// Accusers that make a suspect (L).
    pub low: usize,
    /// Accusers that remove (H).
    pub high: usize,
}

/// What leads to a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The number of accusers crossed a watermark, and stayed for as long as it takes.
    Accusers,
    /// The node's own links record expired without a newer one: it has said nothing for the record's whole life.
    Silence,
    /// It works again: for long enough after a removal, or by its first new record after silence.
    Returned,
}
