//! Acknowledgments that are awaited: a session that hears none in time is told of long before it gives packets up as lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prunella_core::PeerId;
use quinn::{Connection, ConnectionStats};
use tokio::time::Instant;

use super::lanes::lane_of;

/// A peer that should have acknowledged what was sent to it on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// The peer.
    pub peer: PeerId,
    /// The lane.
    pub lane: u8,
    /// For how long nothing has been acknowledged on it.
    pub silent: Duration,
}

/// What the living sessions wait for.
#[derive(Debug, Default)]
pub struct Awaited {
    /// By the connection's number within the endpoint.
    sessions: BTreeMap<usize, Wait>,
}

impl Awaited {
    /// Looks at all living sessions, and tells the peers and lanes of those whose acknowledgments are overdue by more than
    /// `margin`.
    pub(super) fn look(&mut self, living: Vec<(PeerId, Connection)>, margin: Duration, now: Instant) -> Vec<Overdue> {
        let mut overdue: BTreeMap<(PeerId, u8), Duration> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for (peer, session) in living {
            let id = session.stable_id();
            seen.insert(id);
            let waited = self.sessions.entry(id).or_default().observe(Counts::of(&session.stats()), margin, now);
            if let Some(waited) = waited {
                let longest = overdue.entry((peer, lane_of(&session))).or_default();
                *longest = waited.max(*longest);
            }
        }
        self.sessions.retain(|id, _| seen.contains(id));
        overdue.into_iter().map(|((peer, lane), silent)| Overdue { peer, lane, silent }).collect()
    }

    /// This process was not run for so long: that time does not count, and what came meanwhile may take as long to be read.
    pub fn excuse(&mut self, late: Duration) {
        for wait in self.sessions.values_mut().filter(|wait| wait.since.is_some()) {
            wait.absent += late;
            wait.absent_longest = wait.absent_longest.max(late);
        }
    }
}

/// What a session has sent and heard so far.
#[derive(Clone, Copy, Debug)]
struct Counts {
    /// Frames sent that make the peer acknowledge (RFC 9000, section 13.2.1).
    eliciting: u64,
    /// Acknowledgments heard.
    acknowledgments: u64,
    rtt: Duration,
}

impl Counts {
    fn of(stats: &ConnectionStats) -> Self {
        let sent = &stats.frame_tx;
        let eliciting = sent.stream + sent.datagram + sent.ping + sent.crypto;
        Self { eliciting, acknowledgments: stats.frame_rx.acks, rtt: stats.path.rtt }
    }
}

/// What one session waits for.
#[derive(Clone, Copy, Debug, Default)]
struct Wait {
    /// What was sent when the latest acknowledgment was heard: that may be among what it acknowledges.
    settled: u64,
    acknowledgments: u64,
    /// Since when something sent later is not acknowledged.
    since: Option<Instant>,
    /// For how long this process was not run since: in all, and at most at once.
    absent: Duration,
    absent_longest: Duration,
}

impl Wait {
    /// Takes new counts, and tells for how long an acknowledgment has been awaited that is overdue by more than `margin`.
    fn observe(&mut self, counts: Counts, margin: Duration, now: Instant) -> Option<Duration> {
        if counts.acknowledgments != self.acknowledgments {
            let Counts { eliciting, acknowledgments, .. } = counts;
            *self = Self { settled: eliciting, acknowledgments, ..Self::default() };
            return None;
        }
        if counts.eliciting <= self.settled {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let waited = now.saturating_duration_since(since);
        let unacknowledged = counts.eliciting - self.settled;
        let held_back = if unacknowledged < NEVER_HELD_BACK { MAX_ACK_DELAY } else { Duration::ZERO };
        // Only the longest absence is waited for again: on a busy host there is one all the time, and what is excused for
        // each of them would never be overdue.
        let patience = 2 * counts.rtt + held_back + margin + self.absent_longest;
        (waited.saturating_sub(self.absent) >= patience).then_some(waited)
    }
}

/// How long a peer may hold an acknowledgment back (RFC 9000, section 18.2): the default, which our sessions use.
const MAX_ACK_DELAY: Duration = Duration::from_millis(25);
/// So many frames are in more than one packet, and every second packet is acknowledged at once (RFC 9000, section 13.2.2).
const NEVER_HELD_BACK: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: Duration = Duration::from_millis(15);

    fn counts(eliciting: u64, acknowledgments: u64) -> Counts {
        Counts { eliciting, acknowledgments, rtt: Duration::from_millis(5) }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_acknowledged_in_time_is_overdue() {
        let (mut wait, start) = (Wait::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(wait.observe(counts(1, 0), MARGIN, at(0)), None);
        assert_eq!(wait.observe(counts(5, 0), MARGIN, at(49)), None);
        assert_eq!(
            wait.observe(counts(5, 0), MARGIN, at(50)),
            Some(Duration::from_millis(50)),
            "two round trips, the delay, the margin"
        );
        assert_eq!(wait.observe(counts(5, 1), MARGIN, at(60)), None, "it came");
        assert_eq!(wait.observe(counts(5, 1), MARGIN, at(1000)), None, "nothing was sent since");
        assert_eq!(wait.observe(counts(6, 1), MARGIN, at(1010)), None);
        assert_eq!(wait.observe(counts(6, 1), MARGIN, at(1070)), Some(Duration::from_millis(60)));
    }

    #[tokio::test(start_paused = true)]
    async fn acknowledgments_of_much_are_never_held_back() {
        let (mut wait, start) = (Wait::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(wait.observe(counts(8, 0), MARGIN, at(0)), None);
        assert_eq!(wait.observe(counts(100, 0), MARGIN, at(24)), None);
        assert_eq!(wait.observe(counts(100, 0), MARGIN, at(25)), Some(Duration::from_millis(25)), "no delay");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_a_process_was_not_run_does_not_count() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut awaited = Awaited::default();
        let observe =
            |awaited: &mut Awaited, ms| awaited.sessions.entry(1).or_default().observe(counts(3, 0), MARGIN, at(ms));
        assert_eq!(observe(&mut awaited, 0), None);
        awaited.excuse(Duration::from_millis(30));
        assert_eq!(observe(&mut awaited, 109), None, "twice the time");
        assert_eq!(observe(&mut awaited, 110), Some(Duration::from_millis(110)));
        awaited.excuse(Duration::from_millis(10));
        assert_eq!(observe(&mut awaited, 119), None, "what came during the longer absence is read by then");
        assert_eq!(observe(&mut awaited, 120), Some(Duration::from_millis(120)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_process_that_is_always_late_finds_it_later_and_not_never() {
        let (mut awaited, start) = (Awaited::default(), Instant::now());
        let mut looks = (0..1000).map(|look| look * 30).filter(|ms| {
            awaited.excuse(Duration::from_millis(20));
            let wait = awaited.sessions.entry(1).or_default();
            wait.observe(counts(3, 0), MARGIN, start + Duration::from_millis(*ms)).is_some()
        });
        assert_eq!(looks.next(), Some(210), "a third of the time counts: 50 ms, and 20 ms more");
    }
}
