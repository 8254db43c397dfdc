//! Chunks: AES-256-GCM with a nonce that counts them and says what they are.

use aws_lc_rs::aead::{Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce};

use super::SealError;

/// How much a chunk holds at most, in bytes. All but the last hold as much.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// What sealing adds to a chunk, in bytes.
pub(super) const TAG_BYTES: usize = 16;

/// What a chunk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// More data follows.
    Within = 0,
    /// The last of the data.
    Last = 1,
    /// The sender's signatures, behind the last of the data.
    Signature = 2,
}

/// Seals or opens chunks, one after the other. The key is used for one file alone, so counting makes every nonce new.
pub(super) struct Chunks {
    key: LessSafeKey,
    count: u64,
}

impl Chunks {
    pub(super) fn new(key: LessSafeKey) -> Self {
        Self { key, count: 0 }
    }

    /// Seals a chunk where it lies and appends its tag.
    pub(super) fn seal(&mut self, place: Place, chunk: &mut Vec<u8>) -> Result<(), SealError> {
        if self.count >= CHUNKS_MAX {
            return Err(SealError::TooLong);
        }
        let sealed = self.key.seal_in_place_append_tag(nonce(self.count, place), Aad::empty(), chunk);
        sealed.map_err(|_| SealError::TooLong)?;
        self.count += 1;
        Ok(())
    }

    /// Opens a chunk where it lies; its tag stays behind it.
    pub(super) fn open<'a>(&mut self, place: Place, chunk: &'a mut [u8]) -> Result<&'a [u8], SealError> {
        let damaged = SealError::Damaged { chunk: self.count + 1 };
        if self.count >= CHUNKS_MAX {
            return Err(SealError::TooLong);
        }
        let opened = self.key.open_in_place(nonce(self.count, place), Aad::empty(), chunk).map_err(|_| damaged)?;
        self.count += 1;
        Ok(opened)
    }

    /// Whether this would be the next chunk if it stood in this place. The copy is overwritten.
    pub(super) fn peek(&self, place: Place, copy: &mut [u8]) -> bool {
        self.key.open_in_place(nonce(self.count, place), Aad::empty(), copy).is_ok()
    }
}

/// Three zero bytes, the count (64 bits, big-endian) and the place.
fn nonce(count: u64, place: Place) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[3..11].copy_from_slice(&count.to_be_bytes());
    nonce[11] = place as u8;
    Nonce::assume_unique_for_key(nonce)
}

/// How many chunks one key seals at most: 256 TiB.
const CHUNKS_MAX: u64 = 1 << 32;

const _: () = assert!(MAX_TAG_LEN == TAG_BYTES);

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::{AES_256_GCM, UnboundKey};

    use super::*;

    fn chunks() -> Chunks {
        Chunks::new(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap()))
    }

    #[test]
    fn a_chunk_opens_in_its_place_only() {
        let mut sealing = chunks();
        let mut sealed = [b"one".to_vec(), b"two".to_vec()];
        sealing.seal(Place::Within, &mut sealed[0]).unwrap();
        sealing.seal(Place::Last, &mut sealed[1]).unwrap();
        assert_eq!((sealed[0].len(), sealing.count), (3 + TAG_BYTES, 2));
        let mut opening = chunks();
        for wrong in [Place::Last, Place::Signature] {
            assert!(matches!(opening.open(wrong, &mut sealed[0].clone()), Err(SealError::Damaged { chunk: 1 })));
        }
        assert!(opening.open(Place::Within, &mut sealed[1].clone()).is_err(), "it is not the first");
        assert_eq!(opening.open(Place::Within, &mut sealed[0]).unwrap(), b"one");
        assert_eq!(opening.open(Place::Last, &mut sealed[1]).unwrap(), b"two");
    }

    #[test]
    fn there_is_an_end_to_what_one_key_seals() {
        let mut sealing = Chunks { count: CHUNKS_MAX, ..chunks() };
        assert!(matches!(sealing.seal(Place::Last, &mut vec![]), Err(SealError::TooLong)));
        assert!(matches!(sealing.open(Place::Last, &mut [0; 16]), Err(SealError::TooLong)));
    }
}
