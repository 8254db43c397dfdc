//! How an actor spends its time: what it was sent, how long that took, and what came last.
//!
//! Written by the actor alone and read by anybody: so a count is a load and a store, and no read-modify-write. What is read
//! meanwhile may be one message old.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::kind::Kind;
use crate::actors::tally::{BUCKETS, Spread, bucket};

/// What one actor was sent and how long that took, over all of its lives.
#[derive(Debug)]
pub struct Handling {
    kinds: [OfKind; KINDS_MAX],
    /// How many messages took at most 2^n nanoseconds, and more than half of that.
    took: [AtomicU64; BUCKETS],
    /// The last messages, two words each: when it was begun, then which kind and how long it took.
    last: [[AtomicU64; 2]; LAST_MAX],
    /// How many messages there were.
    count: AtomicU64,
    /// The message that is being handled: when it was begun, and its kind's number, counted from 1; 0 for none.
    at: [AtomicU64; 2],
}

#[derive(Debug, Default)]
struct OfKind {
    name: OnceLock<&'static str>,
    count: AtomicU64,
    nanos: AtomicU64,
    longest: AtomicU64,
}

/// What is known of the messages of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KindTotal {
    /// The kind's name.
    pub name: &'static str,
    /// How many there were.
    pub count: u64,
    /// How long all of them took.
    pub took: Duration,
    /// How long the slowest took.
    pub longest: Duration,
}

/// One message that was handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handled {
    /// When it was begun, by the node's clock.
    pub at: Duration,
    /// Its kind's name.
    pub kind: &'static str,
    /// How long it took.
    pub took: Duration,
}

impl Default for Handling {
    fn default() -> Self {
        Self {
            kinds: std::array::from_fn(|_| OfKind::default()),
            took: std::array::from_fn(|_| AtomicU64::new(0)),
            last: std::array::from_fn(|_| Default::default()),
            count: AtomicU64::new(0),
            at: Default::default(),
        }
    }
}

impl Handling {
    /// A message is begun. For the actor alone.
    pub fn begin(&self, kind: Kind, at: Duration) {
        let index = self.known(kind);
        let [begun, what] = &self.at;
        begun.store(nanos(at), Ordering::Relaxed);
        what.store(index as u64 + 1, Ordering::Relaxed);
    }

    /// No message is being handled: for an actor that begins its life.
    pub fn rest(&self) {
        self.at[1].store(0, Ordering::Relaxed);
    }

    /// The kind of the message that is being handled, and when it was begun.
    pub fn at(&self) -> Option<(&'static str, Duration)> {
        let [begun, what] = &self.at;
        let index = (what.load(Ordering::Relaxed) as usize).checked_sub(1)?;
        Some((self.kinds[index].name.get()?, Duration::from_nanos(begun.load(Ordering::Relaxed))))
    }

    /// The number of a kind, whose name is known from now on.
    fn known(&self, kind: Kind) -> usize {
        let index = (kind.index as usize).min(KINDS_MAX - 1);
        let of_kind = &self.kinds[index];
        if of_kind.name.get().is_none() {
            let _ = of_kind.name.set(kind.name);
        }
        index
    }

    /// Counts a message, which is over. For the actor alone: of two at once one might not be counted.
    pub fn note(&self, kind: Kind, at: Duration, took: Duration) {
        let nanos = nanos(took);
        let index = self.known(kind);
        let of_kind = &self.kinds[index];
        add(&of_kind.count, 1);
        add(&of_kind.nanos, nanos);
        if nanos > of_kind.longest.load(Ordering::Relaxed) {
            of_kind.longest.store(nanos, Ordering::Relaxed);
        }
        add(&self.took[bucket(nanos)], 1);
        let count = self.count.load(Ordering::Relaxed);
        let [begun, what] = &self.last[count as usize % LAST_MAX];
        begun.store(self::nanos(at), Ordering::Relaxed);
        what.store((index as u64) << KIND_SHIFT | nanos, Ordering::Relaxed);
        self.count.store(count + 1, Ordering::Release);
        self.rest();
    }

