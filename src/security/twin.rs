//! A key and its twin: what an authority or an issuer signs is signed by both, with Ed25519 and with ML-DSA-65.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use data_encoding::{BASE64, BASE64URL_NOPAD};
use prunella_core::PeerId;
use prunella_core::identity::Identity;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::{SignatureAlgorithm, SignatureScheme};
use zeroize::Zeroizing;

use crate::security::keys::{self, Signer};
use crate::security::postquantum::{SIGNING_KEY_BYTES, SigningKey, VERIFYING_KEY_BYTES, VerifyingKey};
use crate::security::{Algorithm, SecurityError};

/// The public keys of an authority or an issuer. As text, one line: the Ed25519 key as a peer id is written, a dot, and
/// the ML-DSA-65 key in base64url without padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicTwins {
    /// The Ed25519 key, which names the pair.
    pub key: PeerId,
    /// The ML-DSA-65 key.
    pub twin: VerifyingKey,
}

/// The text is not a pair of public keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a pair of issuing keys; copy what `prunella authority request` prints, as one line")]
pub struct NotTwins;

impl fmt::Display for PublicTwins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.key, BASE64URL_NOPAD.encode(self.twin.as_bytes()))
    }
}

impl FromStr for PublicTwins {
    type Err = NotTwins;

    fn from_str(text: &str) -> Result<Self, NotTwins> {
        let (key, twin) = text.trim().split_once('.').ok_or(NotTwins)?;
        if twin.len() != BASE64URL_NOPAD.encode_len(VERIFYING_KEY_BYTES) {
            return Err(NotTwins);
        }
        let twin = BASE64URL_NOPAD.decode(twin.as_bytes()).map_err(|_| NotTwins)?;
        let twin = VerifyingKey::from_bytes(&twin).map_err(|_| NotTwins)?;
        Ok(Self { key: key.parse().map_err(|_| NotTwins)?, twin })
    }
}

/// The secret keys of an authority or an issuer.
#[derive(Debug)]
pub(super) struct Twins {
    pub(super) key: Signer,
    pub(super) twin: TwinSigner,
}

impl Twins {
    /// New keys from the operating system's randomness.
    pub(super) fn generate() -> Result<Self, SecurityError> {
        Ok(Self { key: Signer::new(keys::generate()?), twin: TwinSigner(Arc::new(SigningKey::generate())) })
    }

    pub(super) fn identity(&self) -> &Identity {
        self.key.identity()
    }

    pub(super) fn public(&self) -> PublicTwins {
        PublicTwins { key: self.identity().peer(), twin: self.twin.0.verifying_key().clone() }
    }

    /// A secret that nobody else can have, for what only the holder itself checks later. It follows from the ML-DSA-65
    /// key, so that it is safe even from somebody who computes an Ed25519 secret from its public key.
    pub(super) fn own_secret(&self, context: &str) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(blake3::derive_key(context, self.twin.0.as_bytes()))
    }

    /// Reads a key file: both keys, each in PKCS#8 PEM form; refuses one that others than its owner may read.
    pub(super) fn load(path: &Path) -> Result<Self, SecurityError> {
        let text = keys::read_private(path, FILE_BYTES_MAX)?;
        let not_keys = || SecurityError::NotTwinKeys { path: path.to_owned() };
        let text = std::str::from_utf8(&text).map_err(|_| not_keys())?;
        let (first, second) = text.trim_end().split_once(END).ok_or_else(not_keys)?;
        let first = Zeroizing::new([first, END].concat());
        let key = keys::from_pem(&first).ok_or_else(not_keys)?;
        let twin = twin_from_pem(second.trim_start()).ok_or_else(not_keys)?;
        Ok(Self { key: Signer::new(key), twin: TwinSigner(Arc::new(twin)) })
    }

    /// Writes a new key file, readable by its owner alone; never replaces one.
    pub(super) fn create(&self, path: &Path) -> Result<(), SecurityError> {
        let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX));
        text.push_str(&keys::to_pem(self.identity()));
        twin_to_pem(&self.twin.0, &mut text);
        keys::create_private(path, text.as_bytes())
    }
}

