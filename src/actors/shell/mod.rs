//! The shell: performs what leaves the core, and owns what must outlive any actor: links, routes, sessions, rules, the
//! journal. A restarted actor finds its resources here and adopts them.

mod adopt;
mod endorsements;
mod incident_tally;
mod journal;
mod known;
mod ledger;
mod ledger_copies;
mod ledger_events;
mod ledger_mending;
mod link_peaks;
mod neighbors;
mod networks;
mod policing;
mod pump;
mod quarantine;
mod rebuild;
mod repair;
mod roster;
mod rounds;
mod routes;
mod sampler;
mod statements;
mod tallies;
mod telling;
mod traced;
mod traces;
mod writes;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use prunella_core::limits::BLAME_PER_SECOND;
use prunella_core::pathfinder::{LaneWay, Way};
use prunella_core::record::{ProvenRecord, RecordId, SignedRecord};
use prunella_core::wire::codec;
use prunella_core::wiring::{Command, Route};
use prunella_core::{LinkId, PeerId, Rejected, TokenBucket, Verified, pathfinder};
use prunella_storage::{Batch, Tree};
use tokio::sync::{Notify, watch};

pub use incident_tally::{IncidentTally, PHASES};
pub use journal::{Entry, Journal, Note, Phase, PhaseTimes};
pub use known::Known;
pub use ledger::{LedgerHealth, LedgerTable};
pub use link_peaks::LinkPeaks;
pub use networks::{NetworkRoute, NetworkState, Networks, keep_networks};
pub use policing::{JudgedFlow, NotRead, Policing, PolicyGate, RefusedDocument, keep_judging, keep_judging_flows};
pub use pump::{Events, pump};
pub use quarantine::Quarantine;
pub use rebuild::RebuildWanted;
pub use roster::Roster;
pub use rounds::Rounds;
pub use routes::Routes;
pub use statements::Heard;
pub use tallies::{StoreHealth, StoreTold, Tallies, TreeSizes, keep_weighing};
pub use traces::Traces;
pub use writes::{NotDurable, Writes, Written};

use self::routes::Using;
use super::clock::Clock;
use super::directory::Directory;
use super::driver::Perform;
use super::recorder::Recorder;
use crate::config::MeshConfig;
use crate::datapath::{self, LaneRoute, Port};
use crate::host::{Host, Vault};
use crate::security::Credentials;
use crate::spans::Tracer;
use crate::transport::{Doors, Links, Services, Sessions};

/// What performs the commands of one node.
pub struct Shell {
    /// The node's configuration.
    pub config: MeshConfig,
    /// Who the node is.
    pub credentials: Credentials,
    /// What the node runs on.
    pub host: Arc<dyn Host>,
    /// The node's time.
    pub clock: Clock,
    /// Where each role lives now.
    pub directory: Arc<Directory>,
    /// The store; only the KnowledgeActor writes to it while the node runs.
    pub store: Arc<Vault>,
    /// A plan wants the store rebuilt.
    pub rebuild_wanted: RebuildWanted,
    /// Whether this node takes on less than it is asked to.
    pub sheds: Arc<AtomicBool>,
    /// The datapath.
    pub port: Arc<Port>,
    /// The links; set once, before any actor starts.
    pub links: OnceLock<Links>,
    /// What is known of other nodes and their services.
    pub known: Known,
    /// What is counted of the node itself.
    pub tallies: Tallies,
    /// Incidents and outcomes.
    pub journal: Journal,
    /// This node's ledger: its files, and what waits to be written into them.
    pub ledger: Arc<LedgerTable>,
    /// What records the roles, if anything does.
    pub recorder: Option<Arc<Recorder>>,
    /// A plan wants the certificate renewed now.
    pub renewal_wanted: Notify,
    /// How the last attempt to renew the certificate ended.
    pub renewal_ended: watch::Sender<Result<(), String>>,
    /// What the authorities said has changed, and is not on disk yet.
    pub trust_changed: Notify,
    /// Whether this node holds an issuing key.
    issues: AtomicBool,
    /// What others may do here.
    pub policing: Policing,
    /// Whom this node wants links with.
    pub roster: Roster,
    /// Destinations with a route.
    pub routes: Routes,
    /// What this node tells others to dial.
    pub advertised: Vec<SocketAddr>,
    /// The sessions; set once, before any actor starts.
    pub sessions: OnceLock<Sessions>,
    /// What this node exposes and forwards; set once, before any actor starts.
    pub services: OnceLock<Services>,
    /// The ports at which exposed services are open at the overlay address.
    pub doors: Arc<Doors>,
    /// Networks behind other nodes.
    pub networks: Networks,
    /// Probes that somebody waits for.
    pub traces: Traces,
    /// What tells of requests and incidents.
    pub tracer: Tracer,
    /// Rounds of gossip that are under way.
    pub rounds: Rounds,
    /// Shared values that somebody waits for to be written.
    pub writes: Writes,
    /// Records for a later GossipActor of this process only. Bounded by what gossip holds.
    passing: Mutex<BTreeMap<RecordId, Verified<ProvenRecord>>>,
    owners: Mutex<BTreeMap<LinkId, PeerId>>,
    /// Why the last dial to each neighbor failed.
    dial_failures: Mutex<BTreeMap<PeerId, String>>,
    rejected: [AtomicU64; Rejected::ALL.len()],
    /// How many rejections gossip still hears of.
    blame: Mutex<TokenBucket>,
}

