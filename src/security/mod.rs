//! Who is who: keys, certificates, TLS and invitations.
//!
//! A node is its Ed25519 key. A mesh is one [`Authority`], whose key may be kept offline: it appoints issuers
//! ([`IssuingKey`]), which certify such keys, for a day at a time, as SPIFFE X.509-SVIDs. [`Credentials`] is what a node
//! presents and trusts, and makes the TLS configurations of links, sessions and admissions; [`Issuer`] admits new nodes
//! against a [`Token`]; [`Statement`] is what the authority and its issuers say to everybody, for example that a node is
//! revoked; [`Refused`] says why a handshake failed, on either side of it. A host that runs a workload of a SPIFFE trust
//! domain in a [`Federation`] can be admitted on its [`Svid`] instead.
//!
//! Every authority and every issuer has two keys, Ed25519 and ML-DSA-65 ([`PublicTwins`]), with a certificate of each. What
//! they say to everybody is signed by both, and both signatures must hold.
//!
//! TLS 1.3 only, key exchange X25519MLKEM768 only, certificates of Ed25519 or, in a mesh that was founded so, of ML-DSA-65 and
//! no others ([`Algorithm`]); no tickets and no early data, so that every connection
//! is a full handshake with certificates that are valid at that moment.

mod authority;
mod bundle;
mod certificate;
mod credentials;
mod endorsement;
mod error;
mod inventory;
mod issuer;
mod issuing;
mod keys;
mod node_key;
pub mod postquantum;
mod refused;
pub mod sealed;
mod spiffe;
mod state;
mod statement;
mod tls;
mod token;
mod trust;
mod twin;
mod verifier;
mod workload;

pub use authority::{APPOINTMENT_LIFE, AUTHORITY_LIFE, Authority, CERTIFICATE_LIFE};
pub use certificate::{Algorithm, fingerprint, pair_fingerprint, pair_fingerprints, workload_of};
pub use credentials::Credentials;
pub use error::SecurityError;
pub use inventory::{Role, Summary};
pub use issuer::{Failure, Issuer, MarkUsed, check_proof, join_exporter, prove, prove_both};
pub use issuing::IssuingKey;
pub use node_key::{Member, NodeKey};
pub use refused::{HandshakeRefused, Refused, Side, explain};
pub use spiffe::{NotASpiffeId, NotATrustDomain, NotAWorkload, SpiffeId, TrustDomain, WorkloadId};
pub use state::{
    accept_appointment, accept_membership, appointment_pem, create_identity, found, issuing_key, load_authority, store,
    succeed,
};
pub use statement::{Said, Statement};
pub use tls::{
    JOIN_ALPN, LINK_ALPN, Offer, SESSION_ALPN, authenticated_member, authenticated_peer, join_client, presented_chain,
    quinn_client, quinn_server,
};
pub use token::{NotAToken, Token};
pub use trust::Older;
pub use twin::{NotTwins, PublicTwins};
pub use verifier::server_name;
pub use workload::{Federation, Svid, check_vouched, read_bundle};
