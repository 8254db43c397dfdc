//! X25519 (RFC 7748), by AWS-LC: the other half of a hybrid key agreement.

use std::fmt;

use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey, X25519};
use zeroize::Zeroizing;

use super::error::PostQuantumError;
use super::mlkem::SharedSecret;

/// How long either half of a key pair is, in bytes.
pub const X25519_BYTES: usize = 32;

/// The public half of a key pair. Every 32 bytes are one.
pub type X25519Public = [u8; X25519_BYTES];

/// The private half of a key pair; wiped when dropped, never printed, not to be copied.
pub struct X25519Secret(Zeroizing<[u8; X25519_BYTES]>);

impl X25519Secret {
    /// A new key pair from the operating system's randomness.
    ///
    /// # Errors
    /// The operating system gave none.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut secret = Zeroizing::new([0; X25519_BYTES]);
        getrandom::fill(secret.as_mut())?;
        Ok(Self(secret))
    }

    /// A key that was written down. Every 32 bytes are one.
    pub fn from_bytes(secret: &[u8; X25519_BYTES]) -> Self {
        Self(Zeroizing::new(*secret))
    }

    /// The key as it is written down. A secret.
    pub fn as_bytes(&self) -> &[u8; X25519_BYTES] {
        &self.0
    }

    /// The other half.
    pub fn public_key(&self) -> X25519Public {
        let key = self.key().compute_public_key().expect("BUG: every secret has a public key");
        key.as_ref().try_into().expect("BUG: a public key has its length")
    }

    /// The secret that both sides know.
    ///
    /// # Errors
    /// [`PostQuantumError::LowOrder`] if `public` is one of the few keys with which everybody agrees on zero (RFC 7748,
    /// section 6.1): then it is no agreement with anybody.
    pub fn agree(&self, public: &X25519Public) -> Result<SharedSecret, PostQuantumError> {
        let public = UnparsedPublicKey::new(&X25519, public);
        agreement::agree(&self.key(), public, PostQuantumError::LowOrder, |agreed| {
            let mut secret = SharedSecret::default();
            secret.copy_from_slice(agreed);
            Ok(secret)
        })
    }

    fn key(&self) -> PrivateKey {
        PrivateKey::from_private_key(&X25519, self.0.as_ref()).expect("BUG: every 32 bytes are a private key")
    }
}

impl fmt::Debug for X25519Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("X25519Secret(secret)")
    }
}
