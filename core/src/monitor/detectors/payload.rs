//! Probes pass, payload does not: the gray relay.
//!
//! Probes prove that a path carries probes. What the session's own acknowledgments say is another matter, and the
//! difference between the two views is what betrays a gray failure (Huang et al., HotOS 2017: "differential
//! observability"; Panorama, OSDI 2018, asks those who use a component in the same way).

use std::time::Duration;

use crate::Instant;
use crate::incident::Evidence;
use crate::monitor::ring::Ring;

use super::{Doubt, Edge, Hold};

/// What was sent to one destination, and what came of it.
#[derive(Clone, Debug)]
pub struct PayloadGap {
    /// Cumulative: sent, lost, acknowledgments heard.
    window: Ring<(Instant, [u64; 3])>,
    /// When the last acknowledgment came, and how many packets had been sent by then.
    answered: (Instant, u64),
    hold: Hold,
}

impl PayloadGap {
    /// Nothing observed yet.
    pub fn new() -> Self {
        Self { window: Ring::new(WINDOW), answered: (Instant::BOOT, 0), hold: Hold::new(2, 2) }
    }

    /// Begins anew: the path is another, or the session.
    pub fn restart(&mut self) {
        self.window.clear();
    }

    /// So many packets were sent in all, so many of them are known to be lost, and so many acknowledgments came. Numbers
    /// smaller than the last ones are those of another session.
    pub fn observe(&mut self, sent: u64, lost: u64, acknowledged: u64, doubt: &Doubt, now: Instant) -> Option<Edge> {
        let counts = [sent, lost, acknowledged];
        let is_other = |(_, last): &(Instant, [u64; 3])| last.iter().zip(counts).any(|(last, now)| *last > now);
        // Acknowledgments that wait to be read are not missing.
        if self.window.newest().is_some_and(is_other) || !doubt.is_trusted(now) {
            self.window.clear();
        }
        if self.window.newest().is_none_or(|(_, last)| last[2] < acknowledged) {
            self.answered = (now, sent);
        }
        self.window.push((now, counts));
        let (answered_at, sent_by_then) = self.answered;
        let (unanswered, silent_for) = (sent - sent_by_then, now.since(answered_at));
        let (began, first) = *self.window.oldest()?;
        let [sent, lost, acknowledged] = std::array::from_fn(|i| counts[i] - first[i]);
        let within = now.since(began);
        // The window alone would not do: patience may be longer.
        let silent = unanswered >= SENT_MIN && silent_for >= SILENT_AFTER * doubt.stretch();
        let lossy = sent >= LOSSY_SENT_MIN && lost * LOSSY_PART >= sent;
        let answered = acknowledged > 0 && !lossy && !silent;
        if !(silent || lossy || answered) {
            return None;
        }
        match self.hold.observe(!answered)? {
            true => {
                let (sent, lost, within) =
                    if silent { (unanswered, unanswered, silent_for) } else { (sent, lost, within) };
                Some(Edge::Wrong(Evidence::Unacknowledged { sent, lost, within }))
            }
            false => Some(Edge::Well),
        }
    }
}

impl Default for PayloadGap {
    fn default() -> Self {
        Self::new()
    }
}

/// Samples in the window.
const WINDOW: usize = 20;
/// Packets that must have gone without an answer: a sender that hears nothing soon sends little.
const SENT_MIN: u64 = 4;
/// How long none may be answered: several probe time-outs of a session.
const SILENT_AFTER: Duration = Duration::from_millis(1500);
/// Packets of which the lost part means something.
const LOSSY_SENT_MIN: u64 = 100;
/// One in so many is more than congestion control brings about.
const LOSSY_PART: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(tick: u64) -> Instant {
        Instant::from_millis(tick * 100)
    }

    #[test]
    fn what_is_never_acknowledged_is_found() {
        let (mut gap, doubt) = (PayloadGap::new(), Doubt::default());
        assert!((0..50).all(|i| gap.observe(i * 10, 0, i * 5, &doubt, at(i)).is_none()));
        let found = (50..100).find_map(|i| Some((i, gap.observe(500 + i / 4, 0, 245, &doubt, at(i))?)));
        let Some((tick, Edge::Wrong(Evidence::Unacknowledged { .. }))) = found else { panic!("{found:?}") };
        assert!(tick <= 50 + 25, "{tick}");
        let well = (100..110).find(|i| gap.observe(600 + i, 0, 245 + i, &doubt, at(*i)) == Some(Edge::Well));
        assert!(well.is_some());
    }

    #[test]
    fn who_sends_nothing_misses_nothing() {
        let (mut gap, doubt) = (PayloadGap::new(), Doubt::default());
        assert!((0..1000).all(|i| gap.observe(3, 0, 2, &doubt, at(i)).is_none()));
    }

    #[test]
    fn the_loss_that_congestion_brings_about_is_borne() {
        let (mut gap, doubt) = (PayloadGap::new(), Doubt::default());
        assert!((0..1000).all(|i| gap.observe(i * 100, i * 10, i * 50, &doubt, at(i)).is_none()), "a tenth is lost");
        assert!((1000..1030).any(|i| gap.observe(i * 100, 10_000 + (i - 1000) * 60, i * 50, &doubt, at(i)).is_some()));
    }

    #[test]
    fn another_session_begins_anew() {
        let (mut gap, doubt) = (PayloadGap::new(), Doubt::default());
        (0..10).for_each(|i| drop(gap.observe(100 + i, 0, 100, &doubt, at(i))));
        assert!((10..20).all(|i| gap.observe(i, 0, i, &doubt, at(i)).is_none()));
    }

    #[test]
    fn who_is_patient_finds_it_later_and_not_never() {
        let (mut gap, mut doubt) = (PayloadGap::new(), Doubt::default());
        let found = (0..100).find(|i| {
            doubt.woke(Duration::from_millis(120), at(*i));
            gap.observe(i * 10, 0, 0, &doubt, at(*i)).is_some()
        });
        assert_eq!(found, Some(31), "twice the patience of others");
    }

    #[test]
    fn a_starved_process_misses_no_acknowledgment() {
        let (mut gap, mut doubt) = (PayloadGap::new(), Doubt::default());
        for i in 0..100 {
            doubt.woke(Duration::from_millis(250), at(i));
            assert_eq!(gap.observe(i * 10, 0, 0, &doubt, at(i)), None);
        }
    }
}
