//! What peers tell of the paths between us, in datagrams of a session.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use quinn::Connection;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::sleep;

use prunella_core::wire::SessionNotice;
use prunella_core::{PeerId, Rejected, Tag};

/// A peer has left paths to this node, since nothing that it sent was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unanswered {
    /// The peer.
    pub peer: PeerId,
    /// The relays of those paths; for the link between the two stands the peer.
    pub relays: Vec<Tag>,
}

/// Where notices go that peers send. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Notices {
    unanswered: mpsc::Sender<Unanswered>,
    rejected: Arc<[AtomicU64; Rejected::ALL.len()]>,
}

impl Notices {
    /// Notices, and where they come out.
    pub(super) fn new() -> (Self, mpsc::Receiver<Unanswered>) {
        let (unanswered, receiver) = mpsc::channel(WAITING_MAX);
        (Self { unanswered, rejected: Arc::new([const { AtomicU64::new(0) }; Rejected::ALL.len()]) }, receiver)
    }

    /// Hears what `peer` says until the session ends, or until the answer is dropped: whoever hears keeps the session, and
    /// one that is heard only would never end.
    pub(super) fn hear(&self, peer: PeerId, session: &Connection) -> Hearing {
        Hearing(tokio::spawn(self.clone().listen(peer, session.clone())).abort_handle())
    }

    /// What comes faster than it is read is lost, the oldest first.
    async fn listen(self, peer: PeerId, session: Connection) {
        while let Ok(datagram) = session.read_datagram().await {
            match SessionNotice::decode(&datagram) {
                Ok(SessionNotice::Rerouted) => {}
                Ok(SessionNotice::Unacknowledged { relays }) => {
                    let relays = relays.into_iter().map(Tag).collect();
                    // A full queue is emptied soon, and the peer says it again.
                    let _ = self.unanswered.try_send(Unanswered { peer, relays });
                    sleep(HEARD_EVERY).await;
                }
                Err(reason) => {
                    self.rejected[reason as usize].fetch_add(1, Ordering::Relaxed);
                    tracing::debug!(%peer, %reason, "a notice was rejected");
                    sleep(HEARD_EVERY).await;
                }
            }
        }
    }

    /// How many were turned away for this reason.
    pub(super) fn rejected_for(&self, reason: Rejected) -> u64 {
        self.rejected[reason as usize].load(Ordering::Relaxed)
    }
}

/// Somebody who hears a peer's notices; dropped, nobody does.
#[derive(Debug)]
pub(super) struct Hearing(AbortHandle);

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Tells the peer of a session something; whether it arrives is not known.
pub(super) fn tell(session: &Connection, notice: &SessionNotice) {
    if let Err(error) = session.send_datagram(Bytes::from(notice.encode())) {
        tracing::debug!(%error, ?notice, "a notice could not be sent: the peer will notice by itself");
    }
}

/// How soon after a notice the next one of the same session is heard.
const HEARD_EVERY: Duration = Duration::from_millis(20);
/// Most notices of all sessions that wait to be picked up.
const WAITING_MAX: usize = 64;
