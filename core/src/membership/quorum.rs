//! Whether this node is with the majority, or in a part that was cut off.
//!
//! A quorum is more than half of all known members, this node included: of two parts at most one can have it. A member
//! counts as known while it is alive, suspect, or down for less than [`FORGET_AFTER`](crate::limits::FORGET_AFTER), so
//! that a part cannot make itself the majority by removing the other one; a member that took back its records has left
//! and is not counted.
//!
//! A mesh of one always has its quorum. Of two, both are needed: either of them alone is only half. Of three, two.

use serde::{Deserialize, Serialize};

use crate::Instant;
use crate::limits::QUORUM_LOSS_HOLD;

/// How many are within reach, of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quorum {
    /// Members that this node reaches, itself included.
    pub reachable: usize,
    /// Members that there are, this node included.
    pub known: usize,
    /// Whether governed state may be written: more than half are reachable, or were until a moment ago.
    pub has_quorum: bool,
}

impl Default for Quorum {
    /// A node that knows only itself is its whole mesh.
    fn default() -> Self {
        Self { reachable: 1, known: 1, has_quorum: true }
    }
}

/// The quorum was lost or is back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PartitionEvent {
    /// Too few have been within reach for [`QUORUM_LOSS_HOLD`].
    Lost {
        /// Since when.
        since: Instant,
    },
    /// More than half are within reach again.
    Recovered {
        /// Since when there were too few.
        since: Instant,
        /// When they were enough again.
        at: Instant,
    },
}

/// The detector.
///
/// The loss counts after a short hold, because links fall late one by one and a wrong loss stops writers; the recovery
/// counts at once, because a majority that is within reach is a fact.
#[derive(Clone, Debug)]
pub struct PartitionDetector {
    reachable: usize,
    known: usize,
    /// Since when too few are within reach.
    since: Option<Instant>,
    lost: bool,
}

impl PartitionDetector {
    /// This node alone.
    pub fn new() -> Self {
        Self { reachable: 1, known: 1, since: None, lost: false }
    }

    /// Takes new numbers, this node included in both: from [`Counts::known`](super::roster::Counts::known) and from
    /// [`Membership::reachable`](super::Membership::reachable), or from whoever knows better who is within reach.
    pub fn update(&mut self, reachable: usize, known: usize, now: Instant) -> Option<PartitionEvent> {
        (self.known, self.reachable) = (known.max(1), reachable.max(1).min(known.max(1)));
        if self.reachable * 2 <= self.known {
            self.since.get_or_insert(now);
            return self.wake(now);
        }
        let since = self.since.take()?;
        std::mem::take(&mut self.lost).then_some(PartitionEvent::Recovered { since, at: now })
    }

    /// Looks whether the hold is over.
    pub fn wake(&mut self, now: Instant) -> Option<PartitionEvent> {
        let since = self.since.filter(|since| !self.lost && now >= *since + QUORUM_LOSS_HOLD)?;
        self.lost = true;
        Some(PartitionEvent::Lost { since })
    }

    /// When to wake it again.
    pub fn deadline(&self) -> Option<Instant> {
        self.since.filter(|_| !self.lost).map(|since| since + QUORUM_LOSS_HOLD)
    }

    /// How it stands.
    pub const fn quorum(&self) -> Quorum {
        Quorum { reachable: self.reachable, known: self.known, has_quorum: !self.lost }
    }
}

impl Default for PartitionDetector {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(seconds * 1000)
    }

    /// Whether so many of so many are a quorum once the hold is over.
    fn suffices(reachable: usize, known: usize) -> bool {
        let mut detector = PartitionDetector::new();
        detector.update(reachable, known, at(0));
        detector.wake(at(3));
        detector.quorum().has_quorum
    }

    #[test]
    fn more_than_half_of_the_known_is_a_quorum() {
        assert!(suffices(1, 1));
        assert!(!suffices(1, 2) && suffices(2, 2));
        assert!(!suffices(1, 3) && suffices(2, 3));
        assert!(!suffices(500, 1000) && suffices(501, 1000));
        assert!(suffices(0, 0), "this node reaches itself");
    }

    #[test]
    fn a_loss_counts_after_the_hold_and_a_recovery_at_once() {
        let mut detector = PartitionDetector::new();
        assert_eq!(detector.update(4, 10, at(10)), None);
        assert!(detector.quorum().has_quorum);
        assert_eq!(detector.deadline(), Some(at(13)));
        assert_eq!(detector.wake(at(12)), None);
        assert_eq!(detector.wake(at(13)), Some(PartitionEvent::Lost { since: at(10) }));
        assert_eq!((detector.quorum().has_quorum, detector.deadline()), (false, None));
        assert_eq!(detector.update(5, 10, at(20)), None, "half is too few");
        assert_eq!(detector.update(6, 10, at(25)), Some(PartitionEvent::Recovered { since: at(10), at: at(25) }));
        assert!(detector.quorum().has_quorum);
    }

    #[test]
    fn a_dip_shorter_than_the_hold_is_nothing() {
        let mut detector = PartitionDetector::new();
        detector.update(1, 10, at(0));
        assert_eq!(detector.update(9, 10, at(2)), None);
        assert_eq!(detector.update(1, 10, at(4)), None, "the hold starts afresh");
        assert_eq!(detector.wake(at(6)), None);
        assert_eq!(detector.update(1, 10, at(7)), Some(PartitionEvent::Lost { since: at(4) }));
    }
}
