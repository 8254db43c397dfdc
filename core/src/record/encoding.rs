//! How a record is encoded: its times as differences, because every node hears, checks and passes on every record.
//!
//! A version is mostly the millisecond of its issue, and a record ends minutes after that: written out, the three numbers
//! take 27 bytes; as differences they take 9, 1 and 5. Every triple has exactly one such form (the differences wrap), so a
//! record has one encoding still.

use bincode::de::Decoder;
use bincode::de::read::Reader;
use bincode::enc::Encoder;
use bincode::error::{DecodeError, EncodeError};
use bincode::{Decode, Encode};

use super::{LIFE_BITS, Record, RecordId};

impl Encode for Record {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        self.id.encode(encoder)?;
        self.version.encode(encoder)?;
        (self.issued_ms.wrapping_sub(self.version >> LIFE_BITS) as i64).encode(encoder)?;
        self.expires_ms.wrapping_sub(self.issued_ms).encode(encoder)?;
        self.body.encode(encoder)
    }
}

impl<C> Decode<C> for Record {
    #[inline]
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let id = Decode::decode(decoder)?;
        let version = u64::decode(decoder)?;
        let issued_ms = (version >> LIFE_BITS).wrapping_add(i64::decode(decoder)? as u64);
        let expires_ms = issued_ms.wrapping_add(u64::decode(decoder)?);
        Ok(Self { id, version, issued_ms, expires_ms, body: Decode::decode(decoder)? })
    }
}

impl<C> Decode<C> for RecordId {
    /// Like a derived one, but the key is copied once. Only from bytes in memory, which is all that [`codec`] decodes.
    ///
    /// [`codec`]: crate::wire::codec
    #[inline]
    fn decode<D: Decoder<Context = C>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let (origin, kind) = (Decode::decode(decoder)?, Decode::decode(decoder)?);
        let length = u64::decode(decoder)? as usize;
        decoder.claim_bytes_read(length)?;
        let bytes = decoder.reader().peek_read(length).ok_or(DecodeError::UnexpectedEnd { additional: length })?;
        let key = std::str::from_utf8(bytes).map_err(|inner| DecodeError::Utf8 { inner })?.to_owned();
        decoder.reader().consume(length);
        Ok(Self { origin, kind, key })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::record::{Body, Kind, Record, RecordId};
    use crate::wire::codec;
    use crate::{PeerId, Rejected};

    fn record(version: u64, issued_ms: u64, expires_ms: u64) -> Record {
        let id = RecordId { origin: PeerId::from_public_key([7; 32]), kind: Kind::Node, key: String::new() };
        Record { id, version, issued_ms, expires_ms, body: Body::Withdrawn }
    }

    #[test]
    fn times_cost_fifteen_bytes_in_an_ordinary_record() {
        let unix_ms = 1_800_000_000_000;
        let bytes = codec::encode(&record(unix_ms << 16 | 77, unix_ms, unix_ms + 600_000));
        assert_eq!(bytes.len(), 32 + 1 + 1 + 15 + 1);
    }

    proptest! {
        #[test]
        fn any_times_come_back(version: u64, issued_ms: u64, expires_ms: u64) {
            let record = record(version, issued_ms, expires_ms);
            prop_assert_eq!(codec::decode_canonical(&codec::encode(&record)), Ok::<_, Rejected>(record));
        }
    }
}
