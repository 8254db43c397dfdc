//! Faults on purpose: a port that pretends to have bad links, per address and direction.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prunella_core::frame::{Kind, is_quic};
use prunella_core::rng::Rng;
use tokio::time::Instant;

use super::held::Held;
use super::port::lock;
use super::tables::canonical;

/// A direction of a link, as this node sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// What this node sends.
    Sent,
    /// What comes to this node.
    Received,
}

/// What is done to the datagrams of one direction of a link, QUIC and frames alike (but for [`gray`](Self::gray)).
///
/// Shares are in thousandths of the datagrams. A datagram is first lost, then doubled, then held back: for its turn on a
/// throttled link, for the delay, and, if it is one of those that others overtake, a little longer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Impairment {
    /// The share that is lost.
    pub drop_permille: u16,
    /// The share that goes twice.
    pub duplicate_permille: u16,
    /// The share that later ones overtake.
    pub reorder_permille: u16,
    /// How long each is held back.
    pub delay: Duration,
    /// How much longer than that, at most; evenly spread.
    pub jitter: Duration,
    /// How many bytes pass in a second; zero for as many as come. What waits longer than 200 ms for its turn is lost.
    pub bytes_per_second: u64,
    /// Whether packets of sessions are lost, while probes and the link's own QUIC connection pass.
    pub gray: bool,
}

impl Impairment {
    /// Everything is lost.
    pub const CUT: Impairment = Impairment {
        drop_permille: 1000,
        duplicate_permille: 0,
        reorder_permille: 0,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
        bytes_per_second: 0,
        gray: false,
    };

    /// Whether a datagram may have to wait.
    pub(super) fn holds(&self) -> bool {
        self.duplicate_permille > 0
            || self.reorder_permille > 0
            || self.bytes_per_second > 0
            || !(self.delay + self.jitter).is_zero()
    }
}

/// The faults in force. While there are none, asking costs one relaxed load.
#[derive(Debug, Default)]
pub(super) struct Faults {
    any: AtomicBool,
    impaired: Mutex<HashMap<(SocketAddr, Direction), Impaired>>,
    pub(super) held: Held,
}

/// What becomes of one datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fate {
    /// How often it goes: 0, 1 or 2 times.
    pub(super) times: u8,
    /// When it goes; at once if `None`.
    pub(super) due: Option<Instant>,
}

impl Fate {
    const LOST: Fate = Fate { times: 0, due: None };
}

impl Faults {
    /// Puts a fault in force in place of the one before; `seed` decides whom it strikes.
    pub(super) fn set(&self, address: SocketAddr, direction: Direction, impairment: Impairment, seed: u64) {
        let impaired = Impaired { impairment, rng: Rng::from_seed(seed), free_at: None, last_due: None };
        lock(&self.impaired).insert((canonical(address), direction), impaired);
        self.any.store(true, Ordering::Relaxed);
    }

    /// Ends one fault. When it was the last, what is still held back is lost.
    pub(super) fn end(&self, address: SocketAddr, direction: Direction) {
        let mut impaired = lock(&self.impaired);
        impaired.remove(&(canonical(address), direction));
        if impaired.is_empty() {
            self.any.store(false, Ordering::Relaxed);
            self.held.clear();
        }
    }

    pub(super) fn clear(&self) {
        lock(&self.impaired).clear();
        self.any.store(false, Ordering::Relaxed);
        self.held.clear();
    }

    pub(super) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Whether there is a fault for what goes to, or comes from, this address.
    pub(super) fn impairs(&self, address: SocketAddr, direction: Direction) -> bool {
        lock(&self.impaired).contains_key(&(canonical(address), direction))
    }

    /// What becomes of a datagram; `None` if there is no fault for it.
    pub(super) fn judge(&self, address: SocketAddr, direction: Direction, datagram: &[u8]) -> Option<Fate> {
        let mut impaired = lock(&self.impaired);
        Some(impaired.get_mut(&(canonical(address), direction))?.judge(datagram, Instant::now()))
    }
}

/// A fault, and what it has done so far.
#[derive(Debug)]
struct Impaired {
    impairment: Impairment,
    rng: Rng,
    /// When a throttled link has passed on what it was given.
    free_at: Option<Instant>,
    /// When the last datagram that nobody overtakes is due: later ones are due no earlier.
    last_due: Option<Instant>,
}

impl Impaired {
    fn judge(&mut self, datagram: &[u8], now: Instant) -> Fate {
        let Impairment { drop_permille, duplicate_permille, reorder_permille, delay, jitter, .. } = self.impairment;
        if (self.impairment.gray && is_payload(datagram)) || self.strikes(drop_permille) {
            return Fate::LOST;
        }
        let Some(through) = self.throttle(datagram.len(), now) else { return Fate::LOST };
        let times = if self.strikes(duplicate_permille) { 2 } else { 1 };
        let mut due = through + delay + self.up_to(jitter);
        if self.strikes(reorder_permille) {
            due += OVERTAKEN_BY;
        } else {
            due = self.last_due.map_or(due, |last| last.max(due));
            self.last_due = Some(due);
        }
        Fate { times, due: (due > now).then_some(due) }
    }

