//! One message to every node that can be reached.

use std::future::Future;

use prunella_core::PeerId;
use tokio::task::JoinSet;

use crate::api::error::{Error, ErrorKind};

/// What became of a broadcast, node by node, in ascending order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Broadcast {
    /// Who has the whole message.
    pub delivered: Vec<PeerId>,
    /// Who may not have it, and why.
    pub failed: Vec<(PeerId, Error)>,
}

/// Has `deliver` called for every peer, a bounded number at once.
pub(super) async fn to_all<F>(peers: Vec<PeerId>, deliver: impl Fn(PeerId) -> F) -> Broadcast
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let mut broadcast = Broadcast::default();
    let mut waiting = peers.into_iter();
    let mut under_way = JoinSet::new();
    loop {
        while under_way.len() < AT_ONCE_MAX
            && let Some(peer) = waiting.next()
        {
            let delivery = deliver(peer);
            under_way.spawn(async move { (peer, delivery.await) });
        }
        match under_way.join_next().await {
            None => break,
            Some(Ok((peer, Ok(())))) => broadcast.delivered.push(peer),
            Some(Ok((peer, Err(error)))) => broadcast.failed.push((peer, error)),
            Some(Err(error)) => tracing::error!(%error, "a delivery ended without an outcome"),
        }
    }
    broadcast.delivered.sort_unstable();
    broadcast.failed.sort_unstable_by_key(|(peer, _)| *peer);
    broadcast
}

/// The error of a delivery that took too long.
pub(super) fn late(name: &str) -> Error {
    Error::new(ErrorKind::TimedOut, format!("{name}: the message was not acknowledged in time"))
}

/// Deliveries at once: each may need a handshake and holds one copy of the message.
const AT_ONCE_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn deliveries_are_bounded_and_every_peer_has_an_outcome() {
        let peers: Vec<PeerId> = (0..50).map(|i| PeerId::from_public_key([i; 32])).collect();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let deliver = |peer: PeerId| {
            let (now, most) = (now.clone(), most.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                now.fetch_sub(1, Ordering::SeqCst);
                if peer.to_bytes()[0].is_multiple_of(5) { Err(late("x")) } else { Ok(()) }
            }
        };
        let broadcast = to_all(peers.clone(), deliver).await;
        assert_eq!(most.load(Ordering::SeqCst), AT_ONCE_MAX);
        assert_eq!((broadcast.delivered.len(), broadcast.failed.len()), (40, 10));
        assert!(broadcast.delivered.is_sorted());
    }
}
