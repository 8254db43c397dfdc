//! The simulated shell of a node: gives its roles what they should hear, and performs what they ask for.

use std::time::Duration;

use prunella_core::incident::Step;
use prunella_core::limits::{
    CONTROL_QUEUE_MAX, DESTINATIONS_MAX, INCIDENTS_MAX, MAILBOX_MAX, NEIGHBORS_MAX, RECORDS_MAX,
};
use prunella_core::membership::quorum::{PartitionEvent, Quorum};
use prunella_core::node::{Node, Role};
use prunella_core::pathfinder::{self, Way};
use prunella_core::policy::Document;
use prunella_core::record::{RecordId, SignedRecord};
use prunella_core::wiring::{Command, Route};
use prunella_core::{Instant, PeerId, executor, gossip, ledger, monitor, peer};

use crate::config::Bug;
use crate::event::Event;
use crate::news::News;
use crate::world::World;

impl World {
    /// Gives something to a node's roles, as its shell would; nothing happens while it does not run.
    pub fn tell(&mut self, host: usize, route: Route) {
        let now = self.now;
        self.trace.note(format_args!("{now} {host} hears {route:?}"));
        let mut commands = Vec::new();
        if let Some(node) = &mut self.hosts[host].process {
            node.handle(route, now, &mut commands);
            self.settle(host, commands);
        }
    }

    pub(crate) fn on_wake(&mut self, host: usize, life: u64) {
        let state = &mut self.hosts[host];
        // An earlier wake took the place of this one, or it was deferred while the process was held still.
        if state.life != life || state.wake_at.is_none_or(|at| at > self.now) {
            return;
        }
        state.wake_at = None;
        let (now, mut commands) = (self.now, Vec::new());
        if let Some(node) = &mut state.process {
            node.wake(now, &mut commands);
            self.settle(host, commands);
        }
    }

    /// What no role can know by itself: what the wall clock says, and whom somebody talks to.
    pub(crate) fn on_tick(&mut self, host: usize, life: u64) {
        if self.hosts[host].life != life || self.hosts[host].process.is_none() {
            return;
        }
        self.queue.push(self.now + TICK_EVERY, Event::Tick { host, life });
        self.tell_clock(host);
        self.tell_carrying(host);
        if (self.now.as_millis() / 1000 + host as u64).is_multiple_of(COMMANDED_EVERY_S) {
            self.write_down(host, command());
        }
        let wanted: Vec<usize> = self.wanted.range((host, 0)..(host + 1, 0)).map(|(_, to)| *to).collect();
        for to in wanted {
            let destination = self.hosts[to].peer_id();
            self.tell(host, Route::Pathfinder(pathfinder::Input::Wanted { destination }));
        }
        self.check_records(host);
        self.check_bounds(host);
    }

    /// Which links carry frames.
    fn tell_carrying(&mut self, host: usize) {
        let links = self.hosts[host].links.iter_mut();
        let carrying: Vec<_> =
            links.filter_map(|(id, link)| std::mem::take(&mut link.carried).then_some((*id, link.peer))).collect();
        for (link, peer) in carrying {
            let peer = self.hosts[peer].peer_id();
            self.tell(host, Route::Peer(peer, peer::Input::Carrying { link }));
        }
    }

    pub(crate) fn tell_clock(&mut self, host: usize) {
        let unix_ms = self.hosts[host].unix_ms(self.now);
        self.tell(host, Route::Gossip(gossip::Input::Clock { unix_ms }));
        self.tell(host, Route::Ledger(ledger::Input::Clock { unix_ms }));
    }

    /// After a node was told something: its commands are carried out, its next wake is planned, and it is checked.
    pub(crate) fn settle(&mut self, host: usize, commands: Vec<Command>) {
        for command in commands {
            self.trace_command(host, &command);
            self.perform(host, command);
        }
        self.plan_wake(host);
        self.plan_restart(host);
        self.check_links(host);
        self.watch(host);
    }

    fn trace_command(&mut self, host: usize, command: &Command) {
        let now = self.now;
        match command {
            Command::SendControl { to, control } => {
                let bytes = prunella_core::wire::codec::encode(control);
                self.trace.note_bytes(format_args!("{now} {host} says to {}", to.short()), &bytes);
            }
            Command::PersistRecord(proven) => {
                self.trace.note_bytes(format_args!("{now} {host} keeps"), &proven.signed.bytes);
            }
            command => self.trace.note(format_args!("{now} {host} commands {command:?}")),
        }
    }

