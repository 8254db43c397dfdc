//! What the node answers to each request, whichever surface it came from.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prunella_core::gossip;
use prunella_core::membership::roster::Counts;
use prunella_core::wiring::Route;
use prunella_core::{PeerId, wire::stream::StreamRefusal};
use prunella_storage::{Batch, Tree};
use ractor::rpc::CallResult;
use tokio::sync::watch;

use super::chaos_answers::Breakable;
use super::error::{Error, ErrorKind};
use super::policy_answers::told_refused;
use super::remote::{FarNode, Remote};
use super::server::{Answer, Caller, Connecting, Handler, User, stopped};
use super::traced::{describe, note_error};
use super::vocabulary::{Failure, MemberCounts, Request, Response, Status};
use crate::actors::shell::{NotDurable, Shell};
use crate::messages;
use crate::spans::{self, Kind};
use crate::transport::{ExposeError, ForwardError, SessionError, Sessions};

/// Answers requests about one node.
pub(super) struct Answers {
    shell: Arc<Shell>,
    sessions: Sessions,
    stop: watch::Sender<bool>,
    /// The node's directory.
    dir: PathBuf,
    /// What the node was configured with; `None`: a program did so.
    config_file: Option<PathBuf>,
    /// Tells this run of the node from every other.
    run: u64,
    /// Where the HTTP API is served over TCP, as a URL, if it is.
    http: Mutex<Option<String>>,
    pub(super) breakable: Breakable,
    /// What is served to other nodes.
    pub(super) remote: Remote,
}

impl Handler for Answers {
    fn handle(&self, request: Request, caller: Caller) -> Answer<'_> {
        Box::pin(async move {
            let mut span = self.shell.tracer.request("request", Kind::Server);
            describe(&mut span, &request);
            let work = async {
                if let Some(command) = request.deed() {
                    self.shell.write_down_command(command, caller.who(), caller.from()).await;
                }
                self.answer(request).await.unwrap_or_else(|error| Response::Error { error })
            };
            let response = spans::under(span.context(), work).await;
            note_error(&mut span, &response);
            response
        })
    }

    fn connect(&self, node: String, shell: bool, user: User) -> Connecting<'_> {
        Box::pin(async move {
            let far = FarNode::connect(self, &node, shell, user).await?;
            Ok(Arc::new(far) as Arc<dyn Handler>)
        })
    }
}

