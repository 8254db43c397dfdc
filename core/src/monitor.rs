//! The monitor role: turns reports into incidents.
//!
//! It hears how links, paths and actors are, and asks for incidents to be raised and cleared. Invariant: at most one
//! open incident per kind and subject, and each ends when a report says that the thing works again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Serialize;

use crate::incident::{Incident, IncidentKind};
use crate::limits::{INCIDENTS_MAX, RECORDS_MAX};
use crate::pathfinder::{PathChange, PathReport, SwitchCause};
use crate::peer::{LinkReport, LinkState};
use crate::{Instant, Machine, PeerId};

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Input {
    /// How a neighbor's link is.
    LinkReported(LinkReport),
    /// A neighbor is not watched any more.
    PeerForgotten {
        /// Which.
        peer: PeerId,
    },
    /// What became of a destination.
    PathReported(PathReport),
    /// A node made itself known, or is no longer known.
    NodeLearned {
        /// Which.
        peer: PeerId,
        /// Whether it is known.
        known: bool,
    },
    /// An actor failed.
    ActorFailed {
        /// Its name.
        actor: String,
        /// Why.
        reason: String,
    },
    /// An actor runs again.
    ActorRestarted {
        /// Its name.
        actor: String,
    },
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// An incident begins.
    Raise(Incident),
    /// An incident is over.
    Clear {
        /// Its number.
        incident: u64,
    },
    /// Tell me how all links are again: sent once, when the role starts.
    ResyncWanted,
}

/// What the role is to watch for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Config {
    /// This node.
    pub me: PeerId,
    /// Links that should be up, as far as there are other nodes to link to; 0: any number will do.
    pub neighbors_target: usize,
}

/// The role.
#[derive(Debug)]
pub struct Monitor {
    config: Config,
    next_id: u64,
    open: BTreeMap<IncidentKind, u64>,
    links: BTreeMap<PeerId, LinkState>,
    known: BTreeSet<PeerId>,
    /// Incidents that end by themselves when the time has come.
    ending: BTreeMap<u64, (Instant, IncidentKind)>,
    started: bool,
    /// When too few links become an incident; set while there are too few and none is open.
    few_at: Option<Instant>,
}

impl Monitor {
    /// The role, numbering its incidents from `next_id`, with the incidents that were open when an earlier one ended.
    pub fn new(config: Config, next_id: u64, open: impl IntoIterator<Item = Incident>, now: Instant) -> Self {
        let open: BTreeMap<_, _> = open.into_iter().map(|i| (i.kind, i.id)).collect();
        // What an earlier self raised ends when a report says so; what nobody reports on ends by itself.
        let ends_alone =
            |kind: &IncidentKind| !matches!(kind, IncidentKind::LinkDown { .. } | IncidentKind::FewNeighbors);
        let ending = open
            .iter()
            .filter(|(kind, _)| ends_alone(kind))
            .map(|(kind, id)| (*id, (now + ADOPTED_LIFE, kind.clone())))
            .collect();
        Self {
            config,
            next_id,
            open,
            links: BTreeMap::new(),
            known: BTreeSet::new(),
            ending,
            started: false,
            few_at: None,
        }
    }

