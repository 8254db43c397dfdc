//! The one place that knows bincode.
//!
//! bincode 2 aborts on a hostile length unless it is given a limit, and ignores trailing bytes; both are closed here.
//! Its varints are not canonical either: what is signed has to be in the one form that [`encode`] gives it (see
//! [`decode_canonical`]), so that nothing signed has two forms.

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::de::DecoderImpl;
use bincode::de::read::SliceReader;
use bincode::enc::write::Writer;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Rejected;
use crate::limits::{CONTROL_MESSAGE_BYTES_MAX, RECORDING_ENTRY_BYTES_MAX};

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
    let (value, used) = bincode::decode_from_slice(bytes, CONFIG).map_err(rejected)?;
    if used == bytes.len() { Ok(value) } else { Err(Rejected::Malformed) }
}

/// Decodes a value that stands in exactly the form that [`encode`] gives it.
///
/// # Errors
/// As [`decode`], and [`Rejected::NonCanonical`] for a number in more bytes than it needs, or bytes left over.
#[inline]
pub fn decode_canonical<T: Decode<()> + Encode>(bytes: &[u8]) -> Result<T, Rejected> {
    if bytes.len() > CONTROL_MESSAGE_BYTES_MAX {
        return Err(Rejected::OverLimit);
    }
    let mut decoder = DecoderImpl::new(SliceReader::new(bytes), CONFIG, ());
    let value = T::decode(&mut decoder).map_err(rejected)?;
    let mut same = Same { rest: bytes };
    bincode::encode_into_writer(&value, &mut same, CONFIG).map_err(|_| Rejected::NonCanonical)?;
    if same.rest.is_empty() { Ok(value) } else { Err(Rejected::NonCanonical) }
}

/// Encodes an entry of a recording.
pub fn encode_entry<T: Encode>(value: &T) -> Vec<u8> {
    bincode::encode_to_vec(value, RECORDING).expect("BUG: plain data encodes")
}

/// Decodes an entry of a recording.
///
/// # Errors
/// As [`decode`], with [`RECORDING_ENTRY_BYTES_MAX`] for the limit.
pub fn decode_entry<T: Decode<()>>(bytes: &[u8]) -> Result<T, Rejected> {
    let (value, used) = bincode::decode_from_slice(bytes, RECORDING).map_err(rejected)?;
    if used == bytes.len() { Ok(value) } else { Err(Rejected::Malformed) }
}

/// Encodes what never travels: an input of a role, or what a role starts with, for a recording.
pub fn encode_plain<T: Serialize>(value: &T) -> Vec<u8> {
    bincode::serde::encode_to_vec(value, RECORDING).expect("BUG: plain data encodes")
}

/// Decodes what [`encode_plain`] has encoded.
///
/// # Errors
/// As [`decode_entry`], and the reason why a record in it is turned away: it is verified again.
pub fn decode_plain<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Rejected> {
    let (value, used) = bincode::serde::decode_from_slice(bytes, RECORDING).map_err(|error| match &error {
        // A rejection from within comes out as its text.
        DecodeError::OtherString(text) => {
            Rejected::ALL.into_iter().find(|reason| reason.to_string() == *text).unwrap_or(Rejected::Malformed)
        }
        _ => rejected(error),
    })?;
    if used == bytes.len() { Ok(value) } else { Err(Rejected::Malformed) }
}

/// Hashes a value's encoding, as [`encode_plain`] would give it, without making it.
pub fn hash_plain<T: Serialize>(value: &T, hasher: &mut blake3::Hasher) {
    bincode::serde::encode_into_writer(value, Hashed(hasher), RECORDING).expect("BUG: plain data encodes");
}

fn rejected(error: DecodeError) -> Rejected {
    match error {
        DecodeError::LimitExceeded => Rejected::OverLimit,
        _ => Rejected::Malformed,
    }
}

/// Takes what is written only if it is what was expected: an encoding is compared without being made.
struct Same<'a> {
    rest: &'a [u8],
}

