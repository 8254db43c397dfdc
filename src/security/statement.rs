//! Statements: what the authority of a mesh, or an issuer that it appointed, says to every node.
//!
//! A statement proves itself, twice: it carries a chain of certificates from what is said to the authority in which every
//! signature is of Ed25519, and another one in which every signature is of ML-DSA-65. Both must hold. So it may travel by
//! anybody's hands, is kept on disk as it came, and is checked again whenever it is read. It was true when it was said, so
//! its certificates are judged by that moment, and a revocation outlives the issuer that said it.
//!
//! What signs a statement is the certificate at the end of either chain, made for it by whoever says it: its SPIFFE ID
//! holds the hash of what is said. So the verifier of certificates checks all of it, and nothing but certificates is signed.

use bincode::{Decode, Encode};
use prunella_core::PeerId;
use prunella_core::limits::{
    POLICY_SET_BYTES_MAX, POLICY_SET_NAME_BYTES_MAX, STATEMENT_BYTES_MAX, STATEMENT_REASON_BYTES_MAX,
};
use prunella_core::wire::codec;
use rcgen::CertificateParams;
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::security::authority::sign;
use crate::security::bundle::{Bundle, Rank, word_uri};
use crate::security::issuing::leaf_params;
use crate::security::keys::PublicKey;
use crate::security::twin::Twins;
use crate::security::{Refused, SecurityError, TrustDomain, fingerprint, pair_fingerprint};

/// What can be said. An authority may say all of it, an issuer what is about nodes and what they allow.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Statement {
    /// A node is a member no more, whatever certificates it holds.
    Revoked {
        /// The node.
        peer: PeerId,
        /// Why, for people; at most [`STATEMENT_REASON_BYTES_MAX`] bytes.
        reason: String,
    },
    /// A node that was revoked is a member again.
    Reinstated {
        /// The node.
        peer: PeerId,
    },
    /// An issuer is one no more: nothing that it certified counts. By an authority only.
    Dismissed {
        /// The issuer's key.
        issuer: PeerId,
    },
    /// There is another authority, which takes the place of the one that says so; both count. By an authority only.
    Succeeded {
        /// The other authority's certificates, DER: Ed25519, then ML-DSA-65.
        authority: Vec<Vec<u8>>,
    },
    /// An authority counts no more, unless it is the only one. By an authority only.
    Retired {
        /// The [`pair_fingerprint`](crate::security::pair_fingerprint) of its certificates.
        authority: [u8; 32],
    },
    /// Every node decides by this policy, whatever its own file says. Nodes check nothing of it but that an issuer or
    /// the authority has said it; each compiles it by itself, and goes on with the one before if it cannot.
    PolicySet {
        /// The highest version counts, and of two of one version the one with the greater digest.
        version: u64,
        /// The name of the file, whose end says how it is written; empty: every node goes back to its own file. At most
        /// [`POLICY_SET_NAME_BYTES_MAX`] bytes.
        name: String,
        /// The policy, at most [`POLICY_SET_BYTES_MAX`] bytes.
        text: Vec<u8>,
    },
}

/// A statement as it was said, and whoever said it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What.
    pub statement: Statement,
    /// When, in seconds since the Unix epoch.
    pub at_unix: u64,
    /// The bytes as made or received: what was said, and both chains.
    bytes: Vec<u8>,
}

/// What is signed: the trust domain, when, and what.
type Signed = (String, u64, Statement);
/// What travels: the encoded [`Signed`], and the chains of both halves, leaf first: Ed25519, ML-DSA-65.
type Sealed = (Vec<u8>, Vec<Vec<u8>>, Vec<Vec<u8>>);

impl Statement {
    /// Statements with the same subject take each other's place; 16 hexadecimal digits.
    pub fn subject(&self) -> String {
        let (kind, key) = match self {
            Statement::Revoked { peer, .. } | Statement::Reinstated { peer } => (0, peer.to_bytes()),
            Statement::Dismissed { issuer } => (1, issuer.to_bytes()),
            Statement::Succeeded { authority } => (2, pair_fingerprint(authority)),
            Statement::Retired { authority } => (2, *authority),
            Statement::PolicySet { .. } => (3, [0; 32]),
        };
        let hash = blake3::hash(&[[kind].as_slice(), &key].concat());
        data_encoding::HEXLOWER.encode(&hash.as_bytes()[..SUBJECT_BYTES])
    }

    /// Whoever must say it at least.
    fn rank(&self) -> Rank {
        match self {
            Statement::Revoked { .. } | Statement::Reinstated { .. } | Statement::PolicySet { .. } => Rank::Issuer,
            Statement::Dismissed { .. } | Statement::Succeeded { .. } | Statement::Retired { .. } => Rank::Authority,
        }
    }

    /// Of two with one subject that were said in the same second, the one that trusts less counts.
    fn caution(&self) -> u8 {
        u8::from(matches!(self, Statement::Revoked { .. } | Statement::Retired { .. }))
    }

