//! Invitation tokens: what a new host needs to find a mesh, know it for the right one, and be let in once.
//!
//! A token is `prunella1-` and the lowercase base32 of its encoded fields followed by an authentication code over them,
//! which its inviter alone can make and check: a signature that anybody can check would be of no more use, and would be as
//! long as a post-quantum one is, or not post-quantum. Whoever holds it can join until it is used or expires, so it is handled like a password.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use data_encoding::{Encoding, Specification};
use prunella_core::limits::{ADDRESSES_MAX, TOKEN_BYTES_MAX};
use prunella_core::wire::codec;
use prunella_core::{PeerId, Rejected};

use crate::security::{Algorithm, SecurityError, TrustDomain};

/// An invitation, decoded. That it is genuine can be checked by its inviter alone: the new host instead checks whom it talks
/// to against the fingerprint.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    /// Random; by it the inviter knows that the token was used.
    pub id: [u8; 16],
    /// The first second at which it is void, since the Unix epoch.
    pub expires_unix: u64,
    /// The mesh.
    pub trust_domain: TrustDomain,
    /// Of which algorithm the certificates of its nodes are.
    pub certificates: Algorithm,
    /// The [`crate::security::pair_fingerprint`] of the authority's certificates.
    pub authority_fingerprint: [u8; 32],
    /// The node to join through.
    pub inviter: PeerId,
    /// Where the inviter listens (UDP), at most [`ADDRESSES_MAX`].
    pub addresses: Vec<SocketAddr>,
    /// The fields, then the code: the bytes as made or received.
    bytes: Vec<u8>,
}

/// Why a text or some bytes are not a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotAToken {
    /// It does not begin like one.
    #[error("not a token (a token begins with `{PREFIX}`)")]
    Prefix,
    /// It contains something that base32 does not, or lacks its end.
    #[error("the token is damaged; copy it again, as one line")]
    Damaged,
    /// It is longer than any token.
    #[error("the token is too long")]
    TooLong,
}

/// The fields in the order in which they are encoded: id, expiry, trust domain, algorithm, fingerprint, inviter, addresses.
type Fields = ([u8; 16], u64, String, Algorithm, [u8; 32], PeerId, Vec<SocketAddr>);

impl Token {
    /// Decodes a token from the bytes that an admission carries.
    ///
    /// # Errors
    /// [`NotAToken`], with its reason; that it decodes does not mean that the inviter made it.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotAToken> {
        if bytes.len() > TOKEN_BYTES_MAX {
            return Err(NotAToken::TooLong);
        }
        let (payload, _) = bytes.split_last_chunk::<CODE_BYTES>().ok_or(NotAToken::Damaged)?;
        let fields: Fields = codec::decode(payload).map_err(|rejected| match rejected {
            Rejected::OverLimit => NotAToken::TooLong,
            _ => NotAToken::Damaged,
        })?;
        let (id, expires_unix, trust_domain, certificates, authority_fingerprint, inviter, addresses) = fields;
        let trust_domain = trust_domain.parse().map_err(|_| NotAToken::Damaged)?;
        if addresses.len() > ADDRESSES_MAX {
            return Err(NotAToken::TooLong);
        }
        let bytes = bytes.to_vec();
        Ok(Self { id, expires_unix, trust_domain, certificates, authority_fingerprint, inviter, addresses, bytes })
    }

    /// The bytes for an admission.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }

    /// Makes an invitation that whoever knows `secret` takes for genuine. The field order is the one of [`Fields`].
    pub(super) fn make(fields: Fields, secret: &[u8; 32]) -> Result<Self, SecurityError> {
        let payload = codec::encode(&fields);
        let code = blake3::keyed_hash(secret, &payload);
        Self::from_bytes(&[payload.as_slice(), code.as_bytes()].concat()).map_err(|_| SecurityError::TokenTooLong)
    }

    /// Whether these bytes were made with `secret`.
    pub(super) fn is_made_with(&self, secret: &[u8; 32]) -> bool {
        let parts = self.bytes.split_last_chunk::<CODE_BYTES>();
        let (payload, code) = parts.expect("BUG: a token is longer than its code");
        // The comparison of two hashes takes constant time.
        blake3::keyed_hash(secret, payload) == *code
    }
}

impl FromStr for Token {
    type Err = NotAToken;

    fn from_str(text: &str) -> Result<Self, NotAToken> {
        let body = text.trim().strip_prefix(PREFIX).ok_or(NotAToken::Prefix)?;
        let encoding = base32();
        if body.len() > encoding.encode_len(TOKEN_BYTES_MAX) {
            return Err(NotAToken::TooLong);
        }
        Self::from_bytes(&encoding.decode(body.as_bytes()).map_err(|_| NotAToken::Damaged)?)
    }
}

