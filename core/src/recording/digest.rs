//! What stands for the effects of one input.

use bincode::{Decode, Encode};
use serde::Serialize;

use crate::wire::codec;

/// What a role asked for upon one input: how much, and a hash over all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Digest {
    /// How many effects.
    pub effects: u32,
    /// The first 16 bytes of the BLAKE3 hash over the encodings of all effects, each after its number.
    pub hash: [u8; 16],
}

impl Digest {
    /// The digest of these effects.
    pub fn of<E: Serialize>(effects: &[E]) -> Self {
        let mut hasher = blake3::Hasher::new();
        for (number, effect) in effects.iter().enumerate() {
            hasher.update(&(number as u64).to_le_bytes());
            codec::hash_plain(effect, &mut hasher);
        }
        let hash = hasher.finalize();
        Self { effects: effects.len() as u32, hash: std::array::from_fn(|i| hash.as_bytes()[i]) }
    }
}
