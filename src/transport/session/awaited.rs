//! Acknowledgments that are awaited: a session that hears none in time is told of long before it gives packets up as lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use prunella_core::PeerId;
use quinn::{Connection, ConnectionStats};
use tokio::time::Instant;

use super::lanes::lane_of;
use super::reroute::Acknowledged;

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
            let waited = self.sessions.entry(id).or_default().observe(Counts::of(&session), margin, now);
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
    acknowledged: Acknowledged,
    rtt: Duration,
}

impl Counts {
    fn of(session: &Connection) -> Self {
        let ConnectionStats { frame_tx: sent, path, .. } = session.stats();
        let eliciting = sent.stream + sent.datagram + sent.ping + sent.crypto;
        Self { eliciting, acknowledged: Acknowledged::of(session), rtt: path.rtt }
    }
}

/// What one session waits for.
///
/// Only what acknowledges something new counts as heard: a peer that hears nothing any more sends again what it has lost
/// itself, with the acknowledgments that it has sent before. And what was sent after the latest packet that was acknowledged
/// is waited for still: its sender may be held back by its window, and have nothing else that could be waited for.
#[derive(Clone, Debug, Default)]
struct Wait {
    /// Frames that were sent and may not be acknowledged, the oldest first.
    sent: VecDeque<Burst>,
    /// Frames sent by the latest look, and when that was.
    eliciting: u64,
    looked: Option<Instant>,
    /// Packets acknowledged by the latest look.
    packets: u64,
    /// Since when nothing was heard, though something is waited for.
    since: Option<Instant>,
    /// For how long this process was not run since: in all, and at most at once.
    absent: Duration,
    absent_longest: Duration,
}

/// What was sent between two looks.
#[derive(Clone, Copy, Debug)]
struct Burst {
    /// When the first look was; `None`: nobody had looked yet.
    after: Option<Instant>,
    frames: u64,
}

impl Wait {
    /// Takes new counts, and tells for how long an acknowledgment has been awaited that is overdue by more than `margin`.
    fn observe(&mut self, counts: Counts, margin: Duration, now: Instant) -> Option<Duration> {
        self.note_sent(counts.eliciting, now);
        if counts.acknowledged.packets != self.packets {
            self.packets = counts.acknowledged.packets;
            (self.since, self.absent, self.absent_longest) = (None, Duration::ZERO, Duration::ZERO);
            // What was sent between the same two looks as the latest that is acknowledged may be acknowledged as well.
            let latest = counts.acknowledged.sent.map(Instant::from_std);
            while self.sent.front().is_some_and(|burst| burst.after <= latest) {
                self.sent.pop_front();
            }
            return None;
        }
        if self.sent.is_empty() {
            return None;
        }
        let since = *self.since.get_or_insert(now);
        let waited = now.saturating_duration_since(since);
        let unacknowledged: u64 = self.sent.iter().map(|burst| burst.frames).sum();
        let held_back = if unacknowledged < NEVER_HELD_BACK { MAX_ACK_DELAY } else { Duration::ZERO };
        // Only the longest absence is waited for again: on a busy host there is one all the time, and what is excused for
        // each of them would never be overdue.
        let patience = 2 * counts.rtt + held_back + margin + self.absent_longest;
        (waited.saturating_sub(self.absent) >= patience).then_some(waited)
    }

    fn note_sent(&mut self, eliciting: u64, now: Instant) {
        let frames = eliciting.saturating_sub(self.eliciting);
        let after = self.looked.replace(now);
        self.eliciting = eliciting;
        if frames == 0 {
            return;
        }
        let is_full = self.sent.len() >= BURSTS_MAX;
        match self.sent.back_mut().filter(|_| is_full) {
            Some(last) => last.frames += frames,
            None => self.sent.push_back(Burst { after, frames }),
        }
    }
}