/// An ML-DSA-65 key as rcgen and rustls want to use it.
#[derive(Clone, Debug)]
pub(super) struct TwinSigner(pub(super) Arc<SigningKey>);

impl rcgen::PublicKeyData for TwinSigner {
    fn der_bytes(&self) -> &[u8] {
        self.0.verifying_key().as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ML_DSA_65
    }
}

impl rcgen::SigningKey for TwinSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.0.sign(b"", message).expect("BUG: an empty context is short enough");
        Ok(signature.to_vec())
    }
}

impl rustls::sign::SigningKey for TwinSigner {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        offered.contains(&SignatureScheme::ML_DSA_65).then(|| Box::new(self.clone()) as Box<dyn rustls::sign::Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(twin_public_key_info(self.0.verifying_key()).into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        // TLS 1.3 names signatures by their scheme alone; this is from TLS 1.2, which has no name for it.
        SignatureAlgorithm::Unknown(0)
    }
}

impl rustls::sign::Signer for TwinSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let signature = self.0.sign(b"", message).expect("BUG: an empty context is short enough");
        Ok(signature.to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ML_DSA_65
    }
}

/// A public ML-DSA-65 key, for rcgen to certify.
pub(super) struct TwinPublicKey<'a>(pub(super) &'a VerifyingKey);

impl rcgen::PublicKeyData for TwinPublicKey<'_> {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ML_DSA_65
    }
}

/// The SubjectPublicKeyInfo of an ML-DSA-65 key (RFC 9881, section 4).
pub(super) fn twin_public_key_info(key: &VerifyingKey) -> Vec<u8> {
    [PUBLIC_KEY_PREFIX.as_slice(), key.as_bytes()].concat()
}

/// Of which algorithm the key in a SubjectPublicKeyInfo is, if of one of the two.
pub(super) fn algorithm_of(public_key_info: &[u8]) -> Option<Algorithm> {
    if public_key_info.starts_with(&PUBLIC_KEY_PREFIX) {
        return Some(Algorithm::MlDsa65);
    }
    public_key_info.starts_with(&keys::ED25519_PREFIX).then_some(Algorithm::Ed25519)
}

/// The ML-DSA-65 key in a SubjectPublicKeyInfo.
pub(super) fn twin_of(public_key_info: &[u8]) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(public_key_info.strip_prefix(&PUBLIC_KEY_PREFIX)?).ok()
}

/// PKCS#8 (RFC 5958, section 2) with the expanded key (RFC 9881, section 6) and the public one: pqcrypto computes neither
/// from a seed nor one from the other.
fn twin_to_pem(key: &SigningKey, text: &mut String) {
    let public = key.verifying_key().as_bytes().as_slice();
    let mut der = Zeroizing::new(Vec::with_capacity(PRIVATE_KEY_DER_BYTES));
    for part in [&PRIVATE_KEY_PREFIX, key.as_bytes(), &PRIVATE_KEY_MIDDLE, public] {
        der.extend_from_slice(part);
    }
    text.push_str(BEGIN);
    text.push('\n');
    // 48 bytes are 64 characters (RFC 7468, section 3).
    for line in der.chunks(48) {
        BASE64.encode_append(line, text);
        text.push('\n');
    }
    text.push_str(END);
    text.push('\n');
}

fn twin_from_pem(pem: &str) -> Option<SigningKey> {
    let body = pem.strip_prefix(BEGIN)?.strip_suffix(END)?;
    let mut digits = Zeroizing::new(Vec::with_capacity(body.len()));
    body.lines().for_each(|line| digits.extend_from_slice(line.as_bytes()));
    // Reserved at once: growing would leave copies.
    let mut der = Zeroizing::new(vec![0; BASE64.decode_len(digits.len()).ok()?]);
    let length = BASE64.decode_mut(&digits, &mut der).ok()?;
    der.truncate(length);
    let (secret, rest) = der.strip_prefix(&PRIVATE_KEY_PREFIX)?.split_at_checked(SIGNING_KEY_BYTES)?;
    SigningKey::from_bytes(secret, rest.strip_prefix(&PRIVATE_KEY_MIDDLE)?).ok()
}

const BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const END: &str = "-----END PRIVATE KEY-----";
/// Two keys have about 8,500 bytes.
const FILE_BYTES_MAX: usize = 10_000;
/// A sequence of 1970 bytes: the algorithm id-ml-dsa-65, and a bit string of 1953.
const PUBLIC_KEY_PREFIX: [u8; 22] = [
    0x30, 0x82, 0x07, 0xb2, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x12, 0x03, 0x82,
    0x07, 0xa1, 0x00,
];
/// A sequence of 6013 bytes: version 1, the algorithm, and within an octet string one of 4032 bytes.
const PRIVATE_KEY_PREFIX: [u8; 28] = [
    0x30, 0x82, 0x17, 0x7d, 0x02, 0x01, 0x01, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03,
    0x12, 0x04, 0x82, 0x0f, 0xc4, 0x04, 0x82, 0x0f, 0xc0,
];
/// A bit string of 1953 bytes, tagged as the public key.
const PRIVATE_KEY_MIDDLE: [u8; 5] = [0x81, 0x82, 0x07, 0xa1, 0x00];
const PRIVATE_KEY_DER_BYTES: usize =
    PRIVATE_KEY_PREFIX.len() + SIGNING_KEY_BYTES + PRIVATE_KEY_MIDDLE.len() + VERIFYING_KEY_BYTES;

const _: () = {
    assert!(PRIVATE_KEY_DER_BYTES == 4 + 6013);
    assert!(PUBLIC_KEY_PREFIX.len() + VERIFYING_KEY_BYTES == 4 + 1970);
    assert!(PRIVATE_KEY_DER_BYTES.div_ceil(48) * 65 + 500 < FILE_BYTES_MAX);
};

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use rcgen::PublicKeyData;

    use super::*;

    #[test]
    fn both_keys_survive_their_file_which_is_private_and_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("authority.key");
        let keys = Twins::generate().unwrap();
        keys.create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let again = Twins::load(&path).unwrap();
        assert_eq!(again.public(), keys.public());
        assert_eq!(*again.own_secret("x"), *keys.own_secret("x"));
        assert_ne!(*again.own_secret("x"), *keys.own_secret("y"));
        assert!(Twins::generate().unwrap().create(&path).is_err());
    }

    #[test]
    fn half_a_pair_or_a_damaged_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("authority.key");
        Twins::generate().unwrap().create(&path).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let second = good.find(END).unwrap() + END.len() + 1;
        for bad in [&good[..second], &good[second..], &good[..good.len() / 2], &good.replace("MI", "MA"), ""] {
            fs::write(&path, bad).unwrap();
            let error = Twins::load(&path).unwrap_err();
            assert!(matches!(error, SecurityError::NotTwinKeys { .. }), "{error}");
        }
    }

    #[test]
    fn public_keys_survive_their_text_and_a_part_of_it_is_none() {
        let public = Twins::generate().unwrap().public();
        let text = public.to_string();
        assert_eq!(format!(" {text}\n").parse(), Ok(public.clone()));
        assert!(text.starts_with(&public.key.to_string()) && !text.contains(char::is_whitespace));
        for bad in [&text[..text.len() - 1], &public.key.to_string(), &text[1..], "", &text.replace('.', "!")] {
            assert_eq!(bad.parse::<PublicTwins>(), Err(NotTwins), "{bad:.70}");
        }
    }

    #[test]
    fn what_rcgen_writes_of_a_key_is_what_is_looked_for() {
        let keys = Twins::generate().unwrap();
        let info = keys.twin.subject_public_key_info();
        assert_eq!(info, twin_public_key_info(&keys.public().twin));
        assert_eq!((algorithm_of(&info), twin_of(&info)), (Some(Algorithm::MlDsa65), Some(keys.public().twin)));
        let info = keys.key.subject_public_key_info();
        assert_eq!((algorithm_of(&info), twin_of(&info)), (Some(Algorithm::Ed25519), None));
        assert_eq!(algorithm_of(&[0x30; 60]), None);
    }

    #[test]
    fn no_secret_is_printed() {
        let keys = Twins::generate().unwrap();
        assert!(format!("{keys:?}").len() < 300, "{keys:?}");
    }
}
