//! One outbound connection per peer: dialed once, used by everybody, dialed again when it is dead.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use quinn::Connection;
use tokio::runtime::Handle;
use tokio::sync::watch;

use prunella_core::PeerId;
use prunella_core::limits::SESSIONS_MAX;

use crate::transport::closing::Closing;

use super::endpoint::SessionError;
use super::notices::Hearing;

type Outcome = Result<Dialed, SessionError>;

/// A connection that was dialed.
#[derive(Clone)]
pub(super) struct Dialed {
    pub(super) session: Connection,
    /// Who hears its notices for as long as it is in the pool; afterwards it lives as long as its streams.
    pub(super) _hearing: Arc<Hearing>,
}

/// The connections. Cheap to clone.
#[derive(Clone)]
pub(super) struct Pool {
    entries: Arc<Mutex<BTreeMap<PeerId, Entry>>>,
    /// Where the endpoint lives, whoever calls.
    runtime: Handle,
}

enum Entry {
    /// Somebody dials; everybody who wants the connection waits here for the one outcome.
    Dialing(watch::Receiver<Option<Outcome>>),
    Ready(Dialed),
}

impl Entry {
    fn is_dead(&self) -> bool {
        match self {
            Entry::Dialing(_) => false,
            Entry::Ready(Dialed { session, .. }) => session.close_reason().is_some(),
        }
    }
}

impl Pool {
    /// An empty pool. Dials run on the tokio runtime within which this is called.
    pub(super) fn new() -> Self {
        Self { entries: Arc::default(), runtime: Handle::current() }
    }

    /// The connection to `peer`, and whether it is fresh: made now, not taken from before. `dial` is called if there is
    /// none; the dial goes on if this call is cancelled, for those who wait with it.
    pub(super) async fn connection<F>(
        &self,
        peer: PeerId,
        dial: impl FnOnce() -> F,
    ) -> Result<(Connection, bool), SessionError>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut outcome = match self.entry(peer, dial)? {
            Entry::Ready(Dialed { session, .. }) => return Ok((session, false)),
            Entry::Dialing(outcome) => outcome,
        };
        let outcome = match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().expect("BUG: it was waited for"),
            Err(_) => return Err(SessionError::NotRunning),
        };
        outcome.map(|Dialed { session, .. }| (session, true))
    }

    fn entry<F>(&self, peer: PeerId, dial: impl FnOnce() -> F) -> Result<Entry, SessionError>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut entries = self.lock();
        match entries.get(&peer) {
            Some(Entry::Dialing(outcome)) => return Ok(Entry::Dialing(outcome.clone())),
            Some(Entry::Ready(dialed)) if dialed.session.close_reason().is_none() => {
                return Ok(Entry::Ready(dialed.clone()));
            }
            _ => {}
        }
        if entries.len() >= SESSIONS_MAX {
            entries.retain(|_, entry| !entry.is_dead());
        }
        if entries.len() >= SESSIONS_MAX {
            return Err(SessionError::OverLimit);
        }
        let (sender, outcome) = watch::channel(None);
        entries.insert(peer, Entry::Dialing(outcome.clone()));
        self.runtime.spawn(self.clone().settle(peer, dial(), sender));
        Ok(Entry::Dialing(outcome))
    }

    async fn settle(self, peer: PeerId, dial: impl Future<Output = Outcome>, outcome: watch::Sender<Option<Outcome>>) {
        let settled = dial.await;
        let mut entries = self.lock();
        match &settled {
            Ok(dialed) => entries.insert(peer, Entry::Ready(dialed.clone())),
            Err(_) => entries.remove(&peer),
        };
        drop(entries);
        outcome.send_replace(Some(settled));
    }

    /// Forgets `connection`, unless another has taken its place. It ends with its last stream.
    pub(super) fn discard(&self, peer: PeerId, connection: &Connection) {
        let mut entries = self.lock();
        if let Some(Entry::Ready(pooled)) = entries.get(&peer)
            && pooled.session.stable_id() == connection.stable_id()
        {
            entries.remove(&peer);
        }
    }

    /// Closes the connection to `peer`. One that is being dialed is not affected.
    pub(super) fn sever(&self, peer: PeerId) {
        let mut entries = self.lock();
        if let Some(Entry::Ready(dialed)) = entries.get(&peer) {
            Closing::Decided.close(&dialed.session);
            entries.remove(&peer);
        }
    }

    /// The connection to `peer`, if there is one.
    pub(super) fn living(&self, peer: PeerId) -> Option<Connection> {
        match self.lock().get(&peer) {
            Some(Entry::Ready(dialed)) => Some(dialed.session.clone()),
            _ => None,
        }
    }

    /// The peers with a living connection.
    pub(super) fn peers(&self) -> Vec<PeerId> {
        let ready = |entry: &Entry| matches!(entry, Entry::Ready(_)) && !entry.is_dead();
        self.lock().iter().filter(|(_, entry)| ready(entry)).map(|(peer, _)| *peer).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Entry>> {
        self.entries.lock().expect("BUG: nothing panics while it holds the pool")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn peer(first: u8) -> PeerId {
        PeerId::from_public_key([first; 32])
    }

    #[tokio::test]
    async fn everybody_waits_for_the_one_dial_and_hears_its_outcome() {
        let (pool, dials) = (Pool::new(), Arc::new(AtomicU32::new(0)));
        let wanted = || {
            let (pool, dials) = (pool.clone(), dials.clone());
            async move {
                let dial = || async move {
                    dials.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    Err(SessionError::TimedOut)
                };
                pool.connection(peer(1), dial).await.map(|_| ())
            }
        };
        let outcomes = tokio::join!(wanted(), wanted(), wanted());
        assert_eq!(outcomes, (Err(SessionError::TimedOut), Err(SessionError::TimedOut), Err(SessionError::TimedOut)));
        assert_eq!(dials.load(Ordering::Relaxed), 1);
        wanted().await.unwrap_err();
        assert_eq!(dials.load(Ordering::Relaxed), 2, "a failure is not remembered");
    }

    #[tokio::test]
    async fn a_dial_outlives_who_asked_first() {
        let pool = Pool::new();
        let (go, wait) = tokio::sync::oneshot::channel::<()>();
        let dial = || async {
            let _ = wait.await;
            Err(SessionError::TimedOut)
        };
        let first = tokio::time::timeout(std::time::Duration::ZERO, pool.connection(peer(1), dial)).await;
        assert!(first.is_err(), "cancelled");
        let second = pool.connection(peer(1), || async { panic!("it is being dialed") });
        go.send(()).unwrap();
        assert_eq!(second.await.map(|_| ()), Err(SessionError::TimedOut));
    }

    #[tokio::test]
    async fn there_is_a_bound() {
        let pool = Pool::new();
        for i in 0..SESSIONS_MAX {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(i as u64).to_be_bytes());
            pool.entry(PeerId::from_public_key(key), std::future::pending).map(|_| ()).unwrap();
        }
        let one_more = pool.entry(peer(255), std::future::pending).map(|_| ());
        assert_eq!(one_more, Err(SessionError::OverLimit));
    }
}
