//! What the link endpoint and the session endpoint have in common.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::crypto::rustls::HandshakeData;
use quinn::crypto::{CryptoError, HmacKey};
use quinn::{
    AsyncUdpSocket, Connection, ConnectionId, ConnectionIdGenerator, Endpoint, EndpointConfig, Incoming, ServerConfig,
    TokioRuntime,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use prunella_core::identity::Identity;
use prunella_core::limits::HANDSHAKES_MAX;

use crate::host::{Host, WallClock};

/// The configuration of an endpoint that shares the node's socket with frames.
///
/// Its key for stateless resets (RFC 9000, section 10.3) follows from the identity's secret and `context`. So a node
/// that was restarted resets the connections of its former life with the first packet that arrives on one, and nobody
/// else can.
pub(super) fn endpoint_config(identity: &Identity, context: &str, host: &Arc<dyn Host>) -> EndpointConfig {
    let mut config = EndpointConfig::new(Arc::new(ResetKey::derive(identity, context)));
    // Frames are told from QUIC by the fixed bit (RFC 9287 would randomize it).
    config.grease_quic_bit(false);
    // quinn's own generator draws a key per process and ignores connection ids that it does not recognize: a restarted
    // node would never send a reset.
    let ids = host.clone();
    config.cid_generator(move || Box::new(RandomConnectionIds(ids.clone())));
    config.rng_seed(Some(random_seed(&**host)));
    config
}

/// An endpoint over a socket of the datapath.
pub(super) fn endpoint(
    config: EndpointConfig,
    mut server: ServerConfig,
    socket: Arc<dyn AsyncUdpSocket>,
    host: &Arc<dyn Host>,
) -> io::Result<Endpoint> {
    server.time_source(Arc::new(WallClock(host.clone())));
    // Connection attempts do not wait: the door answers each at once. quinn's defaults would let 100 MiB pile up.
    server.max_incoming(4 * HANDSHAKES_MAX).incoming_buffer_size(16 << 10).incoming_buffer_size_total(1 << 20);
    Endpoint::new_with_abstract_socket(config, Some(server), socket, Arc::new(TokioRuntime))
}

/// An endpoint that only dials, over a socket of its own.
pub(super) fn dialing_endpoint(any: SocketAddr, host: &Arc<dyn Host>) -> io::Result<Endpoint> {
    let socket = host.bind(any).map_err(io::Error::other)?;
    let mut config = EndpointConfig::default();
    // Nothing but QUIC arrives here, but QUIC should look the same wherever the nodes speak it.
    config.grease_quic_bit(false);
    config.rng_seed(Some(random_seed(&**host)));
    let ids = host.clone();
    config.cid_generator(move || Box::new(RandomConnectionIds(ids.clone())));
    Endpoint::new_with_abstract_socket(config, None, socket, Arc::new(TokioRuntime))
}

/// The protocol (ALPN, RFC 7301) that the two ends of an established connection agreed on.
pub(super) fn protocol(connection: &Connection) -> Option<Vec<u8>> {
    connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol
}

/// Where connections come in: bounds the handshakes in progress, and asks for proof of the address first: always, or when
/// many are in progress.
pub(super) struct Door {
    endpoint: Endpoint,
    handshakes: Arc<Semaphore>,
    /// From so many free handshakes on an address need not be proven.
    free_unproven: usize,
}

impl Door {
    /// Under load addresses are proven first.
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, handshakes: Arc::new(Semaphore::new(HANDSHAKES_MAX)), free_unproven: HANDSHAKES_MAX / 2 }
    }

    /// Every address is proven first (RFC 9000, section 8.1.2), at the price of a round trip. For an endpoint that anybody
    /// can send to: quinn sends a whole datagram as long as anything is left of the three times that an unproven address
    /// may get, which is more than three times in the end.
    pub(super) fn proving(endpoint: Endpoint) -> Self {
        Self { free_unproven: usize::MAX, ..Self::new(endpoint) }
    }

    /// The next connection to shake hands with, and the permit to hold as long as that takes; `None` once the endpoint
    /// is closed.
    pub(super) async fn next(&self) -> Option<(Incoming, OwnedSemaphorePermit)> {
        loop {
            let incoming = self.endpoint.accept().await?;
            let free = self.handshakes.available_permits();
            if free == 0 {
                incoming.refuse();
            } else if free < self.free_unproven && incoming.may_retry() {
                // Fails only for an address that is proven already, which was just ruled out.
                let _ = incoming.retry();
            } else if let Ok(permit) = self.handshakes.clone().try_acquire_owned() {
                return Some((incoming, permit));
            }
        }
    }
}

/// A keyed BLAKE3 hash as the authentication code under stateless reset tokens.
struct ResetKey([u8; 32]);

impl ResetKey {
    fn derive(identity: &Identity, context: &str) -> Self {
        Self(blake3::derive_key(context, identity.signing_key().as_bytes()))
    }
}

impl HmacKey for ResetKey {
    fn sign(&self, data: &[u8], signature_out: &mut [u8]) {
        signature_out.copy_from_slice(&blake3::keyed_hash(&self.0, data).as_bytes()[..signature_out.len()]);
    }

    fn signature_len(&self) -> usize {
        blake3::OUT_LEN
    }

    fn verify(&self, data: &[u8], signature: &[u8]) -> Result<(), CryptoError> {
        let signature: &[u8; blake3::OUT_LEN] = signature.try_into().map_err(|_| CryptoError)?;
        // The comparison of two hashes takes constant time.
        if blake3::keyed_hash(&self.0, data) == *signature { Ok(()) } else { Err(CryptoError) }
    }
}

fn random_seed(host: &dyn Host) -> [u8; 32] {
    let mut seed = [0; 32];
    host.fill_random(&mut seed);
    seed
}

struct RandomConnectionIds(Arc<dyn Host>);

impl ConnectionIdGenerator for RandomConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; CONNECTION_ID_BYTES];
        self.0.fill_random(&mut bytes);
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

/// What of a handshake may arrive out of order and is kept: all of the longest one, which shows a joining host certificates
/// of ML-DSA-65 of a node, its issuer and four authorities. quinn's default is 16 KiB.
pub(super) const HANDSHAKE_BUFFER_BYTES: usize = 64 * 1024;
const CONNECTION_ID_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reset_key_outlives_the_process_and_is_the_node_s_own() {
        let sign = |secret, context| {
            let mut out = [0; 32];
            ResetKey::derive(&Identity::from_secret(&[secret; 32]), context).sign(b"id", &mut out);
            out
        };
        assert_eq!(sign(1, "a"), sign(1, "a"));
        assert_ne!(sign(1, "a"), sign(2, "a"));
        assert_ne!(sign(1, "a"), sign(1, "b"));
    }

    #[test]
    fn only_the_signed_bytes_verify() {
        let key = ResetKey::derive(&Identity::from_secret(&[1; 32]), "a");
        let mut out = [0; 32];
        key.sign(b"id", &mut out);
        assert!(key.verify(b"id", &out).is_ok());
        assert!(key.verify(b"other", &out).is_err());
        assert!(key.verify(b"id", &out[..31]).is_err());
    }
}
