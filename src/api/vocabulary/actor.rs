//! What can be seen of an actor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ActorInfo;

/// An actor at work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ActorDetail {
    /// What is told of every actor.
    #[serde(flatten)]
    pub info: ActorInfo,
    /// Messages that were not taken because its mailbox was full or it was away.
    pub dropped: u64,
    /// The message that it is at; `None`: it waits for one.
    #[serde(default)]
    pub at: Option<AtInfo>,
    /// What holds it up on purpose, such as that it was suspended.
    #[serde(default)]
    pub held_up: Option<String>,
    /// How long half of its messages took at most, in microseconds, to a factor of two; `None` before the first one.
    pub took_p50_us: Option<f64>,
    /// How many took how long, the shortest first: only those steps at which there were any.
    #[serde(default)]
    pub took: Vec<TookInfo>,
    /// Whom it sends something, and who sends it something, in the order of the roles; empty for one that has no role.
    #[serde(default)]
    pub links: Vec<ActorLink>,
    /// By kind of message, the one that took longest in all first.
    pub kinds: Vec<KindInfo>,
    /// The last messages, the newest first.
    pub last: Vec<HandledInfo>,
    /// Its last failures, the newest first.
    pub failures: Vec<FailureInfo>,
    /// What its machine knows, as text; empty if it did not answer in time, or if it has none.
    pub knows: String,
    /// Whether that is all of it.
    pub knows_is_whole: bool,
}

/// What passed between two actors since the node started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ActorLink {
    /// The other one: a role's actor; `peer`: the actors of all neighbors together; `shell`: what is no actor, and performs
    /// commands.
    pub actor: String,
    /// What went there.
    pub sent: u64,
    /// What came from there; `None` of an actor of a neighbor, for what others send is counted for all neighbors
    /// together, and of the shell, which does not count.
    pub heard: Option<u64>,
}

/// A message that is being handled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AtInfo {
    /// Its kind.
    pub kind: String,
    /// For how long, in milliseconds.
    pub for_ms: u64,
}

/// A step of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TookInfo {
    /// They took at most so many microseconds, and more than half of that.
    pub at_most_us: f64,
    /// How many there were.
    pub count: u64,
}

/// The messages of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KindInfo {
    /// The kind.
    pub kind: String,
    /// How many there were.
    pub count: u64,
    /// How long one took, in microseconds, on average.
    pub mean_us: f64,
    /// How long the slowest took, in microseconds.
    pub longest_us: f64,
    /// Their share of the time that the actor was busy, in thousandths.
    pub share_permille: u16,
}

/// A message that was handled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HandledInfo {
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
    /// Its kind.
    pub kind: String,
    /// How long it took, in microseconds.
    pub took_us: f64,
}

/// A failure of an actor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailureInfo {
    /// How long ago, in milliseconds.
    pub ago_ms: u64,
    /// Why.
    pub reason: String,
}

/// Messages of an actor, as they came.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TapInfo {
    /// The actor.
    pub actor: String,
    /// What was shown, in order.
    pub messages: Vec<TappedInfo>,
    /// How many were not shown, because there were too many.
    pub missed: u64,
    /// How long somebody looked on, in milliseconds.
    pub lasted_ms: u64,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TappedInfo {
    /// When it was taken out of the mailbox, in microseconds after looking on began.
    pub after_us: u64,
    /// Its kind.
    pub kind: String,
    /// All of it, or its beginning.
    pub text: String,
}
