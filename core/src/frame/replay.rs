//! Which sequence numbers of a link were already seen.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::rejected::Rejected;

/// How far behind the newest sequence number a frame may arrive and still be accepted.
pub const REPLAY_WINDOW: u64 = (WORDS as u64 - 1) * NUMBERS_PER_WORD;

/// A sliding window over the sequence numbers of one link and direction.
///
/// Sequence numbers start at one. It is a ring as that of RFC 6479, for any number of readers at once and without a lock: each
/// word says itself which numbers it stands for, so that whoever is the first to need it for newer ones takes it over in the
/// step in which it marks its own number.
#[derive(Debug)]
pub struct ReplayWindow {
    newest: AtomicU64,
    /// In the upper half of a word is its lap, how often the ring was walked through; bit `s % 32` tells whether `s` was seen.
    seen: [AtomicU64; WORDS],
}

impl ReplayWindow {
    /// A window that has seen nothing.
    pub const fn new() -> Self {
        Self { newest: AtomicU64::new(0), seen: [const { AtomicU64::new(0) }; WORDS] }
    }

    /// Accepts `sequence` once, however many ask at the same time. Call it only for authentic frames.
    ///
    /// # Errors
    /// [`Rejected::Replayed`] if it was seen before, lies behind the window, or is zero.
    pub fn accept(&self, sequence: u64) -> Result<(), Rejected> {
        if sequence == 0 {
            return Err(Rejected::Replayed);
        }
        // Before the word is taken over: whoever finds it taken then also finds its own number behind the window.
        if sequence > self.newest() {
            self.newest.fetch_max(sequence, Ordering::AcqRel);
        }
        let (block, bit) = (sequence / NUMBERS_PER_WORD, 1 << (sequence % NUMBERS_PER_WORD));
        let lap = u64::from((block / WORDS as u64) as u32) << 32;
        let word = &self.seen[(block % WORDS as u64) as usize];
        let mut held = word.load(Ordering::Acquire);
        loop {
            if self.newest().saturating_sub(sequence) >= REPLAY_WINDOW {
                return Err(Rejected::Replayed);
            }
            let seen = if held & LAP == lap { held } else { lap };
            if seen & bit != 0 {
                return Err(Rejected::Replayed);
            }
            match word.compare_exchange_weak(held, seen | bit, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Ok(()),
                Err(now) => held = now,
            }
        }
    }

