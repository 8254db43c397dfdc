//! Chunks: how a recording lies in a file.
//!
//! A file begins with [`opening`]; then come chunks, the first of which is the [`Header`](super::Header), the others an
//! [`Entry`](super::Entry) each:
//!
//! ```text
//!  0        4         8              16
//!  | length | of that | of the bytes | bytes ...
//!           '-- checksums: BLAKE3, cut short --'
//! ```
//!
//! The length has a checksum of its own: only so can an end that was cut off be told from a length that was changed.

use crate::limits::RECORDING_ENTRY_BYTES_MAX;

/// The bytes before the bytes of a chunk.
pub const CHUNK_HEAD_BYTES: usize = 16;

/// Why a file is not read any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damaged {
    /// It does not begin as a recording does.
    #[error("not a recording")]
    Foreign,
    /// Another version of the format.
    #[error("version {0} of the format; this program reads version {VERSION}")]
    Version(u16),
    /// A checksum does not fit: bytes were changed.
    #[error("corrupt: a checksum does not fit")]
    Corrupt,
    /// The checksums fit, and what they cover is longer than an entry may be.
    #[error("an entry is longer than {RECORDING_ENTRY_BYTES_MAX} bytes")]
    TooLong,
    /// The checksums fit, and what they cover is no entry: it was written by another build, or on purpose.
    #[error("an entry does not decode; was it recorded by another build?")]
    Undecodable,
    /// Not even the header is whole.
    #[error("it ends before its header does")]
    Empty,
}

/// The head of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// How many bytes follow.
    pub bytes: usize,
    sum: [u8; 8],
}

impl Chunk {
    /// Reads the head of a chunk.
    ///
    /// # Errors
    /// [`Damaged::Corrupt`], [`Damaged::TooLong`].
    pub fn head(head: &[u8; CHUNK_HEAD_BYTES]) -> Result<Self, Damaged> {
        let (length, sums) = head.split_first_chunk::<4>().expect("BUG: a head has a length");
        let (of_length, sum) = sums.split_first_chunk::<4>().expect("BUG: a head has two checksums");
        if sum_of::<4>(length) != *of_length {
            return Err(Damaged::Corrupt);
        }
        let bytes = u32::from_le_bytes(*length) as usize;
        if bytes > RECORDING_ENTRY_BYTES_MAX {
            return Err(Damaged::TooLong);
        }
        Ok(Self { bytes, sum: sum.try_into().expect("BUG: eight bytes are left of a head") })
    }

    /// Checks the bytes that follow the head.
    ///
    /// # Errors
    /// [`Damaged::Corrupt`].
    pub fn check(&self, bytes: &[u8]) -> Result<(), Damaged> {
        if bytes.len() == self.bytes && sum_of::<8>(bytes) == self.sum { Ok(()) } else { Err(Damaged::Corrupt) }
    }
}

/// The chunk of these bytes, with its head.
///
/// # Panics
/// If there are more than [`RECORDING_ENTRY_BYTES_MAX`].
pub fn sealed(bytes: &[u8]) -> Vec<u8> {
    assert!(bytes.len() <= RECORDING_ENTRY_BYTES_MAX, "BUG: an entry is within its limit");
    let length = (bytes.len() as u32).to_le_bytes();
    let mut chunk = Vec::with_capacity(CHUNK_HEAD_BYTES + bytes.len());
    chunk.extend(length);
    chunk.extend(sum_of::<4>(&length));
    chunk.extend(sum_of::<8>(bytes));
    chunk.extend(bytes);
    chunk
}

/// What a file begins with: a name, and the version of the format.
pub fn opening() -> [u8; 10] {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..].copy_from_slice(&VERSION.to_le_bytes());
    bytes
}

/// Checks what a file begins with.
///
/// # Errors
/// [`Damaged::Foreign`], [`Damaged::Version`].
pub fn check_opening(bytes: &[u8; 10]) -> Result<(), Damaged> {
    let (magic, version) = bytes.split_first_chunk::<8>().expect("BUG: ten bytes begin with eight");
    let version = u16::from_le_bytes(version.try_into().expect("BUG: two bytes are left"));
    match (magic == MAGIC, version) {
        (false, _) => Err(Damaged::Foreign),
        (true, VERSION) => Ok(()),
        (true, version) => Err(Damaged::Version(version)),
    }
}

fn sum_of<const BYTES: usize>(bytes: &[u8]) -> [u8; BYTES] {
    let hash = blake3::hash(bytes);
    std::array::from_fn(|i| hash.as_bytes()[i])
}

const MAGIC: &[u8; 8] = b"prunrec\0";
/// Grows with every change of what is in a chunk. Inputs are recorded as they are in memory, so a new input of a role
/// changes it as well.
const VERSION: u16 = 3;
