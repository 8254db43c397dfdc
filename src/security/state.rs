//! The state directory: which files hold a node's membership, and how they come to be.
//!
//! A node is a member once `certificate.pem` is there: it is written last, and replaced in one step.
//!
//! | file | holds | on |
//! | --- | --- | --- |
//! | `identity.key` | the node's key | every node |
//! | `certificate.pem` | its certificate and its issuer's, of the mesh's algorithm | every node |
//! | `postquantum.key` | its hybrid keys; in a mesh of ML-DSA-65 the certificate is of one of them | every node |
//! | `authority.pem` | the authorities that it trusts, two certificates of each, the newest first | every node |
//! | `statements` | what they said: who was revoked | nodes that heard something |
//! | `issuing.key`, `issuing.pem` | both issuing keys and their appointment | issuers |
//! | `authority.key` | both keys of the newest authority | one node, or none: it may be kept offline |

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use prunella_core::identity::Identity;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::security::bundle::Bundle;
use crate::security::certificate::TrustedAuthority;
use crate::security::postquantum::{self, HybridKeys};
use crate::security::twin::Twins;
use crate::security::{
    Algorithm, Authority, Credentials, IssuingKey, NodeKey, PublicTwins, Said, SecurityError, Statement, TrustDomain,
    keys, pair_fingerprints,
};

