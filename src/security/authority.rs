//! The authority of a mesh: the key that certifies nodes.

use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::identity::Identity;
use prunella_core::limits::CLOCK_SKEW_MAX;
use rcgen::string::Ia5String;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    SanType, SerialNumber,
};
use rustls::pki_types::UnixTime;
use time::OffsetDateTime;

use crate::security::certificate::{TrustedAuthority, validity};
use crate::security::keys::{self, PublicKey, Signer};
use crate::security::{SecurityError, SpiffeId, TrustDomain};

/// How long a node's certificate lasts unless the configuration says otherwise.
pub const CERTIFICATE_LIFE: Duration = Duration::from_secs(24 * 3600);
/// How long an authority's certificate lasts.
pub const AUTHORITY_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A self-signed Ed25519 authority (SPIFFE X.509-SVID, section 3). It certifies nodes and nothing else: what it issues
/// cannot issue.
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

    /// Certifies the key of `peer` at `now` (seconds since the Unix epoch) for `life`; returns the certificate, DER.
    ///
    /// It is valid from [`CLOCK_SKEW_MAX`] earlier, for hosts whose clocks are late, and never longer than the
    /// authority's own.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no serial number can be drawn.
    pub fn issue(&self, peer: &PeerId, now: u64, life: Duration) -> Result<Vec<u8>, SecurityError> {
        let from = now.saturating_sub(CLOCK_SKEW_MAX.as_secs());
        self.certify(peer, from, now.saturating_add(life.as_secs()).min(self.ends.as_secs()))
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

    fn certify(&self, peer: &PeerId, from: u64, until: u64) -> Result<Vec<u8>, SecurityError> {
        let id = SpiffeId { trust_domain: self.trust_domain().clone(), peer: *peer };
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&peer.to_string());
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(id.to_string())?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(serial()?);
        params.not_before = moment(from);
        params.not_after = moment(until);
        let issuer = rcgen::Issuer::new(authority_params(), &self.signer);
        Ok(params.signed_by(&PublicKey(*peer), &issuer)?.der().to_vec())
    }
}

/// What is the same for every authority. Two meshes' authorities bear the same subject; their keys tell them apart.
fn authority_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name("prunella authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn common_name(name: &str) -> DistinguishedName {
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
impl Authority {
    /// A certificate with any dates, for tests of their refusal.
    pub(super) fn certify_between(&self, peer: &PeerId, from: u64, until: u64) -> Vec<u8> {
        self.certify(peer, from, until).unwrap()
    }

    /// A certificate of one node's key under another node's name.
    pub(super) fn certify_wrongly(&self, name: &PeerId, key: &PeerId) -> Vec<u8> {
        let id = SpiffeId { trust_domain: self.trust_domain().clone(), peer: *name };
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(id.to_string()).unwrap())];
        let issuer = rcgen::Issuer::new(authority_params(), &self.signer);
        params.signed_by(&PublicKey(*key), &issuer).unwrap().der().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::CertificateDer;

    use super::*;
    use crate::security::Refused;
    use crate::security::certificate::Usage;

    const NOW: u64 = 1_800_000_000;

    fn authority(name: &str) -> Authority {
        Authority::found(&name.parse().unwrap(), NOW).unwrap()
    }

    fn at(unix: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(unix))
    }

    fn check(by: &Authority, certificate: &[u8], unix: u64) -> Result<PeerId, Refused> {
        by.trusted.check(&CertificateDer::from(certificate), Usage::Client, at(unix))
    }

    #[test]
    fn a_certificate_is_accepted_within_its_time_for_both_uses() {
        let authority = authority("lab");
        let peer = Identity::from_secret(&[1; 32]).peer();
        let certificate = authority.issue(&peer, NOW, CERTIFICATE_LIFE).unwrap();
        let der = CertificateDer::from(certificate.as_slice());
        assert_eq!(authority.trusted.check(&der, Usage::Server, at(NOW)), Ok(peer));
        assert_eq!(check(&authority, &certificate, NOW - 300), Ok(peer));
        assert_eq!(check(&authority, &certificate, NOW - 301), Err(Refused::NotYetValid));
        assert_eq!(check(&authority, &certificate, NOW + 86_400), Ok(peer));
        assert_eq!(check(&authority, &certificate, NOW + 86_401), Err(Refused::Expired));
    }

    #[test]
    fn a_certificate_of_another_authority_is_refused_by_its_reason() {
        let peer = Identity::from_secret(&[1; 32]).peer();
        let certificate = authority("lab").issue(&peer, NOW, CERTIFICATE_LIFE).unwrap();
        assert_eq!(check(&authority("lab"), &certificate, NOW), Err(Refused::Stranger));
        assert_eq!(check(&authority("elsewhere"), &certificate, NOW), Err(Refused::WrongTrustDomain));
    }

    #[test]
    fn a_name_that_is_not_the_key_is_refused() {
        let authority = authority("lab");
        let (one, two) = (Identity::from_secret(&[1; 32]).peer(), Identity::from_secret(&[2; 32]).peer());
        let certificate = authority.certify_wrongly(&one, &two);
        assert_eq!(check(&authority, &certificate, NOW), Err(Refused::KeyMismatch));
    }

    #[test]
    fn neither_the_authority_nor_garbage_is_a_node() {
        let authority = authority("lab");
        assert_eq!(check(&authority, authority.certificate_der(), NOW), Err(Refused::Malformed));
        assert_eq!(check(&authority, b"garbage", NOW), Err(Refused::Malformed));
    }

    #[test]
    fn a_certificate_with_any_damaged_byte_is_refused() {
        let authority = authority("lab");
        let peer = Identity::from_secret(&[1; 32]).peer();
        let certificate = authority.issue(&peer, NOW, CERTIFICATE_LIFE).unwrap();
        for i in 0..certificate.len() {
            let mut forged = certificate.clone();
            forged[i] ^= 1 << (i % 8);
            assert!(check(&authority, &forged, NOW).is_err(), "byte {i}");
        }
    }

    #[test]
    fn no_certificate_outlives_its_authority() {
        let authority = authority("lab");
        let peer = Identity::from_secret(&[1; 32]).peer();
        let certificate = authority.issue(&peer, NOW, AUTHORITY_LIFE * 2).unwrap();
        let (from, until) = validity(&CertificateDer::from(certificate)).unwrap();
        assert_eq!((from.as_secs(), until.as_secs()), (NOW - 300, NOW + AUTHORITY_LIFE.as_secs()));
    }

    #[test]
    fn renewed_certificates_differ() {
        let authority = authority("lab");
        let peer = Identity::from_secret(&[1; 32]).peer();
        let issue = || authority.issue(&peer, NOW, CERTIFICATE_LIFE).unwrap();
        assert_ne!(issue(), issue());
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
