//! Nodes on loopback with real QUIC over the datapath, for benchmarks and integration tests.
//!
//! Links get random keys and all nodes share one self-signed certificate: what is under test is how packets travel.

#![allow(dead_code, unreachable_pub, reason = "each benchmark and test uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a rig that cannot be built is a failed run")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use quinn::{ClientConfig, Connection, Endpoint, EndpointConfig, MtuDiscoveryConfig, ServerConfig, TransportConfig};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use prunella::datapath::{
    Event, LinkInstall, Port, Route, SESSION_INITIAL_MTU, SESSION_MTU_MAX, SESSION_RECEIVE_BYTES, Threads,
    bind_several_udp, session_address_of,
};
use prunella_core::frame::FrameKey;
use prunella_core::{Label, LinkId, PeerId};

/// How long anything may take before a run counts as hung.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// The name in the certificate.
pub const SERVER_NAME: &str = "rig";

/// One certificate for everybody, and configurations that trust it.
#[derive(Clone)]
pub struct Tls {
    certificate: CertificateDer<'static>,
    key: Arc<Vec<u8>>,
}

impl Tls {
    /// A fresh self-signed certificate.
    pub fn new() -> Self {
        let made = rcgen::generate_simple_self_signed(vec![SERVER_NAME.to_owned()]).unwrap();
        Self { certificate: made.cert.der().clone(), key: Arc::new(made.signing_key.serialize_der()) }
    }

    /// A server with the certificate.
    pub fn server(&self, transport: TransportConfig) -> ServerConfig {
        let key = PrivatePkcs8KeyDer::from(self.key.to_vec()).into();
        let tls = rustls::ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key)
            .unwrap();
        let mut config = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).unwrap()));
        config.transport_config(Arc::new(transport));
        config
    }

    /// A client that trusts the certificate.
    pub fn client(&self, transport: TransportConfig) -> ClientConfig {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.certificate.clone()).unwrap();
        let tls = rustls::ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        config.transport_config(Arc::new(transport));
        config
    }
}

/// The one key exchange that the mesh allows.
fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![rustls::crypto::aws_lc_rs::kx_group::X25519MLKEM768];
    Arc::new(provider)
}

/// The transport of sessions: what the datapath asks for, and nothing else.
pub fn session_transport() -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(SESSION_MTU_MAX);
    let mut transport = TransportConfig::default();
    transport.initial_mtu(SESSION_INITIAL_MTU).mtu_discovery_config(Some(discovery));
    transport
}

/// An endpoint's configuration that never greases the first bit.
pub fn endpoint_config(receive_bytes: u16) -> EndpointConfig {
    let mut config = EndpointConfig::default();
    config.grease_quic_bit(false).max_udp_payload_size(receive_bytes).unwrap();
    config
}

/// A node: a port with both of its endpoints.
pub struct Node {
    pub id: PeerId,
    pub port: Arc<Port>,
    pub events: mpsc::Receiver<Event>,
    pub links: Endpoint,
    pub sessions: Endpoint,
    /// What reads the sockets beside the first.
    pub readers: JoinSet<io::Error>,
}

impl Node {
    /// A node on loopback; `seed` makes its identity. Call it within the runtime that is to drive it.
    pub fn start(seed: u8, tls: &Tls) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), 1, seed, tls)
    }

    /// A node at an address of your choice, with so many sockets.
    pub fn start_at(address: SocketAddr, sockets: usize, seed: u8, tls: &Tls) -> Self {
        let (id, threads) = (PeerId::from_public_key([seed; 32]), Threads::current());
        let (port, events) = Port::over(bind_several_udp(address, sockets, &threads).unwrap(), id, threads).unwrap();
        let readers = port.start_readers();
        let endpoint = |config, transport: fn() -> TransportConfig, socket| {
            let runtime = Arc::new(quinn::TokioRuntime);
            let server = Some(tls.server(transport()));
            let mut endpoint = Endpoint::new_with_abstract_socket(config, server, socket, runtime).unwrap();
            endpoint.set_default_client_config(tls.client(transport()));
            endpoint
        };
        let links = endpoint(endpoint_config(1472), TransportConfig::default, port.link_socket());
        let sessions = endpoint(endpoint_config(SESSION_RECEIVE_BYTES), session_transport, port.mesh_socket());
        Self { id, port, events, links, sessions, readers }
    }

    /// Where the node's socket is.
    pub fn address(&self) -> SocketAddr {
        self.port.local_addr()
    }

    /// Opens a session to `peer`.
    pub async fn dial(&self, peer: &Node) -> Connection {
        let connecting = self.sessions.connect(session_address_of(&peer.id), SERVER_NAME).unwrap();
        in_time(connecting).await.unwrap()
    }

    /// Takes the next session that somebody opens to this node.
    pub async fn accept(&self) -> Connection {
        in_time(in_time(self.sessions.accept()).await.unwrap()).await.unwrap()
    }

    /// Installs a route: over the link `first`, then along the labels.
    pub fn route(&self, to: &Node, path: u32, first: LinkId, labels: &[u16]) {
        let labels = labels.iter().copied().map(Label).collect();
        self.port.install_route(to.id, &Route { path, first, labels }, None);
    }

    /// As [`Node::route`], with copies over the link `second` and along its labels.
    pub fn hedged_route(&self, to: &Node, path: u32, first: (LinkId, &[u16]), second: (LinkId, &[u16])) {
        let route = |(first, labels): (LinkId, &[u16])| Route {
            path,
            first,
            labels: labels.iter().copied().map(Label).collect(),
        };
        self.port.install_route(to.id, &route(first), Some(&route(second)));
    }

    /// The next event that `wanted` accepts; others are passed over.
    pub async fn event<T>(&mut self, wanted: impl Fn(&Event) -> Option<T>) -> T {
        let search = async {
            loop {
                let event = self.events.recv().await.expect("the port lives as long as the node");
                if let Some(found) = wanted(&event) {
                    return found;
                }
            }
        };
        in_time(search).await
    }
}

/// The two ends of a link.
pub struct LinkEnds {
    pub left: LinkId,
    pub right: LinkId,
    /// The key of frames from right to left.
    pub right_key: FrameKey,
}

/// Links two nodes, each with its own label for the other.
pub fn link(left: &Node, right: &Node, label_at_left: u16, label_at_right: u16) -> LinkEnds {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(2, Ordering::Relaxed);
    let ends = LinkEnds { left: LinkId(number), right: LinkId(number + 1), right_key: key(number + 1) };
    let install = |at: &Node, id, peer: &Node, label, send_key, receive_key| {
        let (remote, label) = (peer.address(), Label(label));
        let install = LinkInstall { id, peer: peer.id, remote, label, send_key, receive_key, may_relay: true };
        at.port.install_link(install);
    };
    install(left, ends.left, right, label_at_left, key(number), key(number + 1));
    install(right, ends.right, left, label_at_right, key(number + 1), key(number));
    ends
}

fn key(number: u64) -> FrameKey {
    FrameKey::from_bytes(u128::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes())
}

/// Waits for something that has to happen.
///
/// # Panics
/// If it takes longer than [`PATIENCE`].
pub async fn in_time<F: IntoFuture>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it takes too long")
}

/// Waits until a counter says what it should.
///
/// # Panics
/// If that takes longer than [`PATIENCE`], with what is awaited.
pub async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("it takes too long: {what}"));
}