/// What a shell is made of.
pub struct Parts {
    /// The node's configuration.
    pub config: MeshConfig,
    /// Who the node is.
    pub credentials: Credentials,
    /// What the node runs on.
    pub host: Arc<dyn Host>,
    /// The node's time.
    pub clock: Clock,
    /// The store.
    pub store: Arc<Vault>,
    /// The datapath.
    pub port: Arc<Port>,
    /// What this node tells others to dial.
    pub advertised: Vec<SocketAddr>,
    /// Whom this node wants links with at the start.
    pub roster: BTreeMap<PeerId, Vec<SocketAddr>>,
    /// What the store held of incidents and outcomes.
    pub journal: Journal,
    /// Where this node's ledger is.
    pub ledger: PathBuf,
    /// What records the roles, if anything does.
    pub recorder: Option<Arc<Recorder>>,
    /// What tells of requests and incidents.
    pub tracer: Tracer,
}

impl Shell {
    /// The shell of a node that is about to start.
    pub fn new(parts: Parts) -> Self {
        let Parts {
            config,
            credentials,
            host,
            clock,
            store,
            port,
            advertised,
            roster,
            journal,
            ledger,
            recorder,
            tracer,
        } = parts;
        Self {
            roster: Roster::new(&config, credentials.peer(), roster, host.random_u64()),
            policing: Policing::new(credentials.peer(), clock),
            config,
            credentials,
            ledger: Arc::new(LedgerTable::new(Arc::clone(&host), ledger)),
            host,
            clock,
            directory: Arc::default(),
            store,
            port,
            links: OnceLock::new(),
            known: Known::default(),
            tallies: Tallies::default(),
            journal,
            recorder,
            renewal_wanted: Notify::new(),
            renewal_ended: watch::Sender::new(Ok(())),
            trust_changed: Notify::new(),
            issues: AtomicBool::new(false),
            rebuild_wanted: RebuildWanted::default(),
            sheds: Arc::default(),
            routes: Routes::default(),
            advertised,
            sessions: OnceLock::new(),
            services: OnceLock::new(),
            doors: Arc::default(),
            networks: Networks::default(),
            passing: Mutex::default(),
            owners: Mutex::default(),
            dial_failures: Mutex::default(),
            traces: Traces::default(),
            rounds: Rounds::default(),
            tracer,
            writes: Writes::default(),
            rejected: Default::default(),
            blame: Mutex::new(TokenBucket::full(BLAME_PER_SECOND, clock.now())),
        }
    }

    /// The links.
    pub fn links(&self) -> &Links {
        self.links.get().expect("BUG: links are set before any actor starts")
    }

