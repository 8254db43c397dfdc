//! A mesh of nodes for tests: one authority, and per node a port, links, sessions and services.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{mpsc, oneshot};

use prunella_core::identity::Identity;
use prunella_core::wire::{Admission, AdmissionReply, StreamOpen};
use prunella_core::{Label, LinkId, PeerId};

use crate::datapath::{Event, Port, Route, Threads, bind_several_udp};
use crate::host::Machine;
use crate::security::{Authority, Credentials, Issuer, IssuingKey, Member, Token};
use crate::spans::Tracer;
use crate::transport::{
    Admitter, Gate, Inbound, LinkEvent, LinkSetup, Links, Pass, RouteHook, Services, SessionSetup, Sessions,
};

/// Waits for something that must happen.
pub(super) async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it did not happen in time")
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

pub(super) struct Mesh {
    issuer: Arc<Issuer>,
}

pub(super) struct Node {
    pub(super) credentials: Credentials,
    pub(super) port: Arc<Port>,
    pub(super) frames: mpsc::Receiver<Event>,
    pub(super) links: Links,
    pub(super) events: mpsc::Receiver<LinkEvent>,
    pub(super) sessions: Sessions,
    pub(super) messages: mpsc::Receiver<Inbound>,
    pub(super) services: Services,
    /// Who and what is let in: everybody, but for what stands here.
    pub(super) denied: Arc<Mutex<BTreeSet<(PeerId, String)>>>,
    /// Neighbors that are not accepted.
    pub(super) unwanted: Arc<Mutex<BTreeSet<PeerId>>>,
    /// Whether no new sessions are taken on.
    pub(super) sheds: Arc<AtomicBool>,
    /// Holds up the next link that is made.
    hold: Arc<Mutex<Option<Hold>>>,
    /// How often a route was asked for; an error here is the answer.
    pub(super) routing: Arc<(AtomicU64, Mutex<Option<String>>)>,
}

/// Says that somebody is held up here, and until when.
struct Hold {
    reached: oneshot::Sender<()>,
    go_on: std::sync::mpsc::Receiver<()>,
}

impl Hold {
    fn pass(self) {
        // A test that has failed waits for nobody.
        let _ = self.reached.send(());
        let _ = tokio::task::block_in_place(|| self.go_on.recv());
    }
}

struct DenyList(Arc<Mutex<BTreeSet<(PeerId, String)>>>);

impl Gate for DenyList {
    fn met(&self, _: PeerId, chain: &[Vec<u8>]) {
        assert_eq!(chain.len(), 2, "a node's certificate and its issuer's");
    }

    fn decide(&self, from: PeerId, request: &StreamOpen) -> Result<Pass, String> {
        let asked = match request {
            StreamOpen::Service { name } => name.clone(),
            StreamOpen::Message => "message".to_owned(),
            StreamOpen::Ping => "ping".to_owned(),
            StreamOpen::Command { command, .. } => command.clone(),
            StreamOpen::Shell { .. } => "shell".to_owned(),
            StreamOpen::Network => "network".to_owned(),
        };
        if self.0.lock().unwrap().contains(&(from, asked)) { Err("rule 7".to_owned()) } else { Ok(Pass::free()) }
    }
}

struct Inviter {
    issuer: Arc<Issuer>,
    used: Mutex<BTreeSet<[u8; 16]>>,
    neighbors: Vec<(PeerId, Vec<SocketAddr>)>,
}

impl Admitter for Inviter {
    fn admit(&self, admission: Admission, _from: Option<Member>, exporter: [u8; 32]) -> AdmissionReply {
        let mut mark = |id: &[u8; 16], _expires| Ok(self.used.lock().unwrap().insert(*id));
        match self.issuer.admit(&admission, &exporter, now(), &mut mark) {
            Ok(chain) => AdmissionReply::Admitted {
                chain,
                authorities: self.issuer.key().authority_ders(),
                neighbors: self.neighbors.clone(),
            },
            Err(refusal) => AdmissionReply::Refused(refusal),
        }
    }
}

impl Mesh {
    /// A mesh in which the node with seed 1 admits hosts.
    pub(super) fn new() -> Self {
        let authority = Authority::found(&"lab".parse().unwrap(), now()).unwrap();
        let key = IssuingKey::appointed_by(&authority, now()).unwrap();
        Self { issuer: Arc::new(Issuer::new(key, Identity::from_secret(&[1; 32]).peer())) }
    }