    fn raise(&mut self, kind: IncidentKind, evidence: String, now: Instant, effects: &mut Vec<Effect>) -> Option<u64> {
        if self.open.contains_key(&kind) || self.open.len() >= INCIDENTS_MAX {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.open.insert(kind.clone(), id);
        effects.push(Effect::Raise(Incident { id, kind, evidence, opened: now }));
        Some(id)
    }

    fn clear(&mut self, kind: &IncidentKind, effects: &mut Vec<Effect>) {
        if let Some(incident) = self.open.remove(kind) {
            self.ending.remove(&incident);
            effects.push(Effect::Clear { incident });
        }
    }

    fn on_link_reported(&mut self, report: &LinkReport, now: Instant, effects: &mut Vec<Effect>) {
        let before = self.links.insert(report.peer, report.state);
        let kind = IncidentKind::LinkDown { peer: report.peer };
        match report.state {
            LinkState::Up => self.clear(&kind, effects),
            // A neighbor that never answered is not an incident of the link; too few neighbors may be one.
            LinkState::Dialing if before.is_none() && report.established == 0 => {}
            LinkState::Down | LinkState::Dialing if report.established > 0 => {
                let why = if report.state == LinkState::Down { "probes do not return" } else { "the connection ended" };
                self.raise(kind, format!("{why}; loss {}‰", report.loss_permille), now, effects);
            }
            LinkState::Late | LinkState::Down | LinkState::Dialing => {}
        }
        self.count_links(now, effects);
    }

    /// Links that should be up: there cannot be more than other nodes.
    fn target(&self) -> usize {
        self.config.neighbors_target.min(self.known.len())
    }

    fn links_up(&self) -> usize {
        self.links.values().filter(|state| state.is_usable()).count()
    }

    fn count_links(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.links_up() >= self.target() {
            self.few_at = None;
            self.clear(&IncidentKind::FewNeighbors, effects);
        } else if self.few_at.is_none() && !self.open.contains_key(&IncidentKind::FewNeighbors) {
            self.few_at = Some(now + FEW_PATIENCE);
        }
    }

    fn on_path_reported(&mut self, report: PathReport, now: Instant, effects: &mut Vec<Effect>) {
        let destination = report.destination;
        let lost = IncidentKind::PathLost { destination };
        match report.change {
            PathChange::Lost => {
                self.raise(lost, "no path's probes return".to_owned(), now, effects);
            }
            PathChange::Found | PathChange::Released => self.clear(&lost, effects),
            // Nothing was wrong with the path that was left.
            PathChange::Switched { cause: SwitchCause::Better, .. } => {}
            PathChange::Switched { from, to, cause } => {
                let evidence = format!("{cause:?}: from {} to {}", relays(&from), relays(&to)).to_lowercase();
                let kind = IncidentKind::PathSwitched { destination };
                // The switch was the repair: the incident is told, and ends when the new path has held for a while.
                if let Some(id) = self.raise(kind.clone(), evidence, now, effects) {
                    self.ending.insert(id, (now + SWITCH_HOLDS, kind));
                }
            }
        }
    }
}

impl Machine for Monitor {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        match input {
            Input::LinkReported(report) => self.on_link_reported(&report, now, effects),
            Input::PeerForgotten { peer } => {
                self.links.remove(&peer);
                self.clear(&IncidentKind::LinkDown { peer }, effects);
                self.count_links(now, effects);
            }
            Input::PathReported(report) => self.on_path_reported(report, now, effects),
            Input::NodeLearned { peer, known } => {
                if known && peer != self.config.me && self.known.len() < RECORDS_MAX {
                    self.known.insert(peer);
                } else if !known {
                    self.known.remove(&peer);
                }
                self.count_links(now, effects);
            }
            Input::ActorFailed { actor, reason } => {
                self.raise(IncidentKind::ActorFailed { actor }, reason, now, effects);
            }
            Input::ActorRestarted { actor } => self.clear(&IncidentKind::ActorFailed { actor }, effects),
        }
        self.wake(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if !std::mem::replace(&mut self.started, true) {
            effects.push(Effect::ResyncWanted);
        }
        if self.few_at.is_some_and(|at| at <= now) {
            self.few_at = None;
            let evidence = format!("{} of {} links are up", self.links_up(), self.target());
            self.raise(IncidentKind::FewNeighbors, evidence, now, effects);
        }
        let over: Vec<IncidentKind> =
            self.ending.values().filter(|(at, _)| *at <= now).map(|(_, kind)| kind.clone()).collect();
        for kind in over {
            self.clear(&kind, effects);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        if !self.started {
            return Some(Instant::BOOT);
        }
        self.ending.values().map(|(at, _)| *at).chain(self.few_at).min()
    }
}

fn relays(path: &[PeerId]) -> String {
    if path.is_empty() { "direct".to_owned() } else { path.iter().map(PeerId::short).collect::<Vec<_>>().join(",") }
}

/// How long too few links are borne before it is an incident: links come up one after another when a node starts.
const FEW_PATIENCE: Duration = Duration::from_secs(1);
/// How long a path must hold after a switch before the incident is over.
const SWITCH_HOLDS: Duration = Duration::from_secs(1);
/// How long an adopted incident stays open that nobody reports on.
const ADOPTED_LIFE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn link(state: LinkState) -> Input {
        let peer = PeerId::from_public_key([1; 32]);
        Input::LinkReported(LinkReport {
            peer,
            link: None,
            state,
            rtt: Duration::ZERO,
            loss_permille: 0,
            established: 1,
            probed_every: Duration::ZERO,
            carries_until: Instant::BOOT,
            failing: false,
        })
    }

