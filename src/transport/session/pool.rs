//! One outbound connection per peer and lane: dialed once, used by everybody, dialed again when it is dead.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};

use quinn::Connection;
use tokio::runtime::Handle;
use tokio::sync::watch;

use prunella_core::PeerId;
use prunella_core::limits::SESSIONS_MAX;

use crate::transport::closing::Closing;

use super::error::SessionError;
use super::lanes::lane_of;
use super::notices::Hearing;

/// A peer, and a lane to it.
type Key = (PeerId, u8);
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
    entries: Arc<Mutex<BTreeMap<Key, Entry>>>,
    /// Where the endpoint lives, whoever calls.
    runtime: Handle,
}

enum Entry {
    /// Somebody dials; everybody who wants the connection waits here for the one outcome.
    Dialing(watch::Receiver<Option<Outcome>>),
    Ready(Dialed),
}

impl Entry {
    fn ready(&self) -> Option<Connection> {
        match self {
            Entry::Dialing(_) => None,
            Entry::Ready(Dialed { session, .. }) => Some(session.clone()),
        }
    }

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

    /// The connection to a peer on a lane, and whether it is fresh: made now, not taken from before. `dial` is called if there is
    /// none; the dial goes on if this call is cancelled, for those who wait with it.
    pub(super) async fn connection<F>(
        &self,
        key: Key,
        dial: impl FnOnce() -> F,
    ) -> Result<(Connection, bool), SessionError>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut outcome = match self.entry(key, dial)? {
            Entry::Ready(Dialed { session, .. }) => return Ok((session, false)),
            Entry::Dialing(outcome) => outcome,
        };
        let outcome = match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().expect("BUG: it was waited for"),
            Err(_) => return Err(SessionError::NotRunning),
        };
        outcome.map(|Dialed { session, .. }| (session, true))
    }

    fn entry<F>(&self, key: Key, dial: impl FnOnce() -> F) -> Result<Entry, SessionError>
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut entries = self.lock();
        match entries.get(&key) {
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
        entries.insert(key, Entry::Dialing(outcome.clone()));
        self.runtime.spawn(self.clone().settle(key, dial(), sender));
        Ok(Entry::Dialing(outcome))
    }

    async fn settle(self, key: Key, dial: impl Future<Output = Outcome>, outcome: watch::Sender<Option<Outcome>>) {
        let settled = dial.await;
        let mut entries = self.lock();
        match &settled {
            Ok(dialed) => entries.insert(key, Entry::Ready(dialed.clone())),
            Err(_) => entries.remove(&key),
        };
        drop(entries);
        outcome.send_replace(Some(settled));
    }

    /// Forgets `connection`, unless another has taken its place. It ends with its last stream.
    pub(super) fn discard(&self, peer: PeerId, connection: &Connection) {
        let (mut entries, key) = (self.lock(), (peer, lane_of(connection)));
        if let Some(Entry::Ready(pooled)) = entries.get(&key)
            && pooled.session.stable_id() == connection.stable_id()
        {
            entries.remove(&key);
        }
    }

    /// Closes the connections to `peer`. One that is being dialed is not affected.
    pub(super) fn sever(&self, peer: PeerId) {
        self.lock().retain(|key, entry| match entry {
            Entry::Ready(dialed) if key.0 == peer => {
                Closing::Decided.close(&dialed.session);
                false
            }
            _ => true,
        });
    }

    /// The connections to `peer`, in the order of their lanes.
    pub(super) fn living(&self, peer: PeerId) -> Vec<Connection> {
        self.lock().range((peer, 0)..=(peer, u8::MAX)).filter_map(|(_, entry)| entry.ready()).collect()
    }

    /// Every connection, and to whom it is.
    pub(super) fn all(&self) -> Vec<(PeerId, Connection)> {
        let living = |(key, entry): (&Key, &Entry)| Some((key.0, entry.ready()?)).filter(|_| !entry.is_dead());
        self.lock().iter().filter_map(living).collect()
    }

    /// The peers with a living connection.
    pub(super) fn peers(&self) -> Vec<PeerId> {
        let mut peers: Vec<PeerId> = self.all().into_iter().map(|(peer, _)| peer).collect();
        peers.dedup();
        peers
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Entry>> {
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
                pool.connection((peer(1), 0), dial).await.map(|_| ())
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
        let first = tokio::time::timeout(std::time::Duration::ZERO, pool.connection((peer(1), 0), dial)).await;
        assert!(first.is_err(), "cancelled");
        let second = pool.connection((peer(1), 0), || async { panic!("it is being dialed") });
        go.send(()).unwrap();
        assert_eq!(second.await.map(|_| ()), Err(SessionError::TimedOut));
    }

    #[tokio::test]
    async fn there_is_a_bound() {
        let pool = Pool::new();
        for i in 0..SESSIONS_MAX {
            let mut key = [0; 32];
            key[..8].copy_from_slice(&(i as u64).to_be_bytes());
            pool.entry((PeerId::from_public_key(key), 0), std::future::pending).map(|_| ()).unwrap();
        }
        let one_more = pool.entry((peer(255), 0), std::future::pending).map(|_| ());
        assert_eq!(one_more, Err(SessionError::OverLimit));
    }
}
