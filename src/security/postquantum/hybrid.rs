//! Hybrid keys of a node: X25519 with ML-KEM-768 to agree on secrets, Ed25519 with ML-DSA-65 to sign.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64URL_NOPAD;
use prunella_core::PeerId;
use prunella_core::identity::{self, Identity};

use super::{
    DecapsulationKey, ENCAPSULATION_KEY_BYTES, EncapsulationKey, PostQuantumError, SIGNATURE_BYTES, SharedSecret,
    SigningKey, VERIFYING_KEY_BYTES, VerifyingKey, X25519_BYTES, X25519Public, X25519Secret,
};
use crate::security::SecurityError;

/// How long a public key is, in bytes: the node's id, its X25519, ML-KEM-768 and ML-DSA-65 keys, and both signatures of the
/// node over them.
pub const PUBLIC_KEY_BYTES: usize = STATEMENT_BYTES + HYBRID_SIGNATURE_BYTES;
/// How long both signatures over one statement are, in bytes: Ed25519, then ML-DSA-65.
pub const HYBRID_SIGNATURE_BYTES: usize = 64 + SIGNATURE_BYTES;

/// SHA-256 of what a public key says, without its signatures, which may differ from time to time.
pub type Fingerprint = [u8; 32];

/// Why hybrid keys are not used, or a statement under both signatures is not believed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HybridError {
    /// The text or the bytes are not a public key.
    #[error("not a hybrid public key; `prunella key export` prints one")]
    NotAPublicKey,
    /// One of the keys within is not one.
    #[error(transparent)]
    PostQuantum(#[from] PostQuantumError),
    /// The Ed25519 signature does not fit.
    #[error("the Ed25519 signature does not fit")]
    Forged,
    /// The node has no hybrid keys yet.
    #[error("{} does not exist; `prunella init`, `join` and `up` make it", path.display())]
    Missing {
        /// The missing file.
        path: PathBuf,
    },
    /// The file does not hold hybrid keys.
    #[error("{} does not hold a node's hybrid keys", path.display())]
    NotAKeyFile {
        /// The file.
        path: PathBuf,
    },
    /// The keys were made for another identity than the one beside them.
    #[error("{} belongs to {}, not to the identity beside it", path.display(), peer.short())]
    OtherIdentity {
        /// The file.
        path: PathBuf,
        /// Whose keys it holds.
        peer: PeerId,
    },
    /// A file could not be used.
    #[error(transparent)]
    File(#[from] SecurityError),
    /// The operating system gave no randomness.
    #[error("draw randomness: {0}")]
    Randomness(#[from] getrandom::Error),
}

/// The public keys of one node, which the node itself has signed both ways: whoever knows the node's id can tell that it
/// chose these keys, and no part of them can be exchanged.
#[derive(Clone, PartialEq, Eq)]
pub struct HybridPublicKey {
    peer: PeerId,
    x25519: X25519Public,
    mlkem: EncapsulationKey,
    mldsa: VerifyingKey,
    /// As it travels, signatures included.
    bytes: Box<[u8; PUBLIC_KEY_BYTES]>,
}

impl HybridPublicKey {
    /// Reads a public key and checks both of its signatures.
    ///
    /// # Errors
    /// [`HybridError::NotAPublicKey`] for another length, [`HybridError::PostQuantum`] for a key within that is none or an
    /// ML-DSA-65 signature that does not fit, [`HybridError::Forged`] if the Ed25519 signature does not.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HybridError> {
        let bytes: &[u8; PUBLIC_KEY_BYTES] = bytes.try_into().map_err(|_| HybridError::NotAPublicKey)?;
        let (statement, signature) = bytes.split_at(STATEMENT_BYTES);
        let (peer, rest) = statement.split_at(32);
        let (x25519, rest) = rest.split_at(X25519_BYTES);
        let (mlkem, mldsa) = rest.split_at(ENCAPSULATION_KEY_BYTES);
        let peer = PeerId::from_public_key(peer.try_into().expect("BUG: split at its length"));
        let key = Self {
            peer,
            x25519: x25519.try_into().expect("BUG: split at its length"),
            mlkem: EncapsulationKey::from_bytes(mlkem)?,
            mldsa: VerifyingKey::from_bytes(mldsa)?,
            bytes: Box::new(*bytes),
        };
        verify(&key.peer, &key.mldsa, KEY_CONTEXT, statement, signature)?;
        Ok(key)
    }

    /// The key as it travels.
    pub fn as_bytes(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.bytes
    }

    /// Whose it is.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// With what secrets are agreed on.
    pub fn x25519(&self) -> &X25519Public {
        &self.x25519
    }

    /// With what secrets are agreed on as well.
    pub fn mlkem(&self) -> &EncapsulationKey {
        &self.mlkem
    }

    /// What tells it from every other one.
    pub fn fingerprint(&self) -> Fingerprint {
        let hash = digest(&SHA256, &[KEY_CONTEXT, b"\0", &self.bytes[..STATEMENT_BYTES]].concat());
        hash.as_ref().try_into().expect("BUG: SHA-256 gives 32 bytes")
    }

    /// Checks both signatures of this node over `message` in `context`.
    ///
    /// # Errors
    /// As [`verify`].
    pub fn verify(&self, context: &[u8], message: &[u8], signature: &[u8]) -> Result<(), HybridError> {
        verify(&self.peer, &self.mldsa, context, message, signature)
    }
}

impl fmt::Debug for HybridPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HybridPublicKey({})", self.peer.short())
    }
}