    /// When a throttled link has passed on `bytes` more; `None` if its queue is full.
    fn throttle(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        let rate = self.impairment.bytes_per_second;
        if rate == 0 {
            return Some(now);
        }
        let start = self.free_at.map_or(now, |free_at| free_at.max(now));
        if start - now > THROTTLE_QUEUE {
            return None;
        }
        let end = start + Duration::from_nanos(bytes as u64 * 1_000_000_000 / rate);
        self.free_at = Some(end);
        Some(end)
    }

    fn strikes(&mut self, permille: u16) -> bool {
        permille > 0 && self.rng.below(1000) < usize::from(permille)
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let micros = most.as_micros() as usize;
        if micros == 0 { Duration::ZERO } else { Duration::from_micros(self.rng.below(micros + 1) as u64) }
    }
}

/// Whether this is a frame that carries a packet of a session.
fn is_payload(datagram: &[u8]) -> bool {
    let kind = datagram.first().filter(|first| !is_quic(**first)).and_then(|first| Kind::try_from(*first).ok());
    kind.is_some_and(Kind::is_payload)
}

/// How much longer a datagram is held back that others overtake.
const OVERTAKEN_BY: Duration = Duration::from_millis(10);
/// How long a datagram waits at most for its turn on a throttled link.
const THROTTLE_QUEUE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use super::*;

    const QUIC: &[u8] = &[0x40; 100];

    fn impaired(impairment: Impairment) -> Impaired {
        Impaired { impairment, rng: Rng::from_seed(7), free_at: None, last_due: None }
    }

    fn fates(impairment: Impairment, count: usize) -> Vec<Fate> {
        let (mut impaired, now) = (impaired(impairment), Instant::now());
        (0..count).map(|_| impaired.judge(QUIC, now)).collect()
    }

    #[test]
    fn a_share_is_lost_and_the_same_seed_loses_the_same() {
        let lossy = Impairment { drop_permille: 300, ..Impairment::default() };
        let lost = |fates: &[Fate]| fates.iter().filter(|fate| fate.times == 0).count();
        let first = fates(lossy, 2000);
        assert!((500..700).contains(&lost(&first)), "{}", lost(&first));
        let again: Vec<u8> = fates(lossy, 2000).iter().map(|fate| fate.times).collect();
        assert_eq!(first.iter().map(|fate| fate.times).collect::<Vec<_>>(), again);
        assert_eq!(lost(&fates(Impairment::CUT, 100)), 100);
        assert_eq!(lost(&fates(Impairment::default(), 100)), 0);
    }

    #[test]
    fn a_gray_link_passes_everything_but_payload() {
        let mut gray = impaired(Impairment { gray: true, ..Impairment::default() });
        let now = Instant::now();
        let passes = |gray: &mut Impaired, first: u8| gray.judge(&[first; 60], now).times == 1;
        for kind in [Kind::Data, Kind::Copy] {
            assert!(!passes(&mut gray, kind as u8), "{kind:?}");
        }
        for first in [Kind::Probe as u8, Kind::Echo as u8, Kind::PathError as u8, 0x40, 0xc0] {
            assert!(passes(&mut gray, first), "{first}");
        }
    }

    #[test]
    fn jitter_delays_without_changing_the_order() {
        let delay = Duration::from_millis(50);
        let slow = Impairment { delay, jitter: Duration::from_millis(20), ..Impairment::default() };
        let (mut slow, now) = (impaired(slow), Instant::now());
        let due: Vec<Duration> = (0..200).map(|_| slow.judge(QUIC, now).due.unwrap() - now).collect();
        assert!(due.is_sorted());
        assert!(due[0] >= delay && due[199] <= delay + Duration::from_millis(20), "{:?}", due[199]);
        assert!(due[199] > due[0]);
    }

    #[test]
    fn those_that_are_overtaken_wait_longer_and_hold_up_nobody() {
        let fates = fates(Impairment { reorder_permille: 500, ..Impairment::default() }, 200);
        let held = fates.iter().filter(|fate| fate.due.is_some()).count();
        assert!((60..140).contains(&held), "{held}");
    }

    #[test]
    fn a_throttled_link_passes_its_rate_and_loses_what_would_wait_too_long() {
        let throttled = Impairment { bytes_per_second: 10_000, ..Impairment::default() };
        let (mut link, now) = (impaired(throttled), Instant::now());
        let fates: Vec<Fate> = (0..100).map(|_| link.judge(QUIC, now)).collect();
        let passed = fates.iter().filter(|fate| fate.times == 1).count();
        assert_eq!(passed, 21, "10 ms each, until 200 ms are full");
        assert_eq!(fates[9].due, Some(now + Duration::from_millis(100)));
        assert_eq!(link.judge(QUIC, now + Duration::from_secs(1)).times, 1, "the queue has drained");
    }

    #[test]
    fn a_share_goes_twice() {
        let twice = fates(Impairment { duplicate_permille: 500, ..Impairment::default() }, 200);
        let twice = twice.iter().filter(|fate| fate.times == 2).count();
        assert!((60..140).contains(&twice), "{twice}");
    }
}
