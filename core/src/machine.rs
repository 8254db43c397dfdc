//! The shape that every role has.

use crate::Instant;

/// A pure state machine: inputs and time go in, effects come out.
///
/// A machine has one deadline. The shell calls [`Machine::wake`] when it has passed; an early wake is harmless. Effects
/// are appended to a list owned by the caller, so handling an input allocates nothing of its own.
pub trait Machine {
    /// Everything that the role may hear.
    type Input;
    /// Everything that the role may ask for.
    type Effect;

    /// Takes one input at the time `now` and appends what should happen.
    fn handle(&mut self, input: Self::Input, now: Instant, effects: &mut Vec<Self::Effect>);

    /// Does whatever is due at `now`. Called at the deadline, or earlier.
    fn wake(&mut self, now: Instant, effects: &mut Vec<Self::Effect>);

    /// When [`Machine::wake`] is next wanted; `None` while only inputs matter.
    fn deadline(&self) -> Option<Instant>;
}
