//! Which sequence numbers of a link were already seen.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::rejected::Rejected;

/// How far behind the newest sequence number a frame may arrive and still be accepted.
pub const REPLAY_WINDOW: u64 = ((WORDS - 1) * 64) as u64;

/// A sliding window over the sequence numbers of one link and direction (the ring of RFC 6479).
///
/// Sequence numbers start at one. There is **one writer**: the reader of the socket. Atomics are here so that the window
/// can sit in a shared table without a lock; two writers at once could both accept the same number.
#[derive(Debug)]
pub struct ReplayWindow {
    newest: AtomicU64,
    /// Bit `s % 64` of word `s / 64 % WORDS` tells whether `s` was seen, for the numbers within the window.
    seen: [AtomicU64; WORDS],
}

impl ReplayWindow {
    /// A window that has seen nothing.
    pub const fn new() -> Self {
        Self { newest: AtomicU64::new(0), seen: [const { AtomicU64::new(0) }; WORDS] }
    }

    /// Accepts `sequence` once. Call it only for authentic frames.
    ///
    /// # Errors
    /// [`Rejected::Replayed`] if it was seen before, lies behind the window, or is zero.
    pub fn accept(&self, sequence: u64) -> Result<(), Rejected> {
        let newest = self.newest.load(Ordering::Relaxed);
        if sequence == 0 || sequence.saturating_add(REPLAY_WINDOW) <= newest {
            return Err(Rejected::Replayed);
        }
        if sequence > newest {
            self.advance(newest, sequence);
        }
        let word = &self.seen[slot(sequence / 64)];
        let (bits, bit) = (word.load(Ordering::Relaxed), 1 << (sequence % 64));
        if bits & bit != 0 {
            return Err(Rejected::Replayed);
        }
        word.store(bits | bit, Ordering::Relaxed);
        Ok(())
    }

    /// The highest sequence number accepted; zero before the first.
    pub fn newest(&self) -> u64 {
        self.newest.load(Ordering::Relaxed)
    }

    fn advance(&self, newest: u64, sequence: u64) {
        let fresh = (sequence / 64 - newest / 64).min(WORDS as u64);
        for step in 1..=fresh {
            self.seen[slot(newest / 64 + step)].store(0, Ordering::Relaxed);
        }
        self.newest.store(sequence, Ordering::Relaxed);
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
/// Neither space moves the other on. One writer, as for a window.
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

fn slot(word: u64) -> usize {
    (word % WORDS as u64) as usize
}

/// One word more than the window needs, so that moving on never forgets a number that is still within it.
const WORDS: usize = 129;

const _: () = assert!(REPLAY_WINDOW >= 4096, "senders may interleave this many frames");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
