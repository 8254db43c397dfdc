//! What can go wrong with keys, certificates and the files that hold them.

use std::io;
use std::path::PathBuf;

use crate::security::postquantum::HybridError;
use crate::security::{NotATrustDomain, Refused};

/// Why keys, certificates or tokens could not be made, stored, loaded or accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecurityError {
    /// A file could not be read or written.
    #[error("{action} {}: {source}", path.display())]
    File {
        /// What was tried: "read", "create" and the like.
        action: &'static str,
        /// Which file or directory.
        path: PathBuf,
        /// The operating system's reason.
        source: io::Error,
    },
    /// The state directory holds no membership yet.
    #[error("{} does not exist; found a mesh with `prunella init` or join one with `prunella join`", path.display())]
    NotAMember {
        /// The missing file.
        path: PathBuf,
    },
    /// A key file can be read by somebody other than its owner, so the key may be known already.
    #[error("{0} can be read by others than its owner; if nobody did, run: chmod 600 {0}", path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
    },
    /// The file does not hold an Ed25519 key in PKCS#8 PEM form.
    #[error("{} does not hold an Ed25519 private key (PKCS#8, PEM)", path.display())]
    NotAKey {
        /// The key file.
        path: PathBuf,
    },
    /// The file does not hold both keys of an authority or an issuer.
    #[error("{} does not hold an Ed25519 and an ML-DSA-65 private key (PKCS#8, PEM)", path.display())]
    NotTwinKeys {
        /// The key file.
        path: PathBuf,
    },
    /// The file does not hold a certificate in PEM form.
    #[error("{} does not hold a certificate (PEM)", path.display())]
    NotACertificate {
        /// The certificate file.
        path: PathBuf,
    },
    /// A mesh was founded or joined from this state directory before.
    #[error("{} exists; this state directory already belongs to a mesh, use another one", path.display())]
    AlreadyMember {
        /// The file that says so.
        path: PathBuf,
    },
    /// The keys of an authority or an issuer and its certificates do not belong together.
    #[error("the keys do not belong to the certificates")]
    AuthorityMismatch,
    /// An authority's certificates are not a pair of one mesh: Ed25519, then ML-DSA-65, of one trust domain.
    #[error("the authority's certificates are not a pair of one mesh")]
    NotAnAuthority,
    /// The authority that the other side presented is not the one that the token names.
    #[error("the authority is not the one that the token names")]
    OtherAuthority,
    /// This node's own certificate cannot be used.
    #[error("this node's certificate cannot be used: {0}")]
    OwnCertificate(#[source] Refused),
    /// The peer was turned away.
    #[error(transparent)]
    Refused(Refused),
    /// The name cannot be a trust domain.
    #[error(transparent)]
    TrustDomain(#[from] NotATrustDomain),
    /// A certificate could not be made.
    #[error("make a certificate: {0}")]
    Issue(#[from] rcgen::Error),
    /// A token would be longer than one may be.
    #[error("the token would be too long; name fewer addresses or a shorter trust domain")]
    TokenTooLong,
    /// What should be said to the mesh has a reason that is too long, or holds control characters.
    #[error("the reason is too long or holds control characters")]
    Unsayable,
    /// What a node keeps of what the authority said cannot be read.
    #[error("{} is damaged; remove it, and the node learns again from the mesh whom it must not trust", path.display())]
    DamagedStatements {
        /// Which file.
        path: PathBuf,
    },
    /// A file does not hold a trust domain's authorities.
    #[error("{} holds no bundle (certificates in PEM, or a SPIFFE bundle in JSON), or too large a one", path.display())]
    NotABundle {
        /// Which file.
        path: PathBuf,
    },
    /// What the agent gave is not an X.509-SVID of a workload with its key.
    #[error("the agent's X.509-SVID cannot be used: it names no workload, or its key is of an unknown kind")]
    NotAnSvid,
    /// This state directory does not hold the authority's key.
    #[error("{} does not exist: the authority's key is not here; give the file with --key", path.display())]
    NoAuthorityKey {
        /// Where it would be.
        path: PathBuf,
    },
    /// This node's hybrid keys cannot be used, and its certificate is of one of them.
    #[error("{0}")]
    Hybrid(Box<HybridError>),
    /// The operating system gave no randomness.
    #[error("draw randomness: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The connection gave no exporter value: its handshake is not complete.
    #[error("the connection's handshake is not complete")]
    NotEstablished,
}

impl From<HybridError> for SecurityError {
    fn from(error: HybridError) -> Self {
        Self::Hybrid(Box::new(error))
    }
}

impl SecurityError {
    /// For `map_err` on an operation on a file.
    pub(crate) fn file(action: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> SecurityError {
        let path = path.to_owned();
        move |source| SecurityError::File { action, path, source }
    }
}
