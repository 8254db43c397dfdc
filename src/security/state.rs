//! The state directory: which files hold a node's membership, and how they come to be.
//!
//! A node is a member once `certificate.pem` is there: it is written last, and replaced in one step.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::BASE64;
use prunella_core::identity::Identity;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::security::{Authority, Credentials, SecurityError, Token, TrustDomain, fingerprint, keys};

/// Founds a mesh from this state directory at `now`, in seconds since the Unix epoch: makes its authority and its first
/// node, whose certificate lasts `validity`. An identity that is there already is kept.
///
/// # Errors
/// [`SecurityError::AlreadyMember`] if the directory already belongs to a mesh; otherwise what could not be made.
pub fn found(dir: &Path, trust_domain: &str, validity: Duration, now: u64) -> Result<Credentials, SecurityError> {
    let trust_domain: TrustDomain = trust_domain.parse()?;
    for name in [CERTIFICATE, AUTHORITY_KEY, AUTHORITY] {
        let path = dir.join(name);
        if path.exists() {
            return Err(SecurityError::AlreadyMember { path });
        }
    }
    let identity = create_identity(dir)?;
    let authority = Authority::found(&trust_domain, now)?;
    let certificate = authority.issue(&identity.peer(), now, validity)?;
    let credentials = Credentials::new(identity, certificate, authority.certificate_der().to_vec())?;
    keys::create(&dir.join(AUTHORITY_KEY), authority.key())?;
    write_membership(dir, &credentials)?;
    Ok(credentials)
}

/// This node's key: the one in the state directory, or else a new one. The directory is made if it is missing.
///
/// # Errors
/// Which file cannot be used, and why.
pub fn create_identity(dir: &Path) -> Result<Identity, SecurityError> {
    let path = dir.join(IDENTITY);
    if path.exists() {
        return keys::load(&path);
    }
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(SecurityError::file("create", dir))?;
    let identity = keys::generate()?;
    keys::create(&path, &identity)?;
    Ok(identity)
}

/// Stores what a join or a renewal brought, both in DER form. The state directory must have an identity.
///
/// # Errors
/// [`SecurityError::AlreadyMember`] if the directory belongs to a mesh with another authority;
/// [`SecurityError::OwnCertificate`] if the certificate is not this node's; otherwise what could not be written.
pub fn store_membership(
    dir: &Path,
    certificate_der: &[u8],
    authority_der: &[u8],
) -> Result<Credentials, SecurityError> {
    let identity = keys::load(&dir.join(IDENTITY))?;
    let credentials = Credentials::new(identity, certificate_der.to_vec(), authority_der.to_vec())?;
    let path = dir.join(AUTHORITY);
    if path.exists() && load_certificate(&path)? != authority_der {
        return Err(SecurityError::AlreadyMember { path });
    }
    write_membership(dir, &credentials)?;
    Ok(credentials)
}

/// As [`store_membership`], for a join: the authority must be the one that the token names.
///
/// # Errors
/// [`SecurityError::OtherAuthority`] if it is not; otherwise as [`store_membership`].
pub fn accept_membership(
    dir: &Path,
    token: &Token,
    certificate_der: &[u8],
    authority_der: &[u8],
) -> Result<Credentials, SecurityError> {
    if fingerprint(authority_der) != token.authority_fingerprint {
        return Err(SecurityError::OtherAuthority);
    }
    store_membership(dir, certificate_der, authority_der)
}

pub(super) fn load(dir: &Path) -> Result<Credentials, SecurityError> {
    for name in [IDENTITY, AUTHORITY, CERTIFICATE] {
        let path = dir.join(name);
        if !path.exists() {
            return Err(SecurityError::NotAMember { path });
        }
    }
    let identity = keys::load(&dir.join(IDENTITY))?;
    Credentials::new(identity, load_certificate(&dir.join(CERTIFICATE))?, load_certificate(&dir.join(AUTHORITY))?)
}

pub(super) fn load_authority(dir: &Path) -> Result<Option<Authority>, SecurityError> {
    let path = dir.join(AUTHORITY_KEY);
    if !path.exists() {
        return Ok(None);
    }
    Authority::from_parts(keys::load(&path)?, &load_certificate(&dir.join(AUTHORITY))?).map(Some)
}

fn write_membership(dir: &Path, credentials: &Credentials) -> Result<(), SecurityError> {
    write(&dir.join(AUTHORITY), pem(credentials.authority_der()).as_bytes())?;
    write(&dir.join(CERTIFICATE), pem(&credentials.certificate_der()).as_bytes())
}

