//! The keys that a node proves and that its certificate is of.

use prunella_core::PeerId;
use prunella_core::wire::admission::Refusal;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::security::certificate::id_of;
use crate::security::postquantum::VerifyingKey;
use crate::security::twin::twin_of;
use crate::security::{Algorithm, Refused, WorkloadId};

/// What a certificate of a node names and certifies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeKey {
    /// The node: its Ed25519 key.
    pub peer: PeerId,
    /// The ML-DSA-65 key that is certified instead, in a mesh whose certificates are of that algorithm.
    pub mldsa: Option<VerifyingKey>,
}

impl NodeKey {
    /// What a node's certificate (DER) is of. It must have been checked.
    ///
    /// # Errors
    /// [`Refused::Malformed`] for what is no node's certificate.
    pub fn of(certificate: &[u8]) -> Result<Self, Refused> {
        let der = CertificateDer::from(certificate);
        let parsed = EndEntityCert::try_from(&der).map_err(|_| Refused::Malformed)?;
        Ok(Self { peer: id_of(&der)?.peer, mldsa: twin_of(&parsed.subject_public_key_info()) })
    }

    /// The keys that a joining host shows: its Ed25519 key, and its ML-DSA-65 key or nothing. That it holds them is proven
    /// elsewhere.
    ///
    /// # Errors
    /// [`Refusal::NotProven`] for what is no ML-DSA-65 key.
    pub fn shown(public_key: [u8; 32], mldsa_key: &[u8]) -> Result<Self, Refusal> {
        let mldsa = (!mldsa_key.is_empty()).then(|| VerifyingKey::from_bytes(mldsa_key)).transpose();
        Ok(Self { peer: PeerId::from_public_key(public_key), mldsa: mldsa.map_err(|_| Refusal::NotProven)? })
    }

    /// Of which algorithm the certified key is.
    pub fn algorithm(&self) -> Algorithm {
        if self.mldsa.is_some() { Algorithm::MlDsa65 } else { Algorithm::Ed25519 }
    }
}

/// The key of a node of a mesh with certificates of Ed25519.
impl From<PeerId> for NodeKey {
    fn from(peer: PeerId) -> Self {
        Self { peer, mldsa: None }
    }
}

/// What a certificate says of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its keys.
    pub node: NodeKey,
    /// The workload as which it was admitted; `None`: on an invitation.
    pub workload: Option<WorkloadId>,
}

impl Member {
    /// What a node's certificate (DER) says. It must have been checked.
    ///
    /// # Errors
    /// [`Refused::Malformed`] for what is no node's certificate.
    pub fn of(certificate: &[u8]) -> Result<Self, Refused> {
        let workload = id_of(&CertificateDer::from(certificate))?.workload;
        Ok(Self { node: NodeKey::of(certificate)?, workload })
    }
}

/// A node that was admitted on an invitation.
impl<N: Into<NodeKey>> From<N> for Member {
    fn from(node: N) -> Self {
        Self { node: node.into(), workload: None }
    }
}
