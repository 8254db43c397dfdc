//! A tape: the recording of one life of a role, as its actor makes it.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering;

use prunella_core::recording::{Digest, Entry, Handled, Outcome, Recorded, RoleName};
use prunella_core::wire::codec;
use prunella_core::{Instant, Machine};

use super::{Queue, Queued};

/// Records one life of a role. It never waits.
#[derive(Debug)]
pub struct Tape {
    queue: Queue,
    role: RoleName,
    life: u64,
    next: u64,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Every input is recorded.
    Whole,
    /// So many entries were dropped, and the recording does not say so yet.
    Lossy { dropped: u64 },
    /// What follows is not recorded: it could not be replayed.
    Over,
}

impl Tape {
    pub(super) fn begin(queue: Queue, role: RoleName, life: u64, started: Entry) -> Self {
        let mut tape = Self { queue, role, life, next: 1, state: State::Whole };
        tape.put(started);
        tape
    }

    /// Has the machine hear an input, or wakes it if there is none, and records that.
    pub fn record<R: Recorded>(
        &mut self,
        machine: &mut R,
        heard: Option<R::Input>,
        now: Instant,
        effects: &mut Vec<R::Effect>,
    ) {
        if self.state != State::Whole {
            self.tell_gap();
            hear(machine, heard, now, effects);
            // Nobody wants them any more, and the machine goes on noting them.
            drop(machine.take_signatures());
            return;
        }
        let (life, number, at) = (self.life, self.next, now.as_nanos());
        self.next += 1;
        let input = heard.as_ref().map(codec::encode_plain);
        // The input on which a role panics is the one that is looked for most.
        let played = catch_unwind(AssertUnwindSafe(|| hear(machine, heard, now, effects)));
        let outcome = if played.is_ok() { Outcome::Effects(Digest::of(effects)) } else { Outcome::Panicked };
        let signatures = machine.take_signatures();
        self.put(Entry::Handled(Handled { life, number, at, heard: input, signatures, outcome }));
        if let Err(panic) = played {
            resume_unwind(panic);
        }
    }

    fn put(&mut self, entry: Entry) {
        match self.queue.put(self.role, entry) {
            Queued::Taken => {}
            Queued::Nobody => self.state = State::Over,
            Queued::Dropped => {
                let (role, life) = (self.role.name(), self.life);
                tracing::warn!(role, life, "the recorder cannot keep up: this life is recorded no further");
                self.state = State::Lossy { dropped: 1 };
                self.queue.counts[self.role as usize].gaps.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Says in the recording that there is a gap, as soon as there is room for it.
    fn tell_gap(&mut self) {
        let State::Lossy { dropped } = self.state else { return };
        let lost = Entry::Lost { life: self.life, dropped };
        self.state = match self.queue.put(self.role, lost) {
            Queued::Taken | Queued::Nobody => State::Over,
            Queued::Dropped => State::Lossy { dropped: dropped + 1 },
        };
    }
}

/// Has a machine hear an input, or wakes it if there is none.
pub(in crate::actors) fn hear<M: Machine>(
    machine: &mut M,
    heard: Option<M::Input>,
    now: Instant,
    effects: &mut Vec<M::Effect>,
) {
    match heard {
        Some(input) => machine.handle(input, now, effects),
        None => machine.wake(now, effects),
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.tell_gap();
    }
}