/// Most bursts that are told apart. More are waited for as one, which is acknowledged with its first packet.
const BURSTS_MAX: usize = 64;
/// How long a peer may hold an acknowledgment back (RFC 9000, section 18.2): the default, which our sessions use.
const MAX_ACK_DELAY: Duration = Duration::from_millis(25);
/// So many frames are in more than one packet, and every second packet is acknowledged at once (RFC 9000, section 13.2.2).
const NEVER_HELD_BACK: u64 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    const MARGIN: Duration = Duration::from_millis(15);

    fn counts(eliciting: u64, acknowledged: Acknowledged) -> Counts {
        Counts { eliciting, acknowledged, rtt: Duration::from_millis(5) }
    }

    /// So many packets were acknowledged, of which the latest was sent then.
    fn acknowledged(packets: u64, sent: Instant) -> Acknowledged {
        Acknowledged { packets, sent: Some(sent.into_std()) }
    }

    const NONE: Acknowledged = Acknowledged { packets: 0, sent: None };

    #[tokio::test(start_paused = true)]
    async fn what_is_not_acknowledged_in_time_is_overdue() {
        let (mut wait, start) = (Wait::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(wait.observe(counts(1, NONE), MARGIN, at(0)), None);
        assert_eq!(wait.observe(counts(5, NONE), MARGIN, at(49)), None);
        assert_eq!(
            wait.observe(counts(5, NONE), MARGIN, at(50)),
            Some(Duration::from_millis(50)),
            "two round trips, the delay, the margin"
        );
        let came = acknowledged(2, at(45));
        assert_eq!(wait.observe(counts(5, came), MARGIN, at(60)), None, "it came");
        assert_eq!(wait.observe(counts(5, came), MARGIN, at(1000)), None, "nothing was sent since");
        assert_eq!(wait.observe(counts(6, came), MARGIN, at(1010)), None);
        assert_eq!(wait.observe(counts(6, came), MARGIN, at(1070)), Some(Duration::from_millis(60)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_after_what_is_acknowledged_is_waited_for_though_nothing_else_is_sent() {
        let (mut wait, start) = (Wait::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for sent in 0..=4 {
            assert_eq!(wait.observe(counts(sent, NONE), MARGIN, at(sent * 10)), None);
        }
        // The last two were sent after 20 ms; their sender's window is full.
        let came = acknowledged(2, at(15));
        assert_eq!(wait.observe(counts(4, came), MARGIN, at(50)), None);
        let overdue = (6..20).find(|look| wait.observe(counts(4, came), MARGIN, at(look * 10)).is_some());
        assert_eq!(overdue, Some(11), "two round trips, the delay and the margin, from the look after it came");
        assert_eq!(wait.observe(counts(4, acknowledged(4, at(35))), MARGIN, at(200)), None);
        assert_eq!(wait.observe(counts(4, acknowledged(4, at(35))), MARGIN, at(2000)), None, "all of it came");
        // Sent in the moment of a look, and counted by the next one.
        assert_eq!(wait.observe(counts(5, acknowledged(4, at(35))), MARGIN, at(2010)), None);
        assert_eq!(wait.observe(counts(5, acknowledged(5, at(2000))), MARGIN, at(2020)), None);
        assert_eq!(wait.observe(counts(5, acknowledged(5, at(2000))), MARGIN, at(4000)), None);
        assert_eq!(wait.observe(counts(5, acknowledged(5, at(2000))), MARGIN, at(6000)), None, "it came");
    }

    #[tokio::test(start_paused = true)]
    async fn acknowledgments_of_much_are_never_held_back() {
        let (mut wait, start) = (Wait::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        assert_eq!(wait.observe(counts(8, NONE), MARGIN, at(0)), None);
        assert_eq!(wait.observe(counts(100, NONE), MARGIN, at(24)), None);
        assert_eq!(wait.observe(counts(100, NONE), MARGIN, at(25)), Some(Duration::from_millis(25)), "no delay");
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_in_which_a_process_was_not_run_does_not_count() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut awaited = Awaited::default();
        let observe =
            |awaited: &mut Awaited, ms| awaited.sessions.entry(1).or_default().observe(counts(3, NONE), MARGIN, at(ms));
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
            wait.observe(counts(3, NONE), MARGIN, start + Duration::from_millis(*ms)).is_some()
        });
        assert_eq!(looks.next(), Some(210), "a third of the time counts: 50 ms, and 20 ms more");
    }
}
