//! The one place that knows bincode.
//!
//! bincode 2 aborts on a hostile length unless it is given a limit, and ignores trailing bytes; both are closed here.
//! Its varints are not canonical, so signatures always cover bytes as received (see [`crate::record`]).

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::{Decode, Encode};

use crate::Rejected;
use crate::limits::CONTROL_MESSAGE_BYTES_MAX;

/// The version of the protocol between nodes, the first byte of every message.
pub const VERSION: u8 = 1;

/// Encodes a value of ours, without a version byte.
pub fn encode<T: Encode>(value: &T) -> Vec<u8> {
    bincode::encode_to_vec(value, CONFIG).expect("BUG: plain data within the limits encodes")
}

/// Decodes a value that somebody else encoded, without a version byte.
///
/// # Errors
/// [`Rejected::OverLimit`] if it is, or claims to be, longer than a message may be; [`Rejected::Malformed`] if it does
/// not decode or if bytes are left over.
pub fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, Rejected> {
    if bytes.len() > CONTROL_MESSAGE_BYTES_MAX {
        return Err(Rejected::OverLimit);
    }
    let (value, used) = bincode::decode_from_slice(bytes, CONFIG).map_err(|error| match error {
        bincode::error::DecodeError::LimitExceeded => Rejected::OverLimit,
        _ => Rejected::Malformed,
    })?;
    if used == bytes.len() { Ok(value) } else { Err(Rejected::Malformed) }
}

/// Encodes a message with its version byte.
pub fn encode_message<T: Encode>(message: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(encode(message));
    bytes
}

/// Decodes a message with its version byte.
///
/// # Errors
/// [`Rejected::UnknownVersion`] for another version, otherwise as [`decode`].
pub fn decode_message<T: Decode<()>>(bytes: &[u8]) -> Result<T, Rejected> {
    match bytes.split_first() {
        None => Err(Rejected::Malformed),
        Some((&VERSION, rest)) => decode(rest),
        Some(_) => Err(Rejected::UnknownVersion),
    }
}

const CONFIG: Configuration<LittleEndian, Varint, Limit<CONTROL_MESSAGE_BYTES_MAX>> =
    bincode::config::standard().with_limit::<CONTROL_MESSAGE_BYTES_MAX>();