    /// What this node exposes and forwards.
    pub fn services(&self) -> &Services {
        self.services.get().expect("BUG: services are set before any actor starts")
    }

    /// Whether this node holds an issuing key.
    pub fn issues(&self) -> bool {
        self.issues.load(Ordering::Relaxed)
    }

    /// Whether this node holds an issuing key from now on. Who begins to issue hands on what the authority has said.
    pub fn set_issues(&self, issues: bool) {
        if issues && !self.issues.swap(issues, Ordering::Relaxed) {
            self.hand_on_everything();
        }
    }

    /// Milliseconds since the Unix epoch, as the wall clock has it; it may jump.
    pub fn unix_ms(&self) -> u64 {
        self.host.unix_time().as_millis() as u64
    }

    /// Counts something that was turned away.
    pub fn reject(&self, reason: Rejected) {
        self.rejected[reason as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// What was turned away, by the reason's name: on links, in frames and among records.
    pub fn rejections(&self) -> BTreeMap<String, u64> {
        let frames = self.port.counters().rejected;
        let count = |(i, reason): (usize, &Rejected)| {
            let records = self.rejected[i].load(Ordering::Relaxed);
            let notices = self.sessions.get().map_or(0, |sessions| sessions.rejected_for(*reason));
            let total = records + frames[i] + notices + self.links().rejected_for(*reason);
            (format!("rejected_{}", reason.name()), total)
        };
        Rejected::ALL.iter().enumerate().map(count).collect()
    }

    /// Has a route to `destination` installed, and waits until it is.
    ///
    /// # Errors
    /// The reason, if none could be found in time.
    pub async fn route_to(&self, destination: PeerId) -> Result<(), String> {
        self.directory.deliver(Route::Pathfinder(pathfinder::Input::Wanted { destination }));
        if self.routes.wait_for(&destination, ROUTE_PATIENCE).await {
            Ok(())
        } else {
            Err(format!("no path to {} is known", self.known.name(&destination)))
        }
    }

    /// Whether gossip is told of one more rejection.
    fn take_blame(&self) -> bool {
        self.blame.lock().unwrap_or_else(PoisonError::into_inner).take(self.clock.now())
    }

    fn owner(&self, link: LinkId) -> Option<PeerId> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).get(&link).copied()
    }

    fn keep_record(&self, proven: Verified<ProvenRecord>) {
        let id = &proven.record.id;
        if !id.kind.outlives_processes() {
            self.passing.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), proven);
            return;
        }
        let mut batch = Batch::new();
        batch.put(Tree::Records, codec::encode(id), codec::encode(&proven.signed));
        self.directory.keep(batch);
    }

    /// What an earlier GossipActor of this process held and no disk does.
    fn passing_records(&self) -> Vec<SignedRecord> {
        self.passing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(|proven| proven.signed.clone())
            .collect()
    }

    fn forget_record(&self, id: &RecordId) {
        if !id.kind.outlives_processes() {
            self.passing.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
            return;
        }
        let mut batch = Batch::new();
        batch.delete(Tree::Records, codec::encode(id));
        self.directory.keep(batch);
    }
}

