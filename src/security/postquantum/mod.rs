//! Post-quantum cryptography: ML-KEM-768 (FIPS 203) and ML-DSA-65 (FIPS 204), and what is built of them.
//!
//! The one module that knows `pqcrypto`, whose repository is archived (docs/adr/0022). Its crates bind the portable C code
//! of PQClean and leave to their caller what FIPS 203 and 204 ask for around it: checks of keys that come from elsewhere,
//! bounds of lengths, wiping of secrets. All of that is done here, so that nobody else can forget it.
//!
//! Nothing rests on these algorithms alone: a key is agreed by X25519 *and* ML-KEM-768, a statement is signed by Ed25519
//! *and* ML-DSA-65, and breaking one of the two breaks nothing.

mod error;
mod hybrid;
mod key_file;
mod mldsa;
mod mlkem;
#[cfg(test)]
mod tests;
mod x25519;

pub use error::PostQuantumError;
pub use hybrid::{
    Fingerprint, HYBRID_SIGNATURE_BYTES, HybridError, HybridKeys, HybridPublicKey, PUBLIC_KEY_BYTES, verify,
};
pub use key_file::{ensure, load};
pub use mldsa::{
    CONTEXT_BYTES_MAX, SIGNATURE_BYTES, SIGNING_KEY_BYTES, Signature, SigningKey, VERIFYING_KEY_BYTES, VerifyingKey,
};
pub use mlkem::{
    CIPHERTEXT_BYTES, Ciphertext, DECAPSULATION_KEY_BYTES, DecapsulationKey, ENCAPSULATION_KEY_BYTES, EncapsulationKey,
    SHARED_SECRET_BYTES, SharedSecret,
};
pub use x25519::{X25519_BYTES, X25519Public, X25519Secret};
