//! Running a node: everything is opened in order, the tree is grown, and the node stops as a whole.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::ledger::Event;
use prunella_storage::{SledStore, Store, StoreError, Tree};
use ractor::ActorRef;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::admitter::Door;
use super::answers::Answers;
use super::chaos_answers::Breakable;
use super::configuration::{MeshConfig, load};
use super::error::{Error, ErrorKind};
use super::federation;
use super::http;
use super::kernel;
use super::readers;
use super::remote;
use super::renewal;
use super::server::{Handler, SOCKET_NAME, Server};
use super::setup::advertised;
use super::tun::Tun;
use crate::actors::clock::Clock;
use crate::actors::recorder::{Recorder, RecorderSetup};
use crate::actors::shell::{Events, Journal, Parts, PolicyGate, Shell, keep_judging, keep_weighing, pump};
use crate::actors::surfaces;
use crate::datapath::{self, Port};
use crate::host::{Host, Machine, Vault, WallClock, unblocked};
use crate::security::{Credentials, Federation, Issuer, postquantum};
use crate::spans::{Exporter, Tracer, TracerSetup};
use crate::supervision::supervisor::SupervisorMsg;
use crate::supervision::tending::tend;
use crate::supervision::tree::{self, ROOT, Seed};
use crate::transport::{Inbound, LinkSetup, Links, Services, SessionSetup, Sessions};

/// A node that runs in this process. It stops when it is told to; dropping it does not stop it.
pub struct Running {
    /// Answers requests, for every surface.
    pub(super) answers: Arc<Answers>,
    /// Message streams that peers opened.
    pub(super) inbound: Option<mpsc::Receiver<Inbound>>,
    root: ActorRef<SupervisorMsg>,
    /// Closed when no surface is open any more, and no socket of one left.
    surfaces_closed: mpsc::Receiver<Infallible>,
    tasks: Tasks,
    /// Exports spans, if that is wanted.
    exporter: Option<Exporter>,
    stop_wanted: watch::Receiver<bool>,
}

/// What runs beside the actors.
struct Tasks {
    pump: JoinHandle<()>,
    renewal: JoinHandle<()>,
    judging: JoinHandle<()>,
    weighing: JoinHandle<()>,
    /// Performs the commands of other nodes.
    serving: JoinHandle<()>,
    bundles: JoinHandle<()>,
    /// Carries packets between the overlay interface and other nodes.
    tun: Tun,
    /// Reads the sockets beside the first.
    readers: JoinHandle<()>,
}

/// Starts the node that lives in `dir`.
///
/// # Errors
/// One line that says what could not be opened, where, and what to do. Nothing keeps running.
pub async fn start(dir: &Path, config: MeshConfig, rebuild: bool) -> Result<Running, Error> {
    start_on(Machine::shared(), dir, config, rebuild, Around::Program).await
}

/// In what a node runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Around {
    /// In a program, which has the handle instead of an HTTP API, and gives the configuration: no port is opened unasked.
    Program,
    /// In a process of its own, which was configured with this file.
    Process {
        /// Where it is, or would be.
        config_file: PathBuf,
    },
}

