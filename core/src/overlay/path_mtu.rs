//! How long a packet may be on the way to a peer: found by probes on the very way that packets take (RFC 8899).
//!
//! A router that drops what is too long may say nothing, so only what came through counts. The longest length is tried
//! first, since most ways carry it. What is known is tried again now and then, and at once on another way.

use std::time::Duration;

use crate::Instant;

/// The search for the longest packet that comes through. It asks for probes, and is told of those that were answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathMtu {
    most: u16,
    /// The longest that came through on this way, and the shortest that did not.
    good: u16,
    bad: u16,
    asked: Option<Asked>,
    next_at: Instant,
    /// Whether nothing is left to search.
    settled: bool,
    /// Whether the longest is what came through on another way than the one in use.
    unproven: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Asked {
    length: u16,
    times: u8,
    at: Instant,
}

impl PathMtu {
    /// A search that is to begin: packets of `least` bytes come through anywhere, none is longer than `most`.
    pub const fn new(least: u16, most: u16, now: Instant) -> Self {
        Self { most, good: least, bad: most + 1, asked: None, next_at: now, settled: false, unproven: false }
    }

    /// The longest packet that is known to come through.
    pub const fn longest(&self) -> u16 {
        self.good
    }

    /// Whether longer ones are known not to come through.
    pub const fn is_settled(&self) -> bool {
        self.settled
    }

    /// Packets take another way from now on: what came through on the old one is tried first.
    pub fn rerouted(&mut self, now: Instant) {
        self.asked = None;
        self.settled = false;
        self.unproven = true;
        self.bad = self.most + 1;
        self.next_at = now;
    }

    /// A probe of this length came through.
    pub fn answered(&mut self, length: u16, now: Instant) {
        if length > self.most || self.asked.is_none_or(|asked| asked.length != length) {
            return;
        }
        self.asked = None;
        self.unproven = false;
        self.good = length;
        self.bad = self.bad.max(length + 1);
        self.settle(now);
    }

    /// The length of the probe that is to be sent now, if one is; `least` is what comes through anywhere.
    pub fn poll(&mut self, least: u16, now: Instant) -> Option<u16> {
        if now < self.next_at {
            return None;
        }
        if let Some(asked) = self.asked
            && asked.times >= TRIES
        {
            self.asked = None;
            self.bad = self.bad.min(asked.length);
            if asked.length <= self.good {
                self.good = least;
                self.unproven = false;
            }
            self.settle(now);
            if self.settled {
                return None;
            }
        }
        let length = match self.asked {
            Some(asked) => asked.length,
            None if self.unproven => self.good,
            // Until something failed: what is hoped for.
            None if self.bad > self.most => self.most,
            None if self.settled => self.good,
            None => self.good + (self.bad - self.good) / 2,
        };
        let times = self.asked.map_or(0, |asked| asked.times) + 1;
        self.asked = Some(Asked { length, times, at: now });
        self.next_at = now + PATIENCE;
        Some(length)
    }

    /// When [`PathMtu::poll`] has something to do next.
    pub const fn deadline(&self) -> Instant {
        self.next_at
    }

    fn settle(&mut self, now: Instant) {
        self.settled = self.good == self.most || self.bad - self.good <= PRECISION;
        self.next_at = if self.settled { now + AGAIN } else { now };
        if self.settled && self.good < self.most {
            // The way may have become wider: the whole search is made again, while packets keep what they have.
            self.next_at = now + WIDER_AGAIN;
            self.bad = self.most + 1;
        }
    }
}

/// Probes of one length that stay without an answer before it counts as too long.
const TRIES: u8 = 3;
/// How long an answer may take: several round trips of what is usual. Longer ones only make the search repeat itself.
const PATIENCE: Duration = Duration::from_millis(150);
/// How exactly the length is found, in bytes.
const PRECISION: u16 = 4;
/// How long what was found is believed while packets flow.
const AGAIN: Duration = Duration::from_secs(5);
/// How long it is believed that the way carries no longer ones.
const WIDER_AGAIN: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LEAST: u16 = 1152;
    const MOST: u16 = 1380;

    /// Runs the search over a way that carries `width` bytes until it is settled; the probes that were sent.
    fn search(mtu: &mut PathMtu, width: u16, now: &mut Instant) -> usize {
        let mut probes = 0;
        loop {
            *now = (*now).max(mtu.deadline());
            if let Some(length) = mtu.poll(LEAST, *now) {
                probes += 1;
                assert!(probes < 100, "{mtu:?}");
                if length <= width {
                    mtu.answered(length, *now + Duration::from_millis(1));
                }
            }
            if mtu.is_settled() {
                return probes;
            }
        }
    }

    #[test]
    fn the_usual_way_takes_one_probe() {
        let mut now = Instant::from_nanos(0);
        let mut mtu = PathMtu::new(LEAST, MOST, now);
        assert_eq!((search(&mut mtu, MOST, &mut now), mtu.longest()), (1, MOST));
    }

    #[test]
    fn another_way_that_is_narrower_is_found_out_within_a_second() {
        let mut now = Instant::from_nanos(0);
        let mut mtu = PathMtu::new(LEAST, MOST, now);
        search(&mut mtu, MOST, &mut now);
        mtu.rerouted(now);
        let began = now;
        while mtu.longest() > 1280 {
            now = now.max(mtu.deadline());
            if let Some(length) = mtu.poll(LEAST, now).filter(|length| *length <= 1280) {
                mtu.answered(length, now);
            }
        }
        assert!(now.since(began) < Duration::from_secs(1), "{:?}", now.since(began));
    }

    #[test]
    fn what_came_through_on_another_way_is_not_believed_of_this_one() {
        let mut now = Instant::from_nanos(0);
        let mut mtu = PathMtu::new(LEAST, MOST, now);
        for width in [1187, LEAST] {
            mtu.rerouted(now);
            search(&mut mtu, width, &mut now);
        }
        assert_eq!(mtu.longest(), LEAST);
    }

    #[test]
    fn one_lost_probe_changes_nothing() {
        let mut now = Instant::from_nanos(0);
        let mut mtu = PathMtu::new(LEAST, MOST, now);
        search(&mut mtu, MOST, &mut now);
        now = mtu.deadline();
        assert_eq!(mtu.poll(LEAST, now), Some(MOST), "it is tried again");
        now = mtu.deadline();
        assert_eq!(mtu.poll(LEAST, now), Some(MOST), "and once more");
        mtu.answered(MOST, now);
        assert_eq!((mtu.longest(), mtu.is_settled()), (MOST, true));
        mtu.answered(60_000, now);
        assert_eq!(mtu.longest(), MOST, "nobody asked for that");
    }

    proptest! {
        #[test]
        fn what_is_found_comes_through_and_is_nearly_all_that_does(widths in proptest::collection::vec(LEAST..=MOST, 1..5)) {
            let mut now = Instant::from_nanos(0);
            let mut mtu = PathMtu::new(LEAST, MOST, now);
            for width in widths {
                mtu.rerouted(now);
                search(&mut mtu, width, &mut now);
                prop_assert!(mtu.longest() <= width && mtu.longest() + 4 >= width, "{} of {}", mtu.longest(), width);
            }
        }
    }
}
