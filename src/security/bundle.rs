//! The authorities that a node trusts: mostly one, two while one takes the other's place.

use prunella_core::PeerId;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::security::certificate::{TrustedAuthority, Usage, only_uri, refused, signs_with, spiffe_id};
use crate::security::keys::subject_public_key_info;
use crate::security::{Refused, SecurityError, TrustDomain, fingerprint};

/// Authorities of one trust domain, the newest first. Never empty.
#[derive(Clone, Debug)]
pub(super) struct Bundle {
    authorities: Vec<TrustedAuthority>,
}

/// Who signed a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// A key that an authority has appointed to issue.
    Issuer,
    /// An authority itself.
    Authority,
}

impl Bundle {
    /// Trusts these certificates, DER, the newest first.
    ///
    /// # Errors
    /// [`SecurityError::NotAnAuthority`] if there is none, one too many, one that is no authority's or is of another
    /// trust domain than the first.
    pub(super) fn new(ders: &[Vec<u8>]) -> Result<Self, SecurityError> {
        let authorities: Vec<_> = ders.iter().map(|der| TrustedAuthority::new(der)).collect::<Result<_, _>>()?;
        let domain = authorities.first().map(TrustedAuthority::trust_domain);
        let fits = domain.is_some() && authorities.iter().all(|authority| Some(authority.trust_domain()) == domain);
        if !fits || authorities.len() > AUTHORITIES_MAX {
            return Err(SecurityError::NotAnAuthority);
        }
        Ok(Self { authorities })
    }

    pub(super) fn trust_domain(&self) -> &TrustDomain {
        self.newest().trust_domain()
    }

    pub(super) fn newest(&self) -> &TrustedAuthority {
        &self.authorities[0]
    }

    /// The authorities, the newest first.
    pub(super) fn ders(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.authorities.iter().map(TrustedAuthority::der)
    }

    /// The same with one more, which is the newest.
    ///
    /// # Errors
    /// As [`Bundle::new`].
    pub(super) fn with(&self, authority: &[u8]) -> Result<Self, SecurityError> {
        let others = self.ders().filter(|der| ***der != *authority).map(|der| der.to_vec());
        Self::new(&std::iter::once(authority.to_vec()).chain(others).collect::<Vec<_>>())
    }

    /// The same without one; `None` if it is the only one.
    pub(super) fn without(&self, authority: &[u8; 32]) -> Option<Self> {
        let mut authorities = self.authorities.clone();
        authorities.retain(|trusted| fingerprint(trusted.der()) != *authority);
        (!authorities.is_empty()).then_some(Self { authorities })
    }

    /// The node that a chain certifies at `now`, leaf first: issued here, possibly by an appointed issuer, for `usage`,
    /// named like its key.
    pub(super) fn check(&self, chain: &[CertificateDer<'_>], usage: Usage, now: UnixTime) -> Result<PeerId, Refused> {
        let (leaf, above) = chain.split_first().ok_or(Refused::NoCertificate)?;
        let certificate = EndEntityCert::try_from(leaf).map_err(|_| Refused::Malformed)?;
        let id = spiffe_id(&certificate);
        // A stranger's certificate may be refused for many reasons; that it is of another mesh is the first one to tell.
        if id.as_ref().is_ok_and(|id| id.trust_domain != *self.trust_domain()) {
            return Err(Refused::WrongTrustDomain);
        }
        self.check_chain(&certificate, above, usage.key_usage(), now)?;
        let peer = id?.peer;
        if *certificate.subject_public_key_info() != *subject_public_key_info(&peer) {
            return Err(Refused::KeyMismatch);
        }
        Ok(peer)
    }

    /// Whose word a message is that was signed at `now` with the key of a chain's leaf.
    pub(super) fn check_word(
        &self,
        chain: &[CertificateDer<'_>],
        message: &[u8],
        signature: &[u8],
        now: UnixTime,
    ) -> Result<Rank, Refused> {
        let (leaf, above) = chain.split_first().ok_or(Refused::NoCertificate)?;
        let certificate = EndEntityCert::try_from(leaf).map_err(|_| Refused::Malformed)?;
        let uri = only_uri(&certificate).ok_or(Refused::Malformed)?;
        if uri != word_uri(self.trust_domain()) {
            return Err(Refused::WrongTrustDomain);
        }
        self.check_chain(&certificate, above, KeyUsage::client_auth(), now)?;
        signs_with(&certificate, message, signature)?;
        Ok(if above.is_empty() { Rank::Authority } else { Rank::Issuer })
    }

    fn check_chain(
        &self,
        certificate: &EndEntityCert<'_>,
        above: &[CertificateDer<'_>],
        usage: KeyUsage,
        now: UnixTime,
    ) -> Result<(), Refused> {
        if above.len() >= CHAIN_MAX {
            return Err(Refused::Malformed);
        }
        let anchors: Vec<TrustAnchor<'_>> = self.authorities.iter().map(|a| a.anchor().clone()).collect();
        let algorithms = &[webpki::aws_lc_rs::ED25519];
        certificate.verify_for_usage(algorithms, &anchors, above, now, usage, None, None).map(drop).map_err(refused)
    }
}

/// The SPIFFE ID under which authorities and issuers sign what they say, which is no node's.
pub(super) fn word_uri(trust_domain: &TrustDomain) -> String {
    format!("{}/authority", trust_domain.uri())
}

/// Authorities that a node trusts at once.
pub(super) const AUTHORITIES_MAX: usize = 4;
/// Certificates of a chain, without its authority's: a node's and its issuer's.
pub(super) const CHAIN_MAX: usize = 2;