pub(super) async fn start_on(
    host: Arc<dyn Host>,
    dir: &Path,
    config: MeshConfig,
    rebuild: bool,
    around: Around,
) -> Result<Running, Error> {
    let breakable = Breakable::over(&host);
    // Only who consents to faults pays for the way around them.
    let host = if config.chaos.allow { breakable.host() } else { host };
    let credentials = Credentials::load(dir)?.with_time(Arc::new(WallClock(Arc::clone(&host))));
    // A node that was founded or joined by an earlier version has none yet.
    postquantum::ensure(dir)?;
    renewal::certify_at_start(&*host, dir, &credentials, config.certificate.validity())?;
    Shell::check_policy(&config.policy.file)
        .map_err(|refused| Error::new(ErrorKind::Configuration, refused.to_string()))?;
    let store = open_store(&host, &config.store.directory, rebuild)?;
    Door::forget_expired(&*store, host.unix_time().as_secs())?;
    let (port, port_events) = readers::open_port(&*host, &config, credentials.peer())?;
    kernel::attach(&port, &config.kernel.interfaces);
    let recorder = recorder(&*host, dir, &config, credentials.peer())?;
    let ledger = dir.join(super::ledger::LEDGER_NAME);
    let (tracer, exporter) = tracer(&config, credentials.peer(), &host)?;
    let shell = Arc::new(Shell::new(parts(config, credentials, host, store, port, (ledger, recorder, tracer)).await?));
    let federation = federation::of(&shell.config.federation)?;
    let (sessions, events, inboxes) = open_transport(dir, &shell, Arc::clone(&federation), port_events)?;
    let Inboxes { inbound, commands, tunnels } = inboxes;
    let tun = Tun::start(&shell, sessions.clone(), tunnels)?;
    let bundles = federation::follow(&shell.config.federation, federation);
    shell.write_down(Event::Started { version: env!("CARGO_PKG_VERSION").to_owned() });
    shell.keep_out_the_revoked();
    shell.set_issues(Issuer::load(dir)?.is_some());
    restore_services(&shell)?;

    let (stop, stop_wanted) = watch::channel(false);
    let config_file = match around {
        Around::Program => None,
        Around::Process { config_file } => Some(config_file),
    };
    let answers =
        Arc::new(Answers::new((Arc::clone(&shell), dir.to_path_buf(), config_file), sessions, stop, breakable));
    let (closing, surfaces_closed) = mpsc::channel(1);
    let surfaces = surfaces_of(dir.to_path_buf(), Arc::clone(&answers), closing);
    let seed = Seed { shell: Arc::clone(&shell), surfaces };
    let root = tree::grow(seed).await.map_err(|reason| Error::new(ErrorKind::System, reason))?;
    let (home, certified, judge) = (dir.to_path_buf(), Arc::clone(&shell), Arc::clone(&shell));
    let renewal = tend("renewal", move || renewal::keep_certified(home.clone(), Arc::clone(&certified)));
    let judging = tend("judging", move || keep_judging(Arc::clone(&judge)));
    let weighed = Arc::clone(&shell);
    let weighing = tend("weighing", move || keep_weighing(Arc::clone(&weighed)));
    // From here on nothing fails: what comes before waits in the sockets.
    let readers = readers::watch(shell.port.start_readers(), "a socket");
    let pump = tokio::spawn(pump(shell, events));
    let serving = tokio::spawn(remote::serve(Arc::clone(&answers), commands));
    let inbound = Some(inbound);
    let tasks = Tasks { pump, renewal, judging, weighing, serving, bundles, tun, readers };
    Ok(Running { answers, inbound, root, surfaces_closed, tasks, exporter, stop_wanted })
}

impl Running {
    /// Waits until somebody asks the node to stop.
    ///
    /// # Errors
    /// The reason, if the node stops because it cannot go on.
    pub async fn ended(&mut self) -> Result<(), Error> {
        let shell = Arc::clone(self.answers.shell());
        let root = self.root.get_cell();
        tokio::select! {
            biased;
            // The sender lives in the answers, which this holds.
            _ = self.stop_wanted.wait_for(|wanted| *wanted) => Ok(()),
            _ = root.wait(None) => {
                let reason = shell.directory.register.named(ROOT).and_then(|stats| stats.last_failure());
                let reason = reason.unwrap_or_else(|| "the root supervisor stopped".to_owned());
                Err(Error::new(ErrorKind::Internal, format!("the node cannot go on: {reason}")))
            }
            ended = &mut self.tasks.pump => {
                Err(Error::new(ErrorKind::Internal, format!("the node cannot go on: its event pump ended ({ended:?})")))
            }
        }
    }

