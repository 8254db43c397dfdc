//! An issuing key: what a node holds that certifies others.

use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::identity::Identity;
use prunella_core::limits::CLOCK_SKEW_MAX;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::security::authority::{Authority, common_name, issuer_params, sign};
use crate::security::bundle::Bundle;
use crate::security::certificate::{is_of_key, validity};
use crate::security::keys::{self, Signer};
use crate::security::statement::{Said, Statement};
use crate::security::{SecurityError, SpiffeId, TrustDomain, WorkloadId};

/// A key that an authority has appointed to certify nodes.
#[derive(Debug)]
pub struct IssuingKey {
    signer: Signer,
    certificate: CertificateDer<'static>,
    authorities: Bundle,
    ends: UnixTime,
}

impl IssuingKey {
    /// Draws a key and has `authority` appoint it at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no key can be drawn.
    pub fn appointed_by(authority: &Authority, now: u64) -> Result<Self, SecurityError> {
        let key = keys::generate()?;
        let certificate = authority.appoint(&key.peer(), now)?;
        Self::from_parts(key, certificate, &[authority.certificate_der().to_vec()])
    }

    /// The issuing key whose certificate, issued by one of `authorities`, is `certificate`; all DER.
    ///
    /// # Errors
    /// [`SecurityError::AuthorityMismatch`] if the certificate is of another key, [`SecurityError::NotAnAuthority`] if
    /// something is not a certificate of the kind that it should be.
    pub fn from_parts(key: Identity, certificate: Vec<u8>, authorities: &[Vec<u8>]) -> Result<Self, SecurityError> {
        let certificate = CertificateDer::from(certificate);
        if !is_of_key(&certificate, &key.peer()) {
            return Err(SecurityError::AuthorityMismatch);
        }
        let (_, ends) = validity(&certificate).map_err(|_| SecurityError::NotAnAuthority)?;
        Ok(Self { signer: Signer::new(key), certificate, authorities: Bundle::new(authorities)?, ends })
    }

    /// Certifies the key of `peer` at `now` (seconds since the Unix epoch) for `life`; returns the chain, DER: the node's
    /// certificate and this issuer's.
    ///
    /// It is valid from [`CLOCK_SKEW_MAX`] earlier, for hosts whose clocks are late, and never longer than the issuer's
    /// own.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no serial number can be drawn.
    pub fn issue(&self, peer: &PeerId, now: u64, life: Duration) -> Result<Vec<Vec<u8>>, SecurityError> {
        self.issue_as(peer, None, now, life)
    }

    /// As [`issue`](Self::issue); the certificate says as which workload the node was admitted.
    ///
    /// # Errors
    /// As [`issue`](Self::issue).
    pub fn issue_as(
        &self,
        peer: &PeerId,
        workload: Option<&WorkloadId>,
        now: u64,
        life: Duration,
    ) -> Result<Vec<Vec<u8>>, SecurityError> {
        let from = now.saturating_sub(CLOCK_SKEW_MAX.as_secs());
        let until = now.saturating_add(life.as_secs()).min(self.ends.as_secs());
        self.certify((peer, workload), peer, (from, until))
    }

    /// Says something to the whole mesh at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no serial number can be drawn.
    pub fn say(&self, statement: Statement, now: u64) -> Result<Said, SecurityError> {
        let by = (&issuer_params(&self.signer.identity().peer()), &self.signer);
        Said::sign(statement, now, self.trust_domain(), by, std::slice::from_ref(&self.certificate))
    }

    /// The name of the mesh.
    pub fn trust_domain(&self) -> &TrustDomain {
        self.authorities.trust_domain()
    }

    /// The issuer's own certificate, DER.
    pub fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    /// The last second of the appointment, since the Unix epoch.
    pub fn ends_unix(&self) -> u64 {
        self.ends.as_secs()
    }

