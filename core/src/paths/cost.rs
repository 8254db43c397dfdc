//! What a link costs: the expected time, in microseconds, until a small message has crossed it whole, coarse enough not
//! to follow jitter.
//!
//! The message is a flight of `n` = [`FLIGHT_PACKETS`] packets. All are sent at once; those that are lost are sent again,
//! all at once, when their loss is noticed; and so on. With `l` the share of packets lost,
//!
//! ```text
//! cost   = rtt / 2 + HOP_COST_US + rounds(l) * (9/8 rtt + RECOVERY_US)
//! rounds = sum over j = 1, 2, ... ROUNDS_MAX of  1 - (1 - l^j)^n
//! ```
//!
//! where the `j`th term is the probability that a `j`th repetition is needed. 9/8 of the round trip and
//! [`RECOVERY_US`] are what QUIC takes to notice a loss (RFC 9002, sections 6.1.2 and 6.2.1). Everything is time, so sums
//! along a path keep their meaning. A sum is exact for latency; for loss it is a little too low, because a path's round
//! trip is longer than the link's, and what one link spares another may lose.
//!
//! A flight and not a packet, because nobody waits for one packet: on a link that loses 30 %, seven packets of ten
//! arrive at once, but of messages of ten packets not three in a hundred. Such a link costs more than a clean one with
//! five times its round trip, up to round trips of a quarter of a second
//! (`a_third_of_the_packets_lost_is_worse_than_five_times_the_latency`).
//!
//! `l` is what was measured less what means nothing: the measurement weighs the newest probe with a sixteenth, so one
//! lost probe looks like a loss of 62 in a thousand. Up to [`LOSS_NOISE_PERMILLE`] nothing is counted, and from there on
//! in proportion, up to all that is lost.
//!
//! A cost is kept to three bits after the leading one, which is eight steps per doubling ([`rounded`]), and an
//! established cost moves only when a measurement leaves it by more than an eighth ([`settled`]). Together: once a cost
//! is known, measurements within 5 % of the one that set it never change it, even at the border between two steps. And
//! traffic leaves a path that works only for one that costs 30 % less (see [`pathfinder`](crate::pathfinder)).
//!
//! Capacity is no part of it: nodes do not tell each other what their links could carry.

/// What every link costs besides its delay, in microseconds: a relay must save at least this much to be worth it.
pub const HOP_COST_US: u64 = 250;
/// The message whose delivery is expected, in packets: the initial window of QUIC (RFC 9002, section 7.2).
pub const FLIGHT_PACKETS: u32 = 10;
/// What noticing a loss takes besides the round trip, in microseconds: the default `max_ack_delay` of QUIC (RFC 9000,
/// section 18.2), which its probe time-out waits for.
pub const RECOVERY_US: u64 = 25_000;
/// Measured loss that is not counted, in thousandths: as much as one lost probe leaves in the measurement.
pub const LOSS_NOISE_PERMILLE: u16 = 63;
/// Repetitions after which whoever sends has given up.
pub const ROUNDS_MAX: u32 = 64;
/// The most that a link can cost, in microseconds (67 seconds): beyond it all links are equally useless. It keeps sums
/// over any path far from overflow.
pub const LINK_COST_MAX_US: u64 = 1 << 26;

/// The expected time of delivery over a link, in microseconds, exact; at least [`HOP_COST_US`], at most
/// [`LINK_COST_MAX_US`].
///
/// `rtt_us` is the smoothed round trip, `loss_permille` the lost probes in thousandths (1000 and more count as all).
/// More of either never costs less.
pub fn expected_us(rtt_us: u32, loss_permille: u16) -> u64 {
    let rtt = u64::from(rtt_us);
    let again = rtt + rtt / 8 + RECOVERY_US;
    let recovery = u128::from(again) * u128::from(rounds(counted(loss_permille))) / u128::from(ONE);
    let recovery = u64::try_from(recovery).unwrap_or(LINK_COST_MAX_US);
    (rtt / 2 + HOP_COST_US).saturating_add(recovery).min(LINK_COST_MAX_US)
}

/// The share of packets that count as lost, in [`ONE`]ths.
fn counted(loss_permille: u16) -> u64 {
    let beyond = u64::from(loss_permille.clamp(LOSS_NOISE_PERMILLE, 1000) - LOSS_NOISE_PERMILLE);
    beyond * ONE / u64::from(1000 - LOSS_NOISE_PERMILLE)
}

/// How many repetitions a flight is expected to take, in [`ONE`]ths. All products are rounded down, which keeps the
/// result from falling when `lost` grows.
fn rounds(lost: u64) -> u64 {
    let mut all = 0;
    let mut still_lost = lost;
    for _ in 0..ROUNDS_MAX {
        if still_lost == 0 {
            break;
        }
        let arrived = (0..FLIGHT_PACKETS).fold(ONE, |whole, _| whole * (ONE - still_lost) / ONE);
        all += ONE - arrived;
        still_lost = still_lost * lost / ONE;
    }
    all
}

/// One, as a whole number of small parts of which two multiplied are still a number.
const ONE: u64 = 1 << 31;

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

    /// The measured loss after which this share in thousandths is counted, rounded up.
    fn measured(counted_permille: u16) -> u16 {
        let noise = u32::from(LOSS_NOISE_PERMILLE);
        (noise + (u32::from(counted_permille) * (1000 - noise)).div_ceil(1000)) as u16
    }

    #[test]
    fn a_fast_lossy_link_costs_more_than_a_slow_clean_one() {
        assert!(expected_us(200, 500) > expected_us(20_000, 0));
        assert!(expected_us(200, measured(20)) < expected_us(20_000, 0), "a little loss is no disaster");
    }

    #[test]
    fn a_third_of_the_packets_lost_is_worse_than_five_times_the_latency() {
        let worse = |rtt_us: u32| expected_us(rtt_us, 300) > expected_us(5 * rtt_us, 0);
        assert!((0..=250).all(|ms| worse(ms * 1000)));
        let better = |rtt_us: u32| expected_us(rtt_us, 100) < expected_us(5 * rtt_us, 0);
        assert!((10..=500).all(|ms| better(ms * 1000)), "but a tenth is not, where it is long");
    }

    #[test]
    fn repetitions_are_as_many_as_a_flight_takes() {
        let simulated = |lost: f64| {
            let needed = |j: i32| 1.0 - (1.0 - lost.powi(j)).powi(FLIGHT_PACKETS as i32);
            (1..=ROUNDS_MAX as i32).map(needed).sum::<f64>()
        };
        for permille in (0..=1000u16).step_by(7) {
            let share = f64::from(permille) / 1000.0;
            let rounds = rounds(u64::from(permille) * ONE / 1000) as f64 / ONE as f64;
            assert!((rounds - simulated(share)).abs() < 1e-4, "{permille}: {rounds}");
        }
    }

    #[test]
    fn one_lost_probe_among_good_ones_moves_no_cost() {
        // What `peer` measures: the newest probe weighs a sixteenth.
        let mut loss = 1_000_000 / 16;
        while loss > 0 {
            assert_eq!(expected_us(1000, (loss / 1000) as u16), expected_us(1000, 0));
            loss = loss * 15 / 16;
        }
    }

    #[test]
    fn the_worst_link_costs_the_most_there_is() {
        assert_eq!(expected_us(u32::MAX, u16::MAX), LINK_COST_MAX_US);
        assert_eq!(rounded(LINK_COST_MAX_US), LINK_COST_MAX_US);
        assert_eq!(expected_us(1000, 1000), expected_us(1000, u16::MAX));
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
