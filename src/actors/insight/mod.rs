//! What can be seen of an actor while it runs: what it was sent and how long that took ([`handling`]), each message as it
//! comes when somebody asks for that ([`tap`]), and what its machine knows ([`snapshot`]), and whom it sends what comes of it ([`sent`]).
//!
//! All of it is always there: nobody finds out what is wrong from a node that has to be started anew to tell.

pub mod handling;
pub mod kind;
pub mod sent;
pub mod snapshot;
pub mod tap;

use std::fmt::Debug;
use std::time::Duration;

use serde::Serialize;

use handling::Handling;
use kind::Kind;
use sent::Sent;
use tap::Tap;

/// What can be seen of one actor. It belongs to the actor's name, and outlives its restarts.
#[derive(Debug, Default)]
pub struct Insight {
    /// What it was sent, and how long that took.
    pub handling: Handling,
    /// Shows messages to whoever looks on.
    pub tap: Tap,
    /// Whom it has sent how much.
    pub sent: Sent,
}

/// A message that is being handled.
#[derive(Clone, Copy, Debug)]
pub struct Begun {
    kind: Kind,
    at: Duration,
}

impl Insight {
    /// A message is taken out of the mailbox, `at` the node's time.
    pub fn begin<M: Debug + Serialize>(&self, message: &M, at: Duration) -> Begun {
        let kind = kind::kind_of(message).unwrap_or(NO_KIND);
        self.tap.show(kind, message, at);
        self.begin_unseen(kind, at)
    }

    /// As [`Insight::begin`], for what is shown to nobody.
    pub fn begin_unseen(&self, kind: Kind, at: Duration) -> Begun {
        self.handling.begin(kind, at);
        Begun { kind, at }
    }

    /// It is handled, `now`: what it took has in it what it cost to be seen.
    pub fn end(&self, begun: Begun, now: Duration) {
        self.handling.note(begun.kind, begun.at, now.saturating_sub(begun.at));
    }
}

/// The deadline of a role has passed.
pub const WAKE: Kind = Kind { index: handling::KINDS_MAX as u32 - 2, name: "Wake" };
/// A question.
pub const QUERY: Kind = Kind { index: handling::KINDS_MAX as u32 - 3, name: "Query" };
/// What is no variant of anything.
const NO_KIND: Kind = Kind { index: handling::KINDS_MAX as u32 - 1, name: "Other" };
