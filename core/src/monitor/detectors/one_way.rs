//! A link that carries in one direction only: the neighbor is heard, and does not answer.
//!
//! Each end asks by itself. The end whose probes are lost on the way out hears the other's probes and frames, and no
//! return: it knows that it is its own direction that is broken. The other end hears nothing and knows less, which is
//! why one of the two says more than "down".

use std::time::Duration;

use super::{Doubt, Edge, Timeout};
use crate::Instant;
use crate::incident::Evidence;

/// Both directions of one link.
#[derive(Clone, Debug)]
pub struct OneWay {
    /// Since when no probe returned; `None` while they do.
    unanswered: Option<(Timeout, Instant)>,
    /// Frames heard in all: at the last look, and when probes ceased to return.
    heard: u64,
    heard_before: u64,
    raised: bool,
}

impl OneWay {
    /// Nothing observed yet.
    pub const fn new() -> Self {
        Self { unanswered: None, heard: 0, heard_before: 0, raised: false }
    }

    /// Whether probes return, as the peer role sees it.
    pub fn answered(&mut self, answered: bool, now: Instant) -> Option<Edge> {
        if answered {
            self.unanswered = None;
            return std::mem::take(&mut self.raised).then_some(Edge::Well);
        }
        if self.unanswered.is_none() {
            self.unanswered = Some((Timeout::new(ONE_WAY_AFTER, now), now));
            self.heard_before = self.heard;
        }
        None
    }

    /// So many frames came over the link in all.
    pub fn heard(&mut self, frames: u64, doubt: &Doubt, now: Instant) -> Option<Edge> {
        if frames < self.heard {
            // Another connection counts anew.
            self.heard_before = 0;
        }
        self.heard = frames;
        let (timeout, since) = self.unanswered.as_mut()?;
        timeout.overdue(doubt, now)?;
        let heard = frames.saturating_sub(self.heard_before);
        if heard < HEARD_MIN || self.raised {
            return None;
        }
        self.raised = true;
        Some(Edge::Wrong(Evidence::OneWay { heard, unanswered: now.since(*since) }))
    }
}

impl Default for OneWay {
    fn default() -> Self {
        Self::new()
    }
}

/// How long no probe may return while frames come.
const ONE_WAY_AFTER: Duration = Duration::from_secs(1);
/// Frames that must have come in that time: stragglers prove nothing.
const HEARD_MIN: u64 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tick: u64) -> Instant {
        Instant::from_millis(tick * 100)
    }

    #[test]
    fn a_neighbor_that_is_heard_and_does_not_answer_does_not_hear() {
        let (mut one_way, doubt) = (OneWay::new(), Doubt::default());
        one_way.heard(500, &doubt, at(0));
        one_way.answered(false, at(0));
        let found = (1..30).find(|i| one_way.heard(500 + i, &doubt, at(*i)).is_some());
        assert_eq!(found, Some(10));
        assert_eq!(one_way.answered(true, at(40)), Some(Edge::Well));
    }

    #[test]
    fn silence_in_both_directions_is_not_one_way() {
        let (mut one_way, doubt) = (OneWay::new(), Doubt::default());
        one_way.heard(500, &doubt, at(0));
        one_way.answered(false, at(0));
        assert!((1..100).all(|i| one_way.heard(502, &doubt, at(i)).is_none()));
    }

    #[test]
    fn frames_while_probes_return_say_nothing() {
        let (mut one_way, doubt) = (OneWay::new(), Doubt::default());
        assert!((0..100).all(|i| one_way.answered(true, at(i)).or(one_way.heard(i * 9, &doubt, at(i))).is_none()));
    }
}
