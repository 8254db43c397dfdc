//! Shows the messages of an actor to whoever looks on, as text, for a bounded time and at a bounded rate.
//!
//! While nobody looks on, a message costs one relaxed load. While somebody does, the actor never waits: what comes faster than
//! [`TAPPED_PER_SECOND_MAX`], or finds the queue full, is counted and not shown.

use std::fmt::{self, Debug, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prunella_core::Instant;
use prunella_core::limits::{TAPPED_PER_SECOND_MAX, TAPPED_QUEUE_MAX, TAPPED_TEXT_BYTES_MAX};
use prunella_core::token_bucket::TokenBucket;
use tokio::sync::mpsc;

use super::kind::Kind;

/// Where somebody may look on.
#[derive(Debug, Default)]
pub struct Tap {
    is_open: AtomicBool,
    /// Until then nothing more is shown, in nanoseconds of the node's clock: a flood costs its actor two loads a message,
    /// and not a lock.
    shut_until: AtomicU64,
    /// Kinds of which it is known whether they are to be shown, a bit each, and those of them that are.
    judged: AtomicU64,
    wanted: AtomicU64,
    /// Messages that were not shown. It never begins anew: whoever looks on counts from where it began.
    missed: Arc<AtomicU64>,
    onlooker: Mutex<Option<Onlooker>>,
}

#[derive(Debug)]
struct Onlooker {
    /// The kind that is to be shown, as its name in lower case without hyphens; `None` for all.
    kind: Option<String>,
    bucket: TokenBucket,
    lines: mpsc::Sender<Tapped>,
}

/// A message as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tapped {
    /// When it was taken out of the mailbox, by the node's clock.
    pub at: Duration,
    /// Its kind.
    pub kind: &'static str,
    /// All of it, or its beginning.
    pub text: String,
}

/// Looking on; ends when it is dropped.
#[derive(Debug)]
pub struct Looking {
    lines: mpsc::Receiver<Tapped>,
    missed: Arc<AtomicU64>,
    /// How many were missed before it began.
    before: u64,
}

/// Somebody looks on already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("somebody else is looking at this actor's messages now")]
pub struct Taken;

impl Tap {
    /// Looks on from the next message on; at messages of one kind, if one is named.
    ///
    /// # Errors
    /// [`Taken`] while somebody else does.
    pub fn open(&self, kind: Option<&str>, now: Instant) -> Result<Looking, Taken> {
        let mut onlooker = self.onlooker.lock().unwrap_or_else(PoisonError::into_inner);
        if onlooker.as_ref().is_some_and(|onlooker| !onlooker.lines.is_closed()) {
            return Err(Taken);
        }
        let (sender, lines) = mpsc::channel(TAPPED_QUEUE_MAX);
        let (missed, before) = (Arc::clone(&self.missed), self.missed.load(Ordering::Relaxed));
        for state in [&self.shut_until, &self.judged, &self.wanted] {
            state.store(0, Ordering::Relaxed);
        }
        *onlooker = Some(Onlooker {
            kind: kind.map(plain),
            bucket: TokenBucket::full(TAPPED_PER_SECOND_MAX, now),
            lines: sender,
        });
        self.is_open.store(true, Ordering::Relaxed);
        Ok(Looking { lines, missed, before })
    }

    /// Shows a message, if somebody looks on and has room for it.
    pub fn show<M: Debug>(&self, kind: Kind, message: &M, at: Duration) {
        if !self.is_open.load(Ordering::Relaxed) {
            return;
        }
        let bit = bit(kind);
        if self.judged.load(Ordering::Relaxed) & bit != 0 {
            if self.wanted.load(Ordering::Relaxed) & bit == 0 {
                return;
            }
            if (at.as_nanos() as u64) < self.shut_until.load(Ordering::Relaxed) {
                return self.pass_over();
            }
        }
        self.show_now(kind, message, at);
    }

    /// Counts a message that is not shown. The actor alone does, so it is a load and a store.
    fn pass_over(&self) {
        self.missed.store(self.missed.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    fn show_now<M: Debug>(&self, kind: Kind, message: &M, at: Duration) {
        let mut slot = self.onlooker.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(onlooker) = slot.as_mut().filter(|onlooker| !onlooker.lines.is_closed()) else {
            *slot = None;
            self.is_open.store(false, Ordering::Relaxed);
            return;
        };
        let is_wanted = onlooker.kind.as_ref().is_none_or(|wanted| *wanted == plain(kind.name));
        self.judged.fetch_or(bit(kind), Ordering::Relaxed);
        if !is_wanted {
            return;
        }
        self.wanted.fetch_or(bit(kind), Ordering::Relaxed);
        let has_room = onlooker.bucket.take(Instant::BOOT + at);
        // Text is made only for what will be shown.
        let place = onlooker.lines.try_reserve().ok().filter(|_| has_room);
        match place {
            Some(place) => place.send(Tapped { at, kind: kind.name, text: beginning(message) }),
            None => {
                self.shut_until.store((at + SHUT_FOR).as_nanos() as u64, Ordering::Relaxed);
                self.pass_over();
            }
        }
    }
}

impl Looking {
    /// The next message; it may never come.
    pub async fn next(&mut self) -> Option<Tapped> {
        self.lines.recv().await
    }

    /// How many were not shown so far, because there were too many.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed) - self.before
    }
}

/// A kind's bit among those that are judged: those that no role has as many of share one.
fn bit(kind: Kind) -> u64 {
    1 << kind.index.min(63)
}

/// A kind's name as people may write it: `LinkReported`, `link-reported` and `link_reported` are one.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect()
}