impl Answers {
    pub(super) fn new(
        (shell, dir, config_file): (Arc<Shell>, PathBuf, Option<PathBuf>),
        sessions: Sessions,
        stop: watch::Sender<bool>,
        breakable: Breakable,
    ) -> Self {
        let run = shell.host.random_u64();
        Self {
            shell,
            sessions,
            stop,
            dir,
            config_file,
            run,
            http: Mutex::default(),
            breakable,
            remote: Remote::default(),
        }
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the node was configured with; `None`: a program did so.
    pub(super) fn config_file(&self) -> Option<&Path> {
        self.config_file.as_deref()
    }

    /// The node stops: nothing is waited for any more.
    pub(super) fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Returns when the node stops.
    pub(super) async fn stopping(&self) {
        stopped(&mut self.stop.subscribe()).await;
    }

    /// Tells this run of the node from every other.
    pub(super) fn run(&self) -> u64 {
        self.run
    }

    /// The HTTP API is served there from now on, or nowhere.
    pub(super) fn serves_http_at(&self, url: Option<String>) {
        *self.http.lock().unwrap_or_else(PoisonError::into_inner) = url;
    }

    fn http(&self) -> Option<String> {
        self.http.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn shell(&self) -> &Arc<Shell> {
        &self.shell
    }

    pub(super) fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    pub(super) async fn answer(&self, request: Request) -> Result<Response, Error> {
        match request {
            Request::Status => self.status().await.map(Response::Status),
            Request::Vitals => Ok(Response::Vitals(self.vitals())),
            Request::Peers { after } => {
                self.peers_after(after).await.map(|(peers, more)| Response::Peers { peers, more })
            }
            Request::Members { after } => self.members(after).await.map(Response::Members),
            Request::Reputation { peer } => self.reputation(&peer).await,
            Request::Regions { from } => self.regions(from).await.map(Response::Regions),
            Request::Topology { after } => Ok(Response::Topology(self.topology(after))),
            Request::Events { after, last, wait_ms } => Ok(Response::Events(self.events(after, last, wait_ms).await)),
            Request::Configuration => Ok(Response::Configuration { settings: self.configuration() }),
            Request::Configure { key, value } => self.configure(&key, &value),
            Request::Log => self.log(),
            Request::LogSet { level, target } => self.set_log(level, target.as_deref()),
            Request::Gossip => Ok(Response::Gossip(self.gossip().await)),
            Request::Records { node, kind, after } => self.records(node.as_deref(), kind.as_deref(), after).await,
            Request::Record { id } => self.record(&id).await,
            Request::Store => Ok(Response::Store(self.store())),
            Request::Tun => Ok(Response::Tun(self.tun())),
            Request::Kernel => Ok(Response::Kernel(self.kernel())),
            Request::Journal => Ok(Response::Journal(self.journal().await)),
            Request::Links => Ok(Response::Links { links: self.links().await }),
            Request::Paths { destination, why } => self.paths(&destination, why).await,
            Request::Certificates => Ok(Response::Certificates(self.certificates())),
            Request::Smoke { peer } => self.smoke(&peer).await,
            Request::RotateCertificate => self.rotate().await,
            Request::Tell { statement } => self.tell(&statement),
            Request::Revoke { peer, reason } => self.revoke(&peer, reason),
            Request::Reinstate { peer } => self.reinstate(&peer),
            Request::Actors => Ok(Response::Actors { actors: self.actors() }),
            Request::Actor { name, briefly } => self.actor(&name, briefly).await,
            Request::RestartActor { actor } => self.restart(&actor),
            Request::SuspendActor { actor, seconds } => self.suspend(&actor, seconds),
            Request::ResumeActor { actor } => self.resume(&actor),
            Request::Tap { actor, kind, most, ms } => self.tap(&actor, kind.as_deref(), most, ms).await,
            Request::Services { after, after_provider } => Ok(self.services(after, after_provider)),
            Request::Incidents => Ok(Response::Incidents { incidents: self.newest_incidents() }),
            Request::Incident { id } => self.incident(id).map(Response::Incident),
            Request::Ping { destination, timeout_ms } => self.ping(&destination, timeout_ms).await,
            Request::Trace { destination } => self.trace(&destination).await,
            Request::Expose { name, target } => self.expose(name, &target).await,
            Request::Unexpose { name } => self.unexpose(name).await,
            Request::Forward { name, listen } => self.forward(&name, listen).await,
            Request::Unforward { listen } => self.unforward(listen),
            Request::SharedSet { key, value } => self.write_shared(key, Some(value)).await,
            Request::SharedRemove { key } => self.write_shared(key, None).await,
            Request::SharedGet { key } => self.shared(&key),
            Request::SharedList { after } => Ok(self.shared_list(after.as_deref())),
            Request::Policy => Ok(Response::Policy(self.policy())),
            Request::PolicyReload => self.reload_policy(),
            Request::PolicySet { name, text, version } => self.set_policy(name, text, version),
            Request::PolicyExplain(asked) => self.explain_policy(&asked),
            Request::KillActor { actor, how } => self.kill(&actor, how),
            Request::Chaos(order) => self.chaos(order),
            Request::Ledger { last, kind } => self.ledger(last, kind).await,
            Request::LedgerLines { from } => self.ledger_lines(from).await,
            Request::LedgerVerify => self.verify_ledger().await,
            Request::LedgerProve { index } => self.prove_entry(index).await,
            Request::Connect { .. } => Err(Error::new(ErrorKind::InvalidInput, NO_CONNECTION)),
            Request::Shutdown => {
                self.stop.send_replace(true);
                Ok(Response::Done)
            }
        }
    }

    async fn status(&self) -> Result<Status, Error> {
        let shell = &self.shell;
        let reachable = self.reachable().await?;
        let standing = self.standing().await?;
        let Counts { alive, suspect, down } = standing.counts;
        Ok(Status {
            peer: shell.credentials.peer(),
            name: shell.config.name.clone(),
            trust_domain: shell.credentials.trust_domain().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            listen: shell.port.local_addr(),
            http: self.http(),
            overlay_address: shell.credentials.peer().tag().address(),
            uptime_ms: shell.clock.uptime().as_millis() as u64,
            links_up: shell.port.link_stats().iter().filter(|link| link.usable).count(),
            peers_known: shell.known.nodes().len(),
            peers_reachable: reachable.len(),
            members: MemberCounts { alive, suspect, down },
            has_quorum: standing.quorum.has_quorum,
            converged: standing.is_converged(),
            incidents_open: shell.journal.open_count(),
            ledger: self.ledger_glance().await,
            policy_refused: shell.policing.refused().as_ref().map(told_refused),
            certificate_expires_unix: shell.credentials.certificate_expiry_unix(),
            counters: self.counters(),
        })
    }

    fn counters(&self) -> BTreeMap<String, u64> {
        let c = self.shell.port.counters();
        let mut counters = self.shell.rejections();
        counters.extend(self.shell.policing.counters());
        counters.extend(self.remote.counters());
        counters.extend(self.shell.ledger.counters().map(|(name, count)| (name.to_owned(), count)));
        counters.extend(
            [
                ("quic_received", c.quic_received),
                ("quic_dropped", c.quic_dropped),
                ("frames_from_strangers", c.unknown_source),
                ("datagrams_shut_out", c.shut_out),
                ("datagrams_over_rate", c.over_rate),
                ("frames_forwarded", c.forwarded),
                ("frames_forwarded_in_kernel", c.forwarded_in_kernel),
                ("frames_without_link", c.no_link),
                ("frames_without_route", c.no_route),
                ("frames_send_full", c.send_full),
                ("frames_send_failed", c.send_failed),
                ("datagrams_lost_on_purpose", c.faulted),
                ("datagrams_held_on_purpose", c.held),
                ("datagrams_doubled_on_purpose", c.doubled),
                ("tasks_alive", tokio::runtime::Handle::current().metrics().num_alive_tasks() as u64),
                ("probes_answered", c.probes_answered),
                ("path_errors_sent", c.path_errors_sent),
                ("frames_spread", c.spread),
                ("copies_sent", c.copies_sent),
                ("copies_over_budget", c.copies_over_budget),
                ("copies_received", c.copies_received),
                ("events_dropped", c.events_dropped),
                ("control_messages_dropped", self.shell.links().dropped()),
            ]
            .map(|(name, count)| (name.to_owned(), count)),
        );
        counters
    }

    async fn expose(&self, name: String, target: &str) -> Result<Response, Error> {
        self.shell.services().expose(&name, target).map_err(|error| {
            let kind = if error == ExposeError::OverLimit { ErrorKind::OverLimit } else { ErrorKind::InvalidInput };
            Error::new(kind, error.to_string())
        })?;
        let mut batch = Batch::new();
        batch.put(Tree::Services, name.as_bytes(), target.as_bytes());
        self.shell.directory.keep(batch);
        let done = format!("{name} is exposed");
        self.announce(name, true);
        self.done_and_durable(&done).await
    }

    async fn unexpose(&self, name: String) -> Result<Response, Error> {
        if !self.shell.services().unexpose(&name) {
            let text = format!("this node exposes no service named {name}; `prunella services` lists them");
            return Err(Error::new(ErrorKind::ServiceNotFound, text));
        }
        let mut batch = Batch::new();
        batch.delete(Tree::Services, name.as_bytes());
        self.shell.directory.keep(batch);
        let done = format!("{name} is exposed no longer");
        self.announce(name, false);
        self.done_and_durable(&done).await
    }

    /// Acknowledges what is done as soon as it is durable; what is not is never acknowledged as if it were.
    pub(super) async fn done_and_durable(&self, done: &str) -> Result<Response, Error> {
        match self.shell.durable().await {
            Ok(()) => Ok(Response::Done),
            Err(NotDurable::Failing { reason }) => {
                let text = format!(
                    "{done}, so far in memory only: {reason}; it is kept once the store can be written again, and lost \
                     if the node ends before"
                );
                Err(Error::new(ErrorKind::Storage, text))
            }
            Err(NotDurable::Late) => {
                let text = format!("{done}, but the store does not say in time that it is kept; it is being written");
                Err(Error::new(ErrorKind::TimedOut, text))
            }
        }
    }

    fn announce(&self, name: String, exposed: bool) {
        self.shell.directory.deliver(Route::Gossip(gossip::Input::SetService { name, exposed }));
    }

    async fn forward(&self, name: &str, listen: SocketAddr) -> Result<Response, Error> {
        let known = Arc::clone(&self.shell);
        let pick = Arc::new(move |name: &str| known.known.providers(name));
        let listen = self.shell.services().forward(name, listen, pick).await.map_err(|error| {
            let kind = match error {
                ForwardError::Listen { .. } => ErrorKind::System,
                ForwardError::OverLimit => ErrorKind::OverLimit,
                _ => ErrorKind::InvalidInput,
            };
            Error::new(kind, error.to_string())
        })?;
        Ok(Response::Forwarding { listen })
    }

    fn unforward(&self, listen: SocketAddr) -> Result<Response, Error> {
        if self.shell.services().unforward(listen) {
            return Ok(Response::Done);
        }
        let text = format!("nothing is forwarded at {listen}; `prunella services` lists the forwards");
        Err(Error::new(ErrorKind::ServiceNotFound, text))
    }

    fn kill(&self, actor: &str, how: Failure) -> Result<Response, Error> {
        let how = match how {
            Failure::Kill => None,
            Failure::Panic => Some(messages::Failure::Panic),
            Failure::Error => Some(messages::Failure::Error),
        };
        if how.is_some() {
            self.chaos_allowed()?;
        }
        if self.shell.directory.fail(actor, how) {
            return Ok(Response::Done);
        }
        let text = format!("no actor named {actor} can be killed; `prunella actors` lists them (not the supervisors)");
        Err(Error::new(ErrorKind::InvalidInput, text))
    }

    /// The node that `text` means.
    pub(super) fn find(&self, text: &str) -> Result<PeerId, Error> {
        let found = self.shell.known.find(text).or_else(|| {
            let me = self.shell.credentials.peer();
            (text == self.shell.config.name).then_some(me)
        });
        found.ok_or_else(|| {
            let text = format!("no node {text:?} is known, or several begin so; `prunella peers` lists them");
            Error::new(ErrorKind::PeerNotFound, text)
        })
    }
}

pub(super) fn answered<T, E>(result: Result<CallResult<T>, E>, actor: &str) -> Result<T, Error> {
    match result {
        Ok(CallResult::Success(value)) => Ok(value),
        _ => Err(away(actor)),
    }
}

pub(super) fn away(actor: &str) -> Error {
    Error::new(ErrorKind::NotRunning, format!("the {actor} actor is being restarted; try again"))
}

/// What a failed session means to a caller.
pub(super) fn session_error(name: &str, error: SessionError) -> Error {
    let kind = match &error {
        SessionError::NoRoute { .. } => ErrorKind::NoPath,
        SessionError::TimedOut => ErrorKind::TimedOut,
        SessionError::Authentication { .. } => ErrorKind::AuthenticationFailed,
        SessionError::Refused(StreamRefusal::Denied { .. }) => ErrorKind::Denied,
        SessionError::OverLimit => ErrorKind::OverLimit,
        SessionError::Overloaded => ErrorKind::Overloaded,
        SessionError::NotRunning => ErrorKind::NotRunning,
        _ => ErrorKind::ConnectionFailed,
    };
    Error::new(kind, format!("{name}: {error}"))
}

/// How long an actor gets to answer a question.
pub(super) const CALL_PATIENCE: Duration = Duration::from_secs(1);

/// To whoever asks a node to be connected with another.
const NO_CONNECTION: &str =
    "only a connection to the control socket can be for another node; `MeshNode::request_at` asks one";
