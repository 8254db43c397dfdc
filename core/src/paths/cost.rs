//! What a link costs: the expected time of delivery over it, in microseconds, coarse enough not to follow jitter.
//!
//! With `l` the share of lost probes, the expected time is
//!
//! ```text
//! (rtt / 2 + HOP_COST_US) / (1 - l)^2  +  LOSS_COST_US * l / (1 - l)
//! ```
//!
//! The first term is the expected transmission time (De Couto et al., "A high-throughput path metric for multi-hop
//! wireless routing", 2003), the second the wait until a sender notices each loss, without which a fast link that loses
//! half of everything would look better than a slow clean one. Sums along a path stay meaningful: every term is time.
//!
//! A cost is kept to three bits after the leading one, which is eight steps per doubling ([`rounded`]), and an
//! established cost moves only when a measurement leaves it by more than an eighth ([`settled`]). Together: once a cost
//! is known, measurements within 5 % of the one that set it never change it, even at the border between two steps.

/// What every link costs besides its delay, in microseconds: a relay must save at least this much to be worth it.
pub const HOP_COST_US: u64 = 250;
/// What noticing and repairing one lost packet costs, in microseconds.
pub const LOSS_COST_US: u64 = 20_000;
/// The most that a link can cost, in microseconds (67 seconds): beyond it all links are equally useless. It keeps sums
/// over any path far from overflow.
pub const LINK_COST_MAX_US: u64 = 1 << 26;

/// The expected time of delivery over a link, in microseconds, exact; at least [`HOP_COST_US`], at most
/// [`LINK_COST_MAX_US`].
///
/// `rtt_us` is the smoothed round trip, `loss_permille` the lost probes in thousandths (1000 and more count as 999).
/// More of either never costs less.
pub fn expected_us(rtt_us: u32, loss_permille: u16) -> u64 {
    let lost = u64::from(loss_permille.min(999));
    let delivered = 1000 - lost;
    let transit = (u64::from(rtt_us) / 2 + HOP_COST_US) * 1_000_000 / (delivered * delivered);
    let recovery = LOSS_COST_US * lost / delivered;
    (transit + recovery).min(LINK_COST_MAX_US)
}

/// Rounds a cost in microseconds to the nearest of eight steps per doubling: at most a sixteenth away, never decreasing
/// when `exact_us` grows.
pub fn rounded(exact_us: u64) -> u64 {
    let dropped_bits = (u64::BITS - exact_us.leading_zeros()).saturating_sub(KEPT_BITS);
    if dropped_bits == 0 {
        return exact_us;
    }
    exact_us.saturating_add(1 << (dropped_bits - 1)) >> dropped_bits << dropped_bits
}

/// The cost of a link after a new measurement, both in microseconds: `established` while `exact_us` is within an eighth
/// of it, the new measurement [`rounded`] otherwise.
pub fn settled(established: u64, exact_us: u64) -> u64 {
    if established.abs_diff(exact_us) <= established / 8 { established } else { rounded(exact_us) }
}

/// The leading one and three bits after it.
const KEPT_BITS: u32 = 4;

const _: () = assert!(LINK_COST_MAX_US.is_power_of_two(), "the highest cost is a step of its own");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_clean_link_costs_half_its_round_trip_and_the_hop() {
        assert_eq!(expected_us(10_000, 0), 5_000 + HOP_COST_US);
        assert_eq!(expected_us(0, 0), HOP_COST_US);
    }

    #[test]
    fn a_fast_lossy_link_costs_more_than_a_slow_clean_one() {
        assert!(expected_us(200, 500) > expected_us(20_000, 0));
        assert!(expected_us(200, 20) < expected_us(20_000, 0), "a little loss is no disaster");
    }

    #[test]
    fn the_worst_link_costs_the_most_there_is() {
        assert_eq!(expected_us(u32::MAX, u16::MAX), LINK_COST_MAX_US);
        assert_eq!(rounded(LINK_COST_MAX_US), LINK_COST_MAX_US);
        assert_eq!(expected_us(1000, 1000), expected_us(1000, 999));
    }

    #[test]
    fn jitter_at_the_border_of_two_steps_does_not_flap() {
        let border = (4096 + 4096 + 512) / 2;
        assert_ne!(rounded(border - 1), rounded(border), "the border lies here");
        let established = rounded(border);
        assert!((border - 40..border + 40).all(|exact| settled(established, exact) == established));
    }

    proptest! {
        #[test]
        fn a_longer_round_trip_never_costs_less(rtt: u32, more: u32, loss in 0u16..1100) {
            let (low, high) = (rtt.min(more), rtt.max(more));
            prop_assert!(expected_us(low, loss) <= expected_us(high, loss));
            prop_assert!(rounded(expected_us(low, loss)) <= rounded(expected_us(high, loss)));
        }

        #[test]
        fn more_loss_never_costs_less(rtt: u32, loss in 0u16..1100, more in 0u16..1100) {
            let (low, high) = (loss.min(more), loss.max(more));
            prop_assert!(expected_us(rtt, low) <= expected_us(rtt, high));
        }

        #[test]
        fn rounding_moves_a_cost_by_a_sixteenth_at_most(exact in 0..=LINK_COST_MAX_US) {
            prop_assert!(rounded(exact).abs_diff(exact) <= exact / 16);
            prop_assert_eq!(rounded(rounded(exact)), rounded(exact));
        }

        #[test]
        fn five_percent_of_jitter_never_moves_a_cost(exact in HOP_COST_US..LINK_COST_MAX_US, percent in 0u64..=5) {
            let established = rounded(exact);
            let jitter = exact * percent / 100;
            prop_assert_eq!(settled(established, exact + jitter), established);
            prop_assert_eq!(settled(established, exact - jitter), established);
        }

        #[test]
        fn a_quarter_more_or_less_always_moves_it(exact in HOP_COST_US..LINK_COST_MAX_US) {
            prop_assert_ne!(settled(rounded(exact), exact + exact / 4), rounded(exact));
            prop_assert_ne!(settled(rounded(exact), exact - exact / 4), rounded(exact));
        }
    }
}
