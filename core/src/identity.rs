//! A node's signing key.

use std::fmt;

use ed25519_dalek::{Signer, SigningKey, VerifyingKey};

use crate::{PeerId, Rejected};

/// An Ed25519 signing key and the [`PeerId`] that it proves. The secret is wiped from memory when dropped and never
/// printed.
#[derive(Clone)]
pub struct Identity {
    key: SigningKey,
    peer: PeerId,
}

impl Identity {
    /// The identity whose secret scalar seed (RFC 8032, section 5.1.5) is `secret`.
    pub fn from_secret(secret: &[u8; 32]) -> Self {
        let key = SigningKey::from_bytes(secret);
        let peer = PeerId::from_public_key(key.verifying_key().to_bytes());
        Self { key, peer }
    }

    /// Who this key speaks for.
    pub fn peer(&self) -> PeerId {
        self.peer
    }

    /// The signature over `bytes`, 64 bytes (RFC 8032).
    pub fn sign(&self, bytes: &[u8]) -> [u8; 64] {
        self.key.sign(bytes).to_bytes()
    }

    /// The signing key itself, for the adapter that stores it and hands it to TLS.
    pub fn signing_key(&self) -> &SigningKey {
        &self.key
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({}, secret)", self.peer.short())
    }
}

/// A peer's key as a point of the curve, about 200 bytes: finding the point is a tenth of a verification, and need be done
/// only once.
#[derive(Clone, Copy, Debug)]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// The point that a peer id names.
    ///
    /// # Errors
    /// [`Rejected::Unsigned`] if it names none: nobody can sign as that peer.
    pub fn of(peer: &PeerId) -> Result<Self, Rejected> {
        VerifyingKey::from_bytes(peer.as_bytes()).map(Self).map_err(|_| Rejected::Unsigned)
    }

    /// Checks that `signature` over `bytes` was made with this key.
    ///
    /// Strict verification (Chalkias et al., Taming the Many EdDSAs, 2020): weak (small-order) keys are refused, because
    /// one signature of theirs fits any message.
    ///
    /// # Errors
    /// [`Rejected::Unsigned`] if the key is weak, or did not sign these bytes.
    pub fn verify(&self, bytes: &[u8], signature: &[u8; 64]) -> Result<(), Rejected> {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.0.verify_strict(bytes, &signature).map_err(|_| Rejected::Unsigned)
    }
}

/// Checks that `signature` over `bytes` was made by `peer`.
///
/// # Errors
/// As [`PublicKey::of`] and [`PublicKey::verify`].
pub fn verify(peer: &PeerId, bytes: &[u8], signature: &[u8; 64]) -> Result<(), Rejected> {
    PublicKey::of(peer)?.verify(bytes, signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_signed_bytes_verify() {
        let identity = Identity::from_secret(&[3; 32]);
        let signature = identity.sign(b"yes");
        assert_eq!(verify(&identity.peer(), b"yes", &signature), Ok(()));
        assert_eq!(verify(&identity.peer(), b"no", &signature), Err(Rejected::Unsigned));
    }

    #[test]
    fn a_weak_key_proves_nothing() {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let weak = PeerId::from_public_key(neutral);
        assert_eq!(verify(&weak, b"anything", &signature), Err(Rejected::Unsigned));
    }

    #[test]
    fn the_secret_is_not_printed() {
        assert!(!format!("{:?}", Identity::from_secret(&[0xab; 32])).contains("171"));
    }
}
