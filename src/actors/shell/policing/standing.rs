//! What is known of other nodes: the facts that policies ask for.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::Duration;

use prunella_core::limits::{LINKS_PER_NODE_MAX, SESSIONS_MAX};
use prunella_core::{Instant, PeerId};
use tokio::sync::Notify;

use super::{Count, lock};
use crate::actors::shell::Shell;
use crate::policy::{Action, Facts, NodeFacts, Request};
use crate::security::{Role, Summary, WorkloadId, workload_of};

/// What no other table of the shell holds.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Whom gossip believes less than in full, in thousandths. Bounded by the reputations that it remembers.
    reputations: RwLock<BTreeMap<PeerId, u16>>,
    /// What the certificate says that each peer presented last.
    certificates: RwLock<BTreeMap<PeerId, Presented>>,
    /// Whether one had to make room: then of a peer whose certificate is not here it is not known as what it was admitted.
    is_any_forgotten: AtomicBool,
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
    fn set_presented(&self, peer: PeerId, presented: Presented) -> bool {
        let mut certificates = self.certificates.write().unwrap_or_else(PoisonError::into_inner);
        if certificates.len() >= CERTIFICATES_MAX && !certificates.contains_key(&peer) {
            let oldest = certificates.iter().min_by_key(|(_, presented)| presented.issued_unix).map(|(peer, _)| *peer);
            if let Some(oldest) = oldest {
                certificates.remove(&oldest);
                self.is_any_forgotten.store(true, Ordering::Relaxed);
            }
        }
        let is_news = certificates.get(&peer) != Some(&presented);
        certificates.insert(peer, presented);
        is_news
    }

    fn presented(&self, peer: &PeerId) -> Option<Presented> {
        self.certificates.read().unwrap_or_else(PoisonError::into_inner).get(peer).cloned()
    }
}

/// What a certificate says that policies ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Presented {
    /// When it was issued, in seconds since the Unix epoch.
    issued_unix: u64,
    /// As which workload its node was admitted; `None`: on an invitation.
    workload: Option<WorkloadId>,
}

impl Presented {
    fn of(chain: &[Vec<u8>]) -> Option<Self> {
        let issued_unix = Summary::of(Role::Node, chain.first()?).map(|summary| summary.from_unix)?;
        Some(Self { issued_unix, workload: workload_of(chain) })
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
        if let Some(presented) = Presented::of(chain)
            && self.policing.standing.set_presented(peer, presented)
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
        let standing = &self.policing.standing;
        if *about == self.credentials.peer() {
            let (name, region) = (self.config.name.clone(), self.config.region.clone());
            let presented = Presented::of(&self.credentials.chain_ders());
            return NodeFacts { name, region, ..self.with_certificate(NodeFacts::sound(), presented) };
        }
        let (name, region) = self.known.name_and_region(about);
        let facts = NodeFacts {
            name,
            region,
            reputation: standing.reputation(about),
            quarantined: self.roster.quarantine.contains(about),
            incident: self.journal.worst_about(about).unwrap_or_default().to_owned(),
            ..NodeFacts::default()
        };
        self.with_certificate(facts, standing.presented(about))
    }
}

impl Shell {
    /// Whether policy lets a host join under this id, as this workload: what a new node's certificate would say is known
    /// of it, and what is known of the id.
    ///
    /// # Errors
    /// What forbids it.
    pub fn may_join(&self, peer: PeerId, workload: &WorkloadId) -> Result<(), String> {
        let request = Request { from: peer, action: Action::Admit };
        let verdict = self.policing.in_force.load().engine.judge(&request, &Applicant { shell: self, peer, workload });
        if verdict.allowed {
            return Ok(());
        }
        self.policing.streams.counters.add(Count::Denied);
        Err(verdict.names())
    }

    /// The facts with those that a certificate tells.
    fn with_certificate(&self, facts: NodeFacts, presented: Option<Presented>) -> NodeFacts {
        let own = self.credentials.trust_domain();
        let Some(Presented { issued_unix, workload }) = presented else {
            // Of a certificate that nobody has seen nothing good is known.
            let federated = self.policing.standing.is_any_forgotten.load(Ordering::Relaxed);
            let trust_domain = if federated { String::new() } else { own };
            return NodeFacts { certificate_age: Duration::from_secs(u64::MAX), trust_domain, federated, ..facts };
        };
        let age = self.host.unix_time().as_secs().saturating_sub(issued_unix);
        NodeFacts { certificate_age: Duration::from_secs(age), ..with_workload(facts, &own, workload.as_ref()) }
    }
}

/// The facts with those that follow from the workload as which a node is admitted.
fn with_workload(facts: NodeFacts, own: &str, workload: Option<&WorkloadId>) -> NodeFacts {
    let trust_domain = workload.map_or(own, |workload| workload.trust_domain().as_str()).to_owned();
    let spiffe_id = workload.map(WorkloadId::to_string).unwrap_or_default();
    NodeFacts { federated: trust_domain != own, trust_domain, spiffe_id, ..facts }
}

/// What is known when somebody wants to join.
struct Applicant<'a> {
    shell: &'a Shell,
    peer: PeerId,
    workload: &'a WorkloadId,
}

impl Facts for Applicant<'_> {
    fn generation(&self, about: &PeerId) -> u64 {
        self.shell.generation(about)
    }

    fn node(&self, about: &PeerId) -> NodeFacts {
        let facts = self.shell.node(about);
        if *about != self.peer {
            return facts;
        }
        let facts = NodeFacts { certificate_age: Duration::ZERO, ..facts };
        with_workload(facts, &self.shell.credentials.trust_domain(), Some(self.workload))
    }
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
        let presented = |issued_unix| Presented { issued_unix, workload: None };
        for number in 0..=CERTIFICATES_MAX as u64 {
            assert!(!standing.is_any_forgotten.load(Ordering::Relaxed), "{number}");
            assert!(standing.set_presented(peer(number), presented(1000 + number)));
        }
        assert_eq!((standing.presented(&peer(0)), standing.presented(&peer(1))), (None, Some(presented(1001))));
        assert!(standing.is_any_forgotten.load(Ordering::Relaxed));
        assert!(!standing.set_presented(peer(1), presented(1001)), "no news");
        let workload = Some("spiffe://p.example/web".parse().unwrap());
        assert!(standing.set_presented(peer(1), Presented { workload, ..presented(1001) }), "it came as somebody else");
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
    #[test]
    fn a_workload_of_the_mesh_s_own_trust_domain_is_not_federated() {
        let workload: WorkloadId = "spiffe://corp.example/ns/web".parse().unwrap();
        let of = |own: &str, workload| {
            let facts = with_workload(NodeFacts::sound(), own, workload);
            (facts.trust_domain, facts.spiffe_id, facts.federated)
        };
        let id = workload.to_string();
        assert_eq!(of("corp.example", Some(&workload)), ("corp.example".to_owned(), id.clone(), false));
        assert_eq!(of("mesh.example", Some(&workload)), ("corp.example".to_owned(), id, true));
        assert_eq!(of("mesh.example", None), ("mesh.example".to_owned(), String::new(), false));
    }
}
