//! TLS for links, sessions and admissions: one version, one key exchange, and the signature algorithm of the mesh.

use std::sync::{Arc, LazyLock};

use prunella_core::PeerId;
use quinn::crypto::rustls::{QuicClientConfig, QuicServerConfig};
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, Resumption, WantsClientCert};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::{CipherSuite, ClientConfig, ConfigBuilder, ServerConfig, SignatureScheme};

use crate::security::credentials::Shared;
use crate::security::verifier::{ClientCertificate, InviterVerifier, MemberVerifier, SIGNATURES};
use crate::security::{Algorithm, Member, Refused, SecurityError};

/// The protocol between neighbors.
pub const LINK_ALPN: &[u8] = b"prunella-link/1";
/// The protocol of end-to-end sessions.
pub const SESSION_ALPN: &[u8] = b"prunella-session/1";
/// The protocol by which a host joins, and by which a member renews its certificate.
pub const JOIN_ALPN: &[u8] = b"prunella-join/1";

/// For joining through `inviter`: presents no certificate, and accepts only the inviter's, issued in `trust_domain`
/// (`None`: in the authority's, whatever its name) by the authority with this fingerprint, whose certificates the inviter
/// presents along with its own, of this algorithm. Certificates are judged by `time`.
pub fn join_client(
    (authority_fingerprint, certificates): ([u8; 32], Algorithm),
    trust_domain: Option<&str>,
    inviter: PeerId,
    time: Arc<dyn TimeProvider>,
) -> Arc<ClientConfig> {
    let trust_domain = trust_domain.map(str::to_owned);
    let verifier = InviterVerifier { authority_fingerprint, trust_domain, inviter, certificates };
    finish_client(client_builder(Arc::new(verifier), time).with_no_client_auth(), JOIN_ALPN)
}

/// Who is at the other end of an established connection.
///
/// # Errors
/// [`Refused::NoCertificate`] if the other end presented none; see [`Refused::close`].
pub fn authenticated_peer(connection: &quinn::Connection) -> Result<PeerId, SecurityError> {
    authenticated_member(connection).map(|member| member.node.peer)
}

/// As [`authenticated_peer`], with all that the certificate says of the node, and the key that it is of.
///
/// # Errors
/// As [`authenticated_peer`].
pub fn authenticated_member(connection: &quinn::Connection) -> Result<Member, SecurityError> {
    let chain = presented_chain(connection);
    let certificate = chain.first().ok_or(Refused::NoCertificate);
    certificate.and_then(|der| Member::of(der)).map_err(SecurityError::Refused)
}

