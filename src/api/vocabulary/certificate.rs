//! Certificates, and what the authority of the mesh has said.

use std::net::SocketAddr;

use prunella_core::PeerId;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Every certificate that a node sees, and what the authority has said since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificatesInfo {
    /// This node's own, its issuer's, the authorities', then those of the neighbors, as they showed them last.
    pub certificates: Vec<CertificateInfo>,
    /// What holds of what the authority and its issuers said.
    pub statements: Vec<StatementInfo>,
    /// What is wrong, one line each; empty if nothing is.
    pub problems: Vec<String>,
}

/// One certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CertificateInfo {
    /// `node`, `issuer` or `authority`.
    pub role: String,
    /// Whose: the name of a node; for others the beginning of the fingerprint.
    pub name: String,
    /// The node; `None` for issuers and authorities.
    pub peer: Option<PeerId>,
    /// The algorithm of its key: `ed25519` or `ml-dsa-65`.
    pub algorithm: String,
    /// Its SPIFFE ID.
    pub spiffe_id: String,
    /// The first second at which it is valid, since the Unix epoch.
    pub from_unix: u64,
    /// The last one.
    pub until_unix: u64,
    /// BLAKE3 over the DER form, 64 hexadecimal digits.
    pub fingerprint: String,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// What handshakes with a node showed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SmokeInfo {
    /// The node.
    pub peer: PeerId,
    /// Where it was met.
    pub address: SocketAddr,
    /// What it presented: its certificate and its issuer's; empty if no handshake succeeded.
    pub certificates: Vec<CertificateInfo>,
    /// Each handshake.
    pub handshakes: Vec<HandshakeInfo>,
    /// Whether everything was as it must be.
    pub ok: bool,
}

/// One handshake.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandshakeInfo {
    /// Version, cipher suite and key exchange group that were offered, and nothing else.
    pub offered: String,
    /// How long it took, in microseconds, if it succeeded.
    pub took_us: Option<u64>,
    /// Bytes that were sent for it, in UDP datagrams, if it succeeded.
    pub sent_bytes: u64,
    /// Bytes that were received.
    pub received_bytes: u64,
    /// Why it was refused, if it was.
    pub refused: Option<String>,
    /// Whether it went as it must: what a member may is accepted, what nobody may is refused.
    pub ok: bool,
}

/// Something that the authority, or an issuer, has said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatementInfo {
    /// When, in seconds since the Unix epoch.
    pub at_unix: u64,
    /// `revoked`, `reinstated`, `dismissed`, `succeeded` or `retired`.
    pub kind: String,
    /// Of whom: a peer id, an issuer's key, or the fingerprint of an authority.
    pub subject: String,
    /// The name of the node, if it is known.
    pub name: String,
    /// Why, if a reason was given.
    pub reason: String,
}
