//! A neighbor that misbehaves is dealt with no more, by the node that saw it; the others go on.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prunella::datapath::{Port, Route};
use prunella::host::Machine;
use prunella::security::Credentials;
use prunella::spans::Tracer;
use prunella::transport::{Gate, LinkEvent, LinkSetup, Links, Pass, SessionError, SessionSetup, Sessions};
use prunella_core::PeerId;
use prunella_core::record::{Body, Kind, NodeBody, Record, RecordId, SignedRecord};
use prunella_core::wire::{Control, StreamOpen};
use quinn::{RecvStream, SendStream};
use tokio::sync::mpsc;

use super::mesh::{Mesh, PATIENCE, Plan, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbor_that_forges_records_is_quarantined_and_nobody_else() {
    // A tenth of the mesh may be quarantined, and no more.
    let mut mesh = Mesh::found(Plan::star(10)).await;
    mesh.nodes[9].kill();
    let odd = Odd::in_the_place_of(&mesh, 9);
    let node = &mesh.nodes[0];
    odd.forge_until_it_is_quarantined(node.peer.parse().unwrap(), node.listen).await;
    let told = until("the incident over", PATIENCE, async || {
        let told = node.incidents().await?;
        let told = told.into_iter().find(|told| told.kind == "misbehaving").ok_or("no incident")?;
        if told.lasted_ms.is_some() { Ok(told) } else { Err(format!("{told:?}")) }
    })
    .await;
    assert_eq!(told.subject, "n9");
    assert!(told.evidence.contains("bad_signature"), "{}", told.evidence);
    let story = node.run(&["incident", &told.id.to_string()]).await.ok();
    assert!(story.contains("quarantine: helped"), "{story}");
    // It is neither dialed nor accepted again.
    assert!(odd.is_refused(node.peer.parse().unwrap(), node.listen).await);
    assert!(node.links().await.unwrap().iter().all(|link| link.name != "n9"));
    for other in 1..9 {
        node.run(&["ping", &format!("n{other}"), "--count", "1"]).await.ok();
    }
    // Told, it is not heard any more where it is: what it sends is dropped unread.
    until("silence", PATIENCE, async || {
        odd.links.dial(node.peer.parse().unwrap(), node.listen);
        let dropped = node.status().await?.counters["datagrams_shut_out"];
        if dropped > 0 { Ok(()) } else { Err("it is heard".to_owned()) }
    })
    .await;
}

/// Somebody with the key of a node, who says what nobody signed.
pub(super) struct Odd {
    links: Links,
    port: Arc<Port>,
    events: tokio::sync::Mutex<mpsc::Receiver<LinkEvent>>,
    /// Reads the socket, too.
    sessions: Sessions,
    /// When it last forged.
    forged: Mutex<SystemTime>,
}

struct Closed;

impl Gate for Closed {
    fn met(&self, _: PeerId, _: &[Vec<u8>]) {}

    fn decide(&self, _: PeerId, _: &StreamOpen) -> Result<Pass, String> {
        Err("nobody".to_owned())
    }
}

impl Odd {
    pub(super) fn in_the_place_of(mesh: &Mesh, node: usize) -> Self {
        let credentials = Credentials::load(&mesh.nodes[node].dir).unwrap();
        let (port, _) = Port::bind("127.0.0.1:0".parse().unwrap(), credentials.peer()).unwrap();
        let setup = SessionSetup {
            lanes: 1,
            credentials: credentials.clone(),
            host: Machine::shared(),
            port: Arc::clone(&port),
            route: Arc::new(|_| Box::pin(async { Ok(()) })),
            gate: Arc::new(Closed),
            tracer: Tracer::off(),
            traced: Arc::new(|_, _| {}),
            sheds: Arc::default(),
        };
        let (sessions, _) = Sessions::start(setup).unwrap();
        let (sender, events) = mpsc::channel(1024);
        let links = Links::start(LinkSetup {
            credentials,
            host: Machine::shared(),
            port: Arc::clone(&port),
            incarnation: 7,
            accept: Box::new(|_| true),
            relays: Box::new(|_, _| true),
            messages_per_second: 1000,
            admitter: None,
            events: sender,
        })
        .unwrap();
        Self { links, port, events: tokio::sync::Mutex::new(events), sessions, forged: Mutex::new(UNIX_EPOCH) }
    }

    /// Makes a link to `peer`, and opens a stream to its service over it.
    pub(super) async fn stream(&self, peer: PeerId, at: SocketAddr, name: &str) -> (SendStream, RecvStream) {
        self.link_to(peer, at).await;
        self.open(peer, &StreamOpen::Service { name: name.to_owned() }).await.unwrap()
    }

    /// Opens a stream to `peer`, to which there is a link.
    pub(super) async fn open(
        &self,
        peer: PeerId,
        opening: &StreamOpen,
    ) -> Result<(SendStream, RecvStream), SessionError> {
        self.sessions.open(peer, opening).await
    }

    /// Makes a link to `peer`, over which streams can be opened.
    pub(super) async fn link_to(&self, peer: PeerId, at: SocketAddr) {
        self.links.dial(peer, at);
        let mut events = self.events.lock().await;
        let first = loop {
            match events.recv().await.unwrap() {
                LinkEvent::Established { link, .. } => break link,
                LinkEvent::DialFailed { reason, .. } => panic!("{reason}"),
                _ => {}
            }
        };
        self.port.install_route(peer, &Route { path: 1, first, labels: vec![] }, None);
    }

    /// Says something that nobody signed, once.
    pub(super) fn forge(&self, peer: PeerId) {
        self.links.send(peer, &Control::Push(vec![forged(9)])).unwrap();
    }

    /// Why the next link to `peer` came to its end, or was never made; forges while it is there.
    async fn dial(&self, peer: PeerId, address: SocketAddr) -> String {
        self.links.dial(peer, address);
        let mut events = self.events.lock().await;
        loop {
            match events.recv().await.unwrap() {
                LinkEvent::Established { .. } => {
                    *self.forged.lock().unwrap() = SystemTime::now();
                    for number in 0..4 {
                        self.links.send(peer, &Control::Push(vec![forged(number)])).unwrap();
                    }
                }
                LinkEvent::Closed { reason, .. } | LinkEvent::DialFailed { reason, .. } => return reason,
                _ => {}
            }
        }
    }

    /// Forges as soon as there is a link; when that was.
    pub(super) async fn forge_until_it_is_quarantined(&self, peer: PeerId, address: SocketAddr) -> SystemTime {
        let ended = tokio::time::timeout(PATIENCE, self.dial(peer, address)).await;
        let reason = ended.expect("the link is closed");
        assert!(reason.contains("by decision"), "{reason}");
        *self.forged.lock().unwrap()
    }

    async fn is_refused(&self, peer: PeerId, address: SocketAddr) -> bool {
        let reason = tokio::time::timeout(Duration::from_secs(10), self.dial(peer, address)).await.unwrap();
        reason.contains("not accepted as a neighbor")
    }
}

/// What a node said, and did not sign.
fn forged(number: u8) -> SignedRecord {
    let somebody = prunella_core::identity::Identity::from_secret(&[number + 100; 32]);
    let id = RecordId { origin: somebody.peer(), kind: Kind::Node, key: String::new() };
    let body = NodeBody { name: "nobody".to_owned(), ..NodeBody::default() };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    let record = Record { id, version: now << 16, issued_ms: now, expires_ms: now + 60_000, body: Body::Node(body) };
    let mut signed = record.sign(&somebody).signed.clone();
    signed.signature[7] ^= 1;
    signed
}