    fn plan_wake(&mut self, host: usize) {
        let state = &mut self.hosts[host];
        let Some(deadline) = state.process.as_ref().and_then(Node::deadline) else { return };
        let mut at = deadline.max(self.now);
        if at == self.now {
            self.spins = if self.spins.0 == at { (at, self.spins.1 + 1) } else { (at, 1) };
            if self.spins.1 > SPINS_MAX {
                at = at + Duration::from_millis(1);
            }
        }
        if state.wake_at.is_none_or(|planned| at < planned) {
            state.wake_at = Some(at);
            self.queue.push(at, Event::Wake { host, life: state.life });
        }
        if self.spins.1 == SPINS_MAX + 1 {
            self.spins.1 += 1;
            self.fail(format!("node {host} wants to be woken again and again at the same moment"));
        }
    }

    fn perform(&mut self, host: usize, command: Command) {
        match command {
            Command::Dial { peer: _, address } => match self.addresses.get(&address) {
                Some(to) => self.dial(host, *to),
                None => self.fail(format!("node {host} dials {address}, where nobody is")),
            },
            Command::CloseLink { link } => self.close(host, link),
            Command::ProbeLink { link, nonce } => {
                self.send_probe(host, &Way { path: 0, first: link, labels: Vec::new() }, nonce);
            }
            Command::ProbePath { way, nonce } => self.send_probe(host, &way, nonce),
            Command::SetUsable { link, usable } => {
                if let Some(link) = self.hosts[host].links.get_mut(&link) {
                    link.usable = usable;
                }
                self.check_routes();
            }
            Command::SendControl { to, control } => self.send_control(host, self.index[&to], &control),
            Command::PersistRecord(proven) => {
                let (id, signed) = (&proven.record.id, &proven.signed);
                let version = self.on_kept(host, signed);
                self.tell_proof(host, id, signed);
                self.write(host, id.clone(), version, Some(signed));
            }
            Command::ForgetRecord { id } => {
                self.registry.forget(host, &id);
                self.write(host, id, None, None);
            }
            Command::InstallRoute { destination, way, hedge } => self.install_route(host, destination, way, hedge),
            Command::WithdrawRoute { destination } => {
                self.hosts[host].routes.remove(&destination);
                self.hosts[host].hedges.remove(&destination);
                self.spread_news(News::NoRoute { host, to: self.index[&destination] });
            }
            Command::Ledger(task) => self.do_ledger(host, task),
            Command::OpenIncident(incident) => {
                self.spread_news(News::Raised { host, incident: incident.clone() });
                self.hosts[host].journal.open(incident);
            }
            Command::CloseIncident { incident } => {
                if let Some(incident) = self.hosts[host].journal.close(incident) {
                    self.spread_news(News::Cleared { host, incident });
                }
            }
            Command::ExplainIncident { incident, root, .. } => self.hosts[host].journal.explain(incident, root),
            Command::RecordOutcome { outcome, .. } => self.hosts[host].journal.record(outcome),
            Command::EnforcePolicy(document) => self.enforce(host, document),
            Command::MemberChanged(change) => self.on_member_changed(host, &change),
            Command::Repair { incident, step: step @ (Step::Quarantine { .. } | Step::Rejoin) } => {
                let reason = "nodes deal with those that they are wired to".to_owned();
                self.tell(host, Route::Executor(executor::Input::StepRefused { incident, step, reason }));
            }
            Command::AddNeighbor { .. }
            | Command::AskToPart { .. }
            | Command::LetGo { .. }
            | Command::RemovePeer { .. } => {
                self.fail(format!("node {host} wants other neighbors than those that it is wired to: {command:?}"));
            }
            command => self.tell_of(host, command),
        }
    }

    /// Commands that are only told: nothing in the simulated world depends on them.
    fn tell_of(&mut self, host: usize, command: Command) {
        let news = match command {
            Command::PartitionChanged { event, quorum: Quorum { reachable, known, .. } } => {
                let has = matches!(event, PartitionEvent::Recovered { .. });
                News::Quorum { host, has, reachable, known }
            }
            Command::SharedChanged { key, values } => {
                News::Shared { host, key, values: values.into_iter().map(|value| value.value).collect() }
            }
            Command::AnswerShared { refused, .. } => {
                News::Answered { host, refused: refused.map(|refused| refused.to_string()) }
            }
            Command::TellStep { incident, step } => match self.hosts[host].journal.open.get(&incident) {
                Some(incident) => News::Step { host, incident: incident.clone(), step: step.name() },
                None => return,
            },
            _ => return,
        };
        self.spread_news(news);
    }

    /// Safety: whatever was heard in whichever order, no policy takes the place of a newer one, while a process lives.
    fn enforce(&mut self, host: usize, document: Document) {
        let before = self.hosts[host].policy.replace(document.clone());
        if before.is_some_and(|before| !document.supersedes(&before)) {
            self.fail(format!("node {host} went back to an older policy: {document:?}"));
        }
    }