    /// The certificates of the authorities that its nodes trust, DER, the newest first.
    pub fn authority_ders(&self) -> Vec<Vec<u8>> {
        self.authorities.ders().map(|der| der.to_vec()).collect()
    }

    pub(super) fn key(&self) -> &Identity {
        self.signer.identity()
    }

    fn certify(
        &self,
        (name, workload): (&PeerId, Option<&WorkloadId>),
        key: &PeerId,
        time: (u64, u64),
    ) -> Result<Vec<Vec<u8>>, SecurityError> {
        let id = SpiffeId { trust_domain: self.trust_domain().clone(), peer: *name, workload: workload.cloned() };
        let mut params = leaf_params(&name.to_string(), &id.to_string())?;
        params.use_authority_key_identifier_extension = true;
        let issuer = issuer_params(&self.signer.identity().peer());
        let leaf = sign((&issuer, &self.signer), params, key, time)?;
        Ok(vec![leaf, self.certificate.to_vec()])
    }
}

/// What a certificate that cannot issue says besides its time.
pub(super) fn leaf_params(name: &str, uri: &str) -> Result<CertificateParams, SecurityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = common_name(name);
    params.subject_alt_names = vec![SanType::URI(Ia5String::try_from(uri)?)];
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

#[cfg(test)]
impl IssuingKey {
    /// A certificate with any dates, for tests of their refusal.
    pub(super) fn certify_between(&self, peer: &PeerId, from: u64, until: u64) -> Vec<Vec<u8>> {
        self.certify((peer, None), peer, (from, until)).unwrap()
    }

    /// A certificate of one node's key under another node's name.
    pub(super) fn certify_wrongly(&self, name: &PeerId, key: &PeerId, now: u64) -> Vec<Vec<u8>> {
        self.certify((name, None), key, (now, now + 3600)).unwrap()
    }

    /// The issuing key of a mesh of its own.
    pub(super) fn of_new_mesh(trust_domain: &str, now: u64) -> Self {
        Self::appointed_by(&Authority::found(&trust_domain.parse().unwrap(), now).unwrap(), now).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::certificate::Usage;
    use crate::security::{CERTIFICATE_LIFE, Refused};

    const NOW: u64 = 1_800_000_000;

    fn issuer(name: &str) -> IssuingKey {
        IssuingKey::of_new_mesh(name, NOW)
    }

    fn someone() -> PeerId {
        Identity::from_secret(&[1; 32]).peer()
    }

    fn at(unix: u64) -> UnixTime {
        UnixTime::since_unix_epoch(Duration::from_secs(unix))
    }

    fn ders(chain: &[Vec<u8>]) -> Vec<CertificateDer<'_>> {
        chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect()
    }

    fn check(by: &IssuingKey, chain: &[Vec<u8>], unix: u64) -> Result<PeerId, Refused> {
        by.authorities.check(&ders(chain), Usage::Client, at(unix))
    }

    #[test]
    fn a_certificate_is_accepted_within_its_time_for_both_uses() {
        let issuer = issuer("lab");
        let chain = issuer.issue(&someone(), NOW, CERTIFICATE_LIFE).unwrap();
        assert_eq!(issuer.authorities.check(&ders(&chain), Usage::Server, at(NOW)), Ok(someone()));
        assert_eq!(check(&issuer, &chain, NOW - 300), Ok(someone()));
        assert_eq!(check(&issuer, &chain, NOW - 301), Err(Refused::NotYetValid));
        assert_eq!(check(&issuer, &chain, NOW + 86_400), Ok(someone()));
        assert_eq!(check(&issuer, &chain, NOW + 86_401), Err(Refused::Expired));
    }

    #[test]
    fn a_certificate_of_another_authority_is_refused_by_its_reason() {
        let chain = issuer("lab").issue(&someone(), NOW, CERTIFICATE_LIFE).unwrap();
        assert_eq!(check(&issuer("lab"), &chain, NOW), Err(Refused::Stranger));
        assert_eq!(check(&issuer("elsewhere"), &chain, NOW), Err(Refused::WrongTrustDomain));
    }