    /// Stops the node: actors first, then sessions and links, so that neighbors hear it at once.
    pub async fn stop(mut self) {
        self.answers.stop();
        let _ = self.root.get_cell().stop_and_wait(Some("the node stops".to_owned()), Some(STOP_PATIENCE)).await;
        // What would start actors anew keeps what serves the surfaces.
        self.answers.shell().roster.start_nobody();
        // Whoever asked for it has the answer, and the next node finds no socket of this one.
        let _ = tokio::time::timeout(SURFACES_PATIENCE, self.surfaces_closed.recv()).await;
        let Tasks { pump, renewal, judging, weighing, mut serving, bundles, tun, readers } = self.tasks;
        tun.stop();
        // Whoever had it stopped from afar hears so.
        let _ = tokio::time::timeout(FAREWELL_PATIENCE, &mut serving).await;
        [pump, renewal, judging, weighing, serving, bundles].iter().for_each(JoinHandle::abort);
        let shell = self.answers.shell();
        self.answers.breakable.mend();
        shell.services().shut_down();
        // Sessions first: their farewell travels over the links. The sockets are read until both have ended. A neighbor that
        // is being dialed in vain keeps either waiting; those that do not hear the farewell notice the silence.
        let _ = tokio::time::timeout(FAREWELL_PATIENCE, self.answers.sessions().shut_down()).await;
        let _ = tokio::time::timeout(FAREWELL_PATIENCE, shell.links().shut_down()).await;
        readers.abort();
        if let Some(recorder) = shell.recorder.clone() {
            let finished = unblocked(&*shell.host, move || recorder.finish()).await;
            if let Err(error) = finished {
                tracing::error!(%error, "the recording could not be finished");
            }
        }
        if let Some(exporter) = self.exporter {
            exporter.finish().await;
        }
        let ledger = Arc::clone(&shell.ledger);
        // Nobody writes into it any more.
        let _ = unblocked(&*shell.host, move || ledger.shut()).await;
        // The one writer has ended, and may have had no time for the last of it.
        let kept = shell.directory.backlog.write(&*shell.store).and_then(|_| shell.store.flush());
        if let Err(error) = kept {
            tracing::error!(%error, "the store could not be flushed at the end");
        }
    }
}

/// How the node is run by [`run`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunOptions {
    /// The configuration, if it is not the one in the node's directory.
    pub config_file: Option<PathBuf>,
    /// Set the store aside and start with an empty one.
    pub rebuild: bool,
    /// The name of the overlay interface, in place of what the configuration says.
    pub tun: Option<String>,
    /// Stop when standard input ends.
    pub exit_with_parent: bool,
}

/// Runs the node in `dir` until it is asked to stop: by a signal, by a request, or by its parent's end.
///
/// # Errors
/// As [`start`], and the reason if the node cannot go on.
pub async fn run(dir: &Path, options: RunOptions) -> Result<(), Error> {
    let mut config = load(dir, options.config_file.as_deref())?;
    if let Some(device) = options.tun {
        config.tun.device = device;
    }
    super::logging::start(&config.log);
    if config.nice != 0
        && let Err(error) = crate::host::be_nice(config.nice)
    {
        // Whoever runs it without privileges did not ask for them.
        tracing::debug!(nice = config.nice, %error, "the scheduler treats this program as any other");
    }
    let config_file = options.config_file.unwrap_or_else(|| dir.join(crate::config::FILE_NAME));
    let around = Around::Process { config_file };
    let mut node = start_on(Machine::shared(), dir, config, options.rebuild, around).await?;
    // No program is here to receive messages: peers should hear that, rather than wait.
    node.inbound = None;
    let shell = node.answers.shell();
    let (peer, listen) = (shell.credentials.peer(), shell.port.local_addr());
    tracing::info!(%peer, %listen, dir = %dir.display(), "node is up");
    let ended = tokio::select! {
        ended = node.ended() => ended,
        () = signalled() => Ok(()),
        () = orphaned(), if options.exit_with_parent => Ok(()),
    };
    node.stop().await;
    tracing::info!("node is down");
    ended
}

fn open_store(host: &Arc<dyn Host>, path: &Path, rebuild: bool) -> Result<Arc<Vault>, Error> {
    if rebuild && path.exists() {
        // Only a store that nobody uses may be moved away.
        match SledStore::open(path) {
            Err(error @ StoreError::Locked { .. }) => return Err(error.into()),
            opened => drop(opened),
        }
        let aside = SledStore::set_aside(path)?;
        tracing::warn!(aside = %aside.display(), "the store was set aside; the mesh refills the new one");
    }
    Ok(Arc::new(Vault::open(Arc::clone(host), path.to_owned())?))
}

/// What records the roles, if the configuration wants it.
fn recorder(host: &dyn Host, dir: &Path, config: &MeshConfig, node: PeerId) -> Result<Option<Arc<Recorder>>, Error> {
    if !config.journal.inputs {
        return Ok(None);
    }
    let dir = dir.join(JOURNAL_NAME);
    let run_unix_ms = host.unix_time().as_millis() as u64;
    let setup = RecorderSetup { dir: dir.clone(), node, run_unix_ms, file_bytes: config.journal.file_bytes() };
    let recorder = Recorder::start(setup).map_err(|error| {
        let text = format!("cannot record in {}: {error}; `journal.inputs` in config.toml turns it off", dir.display());
        Error::new(ErrorKind::System, text)
    })?;
    tracing::info!(dir = %recorder.dir().display(), "what roles hear is recorded");
    Ok(Some(Arc::new(recorder)))
}

