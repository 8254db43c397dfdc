//! What a node told last and before that: rates follow from the two, and whoever reads knows how old it is.

use std::time::Duration;

/// One part of what is known of the node.
#[derive(Clone, Debug)]
pub(super) struct Known<T> {
    last: Option<Told<T>>,
    before: Option<Told<T>>,
    trouble: Option<String>,
}

#[derive(Clone, Debug)]
struct Told<T> {
    what: T,
    at: Duration,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self { last: None, before: None, trouble: None }
    }
}

impl<T> Known<T> {
    /// Takes an answer, or why there is none: then what was told last stays, and is old.
    pub(super) fn hear(&mut self, answer: Result<T, String>, at: Duration) {
        match answer {
            Ok(what) => {
                self.before = self.last.replace(Told { what, at });
                self.trouble = None;
            }
            Err(trouble) => self.trouble = Some(trouble),
        }
    }

    /// What was told last.
    pub(super) fn last(&self) -> Option<&T> {
        self.last.as_ref().map(|told| &told.what)
    }

    /// Why the last question was not answered.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// How old it is, if the last question was not answered.
    pub(super) fn stale(&self, now: Duration) -> Option<Duration> {
        self.trouble.as_ref()?;
        Some(now.saturating_sub(self.last.as_ref()?.at))
    }

    /// By how much a count grew in a second. `None` before there are two answers, and when the count began anew.
    pub(super) fn rate(&self, count: impl Fn(&T) -> Option<u64>) -> Option<f64> {
        let (last, before) = (self.last.as_ref()?, self.before.as_ref()?);
        let grown = count(&last.what)?.checked_sub(count(&before.what)?)?;
        let passed = last.at.checked_sub(before.at).filter(|passed| !passed.is_zero())?;
        Some(grown as f64 / passed.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_rate_needs_two_answers_and_a_count_that_went_on() {
        let mut known = Known::default();
        let rate = |known: &Known<u64>| known.rate(|count| Some(*count));
        known.hear(Ok(100), s(1));
        assert_eq!(rate(&known), None);
        known.hear(Ok(300), s(3));
        assert_eq!(rate(&known), Some(100.0));
        known.hear(Ok(5), s(4));
        assert_eq!(rate(&known), None, "the node was restarted");
        known.hear(Ok(6), s(4));
        assert_eq!(rate(&known), None, "no time has passed");
    }

    #[test]
    fn without_an_answer_the_last_one_stays_and_is_old() {
        let mut known = Known::default();
        known.hear(Err("nobody is there".to_owned()), s(1));
        assert_eq!((known.last(), known.stale(s(2)), known.trouble()), (None, None, Some("nobody is there")));
        known.hear(Ok(7), s(2));
        assert_eq!((known.last(), known.stale(s(9)), known.trouble()), (Some(&7), None, None));
        known.hear(Err("gone".to_owned()), s(5));
        assert_eq!((known.last(), known.stale(s(9))), (Some(&7), Some(s(7))));
    }
}