/// Founds a mesh from this state directory at `now`, in seconds since the Unix epoch: makes its authority and its first
/// node, whose certificate lasts `validity`; certificates of nodes are of this algorithm. An identity that is there already is kept.
///
/// # Errors
/// [`SecurityError::AlreadyMember`] if the directory already belongs to a mesh; otherwise what could not be made.
pub fn found(
    dir: &Path,
    (trust_domain, certificates): (&str, Algorithm),
    validity: Duration,
    now: u64,
) -> Result<Credentials, SecurityError> {
    let trust_domain: TrustDomain = trust_domain.parse()?;
    for name in [CERTIFICATE, AUTHORITY_KEY, AUTHORITY, ISSUING_KEY] {
        let path = dir.join(name);
        if path.exists() {
            return Err(SecurityError::AlreadyMember { path });
        }
    }
    let identity = create_identity(dir)?;
    let authority = Authority::found(&trust_domain, now)?;
    let issuing = IssuingKey::appointed_by(&authority, now)?.certifying(certificates);
    let keys = NodeKeys::of(dir, identity, certificates)?;
    let chain = issuing.issue(keys.node_key(), now, validity)?;
    let credentials = keys.credentials(chain, &issuing.authority_ders())?;
    authority.keys().create(&dir.join(AUTHORITY_KEY))?;
    issuing.keys().create(&dir.join(ISSUING_KEY))?;
    write(&dir.join(ISSUING), pem(&issuing.certificate_ders()).as_bytes())?;
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

/// Stores what a join brought: the node's certificate and its issuer's, and the authorities, all DER. The state directory
/// must have an identity.
///
/// # Errors
/// [`SecurityError::OtherAuthority`] if none of the authorities has this fingerprint, [`SecurityError::AlreadyMember`] if the
/// directory belongs to a mesh with other authorities, [`SecurityError::OwnCertificate`] if the certificate is not this
/// node's; otherwise what could not be written.
pub fn accept_membership(
    dir: &Path,
    (authority_fingerprint, certificates): (&[u8; 32], Algorithm),
    chain: &[Vec<u8>],
    authorities: &[Vec<u8>],
) -> Result<Credentials, SecurityError> {
    if !pair_fingerprints(authorities).any(|fingerprint| fingerprint == *authority_fingerprint) {
        return Err(SecurityError::OtherAuthority);
    }
    let path = dir.join(AUTHORITY);
    if path.exists() && !load_certificates(&path)?.iter().any(|der| authorities.contains(der)) {
        return Err(SecurityError::AlreadyMember { path });
    }
    let identity = keys::load(&dir.join(IDENTITY))?;
    let credentials = NodeKeys::of(dir, identity, certificates)?.credentials(chain.to_vec(), authorities)?;
    write_membership(dir, &credentials)?;
    Ok(credentials)
}

/// What a node's certificate can be of: its identity, or its ML-DSA-65 key as well.
enum NodeKeys {
    Classical(Box<Identity>),
    Hybrid(Arc<HybridKeys>),
}

impl NodeKeys {
    /// The hybrid keys are made if the certificate is to be of one and there are none yet.
    fn of(dir: &Path, identity: Identity, certificates: Algorithm) -> Result<Self, SecurityError> {
        Ok(match certificates {
            Algorithm::Ed25519 => Self::Classical(Box::new(identity)),
            Algorithm::MlDsa65 => Self::Hybrid(Arc::new(postquantum::ensure(dir)?)),
        })
    }

    fn node_key(&self) -> NodeKey {
        match self {
            Self::Classical(identity) => identity.peer().into(),
            Self::Hybrid(keys) => NodeKey { peer: keys.identity().peer(), mldsa: Some(keys.verifying_key().clone()) },
        }
    }

    fn credentials(self, chain: Vec<Vec<u8>>, authorities: &[Vec<u8>]) -> Result<Credentials, SecurityError> {
        match self {
            Self::Classical(identity) => Credentials::new(*identity, chain, authorities),
            Self::Hybrid(keys) => Credentials::with_hybrid(keys, chain, authorities),
        }
    }
}

/// Of which algorithm this node's certificate is, and so all in its mesh.
fn algorithm(dir: &Path) -> Result<Algorithm, SecurityError> {
    let chain = load_certificates(&dir.join(CERTIFICATE))?;
    Algorithm::of(&chain[0]).map_err(SecurityError::OwnCertificate)
}

/// Stores what `credentials` hold beside the key: the certificate, the authorities, and what they said.
///
/// # Errors
/// What could not be written; what was there is as it was, or as it is to be.
pub fn store(dir: &Path, credentials: &Credentials) -> Result<(), SecurityError> {
    let said: Vec<Vec<u8>> = credentials.said().iter().map(Said::to_bytes).collect();
    if !said.is_empty() {
        let entry = |bytes: Vec<u8>| [(bytes.len() as u32).to_le_bytes().as_slice(), &bytes].concat();
        let bytes: Vec<u8> = said.into_iter().flat_map(entry).collect();
        // What could be read wrongly could forget a revocation.
        write(&dir.join(STATEMENTS), &[blake3::hash(&bytes).as_bytes().as_slice(), &bytes].concat())?;
    }
    write_membership(dir, credentials)
}

pub(super) fn load(dir: &Path) -> Result<Credentials, SecurityError> {
    for name in [IDENTITY, AUTHORITY, CERTIFICATE] {
        let path = dir.join(name);
        if !path.exists() {
            return Err(SecurityError::NotAMember { path });
        }
    }
    let identity = keys::load(&dir.join(IDENTITY))?;
    let (chain, authorities) = (load_certificates(&dir.join(CERTIFICATE))?, load_certificates(&dir.join(AUTHORITY))?);
    let keys = match Algorithm::of(&chain[0]).map_err(SecurityError::OwnCertificate)? {
        Algorithm::Ed25519 => NodeKeys::Classical(Box::new(identity)),
        // New ones would not be those of the certificate.
        Algorithm::MlDsa65 => NodeKeys::Hybrid(Arc::new(postquantum::load(dir)?)),
    };
    Ok(keys.credentials(chain, &authorities)?.with_kept(load_statements(&dir.join(STATEMENTS))?))
}

fn load_statements(path: &Path) -> Result<Vec<Said>, SecurityError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let damaged = || SecurityError::DamagedStatements { path: path.to_owned() };
    let content = fs::read(path).map_err(SecurityError::file("read", path))?;
    let (hash, bytes) = content.split_first_chunk::<32>().ok_or_else(damaged)?;
    if blake3::hash(bytes) != *hash {
        return Err(damaged());
    }
    let (mut said, mut rest) = (Vec::new(), bytes);
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let (entry, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(damaged)?;
        said.push(Said::reread(entry).map_err(|_| damaged())?);
        rest = after;
    }
    Ok(said)
}

