//! One origin's write under a shared key, as it travels.

use bincode::{Decode, Encode};
use crdts::{Dot, VClock};
use serde::{Deserialize, Serialize};

use crate::limits::{SHARED_VALUE_BYTES_MAX, SHARED_WRITERS_MAX};
use crate::{PeerId, Rejected};

/// What one node wrote under a shared key, and what it had seen there when it did.
///
/// A dotted version vector (Preguiça, Baquero et al., Dotted Version Vectors, 2010): the origin's own entry names the
/// write, the others say what it supersedes. Counters are milliseconds of the writer's clock, or one more than the
/// greatest that it had seen (Kulkarni et al., Logical Physical Clocks, 2014), so a write that saw another one always
/// has the greater counter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
pub struct Write {
    /// The newest write seen of each writer, and this one itself; ascending by writer, each counter above `floor`.
    pub clock: Vec<Seen>,
    /// Whatever has a counter up to this counts as seen, whoever wrote it. Zero, until more than
    /// [`SHARED_WRITERS_MAX`] nodes have written under the key: then it stands for the oldest of them.
    pub floor: u64,
    /// The value; `None` removes the key.
    pub value: Option<String>,
}

/// One entry of a write's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
pub struct Seen {
    /// Who wrote.
    pub writer: PeerId,
    /// Which of its writes.
    pub counter: u64,
}

impl Write {
    /// A write whose clock is `clock`; the oldest entries go into the floor if there are too many.
    pub(super) fn new(clock: VClock<PeerId>, floor: u64, value: Option<String>) -> Self {
        let mut counters: Vec<u64> = clock.iter().map(|dot| dot.counter).filter(|counter| *counter > floor).collect();
        counters.sort_unstable();
        let excess = counters.len().saturating_sub(SHARED_WRITERS_MAX);
        let floor = if excess == 0 { floor } else { counters[excess - 1] };
        let above = clock.into_iter().filter(|dot| dot.counter > floor);
        Self { clock: above.map(|dot| Seen { writer: dot.actor, counter: dot.counter }).collect(), floor, value }
    }

    /// Form and bounds of what `origin` wrote in a record issued at `issued_ms`.
    ///
    /// That counters cannot run ahead of the time of issue keeps anybody from writing a counter that nobody else can
    /// ever exceed.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] for a long value or clock; [`Rejected::Malformed`] for a clock out of order, with a
    /// counter not above the floor, or in which the origin's own entry is missing, not the greatest, or later than
    /// `issued_ms`.
    pub fn check(&self, origin: &PeerId, issued_ms: u64) -> Result<(), Rejected> {
        let value_bytes = self.value.as_ref().map_or(0, String::len);
        if self.clock.len() > SHARED_WRITERS_MAX || value_bytes > SHARED_VALUE_BYTES_MAX {
            return Err(Rejected::OverLimit);
        }
        let own = self.counter_of(origin);
        let ordered = self.clock.is_sorted_by(|a, b| a.writer < b.writer);
        let above = self.clock.iter().all(|seen| seen.counter > self.floor);
        let greatest = self.clock.iter().all(|seen| seen.writer == *origin || seen.counter < own);
        let formed = ordered && above && greatest && (1..=issued_ms).contains(&own);
        if formed { Ok(()) } else { Err(Rejected::Malformed) }
    }

    /// The newest write of `writer` that this one has seen, itself included; zero: none above the floor.
    pub fn counter_of(&self, writer: &PeerId) -> u64 {
        self.clock.binary_search_by(|seen| seen.writer.cmp(writer)).map_or(0, |i| self.clock[i].counter)
    }

    /// Whether the write with this counter by this other writer had been seen.
    pub(super) fn has_seen(&self, writer: &PeerId, counter: u64) -> bool {
        counter <= self.floor || counter <= self.counter_of(writer)
    }

    pub(super) fn vclock(&self) -> VClock<PeerId> {
        self.clock.iter().map(|seen| Dot::new(seen.writer, seen.counter)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec;

    fn peer(i: u8) -> PeerId {
        PeerId::from_public_key([i; 32])
    }

    fn write(clock: &[(u8, u64)], floor: u64) -> Write {
        let clock = clock.iter().map(|(i, counter)| Seen { writer: peer(*i), counter: *counter }).collect();
        Write { clock, floor, value: Some("x".into()) }
    }

    #[test]
    fn a_write_survives_the_wire() {
        let write = write(&[(1, 7), (2, 9)], 3);
        assert_eq!(codec::decode::<Write>(&codec::encode(&write)), Ok(write));
    }

    #[test]
    fn every_malformed_clock_is_rejected_by_name() {
        let check = |clock: &[(u8, u64)], floor| write(clock, floor).check(&peer(1), 100);
        assert_eq!(check(&[(1, 7), (2, 6)], 5), Ok(()));
        assert_eq!(check(&[(1, 100)], 0), Ok(()));
        for (why, clock, floor) in [
            ("empty", &[][..], 0),
            ("the origin is missing", &[(2, 7)], 0),
            ("the origin's entry is not the greatest", &[(1, 7), (2, 7)], 0),
            ("out of order", &[(2, 6), (1, 7)], 0),
            ("a writer twice", &[(1, 7), (2, 5), (2, 6)], 0),
            ("nothing seen, but told", &[(1, 7), (2, 0)], 0),
            ("not above the floor", &[(1, 7), (2, 6)], 6),
            ("from the future", &[(1, 101)], 0),
        ] {
            assert_eq!(check(clock, floor), Err(Rejected::Malformed), "{why}");
        }
    }

    #[test]
    fn long_values_and_clocks_are_over_the_limit() {
        let mut long = write(&[(1, 7)], 0);
        long.value = Some("x".repeat(SHARED_VALUE_BYTES_MAX));
        assert_eq!(long.check(&peer(1), 100), Ok(()));
        long.value = Some("x".repeat(SHARED_VALUE_BYTES_MAX + 1));
        assert_eq!(long.check(&peer(1), 100), Err(Rejected::OverLimit));
        let clock: Vec<(u8, u64)> = (0..=SHARED_WRITERS_MAX as u8).map(|i| (i, 50 - u64::from(i))).collect();
        assert_eq!(write(&clock, 0).check(&peer(0), 100), Err(Rejected::OverLimit));
        assert_eq!(write(&clock[..SHARED_WRITERS_MAX], 0).check(&peer(0), 100), Ok(()));
    }

    #[test]
    fn the_oldest_writers_go_into_the_floor_when_there_are_too_many() {
        let writers = SHARED_WRITERS_MAX as u64 + 3;
        let clock = (1..=writers).map(|i| Dot::new(peer(i as u8), i * 10)).collect();
        let write = Write::new(clock, 5, None);
        assert_eq!((write.clock.len(), write.floor), (SHARED_WRITERS_MAX, 30));
        assert_eq!(write.check(&peer(writers as u8), writers * 10), Ok(()));
        assert!((1..=writers).all(|i| write.has_seen(&peer(i as u8), i * 10)), "nothing seen is forgotten");
    }
}