impl Perform for Shell {
    fn perform(&self, command: Command) {
        match command {
            Command::Dial { peer, address } => self.links().dial(peer, address),
            Command::CloseLink { link } => self.links().close(link, "its probes do not return"),
            Command::ProbeLink { link, nonce } => self.port.send_probe(link, &[], 0, nonce),
            Command::SetUsable { link, usable } => self.port.set_usable(link, usable),
            Command::SendControl { to, control } => {
                // A neighbor that is gone, or whose queue is full, gets what it missed by anti-entropy.
                match self.links().send(to, &control) {
                    Ok(()) => self.note_sent(to, &control),
                    Err(error) => tracing::debug!(peer = %to.short(), %error, "a control message was not sent"),
                }
            }
            Command::PersistRecord(record) => self.keep_record(record),
            Command::ForgetRecord { id } => self.forget_record(&id),
            Command::NodeChanged { peer, body } => self.learn_node(peer, body),
            Command::ReputationChanged { peer, permille } => self.set_reputation(peer, permille),
            Command::LinksChanged { origin, links } => self.learn_links(origin, links),
            Command::ServiceChanged { provider, name, exposed } => self.learn_service(provider, name, exposed),
            Command::StatementHeard { statement } => self.overhear_statement(&statement),
            Command::EndorsementWanted { matter, digest } => self.endorse(matter, digest),
            Command::EndorsementHeard { origin, matter, endorsement } => {
                self.hear_endorsement(origin, matter, &endorsement);
            }
            Command::MemberChanged(change) => self.tell_member(&change),
            Command::TrustChanged { peer, trusted } => {
                if trusted {
                    self.readmit(peer, "it is believed again");
                }
            }
            Command::PartitionChanged { event, quorum } => self.tell_partition(event, quorum),
            Command::SharedChanged { key, values } => self.known.set_shared(key, values),
            Command::AnswerShared { ticket, refused } => self.writes.answer(ticket, refused),
            Command::InstallRoute { destination, way, hedge } => self.install_route(destination, way, hedge),
            Command::SpreadTraffic { destination, lanes } => self.spread_traffic(destination, lanes),
            Command::TellUnacknowledged { destination, relays } => {
                if let Some(sessions) = self.sessions.get() {
                    sessions.tell_unacknowledged(destination, &relays);
                }
            }
            Command::WithdrawRoute { destination } => {
                self.port.withdraw_route(destination);
                self.routes.withdrawn(destination);
            }
            Command::ProbePath { way, nonce } => self.port.send_probe(way.first, &way.labels, way.path, nonce),
            Command::Ledger(task) => self.do_ledger(task),
            Command::EnforcePolicy(document) => self.enforce(document),
            Command::TellRefusedPolicy { version, source, reason } => self.tell_refused_policy(version, source, reason),
            Command::Repair { incident, step } => self.repair(incident, step),
            Command::FindNeighbors => self.find_neighbors(),
            Command::AddNeighbor { .. }
            | Command::AskToPart { .. }
            | Command::LetGo { .. }
            | Command::RemovePeer { .. } => {
                self.rearrange(&command);
            }
            command @ (Command::OpenIncident(_)
            | Command::CloseIncident { .. }
            | Command::ExplainIncident { .. }
            | Command::TellPlan(_)
            | Command::Escalate { .. }
            | Command::TellStep { .. }
            | Command::RecordOutcome { .. }) => self.note_in_journal(command),
        }
    }
}

impl Shell {
    /// Sessions are told when their packets begin to take a path that they did not take before.
    fn install_route(&self, destination: PeerId, way: Way, hedge: Option<Way>) {
        let using = Using { path: way.path, hedged: hedge.is_some() };
        self.port.install_route(destination, &route(way), hedge.map(route).as_ref());
        self.tell_rerouted(destination, self.routes.installed(destination, using));
    }

    fn spread_traffic(&self, destination: PeerId, lanes: Vec<LaneWay>) {
        let using = |lane: &LaneWay| (lane.lane, Using { path: lane.way.path, hedged: lane.hedge.is_some() });
        let using = lanes.iter().map(using).collect();
        let used = |LaneWay { lane, way, hedge }| LaneRoute { lane, route: route(way), hedge: hedge.map(route) };
        self.port.spread(destination, &lanes.into_iter().map(used).collect::<Vec<_>>());
        self.tell_rerouted(destination, self.routes.spread(destination, using));
    }

    fn tell_rerouted(&self, destination: PeerId, lanes: Vec<u8>) {
        if let Some(sessions) = self.sessions.get() {
            lanes.into_iter().for_each(|lane| sessions.rerouted(destination, lane));
        }
    }
}

fn route(way: Way) -> datapath::Route {
    datapath::Route { path: way.path, first: way.first, labels: way.labels }
}

/// How long somebody who wants to talk to a node waits for a path.
const ROUTE_PATIENCE: Duration = Duration::from_secs(3);
