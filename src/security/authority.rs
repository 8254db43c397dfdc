//! The authority of a mesh: the key from which all trust in it comes.
//!
//! It appoints issuers, which certify nodes, and is needed for nothing else: so its key can be kept offline.

use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::limits::CLOCK_SKEW_MAX;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::{CertificateDer, UnixTime};
use time::OffsetDateTime;

use crate::security::certificate::{TrustedAuthority, validity};
use crate::security::keys::PublicKey;
use crate::security::statement::{Said, Statement};
use crate::security::twin::{TwinPublicKey, Twins};
use crate::security::{PublicTwins, SecurityError, TrustDomain};

/// How long a node's certificate lasts unless the configuration says otherwise.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long an authority's certificate lasts.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How long an issuer is appointed for, unless its authority ends earlier.
pub const APPOINTMENT_LIFE: Duration = Duration::from_secs(2 * 365 * 24 * 3600);

/// A self-signed authority (SPIFFE X.509-SVID, section 3) with two keys, Ed25519 and ML-DSA-65, and a certificate of each.
/// Issuers that it appoints certify nodes and cannot appoint others.
#[derive(Debug)]
pub struct Authority {
    keys: Twins,
    trusted: TrustedAuthority,
    ends: UnixTime,
}

impl Authority {
    /// Founds an authority for `trust_domain` at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no key can be drawn.
    pub fn found(trust_domain: &TrustDomain, now: u64) -> Result<Self, SecurityError> {
        let keys = Twins::generate()?;
        let mut params = authority_params();
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(trust_domain.uri())?)];
        params.not_before = moment(now.saturating_sub(CLOCK_SKEW_MAX.as_secs()));
        params.not_after = moment(now.saturating_add(AUTHORITY_LIFE.as_secs()));
        let mut of_twin = params.clone();
        (params.serial_number, of_twin.serial_number) = (Some(serial()?), Some(serial()?));
        let pair = [params.self_signed(&keys.key)?, of_twin.self_signed(&keys.twin)?];
        Self::from_parts(keys, &pair.map(|certificate| certificate.der().to_vec()))
    }

    /// The authority that has these keys and these certificates, DER.
    ///
    /// # Errors
    /// [`SecurityError::NotAnAuthority`] if the certificates are not the pair of one, [`SecurityError::AuthorityMismatch`]
    /// if they are of other keys.
    pub(super) fn from_parts(keys: Twins, pair: &[Vec<u8>]) -> Result<Self, SecurityError> {
        let trusted = TrustedAuthority::new(pair)?;
        if !trusted.has_keys(&keys.public()) {
            return Err(SecurityError::AuthorityMismatch);
        }
        let ends = last_second(trusted.pair())?;
        Ok(Self { keys, trusted, ends })
    }

    /// Appoints whoever holds these keys as an issuer at `now` (seconds since the Unix epoch), for [`APPOINTMENT_LIFE`] or
    /// as long as the authority lasts; returns the issuer's certificates, DER: Ed25519, then ML-DSA-65.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no serial number can be drawn.
    pub fn appoint(&self, issuer: &PublicTwins, now: u64) -> Result<Vec<Vec<u8>>, SecurityError> {
        let mut params = issuer_params(&issuer.key);
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(self.trust_domain().uri())?)];
        params.use_authority_key_identifier_extension = true;
        let until = now.saturating_add(APPOINTMENT_LIFE.as_secs()).min(self.ends.as_secs());
        let (time, by) = ((now.saturating_sub(CLOCK_SKEW_MAX.as_secs()), until), authority_params());
        let certificate = sign((&by, &self.keys.key), params.clone(), &PublicKey(issuer.key), time)?;
        let of_twin = sign((&by, &self.keys.twin), params, &TwinPublicKey(&issuer.twin), time)?;
        Ok(vec![certificate, of_twin])
    }

    /// Says something to the whole mesh at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no serial number can be drawn.
    pub fn say(&self, statement: Statement, now: u64) -> Result<Said, SecurityError> {
        Said::sign(statement, now, self.trust_domain(), (&authority_params(), &self.keys), &[])
    }

    /// The name of the mesh.
    pub fn trust_domain(&self) -> &TrustDomain {
        self.trusted.trust_domain()
    }

    /// The authority's certificates, DER: Ed25519, then ML-DSA-65.
    pub fn certificate_ders(&self) -> Vec<Vec<u8>> {
        self.trusted.pair().iter().map(|der| der.to_vec()).collect()
    }

    pub(super) fn keys(&self) -> &Twins {
        &self.keys
    }
}

