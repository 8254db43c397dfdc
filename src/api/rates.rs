//! How often each of many callers may ask.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prunella_core::Instant;
use prunella_core::token_bucket::TokenBucket;

/// A rate for each caller. Whoever finds no place among the remembered ones is turned away.
#[derive(Debug)]
pub(in crate::api) struct Rates<K> {
    per_second: u32,
    most: usize,
    rates: Mutex<BTreeMap<K, Rate>>,
}

#[derive(Debug)]
struct Rate {
    bucket: TokenBucket,
    /// When it asked last: after a second of rest it may ask as often as ever, and need not be remembered.
    latest: Instant,
}

impl<K: Ord> Rates<K> {
    /// So many a second, with as much burst, for each of at most `most` callers.
    pub(in crate::api) fn new(per_second: u32, most: usize) -> Self {
        Self { per_second, most, rates: Mutex::default() }
    }

    /// Whether `who` may ask now.
    pub(in crate::api) fn take(&self, who: K, now: Instant) -> bool {
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        if rates.len() >= self.most && !rates.contains_key(&who) {
            rates.retain(|_, rate| now.since(rate.latest) < Duration::from_secs(1));
            if rates.len() >= self.most {
                return false;
            }
        }
        let full = || Rate { bucket: TokenBucket::full(self.per_second, now), latest: now };
        let rate = rates.entry(who).or_insert_with(full);
        rate.latest = now;
        rate.bucket.take(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_rate_and_who_rests_is_forgotten_for_others() {
        let rates = Rates::new(2, 2);
        let at = Instant::from_millis;
        assert!(rates.take("a", at(0)) && rates.take("a", at(0)) && !rates.take("a", at(0)));
        assert!(rates.take("b", at(100)));
        assert!(!rates.take("c", at(200)), "two are remembered");
        assert!(rates.take("b", at(900)));
        assert!(rates.take("c", at(1500)), "a has rested");
    }
}