/// What the other end of an established connection presented: its certificate and its issuer's, DER; empty for none.
pub fn presented_chain(connection: &quinn::Connection) -> Vec<Vec<u8>> {
    let chain = connection.peer_identity().and_then(|chain| chain.downcast::<Vec<CertificateDer<'static>>>().ok());
    chain.map(|chain| chain.iter().map(|der| der.to_vec()).collect()).unwrap_or_default()
}

/// A QUIC server with this TLS configuration; its transport parameters are still quinn's defaults.
pub fn quinn_server(config: Arc<ServerConfig>) -> quinn::ServerConfig {
    let crypto = QuicServerConfig::try_from(config).expect("BUG: the provider has QUIC's initial cipher suite");
    quinn::ServerConfig::with_crypto(Arc::new(crypto))
}

/// A QUIC client with this TLS configuration; its transport parameters are still quinn's defaults.
pub fn quinn_client(config: Arc<ClientConfig>) -> quinn::ClientConfig {
    // Not asked of the configuration, which may offer another suite alone.
    let initial = aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256.tls13().and_then(|suite| suite.quic_suite());
    let initial = initial.expect("BUG: the provider has QUIC's initial cipher suite");
    let crypto = QuicClientConfig::with_initial(config, initial).expect("BUG: that is QUIC's initial cipher suite");
    quinn::ClientConfig::new(Arc::new(crypto))
}

pub(super) fn server(shared: &Arc<Shared>, alpn: &[&[u8]], certificate: ClientCertificate) -> Arc<ServerConfig> {
    let verifier = MemberVerifier { shared: shared.clone(), certificate };
    let mut config = ServerConfig::builder_with_details(PROVIDER.clone(), shared.time.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("BUG: the provider has cipher suites of TLS 1.3")
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(CurrentCertificate(shared.clone())));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    // A resumed connection would not check certificates again.
    config.send_tls13_tickets = 0;
    config.max_early_data_size = 0;
    Arc::new(config)
}

pub(super) fn lapsed_client(shared: &Arc<Shared>) -> Arc<ClientConfig> {
    let verifier = MemberVerifier { shared: shared.clone(), certificate: ClientCertificate::Mandatory };
    finish_client(client_builder(Arc::new(verifier), shared.time.clone()).with_no_client_auth(), JOIN_ALPN)
}

/// As [`client`], offering this cipher suite and this key exchange group alone: a handshake that succeeds has them.
pub(super) fn offering_client(shared: &Arc<Shared>, offer: &Offer) -> Arc<ClientConfig> {
    let mut provider = CryptoProvider::clone(&PROVIDER);
    if let Some(suite) = &offer.suite {
        provider.cipher_suites.retain(|known| known.suite() == *suite);
    }
    if offer.is_classical {
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
    }
    let verifier = MemberVerifier { shared: shared.clone(), certificate: ClientCertificate::Mandatory };
    let builder = ClientConfig::builder_with_details(Arc::new(provider), shared.time.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("BUG: the provider has cipher suites of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let resolver = Arc::new(CurrentCertificate(shared.clone()));
    finish_client(builder.with_client_cert_resolver(resolver), JOIN_ALPN)
}

/// What a handshake that only looks offers.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offer {
    /// This cipher suite alone; `None`: all.
    pub suite: Option<CipherSuite>,
    /// A key exchange that a quantum computer breaks, which every node must refuse.
    pub is_classical: bool,
}

impl Offer {
    /// The cipher suites of TLS 1.3 that QUIC may use (RFC 9001, section 5.3), by preference.
    pub const SUITES: [CipherSuite; 3] = [
        CipherSuite::TLS13_AES_256_GCM_SHA384,
        CipherSuite::TLS13_AES_128_GCM_SHA256,
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256,
    ];
}

pub(super) fn client(shared: &Arc<Shared>, alpn: &[u8]) -> Arc<ClientConfig> {
    let verifier = MemberVerifier { shared: shared.clone(), certificate: ClientCertificate::Mandatory };
    let resolver = Arc::new(CurrentCertificate(shared.clone()));
    finish_client(client_builder(Arc::new(verifier), shared.time.clone()).with_client_cert_resolver(resolver), alpn)
}

fn client_builder(
    verifier: Arc<dyn ServerCertVerifier>,
    time: Arc<dyn TimeProvider>,
) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    ClientConfig::builder_with_details(PROVIDER.clone(), time)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("BUG: the provider has cipher suites of TLS 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
}

fn finish_client(mut config: ClientConfig, alpn: &[u8]) -> Arc<ClientConfig> {
    config.alpn_protocols = vec![alpn.to_vec()];
    config.enable_sni = false;
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    Arc::new(config)
}

/// Presents whatever certificate is current when a handshake starts.
#[derive(Debug)]
struct CurrentCertificate(Arc<Shared>);

impl ResolvesServerCert for CurrentCertificate {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let presented = self.0.presented();
        let joining = hello.alpn().is_some_and(|mut names| names.any(|name| name == JOIN_ALPN));
        Some(if joining { presented.with_authorities.clone() } else { presented.alone.clone() })
    }
}

impl ResolvesClientCert for CurrentCertificate {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.0.presented().alone.clone())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// One provider value for every configuration: nothing depends on the process-wide default.
static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
    Arc::new(CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        signature_verification_algorithms: SIGNATURES,
        ..aws_lc_rs::default_provider()
    })
});

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use prunella_core::identity::Identity;
    use quinn::{Connection, ConnectionError, Endpoint};
    use rustls::NamedGroup;
    use rustls::pki_types::ServerName;
    use rustls::time_provider::DefaultTimeProvider;

    use super::*;
    use crate::security::keys::Signer;
    use crate::security::postquantum::HybridKeys;
    use crate::security::twin::TwinSigner;
    use crate::security::{
        CERTIFICATE_LIFE, Credentials, HandshakeRefused, IssuingKey, NodeKey, Side, explain, join_exporter, server_name,
    };

    const SOON: Duration = Duration::from_secs(10);

    fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
    }

    fn authority(name: &str) -> IssuingKey {
        IssuingKey::of_new_mesh(name, now())
    }

    fn member(issuer: &IssuingKey, seed: u8) -> Credentials {
        let me = Identity::from_secret(&[seed; 32]);
        let chain = issuer.issue(me.peer(), now(), CERTIFICATE_LIFE).unwrap();
        Credentials::new(me, chain, &issuer.authority_ders()).unwrap()
    }

    fn member_between(issuer: &IssuingKey, seed: u8, from: u64, until: u64) -> Credentials {
        let me = Identity::from_secret(&[seed; 32]);
        let chain = issuer.certify_between(&me.peer(), from, until);
        Credentials::new(me, chain, &issuer.authority_ders()).unwrap()
    }

    fn refused(by: Side, reason: Refused) -> Option<HandshakeRefused> {
        Some(HandshakeRefused { by, reason })
    }

    /// What each side saw of one handshake: `Ok` if both sides came through it and the server heard the client.
    struct Outcome {
        client: Result<Connection, ConnectionError>,
        server: Result<Connection, ConnectionError>,
        // Connections live as long as their endpoints.
        _endpoints: (Endpoint, Endpoint),
    }

    impl Outcome {
        fn refusals(&self) -> (Option<HandshakeRefused>, Option<HandshakeRefused>) {
            let reason = |side: &Result<Connection, ConnectionError>| side.as_ref().err().and_then(explain);
            (reason(&self.client), reason(&self.server))
        }
    }

    /// One handshake over real sockets. A client is done only when the server has accepted it as well: the server opens
    /// a stream to say so.
    async fn handshake(server: Arc<ServerConfig>, client: Arc<ClientConfig>, name: &str) -> Outcome {
        let local = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = Endpoint::server(quinn_server(server), local).unwrap();
        let dialer = Endpoint::client(local).unwrap();
        let address = listener.local_addr().unwrap();
        let accept = async {
            let connection = listener.accept().await.unwrap().await?;
            let mut stream = connection.open_uni().await?;
            stream.write_all(b"welcome").await.unwrap();
            stream.finish().unwrap();
            Ok(connection)
        };
        let connect = async {
            let connection = dialer.connect_with(quinn_client(client), address, name).unwrap().await?;
            connection.accept_uni().await?;
            Ok(connection)
        };
        let both = async { tokio::join!(connect, accept) };
        let (client, server) = tokio::time::timeout(SOON, both).await.expect("the handshake ends either way");
        Outcome { client, server, _endpoints: (dialer, listener) }
    }

    async fn link(server: &Credentials, client: &Credentials) -> Outcome {
        handshake(server.link_server(), client.client(LINK_ALPN), &server_name(&server.peer())).await
    }

    #[tokio::test]
    async fn members_of_a_mesh_know_each_other_on_links_and_sessions() {
        let mesh = authority("lab");
        let (one, two) = (member(&mesh, 1), member(&mesh, 2));
        let name = server_name(&one.peer());
        for (server, alpn) in [(one.link_server(), LINK_ALPN), (one.session_server(), SESSION_ALPN)] {
            let outcome = handshake(server, two.client(alpn), &name).await;
            assert_eq!(authenticated_peer(outcome.client.as_ref().unwrap()).unwrap(), one.peer());
            assert_eq!(authenticated_peer(outcome.server.as_ref().unwrap()).unwrap(), two.peer());
        }
    }

    /// A handshake in memory, where rustls tells more than quinn does. Returns both sides and what the client sent first.
    fn handshake_in_memory(
        server: Arc<ServerConfig>,
        client: Arc<ClientConfig>,
        name: &str,
    ) -> (rustls::ServerConnection, rustls::ClientConnection, Vec<u8>) {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let mut client = rustls::ClientConnection::new(client, name).unwrap();
        let mut server = rustls::ServerConnection::new(server).unwrap();
        let mut first = Vec::new();
        while client.is_handshaking() || server.is_handshaking() {
            let mut bytes = Vec::new();
            while client.wants_write() {
                client.write_tls(&mut bytes).unwrap();
            }
            if first.is_empty() {
                first = bytes.clone();
            }
            let mut bytes = bytes.as_slice();
            while !bytes.is_empty() {
                server.read_tls(&mut bytes).unwrap();
                server.process_new_packets().unwrap();
            }
            let mut bytes = Vec::new();
            while server.wants_write() {
                server.write_tls(&mut bytes).unwrap();
            }
            let mut bytes = bytes.as_slice();
            while !bytes.is_empty() {
                client.read_tls(&mut bytes).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        (server, client, first)
    }

    #[test]
    fn the_key_exchange_is_post_quantum_at_both_ends() {
        let mesh = authority("lab");
        let (one, two) = (member(&mesh, 1), member(&mesh, 2));
        let name = server_name(&one.peer());
        let (server, client, _) = handshake_in_memory(one.link_server(), two.client(LINK_ALPN), &name);
        for group in [client.negotiated_key_exchange_group(), server.negotiated_key_exchange_group()] {
            assert_eq!(group.unwrap().name(), NamedGroup::X25519MLKEM768);
        }
    }

    #[test]
    fn the_name_of_the_dialed_peer_is_not_sent_in_clear() {
        let mesh = authority("lab");
        let (one, two) = (member(&mesh, 1), member(&mesh, 2));
        let (peer, name) = (one.peer().to_string(), server_name(&one.peer()));
        let (server, _, hello) = handshake_in_memory(one.link_server(), two.client(LINK_ALPN), &name);
        assert_eq!(server.server_name(), None);
        assert!(!hello.windows(peer.len()).any(|window| window == peer.as_bytes()));
    }

    #[test]
    fn neither_side_offers_or_takes_up_resumption() {
        let mesh = authority("lab");
        let (one, two) = (member(&mesh, 1), member(&mesh, 2));
        let name = server_name(&one.peer());
        let (_, client, _) = handshake_in_memory(one.link_server(), two.client(LINK_ALPN), &name);
        assert_eq!(client.tls13_tickets_received(), 0);

        let mut server = one.link_server().as_ref().clone();
        server.send_tls13_tickets = 2;
        let (server, client) = (Arc::new(server), two.client(LINK_ALPN));
        for _ in 0..2 {
            let (_, client, _) = handshake_in_memory(server.clone(), client.clone(), &name);
            assert_eq!(client.tls13_tickets_received(), 2);
            assert_eq!(client.handshake_kind(), Some(rustls::HandshakeKind::Full));
        }
    }

    #[tokio::test]
    async fn a_stranger_is_refused_on_either_side() {
        let (ours, theirs) = (member(&authority("lab"), 1), member(&authority("lab"), 2));
        refused_by_client(&link(&ours, &theirs).await, Refused::Stranger);
        refused_by_server(&handshake_as_guest(&ours, &theirs).await, Refused::Stranger);
    }

    #[tokio::test]
    async fn a_node_of_another_mesh_is_refused_on_either_side() {
        let (ours, theirs) = (member(&authority("lab"), 1), member(&authority("elsewhere"), 2));
        refused_by_client(&link(&ours, &theirs).await, Refused::WrongTrustDomain);
        refused_by_server(&handshake_as_guest(&ours, &theirs).await, Refused::WrongTrustDomain);
    }

    #[tokio::test]
    async fn an_expired_certificate_is_refused_on_either_side() {
        let mesh = authority("lab");
        let (good, expired) = (member(&mesh, 1), member_between(&mesh, 2, now() - 7200, now() - 60));
        refused_by_server(&link(&good, &expired).await, Refused::Expired);
        refused_by_client(&link(&expired, &good).await, Refused::Expired);
    }

    #[tokio::test]
    async fn a_certificate_that_is_not_valid_yet_is_refused_on_either_side() {
        let mesh = authority("lab");
        let (good, early) = (member(&mesh, 1), member_between(&mesh, 2, now() + 3600, now() + 7200));
        refused_by_server(&link(&good, &early).await, Refused::NotYetValid);
        refused_by_client(&link(&early, &good).await, Refused::NotYetValid);
    }

    #[tokio::test]
    async fn another_peer_than_the_one_dialed_is_refused() {
        let mesh = authority("lab");
        let (one, two, three) = (member(&mesh, 1), member(&mesh, 2), member(&mesh, 3));
        let client = two.client(LINK_ALPN);
        let outcome = handshake(one.link_server(), client.clone(), &server_name(&three.peer())).await;
        refused_by_client(&outcome, Refused::NotDialed);
        let outcome = handshake(one.link_server(), client, "localhost").await;
        refused_by_client(&outcome, Refused::NotDialed);
    }

    #[tokio::test]
    async fn a_key_that_is_not_the_name_s_and_a_borrowed_certificate_are_refused() {
        let mesh = authority("lab");
        let (one, victim, thief) = (member(&mesh, 1), member(&mesh, 2), Identity::from_secret(&[3; 32]));
        let misnamed = mesh.certify_wrongly(&victim.peer(), &thief.peer(), now());
        for chain in [misnamed, victim.chain_ders()] {
            let key = Arc::new(Signer::new(thief.clone()));
            let presented = CertifiedKey::new(chain.into_iter().map(CertificateDer::from).collect(), key);
            let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(presented));
            let builder = client_builder(Arc::new(trusting(&victim)), Arc::new(DefaultTimeProvider));
            let client = finish_client(builder.with_client_cert_resolver(resolver), LINK_ALPN);
            let outcome = handshake(one.link_server(), client, &server_name(&one.peer())).await;
            refused_by_server(&outcome, Refused::KeyMismatch);
        }
    }

    fn mldsa_member(issuer: &IssuingKey, seed: u8) -> Credentials {
        let keys = HybridKeys::generate(Identity::from_secret(&[seed; 32])).unwrap();
        let node = NodeKey { peer: keys.identity().peer(), mldsa: Some(keys.verifying_key().clone()) };
        let chain = issuer.issue(node, now(), CERTIFICATE_LIFE).unwrap();
        Credentials::with_hybrid(Arc::new(keys), chain, &issuer.authority_ders()).unwrap()
    }

    #[tokio::test]
    async fn members_of_a_mesh_of_ml_dsa_know_each_other_and_refuse_ed25519_of_the_same_authority() {
        let mesh = authority("lab");
        let classical = member(&mesh, 3);
        let mesh = mesh.certifying(Algorithm::MlDsa65);
        let (one, two) = (mldsa_member(&mesh, 1), mldsa_member(&mesh, 2));
        let name = server_name(&one.peer());
        for (server, alpn) in [(one.link_server(), LINK_ALPN), (one.session_server(), SESSION_ALPN)] {
            let outcome = handshake(server, two.client(alpn), &name).await;
            assert_eq!(authenticated_member(outcome.client.as_ref().unwrap()).unwrap().node, one.node_key());
            assert_eq!(authenticated_member(outcome.server.as_ref().unwrap()).unwrap().node, two.node_key());
        }
        // Whoever dials checks first; so either side is seen to refuse.
        refused_by_client(&link(&classical, &one).await, Refused::WrongAlgorithm);
        refused_by_client(&link(&one, &classical).await, Refused::WrongAlgorithm);
        let outcome = handshake_as_guest(&one, &classical).await;
        refused_by_server(&outcome, Refused::WrongAlgorithm);
        let outcome = handshake_as_guest(&classical, &one).await;
        refused_by_server(&outcome, Refused::WrongAlgorithm);
    }

    /// The issuer certifies what was proven to it; who has the certificate and not its key is nobody.
    #[tokio::test]
    async fn a_certificate_of_ml_dsa_without_its_key_is_refused() {
        let mesh = authority("lab").certifying(Algorithm::MlDsa65);
        let (one, victim) = (mldsa_member(&mesh, 1), mldsa_member(&mesh, 2));
        let thief = HybridKeys::generate(victim.identity().clone()).unwrap();
        let key = Arc::new(TwinSigner(thief.signing_key()));
        let chain = victim.chain_ders().into_iter().map(CertificateDer::from).collect();
        let resolver = Arc::new(rustls::sign::SingleCertAndKey::from(CertifiedKey::new(chain, key)));
        let builder = client_builder(Arc::new(trusting(&victim)), Arc::new(DefaultTimeProvider));
        let client = finish_client(builder.with_client_cert_resolver(resolver), LINK_ALPN);
        let outcome = handshake(one.link_server(), client, &server_name(&one.peer())).await;
        refused_by_server(&outcome, Refused::KeyMismatch);
    }

    #[tokio::test]
    async fn a_session_requires_a_client_certificate() {
        let mesh = authority("lab");
        let (one, two) = (member(&mesh, 1), member(&mesh, 2));
        let client = finish_client(
            client_builder(Arc::new(trusting(&two)), Arc::new(DefaultTimeProvider)).with_no_client_auth(),
            SESSION_ALPN,
        );
        let outcome = handshake(one.session_server(), client, &server_name(&one.peer())).await;
        refused_by_server(&outcome, Refused::NoCertificate);
    }

    #[tokio::test]
    async fn a_link_without_a_client_certificate_has_no_peer_and_is_told_so() {
        let mesh = authority("lab");
        let (one, two) = (member(&mesh, 1), member(&mesh, 2));
        let client = finish_client(
            client_builder(Arc::new(trusting(&two)), Arc::new(DefaultTimeProvider)).with_no_client_auth(),
            LINK_ALPN,
        );
        let outcome = handshake(one.link_server(), client, &server_name(&one.peer())).await;
        let (client, server) = (outcome.client.as_ref().unwrap(), outcome.server.as_ref().unwrap());
        let Err(SecurityError::Refused(reason)) = authenticated_peer(server) else { panic!("there is no certificate") };
        assert_eq!(reason, Refused::NoCertificate);
        reason.close(server);
        let closed = tokio::time::timeout(SOON, client.closed()).await.unwrap();
        assert_eq!(explain(&closed), refused(Side::Remote, Refused::NoCertificate));
    }

    #[tokio::test]
    async fn a_side_without_the_post_quantum_key_exchange_is_refused() {
        let mesh = authority("lab");
        let (one, two) = (member(&mesh, 1), member(&mesh, 2));
        let name = server_name(&one.peer());
        let classical = Arc::new(CryptoProvider {
            kx_groups: vec![aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1],
            ..PROVIDER.as_ref().clone()
        });
        let client = ClientConfig::builder_with_provider(classical.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(trusting(&two)))
            .with_client_cert_resolver(Arc::new(CurrentCertificate(two.shared.clone())));
        let outcome = handshake(one.link_server(), finish_client(client, LINK_ALPN), &name).await;
        refused_by_server(&outcome, Refused::NoKeyExchange);

        let mut server = ServerConfig::builder_with_provider(classical)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_client_cert_verifier(Arc::new(trusting(&one)))
            .with_cert_resolver(Arc::new(CurrentCertificate(one.shared.clone())));
        server.alpn_protocols = vec![LINK_ALPN.to_vec()];
        let outcome = handshake(Arc::new(server), two.client(LINK_ALPN), &name).await;
        assert_eq!(outcome.refusals().0, refused(Side::Remote, Refused::NoKeyExchange));
    }

    #[tokio::test]
    async fn links_and_sessions_do_not_mix() {
        let mesh = authority("lab");
        let (one, two) = (member(&mesh, 1), member(&mesh, 2));
        let name = server_name(&one.peer());
        let outcome = handshake(one.link_server(), two.client(SESSION_ALPN), &name).await;
        refused_by_server(&outcome, Refused::NoProtocol);
        let outcome = handshake(one.session_server(), two.client(LINK_ALPN), &name).await;
        refused_by_server(&outcome, Refused::NoProtocol);
    }

    #[tokio::test]
    async fn a_joining_host_finds_its_inviter_and_both_share_the_exporter() {
        let one = member(&authority("lab"), 1);
        let client = join_client(
            (one.authority_fingerprint(), Algorithm::Ed25519),
            Some("lab"),
            one.peer(),
            Arc::new(DefaultTimeProvider),
        );
        let outcome = handshake(one.link_server(), client, &server_name(&one.peer())).await;
        let (client, server) = (outcome.client.as_ref().unwrap(), outcome.server.as_ref().unwrap());
        assert_eq!(join_exporter(client).unwrap(), join_exporter(server).unwrap());
        assert_eq!(authenticated_peer(client).unwrap(), one.peer());
        assert!(matches!(authenticated_peer(server), Err(SecurityError::Refused(Refused::NoCertificate))));
    }

    #[tokio::test]
    async fn a_joining_host_talks_to_nobody_but_its_inviter() {
        let (one, other) = (member(&authority("lab"), 1), member(&authority("lab"), 2));
        for (fingerprint, trust_domain, inviter, reason) in [
            (other.authority_fingerprint(), "lab", one.peer(), Refused::Stranger),
            (one.authority_fingerprint(), "elsewhere", one.peer(), Refused::WrongTrustDomain),
            (one.authority_fingerprint(), "lab", other.peer(), Refused::NotDialed),
        ] {
            let named = (fingerprint, Algorithm::Ed25519);
            let client = join_client(named, Some(trust_domain), inviter, Arc::new(DefaultTimeProvider));
            refused_by_client(&handshake(one.link_server(), client, &server_name(&inviter)).await, reason);
        }
    }

    #[tokio::test]
    async fn a_genuine_authority_beside_a_false_certificate_convinces_no_joining_host() {
        let (ours, theirs) = (member(&authority("lab"), 1), member(&authority("lab"), 1));
        // A server of the other mesh under the same name, which presents our authority's certificate with its own.
        let key = Arc::new(Signer::new(theirs.identity().clone()));
        let chain = theirs.chain_ders().into_iter().chain(ours.authority_ders()).map(CertificateDer::from).collect();
        let mut server = ServerConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(CertifiedKey::new(chain, key))));
        server.alpn_protocols = vec![JOIN_ALPN.to_vec()];
        let client = join_client(
            (ours.authority_fingerprint(), Algorithm::Ed25519),
            Some("lab"),
            ours.peer(),
            Arc::new(DefaultTimeProvider),
        );
        let outcome = handshake(Arc::new(server), client, &server_name(&ours.peer())).await;
        refused_by_client(&outcome, Refused::Stranger);
    }

    #[tokio::test]
    async fn a_renewed_certificate_is_presented_without_a_new_configuration() {
        let mesh = authority("lab");
        let (one, two) = (member(&mesh, 1), member_between(&mesh, 2, now() - 7200, now() - 60));
        let (server, client, name) = (one.link_server(), two.client(LINK_ALPN), server_name(&one.peer()));
        refused_by_server(&handshake(server.clone(), client.clone(), &name).await, Refused::Expired);
        two.replace_certificate(mesh.issue(two.peer(), now(), CERTIFICATE_LIFE).unwrap()).unwrap();
        assert!(handshake(server, client, &name).await.server.is_ok());
    }

    #[track_caller]
    fn refused_by_client(outcome: &Outcome, reason: Refused) {
        assert_eq!(outcome.refusals(), (refused(Side::Local, reason), refused(Side::Remote, reason)));
    }

    #[track_caller]
    fn refused_by_server(outcome: &Outcome, reason: Refused) {
        assert_eq!(outcome.refusals(), (refused(Side::Remote, reason), refused(Side::Local, reason)));
    }

    fn trusting(credentials: &Credentials) -> MemberVerifier {
        MemberVerifier { shared: credentials.shared.clone(), certificate: ClientCertificate::Mandatory }
    }

    /// The client accepts the server as a joining host would, but presents its own certificate: so that only the server
    /// has a reason to refuse.
    async fn handshake_as_guest(server: &Credentials, client: &Credentials) -> Outcome {
        let verifier = InviterVerifier {
            authority_fingerprint: server.authority_fingerprint(),
            trust_domain: Some(server.trust_domain()),
            inviter: server.peer(),
            certificates: server.algorithm(),
        };
        let resolver = Arc::new(CurrentCertificate(client.shared.clone()));
        let config =
            client_builder(Arc::new(verifier), Arc::new(DefaultTimeProvider)).with_client_cert_resolver(resolver);
        handshake(server.link_server(), finish_client(config, JOIN_ALPN), &server_name(&server.peer())).await
    }
}
