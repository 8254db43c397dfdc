//! An issuing key: what a node holds that certifies others.

use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::identity::Identity;
use prunella_core::limits::CLOCK_SKEW_MAX;
use rcgen::string::Ia5String;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SanType};
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::security::authority::{Authority, common_name, issuer_params, last_second, sign};
use crate::security::bundle::Bundle;
use crate::security::certificate::are_of_keys;
use crate::security::keys::PublicKey;
use crate::security::statement::{Said, Statement};
use crate::security::twin::{TwinPublicKey, Twins};
use crate::security::{Algorithm, Member, NodeKey, Refused, SecurityError, SpiffeId, TrustDomain};

/// Keys that an authority has appointed to certify nodes: Ed25519, and its twin, ML-DSA-65.
#[derive(Debug)]
pub struct IssuingKey {
    keys: Twins,
    certificates: [CertificateDer<'static>; 2],
    authorities: Bundle,
    ends: UnixTime,
}

impl IssuingKey {
    /// Draws keys and has `authority` appoint them at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no key can be drawn.
    pub fn appointed_by(authority: &Authority, now: u64) -> Result<Self, SecurityError> {
        let keys = Twins::generate()?;
        let certificates = authority.appoint(&keys.public(), now)?;
        Self::from_parts(keys, certificates, Bundle::new(&authority.certificate_ders(), Algorithm::Ed25519)?)
    }

    /// The issuing key whose certificates, issued by one of `authorities`, are these, DER: Ed25519, then ML-DSA-65.
    ///
    /// # Errors
    /// [`SecurityError::AuthorityMismatch`] if the certificates are of other keys, [`SecurityError::NotAnAuthority`] if
    /// they are not two.
    pub(super) fn from_parts(
        keys: Twins,
        certificates: Vec<Vec<u8>>,
        authorities: Bundle,
    ) -> Result<Self, SecurityError> {
        let certificates: [Vec<u8>; 2] = certificates.try_into().map_err(|_| SecurityError::NotAnAuthority)?;
        let certificates = certificates.map(CertificateDer::from);
        if !are_of_keys(&certificates, &keys.public()) {
            return Err(SecurityError::AuthorityMismatch);
        }
        let ends = last_second(&certificates)?;
        Ok(Self { keys, certificates, authorities, ends })
    }

    /// The same keys, for a mesh whose nodes have certificates of this algorithm.
    pub fn certifying(self, certificates: Algorithm) -> Self {
        Self { authorities: self.authorities.certifying(certificates), ..self }
    }

    /// Of which algorithm the certificates are that it issues.
    pub fn algorithm(&self) -> Algorithm {
        self.authorities.certificates()
    }

    /// Certifies a node's key at `now` (seconds since the Unix epoch) for `life`; returns the chain, DER: the node's
    /// certificate and this issuer's.
    ///
    /// It is valid from [`CLOCK_SKEW_MAX`] earlier, for hosts whose clocks are late, and never longer than the issuer's
    /// own.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no serial number can be drawn, [`SecurityError::Refused`] if the key is not of the
    /// algorithm of this mesh's certificates.
    pub fn issue(&self, member: impl Into<Member>, now: u64, life: Duration) -> Result<Vec<Vec<u8>>, SecurityError> {
        let member = member.into();
        let NodeKey { peer, mldsa } = &member.node;
        if member.node.algorithm() != self.authorities.certificates() {
            return Err(SecurityError::Refused(Refused::WrongAlgorithm));
        }
        let from = now.saturating_sub(CLOCK_SKEW_MAX.as_secs());
        let time = (from, now.saturating_add(life.as_secs()).min(self.ends.as_secs()));
        match mldsa {
            None => self.certify(&member, peer, time),
            Some(key) => {
                let leaf = sign((&self.params(), &self.keys.twin), self.leaf(&member)?, &TwinPublicKey(key), time)?;
                Ok(vec![leaf, self.certificates[1].to_vec()])
            }
        }
    }

    /// Says something to the whole mesh at `now`, in seconds since the Unix epoch.
    ///
    /// # Errors
    /// [`SecurityError::Randomness`] if no serial number can be drawn.
    pub fn say(&self, statement: Statement, now: u64) -> Result<Said, SecurityError> {
        let by = (&self.params(), &self.keys);
        Said::sign(statement, now, self.trust_domain(), by, &self.certificates)
    }