    fn is_sound(&self) -> bool {
        match self {
            Statement::Revoked { reason, .. } => {
                reason.len() <= STATEMENT_REASON_BYTES_MAX && !reason.chars().any(char::is_control)
            }
            Statement::PolicySet { name, text, .. } => {
                let printable = name.len() <= POLICY_SET_NAME_BYTES_MAX && !name.chars().any(char::is_control);
                printable && text.len() <= POLICY_SET_BYTES_MAX && (text.is_empty() || !name.is_empty())
            }
            Statement::Succeeded { authority } => authority.len() == 2,
            _ => true,
        }
    }
}

impl Said {
    /// Signs a statement with both keys; `above` is the issuer's certificates, empty for an authority.
    pub(super) fn sign(
        statement: Statement,
        now: u64,
        trust_domain: &TrustDomain,
        (issuer, keys): (&CertificateParams, &Twins),
        above: &[CertificateDer<'_>],
    ) -> Result<Self, SecurityError> {
        if !statement.is_sound() {
            return Err(SecurityError::Unsayable);
        }
        let name = format!("prunella statement {}", statement.subject());
        let signed: Signed = (trust_domain.to_string(), now, statement);
        let message = codec::encode(&signed);
        let params = leaf_params(&name, &word_uri(trust_domain, &signed_bytes(&message)))?;
        // A certificate is of some key. This one signs nothing with it.
        let (key, time) = (PublicKey(keys.identity().peer()), (now, now + 1));
        let leaf = sign((issuer, &keys.key), params.clone(), &key, time)?;
        let of_twin = sign((issuer, &keys.twin), params, &key, time)?;
        let mut above = above.iter().map(|der| der.to_vec());
        let half = std::iter::once(leaf).chain(above.next()).collect();
        let by_twin = std::iter::once(of_twin).chain(above.next()).collect();
        let sealed: Sealed = (message, half, by_twin);
        Ok(Self { statement: signed.2, at_unix: now, bytes: codec::encode(&sealed) })
    }

    /// What travels, at most [`STATEMENT_BYTES_MAX`].
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Reads what this node has kept of what it checked when it came.
    ///
    /// # Errors
    /// [`Refused::Malformed`] for what is no statement.
    pub(super) fn reread(bytes: &[u8]) -> Result<Self, Refused> {
        let (message, _, _): Sealed = codec::decode_canonical(bytes).map_err(|_| Refused::Malformed)?;
        let (_, at_unix, statement): Signed = codec::decode_canonical(&message).map_err(|_| Refused::Malformed)?;
        Ok(Self { statement, at_unix, bytes: bytes.to_vec() })
    }

    /// Checks what came from anywhere; `is_dismissed` tells certificates of issuers that are none any more.
    ///
    /// # Errors
    /// [`Refused::Malformed`] for what is no statement, [`Refused::Stranger`] if no trusted authority stands behind it, or
    /// only an issuer behind what an authority must say, [`Refused::WrongTrustDomain`] if it is of another mesh,
    /// [`Refused::NoCertificate`] if one of its halves is missing, [`Refused::KeyMismatch`] if a half is of another
    /// statement, or the two are not of one and the same issuer.
    pub(super) fn open(
        bytes: &[u8],
        authorities: &Bundle,
        is_dismissed: impl Fn(&CertificateDer<'_>) -> bool,
    ) -> Result<Self, Refused> {
        if bytes.len() > STATEMENT_BYTES_MAX {
            return Err(Refused::Malformed);
        }
        let (message, half, by_twin): Sealed = codec::decode_canonical(bytes).map_err(|_| Refused::Malformed)?;
        let (trust_domain, at_unix, statement): Signed =
            codec::decode_canonical(&message).map_err(|_| Refused::Malformed)?;
        if trust_domain != authorities.trust_domain().as_str() {
            return Err(Refused::WrongTrustDomain);
        }
        if !statement.is_sound() {
            return Err(Refused::Malformed);
        }
        let [half, by_twin] = [&half, &by_twin]
            .map(|ders| ders.iter().map(|der| CertificateDer::from(der.as_slice())).collect::<Vec<_>>());
        if half.iter().chain(&by_twin).any(is_dismissed) {
            return Err(Refused::Stranger);
        }
        let moment = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at_unix));
        let rank = authorities.check_word([&half, &by_twin], &signed_bytes(&message), moment)?;
        if rank < statement.rank() {
            return Err(Refused::Stranger);
        }
        Ok(Self { statement, at_unix, bytes: bytes.to_vec() })
    }

    /// Whether this takes the other's place, which has the same subject.
    pub(super) fn supersedes(&self, other: &Said) -> bool {
        match (&self.statement, &other.statement) {
            (
                Statement::PolicySet { version, text, .. },
                Statement::PolicySet { version: before, text: text_before, .. },
            ) => (version, fingerprint(text), self.at_unix) > (before, fingerprint(text_before), other.at_unix),
            _ => (self.at_unix, self.statement.caution()) > (other.at_unix, other.statement.caution()),
        }
    }
}

/// What is hashed means nothing in another protocol.
fn signed_bytes(message: &[u8]) -> Vec<u8> {
    [b"prunella statement v1\0".as_slice(), message].concat()
}

const SUBJECT_BYTES: usize = 8;
