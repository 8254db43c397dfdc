//! Runs a recording through the machines again and compares what comes out.

use std::collections::BTreeMap;
use std::fmt;

use super::played::{Played, born};
use super::scene::Scene;
use super::{Entry, Handled, Outcome, RoleName, Started};
use crate::Instant;
use crate::Rejected;
use crate::limits::RECORDING_LIVES_MAX;

/// The replay of one role's recording, entry by entry.
pub struct Replay {
    role: RoleName,
    from: u64,
    lives: BTreeMap<u64, Life>,
    tally: Tally,
}

struct Life {
    actor: String,
    /// `None`: it is not played any more, and that was counted.
    machine: Option<Box<dyn Played>>,
    next: u64,
}

/// What a replay has come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Entries read, starts included.
    pub entries: u64,
    /// Lives that began.
    pub lives: u64,
    /// Inputs with the same effects as then.
    pub same: u64,
    /// Of these, inputs on which the role panicked, then and now.
    pub panicked: u64,
    /// Inputs that were played to get to where comparing was to begin.
    pub passed: u64,
    /// Inputs that were not played, by the reason.
    pub unplayed: BTreeMap<Unplayed, u64>,
    /// Entries that were dropped when they were to be recorded.
    pub dropped: u64,
    /// The times of the first and of the last input.
    pub span: Option<(Instant, Instant)>,
}

/// Why an input was not played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unplayed {
    /// The life began before the recording does: what its machine knew is not known.
    BeganBefore,
    /// Inputs before it are missing.
    Gap,
}

impl Unplayed {
    /// The sentence for it.
    pub const fn text(self) -> &'static str {
        match self {
            Unplayed::BeganBefore => "their life began before this recording does",
            Unplayed::Gap => "inputs before them are missing",
        }
    }
}

/// The first input whose effects are others than then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The entry's number within the recording of its role, from 1.
    pub entry: u64,
    /// The role.
    pub role: RoleName,
    /// The name of the actor.
    pub actor: String,
    /// Which life.
    pub life: u64,
    /// The input's number within the life; 0: its start.
    pub number: u64,
    /// When it was heard.
    pub at: Instant,
    /// The input.
    pub input: String,
    /// What came out of it then; `None`: it is no input, but what the role starts with.
    pub then: Option<Outcome>,
    /// What comes out of it now.
    pub now: Result<Outcome, Rejected>,
    /// The effects now, the first of them.
    pub effects: Vec<String>,
}

impl Replay {
    /// The replay of a recording of `role`, which compares from the entry numbered `from` on.
    pub fn new(role: RoleName, from: u64) -> Self {
        Self { role, from, lives: BTreeMap::new(), tally: Tally::default() }
    }

    /// What it has come to so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Takes the next entry, and shows the input in it, if there is one that is played.
    ///
    /// # Errors
    /// The divergence; nothing after it is worth comparing.
    pub fn take(&mut self, entry: Entry, show: &mut impl FnMut(Scene<'_>)) -> Result<(), Box<Divergence>> {
        self.tally.entries += 1;
        match entry {
            Entry::Started(started) => self.on_started(started),
            Entry::Handled(handled) => self.on_handled(&handled, show),
            Entry::Lost { life, dropped } => {
                self.tally.dropped += dropped;
                self.stop(life);
                Ok(())
            }
        }
    }

    fn on_started(&mut self, started: Started) -> Result<(), Box<Divergence>> {
        let Started { life, actor, at, start } = started;
        self.tally.lives += 1;
        let machine = born(self.role, &start).map_err(|reason| {
            Box::new(Divergence {
                entry: self.tally.entries,
                role: self.role,
                actor: actor.clone(),
                life,
                number: 0,
                at: Instant::from_nanos(at),
                input: "the start of the role".to_owned(),
                then: None,
                now: Err(reason),
                effects: Vec::new(),
            })
        })?;
        // The earlier life of this actor is over.
        self.lives.retain(|_, earlier| earlier.actor != actor);
        if self.lives.len() >= RECORDING_LIVES_MAX {
            self.lives.pop_first();
        }
        self.lives.insert(life, Life { actor, machine: Some(machine), next: 1 });
        Ok(())
    }

    fn on_handled(&mut self, handled: &Handled, show: &mut impl FnMut(Scene<'_>)) -> Result<(), Box<Divergence>> {
        let at = Instant::from_nanos(handled.at);
        let first = self.tally.span.map_or(at, |(first, _)| first);
        self.tally.span = Some((first, at));
        let Some(life) = self.lives.get_mut(&handled.life) else {
            return self.unplayed(Unplayed::BeganBefore);
        };
        if life.next != handled.number {
            life.machine = None;
        }
        let Some(machine) = &mut life.machine else {
            return self.unplayed(Unplayed::Gap);
        };
        life.next += 1;
        let now = machine.play(handled);
        if now == Ok(handled.outcome) || (self.tally.entries < self.from && now.is_ok()) {
            show(Scene {
                entry: self.tally.entries,
                role: self.role,
                actor: &life.actor,
                handled,
                machine: &**machine,
            });
            return self.on_played(handled, now == Ok(handled.outcome));
        }
        let divergence = Divergence {
            entry: self.tally.entries,
            role: self.role,
            actor: life.actor.clone(),
            life: handled.life,
            number: handled.number,
            at,
            input: machine.heard_in_code(handled),
            then: Some(handled.outcome),
            effects: if now.is_ok() { machine.effects_in_code(EFFECTS_TOLD_MAX) } else { Vec::new() },
            now,
        };
        Err(Box::new(divergence))
    }

    fn on_played(&mut self, handled: &Handled, is_same: bool) -> Result<(), Box<Divergence>> {
        let panicked = handled.outcome == Outcome::Panicked;
        if self.tally.entries < self.from {
            self.tally.passed += 1;
        } else if is_same {
            self.tally.same += 1;
            self.tally.panicked += u64::from(panicked);
        }
        if panicked {
            self.stop(handled.life);
        }
        Ok(())
    }

    fn unplayed(&mut self, why: Unplayed) -> Result<(), Box<Divergence>> {
        *self.tally.unplayed.entry(why).or_default() += 1;
        Ok(())
    }

    fn stop(&mut self, life: u64) {
        if let Some(life) = self.lives.get_mut(&life) {
            life.machine = None;
        }
    }
}

impl fmt::Debug for Replay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("role", &self.role).field("tally", &self.tally).finish_non_exhaustive()
    }
}

/// Effects that are told of a divergence.
const EFFECTS_TOLD_MAX: usize = 64;