/// Replaces a file in one step: after a crash there is the old content or the new, never a part of it.
fn write(path: &Path, content: &[u8]) -> Result<(), SecurityError> {
    let new = with_suffix(path, ".new");
    let write = || -> io::Result<()> {
        // 0644: certificates are public.
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o644).open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(SecurityError::file("write", path))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn load_certificate(path: &Path) -> Result<Vec<u8>, SecurityError> {
    let pem = fs::read(path).map_err(SecurityError::file("read", path))?;
    let der = CertificateDer::from_pem_slice(&pem);
    der.map(|der| der.to_vec()).map_err(|_| SecurityError::NotACertificate { path: path.to_owned() })
}

/// The PEM form of a certificate (RFC 7468, section 5).
fn pem(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    // 48 bytes are 64 characters.
    for line in der.chunks(48) {
        text.push_str(&BASE64.encode(line));
        text.push('\n');
    }
    text.push_str("-----END CERTIFICATE-----\n");
    text
}

/// The node's key: written once, never changed.
const IDENTITY: &str = "identity.key";
/// The node's certificate: replaced at every renewal.
const CERTIFICATE: &str = "certificate.pem";
/// The authority's certificate.
const AUTHORITY: &str = "authority.pem";
/// The authority's key: only on nodes that issue.
const AUTHORITY_KEY: &str = "authority.key";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::security::{CERTIFICATE_LIFE, Issuer, Refused};

    const NOW: u64 = 1_800_000_000;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_founded_mesh_is_loaded_again_by_its_first_node() {
        let state = tempfile::tempdir().unwrap();
        let dir = state.path().join("node");
        let founded = found(&dir, "lab", CERTIFICATE_LIFE, NOW).unwrap();
        let loaded = Credentials::load(&dir).unwrap();
        assert_eq!(loaded.peer(), founded.peer());
        assert_eq!(loaded.trust_domain(), "lab");
        assert_eq!(loaded.certificate_der(), founded.certificate_der());
        assert_eq!(loaded.authority_fingerprint(), founded.authority_fingerprint());
        assert!(Issuer::load(&dir).unwrap().is_some());
        assert_eq!((mode(&dir), mode(&dir.join(IDENTITY)), mode(&dir.join(AUTHORITY_KEY))), (0o700, 0o600, 0o600));
    }

    #[test]
    fn a_mesh_is_not_founded_twice_in_one_place() {
        let state = tempfile::tempdir().unwrap();
        let founded = found(state.path(), "lab", CERTIFICATE_LIFE, NOW).unwrap();
        let error = found(state.path(), "other", CERTIFICATE_LIFE, NOW).unwrap_err();
        assert!(matches!(error, SecurityError::AlreadyMember { .. }), "{error}");
        assert_eq!(Credentials::load(state.path()).unwrap().certificate_der(), founded.certificate_der());
    }

    #[test]
    fn a_directory_without_membership_says_what_to_do() {
        let state = tempfile::tempdir().unwrap();
        let error = Credentials::load(state.path()).unwrap_err();
        assert!(matches!(error, SecurityError::NotAMember { .. }));
        let text = error.to_string();
        assert!(text.contains("prunella init") && text.contains("identity.key") && !text.contains('\n'), "{text}");
        assert!(Issuer::load(state.path()).unwrap().is_none());
    }

    #[test]
    fn a_join_and_a_renewal_are_stored() {
        let (founder, joiner) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = found(founder.path(), "lab", CERTIFICATE_LIFE, NOW).unwrap();
        let issuer = Issuer::load(founder.path()).unwrap().unwrap();
        let token = issuer.invite(vec![], first.peer(), CERTIFICATE_LIFE, NOW).unwrap();
        let identity = create_identity(joiner.path()).unwrap();
        assert_eq!(create_identity(joiner.path()).unwrap().peer(), identity.peer());

        let certificate = issuer.renew(&identity.peer(), NOW).unwrap();
        accept_membership(joiner.path(), &token, &certificate, issuer.authority_der()).unwrap();
        assert_eq!(Credentials::load(joiner.path()).unwrap().certificate_der(), certificate);

        let renewed = issuer.renew(&identity.peer(), NOW).unwrap();
        store_membership(joiner.path(), &renewed, issuer.authority_der()).unwrap();
        assert_eq!(Credentials::load(joiner.path()).unwrap().certificate_der(), renewed);
        assert!(Issuer::load(joiner.path()).unwrap().is_none());
    }

    #[test]
    fn a_wrong_membership_leaves_the_right_one_untouched() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let me = found(ours.path(), "lab", CERTIFICATE_LIFE, NOW).unwrap();
        let stranger = found(other.path(), "lab", CERTIFICATE_LIFE, NOW).unwrap();
        let issuer = Issuer::load(other.path()).unwrap().unwrap();
        let certificate = issuer.renew(&me.peer(), NOW).unwrap();

        let error = store_membership(ours.path(), &certificate, issuer.authority_der()).unwrap_err();
        assert!(matches!(error, SecurityError::AlreadyMember { .. }), "{error}");
        let error = store_membership(ours.path(), &stranger.certificate_der(), stranger.authority_der()).unwrap_err();
        assert!(matches!(error, SecurityError::OwnCertificate(Refused::KeyMismatch)), "{error}");
        let token = Issuer::load(ours.path()).unwrap().unwrap().invite(vec![], me.peer(), CERTIFICATE_LIFE, 0).unwrap();
        let error = accept_membership(ours.path(), &token, &certificate, issuer.authority_der()).unwrap_err();
        assert!(matches!(error, SecurityError::OtherAuthority), "{error}");
        assert_eq!(Credentials::load(ours.path()).unwrap().certificate_der(), me.certificate_der());
    }

    #[test]
    fn a_damaged_certificate_file_is_named() {
        let state = tempfile::tempdir().unwrap();
        found(state.path(), "lab", CERTIFICATE_LIFE, NOW).unwrap();
        fs::write(state.path().join(CERTIFICATE), "garbage").unwrap();
        let error = Credentials::load(state.path()).unwrap_err();
        assert!(error.to_string().contains("certificate.pem does not hold a certificate"), "{error}");
    }
}
