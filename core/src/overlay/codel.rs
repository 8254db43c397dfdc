//! When packets have waited too long for too long: CoDel (RFC 8289, section 5).

/// A wait that a queue which only takes up bursts stays below, in nanoseconds.
const TARGET: u64 = 5_000_000;
/// How long waits may be above it: longer than a round trip takes, so that whoever sends can react.
const INTERVAL: u64 = 100_000_000;

/// What is remembered of a queue to tell a burst from a queue that stands.
#[derive(Debug, Default)]
pub(super) struct Codel {
    /// From when on waits count as too long, if they have been above the target until then.
    above_from: Option<u64>,
    is_dropping: bool,
    drop_next: u64,
    count: u32,
    last_count: u32,
}

impl Codel {
    /// Whether a packet is to be dropped, or marked, that has waited so long and leaves behind so many bytes.
    pub(super) fn drops(&mut self, waited: u64, is_last: bool, now: u64) -> bool {
        let stands = self.stands(waited, is_last, now);
        if self.is_dropping {
            self.is_dropping = stands;
            if !stands || now < self.drop_next {
                return false;
            }
            self.count += 1;
            self.drop_next = after(self.drop_next, self.count);
            return true;
        }
        if stands {
            self.is_dropping = true;
            // Soon after the last time, it goes on about where it was.
            let more = self.count - self.last_count;
            let is_soon = more > 1 && now.saturating_sub(self.drop_next) < 16 * INTERVAL;
            self.count = if is_soon { more } else { 1 };
            self.last_count = self.count;
            self.drop_next = after(now, self.count);
        }
        stands
    }

    fn stands(&mut self, waited: u64, is_last: bool, now: u64) -> bool {
        if waited < TARGET || is_last {
            self.above_from = None;
            return false;
        }
        now >= *self.above_from.get_or_insert(now + INTERVAL)
    }
}

/// The next drop comes sooner with each, by the square root of their count: to that, a stream's rate is inversely proportional.
fn after(time: u64, count: u32) -> u64 {
    time + (INTERVAL as f64 / f64::from(count).sqrt()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_burst_is_not_touched() {
        let mut codel = Codel::default();
        for ms in 0..90 {
            assert!(!codel.drops(50 * MS, false, ms * MS));
        }
        assert!(!codel.drops(MS, false, 91 * MS), "it is over");
        assert!(!codel.drops(50 * MS, false, 150 * MS), "another");
    }

    #[test]
    fn from_a_queue_that_stands_packets_go_more_and_more_often() {
        let mut codel = Codel::default();
        let drops: Vec<u64> = (0..1000).filter(|ms| codel.drops(20 * MS, false, ms * MS)).collect();
        assert_eq!(drops[0], 100);
        let gaps: Vec<u64> = drops.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps[0] <= 100 && gaps.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{gaps:?}");
        assert!(drops.len() > 15, "{}", drops.len());
    }

    #[test]
    fn the_last_packet_is_never_taken() {
        let mut codel = Codel::default();
        assert!((0..1000).all(|ms| !codel.drops(20 * MS, true, ms * MS)));
    }
}