/// One line: a prefix with the version, and base64url (RFC 4648, section 5) without padding.
impl fmt::Display for HybridPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{TEXT_PREFIX}{}", BASE64URL_NOPAD.encode(&*self.bytes))
    }
}

impl FromStr for HybridPublicKey {
    type Err = HybridError;

    fn from_str(text: &str) -> Result<Self, HybridError> {
        let text = text.trim().strip_prefix(TEXT_PREFIX).ok_or(HybridError::NotAPublicKey)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(HybridError::NotAPublicKey);
        }
        Self::from_bytes(&BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| HybridError::NotAPublicKey)?)
    }
}

/// The keys of this node. Secrets are wiped when dropped and never printed.
pub struct HybridKeys {
    identity: Identity,
    pub(super) x25519: X25519Secret,
    pub(super) mlkem: DecapsulationKey,
    pub(super) mldsa: Arc<SigningKey>,
    public: HybridPublicKey,
}

impl HybridKeys {
    /// New keys for a node, from the operating system's randomness.
    ///
    /// # Errors
    /// [`HybridError::Randomness`].
    pub fn generate(identity: Identity) -> Result<Self, HybridError> {
        let (x25519, mlkem, mldsa) = (X25519Secret::generate()?, DecapsulationKey::generate(), SigningKey::generate());
        let mut bytes = Vec::with_capacity(PUBLIC_KEY_BYTES);
        bytes.extend_from_slice(identity.peer().as_bytes());
        bytes.extend_from_slice(&x25519.public_key());
        bytes.extend_from_slice(mlkem.encapsulation_key().as_bytes());
        bytes.extend_from_slice(mldsa.verifying_key().as_bytes());
        let signature = sign(&identity, &mldsa, KEY_CONTEXT, &bytes)?;
        bytes.extend_from_slice(&signature);
        let (mldsa, public) = (Arc::new(mldsa), HybridPublicKey::from_bytes(&bytes)?);
        Ok(Self { identity, x25519, mlkem, mldsa, public })
    }

    /// Puts together what was written down. `None` unless all of it belongs together.
    pub(super) fn assemble(
        identity: Identity,
        x25519: X25519Secret,
        mlkem: DecapsulationKey,
        mldsa: SigningKey,
        public: HybridPublicKey,
    ) -> Option<Self> {
        let fits = x25519.public_key() == public.x25519
            && mlkem.encapsulation_key() == public.mlkem
            && *mldsa.verifying_key() == public.mldsa
            && identity.peer() == public.peer;
        fits.then(|| Self { identity, x25519, mlkem, mldsa: Arc::new(mldsa), public })
    }

    /// The node's own key.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The public ML-DSA-65 key alone.
    pub fn verifying_key(&self) -> &VerifyingKey {
        self.mldsa.verifying_key()
    }

    /// The ML-DSA-65 key, for handshakes.
    pub(in crate::security) fn signing_key(&self) -> Arc<SigningKey> {
        self.mldsa.clone()
    }

    /// What others need to know.
    pub fn public_key(&self) -> &HybridPublicKey {
        &self.public
    }

    /// Signs `message` in `context` both ways: Ed25519 (over the context, a zero byte and the message), then ML-DSA-65.
    ///
    /// # Errors
    /// [`HybridError::PostQuantum`] for a context of more than 255 bytes.
    pub fn sign(&self, context: &[u8], message: &[u8]) -> Result<Vec<u8>, HybridError> {
        Ok(sign(&self.identity, &self.mldsa, context, message)?)
    }

    /// The secrets that X25519 and ML-KEM-768 give for what somebody sent.
    ///
    /// # Errors
    /// [`PostQuantumError::LowOrder`], [`PostQuantumError::Length`].
    pub fn agree(
        &self,
        x25519: &X25519Public,
        ciphertext: &[u8],
    ) -> Result<(SharedSecret, SharedSecret), PostQuantumError> {
        Ok((self.x25519.agree(x25519)?, self.mlkem.decapsulate(ciphertext)?))
    }
}

impl fmt::Debug for HybridKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HybridKeys({}, secret)", self.public.peer.short())
    }
}

/// Checks both signatures, Ed25519 (64 bytes) and ML-DSA-65 (3309 bytes) behind it, over `message` in `context`.
///
/// # Errors
/// [`HybridError::Forged`] if the first does not fit, [`HybridError::PostQuantum`] if the second does not.
pub fn verify(
    peer: &PeerId,
    mldsa: &VerifyingKey,
    context: &[u8],
    message: &[u8],
    signature: &[u8],
) -> Result<(), HybridError> {
    let (ed25519, rest) = signature.split_first_chunk::<64>().ok_or(HybridError::Forged)?;
    identity::verify(peer, &ed25519_message(context, message), ed25519).map_err(|_| HybridError::Forged)?;
    Ok(mldsa.verify(context, message, rest)?)
}