/// The last second at which both certificates of a pair are valid.
pub(super) fn last_second(pair: &[CertificateDer<'_>]) -> Result<UnixTime, SecurityError> {
    let ends = pair.iter().map(|der| validity(der).map(|(_, until)| until).map_err(|_| SecurityError::NotAnAuthority));
    ends.reduce(|one, other| Ok(one?.min(other?))).unwrap_or(Err(SecurityError::NotAnAuthority))
}

/// Signs a certificate for `key` that lasts from the first to the second of two seconds since the Unix epoch; DER.
pub(super) fn sign<S: rcgen::SigningKey>(
    (issuer, signer): (&CertificateParams, &S),
    mut params: CertificateParams,
    key: &impl rcgen::PublicKeyData,
    (from, until): (u64, u64),
) -> Result<Vec<u8>, SecurityError> {
    params.serial_number = Some(serial()?);
    params.not_before = moment(from);
    params.not_after = moment(until);
    let issuer = rcgen::Issuer::new(issuer.clone(), signer);
    Ok(params.signed_by(key, &issuer)?.der().to_vec())
}

/// What the certificate of an issuer with this key says besides its time.
pub(super) fn issuer_params(key: &PeerId) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&issuer_name(key));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

/// The name of an issuer in both of its certificates.
pub(super) fn issuer_name(key: &PeerId) -> String {
    format!("prunella issuer {key}")
}

fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("prunella authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

pub(super) fn common_name(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

/// A random serial number of 16 bytes, positive and not zero (RFC 5280, section 4.1.2.2).
fn serial() -> Result<SerialNumber, SecurityError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// A moment in a certificate, no later than the end of the year 9999.
fn moment(unix: u64) -> OffsetDateTime {
    const YEAR_9999: i64 = 253_402_300_799;
    let seconds = i64::try_from(unix).unwrap_or(YEAR_9999).min(YEAR_9999);
    OffsetDateTime::from_unix_timestamp(seconds).expect("BUG: it lies between 1970 and 9999")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;

    fn authority(name: &str) -> Authority {
        Authority::found(&name.parse().unwrap(), NOW).unwrap()
    }

    #[test]
    fn no_issuer_outlives_its_authority() {
        let authority = authority("lab");
        let late = NOW + AUTHORITY_LIFE.as_secs() - 3600;
        let issuer = Twins::generate().unwrap().public();
        for appointed in authority.appoint(&issuer, late).unwrap() {
            let (from, until) = validity(&appointed.into()).unwrap();
            assert_eq!((from.as_secs(), until.as_secs()), (late - 300, NOW + AUTHORITY_LIFE.as_secs()));
        }
    }

    #[test]
    fn keys_and_certificates_of_different_authorities_do_not_fit() {
        let (one, two) = (authority("lab"), authority("lab"));
        let (ours, theirs) = (one.certificate_ders(), two.certificate_ders());
        let mixed = |first: &[Vec<u8>], second: &[Vec<u8>]| vec![first[0].clone(), second[1].clone()];
        for pair in [mixed(&ours, &theirs), mixed(&theirs, &ours), theirs] {
            let keys = Twins { key: one.keys.key.clone(), twin: one.keys.twin.clone() };
            let error = Authority::from_parts(keys, &pair).unwrap_err();
            assert!(matches!(error, SecurityError::AuthorityMismatch), "{error}");
        }
    }

    #[test]
    fn a_pair_is_one_certificate_of_each_kind_in_one_mesh() {
        let (one, other) = (authority("lab").certificate_ders(), authority("elsewhere").certificate_ders());
        let bad = [vec![], one[..1].to_vec(), vec![one[1].clone(), one[0].clone()], vec![one[0].clone(); 2]];
        for pair in bad.into_iter().chain([vec![one[0].clone(), other[1].clone()]]) {
            assert!(matches!(TrustedAuthority::new(&pair), Err(SecurityError::NotAnAuthority)));
        }
        assert!(TrustedAuthority::new(&one).is_ok());
    }

    #[test]
    fn the_authority_s_secret_is_not_printed() {
        let authority = authority("lab");
        let secret = authority.keys().identity().signing_key().to_bytes();
        let text = format!("{authority:?}");
        assert!(!text.contains(&format!("{secret:?}").replace(['[', ']'], "")), "{text}");
    }
}
