//! Breaches ahead: a ramp that will reach its limit.
//!
//! The forecast is a line through the last points (Theil-Sen, see [`Trend`]), believed only if they rise almost without
//! exception. It foresees what builds up: a queue that fills, a radio link that fades, a relay that heats. **It cannot
//! foresee a cut**: nothing in the past of a cable tells when it will be cut, and whoever promises that is guessing.

use std::time::Duration;

use super::{Edge, Hold, Trend};
use crate::Instant;
use crate::incident::Evidence;

/// The way of one value towards its limit.
#[derive(Clone, Debug)]
pub struct Forecast {
    limit: Duration,
    trend: Trend,
    hold: Hold,
}

impl Forecast {
    /// Nothing observed yet; `limit` is what must not be passed.
    pub fn new(limit: Duration) -> Self {
        Self { limit, trend: Trend::new(POINTS), hold: Hold::new(2, 3) }
    }

    /// The value is this now.
    pub fn observe(&mut self, value: Duration, now: Instant) -> Option<Edge> {
        self.trend.observe(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX), now);
        let reached_in = self.reached_in();
        let ahead = reached_in.is_some_and(|wait| wait <= HORIZON);
        match self.hold.observe(ahead)? {
            true => {
                let reached_in = reached_in.unwrap_or_default();
                Some(Edge::Wrong(Evidence::Ramp { now: value, limit: self.limit, reached_in }))
            }
            false => Some(Edge::Well),
        }
    }

    /// When the limit is reached at this rate; `None` without a trend towards it, zero if it is behind.
    pub fn reached_in(&self) -> Option<Duration> {
        let (first, last, _) = self.trend.span()?;
        let limit = u64::try_from(self.limit.as_nanos()).unwrap_or(u64::MAX);
        if last >= limit {
            return Some(Duration::ZERO);
        }
        let risen = last.saturating_sub(first) >= limit / RISEN_PART;
        let rises = self.trend.len() >= POINTS_MIN && risen && self.trend.tau_permille() >= TAU_PERMILLE;
        let slope = u64::try_from(self.trend.slope_milli()?).ok().filter(|slope| rises && *slope > 0)?;
        let nanos = u128::from(limit - last) * 1_000_000_000_000 / u128::from(slope);
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }
}

/// Points that the line is laid through, and how many are needed.
const POINTS: usize = 8;
const POINTS_MIN: usize = 6;
/// How monotonic a ramp must be.
const TAU_PERMILLE: i64 = 800;
/// How far ahead breaches count.
const HORIZON: Duration = Duration::from_secs(10);
/// The ramp must have covered this part of the limit: a rise from little to less than little is none.
const RISEN_PART: u64 = 8;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: u64) -> Instant {
        Instant::from_millis(second * 1000)
    }

    #[test]
    fn a_ramp_is_foreseen_before_it_arrives() {
        let mut forecast = Forecast::new(Duration::from_millis(200));
        let told = (0..40).find_map(|second| {
            let value = Duration::from_millis(20 + 5 * second);
            forecast.observe(value, at(second)).map(|edge| (second, edge))
        });
        let Some((second, Edge::Wrong(Evidence::Ramp { reached_in, .. }))) = told else { panic!("{told:?}") };
        let breach = 36;
        assert!((20..34).contains(&second), "{second}");
        assert!(reached_in.as_secs().abs_diff(breach - second) <= 1, "{reached_in:?} from {second}");
    }

    #[test]
    fn a_cut_is_not_foreseen() {
        let mut forecast = Forecast::new(Duration::from_millis(200));
        assert!((0..100).all(|second| forecast.observe(Duration::from_millis(20), at(second)).is_none()));
    }

    proptest! {
        #[test]
        fn noise_on_a_plateau_is_no_ramp(noise in proptest::collection::vec(0u64..20_000, 0..100)) {
            let mut forecast = Forecast::new(Duration::from_millis(200));
            for (second, us) in noise.iter().enumerate() {
                let edge = forecast.observe(Duration::from_micros(50_000 + us), at(second as u64));
                prop_assert_eq!(edge, None);
            }
        }
    }
}