    fn install_route(&mut self, host: usize, destination: PeerId, way: Way, hedge: Option<Way>) {
        let state = &mut self.hosts[host];
        state.routes.insert(destination, way);
        match hedge {
            Some(hedge) => state.hedges.insert(destination, hedge),
            None => state.hedges.remove(&destination),
        };
        self.tell_route(host, self.index[&destination]);
        self.check_routes();
    }

    /// Whom an incident concerns, by number if it is a node.
    pub(crate) fn subject(&self, subject: &str) -> String {
        let host = self
            .hosts
            .iter()
            .position(|host| host.peer_id().to_string() == subject || host.peer_id().short() == subject);
        host.map_or(subject.to_owned(), |host| host.to_string())
    }

    /// Hands a write to the one writer in front of the store. If it fails, the writer crashes, and with it everything.
    fn write(&mut self, host: usize, id: RecordId, version: Option<u64>, signed: Option<&SignedRecord>) {
        let (now, state) = (self.now, &mut self.hosts[host]);
        let (takes, life) = (state.flush_takes(), state.life);
        match state.disk.write(id.clone(), signed, takes, now) {
            Some(at) => {
                match version {
                    Some(version) => state.acknowledged.insert(id, (version, at)),
                    None => state.acknowledged.remove(&id),
                };
                self.queue.push(at, Event::Flush { host, life, since: now });
            }
            None => {
                state.acknowledged.retain(|_, (_, done)| *done <= now);
                self.crash(host, Role::Shell);
            }
        }
    }

    /// What was written at `since` is flushed.
    pub(crate) fn on_flush(&mut self, host: usize, life: u64, since: Instant) {
        let state = &mut self.hosts[host];
        if state.life != life {
            return;
        }
        if self.config.bug == Some(Bug::ForgottenFlush) {
            state.disk.pretend_to_flush(self.now);
        } else {
            state.disk.flush(self.now);
        }
        self.tell(host, Route::Monitor(monitor::Input::StoreWrote { took: self.now.since(since) }));
    }

    /// Safety: every table and queue of a node is within its limit.
    fn check_bounds(&mut self, host: usize) {
        let state = &self.hosts[host];
        let control =
            state.links.values().filter(|_| !self.is_liar(host)).filter_map(|link| self.conns.get(&link.conn));
        let bounds = [
            ("links", state.links.len(), NEIGHBORS_MAX),
            ("routes", state.routes.len(), DESTINATIONS_MAX),
            ("open incidents", state.journal.open.len(), INCIDENTS_MAX),
            // What is forgotten waits to be flushed, too.
            ("records in its store", state.disk.len(), 2 * RECORDS_MAX),
            ("messages between its roles", state.process.as_ref().map_or(0, Node::mail_peak), MAILBOX_MAX),
            ("control messages to one neighbor", self.waiting_from_honest(host, control), CONTROL_QUEUE_MAX),
        ];
        let over = bounds.into_iter().find(|(_, count, most)| count > most);
        if let Some((what, count, most)) = over {
            self.fail(format!("node {host} has {count} {what}, and may have {most}"));
        }
    }

    /// The longest queue towards an honest neighbor; a liar's own queues are its own business.
    fn waiting_from_honest<'a>(
        &self,
        host: usize,
        conns: impl Iterator<Item = &'a crate::connections::Connection>,
    ) -> usize {
        let neighbors_lie = self.network.neighbors(host).into_iter().any(|neighbor| self.is_liar(neighbor));
        if neighbors_lie { 0 } else { conns.map(|conn| conn.waiting()).max().unwrap_or_default() }
    }

    /// A clock that never goes back: for events that must come after another.
    pub(crate) fn soon(&mut self, most: Duration) -> Instant {
        self.now + Duration::from_micros(self.rng.below(most.as_micros() as usize) as u64)
    }
}

/// What an operator has a node do now and then. Nothing comes of it but an entry of the ledger that cannot wait.
fn command() -> ledger::Event {
    let [command, who, from] = ["policy reload", "uid 0", "simulated"].map(str::to_owned);
    ledger::Event::Commanded { command, who, from }
}

/// How often each node has a command, in seconds.
const COMMANDED_EVERY_S: u64 = 4;
/// How often a shell tells its roles the wall clock and the wanted destinations.
const TICK_EVERY: Duration = gossip::CLOCK_EVERY;
/// Wakes at one moment after which a node is said not to rest.
const SPINS_MAX: u32 = 10_000;
