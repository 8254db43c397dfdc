//! The measure of an interruption: the longest time without a successful answer.

use std::time::Duration;

use tokio::time::Instant;

/// The longest time between two neighboring events of: the window's `start`, each arrival within it, its `end`.
///
/// Arrivals must be in order. An empty window has a gap of its whole length: silence is an interruption.
pub(super) fn longest_gap(arrivals: impl IntoIterator<Item = Instant>, start: Instant, end: Instant) -> Duration {
    let inside = arrivals.into_iter().filter(|at| (start..=end).contains(at));
    let (mut longest, mut last) = (Duration::ZERO, start);
    for at in inside.chain([end]) {
        longest = longest.max(at.saturating_duration_since(last));
        last = at;
    }
    longest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gap(arrivals: &[u64], start: u64, end: u64) -> u128 {
        let zero = Instant::now();
        let at = |ms: u64| zero + Duration::from_millis(ms);
        longest_gap(arrivals.iter().map(|&ms| at(ms)), at(start), at(end)).as_millis()
    }

    #[test]
    fn the_longest_silence_between_answers_counts() {
        assert_eq!(gap(&[10, 15, 20, 320, 325], 8, 330), 300);
    }

    #[test]
    fn silence_at_the_edges_of_the_window_counts() {
        assert_eq!(gap(&[100, 105], 0, 110), 100);
        assert_eq!(gap(&[5, 10], 0, 200), 190);
        assert_eq!(gap(&[], 0, 50), 50);
    }

    #[test]
    fn answers_outside_the_window_do_not_count() {
        assert_eq!(gap(&[1, 50, 130, 900], 40, 140), 80);
    }
}