    #[test]
    fn without_its_issuer_s_certificate_a_node_is_a_stranger() {
        let issuer = issuer("lab");
        let chain = issuer.issue(&someone(), NOW, CERTIFICATE_LIFE).unwrap();
        assert_eq!(check(&issuer, &chain[..1], NOW), Err(Refused::Stranger));
        assert_eq!(check(&issuer, &[], NOW), Err(Refused::NoCertificate));
        let long: Vec<_> = chain.iter().chain(&chain).cloned().collect();
        assert_eq!(check(&issuer, &long, NOW), Err(Refused::Malformed));
    }

    #[test]
    fn whoever_is_appointed_appoints_nobody() {
        let one = issuer("lab");
        let two = Identity::from_secret(&[2; 32]);
        let params = issuer_params(&two.peer());
        let by = (&issuer_params(&one.key().peer()), &one.signer);
        let below = sign(by, params, &two.peer(), (NOW, NOW + 3600)).unwrap();
        let second = IssuingKey::from_parts(two, below, &one.authority_ders()).unwrap();
        let mut chain = second.issue(&someone(), NOW, CERTIFICATE_LIFE).unwrap();
        assert_eq!(check(&one, &chain, NOW), Err(Refused::Stranger));
        chain.push(one.certificate.to_vec());
        assert_eq!(check(&one, &chain, NOW), Err(Refused::Malformed), "too long a chain");
    }

    #[test]
    fn a_name_that_is_not_the_key_is_refused() {
        let issuer = issuer("lab");
        let other = Identity::from_secret(&[2; 32]).peer();
        let chain = issuer.certify_wrongly(&someone(), &other, NOW);
        assert_eq!(check(&issuer, &chain, NOW), Err(Refused::KeyMismatch));
    }

    #[test]
    fn neither_an_authority_nor_an_issuer_nor_garbage_is_a_node() {
        let issuer = issuer("lab");
        assert_eq!(check(&issuer, &issuer.authority_ders(), NOW), Err(Refused::Malformed));
        assert_eq!(check(&issuer, &[issuer.certificate.to_vec()], NOW), Err(Refused::Malformed));
        assert_eq!(check(&issuer, &[b"garbage".to_vec()], NOW), Err(Refused::Malformed));
    }

    #[test]
    fn a_certificate_with_any_damaged_byte_is_refused() {
        let issuer = issuer("lab");
        let chain = issuer.issue(&someone(), NOW, CERTIFICATE_LIFE).unwrap();
        for certificate in 0..chain.len() {
            for i in 0..chain[certificate].len() {
                let mut forged = chain.clone();
                forged[certificate][i] ^= 1 << (i % 8);
                assert!(check(&issuer, &forged, NOW).is_err(), "byte {i} of certificate {certificate}");
            }
        }
    }

    #[test]
    fn no_certificate_outlives_its_issuer() {
        let issuer = issuer("lab");
        let chain = issuer.issue(&someone(), NOW, crate::security::AUTHORITY_LIFE).unwrap();
        let (from, until) = validity(&CertificateDer::from(chain[0].as_slice())).unwrap();
        assert_eq!((from.as_secs(), until.as_secs()), (NOW - 300, issuer.ends_unix()));
    }

    #[test]
    fn renewed_certificates_differ() {
        let issuer = issuer("lab");
        let issue = || issuer.issue(&someone(), NOW, CERTIFICATE_LIFE).unwrap();
        assert_ne!(issue(), issue());
    }

    #[test]
    fn the_secret_is_not_printed() {
        let issuer = issuer("lab");
        let secret = issuer.key().signing_key().to_bytes();
        let text = format!("{issuer:?}");
        assert!(!text.contains(&format!("{secret:?}").replace(['[', ']'], "")), "{text}");
    }
}
