//! Shared values that somebody writes at this node, and waits to hear what became of it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prunella_core::gossip;
use prunella_core::shared::Refused;
use prunella_core::wiring::Route;
use tokio::sync::oneshot;

use super::Shell;

/// Who waits for which write.
#[derive(Debug, Default)]
pub struct Writes {
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    last_ticket: u64,
    tickets: BTreeMap<u64, oneshot::Sender<Option<Refused>>>,
}

impl Writes {
    /// Tells whoever waits for this ticket. Who gave up waiting hears nothing.
    pub(super) fn answer(&self, ticket: u64, refused: Option<Refused>) {
        let waiting = self.lock(|waiting| waiting.tickets.remove(&ticket));
        let _ = waiting.map(|waiting| waiting.send(refused));
    }

    fn wait(&self) -> (u64, oneshot::Receiver<Option<Refused>>) {
        let (tell, told) = oneshot::channel();
        let ticket = self.lock(|waiting| {
            waiting.last_ticket += 1;
            waiting.tickets.insert(waiting.last_ticket, tell);
            waiting.last_ticket
        });
        (ticket, told)
    }

    fn forget(&self, ticket: u64) {
        self.lock(|waiting| waiting.tickets.remove(&ticket));
    }

    fn lock<T>(&self, with: impl FnOnce(&mut Waiting) -> T) -> T {
        with(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// It is signed and on its way to everybody; this node shows it already. Its store may not have it yet.
    Done,
    /// It was refused; nothing has changed.
    Refused(Refused),
    /// The gossip actor did not answer in time; it may have been restarted just now.
    Unknown,
}

/// Why what was asked for is not known to be durable. It is done, in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotDurable {
    /// The store fails; it is tried again.
    Failing {
        /// What it says.
        reason: String,
    },
    /// The store has not said in time.
    Late,
}

impl Shell {
    /// Waits until everything that was handed to the store so far is durable there.
    ///
    /// # Errors
    /// [`NotDurable`] as soon as the store fails, or when it takes too long.
    pub async fn durable(&self) -> Result<(), NotDurable> {
        match tokio::time::timeout(KEEP_PATIENCE, self.directory.durable()).await {
            Ok(Ok(kept)) => kept.map_err(|reason| NotDurable::Failing { reason }),
            Ok(Err(_)) => Err(NotDurable::Failing { reason: "too much waits for the store".to_owned() }),
            Err(_) => Err(NotDurable::Late),
        }
    }

    /// Writes a shared key as this node, or removes it without a value, and waits until that is done.
    pub async fn write_shared(&self, key: String, value: Option<String>) -> Written {
        let (ticket, told) = self.writes.wait();
        self.directory.deliver(Route::Gossip(gossip::Input::SetShared { key, value, ticket }));
        let told = tokio::time::timeout(WRITE_PATIENCE, told).await;
        self.writes.forget(ticket);
        match told {
            Ok(Ok(None)) => Written::Done,
            Ok(Ok(Some(refused))) => Written::Refused(refused),
            Ok(Err(_)) | Err(_) => Written::Unknown,
        }
    }
}

/// How long the gossip actor gets to answer; a restart takes less.
const WRITE_PATIENCE: Duration = Duration::from_secs(2);

/// How long somebody waits to hear that something is durable.
const KEEP_PATIENCE: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ticket_hears_its_own_answer_once() {
        let writes = Writes::default();
        let ((a, mut a_told), (b, mut b_told)) = (writes.wait(), writes.wait());
        assert_ne!(a, b);
        writes.answer(b, Some(Refused::BadKey));
        writes.answer(b, None);
        assert_eq!(b_told.try_recv(), Ok(Some(Refused::BadKey)));
        assert!(a_told.try_recv().is_err());
        writes.forget(a);
        writes.answer(a, None);
        assert!(a_told.try_recv().is_err(), "nobody waits any more");
        assert!(writes.lock(|waiting| waiting.tickets.is_empty()));
    }
}