    pub(super) fn credentials(&self, seed: u8) -> Credentials {
        let identity = Identity::from_secret(&[seed; 32]);
        let chain = self.issuer.renew(identity.peer(), now()).unwrap();
        Credentials::new(identity, chain, &self.issuer.key().authority_ders()).unwrap()
    }

    /// An invitation by `inviter`, at these addresses.
    pub(super) fn invite(&self, inviter: PeerId, addresses: Vec<SocketAddr>) -> Token {
        self.issuer.invite(addresses, inviter, Duration::from_secs(60), now()).unwrap()
    }

    pub(super) fn node(&self, seed: u8) -> Node {
        self.node_at(seed, 1, "127.0.0.1:0".parse().unwrap())
    }

    pub(super) fn node_at(&self, seed: u8, incarnation: u64, address: SocketAddr) -> Node {
        self.node_on(Threads::current(), seed, incarnation, address)
    }

    /// A node whose packets are carried by these threads.
    pub(super) fn node_on(&self, threads: Threads, seed: u8, incarnation: u64, address: SocketAddr) -> Node {
        let credentials = self.credentials(seed);
        let sockets = bind_several_udp(address, 1, &threads).unwrap();
        let port = Port::over(sockets, credentials.peer(), threads).unwrap();
        Node::start((credentials, incarnation), port, self.issuer.clone())
    }
}

impl Node {
    fn start(
        (credentials, incarnation): (Credentials, u64),
        (port, frames): (Arc<Port>, mpsc::Receiver<Event>),
        issuer: Arc<Issuer>,
    ) -> Self {
        let me = credentials.peer();
        let denied = Arc::new(Mutex::new(BTreeSet::new()));
        let routing = Arc::new((AtomicU64::new(0), Mutex::new(None::<String>)));
        let asked = routing.clone();
        let route: RouteHook = Arc::new(move |_| {
            asked.0.fetch_add(1, Ordering::Relaxed);
            let answer = asked.1.lock().unwrap().clone();
            Box::pin(async { answer.map_or(Ok(()), Err) })
        });
        let gate = Arc::new(DenyList(denied.clone()));
        let (host, lanes, sheds) = (Machine::shared(), LANES, Arc::<AtomicBool>::default());
        let setup = SessionSetup {
            credentials: credentials.clone(),
            host,
            port: port.clone(),
            lanes,
            route,
            gate,
            tracer: Tracer::off(),
            traced: Arc::new(|_, _| {}),
            sheds: sheds.clone(),
        };
        let (sessions, inbox) = Sessions::start(setup).unwrap();
        let unwanted = Arc::new(Mutex::new(BTreeSet::new()));
        let refused = unwanted.clone();
        let hold = Arc::new(Mutex::new(None::<Hold>));
        let holding = hold.clone();
        let (sender, events) = mpsc::channel(1024);
        let neighbors = vec![(me, vec![port.local_addr()])];
        let links = Links::start(LinkSetup {
            credentials: credentials.clone(),
            host: Machine::shared(),
            port: port.clone(),
            incarnation,
            accept: Box::new(move |peer| !refused.lock().unwrap().contains(peer)),
            relays: Box::new(move |_, _| {
                let hold = holding.lock().unwrap().take();
                if let Some(hold) = hold {
                    hold.pass();
                }
                true
            }),
            messages_per_second: prunella_core::limits::CONTROL_RATE_PER_SECOND,
            admitter: Some(Arc::new(Inviter { issuer, used: Mutex::default(), neighbors })),
            events: sender,
        })
        .unwrap();
        let services = Services::start(me, sessions.clone(), inbox.services);
        let messages = inbox.messages;
        Self {
            credentials,
            port,
            frames,
            links,
            events,
            sessions,
            messages,
            services,
            denied,
            unwanted,
            sheds,
            hold,
            routing,
        }
    }

    pub(super) fn peer(&self) -> PeerId {
        self.credentials.peer()
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.port.local_addr()
    }

    /// The next event for which `pick` gives something.
    pub(super) async fn event<T>(&mut self, mut pick: impl FnMut(&LinkEvent) -> Option<T>) -> T {
        soon(async {
            loop {
                let event = self.events.recv().await.expect("the endpoint lives");
                if let Some(picked) = pick(&event) {
                    return picked;
                }
            }
        })
        .await
    }

