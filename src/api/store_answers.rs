//! What the node answers about its store. No actor is asked, and no disk: it is answered while both are stuck.

use std::sync::atomic::Ordering;
use std::time::Duration;

use prunella_core::Instant;
use prunella_storage::Tree;

use super::answers::Answers;
use super::vocabulary::{StoreInfo, TreeInfo};
use crate::actors::tally::Spread;

impl Answers {
    pub(super) fn store(&self) -> StoreInfo {
        let shell = self.shell();
        let (tallies, now) = (&shell.tallies, shell.clock.now());
        let ago = |at: Instant| now.since(at).as_millis() as u64;
        let (told, spread) = (tallies.store_health.read(), tallies.store_writes.spread());
        let weighed = tallies.trees();
        let writing = shell.directory.register.named("knowledge").and_then(|stats| stats.insight.handling.at());
        let writing_ms = writing.map(|(_, since)| ago(Instant::BOOT + since));
        let state = match writing_ms {
            _ if told.fails() => "failing",
            Some(ms) if ms > SLOW_MS => "slow",
            _ => "well",
        };
        let sizes = weighed.map(|(_, sizes)| sizes).unwrap_or_default();
        let tree = |(tree, size): (Tree, Option<(u64, u64)>)| TreeInfo {
            tree: tree.name().to_owned(),
            entries: size.map(|(entries, _)| entries),
            bytes: size.map(|(_, bytes)| bytes),
        };
        StoreInfo {
            state: state.to_owned(),
            directory: shell.config.store.directory.display().to_string(),
            disk_bytes: tallies.sizes()[0],
            trees: Tree::ALL.into_iter().zip(sizes).map(tree).collect(),
            weighed_ms: weighed.map(|(at, _)| ago(at)),
            waiting: shell.directory.backlog.len(),
            writing_ms,
            writes: spread.count(),
            failures: tallies.store_failures.load(Ordering::Relaxed),
            wrote_ms: told.wrote.map(ago),
            took_us: micros(told.took),
            took_p50_us: at_most_us(&spread, 500),
            took_p99_us: at_most_us(&spread, 990),
            longest_us: micros(told.longest),
            failed_ms: told.failed.as_ref().map(|(at, _)| ago(*at)),
            failure: told.failed.map(|(_, reason)| reason),
        }
    }
}

/// How long so many of a thousand took at most, to a factor of two.
fn at_most_us(spread: &Spread, permille: u64) -> Option<f64> {
    let wanted = (spread.count() * permille).div_ceil(1000).max(1);
    let exponent = (0..spread.counts.len()).find(|exponent| spread.at_most(*exponent) >= wanted)?;
    Some((1u64 << exponent) as f64 / 1000.0)
}

fn micros(duration: Duration) -> u64 {
    duration.as_micros() as u64
}

/// A write that has been under way for longer is slow, in milliseconds.
const SLOW_MS: u64 = 1000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::tally::Durations;

    #[test]
    fn most_writes_took_as_long_as_the_slowest_of_them_at_most() {
        let durations = Durations::default();
        assert_eq!(at_most_us(&durations.spread(), 500), None);
        (0..98).for_each(|_| durations.note(Duration::from_micros(1)));
        (0..2).for_each(|_| durations.note(Duration::from_millis(3)));
        let spread = durations.spread();
        assert_eq!(at_most_us(&spread, 500), Some(1.024));
        assert_eq!(at_most_us(&spread, 990), Some(4194.304));
    }
}
