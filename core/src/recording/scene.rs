//! One input as it is played, for whoever looks on.

use std::fmt;

use serde_json::Value;

use super::played::Played;
use super::{Handled, Outcome, RoleName};
use crate::Instant;

/// One input that was played, and what came of it. What it says is made when it is asked for.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The entry's number within the recording of its role, from 1.
    pub entry: u64,
    /// The role.
    pub role: RoleName,
    /// The name of the actor.
    pub actor: &'a str,
    pub(super) handled: &'a Handled,
    pub(super) machine: &'a dyn Played,
}

impl Scene<'_> {
    /// When it was heard.
    pub const fn at(&self) -> Instant {
        Instant::from_nanos(self.handled.at)
    }

    /// The input as JSON; `None`: the role was woken.
    pub fn heard(&self) -> Option<Value> {
        self.machine.heard(self.handled)
    }

    /// The effects as JSON, in their order. A role that panicked has none.
    pub fn effects(&self) -> Vec<Value> {
        if self.has_panicked() { Vec::new() } else { self.machine.effects() }
    }

    /// Whether the role panicked on it.
    pub fn has_panicked(&self) -> bool {
        self.handled.outcome == Outcome::Panicked
    }

    /// Whether anything came of it.
    pub const fn has_effects(&self) -> bool {
        match &self.handled.outcome {
            Outcome::Effects(digest) => digest.effects > 0,
            Outcome::Panicked => false,
        }
    }
}

impl fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { entry, role, actor, handled, .. } = self;
        f.debug_struct("Scene")
            .field("entry", entry)
            .field("role", role)
            .field("actor", actor)
            .field("handled", handled)
            .finish_non_exhaustive()
    }
}
