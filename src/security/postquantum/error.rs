//! What can be wrong with post-quantum keys, ciphertexts and signatures.

/// Why a key, a ciphertext or a signature is not used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PostQuantumError {
    /// Something has another length than its kind always has.
    #[error("{what} has {actual} bytes instead of {expected}")]
    Length {
        /// What it is.
        what: &'static str,
        /// How long it is, in bytes.
        actual: usize,
        /// How long it would have to be, in bytes.
        expected: usize,
    },
    /// An encapsulation key holds a coefficient of 3329 or more: it fails the modulus check (FIPS 203, section 7.2).
    #[error("the ML-KEM-768 encapsulation key is not reduced")]
    NotReduced,
    /// A decapsulation key does not hold the hash of its encapsulation key: it fails the hash check (FIPS 203, section 7.3).
    #[error("the ML-KEM-768 decapsulation key contradicts itself")]
    HashMismatch,
    /// A signing key holds a coefficient outside of -4..=4 (FIPS 204, algorithm 25): it was not made by key generation.
    #[error("the ML-DSA-65 signing key is out of range")]
    OutOfRange,
    /// The two halves of a key pair do not belong together.
    #[error("the private and the public {what} key do not belong together")]
    NotAPair {
        /// Which algorithm's.
        what: &'static str,
    },
    /// A context string is longer than 255 bytes (FIPS 204, algorithms 2 and 3).
    #[error("the context of an ML-DSA-65 signature has {actual} bytes, at most 255 are allowed")]
    ContextTooLong {
        /// How long it is, in bytes.
        actual: usize,
    },
    /// An X25519 public key is of low order: everybody would agree on the same secret with it (RFC 7748, section 6.1).
    #[error("the X25519 public key is of low order")]
    LowOrder,
    /// The signature is not the signer's over this message in this context.
    #[error("the ML-DSA-65 signature does not fit")]
    Forged,
}

/// The bytes as an array of the length that `what` always has.
pub(super) fn exactly<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<Box<[u8; N]>, PostQuantumError> {
    let wrong = PostQuantumError::Length { what, actual: bytes.len(), expected: N };
    let boxed: Box<[u8]> = bytes.into();
    boxed.try_into().map_err(|_| wrong)
}