    /// The highest sequence number accepted; zero before the first.
    pub fn newest(&self) -> u64 {
        self.newest.load(Ordering::Acquire)
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

/// Set in the sequence numbers that a sender's kernel program gives, clear in those of its user space.
///
/// So the two number the frames of one link and direction, under one key, without a counter that both would share: each
/// counts from one in a space of its own.
pub const KERNEL_SEQUENCES: u64 = 1 << 63;

/// A [`ReplayWindow`] for each of the two spaces of the sequence numbers of one link and direction.
///
/// Neither space moves the other on.
#[derive(Debug, Default)]
pub struct SequenceSpaces {
    user: ReplayWindow,
    kernel: ReplayWindow,
}

impl SequenceSpaces {
    /// Spaces of which nothing was seen.
    pub const fn new() -> Self {
        Self { user: ReplayWindow::new(), kernel: ReplayWindow::new() }
    }

    /// Accepts `sequence` once, in its space. Call it only for authentic frames.
    ///
    /// # Errors
    /// [`Rejected::Replayed`] if it was seen before, lies behind its space's window, or is the zero of its space.
    pub fn accept(&self, sequence: u64) -> Result<(), Rejected> {
        let space = if sequence & KERNEL_SEQUENCES == 0 { &self.user } else { &self.kernel };
        space.accept(sequence & !KERNEL_SEQUENCES)
    }

    /// Whether `sequence` is higher than all that were accepted in its space.
    pub fn is_newest(&self, sequence: u64) -> bool {
        let [user, kernel] = self.newest();
        let newest = if sequence & KERNEL_SEQUENCES == 0 { user } else { kernel };
        sequence & !KERNEL_SEQUENCES > newest
    }

    /// The highest numbers accepted, without the bit that tells the spaces apart: of user space, of the kernel program.
    pub fn newest(&self) -> [u64; 2] {
        [self.user.newest(), self.kernel.newest()]
    }
}

/// One word more than the window needs, so that no word is wanted for numbers within it twice.
const WORDS: usize = 257;
/// How many sequence numbers a word stands for.
const NUMBERS_PER_WORD: u64 = 32;
/// Where a word says its lap. Laps begin anew after 2^45 numbers; a word that nobody touched for so long, and then finds the
/// very same lap, turns away what it should accept.
const LAP: u64 = !0 << 32;

const _: () = assert!(REPLAY_WINDOW >= 4096, "senders may interleave this many frames");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Barrier;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_is_accepted_once_and_only_within_the_window() {
        let window = ReplayWindow::new();
        assert_eq!(window.accept(0), Err(Rejected::Replayed), "zero is never sent");
        assert_eq!(window.accept(5), Ok(()));
        assert_eq!(window.accept(5), Err(Rejected::Replayed));
        assert_eq!(window.accept(1), Ok(()), "late is not replayed");
        assert_eq!(window.accept(5 + REPLAY_WINDOW), Ok(()));
        assert_eq!(window.accept(5), Err(Rejected::Replayed), "now behind the window");
        assert_eq!(window.accept(6), Ok(()), "the last one within it");
        assert_eq!(window.accept(u64::MAX), Ok(()), "the end of the numbers is no special case");
        assert_eq!(window.accept(u64::MAX), Err(Rejected::Replayed));
    }

    #[test]
    fn each_space_counts_from_one_and_neither_moves_the_other_on() {
        let spaces = SequenceSpaces::new();
        assert_eq!(spaces.accept(KERNEL_SEQUENCES), Err(Rejected::Replayed), "the kernel's zero is never sent either");
        assert_eq!(spaces.accept(KERNEL_SEQUENCES | (10 * REPLAY_WINDOW)), Ok(()));
        assert_eq!(spaces.accept(1), Ok(()), "far behind the other space's newest");
        assert_eq!(spaces.accept(1), Err(Rejected::Replayed));
        assert_eq!(spaces.accept(KERNEL_SEQUENCES | 1), Err(Rejected::Replayed), "behind its own window");
        assert_eq!(spaces.newest(), [1, 10 * REPLAY_WINDOW]);
        assert!(spaces.is_newest(2) && !spaces.is_newest(1));
        assert!(
            !spaces.is_newest(KERNEL_SEQUENCES | 2) && spaces.is_newest(KERNEL_SEQUENCES | (10 * REPLAY_WINDOW + 1))
        );
    }

    /// Threads walk over the same numbers, each in an order of its own, side by side, while the window moves on under them.
    #[test]
    fn of_many_that_ask_at_once_one_is_answered_yes() {
        const NUMBERS: u64 = 8 * REPLAY_WINDOW;
        const STEP: u64 = 1024;
        const THREADS: u64 = 4;
        let window = ReplayWindow::new();
        let accepted: Vec<AtomicU64> = (0..NUMBERS).map(|_| AtomicU64::new(0)).collect();
        let abreast = Barrier::new(THREADS as usize);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let (window, accepted, abreast) = (&window, &accepted, &abreast);
                scope.spawn(move || {
                    for number in 0..NUMBERS {
                        if number.is_multiple_of(STEP) {
                            abreast.wait();
                        }
                        let jumbled = number ^ (thread * 3 % 8);
                        if window.accept(jumbled).is_ok() {
                            accepted[jumbled as usize].fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        let often: Vec<u64> = accepted.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(often[0], 0, "zero is never sent");
        assert!(often[1..].iter().all(|count| *count == 1), "nobody is ever further behind than the window");
        assert_eq!(window.newest(), NUMBERS - 1);
    }

    proptest! {
        #[test]
        fn the_spaces_agree_with_a_window_for_each(
            steps in proptest::collection::vec((0u64..20_000, prop::bool::ANY), 1..400),
        ) {
            let (spaces, user, kernel) = (SequenceSpaces::new(), ReplayWindow::new(), ReplayWindow::new());
            for (number, by_kernel) in steps {
                let (window, bit) = if by_kernel { (&kernel, KERNEL_SEQUENCES) } else { (&user, 0) };
                prop_assert_eq!(spaces.accept(number | bit), window.accept(number));
                prop_assert_eq!(spaces.newest(), [user.newest(), kernel.newest()]);
            }
        }

        #[test]
        fn the_window_agrees_with_a_set(steps in proptest::collection::vec((0u64..20_000, prop::bool::ANY), 1..400)) {
            let (window, mut seen, mut newest) = (ReplayWindow::new(), BTreeSet::new(), 0u64);
            for (offset, back) in steps {
                let sequence = if back { newest.saturating_sub(offset) } else { newest + offset };
                let fresh = sequence > 0 && sequence + REPLAY_WINDOW > newest && seen.insert(sequence);
                newest = newest.max(if fresh { sequence } else { 0 });
                prop_assert_eq!(window.accept(sequence).is_ok(), fresh, "sequence {}", sequence);
            }
        }
    }
}
