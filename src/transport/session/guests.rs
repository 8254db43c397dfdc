//! The sessions that peers have dialed, by peer, so that they can be bounded and cut.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use quinn::Connection;

use prunella_core::PeerId;

use crate::transport::closing::Closing;

use super::lanes::lane_of;

/// Inbound sessions.
#[derive(Default)]
pub(super) struct Guests {
    by_peer: Mutex<BTreeMap<PeerId, Vec<Connection>>>,
}

impl Guests {
    /// Lets a session in. The peer's oldest one on that lane has to go if it has too many there: it needs one, and a second
    /// while it dials anew.
    pub(super) fn enter(&self, peer: PeerId, connection: Connection) {
        let mut by_peer = self.lock();
        let sessions = by_peer.entry(peer).or_default();
        let lane = lane_of(&connection);
        let of_lane = |session: &Connection| lane_of(session) == lane;
        if sessions.iter().filter(|session| of_lane(session)).count() >= SESSIONS_PER_LANE_MAX
            && let Some(oldest) = sessions.iter().position(of_lane)
        {
            Closing::Replaced.close(&sessions.remove(oldest));
        }
        sessions.push(connection);
    }

    /// Forgets a session that has ended.
    pub(super) fn leave(&self, peer: PeerId, connection: &Connection) {
        let mut by_peer = self.lock();
        if let Some(sessions) = by_peer.get_mut(&peer) {
            sessions.retain(|session| session.stable_id() != connection.stable_id());
            if sessions.is_empty() {
                by_peer.remove(&peer);
            }
        }
    }

    /// Closes every session that `peer` has dialed.
    pub(super) fn sever(&self, peer: PeerId) {
        for session in self.lock().remove(&peer).unwrap_or_default() {
            Closing::Decided.close(&session);
        }
    }

    /// The sessions that `peer` has dialed.
    pub(super) fn living(&self, peer: PeerId) -> Vec<Connection> {
        self.lock().get(&peer).cloned().unwrap_or_default()
    }

    /// Every session that a peer dialed, and whose it is.
    pub(super) fn all(&self) -> Vec<(PeerId, Connection)> {
        let all = self.lock();
        all.iter().flat_map(|(peer, sessions)| sessions.iter().map(|session| (*peer, session.clone()))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Vec<Connection>>> {
        self.by_peer.lock().expect("BUG: nothing panics while it holds the guests")
    }
}

/// Most sessions that one peer may have dialed at once on each lane.
const SESSIONS_PER_LANE_MAX: usize = 4;
