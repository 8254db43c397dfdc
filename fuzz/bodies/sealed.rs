//! Whatever bytes come: the header of sealed data and the text of a public key are read or refused by name.

use prunella::ErrorKind;
use prunella::api::sealing::{PublicKey, describe};

/// What the bytes were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Whether they begin with a header.
    pub(crate) header: bool,
    /// Whether they are a public key.
    pub(crate) key: bool,
}

/// Gives the bytes to both.
pub(crate) fn read(bytes: &[u8]) -> Read {
    let described = describe(bytes);
    if let Err(error) = &described {
        assert!(matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::AuthenticationFailed), "{error}");
    }
    let key = std::str::from_utf8(bytes).ok().and_then(|text| text.parse::<PublicKey>().ok());
    if let Some(key) = &key {
        assert_eq!(key.to_string().parse().as_ref(), Ok(key));
    }
    Read { header: described.is_ok(), key: key.is_some() }
}