    fn feed(monitor: &mut Monitor, input: Input, ms: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        monitor.handle(input, Instant::from_millis(ms), &mut effects);
        effects
    }

    fn config(neighbors_target: usize) -> Config {
        Config { me: PeerId::from_public_key([9; 32]), neighbors_target }
    }

    fn monitor(target: usize) -> Monitor {
        let mut monitor = Monitor::new(config(target), 1, [], Instant::BOOT);
        monitor.wake(Instant::BOOT, &mut Vec::new());
        monitor
    }

    #[test]
    fn a_link_that_goes_down_is_one_incident_until_it_is_up() {
        let mut monitor = monitor(0);
        assert_eq!(feed(&mut monitor, link(LinkState::Up), 1), []);
        let raised = feed(&mut monitor, link(LinkState::Down), 2);
        assert!(matches!(&raised[..], [Effect::Raise(i)] if i.kind.name() == "link-down"), "{raised:?}");
        assert_eq!(feed(&mut monitor, link(LinkState::Dialing), 3), []);
        assert_eq!(feed(&mut monitor, link(LinkState::Up), 4), [Effect::Clear { incident: 1 }]);
    }

    #[test]
    fn too_few_links_are_an_incident_after_a_while() {
        let mut monitor = monitor(4);
        let mut effects = Vec::new();
        monitor.wake(Instant::from_millis(5000), &mut effects);
        assert_eq!(effects, [], "alone in the mesh, there is nobody to link to");
        for peer in [1, 9] {
            let peer = PeerId::from_public_key([peer; 32]);
            assert_eq!(feed(&mut monitor, Input::NodeLearned { peer, known: true }, 5000), []);
        }
        monitor.wake(Instant::from_millis(5900), &mut effects);
        assert_eq!(effects, []);
        monitor.wake(Instant::from_millis(6000), &mut effects);
        assert!(matches!(&effects[..], [Effect::Raise(i)] if i.kind == IncidentKind::FewNeighbors), "{effects:?}");
        assert_eq!(feed(&mut monitor, link(LinkState::Up), 6100), [Effect::Clear { incident: 1 }]);
    }

    #[test]
    fn a_switch_is_told_and_ends_by_itself() {
        let mut monitor = monitor(0);
        let change = PathChange::Switched { from: vec![], to: vec![], cause: SwitchCause::Late };
        let report = PathReport { destination: PeerId::from_public_key([2; 32]), change };
        assert_eq!(feed(&mut monitor, Input::PathReported(report), 0).len(), 1);
        let mut effects = Vec::new();
        let at = monitor.deadline().unwrap();
        monitor.wake(at, &mut effects);
        assert_eq!(effects, [Effect::Clear { incident: 1 }]);
    }

    #[test]
    fn a_change_to_a_better_path_is_no_incident() {
        let mut monitor = monitor(0);
        let change = PathChange::Switched { from: vec![], to: vec![], cause: SwitchCause::Better };
        let report = PathReport { destination: PeerId::from_public_key([2; 32]), change };
        assert_eq!(feed(&mut monitor, Input::PathReported(report), 0), []);
    }

    #[test]
    fn an_adopted_incident_ends_as_its_own() {
        let kind = IncidentKind::LinkDown { peer: PeerId::from_public_key([1; 32]) };
        let open = Incident { id: 7, kind, evidence: String::new(), opened: Instant::BOOT };
        let mut monitor = Monitor::new(config(0), 8, [open], Instant::BOOT);
        let effects = feed(&mut monitor, link(LinkState::Up), 5);
        assert!(effects.contains(&Effect::Clear { incident: 7 }), "{effects:?}");
    }
}
