//! The admission exchange: one request and one reply on a connection whose server was checked against the token's
//! authority fingerprint, and whose client has no certificate yet.

use std::net::SocketAddr;

use bincode::{Decode, Encode};

use crate::PeerId;

/// What the joining host asks for.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Admission {
    /// First certificate, against an invitation.
    Join {
        /// The token, decoded from its text form.
        token: Vec<u8>,
        /// The key to certify; also the new node's [`PeerId`].
        public_key: [u8; 32],
        /// Ed25519 signature over the connection's exporter value by that key; 64 bytes. Proves possession, here, now.
        proof: Vec<u8>,
    },
    /// A fresh certificate for the key that the connection's client certificate already proves.
    Renew,
}

/// What the inviter answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum AdmissionReply {
    /// Welcome.
    Admitted {
        /// The new node's certificate, DER.
        certificate: Vec<u8>,
        /// The authority's certificate, DER.
        authority: Vec<u8>,
        /// Where to find the first neighbors.
        neighbors: Vec<(PeerId, Vec<SocketAddr>)>,
    },
    /// Turned away.
    Refused(Refusal),
}

/// Why a host is not admitted. Every reason is told to the host: it holds a token, so it is not a stranger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
pub enum Refusal {
    /// The token was used before.
    #[error("the token was already used; ask for a new one with `prunella invite`")]
    Replayed,
    /// The token's time is over.
    #[error("the token has expired; ask for a new one with `prunella invite`")]
    Expired,
    /// Not a token that this mesh's authority made.
    #[error("the token was not made by this mesh's authority")]
    Forged,
    /// The joining host does not hold the key that it wants certified.
    #[error("the joining host did not prove that it holds its key")]
    NotProven,
    /// This node cannot issue certificates.
    #[error("this node holds no issuing key; join through the node that made the token")]
    NotAnIssuer,
    /// The node failed while admitting.
    #[error("the inviting node failed; see its log")]
    Failed,
}