    /// The name of the mesh.
    pub fn trust_domain(&self) -> &TrustDomain {
        self.authorities.trust_domain()
    }

    /// The issuer's own certificates, DER: Ed25519, then ML-DSA-65.
    pub fn certificate_ders(&self) -> Vec<Vec<u8>> {
        self.certificates.iter().map(|der| der.to_vec()).collect()
    }

    /// The last second of the appointment, since the Unix epoch.
    pub fn ends_unix(&self) -> u64 {
        self.ends.as_secs()
    }

    /// The certificates of the authorities that its nodes trust, DER, two of each, the newest authority first.
    pub fn authority_ders(&self) -> Vec<Vec<u8>> {
        self.authorities.ders().map(|der| der.to_vec()).collect()
    }

    pub(super) fn newest_fingerprint(&self) -> [u8; 32] {
        self.authorities.newest().fingerprint()
    }

    pub(super) fn key(&self) -> &Identity {
        self.keys.identity()
    }

    pub(super) fn keys(&self) -> &Twins {
        &self.keys
    }

    fn certify(&self, member: &Member, key: &PeerId, time: (u64, u64)) -> Result<Vec<Vec<u8>>, SecurityError> {
        let leaf = sign((&self.params(), &self.keys.key), self.leaf(member)?, &PublicKey(*key), time)?;
        Ok(vec![leaf, self.certificates[0].to_vec()])
    }

    /// What this issuer's own certificates say besides their time.
    fn params(&self) -> CertificateParams {
        issuer_params(&self.key().peer())
    }

    /// What the certificate of a node says besides its time.
    fn leaf(&self, member: &Member) -> Result<CertificateParams, SecurityError> {
        let Member { node: NodeKey { peer, .. }, workload } = member;
        let id = SpiffeId { trust_domain: self.trust_domain().clone(), peer: *peer, workload: workload.clone() };
        let name = peer;
        let mut params = leaf_params(&name.to_string(), &id.to_string())?;
        params.use_authority_key_identifier_extension = true;
        Ok(params)
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
        self.certify(&Member::from(*peer), peer, (from, until)).unwrap()
    }

    /// A certificate of one node's key under another node's name.
    pub(super) fn certify_wrongly(&self, name: &PeerId, key: &PeerId, now: u64) -> Vec<Vec<u8>> {
        self.certify(&Member::from(*name), key, (now, now + 3600)).unwrap()
    }

    /// The issuing key of a mesh of its own.
    pub(super) fn of_new_mesh(trust_domain: &str, now: u64) -> Self {
        Self::appointed_by(&Authority::found(&trust_domain.parse().unwrap(), now).unwrap(), now).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::CERTIFICATE_LIFE;
    use crate::security::certificate::{Usage, validity};
    use crate::security::postquantum::SigningKey;

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
        let chain = issuer.issue(someone(), NOW, CERTIFICATE_LIFE).unwrap();
        assert_eq!(issuer.authorities.check(&ders(&chain), Usage::Server, at(NOW)), Ok(someone()));
        assert_eq!(check(&issuer, &chain, NOW - 300), Ok(someone()));
        assert_eq!(check(&issuer, &chain, NOW - 301), Err(Refused::NotYetValid));
        assert_eq!(check(&issuer, &chain, NOW + 86_400), Ok(someone()));
        assert_eq!(check(&issuer, &chain, NOW + 86_401), Err(Refused::Expired));
    }

    #[test]
    fn a_certificate_of_another_authority_is_refused_by_its_reason() {
        let chain = issuer("lab").issue(someone(), NOW, CERTIFICATE_LIFE).unwrap();
        assert_eq!(check(&issuer("lab"), &chain, NOW), Err(Refused::Stranger));
        assert_eq!(check(&issuer("elsewhere"), &chain, NOW), Err(Refused::WrongTrustDomain));
    }

    #[test]
    fn without_its_issuer_s_certificate_a_node_is_a_stranger() {
        let issuer = issuer("lab");
        let chain = issuer.issue(someone(), NOW, CERTIFICATE_LIFE).unwrap();
        assert_eq!(check(&issuer, &chain[..1], NOW), Err(Refused::Stranger));
        assert_eq!(check(&issuer, &[], NOW), Err(Refused::NoCertificate));
        let long: Vec<_> = chain.iter().chain(&chain).cloned().collect();
        assert_eq!(check(&issuer, &long, NOW), Err(Refused::Malformed));
    }

