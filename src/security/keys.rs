//! Key files, and a key's use for certificates and TLS without copying its secret.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use prunella_core::PeerId;
use prunella_core::identity::Identity;
use rustls::pki_types::SubjectPublicKeyInfoDer;
use rustls::{SignatureAlgorithm, SignatureScheme};
use zeroize::Zeroizing;

use crate::security::SecurityError;

/// A new key from the operating system's randomness.
pub(super) fn generate() -> Result<Identity, SecurityError> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut())?;
    Ok(Identity::from_secret(&secret))
}

/// Reads a key file (PKCS#8, PEM); refuses one that others than its owner may read.
pub(super) fn load(path: &Path) -> Result<Identity, SecurityError> {
    let pem = read_private(path, KEY_FILE_BYTES_MAX)?;
    let not_a_key = || SecurityError::NotAKey { path: path.to_owned() };
    let pem = std::str::from_utf8(&pem).map_err(|_| not_a_key())?;
    from_pem(pem).ok_or_else(not_a_key)
}

/// The key in this text (PKCS#8, PEM).
pub(super) fn from_pem(pem: &str) -> Option<Identity> {
    let key = SigningKey::from_pkcs8_pem(pem).ok()?;
    Some(Identity::from_secret(&Zeroizing::new(key.to_bytes())))
}

/// The key as text (PKCS#8, PEM).
pub(super) fn to_pem(key: &Identity) -> Zeroizing<String> {
    key.signing_key().to_pkcs8_pem(LineEnding::LF).expect("BUG: an Ed25519 key has a PKCS#8 form")
}

/// Writes a new key file, readable by its owner alone; never replaces one.
pub(super) fn create(path: &Path, key: &Identity) -> Result<(), SecurityError> {
    create_private(path, to_pem(key).as_bytes())
}

/// Reads at most `bytes_max` of a file that holds a secret; refuses one that others than its owner may read.
pub(super) fn read_private(path: &Path, bytes_max: usize) -> Result<Zeroizing<Vec<u8>>, SecurityError> {
    let file = File::open(path).map_err(SecurityError::file("open", path))?;
    // Asked of the open file, not of the path, which could be exchanged in between.
    let mode = file.metadata().map_err(SecurityError::file("read", path))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(SecurityError::Exposed { path: path.to_owned() });
    }
    read_secret(file, bytes_max).map_err(SecurityError::file("read", path))
}

/// Writes a new file that holds a secret, readable by its owner alone; never replaces one.
pub(super) fn create_private(path: &Path, content: &[u8]) -> Result<(), SecurityError> {
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o600).open(path).map_err(SecurityError::file("create", path))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        // Half a key is worse than none: the next attempt would refuse to replace it. That this fails too is told by
        // that attempt.
        let _ = std::fs::remove_file(path);
    }
    written.map_err(SecurityError::file("write", path))
}

/// The SubjectPublicKeyInfo of a node's key (RFC 8410, section 4).
pub(super) fn subject_public_key_info(peer: &PeerId) -> Vec<u8> {
    [ED25519_PREFIX.as_slice(), peer.as_bytes()].concat()
}

/// The public key of a node, for rcgen to certify.
pub(super) struct PublicKey(pub(super) PeerId);

impl rcgen::PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

/// A key as rcgen and rustls want to use it.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    key: Identity,
    public_key: [u8; 32],
}

impl Signer {
    pub(super) fn new(key: Identity) -> Self {
        let public_key = key.peer().to_bytes();
        Self { key, public_key }
    }

    pub(super) fn identity(&self) -> &Identity {
        &self.key
    }
}

impl rcgen::PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        &self.public_key
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ED25519
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        Ok(self.key.sign(message).to_vec())
    }
}

impl rustls::sign::SigningKey for Signer {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as Box<dyn rustls::sign::Signer>)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(subject_public_key_info(&self.key.peer()).into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl rustls::sign::Signer for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        Ok(self.key.sign(message).to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Reads a short file into memory that is wiped afterwards. The room is reserved at once: growing would leave copies.
fn read_secret(file: File, bytes_max: usize) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut secret = Zeroizing::new(vec![0; bytes_max]);
    let mut filled = 0;
    let mut file = file.take(bytes_max as u64);
    loop {
        match file.read(&mut secret[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    secret.truncate(filled);
    Ok(secret)
}

/// What stands before an Ed25519 key in its SubjectPublicKeyInfo.
pub(super) const ED25519_PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// A key file has about 200 bytes.
const KEY_FILE_BYTES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_key_survives_its_file_and_the_file_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        let key = generate().unwrap();
        create(&path, &key).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(load(&path).unwrap().signing_key().to_bytes(), key.signing_key().to_bytes());
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        create(&path, &generate().unwrap()).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = load(&path).unwrap_err();
            assert!(matches!(error, SecurityError::Exposed { .. }), "{mode:o}: {error}");
            let text = error.to_string();
            assert!(text.ends_with(&format!("chmod 600 {}", path.display())) && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn a_key_file_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        let first = generate().unwrap();
        create(&path, &first).unwrap();
        assert!(create(&path, &generate().unwrap()).is_err());
        assert_eq!(load(&path).unwrap().peer(), first.peer());
    }

    #[test]
    fn garbage_is_not_a_key() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity.key");
        for garbage in [b"".as_slice(), b"\xff\xfe", b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
        {
            fs::write(&path, garbage).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(load(&path), Err(SecurityError::NotAKey { .. })));
        }
    }

    #[test]
    fn the_secret_is_not_printed() {
        let signer = Signer::new(Identity::from_secret(&[0xab; 32]));
        let text = format!("{signer:?}").to_lowercase();
        assert!(!text.contains("171, 171") && !text.contains("abab"), "{text}");
    }
}
