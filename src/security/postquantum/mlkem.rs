//! ML-KEM-768: key encapsulation (FIPS 203), by PQClean through `pqcrypto-mlkem`.

use std::fmt;
use std::hint::black_box;

use aws_lc_rs::digest::{SHA3_256, digest};
use pqcrypto_mlkem::mlkem768;
use pqcrypto_traits::kem::{Ciphertext as _, PublicKey as _, SecretKey as _, SharedSecret as _};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use super::error::{PostQuantumError, exactly};

/// How long an encapsulation key is, in bytes.
pub const ENCAPSULATION_KEY_BYTES: usize = 1184;
/// How long a decapsulation key is, in bytes.
pub const DECAPSULATION_KEY_BYTES: usize = 2400;
/// How long a ciphertext is, in bytes.
pub const CIPHERTEXT_BYTES: usize = 1088;
/// How long a shared secret is, in bytes.
pub const SHARED_SECRET_BYTES: usize = 32;

/// What both sides know in the end, 32 bytes; wiped when dropped.
pub type SharedSecret = Zeroizing<[u8; SHARED_SECRET_BYTES]>;
/// What carries a shared secret to the holder of the decapsulation key.
pub type Ciphertext = [u8; CIPHERTEXT_BYTES];

/// The public half of a key pair: whoever has it can agree on a secret with whoever holds the other half.
#[derive(Clone, PartialEq, Eq)]
pub struct EncapsulationKey(Box<[u8; ENCAPSULATION_KEY_BYTES]>);

impl EncapsulationKey {
    /// A key that came from elsewhere, after the checks of FIPS 203, section 7.2, which `pqcrypto` does not make.
    ///
    /// # Errors
    /// [`PostQuantumError::Length`], and [`PostQuantumError::NotReduced`] for a key that fails the modulus check.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PostQuantumError> {
        let bytes = exactly::<ENCAPSULATION_KEY_BYTES>("an ML-KEM-768 encapsulation key", bytes)?;
        // Two coefficients of 12 bits in three bytes; what follows them is a seed and may be anything.
        let reduced = bytes[..VECTOR_BYTES].chunks_exact(3).all(|three| {
            let low = u16::from(three[0]) | u16::from(three[1] & 0x0f) << 8;
            let high = u16::from(three[1] >> 4) | u16::from(three[2]) << 4;
            low < MODULUS && high < MODULUS
        });
        if reduced { Ok(Self(bytes)) } else { Err(PostQuantumError::NotReduced) }
    }

    /// The key as it travels (FIPS 203, algorithm 16).
    pub fn as_bytes(&self) -> &[u8; ENCAPSULATION_KEY_BYTES] {
        &self.0
    }

    /// A fresh secret, and the ciphertext that carries it.
    pub fn encapsulate(&self) -> (Box<Ciphertext>, SharedSecret) {
        let key = mlkem768::PublicKey::from_bytes(&*self.0).expect("BUG: the length was checked");
        let (secret, ciphertext) = mlkem768::encapsulate(&key);
        let ciphertext = exactly("a ciphertext", ciphertext.as_bytes()).expect("BUG: a ciphertext has its length");
        (ciphertext, taken(secret))
    }
}

impl fmt::Debug for EncapsulationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncapsulationKey")
    }
}

/// The private half of a key pair; wiped when dropped, never printed, not to be copied.
///
/// `pqcrypto` has no key that wipes itself, so this one is overwritten in place. What its functions leave on the stack
/// while they make or read a key cannot be reached from here.
pub struct DecapsulationKey(Box<mlkem768::SecretKey>);

impl DecapsulationKey {
    /// A new key pair from the operating system's randomness.
    pub fn generate() -> Self {
        Self(Box::new(mlkem768::keypair().1))
    }

