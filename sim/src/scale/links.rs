//! How long links take, and what becomes of packets on them.

use std::time::Duration;

use prunella_core::rng::Rng;

use super::options::Options;

/// The latencies of all pairs of nodes. They are computed from the pair whenever they are needed, for a million nodes
/// have too many to be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Links {
    seed: u64,
    nodes: u64,
    regions: u64,
    near: (u64, u64),
    far: (u64, u64),
    loss: u64,
}

impl Links {
    pub(super) fn new(options: &Options) -> Self {
        let nanos = |(min, max): (Duration, Duration)| (min.as_nanos() as u64, max.as_nanos() as u64);
        Self {
            seed: options.seed,
            nodes: options.nodes as u64,
            regions: options.regions as u64,
            near: nanos(options.near),
            far: nanos(options.far),
            loss: (u64::from(options.loss_permille) << 32) / 1000,
        }
    }

    /// The one-way latency between two nodes without jitter, in nanoseconds: spread evenly over the range of their
    /// region, or of pairs of regions.
    pub(super) fn latency(&self, a: u32, b: u32) -> u64 {
        let region = |node: u32| u64::from(node) * self.regions / self.nodes;
        let (min, max) = if region(a) == region(b) { self.near } else { self.far };
        let pair = (u64::from(a.min(b)) << 32) | u64::from(a.max(b));
        min + ((u128::from(mixed(pair ^ self.seed)) * u128::from(max - min)) >> 64) as u64
    }

    /// What a round trip takes, with the mean jitter of its two ways.
    pub(super) fn rtt(&self, a: u32, b: u32) -> Duration {
        Duration::from_nanos(round_trip(self.latency(a, b)))
    }

    /// When something sent at `sent` arrives, and how many packets it took.
    ///
    /// It travels on a reliable stream with nothing behind it, so a loss is noticed by the probe timeout alone (RFC
    /// 9002, section 6.2): smoothed round trip, plus the greater of four times its variation and the timer's
    /// granularity of 1 ms, plus the peer's longest delay of acknowledgments, 25 ms; it doubles with each repetition.
    /// The variation is the mean deviation of the sum of two even jitters, a third of one jitter's range. Lost
    /// acknowledgments cost nobody time, and are left out.
    pub(super) fn carry(&self, from: u32, to: u32, mut sent: u64, rng: &mut Rng) -> (u64, u64) {
        let once = self.latency(from, to);
        let variation = once * JITTER_PERCENT / 100 / 3;
        let mut timeout = round_trip(once) + (4 * variation).max(GRANULARITY) + ACK_DELAY_MAX;
        let mut packets = 1;
        loop {
            let draw = rng.next_u64();
            if draw >> 32 >= self.loss {
                let jitter = (once * JITTER_PERCENT / 100 * (draw & 0xffff_ffff)) >> 32;
                return (sent + once + jitter, packets);
            }
            packets += 1;
            sent += timeout;
            timeout = timeout.saturating_mul(2);
        }
    }
}

/// Both ways, each with half of the greatest jitter.
const fn round_trip(once: u64) -> u64 {
    2 * once + once * JITTER_PERCENT / 100
}

/// An even mixture of the bits (SplitMix64; Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
/// 2014).
fn mixed(bits: u64) -> u64 {
    let z = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Every packet takes up to this much longer than its link's latency.
const JITTER_PERCENT: u64 = 10;
/// The timer granularity that RFC 9002 recommends.
const GRANULARITY: u64 = 1_000_000;
/// The default of the transport parameter `max_ack_delay` (RFC 9000, section 18.2).
const ACK_DELAY_MAX: u64 = 25_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_are_the_same_both_ways_and_within_their_range() {
        let options = Options { nodes: 100, regions: 10, ..Options::default() };
        let links = Links::new(&options);
        let mut lowest = [u64::MAX; 2];
        let mut highest = [0; 2];
        for (a, b) in (0..100).flat_map(|a| (0..a).map(move |b| (a, b))) {
            assert_eq!(links.latency(a, b), links.latency(b, a));
            let far = usize::from(a / 10 != b / 10);
            lowest[far] = lowest[far].min(links.latency(a, b));
            highest[far] = highest[far].max(links.latency(a, b));
        }
        assert!(lowest[0] >= 500_000 && highest[0] <= 2_000_000 && highest[0] - lowest[0] > 1_400_000);
        assert!(lowest[1] >= 10_000_000 && highest[1] <= 50_000_000 && highest[1] - lowest[1] > 38_000_000);
    }

    #[test]
    fn a_lost_packet_is_sent_again_after_a_probe_timeout_that_doubles() {
        let options = Options { nodes: 2, regions: 1, loss_permille: 500, ..Options::default() };
        let links = Links::new(&options);
        let (once, mut rng) = (links.latency(0, 1), Rng::from_seed(3));
        let timeout = links.rtt(0, 1).as_nanos() as u64 + 1_000_000 + 25_000_000;
        let mut repeated = [0u32; 3];
        for _ in 0..1000 {
            let (at, packets) = links.carry(0, 1, 7, &mut rng);
            let repeats = packets - 1;
            let sent = 7 + timeout * ((1 << repeats) - 1);
            assert!((sent + once..=sent + once + once / 10).contains(&at), "{packets} packets, {at} ns");
            repeated[repeats.min(2) as usize] += 1;
        }
        assert!(repeated[0].abs_diff(500) < 80 && repeated[1].abs_diff(250) < 70, "{repeated:?}");
    }
}
