//! How many conversations are served, for whom, and what was turned away.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prunella_core::limits::{
    REMOTE_COMMANDERS_MAX, REMOTE_COMMANDS_PER_SECOND, REMOTE_CONVERSATIONS_MAX, REMOTE_CONVERSATIONS_PER_PEER_MAX,
};
use prunella_core::{Instant, PeerId, Rejected};

use crate::api::rates::Rates;

/// What a node does for others: bounded in all and for each of them, and counted.
#[derive(Clone, Debug, Default)]
pub(in crate::api) struct Remote {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    open: Mutex<BTreeMap<PeerId, usize>>,
    rates: Rates<PeerId>,
    performed: AtomicU64,
    asked: AtomicU64,
    busy: AtomicU64,
    rejected: [AtomicU64; REJECTED.len()],
}

/// A place for a conversation; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    peer: PeerId,
}

impl Remote {
    /// A place for a conversation with `peer`; `None` if it has as many as it may have, or all have.
    pub(super) fn place(&self, peer: PeerId) -> Option<Place> {
        let mut open = self.shared.open();
        let of_peer = open.get(&peer).copied().unwrap_or_default();
        if of_peer >= REMOTE_CONVERSATIONS_PER_PEER_MAX || open.values().sum::<usize>() >= REMOTE_CONVERSATIONS_MAX {
            self.shared.busy.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        open.insert(peer, of_peer + 1);
        drop(open);
        Some(Place { shared: Arc::clone(&self.shared), peer })
    }

    /// Whether `peer` may give a command now; counted as turned away if not.
    pub(super) fn takes_command_of(&self, peer: PeerId, now: Instant) -> bool {
        let taken = self.shared.rates.take(peer, now);
        if !taken {
            self.count_rejected(Rejected::Flood);
        }
        taken
    }

    /// A command is performed.
    pub(super) fn count_performed(&self) {
        self.shared.performed.fetch_add(1, Ordering::Relaxed);
    }

    /// A command was sent to another node.
    pub(super) fn count_asked(&self) {
        self.shared.asked.fetch_add(1, Ordering::Relaxed);
    }

    /// What a peer sent was turned away.
    pub(super) fn count_rejected(&self, reason: Rejected) {
        let of = REJECTED.iter().position(|(counted, _)| *counted == reason).unwrap_or_default();
        self.shared.rejected[of].fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted, by name.
    pub(in crate::api) fn counters(&self) -> BTreeMap<String, u64> {
        let shared = &self.shared;
        let open = shared.open().values().sum::<usize>() as u64;
        let rejected = REJECTED.iter().zip(&shared.rejected).map(|((_, name), count)| (*name, load(count)));
        let others = [
            ("remote_open", open),
            ("remote_performed", load(&shared.performed)),
            ("remote_busy", load(&shared.busy)),
            ("remote_asked", load(&shared.asked)),
        ];
        rejected.chain(others).map(|(name, count)| (name.to_owned(), count)).collect()
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            open: Mutex::default(),
            rates: Rates::new(REMOTE_COMMANDS_PER_SECOND, REMOTE_COMMANDERS_MAX),
            performed: AtomicU64::default(),
            asked: AtomicU64::default(),
            busy: AtomicU64::default(),
            rejected: Default::default(),
        }
    }
}

impl Shared {
    fn open(&self) -> MutexGuard<'_, BTreeMap<PeerId, usize>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.shared.open();
        if let Some(of_peer) = open.get_mut(&self.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                open.remove(&self.peer);
            }
        }
    }
}

fn load(count: &AtomicU64) -> u64 {
    count.load(Ordering::Relaxed)
}

/// Why requests are turned away, and under which name that is counted; what is none of these counts as the first.
const REJECTED: [(Rejected, &str); 5] = [
    (Rejected::Malformed, "remote_malformed"),
    (Rejected::OverLimit, "remote_over_limit"),
    (Rejected::Unauthorized, "remote_unauthorized"),
    // Faster than commands may come.
    (Rejected::Flood, "remote_flood"),
    // Nothing came in time.
    (Rejected::Stale, "remote_silent"),
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn peer(first: usize) -> PeerId {
        PeerId::from_public_key([first as u8; 32])
    }

    #[test]
    fn no_peer_takes_more_than_its_places_and_all_together_no_more_than_there_are() {
        let remote = Remote::default();
        let mut taken: Vec<Place> =
            (0..REMOTE_CONVERSATIONS_PER_PEER_MAX).map(|_| remote.place(peer(0)).unwrap()).collect();
        assert!(remote.place(peer(0)).is_none());
        taken.pop();
        taken.push(remote.place(peer(0)).expect("it was given back"));
        for other in 1.. {
            let Some(place) = remote.place(peer(other)) else { break };
            taken.push(place);
        }
        assert_eq!(
            taken.len(),
            REMOTE_CONVERSATIONS_PER_PEER_MAX + REMOTE_CONVERSATIONS_MAX - REMOTE_CONVERSATIONS_PER_PEER_MAX
        );
        let counters = remote.counters();
        assert_eq!((counters["remote_open"], counters["remote_busy"]), (REMOTE_CONVERSATIONS_MAX as u64, 2));
        taken.clear();
        assert_eq!(remote.counters()["remote_open"], 0);
        assert!(remote.shared.open().is_empty());
    }

    #[test]
    fn nobody_commands_faster_than_the_limit_and_nobody_is_slowed_by_another() {
        let (remote, start) = (Remote::default(), Instant::from_millis(5000));
        let per_second = REMOTE_COMMANDS_PER_SECOND as usize;
        let taken = |from, at, tries: usize| (0..tries).filter(|_| remote.takes_command_of(peer(from), at)).count();
        assert_eq!(taken(1, start, 3 * per_second), per_second);
        assert_eq!(remote.counters()["remote_flood"], 2 * per_second as u64);
        assert_eq!(taken(2, start, per_second), per_second);
        assert_eq!(taken(1, start + Duration::from_millis(100), per_second), per_second / 10);
        assert_eq!(taken(1, start + Duration::from_secs(60), 3 * per_second), per_second);
    }

    #[test]
    fn who_rests_is_forgotten_when_others_need_the_room() {
        let (remote, start) = (Remote::default(), Instant::from_millis(5000));
        let peer = |n: usize| PeerId::from_public_key(std::array::from_fn(|i| (n >> (8 * (i % 4))) as u8));
        assert!((0..REMOTE_COMMANDERS_MAX).all(|n| remote.takes_command_of(peer(n), start)));
        assert!(!remote.takes_command_of(peer(REMOTE_COMMANDERS_MAX), start), "there is no room");
        assert!(remote.takes_command_of(peer(0), start));
        let later = start + Duration::from_secs(1);
        assert!(remote.takes_command_of(peer(REMOTE_COMMANDERS_MAX), later));
    }

    #[test]
    fn every_reason_is_counted_under_its_name() {
        let remote = Remote::default();
        for (reason, name) in REJECTED {
            remote.count_rejected(reason);
            assert_eq!(remote.counters()[name], 1);
        }
    }
}