fn sign(identity: &Identity, mldsa: &SigningKey, context: &[u8], message: &[u8]) -> Result<Vec<u8>, PostQuantumError> {
    let ed25519 = identity.sign(&ed25519_message(context, message));
    let mldsa = mldsa.sign(context, message)?;
    Ok([ed25519.as_slice(), mldsa.as_slice()].concat())
}

/// Ed25519 has no context of its own here: it stands before the message.
fn ed25519_message(context: &[u8], message: &[u8]) -> Vec<u8> {
    [context, b"\0", message].concat()
}

/// A node's id and its three public keys.
const STATEMENT_BYTES: usize = 32 + X25519_BYTES + ENCAPSULATION_KEY_BYTES + VERIFYING_KEY_BYTES;
/// The context in which a node signs its own keys.
const KEY_CONTEXT: &[u8] = b"prunella hybrid key v1";
/// How a key begins as text.
const TEXT_PREFIX: &str = "prunella-hybrid-1:";
/// More than a key has as text, without its prefix.
const TEXT_BYTES_MAX: usize = PUBLIC_KEY_BYTES * 3 / 2;

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(seed: u8) -> HybridKeys {
        HybridKeys::generate(Identity::from_secret(&[seed; 32])).unwrap()
    }

    #[test]
    fn a_public_key_survives_its_text() {
        let key = keys(1).public_key().clone();
        let text = key.to_string();
        assert!(!text.contains(char::is_whitespace) && text.starts_with("prunella-hybrid-1:"), "{text}");
        assert_eq!(format!(" {text}\n").parse::<HybridPublicKey>().unwrap(), key);
        assert_eq!(text.parse::<HybridPublicKey>().unwrap().fingerprint(), key.fingerprint());
    }

    #[test]
    fn no_part_of_a_public_key_can_be_exchanged() {
        let (one, other) = (keys(1).public_key().clone(), keys(2).public_key().clone());
        let parts = [0..32, 32..64, 64..1248, 1248..3200, 3200..3264, 3264..6573];
        assert_eq!(parts[5].end, PUBLIC_KEY_BYTES);
        for part in parts {
            let mut mixed = *one.as_bytes();
            mixed[part.clone()].copy_from_slice(&other.as_bytes()[part.clone()]);
            assert!(HybridPublicKey::from_bytes(&mixed).is_err(), "{part:?}");
        }
        for length in [0, 6572, 6574] {
            assert!(matches!(HybridPublicKey::from_bytes(&vec![0; length]), Err(HybridError::NotAPublicKey)));
        }
    }

    #[test]
    fn both_signatures_must_fit() {
        let (one, other) = (keys(1), keys(2));
        let signature = one.sign(b"here", b"said").unwrap();
        assert_eq!(signature.len(), HYBRID_SIGNATURE_BYTES);
        assert!(one.public_key().verify(b"here", b"said", &signature).is_ok());
        assert!(one.public_key().verify(b"there", b"said", &signature).is_err());
        assert!(one.public_key().verify(b"here", b"sai", &signature).is_err());
        let others = other.sign(b"here", b"said").unwrap();
        let only_ed25519 = [&signature[..64], &others[64..]].concat();
        let refused = one.public_key().verify(b"here", b"said", &only_ed25519);
        assert!(matches!(refused, Err(HybridError::PostQuantum(PostQuantumError::Forged))), "{refused:?}");
        let only_mldsa = [&others[..64], &signature[64..]].concat();
        assert!(matches!(one.public_key().verify(b"here", b"said", &only_mldsa), Err(HybridError::Forged)));
        assert!(one.public_key().verify(b"here", b"said", &signature[..64]).is_err());
        assert!(one.public_key().verify(b"here", b"said", &[]).is_err());
    }

    #[test]
    fn what_is_no_public_key_is_refused_by_name() {
        for text in
            ["", "prunella-hybrid-1:", "prunella-hybrid-1:AAAA", "prunella-hybrid-2:AAAA", "prunella-hybrid-1:?"]
        {
            let refused = text.parse::<HybridPublicKey>();
            assert!(matches!(refused, Err(HybridError::NotAPublicKey)), "{text}: {refused:?}");
        }
        let long = format!("prunella-hybrid-1:{}", "A".repeat(1_000_000));
        assert!(matches!(long.parse::<HybridPublicKey>(), Err(HybridError::NotAPublicKey)));
    }

    #[test]
    fn the_secrets_are_not_printed() {
        let text = format!("{:?}", keys(0xab)).to_lowercase();
        assert!(text.starts_with("hybridkeys(") && text.ends_with(", secret)") && text.len() < 40, "{text}");
    }
}
