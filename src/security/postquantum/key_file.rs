//! The file that holds a node's hybrid keys, `postquantum.key` beside its identity.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64;
use prunella_core::identity::Identity;
use zeroize::Zeroizing;

use super::hybrid::{HybridError, HybridKeys, HybridPublicKey, PUBLIC_KEY_BYTES};
use super::{
    DECAPSULATION_KEY_BYTES, DecapsulationKey, SIGNING_KEY_BYTES, SigningKey, VERIFYING_KEY_BYTES, X25519_BYTES,
    X25519Secret,
};
use crate::security::keys;

/// The hybrid keys of the node in `dir`, made now if it has none. The node must have its identity.
///
/// # Errors
/// Which file cannot be used, and why.
pub fn ensure(dir: &Path) -> Result<HybridKeys, HybridError> {
    let path = dir.join(FILE_NAME);
    let identity = keys::load(&dir.join(IDENTITY))?;
    if path.exists() {
        return read(&path, identity);
    }
    let keys = HybridKeys::generate(identity)?;
    keys::create_private(&path, written(&keys).as_bytes())?;
    Ok(keys)
}

/// The hybrid keys of the node in `dir`.
///
/// # Errors
/// [`HybridError::Missing`] if it has none, otherwise which file cannot be used, and why.
pub fn load(dir: &Path) -> Result<HybridKeys, HybridError> {
    let path = dir.join(FILE_NAME);
    if !path.exists() {
        return Err(HybridError::Missing { path });
    }
    read(&path, keys::load(&dir.join(IDENTITY))?)
}

fn read(path: &Path, identity: Identity) -> Result<HybridKeys, HybridError> {
    let text = keys::read_private(path, FILE_BYTES_MAX)?;
    let not_a_key_file = || HybridError::NotAKeyFile { path: path.to_owned() };
    let content = content(&text).ok_or_else(not_a_key_file)?;
    let (x25519, rest) = content.split_first_chunk::<X25519_BYTES>().ok_or_else(not_a_key_file)?;
    let (mlkem, rest) = rest.split_at(DECAPSULATION_KEY_BYTES);
    let (mldsa, public) = rest.split_at(SIGNING_KEY_BYTES);
    let public = HybridPublicKey::from_bytes(public).map_err(|_| not_a_key_file())?;
    let peer = public.peer();
    if peer != identity.peer() {
        return Err(HybridError::OtherIdentity { path: path.to_owned(), peer });
    }
    let verifying_key = &public.as_bytes()[VERIFYING_KEY_AT..VERIFYING_KEY_AT + VERIFYING_KEY_BYTES];
    let mldsa = SigningKey::from_bytes(mldsa, verifying_key).map_err(|_| not_a_key_file())?;
    let mlkem = DecapsulationKey::from_bytes(mlkem).map_err(|_| not_a_key_file())?;
    HybridKeys::assemble(identity, X25519Secret::from_bytes(x25519), mlkem, mldsa, public).ok_or_else(not_a_key_file)
}

/// The bytes between the lines of dashes, without the version before them. Decoded into memory that is wiped.
fn content(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(text).ok()?;
    let body = text.trim_end().strip_prefix(BEGIN)?.strip_suffix(END)?;
    let mut digits = Zeroizing::new(Vec::with_capacity(body.len()));
    body.lines().for_each(|line| digits.extend_from_slice(line.as_bytes()));
    // Reserved at once: growing would leave copies.
    let mut bytes = Zeroizing::new(vec![0; BASE64.decode_len(digits.len()).ok()?]);
    let length = BASE64.decode_mut(&digits, &mut bytes).ok()?;
    bytes.truncate(length);
    if bytes.len() != CONTENT_BYTES + CHECKSUM_BYTES || bytes[0] != VERSION {
        return None;
    }
    // Some parts of a private key can be anything: without this, a disk's error there would show only in what is lost.
    let (content, checksum) = bytes.split_at(CONTENT_BYTES);
    if digest(&SHA256, content).as_ref() != checksum {
        return None;
    }
    let mut keys = Zeroizing::new(Vec::with_capacity(CONTENT_BYTES));
    keys.extend_from_slice(&content[1..]);
    Some(keys)
}