    /// Waits until a link to `peer` is told, and returns it.
    pub(super) async fn established(&mut self, peer: PeerId) -> (LinkId, Label) {
        self.event(|event| match event {
            LinkEvent::Established { peer: p, link, label, .. } if *p == peer => Some((*link, *label)),
            _ => None,
        })
        .await
    }

    /// Waits until the end of a link to `peer` is told, and returns why.
    pub(super) async fn closed(&mut self, peer: PeerId) -> (LinkId, String) {
        self.event(|event| match event {
            LinkEvent::Closed { peer: p, link, reason, .. } if *p == peer => Some((*link, reason.clone())),
            _ => None,
        })
        .await
    }

    /// Holds up the next link that is made here, when it has taken its place and nothing was told of it yet. What comes
    /// back says that it is held up, and lets it go on when dropped. Needs a runtime of several threads.
    pub(super) fn hold_up(&self) -> (oneshot::Receiver<()>, std::sync::mpsc::Sender<()>) {
        let ((reached, is_reached), (release, go_on)) = (oneshot::channel(), std::sync::mpsc::channel());
        *self.hold.lock().unwrap() = Some(Hold { reached, go_on });
        (is_reached, release)
    }

    pub(super) async fn dial_failed(&mut self) -> String {
        self.event(|event| match event {
            LinkEvent::DialFailed { reason, .. } => Some(reason.clone()),
            _ => None,
        })
        .await
    }

    /// Links two nodes; returns each one's link and label for the other.
    pub(super) async fn link(&mut self, other: &mut Node) -> ((LinkId, Label), (LinkId, Label)) {
        self.links.dial(other.peer(), other.address());
        (self.established(other.peer()).await, other.established(self.peer()).await)
    }

    /// Links two nodes, and routes each one's traffic for the other over the link.
    pub(super) async fn link_and_route(&mut self, other: &mut Node) {
        let ((there, _), (back, _)) = self.link(other).await;
        self.route(other.peer(), there, vec![]);
        other.route(self.peer(), back, vec![]);
    }

    pub(super) fn route(&self, destination: PeerId, first: LinkId, labels: Vec<Label>) {
        self.port.install_route(destination, &Route { path: 1, first, labels }, None);
    }

    pub(super) fn deny(&self, from: PeerId, what: &str) {
        self.denied.lock().unwrap().insert((from, what.to_owned()));
    }
}

/// The lanes that nodes use to each other, once they have ways of their own.
const LANES: usize = 3;

/// Two nodes whose traffic for each other passes a third.
pub(super) async fn over_a_relay(mesh: &Mesh) -> (Node, Node, Node) {
    let (mut near, mut relay, mut far) = (mesh.node(1), mesh.node(2), mesh.node(3));
    let ((near_link, _), (_, label_to_near)) = near.link(&mut relay).await;
    let ((far_link, _), (_, label_to_far)) = far.link(&mut relay).await;
    near.route(far.peer(), near_link, vec![label_to_far]);
    far.route(near.peer(), far_link, vec![label_to_near]);
    (near, relay, far)
}

/// A node with a runtime of its own, which can be killed: its tasks vanish and nobody is told.
pub(super) struct Mortal {
    runtime: Doomed,
    pub(super) node: Node,
}

/// A runtime that may be dropped anywhere.
struct Doomed(Option<tokio::runtime::Runtime>);

impl Drop for Doomed {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Mortal {
    pub(super) fn start(mesh: &Mesh, seed: u8, incarnation: u64, address: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let inside = runtime.enter();
        let node = mesh.node_at(seed, incarnation, address);
        drop(inside);
        Self { runtime: Doomed(Some(runtime)), node }
    }

    /// Returns once nothing of the node is left, and its address.
    pub(super) async fn kill(self) -> SocketAddr {
        let Mortal { mut runtime, node } = self;
        let address = node.address();
        let port = Arc::downgrade(&node.port);
        tokio::task::spawn_blocking(move || {
            runtime.0.take().unwrap().shutdown_timeout(Duration::from_secs(5));
            drop(node);
        })
        .await
        .unwrap();
        assert!(port.upgrade().is_none(), "the socket is closed");
        address
    }
}
