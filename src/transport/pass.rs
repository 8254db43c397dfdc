//! What a stream that was let in holds on to: word of when it must end, and a meter of what goes over it.

use std::fmt;
use std::sync::Arc;

use quinn::VarInt;
use tokio::sync::watch;

/// Why a stream that was let in must end. Its code is all that the peer hears.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Ending {
    /// The policy, or what is known of the peer, has changed.
    #[error("{reason}")]
    Denied {
        /// The verdict as it is now.
        reason: Arc<str>,
    },
    /// What the peer may transfer is used up.
    #[error("{reason}")]
    Spent {
        /// Which limit.
        reason: Arc<str>,
    },
}

/// Counts what goes over a stream. What it holds on to is given back when it is dropped.
pub trait Meter: Send + Sync {
    /// Takes so many bytes, both directions together, before they are passed on.
    ///
    /// # Errors
    /// The limit that is in the way.
    fn spend(&self, bytes: usize) -> Result<(), Arc<str>>;
}

/// Goes with a stream for as long as it is in use: dropping it gives its place back.
pub struct Pass {
    held: Option<Held>,
}

struct Held {
    ending: watch::Receiver<Option<Ending>>,
    meter: Box<dyn Meter>,
}

impl Pass {
    /// A stream that ends when `ending` says so, and that `meter` counts.
    pub fn new(ending: watch::Receiver<Option<Ending>>, meter: Box<dyn Meter>) -> Self {
        Self { held: Some(Held { ending, meter }) }
    }

    /// A stream that nobody ends and nobody counts: one that this node opened itself.
    pub const fn free() -> Self {
        Self { held: None }
    }

    /// Waits until the stream must end. May be cancelled.
    pub async fn ended(&self) -> Ending {
        let Some(Held { ending, .. }) = &self.held else { return std::future::pending().await };
        let mut ending = ending.clone();
        let heard = ending.wait_for(Option::is_some).await.ok().and_then(|ending| ending.clone());
        match heard {
            Some(ending) => ending,
            // Whoever could end it is gone, and with it the node.
            None => std::future::pending().await,
        }
    }

    /// Whether the stream must end by now.
    pub fn ending(&self) -> Option<Ending> {
        self.held.as_ref().and_then(|held| held.ending.borrow().clone())
    }

    /// Counts what is about to be passed on.
    ///
    /// # Errors
    /// [`Ending::Spent`]: then it is not to be passed on.
    pub fn spend(&self, bytes: usize) -> Result<(), Ending> {
        let Some(held) = &self.held else { return Ok(()) };
        held.meter.spend(bytes).map_err(|reason| Ending::Spent { reason })
    }
}

impl fmt::Debug for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pass").field("ending", &self.ending()).finish_non_exhaustive()
    }
}

impl Ending {
    /// The code with which the stream is reset.
    pub(super) const fn code(&self) -> VarInt {
        VarInt::from_u32(match self {
            Ending::Denied { .. } => DENIED,
            Ending::Spent { .. } => SPENT,
        })
    }
}

/// What a peer says by the code with which it ended a stream, if it is one of these.
pub(super) fn told(code: VarInt) -> Option<Ending> {
    match u32::try_from(code.into_inner()) {
        Ok(DENIED) => Some(Ending::Denied { reason: "the peer's policy does not allow it any more".into() }),
        Ok(SPENT) => Some(Ending::Spent { reason: "the peer's quota for this node is used up".into() }),
        _ => None,
    }
}

/// Not 1, which is every other abort.
const DENIED: u32 = 2;
const SPENT: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_read_the_same_reason_from_the_code() {
        let reason: Arc<str> = "x".into();
        for ending in [Ending::Denied { reason: reason.clone() }, Ending::Spent { reason: reason.clone() }] {
            let heard = told(ending.code()).unwrap();
            assert_eq!(std::mem::discriminant(&heard), std::mem::discriminant(&ending));
        }
        assert_eq!(told(VarInt::from_u32(1)), None);
        assert_eq!(told(VarInt::MAX), None);
    }

    #[tokio::test]
    async fn a_free_pass_never_ends_and_counts_nothing() {
        let pass = Pass::free();
        assert_eq!((pass.spend(usize::MAX), pass.ending()), (Ok(()), None));
        let waited = tokio::time::timeout(std::time::Duration::from_millis(5), pass.ended()).await;
        assert!(waited.is_err());
    }
}