fn written(keys: &HybridKeys) -> Zeroizing<String> {
    let mut content = Zeroizing::new(Vec::with_capacity(CONTENT_BYTES + CHECKSUM_BYTES));
    content.push(VERSION);
    content.extend_from_slice(keys.x25519.as_bytes());
    content.extend_from_slice(keys.mlkem.as_bytes());
    content.extend_from_slice(keys.mldsa.as_bytes());
    content.extend_from_slice(keys.public_key().as_bytes());
    let checksum = digest(&SHA256, &content);
    content.extend_from_slice(checksum.as_ref());
    let mut text = Zeroizing::new(String::with_capacity(FILE_BYTES_MAX));
    text.push_str(BEGIN);
    // 48 bytes are 64 characters (RFC 7468, section 3).
    for line in content.chunks(48) {
        BASE64.encode_append(line, &mut text);
        text.push('\n');
    }
    text.push_str(END);
    text.push('\n');
    text
}

/// How the file is called.
const FILE_NAME: &str = "postquantum.key";
/// The node's key, beside it.
const IDENTITY: &str = "identity.key";
const BEGIN: &str = "-----BEGIN PRUNELLA HYBRID KEY-----\n";
const END: &str = "-----END PRUNELLA HYBRID KEY-----";
/// What the content begins with.
const VERSION: u8 = 1;
/// The version and the keys.
const CONTENT_BYTES: usize = 1 + X25519_BYTES + DECAPSULATION_KEY_BYTES + SIGNING_KEY_BYTES + PUBLIC_KEY_BYTES;
/// SHA-256 of the content, behind it.
const CHECKSUM_BYTES: usize = 32;
/// Where the ML-DSA-65 key stands in a public key.
const VERIFYING_KEY_AT: usize = 32 + X25519_BYTES + super::ENCAPSULATION_KEY_BYTES;
/// More than the file has: four characters for three bytes, a line break for 48, and the lines of dashes.
const FILE_BYTES_MAX: usize = 20_000;

const _: () =
    assert!((CONTENT_BYTES + CHECKSUM_BYTES).div_ceil(48) * 65 + BEGIN.len() + END.len() + 1 < FILE_BYTES_MAX);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::security::{SecurityError, create_identity};

    /// A directory with an identity.
    fn node() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        create_identity(dir.path()).unwrap();
        dir
    }

    #[test]
    fn keys_are_made_once_survive_their_file_and_the_file_is_private() {
        let dir = node();
        let made = ensure(dir.path()).unwrap();
        let path = dir.path().join(FILE_NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        for again in [ensure(dir.path()).unwrap(), load(dir.path()).unwrap()] {
            assert_eq!(again.public_key(), made.public_key());
            assert_eq!(again.mlkem.as_bytes(), made.mlkem.as_bytes());
            assert_eq!(again.x25519.as_bytes(), made.x25519.as_bytes());
            let signature = again.sign(b"", b"said").unwrap();
            assert!(made.public_key().verify(b"", b"said", &signature).is_ok());
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(load(dir.path()), Err(HybridError::File(SecurityError::Exposed { .. }))));
    }

    #[test]
    fn keys_that_are_missing_are_named_with_the_remedy() {
        let dir = node();
        let error = load(dir.path()).unwrap_err().to_string();
        assert!(error.contains("postquantum.key") && error.contains("prunella init"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was made beside the identity");
        fs::remove_file(dir.path().join(IDENTITY)).unwrap();
        assert!(ensure(dir.path()).is_err() && !dir.path().join(IDENTITY).exists(), "nor is an identity made");
    }

    #[test]
    fn keys_of_another_identity_are_refused() {
        let (one, other) = (node(), node());
        let (mine, _) = (ensure(one.path()).unwrap(), ensure(other.path()).unwrap());
        fs::copy(one.path().join(FILE_NAME), other.path().join(FILE_NAME)).unwrap();
        let refused = load(other.path()).unwrap_err();
        let peer = mine.public_key().peer();
        assert!(matches!(refused, HybridError::OtherIdentity { peer: whose, .. } if whose == peer), "{refused}");
    }

    #[test]
    fn no_changed_character_of_the_file_goes_unnoticed() {
        let dir = node();
        ensure(dir.path()).unwrap();
        let path = dir.path().join(FILE_NAME);
        let good = fs::read(&path).unwrap();
        for at in (0..good.len() - 1).step_by(487) {
            let mut bent = good.clone();
            bent[at] = if bent[at] == b'A' { b'B' } else { b'A' };
            fs::write(&path, &bent).unwrap();
            let refused = load(dir.path());
            assert!(matches!(refused, Err(HybridError::NotAKeyFile { .. })), "{at}: {refused:?}");
        }
        fs::write(&path, &good[..good.len() / 2]).unwrap();
        assert!(matches!(load(dir.path()), Err(HybridError::NotAKeyFile { .. })));
    }
}
