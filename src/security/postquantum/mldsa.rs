//! ML-DSA-65: signatures (FIPS 204), by PQClean through `pqcrypto-mldsa`.

use std::fmt;
use std::hint::black_box;

use pqcrypto_mldsa::mldsa65;
use pqcrypto_traits::sign::{DetachedSignature as _, PublicKey as _, SecretKey as _};
use zeroize::ZeroizeOnDrop;

use super::error::{PostQuantumError, exactly};

/// How long a verifying key is, in bytes.
pub const VERIFYING_KEY_BYTES: usize = 1952;
/// How long a signing key is, in bytes.
pub const SIGNING_KEY_BYTES: usize = 4032;
/// How long a signature is, in bytes.
pub const SIGNATURE_BYTES: usize = 3309;
/// How long a context may be, in bytes.
pub const CONTEXT_BYTES_MAX: usize = 255;

/// A signature.
pub type Signature = [u8; SIGNATURE_BYTES];

/// The public half of a key pair: it tells whose signature something is.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyingKey(Box<[u8; VERIFYING_KEY_BYTES]>);

impl VerifyingKey {
    /// A key that came from elsewhere. Every string of its length is one.
    ///
    /// # Errors
    /// [`PostQuantumError::Length`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PostQuantumError> {
        exactly("an ML-DSA-65 public key", bytes).map(Self)
    }

    /// The key as it travels (FIPS 204, algorithm 22).
    pub fn as_bytes(&self) -> &[u8; VERIFYING_KEY_BYTES] {
        &self.0
    }

    /// Checks that `signature` is this key's over `message` in `context` (FIPS 204, algorithm 3).
    ///
    /// # Errors
    /// [`PostQuantumError::ContextTooLong`], [`PostQuantumError::Length`] of the signature, [`PostQuantumError::Forged`].
    pub fn verify(&self, context: &[u8], message: &[u8], signature: &[u8]) -> Result<(), PostQuantumError> {
        check_context(context)?;
        // `pqcrypto` takes shorter ones as well.
        let signature = exactly::<SIGNATURE_BYTES>("an ML-DSA-65 signature", signature)?;
        let signature = mldsa65::DetachedSignature::from_bytes(&*signature).expect("BUG: the length was checked");
        let key = mldsa65::PublicKey::from_bytes(&*self.0).expect("BUG: the length was checked");
        mldsa65::verify_detached_signature_ctx(&signature, message, context, &key).map_err(|_| PostQuantumError::Forged)
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifyingKey")
    }
}

/// The private half of a key pair; wiped when dropped, never printed, not to be copied. As with
/// [`DecapsulationKey`](super::DecapsulationKey), what `pqcrypto` leaves on the stack is out of reach.
pub struct SigningKey {
    secret: Box<mldsa65::SecretKey>,
    public: VerifyingKey,
}

impl SigningKey {
    /// A new key pair from the operating system's randomness.
    pub fn generate() -> Self {
        let (public, secret) = mldsa65::keypair();
        let public = exactly("a public key", public.as_bytes()).map(VerifyingKey);
        Self { secret: Box::new(secret), public: public.expect("BUG: a public key has its length") }
    }

    /// A key pair that was written down: the expanded secret and the public key, which `pqcrypto` cannot compute from it.
    /// That they belong together is tried out.
    ///
    /// # Errors
    /// [`PostQuantumError::Length`], [`PostQuantumError::OutOfRange`], [`PostQuantumError::NotAPair`].
    pub fn from_bytes(secret: &[u8], public: &[u8]) -> Result<Self, PostQuantumError> {
        let public = VerifyingKey::from_bytes(public)?;
        let secret = mldsa65::SecretKey::from_bytes(secret).map_err(|_| PostQuantumError::Length {
            what: "an ML-DSA-65 private key",
            actual: secret.len(),
            expected: SIGNING_KEY_BYTES,
        })?;
        let key = Self { secret: Box::new(secret), public };
        // Two coefficients of 4 bits in a byte, each written as 4 less itself.
        let sound = key.as_bytes()[SMALL_VECTORS].iter().all(|two| two & 0x0f <= 8 && two >> 4 <= 8);
        if !sound {
            return Err(PostQuantumError::OutOfRange);
        }
        let signature = key.sign(b"", PAIR)?;
        key.public.verify(b"", PAIR, &*signature).map_err(|_| PostQuantumError::NotAPair { what: "ML-DSA-65" })?;
        Ok(key)
    }

    /// The secret as it is written down (FIPS 204, algorithm 24), 4032 bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.secret.as_bytes()
    }

    /// The other half.
    pub fn verifying_key(&self) -> &VerifyingKey {
        &self.public
    }

    /// Signs `message` in `context` (FIPS 204, algorithm 2), hedged: two signatures over the same differ.
    ///
    /// # Errors
    /// [`PostQuantumError::ContextTooLong`], for which `pqcrypto` would return a signature of no bytes.
    pub fn sign(&self, context: &[u8], message: &[u8]) -> Result<Box<Signature>, PostQuantumError> {
        check_context(context)?;
        let signature = mldsa65::detached_sign_ctx(message, context, &self.secret);
        exactly("an ML-DSA-65 signature", signature.as_bytes())
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        if let Ok(nothing) = mldsa65::SecretKey::from_bytes(&[0; SIGNING_KEY_BYTES]) {
            *self.secret = nothing;
            // Without a reader, the compiler could leave the overwriting out.
            black_box(&*self.secret);
        }
    }
}

impl ZeroizeOnDrop for SigningKey {}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(secret)")
    }
}

fn check_context(context: &[u8]) -> Result<(), PostQuantumError> {
    let actual = context.len();
    if actual <= CONTEXT_BYTES_MAX { Ok(()) } else { Err(PostQuantumError::ContextTooLong { actual }) }
}

/// What a key pair signs to show that it is one.
const PAIR: &[u8] = b"prunella key pair";
/// Where a signing key holds its vectors of small coefficients: five and six polynomials of 256 coefficients of 4 bits,
/// behind two seeds and a hash.
const SMALL_VECTORS: std::ops::Range<usize> = 128..128 + (5 + 6) * 128;

const _: () = {
    assert!(mldsa65::public_key_bytes() == VERIFYING_KEY_BYTES);
    assert!(mldsa65::secret_key_bytes() == SIGNING_KEY_BYTES);
    assert!(mldsa65::signature_bytes() == SIGNATURE_BYTES);
    // The small vectors, and six polynomials of 256 coefficients of 13 bits.
    assert!(SMALL_VECTORS.end + 6 * 416 == SIGNING_KEY_BYTES);
};
