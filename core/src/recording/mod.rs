//! Recordings: what each role heard, and when, so that it can be replayed and be seen to do the same again.
//!
//! A role is a pure machine: what it starts with, what it hears and at what time decide what it asks for. So a recording
//! holds these, and of the effects only a [`Digest`]. [`Replay`] runs a recording through the same machines and compares.
//! What is in a recording is no more believed than what comes over a link: records are verified again, damage is told
//! by name ([`Damaged`]), and a machine that panics is a result and no accident.
//!
//! Invariant: no secret is in a recording. Where a role signs, the signatures are recorded ([`crate::signer`]).

mod chunk;
mod digest;
mod entry;
mod played;
mod replay;
mod roles;
mod scene;

use std::fmt::{self, Debug};
use std::str::FromStr;

use bincode::{Decode, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use chunk::{CHUNK_HEAD_BYTES, Chunk, Damaged, check_opening, opening, sealed};
pub use digest::Digest;
pub use entry::{Entry, Handled, Header, Outcome, Started};
pub use replay::{Divergence, Replay, Tally, Unplayed};
pub use roles::{GossipStart, KeeperStart, MonitorStart, PathfinderStart, PeerStart, PlannerStart, RebalancerStart};
pub use scene::Scene;

use crate::{Machine, Rejected};

/// A role that can be recorded and replayed.
pub trait Recorded: Machine<Input: Debug + Serialize + DeserializeOwned, Effect: Debug + Serialize> + Sized {
    /// Which role it is.
    const ROLE: RoleName;

    /// Everything that a new machine is made of, except secrets.
    type Start: Clone + Debug + Serialize + DeserializeOwned;

    /// The machine that is made of this. One that signs has no key then, and recalls signatures.
    fn made_of(start: Self::Start) -> Self;

    /// Checks what the type of an input does not say: what its sender had to check before the role heard it.
    ///
    /// # Errors
    /// Why the role could not have heard it.
    fn check(_: &Self::Input) -> Result<(), Rejected> {
        Ok(())
    }

    /// From now on notes what it signs. Only for a role that signs.
    fn note_signatures(&mut self) {}

    /// The signatures that it has made since the last time.
    fn take_signatures(&mut self) -> Vec<Vec<u8>> {
        Vec::new()
    }

    /// Gives a replayed machine the signatures that it made on the next input.
    fn recall_signatures(&mut self, _: Vec<Vec<u8>>) {}
}

/// The roles that are recorded: all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum RoleName {
    /// [`crate::policy`].
    Policy,
    /// [`crate::gossip`].
    Gossip,
    /// [`crate::peer`].
    Peer,
    /// [`crate::monitor`].
    Monitor,
    /// [`crate::pathfinder`].
    Pathfinder,
    /// [`crate::planner`].
    Planner,
    /// [`crate::executor`].
    Executor,
    /// [`crate::rebalancer`].
    Rebalancer,
    /// [`crate::ledger`].
    Ledger,
}

impl RoleName {
    /// Every role, in the order in which they are started.
    pub const ALL: [RoleName; 9] = [
        RoleName::Policy,
        RoleName::Gossip,
        RoleName::Peer,
        RoleName::Monitor,
        RoleName::Pathfinder,
        RoleName::Planner,
        RoleName::Executor,
        RoleName::Rebalancer,
        RoleName::Ledger,
    ];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            RoleName::Policy => "policy",
            RoleName::Gossip => "gossip",
            RoleName::Peer => "peer",
            RoleName::Monitor => "monitor",
            RoleName::Pathfinder => "pathfinder",
            RoleName::Planner => "planner",
            RoleName::Executor => "executor",
            RoleName::Rebalancer => "rebalancer",
            RoleName::Ledger => "ledger",
        }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The text names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a role: policy, gossip, peer, monitor, pathfinder, planner, executor, rebalancer or ledger")]
pub struct NotARole;

impl FromStr for RoleName {
    type Err = NotARole;

    fn from_str(text: &str) -> Result<Self, NotARole> {
        RoleName::ALL.into_iter().find(|role| role.name() == text).ok_or(NotARole)
    }
}

#[cfg(test)]
mod tests;
