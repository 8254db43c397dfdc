//! The risk groups: which parts could be to blame, how sick each is, and what it would explain.

use std::collections::{BTreeMap, BTreeSet};

use super::{Cause, Root, SLACK, Symptom, Topology};
use crate::incident::{Evidence, IncidentKind, Subject};
use crate::{Instant, PeerId, Rejected};

/// Every part that could be to blame for something.
pub(super) fn candidates(symptoms: &[Symptom], topology: &Topology, now: Instant) -> Vec<Cause> {
    let view = View { symptoms, topology, now };
    let mut found: Vec<Cause> = symptoms.iter().filter_map(|symptom| view.open_cause(symptom)).collect();
    let implicated: BTreeSet<PeerId> = symptoms
        .iter()
        .flat_map(|symptom| symptom.relays.iter().copied().chain(symptom.lost_link()).chain(symptom.failed_path()))
        .collect();
    found.extend(implicated.iter().filter_map(|peer| view.node(*peer)));
    found.extend(implicated.iter().filter_map(|peer| view.relay(*peer)));
    found.extend(topology.regions_in_use().into_iter().filter_map(|region| view.region(region)));
    found.extend(view.cut_off());
    found
}

/// Whether a symptom follows from a cause.
type Follows = Box<dyn Fn(&Symptom) -> bool>;

struct View<'a> {
    symptoms: &'a [Symptom],
    topology: &'a Topology,
    now: Instant,
}

impl View<'_> {
    /// An incident that is open already and explains others.
    fn open_cause(&self, root: &Symptom) -> Option<Cause> {
        let (culprit, follows): (Subject, Follows) = match &root.kind {
            IncidentKind::LinkDown { peer } | IncidentKind::LinkOneWay { peer } => {
                let peer = *peer;
                let follows = move |s: &Symptom| {
                    s.first_hop() == Some(peer)
                        || matches!(s.kind, IncidentKind::FewNeighbors)
                        || (s.lost_link() == Some(peer) && matches!(s.kind, IncidentKind::LinkDown { .. }))
                };
                (Subject::Link(peer), Box::new(follows))
            }
            IncidentKind::LinkLossy { peer } | IncidentKind::LinkSlow { peer } => {
                let peer = *peer;
                (Subject::Link(peer), Box::new(move |s| s.first_hop() == Some(peer)))
            }
            IncidentKind::StoreSlow | IncidentKind::StoreFailing => {
                (Subject::Store, Box::new(|s| concerns_actor(&s.kind, WRITER)))
            }
            IncidentKind::ActorStuck { actor } | IncidentKind::ActorFailed { actor } => {
                let name = actor.clone();
                (Subject::Actor(name.clone()), Box::new(move |s| link_of_actor(&s.kind, &name)))
            }
            IncidentKind::Starved => (Subject::Host, Box::new(|s| suffers_from_starvation(&s.kind))),
            IncidentKind::CertificateExpiring if is_expired(&root.evidence) => {
                (Subject::Certificate, Box::new(|s| s.lost_link().is_some()))
            }
            IncidentKind::Refusals { peer } if is_forbidden(&root.evidence) => {
                let peer = *peer;
                (Subject::Policy, Box::new(move |s| s.first_hop() == Some(peer)))
            }
            _ => return None,
        };
        let follows = |s: &&Symptom| s.incident != root.incident && s.opened + SLACK >= root.opened && follows(s);
        let children: BTreeSet<u64> = self.symptoms.iter().filter(follows).map(|s| s.incident).collect();
        let count = children.len();
        Some(Cause { culprit, root: Root::Open(root.incident), children, hits: count, of: count })
    }

    /// A node that nobody reaches: its neighbors, this node among them, have all lost their links to it.
    fn node(&self, peer: PeerId) -> Option<Cause> {
        let own = self.symptoms.iter().any(|s| s.lost_link() == Some(peer));
        let unreachable = self.symptoms.iter().any(|s| s.kind == IncidentKind::PathLost { destination: peer });
        let is_linked = self.topology.links().any(|link| link == peer);
        // A neighbor that works is no unreachable node, whatever others say of it.
        if is_linked && !own {
            return None;
        }
        let hits = self.topology.dropped_by(&peer, self.now) + usize::from(own) + usize::from(unreachable);
        let of = hits + self.topology.listed_by(&peer);
        let follows = |s: &&Symptom| {
            s.lost_link() == Some(peer)
                || s.failed_path() == Some(peer)
                || s.relays.contains(&peer)
                || (own && s.kind == IncidentKind::FewNeighbors)
        };
        let kind = IncidentKind::NodeUnreachable { peer };
        (hits >= 2).then(|| self.inferred(Subject::Peer(peer), kind, hits, of, follows))?
    }

    /// A relay that is no neighbor, and that no path passes.
    fn relay(&self, relay: PeerId) -> Option<Cause> {
        if self.topology.links().any(|link| link == relay) {
            // A neighbor's link can be asked; and if it answers, it may be the relay all the same.
            let own = self.symptoms.iter().any(|s| s.lost_link() == Some(relay));
            if own {
                return None;
            }
        }
        let failed: BTreeSet<PeerId> =
            self.symptoms.iter().filter(|s| s.relays.contains(&relay)).filter_map(Symptom::failed_path).collect();
        let passing = self.topology.paths().filter(|(to, relays)| relays.contains(&relay) && !failed.contains(to));
        let of = failed.len() + passing.count();
        let kind = IncidentKind::RelayFailing { peer: relay };
        let follows = |s: &&Symptom| s.failed_path().is_some() && s.relays.contains(&relay);
        (failed.len() >= 2).then(|| self.inferred(Subject::Relay(relay), kind, failed.len(), of, follows))?
    }

    /// A region of which nobody answers, while others do.
    fn region(&self, region: &str) -> Option<Cause> {
        let is_inside = |peer: &PeerId| self.topology.region(peer) == Some(region);
        let watched: BTreeSet<PeerId> = self.topology.links().chain(self.topology.paths().map(|(to, _)| to)).collect();
        let lost: BTreeSet<PeerId> = self.unanswered().keys().copied().collect();
        let inside: BTreeSet<PeerId> = watched.iter().copied().filter(is_inside).collect();
        let hits = inside.intersection(&lost).count();
        let others_answer = watched.iter().any(|peer| !is_inside(peer) && !lost.contains(peer));
        let follows = |s: &&Symptom| s.lost_link().or(s.failed_path()).is_some_and(|peer| is_inside(&peer));
        let kind = IncidentKind::RegionUnreachable { region: region.to_owned() };
        let culprit = Subject::Region(region.to_owned());
        (hits >= 2 && others_answer).then(|| self.inferred(culprit, kind, hits, inside.len(), follows))?
    }

    /// This node itself, all of whose links are lost.
    fn cut_off(&self) -> Option<Cause> {
        let of = self.topology.links().len();
        let lost: BTreeSet<PeerId> = self.symptoms.iter().filter_map(Symptom::lost_link).collect();
        let hits = self.topology.links().filter(|link| lost.contains(link)).count();
        let follows =
            |s: &&Symptom| s.lost_link().is_some() || s.failed_path().is_some() || s.kind == IncidentKind::FewNeighbors;
        (hits >= 2 && hits == of).then(|| self.inferred(Subject::Host, IncidentKind::CutOff, hits, of, follows))?
    }

    /// Nodes that do not answer, each with how many incidents say so.
    fn unanswered(&self) -> BTreeMap<PeerId, usize> {
        let mut count = BTreeMap::new();
        for symptom in self.symptoms {
            let lost = symptom.lost_link().or(symptom.kind.lost_destination());
            if let Some(peer) = lost {
                *count.entry(peer).or_default() += 1;
            }
        }
        count
    }

    fn inferred(
        &self,
        culprit: Subject,
        kind: IncidentKind,
        hits: usize,
        of: usize,
        follows: impl Fn(&&Symptom) -> bool,
    ) -> Option<Cause> {
        if hits * 100 < of * HIT_PERCENT {
            return None;
        }
        let children = self.symptoms.iter().filter(follows).map(|s| s.incident).collect();
        Some(Cause { culprit, root: Root::Inferred(kind), children, hits, of })
    }
}