/// The authority whose key is in this file, or else in the state directory.
///
/// # Errors
/// [`SecurityError::NoAuthorityKey`] if there is none; [`SecurityError::AuthorityMismatch`] if it is of none of the
/// authorities that this node trusts.
pub fn load_authority(dir: &Path, key: Option<&Path>) -> Result<Authority, SecurityError> {
    let path = key.map_or_else(|| dir.join(AUTHORITY_KEY), Path::to_path_buf);
    if !path.exists() {
        return Err(SecurityError::NoAuthorityKey { path });
    }
    let keys = Twins::load(&path)?;
    let authorities = load_certificates(&dir.join(AUTHORITY))?;
    let fits = |pair: &&[Vec<u8>]| TrustedAuthority::new(pair).is_ok_and(|trusted| trusted.has_keys(&keys.public()));
    let pair = authorities.chunks(2).find(fits).ok_or(SecurityError::AuthorityMismatch)?;
    Authority::from_parts(keys, pair)
}

pub(super) fn load_issuing_key(dir: &Path) -> Result<Option<IssuingKey>, SecurityError> {
    let (key, certificate) = (dir.join(ISSUING_KEY), dir.join(ISSUING));
    if !key.exists() || !certificate.exists() {
        return Ok(None);
    }
    let (keys, certificates) = (Twins::load(&key)?, load_certificates(&certificate)?);
    IssuingKey::from_parts(keys, certificates, load_bundle(dir)?).map(Some)
}

/// The authorities that the node trusts and the algorithm of its mesh, without what they said.
fn load_bundle(dir: &Path) -> Result<Bundle, SecurityError> {
    Bundle::new(&load_certificates(&dir.join(AUTHORITY))?, algorithm(dir)?)
}

/// The keys that an authority is to appoint: those in the state directory, or else new ones.
///
/// # Errors
/// Which file cannot be used, and why.
pub fn issuing_key(dir: &Path) -> Result<PublicTwins, SecurityError> {
    let path = dir.join(ISSUING_KEY);
    if !path.exists() {
        Twins::generate()?.create(&path)?;
    }
    Ok(Twins::load(&path)?.public())
}

/// Stores an appointment of this node's issuing key (PEM); returns the last second of it, since the Unix epoch.
///
/// # Errors
/// [`SecurityError::AuthorityMismatch`] if it is of another key, [`SecurityError::OwnCertificate`] if no authority that
/// this node trusts has made it; otherwise what could not be read or written.
pub fn accept_appointment(dir: &Path, appointment: &[u8], now: u64) -> Result<u64, SecurityError> {
    let keys = Twins::load(&dir.join(ISSUING_KEY))?;
    let authorities = load_bundle(dir)?;
    let ders: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(appointment).collect();
    let ders = ders.map_err(|_| SecurityError::NotAnAuthority)?.into_iter().map(|der| der.to_vec()).collect();
    let issuing = IssuingKey::from_parts(keys, ders, authorities.clone())?;
    // Whether both halves are good shows when something is issued and said with them.
    let me = NodeKeys::of(dir, keys::load(&dir.join(IDENTITY))?, algorithm(dir)?)?;
    let chain = issuing.issue(me.node_key(), now, Duration::from_secs(1))?;
    let said = issuing.say(Statement::Reinstated { peer: me.node_key().peer }, now)?;
    Said::open(&said.to_bytes(), &authorities, |_| false).map_err(SecurityError::OwnCertificate)?;
    me.credentials(chain, &issuing.authority_ders())?;
    write(&dir.join(ISSUING), appointment)?;
    Ok(issuing.ends_unix())
}