    /// A key that was written down, after the checks of FIPS 203, section 7.3, which `pqcrypto` does not make.
    ///
    /// # Errors
    /// [`PostQuantumError::Length`], [`PostQuantumError::HashMismatch`] and [`PostQuantumError::NotReduced`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PostQuantumError> {
        let key = mlkem768::SecretKey::from_bytes(bytes).map_err(|_| PostQuantumError::Length {
            what: "an ML-KEM-768 decapsulation key",
            actual: bytes.len(),
            expected: DECAPSULATION_KEY_BYTES,
        })?;
        let key = Self(Box::new(key));
        if digest(&SHA3_256, key.encapsulation_part()).as_ref() != &key.as_bytes()[HASH_AT..HASH_AT + 32] {
            return Err(PostQuantumError::HashMismatch);
        }
        EncapsulationKey::from_bytes(key.encapsulation_part())?;
        Ok(key)
    }

    /// The key as it is written down (FIPS 203, algorithm 16), 2400 bytes. A secret.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// The other half.
    pub fn encapsulation_key(&self) -> EncapsulationKey {
        let bytes = exactly("an encapsulation key", self.encapsulation_part()).expect("BUG: it is a part of this key");
        EncapsulationKey(bytes)
    }

    /// The secret that a ciphertext carries. A ciphertext that was not made for this key gives another secret than its
    /// maker has, and nobody can tell from outside which it was (implicit rejection, FIPS 203, algorithm 18).
    ///
    /// # Errors
    /// [`PostQuantumError::Length`].
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<SharedSecret, PostQuantumError> {
        let ciphertext = mlkem768::Ciphertext::from_bytes(ciphertext).map_err(|_| PostQuantumError::Length {
            what: "an ML-KEM-768 ciphertext",
            actual: ciphertext.len(),
            expected: CIPHERTEXT_BYTES,
        })?;
        Ok(taken(mlkem768::decapsulate(&ciphertext, &self.0)))
    }

    fn encapsulation_part(&self) -> &[u8] {
        &self.as_bytes()[VECTOR_BYTES..HASH_AT]
    }
}

impl Drop for DecapsulationKey {
    fn drop(&mut self) {
        if let Ok(nothing) = mlkem768::SecretKey::from_bytes(&[0; DECAPSULATION_KEY_BYTES]) {
            *self.0 = nothing;
            // Without a reader, the compiler could leave the overwriting out.
            black_box(&*self.0);
        }
    }
}

impl ZeroizeOnDrop for DecapsulationKey {}

impl fmt::Debug for DecapsulationKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecapsulationKey(secret)")
    }
}

/// Takes the secret out of a type that does not wipe itself.
fn taken(mut secret: mlkem768::SharedSecret) -> SharedSecret {
    let mut taken = SharedSecret::default();
    taken.copy_from_slice(secret.as_bytes());
    if let Ok(nothing) = mlkem768::SharedSecret::from_bytes(&[0; SHARED_SECRET_BYTES]) {
        secret = nothing;
        black_box(&secret);
    }
    taken
}

/// The prime that coefficients are reduced by.
const MODULUS: u16 = 3329;
/// A vector of three polynomials of 256 coefficients of 12 bits: the secret, and the first part of an encapsulation key.
const VECTOR_BYTES: usize = 1152;
/// Where a decapsulation key holds the hash of its encapsulation key: behind the vector and the encapsulation key.
const HASH_AT: usize = VECTOR_BYTES + ENCAPSULATION_KEY_BYTES;

const _: () = {
    assert!(mlkem768::public_key_bytes() == ENCAPSULATION_KEY_BYTES);
    assert!(mlkem768::secret_key_bytes() == DECAPSULATION_KEY_BYTES);
    assert!(mlkem768::ciphertext_bytes() == CIPHERTEXT_BYTES);
    assert!(mlkem768::shared_secret_bytes() == SHARED_SECRET_BYTES);
    // The vector, the encapsulation key, its hash, and the secret for implicit rejection.
    assert!(HASH_AT + 32 + 32 == DECAPSULATION_KEY_BYTES);
};