    /// Every kind of which there were any, the one that took longest in all first.
    pub fn kinds(&self) -> Vec<KindTotal> {
        let total = |of_kind: &OfKind| {
            Some(KindTotal {
                name: of_kind.name.get().filter(|_| of_kind.count.load(Ordering::Relaxed) > 0)?,
                count: of_kind.count.load(Ordering::Relaxed),
                took: Duration::from_nanos(of_kind.nanos.load(Ordering::Relaxed)),
                longest: Duration::from_nanos(of_kind.longest.load(Ordering::Relaxed)),
            })
        };
        let mut kinds: Vec<_> = self.kinds.iter().filter_map(total).collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.took));
        kinds
    }

    /// How long that share of all messages took at most, in thousandths: 500 for half of them. Right to a factor of two;
    /// `None` without any.
    pub fn quantile(&self, permille: u64) -> Option<Duration> {
        let counts: Vec<u64> = self.took.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let wanted = (total * permille).div_ceil(1000).max(1);
        let mut seen = 0;
        let bucket = counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(Duration::from_nanos(1 << bucket))
    }

    /// How many messages took at most so long, and more than half of that, the shortest first; only where there were any.
    pub fn took(&self) -> impl Iterator<Item = (Duration, u64)> + '_ {
        let counts = self.took.iter().map(|count| count.load(Ordering::Relaxed)).enumerate();
        counts.filter(|(_, count)| *count > 0).map(|(bucket, count)| (Duration::from_nanos(1 << bucket), count))
    }

    /// How many messages took how long.
    pub fn spread(&self) -> Spread {
        Spread { counts: std::array::from_fn(|i| self.took[i].load(Ordering::Relaxed)), sum: self.busy() }
    }

    /// How long all messages took together.
    pub fn busy(&self) -> Duration {
        Duration::from_nanos(self.kinds.iter().map(|kind| kind.nanos.load(Ordering::Relaxed)).sum())
    }

    /// The last messages, the newest first; one that is being counted at this moment may be told wrong.
    pub fn last(&self) -> Vec<Handled> {
        let count = self.count.load(Ordering::Acquire) as usize;
        let newest = (count.saturating_sub(LAST_MAX)..count).rev();
        let told = newest.filter_map(|number| {
            let [begun, what] = &self.last[number % LAST_MAX];
            let what = what.load(Ordering::Relaxed);
            Some(Handled {
                at: Duration::from_nanos(begun.load(Ordering::Relaxed)),
                kind: self.kinds[(what >> KIND_SHIFT) as usize].name.get()?,
                took: Duration::from_nanos(what & ((1 << KIND_SHIFT) - 1)),
            })
        });
        told.collect()
    }
}

/// For a counter that one thread writes.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}

fn nanos(duration: Duration) -> u64 {
    (duration.as_nanos() as u64).min((1 << KIND_SHIFT) - 1)
}

/// Kinds that are told apart; the last three are for what is no input. No role has as many.
pub(super) const KINDS_MAX: usize = 48;
/// How many of the last messages are remembered.
const LAST_MAX: usize = 32;
/// Above these bits of a word stands the kind: below is room for two years in nanoseconds.
const KIND_SHIFT: u32 = 56;

#[cfg(test)]
mod tests {
    use super::*;

    const PING: Kind = Kind { index: 0, name: "Ping" };
    const PONG: Kind = Kind { index: 3, name: "Pong" };

    #[test]
    fn the_message_at_hand_is_told_until_it_is_over() {
        let handling = Handling::default();
        assert_eq!(handling.at(), None);
        handling.begin(PONG, Duration::from_millis(7));
        assert_eq!(handling.at(), Some(("Pong", Duration::from_millis(7))));
        assert!(handling.kinds().iter().all(|kind| kind.count == 0), "it counts when it is over");
        handling.note(PONG, Duration::from_millis(7), Duration::from_millis(1));
        assert_eq!(handling.at(), None);
        handling.begin(PING, Duration::from_millis(9));
        handling.rest();
        assert_eq!(handling.at(), None, "who failed at a message is at it no longer");
    }

    #[test]
    fn what_an_actor_was_sent_is_told_by_kind_and_the_last_of_it_one_by_one() {
        let handling = Handling::default();
        assert_eq!((handling.quantile(500), handling.last()), (None, vec![]));
        for at in 0..98 {
            handling.note(PING, Duration::from_millis(at), Duration::from_micros(1));
        }
        for at in [98, 99] {
            handling.note(PONG, Duration::from_millis(at), Duration::from_millis(3));
        }
        let kinds = handling.kinds();
        let told: Vec<_> = kinds.iter().map(|kind| (kind.name, kind.count, kind.took)).collect();
        assert_eq!(told, [("Pong", 2, Duration::from_millis(6)), ("Ping", 98, Duration::from_micros(98))]);
        assert_eq!(handling.busy(), Duration::from_micros(6098));
        assert_eq!(kinds[0].longest, Duration::from_millis(3));
        assert_eq!(handling.quantile(500), Some(Duration::from_nanos(1024)));
        assert_eq!(handling.quantile(980), Some(Duration::from_nanos(1024)));
        assert_eq!(handling.quantile(990), Some(Duration::from_nanos(1 << 22)));
        let last = handling.last();
        assert_eq!(last.len(), LAST_MAX);
        let newest = Handled { at: Duration::from_millis(99), kind: "Pong", took: Duration::from_millis(3) };
        assert_eq!((last[0], last[2].kind, last[31].at), (newest, "Ping", Duration::from_millis(68)));
    }

    #[test]
    fn no_time_is_too_short_or_too_long() {
        let handling = Handling::default();
        handling.note(PING, Duration::MAX, Duration::MAX);
        handling.note(Kind { index: 1000, name: "Unheard" }, Duration::ZERO, Duration::ZERO);
        assert_eq!(handling.quantile(1000), Some(Duration::from_nanos(1 << 41)));
        assert_eq!(handling.quantile(1), Some(Duration::from_nanos(1)));
        assert_eq!(handling.last()[0].kind, "Unheard");
    }
}