/// Has another authority take the place of the one whose key is in `key`, or in the state directory, at `now`: the new
/// key is written to `new_key`, or else beside the old one, which is renamed. Returns the statement that says so.
///
/// # Errors
/// As [`load_authority`], and what could not be written; then nothing has changed.
pub fn succeed(dir: &Path, key: Option<&Path>, new_key: Option<&Path>, now: u64) -> Result<Said, SecurityError> {
    let old = load_authority(dir, key)?;
    let new = Authority::found(old.trust_domain(), now)?;
    let said = old.say(Statement::Succeeded { authority: new.certificate_ders() }, now)?;
    let path = new_key.map_or_else(|| dir.join(AUTHORITY_KEY), Path::to_path_buf);
    if path.exists() {
        let name = format!(".until-{now}");
        let aside = with_suffix(&path, &name);
        fs::rename(&path, &aside).map_err(SecurityError::file("rename", &path))?;
    }
    new.keys().create(&path)?;
    if dir.join(ISSUING_KEY).exists() {
        let appointed = new.appoint(&issuing_key(dir)?, now)?;
        write(&dir.join(ISSUING), pem(&appointed).as_bytes())?;
    }
    Ok(said)
}

/// An appointment, both certificates, in the form in which it travels.
pub fn appointment_pem(ders: &[Vec<u8>]) -> String {
    pem(ders)
}