impl Writer for &mut Same<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => {
                self.rest = rest;
                Ok(())
            }
            None => Err(EncodeError::Other("it differs")),
        }
    }
}

/// Hashes what is written.
struct Hashed<'a>(&'a mut blake3::Hasher);

impl Writer for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.update(bytes);
        Ok(())
    }
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

const RECORDING: Configuration<LittleEndian, Varint, Limit<RECORDING_ENTRY_BYTES_MAX>> =
    bincode::config::standard().with_limit::<RECORDING_ENTRY_BYTES_MAX>();

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::record::{Body, JudgmentsBody, Kind, LinkBody, LinksBody, NodeBody, Record, RecordId, Refuted};
    use crate::shared::{Seen, Write};
    use crate::{Label, PeerId};

    fn records() -> [Record; 5] {
        let peer = PeerId::from_public_key([9; 32]);
        let link = LinkBody { neighbor: peer, label: Label(7), rtt_us: 300, loss_permille: 3 };
        let refuted = Refuted { accuser: peer, version: 5 };
        let addresses = ["127.0.0.1:7".parse().unwrap(), "[::1]:70".parse().unwrap()].to_vec();
        let announced = ["10.20.0.0/16", "fd00:20::/64"].map(|prefix| prefix.parse().unwrap()).to_vec();
        let (silent, failing, distrusted) = (vec![peer], vec![peer], vec![peer]);
        let judgments = JudgmentsBody { silent, failing, refuted: vec![refuted], distrusted };
        let clock = vec![Seen { writer: peer, counter: 1 }];
        let bodies = [
            (Kind::Service, Body::Service),
            (Kind::Node, Body::Node(NodeBody { name: "a".into(), addresses, region: "b".into(), announced })),
            (Kind::Links, Body::Links(LinksBody { links: vec![link; 2] })),
            (Kind::Shared, Body::Shared(Write { clock, floor: 0, value: Some("v".into()) })),
            (Kind::Judgments, Body::Judgments(judgments)),
        ];
        bodies.map(|(kind, body)| {
            let id = RecordId { origin: peer, kind, key: "web".into() };
            Record { id, version: 1, issued_ms: 200, expires_ms: 70_000, body }
        })
    }

    proptest! {
        #[test]
        fn only_its_own_encoding_is_canonical_for_a_record(which in 0..5usize, at: u16, form in 0..5u8, byte: u8) {
            let mut bytes = encode(&records()[which]);
            let at = usize::from(at) % bytes.len();
            // Longer forms of a number, and bytes of another value.
            match form {
                0 => drop(bytes.splice(at..=at, [251, bytes[at], 0])),
                1 => drop(bytes.splice(at..=at, [252, bytes[at], 0, 0, 0])),
                2 => drop(bytes.splice(at..=at, [253, bytes[at], 0, 0, 0, 0, 0, 0, 0])),
                3 => bytes[at] = byte,
                _ => bytes.insert(at, byte),
            }
            let same = decode::<Record>(&bytes).ok().filter(|record| encode(record) == bytes);
            prop_assert_eq!(decode_canonical::<Record>(&bytes).ok(), same);
        }
    }

    #[test]
    fn only_the_shortest_form_is_canonical() {
        let bytes = encode(&(7u64, "web".to_owned()));
        assert_eq!(decode_canonical(&bytes), Ok((7u64, "web".to_owned())));
        // 7 as a number of 16 bits: bincode takes it for the same value.
        let long = [&[251, 7, 0], &bytes[1..]].concat();
        assert_eq!(decode(&long), Ok((7u64, "web".to_owned())));
        assert_eq!(decode_canonical::<(u64, String)>(&long), Err(Rejected::NonCanonical));
        let trailing = [&bytes[..], &[0]].concat();
        assert_eq!(decode_canonical::<(u64, String)>(&trailing), Err(Rejected::NonCanonical));
        assert_eq!(decode_canonical::<(u64, String)>(&bytes[..4]), Err(Rejected::Malformed));
    }
}
