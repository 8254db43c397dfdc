//! What is known of other nodes: the facts that policies ask for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use prunella_core::limits::{LINKS_PER_NODE_MAX, SESSIONS_MAX};
use prunella_core::{Instant, PeerId};
use tokio::sync::Notify;

use super::lock;
use crate::actors::shell::Shell;
use crate::policy::{Facts, NodeFacts};
use crate::security::{Role, Summary};

/// What no other table of the shell holds.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Whom gossip believes less than in full, in thousandths. Bounded by the reputations that it remembers.
    reputations: RwLock<BTreeMap<PeerId, u16>>,
    /// When the certificate was issued that each peer presented last, in seconds since the Unix epoch.
    certificates: RwLock<BTreeMap<PeerId, u64>>,
    /// How often anything has changed.
    changes: AtomicU64,
    /// When the first change came about which nobody was asked yet.
    changed_at: Mutex<Option<Instant>>,
    /// Something has changed.
    pub(super) changed: Notify,
}

impl Standing {
    /// Verdicts that were made before count no more.
    pub(super) fn has_changed(&self, now: Instant) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        lock(&self.changed_at).get_or_insert(now);
        self.changed.notify_one();
    }

    /// When the first change came since this was asked last.
    pub(super) fn take_changed_at(&self) -> Option<Instant> {
        lock(&self.changed_at).take()
    }

    /// Whether that is news.
    fn set_reputation(&self, peer: PeerId, permille: u16) -> bool {
        let mut reputations = self.reputations.write().unwrap_or_else(PoisonError::into_inner);
        let before = if permille >= FULL { reputations.remove(&peer) } else { reputations.insert(peer, permille) };
        before.unwrap_or(FULL) != permille
    }

    /// Whether that is news.
    fn forget_reputations(&self) -> bool {
        let mut reputations = self.reputations.write().unwrap_or_else(PoisonError::into_inner);
        !std::mem::take(&mut *reputations).is_empty()
    }

    fn reputation(&self, peer: &PeerId) -> u16 {
        self.reputations.read().unwrap_or_else(PoisonError::into_inner).get(peer).copied().unwrap_or(FULL)
    }

    /// Whether that is news. The oldest certificate makes room.
    fn set_issued(&self, peer: PeerId, issued_unix: u64) -> bool {
        let mut certificates = self.certificates.write().unwrap_or_else(PoisonError::into_inner);
        if certificates.len() >= CERTIFICATES_MAX && !certificates.contains_key(&peer) {
            let oldest = certificates.iter().min_by_key(|(_, issued)| **issued).map(|(peer, _)| *peer);
            if let Some(oldest) = oldest {
                certificates.remove(&oldest);
            }
        }
        certificates.insert(peer, issued_unix) != Some(issued_unix)
    }

    fn issued(&self, peer: &PeerId) -> Option<u64> {
        self.certificates.read().unwrap_or_else(PoisonError::into_inner).get(peer).copied()
    }
}

impl Shell {
    /// Something that policies may ask for has changed: open streams and relays are judged again.
    pub(in crate::actors::shell) fn facts_changed(&self) {
        self.policing.standing.has_changed(self.clock.now());
    }

    pub(in crate::actors::shell) fn set_reputation(&self, peer: PeerId, permille: u16) {
        if self.policing.standing.set_reputation(peer, permille) {
            self.facts_changed();
        }
    }

    /// A gossip role that begins believes everybody.
    pub(in crate::actors::shell) fn forget_reputations(&self) {
        if self.policing.standing.forget_reputations() {
            self.facts_changed();
        }
    }

    /// A peer has proven who it is by this chain, DER.
    pub(in crate::actors::shell) fn met(&self, peer: PeerId, chain: &[Vec<u8>]) {
        if let Some(issued) = issued(chain)
            && self.policing.standing.set_issued(peer, issued)
        {
            self.facts_changed();
        }
    }
}

impl Facts for Shell {
    /// The same for everybody: what changes is rare beside what is asked.
    fn generation(&self, _about: &PeerId) -> u64 {
        let age = self.clock.now().as_millis() / AGES_TOLD_EVERY.as_millis() as u64;
        (self.policing.standing.changes.load(Ordering::Acquire) << 24) ^ age
    }

    fn node(&self, about: &PeerId) -> NodeFacts {
        let (standing, now_unix) = (&self.policing.standing, self.host.unix_time().as_secs());
        let age = |issued: Option<u64>| {
            // Of a certificate that nobody has seen nothing good is known.
            issued.map_or(Duration::from_secs(u64::MAX), |issued| Duration::from_secs(now_unix.saturating_sub(issued)))
        };
        let trust_domain = self.credentials.trust_domain();
        if *about == self.credentials.peer() {
            let (name, region) = (self.config.name.clone(), self.config.region.clone());
            let certificate_age = age(issued(&self.credentials.chain_ders()));
            return NodeFacts { name, region, certificate_age, trust_domain, ..NodeFacts::sound() };
        }
        let (name, region) = self.known.name_and_region(about);
        NodeFacts {
            name,
            region,
            reputation: standing.reputation(about),
            certificate_age: age(standing.issued(about)),
            quarantined: self.roster.quarantine.contains(about),
            incident: self.journal.worst_about(about).unwrap_or_default().to_owned(),
            // Nobody with another one gets through a handshake.
            trust_domain,
        }
    }
}

fn issued(chain: &[Vec<u8>]) -> Option<u64> {
    Summary::of(Role::Node, chain.first()?).map(|summary| summary.from_unix)
}

/// How often ages are told anew, and verdicts that rest on them are taken again.
pub(super) const AGES_TOLD_EVERY: Duration = Duration::from_secs(10);
/// Believed in full, in thousandths.
const FULL: u16 = 1000;
/// Peers whose certificates are remembered.
const CERTIFICATES_MAX: usize = SESSIONS_MAX + LINKS_PER_NODE_MAX;

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(number: u64) -> PeerId {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&number.to_be_bytes());
        PeerId::from_public_key(key)
    }

    #[test]
    fn whoever_is_believed_in_full_is_not_remembered() {
        let standing = Standing::default();
        assert!(!standing.set_reputation(peer(1), 1000));
        assert!(standing.set_reputation(peer(1), 400) && !standing.set_reputation(peer(1), 400));
        assert_eq!((standing.reputation(&peer(1)), standing.reputation(&peer(2))), (400, 1000));
        assert!(standing.set_reputation(peer(1), 1000));
        assert!(standing.reputations.read().unwrap().is_empty() && !standing.forget_reputations());
    }

    #[test]
    fn the_oldest_certificate_makes_room() {
        let standing = Standing::default();
        for number in 0..=CERTIFICATES_MAX as u64 {
            assert!(standing.set_issued(peer(number), 1000 + number));
        }
        assert_eq!((standing.issued(&peer(0)), standing.issued(&peer(1))), (None, Some(1001)));
        assert!(!standing.set_issued(peer(1), 1001), "no news");
    }

    #[test]
    fn the_time_of_the_first_change_is_kept_until_somebody_asks() {
        let standing = Standing::default();
        for at in [3, 5] {
            standing.has_changed(Instant::from_millis(at));
        }
        assert_eq!(standing.take_changed_at(), Some(Instant::from_millis(3)));
        assert_eq!(standing.take_changed_at(), None);
        assert_eq!(standing.changes.load(Ordering::Relaxed), 2);
    }
}