fn write_membership(dir: &Path, credentials: &Credentials) -> Result<(), SecurityError> {
    write(&dir.join(AUTHORITY), pem(&credentials.authority_ders()).as_bytes())?;
    write(&dir.join(CERTIFICATE), pem(&credentials.chain_ders()).as_bytes())
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

/// At least one.
fn load_certificates(path: &Path) -> Result<Vec<Vec<u8>>, SecurityError> {
    let text = fs::read(path).map_err(SecurityError::file("read", path))?;
    let ders: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let ders = ders.ok().filter(|ders| !ders.is_empty() && ders.len() <= CERTIFICATES_MAX);
    let ders = ders.ok_or_else(|| SecurityError::NotACertificate { path: path.to_owned() })?;
    Ok(ders.into_iter().map(|der| der.to_vec()).collect())
}

/// The PEM form of certificates (RFC 7468, section 5).
fn pem(ders: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for der in ders {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        // 48 bytes are 64 characters.
        for line in der.chunks(48) {
            text.push_str(&BASE64.encode(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

/// Certificates in one file.
const CERTIFICATES_MAX: usize = 8;
/// The node's key: written once, never changed.
const IDENTITY: &str = "identity.key";
/// The node's certificate and its issuer's: replaced at every renewal.
const CERTIFICATE: &str = "certificate.pem";
/// The authorities' certificates, two of each.
const AUTHORITY: &str = "authority.pem";
/// The newest authority's keys: where the mesh was founded, unless it is kept elsewhere.
const AUTHORITY_KEY: &str = "authority.key";
/// An issuer's keys.
const ISSUING_KEY: &str = "issuing.key";
/// An issuer's certificates.
const ISSUING: &str = "issuing.pem";
/// What the authorities said: a BLAKE3 hash, and what it is of: each statement after its length, 4 bytes, little-endian.
const STATEMENTS: &str = "statements";

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use prunella_core::PeerId;

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
        let founded = found(&dir, ("lab", Algorithm::Ed25519), CERTIFICATE_LIFE, NOW).unwrap();
        let loaded = Credentials::load(&dir).unwrap();
        assert_eq!(loaded.peer(), founded.peer());
        assert_eq!(loaded.trust_domain(), "lab");
        assert_eq!(loaded.chain_ders(), founded.chain_ders());
        assert_eq!(loaded.authority_fingerprint(), founded.authority_fingerprint());
        assert!(Issuer::load(&dir).unwrap().is_some());
        assert_eq!((mode(&dir), mode(&dir.join(IDENTITY)), mode(&dir.join(AUTHORITY_KEY))), (0o700, 0o600, 0o600));
    }

    #[test]
    fn a_mesh_is_not_founded_twice_in_one_place() {
        let state = tempfile::tempdir().unwrap();
        let founded = found(state.path(), ("lab", Algorithm::Ed25519), CERTIFICATE_LIFE, NOW).unwrap();
        let error = found(state.path(), ("other", Algorithm::Ed25519), CERTIFICATE_LIFE, NOW).unwrap_err();
        assert!(matches!(error, SecurityError::AlreadyMember { .. }), "{error}");
        assert_eq!(Credentials::load(state.path()).unwrap().chain_ders(), founded.chain_ders());
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
        let first = found(founder.path(), ("lab", Algorithm::Ed25519), CERTIFICATE_LIFE, NOW).unwrap();
        let issuer = Issuer::load(founder.path()).unwrap().unwrap();
        let token = issuer.invite(vec![], first.peer(), CERTIFICATE_LIFE, NOW).unwrap();
        let identity = create_identity(joiner.path()).unwrap();
        assert_eq!(create_identity(joiner.path()).unwrap().peer(), identity.peer());

        let chain = issuer.renew(identity.peer(), NOW).unwrap();
        let named = (&token.authority_fingerprint, token.certificates);
        let accepted = accept_membership(joiner.path(), named, &chain, &first.authority_ders()).unwrap();
        assert_eq!(Credentials::load(joiner.path()).unwrap().chain_ders(), chain);

        let renewed = issuer.renew(identity.peer(), NOW).unwrap();
        accepted.replace_certificate(renewed.clone()).unwrap();
        store(joiner.path(), &accepted).unwrap();
        assert_eq!(Credentials::load(joiner.path()).unwrap().chain_ders(), renewed);
        assert!(Issuer::load(joiner.path()).unwrap().is_none());
    }

    #[test]
    fn a_wrong_membership_leaves_the_right_one_untouched() {
        let (ours, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let me = found(ours.path(), ("lab", Algorithm::Ed25519), CERTIFICATE_LIFE, NOW).unwrap();
        let stranger = found(other.path(), ("lab", Algorithm::Ed25519), CERTIFICATE_LIFE, NOW).unwrap();
        let theirs = Issuer::load(other.path()).unwrap().unwrap();
        let token = theirs.invite(vec![], me.peer(), CERTIFICATE_LIFE, 0).unwrap();
        let chain = theirs.renew(me.peer(), NOW).unwrap();

        let error = accept_membership(
            ours.path(),
            (&token.authority_fingerprint, token.certificates),
            &chain,
            &stranger.authority_ders(),
        )
        .unwrap_err();
        assert!(matches!(error, SecurityError::AlreadyMember { .. }), "{error}");
        let error = me.replace_certificate(chain.clone()).unwrap_err();
        assert!(matches!(error, SecurityError::OwnCertificate(Refused::Stranger)), "{error}");
        let token = Issuer::load(ours.path()).unwrap().unwrap().invite(vec![], me.peer(), CERTIFICATE_LIFE, 0).unwrap();
        let error = accept_membership(
            ours.path(),
            (&token.authority_fingerprint, token.certificates),
            &chain,
            &stranger.authority_ders(),
        )
        .unwrap_err();
        assert!(matches!(error, SecurityError::OtherAuthority), "{error}");
        let of_another = stranger.chain_ders();
        let error = accept_membership(
            ours.path(),
            (&token.authority_fingerprint, token.certificates),
            &of_another,
            &me.authority_ders(),
        )
        .unwrap_err();
        assert!(matches!(error, SecurityError::OwnCertificate(Refused::Stranger)), "{error}");
        assert_eq!(Credentials::load(ours.path()).unwrap().chain_ders(), me.chain_ders());
    }

    #[test]
    fn what_an_authority_said_is_there_after_a_restart_and_damage_is_named() {
        let state = tempfile::tempdir().unwrap();
        let me = found(state.path(), ("lab", Algorithm::Ed25519), CERTIFICATE_LIFE, NOW).unwrap();
        let thief = PeerId::from_public_key([7; 32]);
        let issuer = Issuer::load(state.path()).unwrap().unwrap();
        let said = issuer.key().say(Statement::Revoked { peer: thief, reason: "stolen".to_owned() }, NOW).unwrap();
        me.hear(&said.to_bytes(), NOW).unwrap();
        store(state.path(), &me).unwrap();
        let again = Credentials::load(state.path()).unwrap();
        assert!(again.is_revoked(&thief) && again.said() == [said]);

        let path = state.path().join(STATEMENTS);
        let mut content = fs::read(&path).unwrap();
        for at in (0..40).chain((40..content.len()).step_by(97)) {
            content[at] ^= 4;
            fs::write(&path, &content).unwrap();
            let error = Credentials::load(state.path()).unwrap_err();
            assert!(matches!(error, SecurityError::DamagedStatements { .. }), "byte {at}: {error}");
            content[at] ^= 4;
        }
    }

    #[test]
    fn a_mesh_of_ml_dsa_is_one_after_a_restart_and_for_whoever_joins_it() {
        let (founder, joiner) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let first = found(founder.path(), ("lab", Algorithm::MlDsa65), CERTIFICATE_LIFE, NOW).unwrap();
        assert!(first.chain_ders().iter().all(|der| Algorithm::of(der) == Ok(Algorithm::MlDsa65)));
        let loaded = Credentials::load(founder.path()).unwrap();
        assert_eq!((loaded.node_key(), loaded.algorithm()), (first.node_key(), Algorithm::MlDsa65));
        let issuer = Issuer::load(founder.path()).unwrap().unwrap();
        let token = issuer.invite(vec![], first.peer(), CERTIFICATE_LIFE, NOW).unwrap();
        let identity = create_identity(joiner.path()).unwrap();
        let keys = postquantum::ensure(joiner.path()).unwrap();
        let node = NodeKey { peer: identity.peer(), mldsa: Some(keys.verifying_key().clone()) };
        let chain = issuer.renew(node.clone(), NOW).unwrap();
        let accepted = accept_membership(
            joiner.path(),
            (&token.authority_fingerprint, token.certificates),
            &chain,
            &first.authority_ders(),
        )
        .unwrap();
        assert_eq!((accepted.node_key(), accepted.algorithm()), (node, Algorithm::MlDsa65));
        // A node of it takes no certificate of its other key, whoever has signed it.
        let authority = load_authority(founder.path(), None).unwrap();
        let classical = IssuingKey::appointed_by(&authority, NOW).unwrap();
        let chain = classical.issue(identity.peer(), NOW, CERTIFICATE_LIFE).unwrap();
        let refused = accepted.replace_certificate(chain).unwrap_err();
        assert!(matches!(refused, SecurityError::OwnCertificate(Refused::WrongAlgorithm)), "{refused}");
        // Without the key of its certificate it does not start, and makes no other one.
        fs::remove_file(joiner.path().join("postquantum.key")).unwrap();
        let error = Credentials::load(joiner.path()).unwrap_err();
        assert!(error.to_string().contains("postquantum.key") && !joiner.path().join("postquantum.key").exists());
        // The second issuer of such a mesh issues the same.
        let keys = issuing_key(founder.path()).unwrap();
        let appointment = appointment_pem(&authority.appoint(&keys, NOW).unwrap());
        accept_appointment(founder.path(), appointment.as_bytes(), NOW).unwrap();
        assert_eq!(Issuer::load(founder.path()).unwrap().unwrap().key().algorithm(), Algorithm::MlDsa65);
    }

    #[test]
    fn a_damaged_certificate_file_is_named() {
        let state = tempfile::tempdir().unwrap();
        found(state.path(), ("lab", Algorithm::Ed25519), CERTIFICATE_LIFE, NOW).unwrap();
        fs::write(state.path().join(CERTIFICATE), "garbage").unwrap();
        let error = Credentials::load(state.path()).unwrap_err();
        assert!(error.to_string().contains("certificate.pem does not hold a certificate"), "{error}");
    }
}
