//! The header: for whom data is sealed, and how its key is found.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use zeroize::Zeroizing;

use super::SealError;
use crate::security::postquantum::{
    CIPHERTEXT_BYTES, Ciphertext, Fingerprint, HybridPublicKey, SHARED_SECRET_BYTES, SharedSecret, X25519_BYTES,
    X25519Public,
};

/// How long a header is, in bytes.
pub const HEADER_BYTES: usize = MAGIC.len() + 2 + 32 + X25519_BYTES + CIPHERTEXT_BYTES;

/// What sealed data begins with. Anybody can read it; what was changed in it leads to another key, so that nothing opens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether the sender's signatures stand at the end.
    pub signed: bool,
    /// Whose keys it is sealed for: the fingerprint of the recipient's public key.
    pub recipient: Fingerprint,
    /// The sender's half of the agreement by X25519, made for this data alone.
    pub x25519: X25519Public,
    /// The secret of ML-KEM-768, encapsulated for the recipient.
    pub ciphertext: Box<Ciphertext>,
}

impl Header {
    /// The header as it stands in front.
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let flags = if self.signed { SIGNED } else { 0 };
        let fields = [MAGIC, &[VERSION, flags], &self.recipient, &self.x25519, self.ciphertext.as_slice()];
        fields.concat().try_into().expect("BUG: every field has its length")
    }

    /// Reads a header from the front of sealed data; what follows is not looked at. Any bytes may come.
    ///
    /// # Errors
    /// [`SealError::NotSealed`], [`SealError::Version`], [`SealError::Malformed`] for a flag that nobody knows,
    /// [`SealError::Truncated`] if it ends within the header.
    pub fn decode(bytes: &[u8]) -> Result<Self, SealError> {
        let rest = match bytes.split_at_checked(MAGIC.len()) {
            Some((magic, rest)) if magic == MAGIC => rest,
            None if !bytes.is_empty() && MAGIC.starts_with(bytes) => return Err(SealError::Truncated),
            _ => return Err(SealError::NotSealed),
        };
        let (version, rest) = rest.split_first().ok_or(SealError::Truncated)?;
        if *version != VERSION {
            return Err(SealError::Version { found: *version });
        }
        let (flags, rest) = rest.split_first().ok_or(SealError::Truncated)?;
        if flags & !SIGNED != 0 {
            return Err(SealError::Malformed);
        }
        let (recipient, rest) = rest.split_first_chunk().ok_or(SealError::Truncated)?;
        let (x25519, rest) = rest.split_first_chunk().ok_or(SealError::Truncated)?;
        let (ciphertext, _) = rest.split_first_chunk().ok_or(SealError::Truncated)?;
        let signed = flags & SIGNED != 0;
        Ok(Self { signed, recipient: *recipient, x25519: *x25519, ciphertext: Box::new(*ciphertext) })
    }

    /// The key of the chunks: HKDF-SHA-256 (RFC 5869) over both secrets, with the header and the recipient's public keys as
    /// its context.
    pub(super) fn key(
        &self,
        recipient: &HybridPublicKey,
        (x25519, mlkem): &(SharedSecret, SharedSecret),
    ) -> LessSafeKey {
        let mut secrets = Zeroizing::new([0; 2 * SHARED_SECRET_BYTES]);
        secrets[..SHARED_SECRET_BYTES].copy_from_slice(mlkem.as_slice());
        secrets[SHARED_SECRET_BYTES..].copy_from_slice(x25519.as_slice());
        let header = self.encode();
        let context = [header.as_slice(), recipient.x25519(), recipient.mlkem().as_bytes()];
        let extracted = Salt::new(HKDF_SHA256, KEY_SALT).extract(secrets.as_slice());
        let expanded = extracted.expand(&context, &AES_256_GCM).expect("BUG: a key is short enough to be expanded");
        LessSafeKey::new(UnboundKey::from(expanded))
    }
}

/// How sealed data begins.
const MAGIC: &[u8] = b"prunseal";
/// The version of the format.
const VERSION: u8 = 1;
/// The flag for signatures at the end; no other is known.
const SIGNED: u8 = 1;
/// Keeps the keys of sealed data apart from those of any other use of the same secrets.
const KEY_SALT: &[u8] = b"prunella sealed v1";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(signed: bool, fill: u8) -> Header {
        Header { signed, recipient: [fill; 32], x25519: [fill; 32], ciphertext: Box::new([fill; CIPHERTEXT_BYTES]) }
    }

    #[test]
    fn a_header_that_ends_early_is_cut_off_and_one_with_more_behind_it_is_whole() {
        let bytes = header(true, 7).encode();
        for length in 1..HEADER_BYTES {
            assert!(matches!(Header::decode(&bytes[..length]), Err(SealError::Truncated)), "{length}");
        }
        assert!(matches!(Header::decode(b""), Err(SealError::NotSealed)));
        assert_eq!(Header::decode(&[bytes.as_slice(), b"more"].concat()).unwrap(), header(true, 7));
    }

    #[test]
    fn other_versions_and_unknown_flags_are_refused_by_name() {
        let mut bytes = header(false, 7).encode();
        bytes[8] = 2;
        assert!(matches!(Header::decode(&bytes), Err(SealError::Version { found: 2 })));
        (bytes[8], bytes[9]) = (1, 2);
        assert!(matches!(Header::decode(&bytes), Err(SealError::Malformed)));
        assert!(matches!(Header::decode(b"#!/bin/sh\n"), Err(SealError::NotSealed)));
    }

    proptest! {
        #[test]
        fn what_decodes_is_what_was_encoded(bytes in prop::collection::vec(any::<u8>(), 0..1300), begins: bool) {
            let mut bytes = bytes;
            if begins && bytes.len() > 10 {
                bytes[..10].copy_from_slice(b"prunseal\x01\x01");
            }
            if let Ok(header) = Header::decode(&bytes) {
                prop_assert_eq!(&header.encode(), &bytes[..HEADER_BYTES]);
            }
        }

        #[test]
        fn a_header_survives_its_bytes(signed: bool, fill: u8) {
            let header = header(signed, fill);
            prop_assert_eq!(Header::decode(&header.encode()).unwrap(), header);
        }
    }
}