/// The text form, which is as good as the token itself.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", base32().encode(&self.bytes))
    }
}

/// Everything but the code, without which the token is worth nothing.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("trust_domain", &self.trust_domain.as_str())
            .field("inviter", &self.inviter)
            .field("addresses", &self.addresses)
            .field("expires_unix", &self.expires_unix)
            .finish_non_exhaustive()
    }
}

fn base32() -> Encoding {
    let mut spec = Specification::new();
    spec.symbols.push_str("abcdefghijklmnopqrstuvwxyz234567");
    spec.encoding().expect("BUG: the base32 alphabet is valid")
}

const PREFIX: &str = "prunella1-";
const CODE_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prunella_core::identity::Identity;

    use super::*;

    const SECRET: &[u8; 32] = &[7; 32];

    fn token() -> Token {
        let addresses = vec!["192.0.2.1:7000".parse().unwrap(), "[2001:db8::1]:7000".parse().unwrap()];
        let inviter = Identity::from_secret(&[1; 32]).peer();
        Token::make(([5; 16], 1_800_000_000, "lab".to_owned(), Algorithm::MlDsa65, [6; 32], inviter, addresses), SECRET)
            .unwrap()
    }

    #[test]
    fn a_token_survives_its_text_form_and_its_bytes() {
        let token = token();
        let text = token.to_string();
        assert!(text.starts_with("prunella1-") && !text.contains(char::is_whitespace));
        assert_eq!(text.parse(), Ok(token.clone()));
        assert_eq!(format!("  {text}\n").parse(), Ok(token.clone()));
        assert_eq!(Token::from_bytes(&token.to_bytes()), Ok(token.clone()));
        assert!(token.is_made_with(SECRET));
    }

    #[test]
    fn the_largest_token_fits() {
        let addresses = vec!["[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().unwrap(); ADDRESSES_MAX];
        let fields = (
            [255; 16],
            u64::MAX,
            "x".repeat(255),
            Algorithm::MlDsa65,
            [255; 32],
            Identity::from_secret(&[1; 32]).peer(),
            addresses,
        );
        let token = Token::make(fields, SECRET).unwrap();
        assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn no_tampered_token_is_genuine_nor_one_of_another_secret() {
        assert!(!token().is_made_with(&[8; 32]));
        let bytes = token().to_bytes();
        for i in 0..bytes.len() {
            let mut forged = bytes.clone();
            forged[i] ^= 1 << (i % 8);
            let accepted = Token::from_bytes(&forged).is_ok_and(|token| token.is_made_with(SECRET));
            assert!(!accepted, "byte {i}");
        }
    }

    #[test]
    fn each_bad_form_has_its_name_in_one_line() {
        let text = token().to_string();
        let too_many = vec!["192.0.2.1:7000".parse().unwrap(); ADDRESSES_MAX + 1];
        let peer = Identity::from_secret(&[1; 32]).peer();
        let fields: Fields = ([5; 16], 1, "lab".to_owned(), Algorithm::MlDsa65, [6; 32], peer, too_many);
        assert!(matches!(Token::make(fields, SECRET), Err(SecurityError::TokenTooLong)));
        for (bad, reason) in [
            (String::new(), NotAToken::Prefix),
            (text.replace("prunella1", "prunella2"), NotAToken::Prefix),
            (PREFIX.to_owned(), NotAToken::Damaged),
            (text[..text.len() - 1].to_owned(), NotAToken::Damaged),
            (text.replace("1-", "1-!"), NotAToken::Damaged),
            (text.to_uppercase().replace("PRUNELLA1-", PREFIX), NotAToken::Damaged),
            (format!("{PREFIX}{}", "a".repeat(64 * 1024)), NotAToken::TooLong),
        ] {
            let error = bad.parse::<Token>().unwrap_err();
            assert_eq!(error, reason, "{bad:.40}");
            assert!(!error.to_string().contains('\n'));
        }
    }

    #[test]
    fn the_code_is_not_printed() {
        let token = token();
        let text = format!("{token:?}");
        assert!(!text.contains(&token.to_string()[10..50]) && !text.contains("bytes"), "{text}");
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes: Vec<u8>, text: String) {
            let _ = Token::from_bytes(&bytes);
            let _ = format!("{PREFIX}{text}").parse::<Token>();
        }
    }
}
