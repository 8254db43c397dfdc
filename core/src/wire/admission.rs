//! The admission exchange: one request and one reply on a connection whose server was checked against the token's
//! authority fingerprint, and whose client has no certificate yet.

use std::fmt;
use std::net::SocketAddr;

use bincode::{Decode, Encode};

use crate::PeerId;

/// What the joining host asks for.
#[derive(Clone, PartialEq, Eq, Encode, Decode)]
pub enum Admission {
    /// First certificate, against an invitation.
    Join {
        /// The token, decoded from its text form.
        token: Vec<u8>,
        /// The key to certify; also the new node's [`PeerId`].
        public_key: [u8; 32],
        /// The ML-DSA-65 key to certify, in a mesh whose certificates are of that algorithm; empty in others.
        mldsa_key: Vec<u8>,
        /// Ed25519 signature over the connection's exporter value by that key; 64 bytes. Proves possession, here, now. If
        /// there is an ML-DSA-65 key, its signature follows; 3309 bytes.
        proof: Vec<u8>,
    },
    /// A fresh certificate for the key that the connection's client certificate already proves.
    Renew {
        /// Ed25519 signature as for `Join`: a certificate of ML-DSA-65 does not prove the key that the peer id is.
        proof: Vec<u8>,
    },
    /// A fresh certificate for a member whose certificate has expired, and so can prove nothing in a handshake.
    Return {
        /// The certificate that has expired and its issuer's, DER.
        chain: Vec<Vec<u8>>,
        /// As for `Join`, by the peer's key and, if another, the certificate's.
        proof: Vec<u8>,
    },
    /// First certificate, on the word of a SPIFFE trust domain that has certified the host's workload.
    Vouched {
        /// The workload's X.509-SVID and what stands between it and its trust domain's authority, DER, the SVID first.
        svid: Vec<Vec<u8>>,
        /// Signature by the SVID's key over this request: see `security::workload`.
        svid_proof: Vec<u8>,
        /// As for `Join`.
        public_key: [u8; 32],
        /// As for `Join`.
        mldsa_key: Vec<u8>,
        /// As for `Join`.
        proof: Vec<u8>,
    },
}

/// Without the token: whoever has it joins.
impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Admission::Join { public_key, .. } => {
                f.debug_struct("Join").field("peer", &PeerId::from_public_key(*public_key)).finish_non_exhaustive()
            }
            Admission::Renew { .. } => f.write_str("Renew"),
            Admission::Return { chain, .. } => {
                f.debug_struct("Return").field("certificates", &chain.len()).finish_non_exhaustive()
            }
            Admission::Vouched { public_key, svid, .. } => f
                .debug_struct("Vouched")
                .field("peer", &PeerId::from_public_key(*public_key))
                .field("certificates", &svid.len())
                .finish_non_exhaustive(),
        }
    }
}

/// What the inviter answers.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum AdmissionReply {
    /// Welcome.
    Admitted {
        /// The node's certificate and its issuer's, DER.
        chain: Vec<Vec<u8>>,
        /// The certificates of the authorities that the mesh trusts, DER, two of each, Ed25519 and ML-DSA-65, the newest
        /// authority first.
        authorities: Vec<Vec<u8>>,
        /// Where to find the first neighbors.
        neighbors: Vec<(PeerId, Vec<SocketAddr>)>,
    },
    /// Turned away.
    Refused(Refusal),
}

/// Why a host is not admitted. Every reason is told to the host, which mostly holds a token; a stranger with a made-up
/// SVID learns from them no more than which trust domains are known here.
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
    /// The joining host wants a certificate of another algorithm than the mesh's.
    #[error("the certificates of this mesh are of another algorithm than the one that was asked for")]
    WrongAlgorithm,
    /// This node cannot issue certificates.
    #[error("this node holds no issuing key; join through the node that made the token")]
    NotAnIssuer,
    /// The certificate with which the host returns is not one of a member, or expired too long ago.
    #[error("the certificate cannot be renewed any more; ask for a token with `prunella invite`")]
    Lapsed,
    /// The node was revoked.
    #[error("this node was revoked; an operator must reinstate it")]
    Revoked,
    /// The node failed while admitting.
    #[error("the inviting node failed; see its log")]
    Failed,
    /// What was shown is no X.509-SVID of a workload, or too long.
    #[error("what was shown is not an X.509-SVID of a workload")]
    NotAnSvid,
    /// Nobody here vouches for the SVID's trust domain.
    #[error("the inviting node has no bundle of the SVID's trust domain")]
    UnknownTrustDomain,
    /// The SVID's time is over, or has not come.
    #[error("the SVID has expired or is not valid yet; check the clocks, and that the agent renews it")]
    SvidExpired,
    /// No authority of its trust domain has certified the SVID.
    #[error("the SVID was not issued by its trust domain's authorities, as the inviting node knows them")]
    SvidForged,
    /// The request was not signed with the SVID's key, on this connection.
    #[error("the joining host did not prove that it holds the SVID's key")]
    SvidNotProven,
    /// Policy does not let this workload in.
    #[error("the inviting node's policy does not let this workload join (action \"admit\")")]
    NotAllowed,
}

impl Refusal {
    /// Every reason with the name under which it is counted.
    pub const ALL: [(Refusal, &'static str); 15] = [
        (Refusal::Replayed, "replayed"),
        (Refusal::Expired, "expired"),
        (Refusal::Forged, "forged"),
        (Refusal::NotProven, "not_proven"),
        (Refusal::WrongAlgorithm, "wrong_algorithm"),
        (Refusal::NotAnIssuer, "not_an_issuer"),
        (Refusal::Lapsed, "lapsed"),
        (Refusal::Revoked, "revoked"),
        (Refusal::Failed, "failed"),
        (Refusal::NotAnSvid, "not_an_svid"),
        (Refusal::UnknownTrustDomain, "unknown_trust_domain"),
        (Refusal::SvidExpired, "svid_expired"),
        (Refusal::SvidForged, "svid_forged"),
        (Refusal::SvidNotProven, "svid_not_proven"),
        (Refusal::NotAllowed, "not_allowed"),
    ];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::codec;

    #[test]
    fn every_refusal_has_a_name_of_its_own() {
        let exist = (0..=u8::MAX).filter_map(|tag| codec::decode_canonical::<Refusal>(&[tag]).ok());
        let mut names = std::collections::BTreeSet::new();
        for refusal in exist {
            let named = Refusal::ALL.iter().find(|(one, _)| *one == refusal);
            let (_, name) = named.unwrap_or_else(|| panic!("{refusal:?} has no name"));
            assert!(names.insert(name), "{name}");
        }
        assert_eq!(names.len(), Refusal::ALL.len());
    }
}