/// What tells of requests and incidents, and what exports that.
fn tracer(config: &MeshConfig, node: PeerId, host: &Arc<dyn Host>) -> Result<(Tracer, Option<Exporter>), Error> {
    let traces = &config.traces;
    if traces.endpoint.is_empty() {
        return Ok((Tracer::off(), None));
    }
    let setup = TracerSetup {
        endpoint: traces.endpoint.clone(),
        millionths: traces.sample.millionths,
        peer: node.to_string(),
        name: config.name.clone(),
        host: Arc::clone(host),
    };
    let (tracer, exporter) =
        Tracer::start(setup).map_err(|error| Error::new(ErrorKind::Configuration, error.to_string()))?;
    Ok((tracer, Some(exporter)))
}

async fn parts(
    mut config: MeshConfig,
    credentials: Credentials,
    host: Arc<dyn Host>,
    store: Arc<Vault>,
    port: Arc<Port>,
    (ledger, recorder, tracer): (PathBuf, Option<Arc<Recorder>>, Tracer),
) -> Result<Parts, Error> {
    config.listen = port.local_addr();
    let advertised = advertised(&config);
    let mut roster: BTreeMap<PeerId, Vec<SocketAddr>> = BTreeMap::new();
    for (key, value) in store.scan(Tree::Neighbors)? {
        // An entry that cannot be read is worth a dial less, not a node.
        if let (Ok(key), Ok(addresses)) = (<[u8; 32]>::try_from(key), serde_json::from_slice(&value)) {
            roster.insert(PeerId::from_public_key(key), addresses);
        }
    }
    for peer in &config.neighbors.peers {
        roster.entry(*peer).or_default();
    }
    for bootstrap in &config.bootstrap {
        match tokio::net::lookup_host((bootstrap.host.as_str(), bootstrap.port)).await {
            Ok(addresses) => {
                let known = roster.entry(bootstrap.peer).or_default();
                known.extend(addresses.filter(|address| !known.contains(address)).collect::<Vec<_>>());
            }
            Err(error) => tracing::warn!(host = bootstrap.host, %error, "a bootstrap address does not resolve"),
        }
    }
    roster.retain(|peer, _| *peer != credentials.peer() && !credentials.is_revoked(peer));
    let journal = Journal::load(&*store)?;
    let clock = Clock::start();
    Ok(Parts { config, credentials, host, clock, store, port, advertised, roster, journal, ledger, recorder, tracer })
}

type Transport = (Sessions, Events, Inboxes);

/// Streams that peers have opened.
struct Inboxes {
    /// To the program in which the node is embedded.
    inbound: mpsc::Receiver<Inbound>,
    /// To the node itself.
    commands: mpsc::Receiver<Inbound>,
    /// To its overlay interface.
    tunnels: mpsc::Receiver<Inbound>,
}

