//! How far this node trusts its own senses.
//!
//! After Lifeguard's local health multiplier (Dadgar et al., DSN-W 2018, section IV-A): a score from 0 to 8 that stretches
//! the time before this node accuses. Lifeguard counts failed probes and missing negative acknowledgments; here are
//! three signs that are at hand without further messages: own wakes that come late, own accusations that are refuted,
//! and most of the own links falling silent at once, for which this node itself is the likelier cause.

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits::NEIGHBORS_MAX;
use crate::{Instant, PeerId};

/// The score of this node's own health: 0 is perfect, [`SCORE_MAX`] is worst.
#[derive(Clone, Debug, Default)]
pub struct Health {
    score: u8,
    /// When the score last changed: a good round is counted from here.
    since: Instant,
    /// The links that fell silent lately, and when; one that did so again counts once.
    falls: VecDeque<(Instant, PeerId)>,
}

impl Health {
    /// In perfect health.
    pub fn new(now: Instant) -> Self {
        Self { score: 0, since: now, falls: VecDeque::new() }
    }

    /// This node woke at `now` for what was due at `due`; tell it before anything else of that wake. A point for every
    /// [`LATE_STEP`] of delay; one less for every [`ROUND`] without trouble.
    pub fn woke(&mut self, due: Instant, now: Instant) {
        let points = now.since(due).as_nanos() / LATE_STEP.as_nanos();
        if points > 0 {
            self.worsen(u8::try_from(points).unwrap_or(SCORE_MAX), now);
        } else if self.score > 0 && now.since(self.since) >= ROUND {
            self.score -= 1;
            self.since = now;
        }
    }

    /// Somebody whom this node accuses has shown that it was wrong.
    pub fn refuted(&mut self, now: Instant) {
        self.worsen(1, now);
    }

    /// The one to `peer` of this node's `links` links fell silent. When more than half of them, and at least two, did so
    /// within [`AT_ONCE`], it is rather this node that is cut off.
    pub fn fell_silent(&mut self, peer: PeerId, links: usize, now: Instant) {
        self.falls.retain(|(at, other)| now.since(*at) < AT_ONCE && *other != peer);
        self.falls.push_back((now, peer));
        if self.falls.len() >= 2 && self.falls.len() * 2 > links {
            self.falls.clear();
            self.worsen(CUT_OFF, now);
        } else if self.falls.len() > NEIGHBORS_MAX {
            self.falls.pop_front();
        }
    }

    /// The score, 0 to [`SCORE_MAX`].
    pub const fn score(&self) -> u8 {
        self.score
    }

    /// By how much to stretch the time before accusing: one more than the score.
    pub const fn multiplier(&self) -> u32 {
        self.score as u32 + 1
    }

    /// Whether this node may accuse anybody.
    pub const fn may_accuse(&self) -> bool {
        self.score < SILENT_FROM
    }

    /// When the next good round is over; `None` in perfect health.
    pub fn deadline(&self) -> Option<Instant> {
        (self.score > 0).then(|| self.since + ROUND)
    }

    fn worsen(&mut self, points: u8, now: Instant) {
        self.score = self.score.saturating_add(points).min(SCORE_MAX);
        self.since = now;
    }
}

/// The worst score (Lifeguard's figure).
pub const SCORE_MAX: u8 = 8;
/// From this score on this node accuses nobody: it takes a delay of two seconds, or several signs together.
pub const SILENT_FROM: u8 = 4;
/// A delay that costs one point: much more than scheduling on a busy host costs, much less than time-outs.
pub const LATE_STEP: Duration = Duration::from_millis(500);
/// How long all must be well for one point less.
pub const ROUND: Duration = Duration::from_secs(1);
/// Links that fall silent within this time fall silent at once.
pub const AT_ONCE: Duration = Duration::from_secs(2);
/// Points for being cut off, probably. Fewer than [`SILENT_FROM`]: neighbors may really have crashed together.
const CUT_OFF: u8 = 3;

const _: () = assert!(CUT_OFF < SILENT_FROM && SILENT_FROM < SCORE_MAX, "one sign alone delays, several silence");

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn peer(number: u8) -> PeerId {
        PeerId::from_public_key([number; 32])
    }

    #[test]
    fn a_late_wake_costs_a_point_for_every_half_second() {
        let mut health = Health::new(at(0));
        health.woke(at(1000), at(1499));
        assert_eq!((health.score(), health.multiplier()), (0, 1));
        health.woke(at(1000), at(2600));
        assert_eq!((health.score(), health.may_accuse()), (3, true));
        health.woke(at(3000), at(3500));
        assert_eq!((health.score(), health.may_accuse()), (4, false));
        health.woke(at(4000), at(60_000));
        assert_eq!((health.score(), health.multiplier()), (SCORE_MAX, 9));
    }

    #[test]
    fn health_returns_by_one_point_a_good_round() {
        let mut health = Health::new(at(0));
        health.refuted(at(0));
        health.refuted(at(0));
        health.woke(at(999), at(999));
        assert_eq!((health.score(), health.deadline()), (2, Some(at(1000))));
        health.woke(at(1000), at(1000));
        assert_eq!(health.score(), 1);
        health.woke(at(1500), at(1500));
        assert_eq!(health.score(), 1);
        health.woke(at(2000), at(2000));
        assert_eq!((health.score(), health.deadline()), (0, None));
    }

    #[test]
    fn most_links_falling_silent_at_once_speaks_against_this_node() {
        let mut health = Health::new(at(0));
        (0..4).for_each(|i| health.fell_silent(peer(i), 8, at(u64::from(i) * 100)));
        assert_eq!(health.score(), 0, "half is not more than half");
        health.fell_silent(peer(4), 8, at(500));
        assert_eq!(health.score(), 3);
    }

    #[test]
    fn links_falling_silent_one_after_the_other_do_not() {
        let mut health = Health::new(at(0));
        (0..8).for_each(|i| health.fell_silent(peer(i), 8, at(u64::from(i) * 2000)));
        assert_eq!(health.score(), 0);
    }

    #[test]
    fn the_only_link_may_fall_silent() {
        let mut health = Health::new(at(0));
        health.fell_silent(peer(0), 1, at(0));
        assert_eq!(health.score(), 0);
    }

    #[test]
    fn one_link_that_falls_silent_again_and_again_is_one_link() {
        let mut health = Health::new(at(0));
        (0..10).for_each(|i| health.fell_silent(peer(0), 3, at(i * 300)));
        assert_eq!(health.score(), 0, "its neighbor flaps, and this node is well");
        health.fell_silent(peer(1), 3, at(2800));
        assert!(health.score() > 0, "two of three");
    }
}
