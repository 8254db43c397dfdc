//! The authority of a mesh: the key from which all trust in it comes.
//!
//! It appoints issuers, which certify nodes, and is needed for nothing else: so its key can be kept offline.

use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::identity::Identity;
use prunella_core::limits::CLOCK_SKEW_MAX;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyUsagePurpose, SanType, SerialNumber,
};
use rustls::pki_types::UnixTime;
use time::OffsetDateTime;

use crate::security::certificate::{TrustedAuthority, validity};
use crate::security::keys::{self, PublicKey, Signer};
use crate::security::statement::{Said, Statement};
use crate::security::{SecurityError, TrustDomain};

/// How long a node's certificate lasts unless the configuration says otherwise.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long an authority's certificate lasts.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// How long an issuer is appointed for, unless its authority ends earlier.
pub const APPOINTMENT_LIFE: Duration = Duration::from_secs(2 * 365 * 24 * 3600);

/// A self-signed Ed25519 authority (SPIFFE X.509-SVID, section 3). Issuers that it appoints certify nodes and cannot
/// appoint others.
#[derive(Debug)]
pub struct Authority {
    signer: Signer,
    trusted: TrustedAuthority,
    ends: UnixTime,
}

impl Authority {
    /// Founds an authority for `trust_domain` at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no key can be drawn.
    pub fn found(trust_domain: &TrustDomain, now: u64) -> Result<Self, SecurityError> {
        let key = keys::generate()?;
        let signer = Signer::new(key.clone());
        let mut params = authority_params();
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(trust_domain.uri())?)];
        params.serial_number = Some(serial()?);
        params.not_before = moment(now.saturating_sub(CLOCK_SKEW_MAX.as_secs()));
        params.not_after = moment(now.saturating_add(AUTHORITY_LIFE.as_secs()));
        let certificate = params.self_signed(&signer)?;
        Self::from_parts(key, certificate.der())
    }

    /// The authority whose key is `key` and whose certificate is `certificate_der`.
    ///
    /// # Errors
    /// [`SecurityError::NotAnAuthority`] if the certificate is not one of an authority,
    /// [`SecurityError::AuthorityMismatch`] if it is of another key.
    pub fn from_parts(key: Identity, certificate_der: &[u8]) -> Result<Self, SecurityError> {
        let trusted = TrustedAuthority::new(certificate_der)?;
        if !trusted.is_key_of(&key.peer()) {
            return Err(SecurityError::AuthorityMismatch);
        }
        let (_, ends) = validity(trusted.der()).map_err(|_| SecurityError::NotAnAuthority)?;
        Ok(Self { signer: Signer::new(key), trusted, ends })
    }

    /// Appoints whoever holds `key` as an issuer at `now` (seconds since the Unix epoch), for [`APPOINTMENT_LIFE`] or as
    /// long as the authority lasts; returns the issuer's certificate, DER.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no serial number can be drawn.
    pub fn appoint(&self, key: &PeerId, now: u64) -> Result<Vec<u8>, SecurityError> {
        let mut params = issuer_params(key);
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(self.trust_domain().uri())?)];
        params.use_authority_key_identifier_extension = true;
        let until = now.saturating_add(APPOINTMENT_LIFE.as_secs()).min(self.ends.as_secs());
        sign((&authority_params(), &self.signer), params, key, (now.saturating_sub(CLOCK_SKEW_MAX.as_secs()), until))
    }

    /// Says something to the whole mesh at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no serial number can be drawn.
    pub fn say(&self, statement: Statement, now: u64) -> Result<Said, SecurityError> {
        Said::sign(statement, now, self.trust_domain(), (&authority_params(), &self.signer), &[])
    }

    /// The name of the mesh.
    pub fn trust_domain(&self) -> &TrustDomain {
        self.trusted.trust_domain()
    }

    /// The authority's certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        self.trusted.der()
    }

    /// The authority's key, which also signs tokens.
    pub(super) fn key(&self) -> &Identity {
        self.signer.identity()
    }
}

/// Signs a certificate for `key` that lasts from the first to the second of two seconds since the Unix epoch; DER.
pub(super) fn sign(
    (issuer, signer): (&CertificateParams, &Signer),
    mut params: CertificateParams,
    key: &PeerId,
    (from, until): (u64, u64),
) -> Result<Vec<u8>, SecurityError> {
    params.serial_number = Some(serial()?);
    params.not_before = moment(from);
    params.not_after = moment(until);
    let issuer = rcgen::Issuer::new(issuer.clone(), signer);
    Ok(params.signed_by(&PublicKey(*key), &issuer)?.der().to_vec())
}

/// What the certificate of an issuer with this key says besides its time.
pub(super) fn issuer_params(key: &PeerId) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(&format!("prunella issuer {key}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
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
        let appointed = authority.appoint(&PeerId::from_public_key([1; 32]), late).unwrap();
        let (from, until) = validity(&appointed.into()).unwrap();
        assert_eq!((from.as_secs(), until.as_secs()), (late - 300, NOW + AUTHORITY_LIFE.as_secs()));
    }

    #[test]
    fn a_key_and_a_certificate_of_different_authorities_do_not_fit() {
        let (one, two) = (authority("lab"), authority("lab"));
        let error = Authority::from_parts(one.key().clone(), two.certificate_der()).unwrap_err();
        assert!(matches!(error, SecurityError::AuthorityMismatch));
    }

    #[test]
    fn the_authority_s_secret_is_not_printed() {
        let authority = authority("lab");
        let secret = authority.key().signing_key().to_bytes();
        let text = format!("{authority:?}");
        assert!(!text.contains(&format!("{secret:?}").replace(['[', ']'], "")), "{text}");
    }
}