fn open_transport(
    dir: &Path,
    shell: &Arc<Shell>,
    federation: Arc<Federation>,
    port_events: mpsc::Receiver<datapath::Event>,
) -> Result<Transport, Error> {
    let system = |error: std::io::Error| Error::new(ErrorKind::System, format!("cannot open the transport: {error}"));
    let (events, link_events) = mpsc::channel(prunella_core::limits::DATAPATH_EVENTS_MAX);
    let store = Arc::clone(&shell.store) as Arc<dyn Store>;
    let door = Door::new(shell, dir.to_path_buf(), &shell.config.certificate, store, federation);
    let admitter = Some(Arc::new(door) as Arc<dyn crate::transport::Admitter>);
    let (welcome, relays) = (Arc::downgrade(shell), Arc::downgrade(shell));
    let links = Links::start(LinkSetup {
        credentials: shell.credentials.clone(),
        port: Arc::clone(&shell.port),
        host: Arc::clone(&shell.host),
        incarnation: shell.host.random_u64(),
        accept: Box::new(move |peer| welcome.upgrade().is_some_and(|shell| shell.roster.lets_in(peer))),
        relays: Box::new(move |peer, chain| relays.upgrade().is_some_and(|shell| shell.relays_for(peer, chain))),
        messages_per_second: shell.config.gossip.messages_per_second,
        admitter,
        events,
    });
    let _ = shell.links.set(links.map_err(system)?);
    let (routing, traced) = (Arc::downgrade(shell), Arc::downgrade(shell));
    let (sessions, inbox) = Sessions::start(SessionSetup {
        credentials: shell.credentials.clone(),
        host: Arc::clone(&shell.host),
        port: Arc::clone(&shell.port),
        lanes: shell.config.sessions.spread_paths,
        route: Arc::new(move |peer| {
            let shell = routing.upgrade();
            Box::pin(async move {
                match shell {
                    Some(shell) => shell.route_to(peer).await,
                    None => Err("the node is stopping".to_owned()),
                }
            })
        }),
        gate: Arc::new(PolicyGate { shell: Arc::downgrade(shell) }),
        tracer: shell.tracer.clone(),
        traced: Arc::new(move |peer, context| {
            if let Some(shell) = traced.upgrade() {
                shell.tell_relays(peer, context);
            }
        }),
        sheds: Arc::clone(&shell.sheds),
    })
    .map_err(system)?;
    let _ = shell.sessions.set(sessions.clone());
    let services = Services::start(shell.credentials.peer(), sessions.clone(), inbox.services);
    let _ = shell.services.set(services);
    let events = Events { links: link_events, port: port_events, unanswered: inbox.unanswered };
    Ok((sessions, events, Inboxes { inbound: inbox.messages, commands: inbox.commands, tunnels: inbox.tunnels }))
}

/// Services that were exposed before the node was restarted are exposed again.
fn restore_services(shell: &Shell) -> Result<(), Error> {
    for (name, target) in shell.store.scan(Tree::Services)? {
        let (name, target) = (String::from_utf8_lossy(&name), String::from_utf8_lossy(&target));
        if let Err(error) = shell.services().expose(&name, &target) {
            tracing::error!(%name, %target, %error, "a service could not be exposed again");
        }
    }
    Ok(())
}

/// The control socket, and the HTTP API of a node in a process of its own. `closed` is dropped when both are gone for good.
fn surfaces_of(dir: PathBuf, answers: Arc<Answers>, closed: mpsc::Sender<Infallible>) -> surfaces::Open {
    let listeners = Arc::new(http::Listeners::new(closed));
    Arc::new(move |stop| {
        let (path, answers, listeners) = (dir.join(SOCKET_NAME), Arc::clone(&answers), Arc::clone(&listeners));
        Box::pin(async move {
            // A predecessor that was killed may still be closing its socket.
            let mut bound = Server::bind(&path).await;
            for _ in 0..BIND_TRIES {
                if bound.is_ok() {
                    break;
                }
                tokio::time::sleep(BIND_PAUSE).await;
                bound = Server::bind(&path).await;
            }
            let server = bound.map_err(|error| error.to_string())?;
            let (handler, stopping, open) =
                (Arc::clone(&answers) as Arc<dyn Handler>, stop.clone(), Arc::clone(&listeners));
            let control = async move {
                server.run(handler, stopping).await;
                drop(open);
            };
            Ok(if answers.config_file().is_some() {
                Box::pin(async { _ = tokio::join!(control, http::serve(answers, listeners, stop)) })
            } else {
                Box::pin(control) as surfaces::Serving
            })
        })
    })
}

async fn signalled() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        tracing::error!("the system gives no signals; stop the node with `prunella down`");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

/// Returns when standard input ends: whoever started this node holds the other end. A byte on it releases the node: it
/// lives on without its parent.
async fn orphaned() {
    use tokio::io::AsyncReadExt;
    if tokio::io::stdin().read(&mut [0; 1]).await.is_ok_and(|read| read > 0) {
        std::future::pending::<()>().await;
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::new(ErrorKind::Storage, error.to_string())
    }
}

/// The directory of recordings in a node's directory.
pub const JOURNAL_NAME: &str = "journal";
/// How long actors get to end.
const STOP_PATIENCE: Duration = Duration::from_secs(2);
/// How long surfaces get to answer what is under way and to close: more than they take themselves.
const SURFACES_PATIENCE: Duration = Duration::from_millis(2500);
/// How long sessions, and then links, get to say farewell.
const FAREWELL_PATIENCE: Duration = Duration::from_secs(1);
/// How often a taken control socket is tried again, and how long between.
const BIND_TRIES: u32 = 20;
const BIND_PAUSE: Duration = Duration::from_millis(50);
