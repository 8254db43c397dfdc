//! Links as a stranger with the right key sees them: their cryptography, how long they take, and what rest costs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prunella::security::{Credentials, LINK_ALPN, Refused, explain, quinn_client, server_name};
use prunella_core::PeerId;
use quinn::{Connection, ConnectionError, Endpoint};
use rustls::NamedGroup;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, SupportedKxGroup, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

use super::mesh::{Mesh, Node, Plan};
use super::process::{processor_time, resident_bytes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_is_post_quantum_or_it_is_not() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    mesh.nodes[1].kill();
    let (listen, peer) = (mesh.nodes[0].listen, mesh.nodes[0].peer.parse().unwrap());
    let member = Credentials::load(&mesh.nodes[1].dir).unwrap();
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();

    // One offer, and the handshakes succeed: then it is what was agreed on.
    let client = member.client(LINK_ALPN);
    let offered: Vec<_> = client.crypto_provider().kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(offered, [NamedGroup::X25519MLKEM768]);
    let mut taken = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        let config = quinn_client(client.clone());
        let connection = connect(&endpoint, config, listen, peer).await.unwrap();
        taken.push(began.elapsed());
        connection.close(0_u32.into(), b"");
    }
    taken.sort_unstable();
    println!("handshake with an admitted neighbor: median {:?}, longest {:?} of 20", taken[10], taken[19]);
    assert!(taken[10] < Duration::from_secs(1), "{taken:?}");

    for group in [aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1] {
        let error = connect(&endpoint, classical(group), listen, peer).await.unwrap_err();
        let refused = explain(&error).unwrap_or_else(|| panic!("{error}"));
        assert_eq!(refused.reason, Refused::NoKeyExchange, "{:?}", group.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_dial_each_other_at_once_settle_on_one_link() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    for round in 0..3 {
        mesh.nodes.iter_mut().for_each(Node::kill);
        mesh.nodes.iter_mut().for_each(Node::spawn);
        mesh.whole().await;
        // Enough round trips for a duel to show.
        mesh.nodes[0].run(&["ping", "n1", "--count", "3"]).await.ok();
        for node in &mesh.nodes {
            let established = node.links().await.unwrap()[0].established;
            assert!(established <= 3, "round {round}: {} had {established} links\n{}", node.name, node.log());
            let kinds: Vec<_> = node.incidents().await.unwrap().into_iter().map(|incident| incident.kind).collect();
            assert!(!kinds.contains(&"link-down".to_owned()), "round {round}: {kinds:?}\n{}", node.log());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_at_rest_costs_little() {
    let mesh = Mesh::found(Plan::pair()).await;
    let pid = mesh.nodes[1].pid();
    let (began, before) = (Instant::now(), processor_time(pid));
    // What is measured is this very time.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let share = (processor_time(pid) - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let resident = resident_bytes(pid);
    println!("a node at rest: {:.1} MB resident, {:.2} % of a core", resident as f64 / 1e6, share * 100.0);
    let (bytes_max, share_max) = if cfg!(debug_assertions) { (160_000_000, 0.2) } else { (40_000_000, 0.02) };
    assert!(resident < bytes_max, "{resident} bytes are resident");
    assert!(share < share_max, "{share} of a core is used");
}

async fn connect(
    endpoint: &Endpoint,
    config: quinn::ClientConfig,
    address: SocketAddr,
    peer: PeerId,
) -> Result<Connection, ConnectionError> {
    endpoint.connect_with(config, address, &server_name(&peer)).unwrap().await
}

/// A client that offers this key exchange alone, and does not mind who answers.
fn classical(group: &'static dyn SupportedKxGroup) -> quinn::ClientConfig {
    let provider = Arc::new(CryptoProvider { kx_groups: vec![group], ..aws_lc_rs::default_provider() });
    let builder =
        rustls::ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&rustls::version::TLS13]);
    let mut config =
        builder.unwrap().dangerous().with_custom_certificate_verifier(Arc::new(Anybody)).with_no_client_auth();
    config.alpn_protocols = vec![LINK_ALPN.to_vec()];
    quinn_client(Arc::new(config))
}

#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }
}
