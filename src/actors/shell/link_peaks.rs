//! How much each link carried in its busiest second of the last minute: its capacity is at least that. Nothing is sent to
//! find out more: what fills a link to measure it hurts whoever uses it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use prunella_core::monitor::sample::LinkSample;
use prunella_core::{Instant, PeerId};

use super::tallies::{SECONDS, second};

/// The busiest second of each link.
#[derive(Debug, Default)]
pub struct LinkPeaks(Mutex<BTreeMap<PeerId, Carried>>);

/// Bytes that were sent and received.
type Bytes = [u64; 2];

#[derive(Debug)]
struct Carried {
    /// The second that is under way, and what the link had carried when it began.
    since: (u64, Bytes),
    /// What was carried in each second, and which second that was.
    each: [(u64, Bytes); SECONDS],
}

impl LinkPeaks {
    /// These are all links there are, and what they have carried since they were established.
    pub(super) fn note(&self, links: &[LinkSample], now: Instant) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|peer, _| links.iter().any(|link| link.peer == *peer));
        for link in links {
            let bytes = [link.sent_bytes, link.heard_bytes];
            let begun = || Carried { since: (second(now), bytes), each: [(0, [0; 2]); SECONDS] };
            known.entry(link.peer).or_insert_with(begun).note(bytes, second(now));
        }
    }

    /// Bytes in the second of the last minute in which the link to `peer` sent most, and in which it received most; `None`
    /// if there is no link.
    pub fn of(&self, peer: &PeerId, now: Instant) -> Option<[u64; 2]> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(peer).map(|carried| carried.most(second(now)))
    }
}

impl Carried {
    fn note(&mut self, bytes: Bytes, now: u64) {
        let (began, before) = self.since;
        // A link that was established anew counts from nothing.
        let is_new = bytes.iter().zip(&before).any(|(now, before)| now < before);
        if now == began && !is_new {
            return;
        }
        self.since = (now, bytes);
        if is_new || now == began {
            return;
        }
        // Whoever was not asked for some seconds has carried the same in each of them, as far as anybody knows.
        let passed = now - began;
        let each = [0, 1].map(|i| (bytes[i] - before[i]) / passed);
        self.each[began as usize % SECONDS] = (began, each);
    }

    fn most(&self, now: u64) -> Bytes {
        let recent = self.each.iter().filter(|(second, _)| now.saturating_sub(*second) < SECONDS as u64);
        recent.fold([0; 2], |most, (_, bytes)| [0, 1].map(|i| most[i].max(bytes[i])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(peer: u8, sent_bytes: u64, heard_bytes: u64) -> LinkSample {
        let peer = PeerId::from_public_key([peer; 32]);
        let rejected = [0; prunella_core::Rejected::ALL.len()];
        LinkSample { peer, sent: 0, sent_bytes, heard: 0, heard_bytes, rejected }
    }

    #[test]
    fn the_busiest_second_of_a_minute_is_told_for_each_direction() {
        let (peaks, peer) = (LinkPeaks::default(), link(1, 0, 0).peer);
        let at = Instant::from_millis;
        assert_eq!(peaks.of(&peer, at(0)), None);
        for (ms, sent, heard) in [(0, 100, 0), (900, 500, 0), (1000, 1100, 10), (2000, 1200, 5010), (4000, 1800, 5010)]
        {
            peaks.note(&[link(1, sent, heard), link(2, 0, 0)], at(ms));
        }
        assert_eq!(peaks.of(&peer, at(4000)), Some([1000, 5000]));
        assert_eq!(peaks.of(&peer, at(60_999)), Some([300, 5000]));
        assert_eq!(peaks.of(&peer, at(90_000)), Some([0, 0]));
        // Established anew.
        peaks.note(&[link(1, 50, 0)], at(90_500));
        peaks.note(&[link(1, 950, 0)], at(91_500));
        assert_eq!(peaks.of(&peer, at(92_000)), Some([900, 0]));
        assert_eq!(peaks.of(&link(2, 0, 0).peer, at(92_000)), None, "it is gone");
    }
}
