//! Who is who: keys, certificates, TLS and invitations.
//!
//! A node is its Ed25519 key. A mesh is one authority that certifies such keys, for a day at a time, as SPIFFE
//! X.509-SVIDs. [`Credentials`] is what a node presents and trusts, and makes the TLS configurations of links, sessions
//! and admissions; [`Issuer`] admits new nodes against a [`Token`]; [`Refused`] says why a handshake failed, on either
//! side of it.
//!
//! TLS 1.3 only, key exchange X25519MLKEM768 only, Ed25519 only; no tickets and no early data, so that every connection
//! is a full handshake with certificates that are valid at that moment.

mod authority;
mod certificate;
mod credentials;
mod error;
mod issuer;
mod keys;
mod refused;
mod spiffe;
mod state;
mod tls;
mod token;
mod verifier;

pub use authority::{AUTHORITY_LIFE, Authority, CERTIFICATE_LIFE};
pub use certificate::fingerprint;
pub use credentials::Credentials;
pub use error::SecurityError;
pub use issuer::{Failure, Issuer, MarkUsed, join_exporter, prove};
pub use refused::{HandshakeRefused, Refused, Side, explain};
pub use spiffe::{NotASpiffeId, NotATrustDomain, SpiffeId, TrustDomain};
pub use state::{accept_membership, create_identity, found, store_membership};
pub use tls::{JOIN_ALPN, LINK_ALPN, SESSION_ALPN, authenticated_peer, join_client, quinn_client, quinn_server};
pub use token::{NotAToken, Token};
pub use verifier::server_name;
