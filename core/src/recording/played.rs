//! One life of a role that is played again.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::Serialize;
use serde_json::Value;

use super::{Digest, Handled, Outcome, Recorded, RoleName};
use crate::executor::Executor;
use crate::gossip::Gossip;
use crate::ledger::Keeper;
use crate::monitor::Monitor;
use crate::pathfinder::Pathfinder;
use crate::peer::Peer;
use crate::planner::Planner;
use crate::policy::Policy;
use crate::rebalancer::Rebalancer;
use crate::wire::codec;
use crate::{Instant, Rejected};

/// A machine of any role.
pub(super) trait Played {
    /// Hears what was heard once; what came out of it.
    ///
    /// # Errors
    /// Why the role could not have heard it.
    fn play(&mut self, handled: &Handled) -> Result<Outcome, Rejected>;

    /// What was heard, as the code calls it.
    fn heard_in_code(&self, handled: &Handled) -> String;

    /// What was heard, as JSON; `None` if the role was woken, or could not have heard it.
    fn heard(&self, handled: &Handled) -> Option<Value>;

    /// The effects of the last input, as JSON.
    fn effects(&self) -> Vec<Value>;

    /// The effects of the last input, as the code calls them: at most so many.
    fn effects_in_code(&self, most: usize) -> Vec<String>;
}

/// The machine of a role, made of what it was made of then.
///
/// # Errors
/// Why it cannot be made.
pub(super) fn born(role: RoleName, start: &[u8]) -> Result<Box<dyn Played>, Rejected> {
    match role {
        RoleName::Policy => newborn::<Policy>(start),
        RoleName::Gossip => newborn::<Gossip>(start),
        RoleName::Peer => newborn::<Peer>(start),
        RoleName::Monitor => newborn::<Monitor>(start),
        RoleName::Pathfinder => newborn::<Pathfinder>(start),
        RoleName::Planner => newborn::<Planner>(start),
        RoleName::Executor => newborn::<Executor>(start),
        RoleName::Rebalancer => newborn::<Rebalancer>(start),
        RoleName::Ledger => newborn::<Keeper>(start),
    }
}

struct Living<R: Recorded> {
    machine: R,
    effects: Vec<R::Effect>,
}

fn newborn<R: Recorded + 'static>(start: &[u8]) -> Result<Box<dyn Played>, Rejected> {
    let start = codec::decode_plain(start)?;
    // What was recorded did start; what was made up may be out of every range.
    let machine = catch_unwind(AssertUnwindSafe(|| R::made_of(start))).map_err(|_| Rejected::Malformed)?;
    Ok(Box::new(Living { machine, effects: Vec::new() }))
}

impl<R: Recorded> Living<R> {
    fn decoded(handled: &Handled) -> Result<Option<R::Input>, Rejected> {
        let heard = handled.heard.as_deref().map(codec::decode_plain::<R::Input>).transpose()?;
        heard.as_ref().map_or(Ok(()), R::check)?;
        Ok(heard)
    }
}

impl<R: Recorded> Played for Living<R> {
    fn play(&mut self, handled: &Handled) -> Result<Outcome, Rejected> {
        let heard = Self::decoded(handled)?;
        let now = Instant::from_nanos(handled.at);
        self.machine.recall_signatures(handled.signatures.clone());
        let Self { machine, effects } = self;
        effects.clear();
        // A life that panicked is not played any further, so nobody sees what the panic left behind.
        let played = catch_unwind(AssertUnwindSafe(|| match heard {
            Some(input) => machine.handle(input, now, effects),
            None => machine.wake(now, effects),
        }));
        Ok(match played {
            Ok(()) => Outcome::Effects(Digest::of(effects)),
            Err(_) => Outcome::Panicked,
        })
    }

    fn heard_in_code(&self, handled: &Handled) -> String {
        match Self::decoded(handled) {
            Ok(Some(input)) => format!("{input:?}"),
            Ok(None) => "Wake".to_owned(),
            Err(reason) => format!("an input that is turned away: {reason}"),
        }
    }

    fn heard(&self, handled: &Handled) -> Option<Value> {
        Self::decoded(handled).ok().flatten().map(|input| as_json(&input))
    }

    fn effects(&self) -> Vec<Value> {
        self.effects.iter().map(as_json).collect()
    }

    fn effects_in_code(&self, most: usize) -> Vec<String> {
        self.effects.iter().take(most).map(|effect| format!("{effect:?}")).collect()
    }
}

/// What JSON has no form for, such as a map with other keys than texts, is told as the code calls it.
fn as_json<T: Serialize + Debug>(value: &T) -> Value {
    serde_json::to_value(value).unwrap_or_else(|_| Value::String(format!("{value:?}")))
}
