//! Sealed data: readable by one node alone, now and when there are quantum computers, and, if its sender signed it, known to
//! be that sender's.
//!
//! For what lies on a disk or is stored on the way. A [`Header`] carries what the recipient needs to find the key; then come
//! chunks of 64 KiB under AES-256-GCM with a counter and a flag for the last one (STREAM: Hoang, Reyhanitabar, Rogaway and
//! Vizár, Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance, 2015), so that files of any size are sealed
//! and opened in the memory of a few chunks, and one that was cut off is noticed; then, if the sender signed, one more chunk
//! with its public key and both signatures. The formats stand in docs/post-quantum.md.
//!
//! The key comes out of HKDF-SHA-256 over the secrets of X25519 *and* ML-KEM-768, bound to everything that both sides saw:
//! the header and the recipient's public keys. Whoever breaks one of the two still lacks the other (Giacon, Heuer and
//! Poettering, KEM Combiners, 2018; Barbosa et al., X-Wing, 2024, and draft-connolly-cfrg-xwing-kem, which leaves out of the
//! hash what ML-KEM binds by itself; here nothing is left out).

mod chunk;
mod error;
mod header;
mod opening;
mod sealing;
#[cfg(test)]
mod tests;

pub use chunk::CHUNK_BYTES;
pub use error::SealError;
pub use header::{HEADER_BYTES, Header};
pub use opening::{Opened, open};
pub use sealing::seal;

use crate::security::postquantum::{HYBRID_SIGNATURE_BYTES, PUBLIC_KEY_BYTES};

/// In which context a sender signs: the SHA-512 of the header and all that was sealed.
const SIGNING_CONTEXT: &[u8] = b"prunella sealed v1";
/// What the chunk of the signature holds: the sender's public key and both signatures.
const SIGNED_BYTES: usize = PUBLIC_KEY_BYTES + HYBRID_SIGNATURE_BYTES;