/// How long nothing is shown after there was no room for something: a fifth of the time in which room for one more comes.
const SHUT_FOR: Duration = Duration::from_millis(1);
const _: () = assert!(5 * TAPPED_PER_SECOND_MAX <= 1000, "what is shown comes no later for that");

/// A value as text, cut off where it becomes too long; what would follow is not even made.
pub(super) fn beginning(value: &dyn Debug) -> String {
    let mut text = Bounded { text: String::new(), most: TAPPED_TEXT_BYTES_MAX };
    if write!(text, "{value:?}").is_err() {
        text.text.push('…');
    }
    text.text
}

/// A text that refuses to become longer.
pub(super) struct Bounded {
    pub(super) text: String,
    pub(super) most: usize,
}

impl Write for Bounded {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = self.most - self.text.len();
        let fits = more.floor_char_boundary(room.min(more.len()));
        self.text.push_str(&more[..fits]);
        if fits == more.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: Kind = Kind { index: 0, name: "PingHeard" };
    const PONG: Kind = Kind { index: 1, name: "PongHeard" };

    fn looking(tap: &Tap, kind: Option<&str>) -> Looking {
        tap.open(kind, Instant::BOOT).unwrap()
    }

    #[test]
    fn who_looks_on_sees_what_it_asked_for_until_it_looks_away() {
        let tap = Tap::default();
        tap.show(PING, &"nobody looks", Duration::ZERO);
        let mut looks = looking(&tap, Some("ping-heard"));
        assert_eq!(tap.open(None, Instant::BOOT).unwrap_err(), Taken);
        tap.show(PONG, &"another kind", Duration::ZERO);
        tap.show(PING, &"ä".repeat(5000), Duration::from_secs(1));
        let seen = looks.lines.try_recv().unwrap();
        assert_eq!((seen.kind, seen.at), ("PingHeard", Duration::from_secs(1)));
        assert!(
            seen.text.starts_with("\"ä") && seen.text.ends_with("ä…") && seen.text.len() <= TAPPED_TEXT_BYTES_MAX + 3
        );
        assert!(looks.lines.try_recv().is_err());
        drop(looks);
        tap.show(PING, &"nobody looks any more", Duration::ZERO);
        assert!(!tap.is_open.load(Ordering::Relaxed));
        looking(&tap, None);
    }

    #[test]
    fn a_flood_is_counted_and_holds_nobody_up() {
        let tap = Tap::default();
        let mut looks = looking(&tap, None);
        let all = 10 * u64::from(TAPPED_PER_SECOND_MAX);
        for number in 0..all {
            tap.show(PING, &number, Duration::ZERO);
        }
        let shown = std::iter::from_fn(|| looks.lines.try_recv().ok()).count() as u64;
        assert_eq!((shown, looks.missed()), (u64::from(TAPPED_PER_SECOND_MAX), all - shown));
        tap.show(PING, &"a second later", Duration::from_secs(1));
        assert_eq!(looks.lines.try_recv().unwrap().text, "\"a second later\"");
        drop(looks);
        let mut again = looking(&tap, Some("pong-heard"));
        tap.show(PING, &"another kind now", Duration::from_secs(1));
        tap.show(PING, &"and again", Duration::from_secs(1));
        tap.show(PONG, &"this one", Duration::from_secs(1));
        assert_eq!((again.lines.try_recv().unwrap().text.as_str(), again.missed()), ("\"this one\"", 0));
        assert!(again.lines.try_recv().is_err());
    }

    #[test]
    fn of_a_steady_flood_as_much_is_shown_as_may_be() {
        let tap = Tap::default();
        let mut looks = looking(&tap, None);
        let mut shown = 0;
        for ms in 0..3000 {
            for number in 0..20 {
                tap.show(PING, &number, Duration::from_micros(1000 * ms + 50 * number));
            }
            shown += std::iter::from_fn(|| looks.lines.try_recv().ok()).count() as u64;
        }
        let most = 4 * u64::from(TAPPED_PER_SECOND_MAX);
        assert!((most * 9 / 10..=most).contains(&shown), "{shown} of {most}");
        assert_eq!(shown + looks.missed(), 60_000);
    }
}
