//! A look at what a node's handshakes accept: nothing is asked of it, and no link is made.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prunella_core::PeerId;

use super::admission::{Reached, reach};
use super::closing::Closing;
use crate::host::Host;
use crate::security::{Credentials, Offer, presented_chain};

/// One handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// What was offered.
    pub offered: String,
    /// How long it took; or why it failed.
    pub outcome: Result<Duration, String>,
    /// Bytes of UDP payload that were sent and received until the connection had ended; 0 unless it succeeded.
    pub bytes: (u64, u64),
    /// Whether it went as it must.
    pub is_right: bool,
}

/// All that was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smoked {
    /// What the node presented: its certificate and those above it, DER; empty if no handshake succeeded.
    pub chain: Vec<Vec<u8>>,
    /// Each handshake.
    pub handshakes: Vec<Handshake>,
}

/// Shakes hands with `peer` at `address` in every way that a member may, and in one that must be refused.
pub async fn smoke(host: &Arc<dyn Host>, credentials: &Credentials, peer: PeerId, address: SocketAddr) -> Smoked {
    let mut smoked = Smoked { chain: Vec::new(), handshakes: Vec::new() };
    for suite in Offer::SUITES {
        let offer = Offer { suite: Some(suite), is_classical: false };
        let (outcome, bytes, chain) = shake(host, credentials, &offer, (peer, address)).await;
        let is_right = outcome.is_ok();
        let offered = format!("TLS 1.3, {}, X25519MLKEM768", suite.as_str().unwrap_or_default());
        smoked.handshakes.push(Handshake { offered, outcome, bytes, is_right });
        if smoked.chain.is_empty() {
            smoked.chain = chain;
        }
    }
    let classical = Offer { suite: None, is_classical: true };
    let (outcome, bytes, _) = shake(host, credentials, &classical, (peer, address)).await;
    // A node that does not answer at all has refused nothing.
    let is_right = outcome.is_err() && !smoked.chain.is_empty();
    let offered = "TLS 1.3, any suite, X25519 alone".to_owned();
    smoked.handshakes.push(Handshake { offered, outcome, bytes, is_right });
    smoked
}

async fn shake(
    host: &Arc<dyn Host>,
    credentials: &Credentials,
    offer: &Offer,
    (peer, address): (PeerId, SocketAddr),
) -> (Result<Duration, String>, (u64, u64), Vec<Vec<u8>>) {
    let started = Instant::now();
    match reach(host, peer, credentials.offering_client(offer), address).await {
        Ok(Reached::Inviter(endpoint, connection)) => {
            let (took, chain) = (started.elapsed(), presented_chain(&connection));
            Closing::Done.close(&connection);
            endpoint.wait_idle().await;
            let carried = connection.stats();
            (Ok(took), (carried.udp_tx.bytes, carried.udp_rx.bytes), chain)
        }
        Ok(Reached::Other(reason)) => (Err(reason.to_string()), (0, 0), Vec::new()),
        Ok(Reached::Nobody(reason)) => (Err(reason), (0, 0), Vec::new()),
        Err(error) => (Err(error.to_string()), (0, 0), Vec::new()),
    }
}
