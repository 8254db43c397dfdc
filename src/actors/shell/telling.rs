//! What the mesh and this node's own healing have come to is told: to operators in the log, to those who follow events, to
//! policy, and to the journal.

use prunella_core::PeerId;
use prunella_core::membership::quorum::{PartitionEvent, Quorum};
use prunella_core::membership::{Change, Evidence, Status};
use prunella_core::record::{LinkBody, NodeBody};
use prunella_core::wiring::Command;

use super::Shell;
use crate::actors::event_log::Event;

impl Shell {
    /// Writes down that this has happened now.
    pub(super) fn tell(&self, event: Event) {
        self.directory.events.tell(self.clock.now(), event);
    }

    /// What a node says of itself has changed, or is not known any more.
    pub(super) fn learn_node(&self, peer: PeerId, body: Option<NodeBody>) {
        let said = body.as_ref().map(|body| (body.name.clone(), body.region.clone()));
        if self.known.announced(&peer) != body.as_ref().map(|body| body.announced.clone()).unwrap_or_default() {
            self.networks.changed();
        }
        if !self.known.set_node(peer, body) {
            return;
        }
        self.facts_changed();
        self.tell(match said {
            Some((name, region)) => Event::NodeChanged { peer, name, region },
            None => Event::NodeForgotten { peer },
        });
    }

    /// A node says that it has these links.
    pub(super) fn learn_links(&self, peer: PeerId, links: Vec<LinkBody>) {
        let (added, removed) = self.known.set_links(peer, links);
        if !added.is_empty() || !removed.is_empty() {
            self.tell(Event::LinksChanged { peer, added, removed });
        }
    }

    /// A service is exposed, or not any more.
    pub(super) fn learn_service(&self, provider: PeerId, name: String, exposed: bool) {
        if self.known.set_service(provider, name.clone(), exposed) {
            self.tell(Event::ServiceChanged { name, provider, exposed });
        }
    }

    /// An operator wants to know whom the mesh has given up, and who is back.
    pub(super) fn tell_member(&self, change: &Change) {
        self.known.set_status(change.peer, change.to);
        self.networks.changed();
        let (peer, name) = (change.peer.short(), self.known.name(&change.peer));
        let (from, to) = (change.from.name(), change.to.name());
        let Evidence { accusers, voting, .. } = change.evidence;
        if change.from == Status::Down || change.to == Status::Down {
            tracing::info!(peer, name, from, to, accusers, observers = voting, "a member's status changed");
        } else {
            tracing::debug!(peer, name, from, to, accusers, observers = voting, "a member's status changed");
        }
        self.tell(Event::MemberChanged { peer: change.peer, from: from.to_owned(), to: to.to_owned() });
    }

    /// An operator wants to know when the majority is out of reach, and when it is back.
    pub(super) fn tell_partition(&self, event: PartitionEvent, quorum: Quorum) {
        let Quorum { reachable, known, has_quorum } = quorum;
        match event {
            PartitionEvent::Lost { .. } => {
                tracing::warn!(
                    reachable,
                    known,
                    "fewer than a quorum can be reached: governed state is read-only here"
                );
            }
            PartitionEvent::Recovered { since, at } => {
                let apart_ms = at.since(since).as_millis() as u64;
                tracing::info!(reachable, known, apart_ms, "a quorum can be reached again");
            }
        }
        self.tell(Event::QuorumChanged { has_quorum, reachable, known });
    }

    /// What is told of incidents goes into the journal.
    pub(super) fn note_in_journal(&self, command: Command) {
        let now = self.clock.now();
        let (incident, batch) = match command {
            Command::OpenIncident(incident) => {
                let (kind, severity) = (incident.kind.name().to_owned(), incident.severity.name().to_owned());
                let (id, subject) = (incident.id, incident.kind.subject());
                let event = Event::IncidentOpened { id, kind, subject: subject.to_string(), severity };
                let is_about_a_node = subject.peer().is_some();
                self.directory.keep(self.journal.open(incident, now, self.unix_ms()));
                if is_about_a_node {
                    self.facts_changed();
                }
                return self.tell(event);
            }
            Command::CloseIncident { incident } => {
                if let Some((lasted_ms, batch)) = self.journal.close(incident, now) {
                    self.directory.keep(batch);
                    self.trace_incident(incident);
                    self.tell(Event::IncidentClosed { id: incident, lasted_ms });
                }
                return self.facts_changed();
            }
            Command::ExplainIncident { incident, root, culprit } => {
                (incident, self.journal.explain(incident, root, &culprit, now))
            }
            Command::TellPlan(plan) => (plan.incident, self.journal.tell_plan(&plan)),
            Command::Escalate { incident, plans } => (incident, self.journal.escalate(incident, plans, now)),
            Command::TellStep { incident, step } => (incident, self.journal.tell_step(incident, &step, now)),
            Command::RecordOutcome { incident, outcome } => {
                (incident, Some(self.journal.record(incident, outcome, now)))
            }
            command => unreachable!("BUG: {command:?} is not about incidents"),
        };
        let Some(batch) = batch else { return };
        self.directory.keep(batch);
        if let Some(note) = self.journal.last_note(incident) {
            self.tell(Event::IncidentAdvanced { id: incident, phase: note.phase.name().to_owned(), what: note.what });
        }
    }
}