    #[test]
    fn whoever_is_appointed_appoints_nobody() {
        let one = issuer("lab");
        let two = Twins::generate().unwrap();
        let (params, public) = (issuer_params(&two.identity().peer()), two.public());
        let (by, time) = (issuer_params(&one.key().peer()), (NOW, NOW + 3600));
        let below = vec![
            sign((&by, &one.keys.key), params.clone(), &PublicKey(public.key), time).unwrap(),
            sign((&by, &one.keys.twin), params, &TwinPublicKey(&public.twin), time).unwrap(),
        ];
        let second = IssuingKey::from_parts(two, below, one.authorities.clone()).unwrap();
        let mut chain = second.issue(someone(), NOW, CERTIFICATE_LIFE).unwrap();
        assert_eq!(check(&one, &chain, NOW), Err(Refused::Stranger));
        chain.push(one.certificates[0].to_vec());
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
        assert_eq!(check(&issuer, &[issuer.certificates[0].to_vec()], NOW), Err(Refused::Malformed));
        assert_eq!(check(&issuer, &[b"garbage".to_vec()], NOW), Err(Refused::Malformed));
    }

    #[test]
    fn a_certificate_with_any_damaged_byte_is_refused() {
        let issuer = issuer("lab");
        let chain = issuer.issue(someone(), NOW, CERTIFICATE_LIFE).unwrap();
        for certificate in 0..chain.len() {
            for i in 0..chain[certificate].len() {
                let mut forged = chain.clone();
                forged[certificate][i] ^= 1 << (i % 8);
                assert!(check(&issuer, &forged, NOW).is_err(), "byte {i} of certificate {certificate}");
            }
        }
    }

    #[test]
    fn a_mesh_of_one_algorithm_refuses_certificates_of_the_other_by_name() {
        let classical = issuer("lab");
        let chain = classical.issue(someone(), NOW, CERTIFICATE_LIFE).unwrap();
        let node = NodeKey { peer: someone(), mldsa: Some(SigningKey::generate().verifying_key().clone()) };
        let told = classical.issue(node.clone(), NOW, CERTIFICATE_LIFE).unwrap_err();
        assert!(matches!(told, SecurityError::Refused(Refused::WrongAlgorithm)));
        let issuer = classical.certifying(Algorithm::MlDsa65);
        assert!(issuer.issue(someone(), NOW, CERTIFICATE_LIFE).is_err());
        let by_twin = issuer.issue(node.clone(), NOW, CERTIFICATE_LIFE).unwrap();
        assert!(by_twin.iter().all(|der| Algorithm::of(der) == Ok(Algorithm::MlDsa65)));
        assert_eq!((check(&issuer, &by_twin, NOW), NodeKey::of(&by_twin[0])), (Ok(someone()), Ok(node)));
        assert_eq!(check(&issuer, &chain, NOW), Err(Refused::WrongAlgorithm));
        // Every signature of the chain is of the one algorithm.
        let mixed = [by_twin[0].clone(), chain[1].clone()];
        assert_eq!(check(&issuer, &mixed, NOW), Err(Refused::Stranger));
        let mut forged = by_twin.clone();
        let last = forged[0].len() - 1;
        forged[0][last] ^= 1;
        assert!(check(&issuer, &forged, NOW).is_err());
        let classical = issuer.certifying(Algorithm::Ed25519);
        assert_eq!(check(&classical, &by_twin, NOW), Err(Refused::WrongAlgorithm));
    }

    #[test]
    fn no_certificate_outlives_its_issuer() {
        let issuer = issuer("lab");
        let chain = issuer.issue(someone(), NOW, crate::security::AUTHORITY_LIFE).unwrap();
        let (from, until) = validity(&CertificateDer::from(chain[0].as_slice())).unwrap();
        assert_eq!((from.as_secs(), until.as_secs()), (NOW - 300, issuer.ends_unix()));
    }

    #[test]
    fn renewed_certificates_differ() {
        let issuer = issuer("lab");
        let issue = || issuer.issue(someone(), NOW, CERTIFICATE_LIFE).unwrap();
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