fn concerns_actor(kind: &IncidentKind, name: &str) -> bool {
    use IncidentKind::{ActorFailed, ActorSlow, ActorStuck};
    matches!(kind, ActorStuck { actor } | ActorSlow { actor } | ActorFailed { actor } if actor == name)
}

/// Whether an incident is of the link that this actor looks after.
fn link_of_actor(kind: &IncidentKind, actor: &str) -> bool {
    let Some(short) = actor.strip_prefix("peer/") else { return false };
    matches!(kind, IncidentKind::LinkDown { peer } | IncidentKind::LinkSlow { peer } if peer.short() == short)
}

const fn suffers_from_starvation(kind: &IncidentKind) -> bool {
    matches!(
        kind,
        IncidentKind::LinkDown { .. }
            | IncidentKind::LinkSlow { .. }
            | IncidentKind::LinkLossy { .. }
            | IncidentKind::PathSwitched { .. }
            | IncidentKind::PathLost { .. }
            | IncidentKind::PathChurn { .. }
            | IncidentKind::ActorStuck { .. }
            | IncidentKind::ActorSlow { .. }
            | IncidentKind::StoreSlow
    )
}

const fn is_expired(evidence: &Evidence) -> bool {
    matches!(evidence, Evidence::Expiry { left } if left.is_zero())
}

const fn is_forbidden(evidence: &Evidence) -> bool {
    matches!(evidence, Evidence::Refused { reason: Rejected::Unauthorized, .. })
}

/// The actor that writes to the store.
const WRITER: &str = "knowledge";
/// The part of what depends on a culprit that must be in trouble.
const HIT_PERCENT: usize = 80;
