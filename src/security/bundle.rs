//! The authorities that a node trusts: mostly one, two while one takes the other's place.

use data_encoding::HEXLOWER;
use prunella_core::PeerId;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use crate::security::certificate::{TrustedAuthority, Usage, check_chain, only_uri, spiffe_id};
use crate::security::keys::subject_public_key_info;
use crate::security::twin::algorithm_of;
use crate::security::{Algorithm, Refused, SecurityError, TrustDomain, fingerprint, pair_fingerprint};

/// Authorities of one trust domain, the newest first. Never empty.
#[derive(Clone, Debug)]
pub(super) struct Bundle {
    authorities: Vec<TrustedAuthority>,
    certificates: Algorithm,
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
    /// Trusts these authorities: the certificates of each, DER, Ed25519 and then ML-DSA-65, the newest authority first.
    /// Nodes are certified by keys of the one algorithm.
    ///
    /// # Errors
    /// [`SecurityError::NotAnAuthority`] if there is none, one too many, one that is no authority's pair or is of another
    /// trust domain than the first.
    pub(super) fn new(ders: &[Vec<u8>], certificates: Algorithm) -> Result<Self, SecurityError> {
        let authorities: Vec<_> = ders.chunks(2).map(TrustedAuthority::new).collect::<Result<_, _>>()?;
        let domain = authorities.first().map(TrustedAuthority::trust_domain);
        let fits = domain.is_some() && authorities.iter().all(|authority| Some(authority.trust_domain()) == domain);
        if !fits || authorities.len() > AUTHORITIES_MAX {
            return Err(SecurityError::NotAnAuthority);
        }
        Ok(Self { authorities, certificates })
    }

    pub(super) fn trust_domain(&self) -> &TrustDomain {
        self.newest().trust_domain()
    }

    /// Of which algorithm the certificates of nodes are, and every key above them.
    pub(super) fn certificates(&self) -> Algorithm {
        self.certificates
    }

    /// The same authorities, for nodes that are certified by keys of this algorithm.
    pub(super) fn certifying(self, certificates: Algorithm) -> Self {
        Self { certificates, ..self }
    }

    pub(super) fn newest(&self) -> &TrustedAuthority {
        &self.authorities[0]
    }

    /// The certificates of the authorities, as [`new`](Self::new) takes them.
    pub(super) fn ders(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.authorities.iter().flat_map(TrustedAuthority::pair)
    }

    /// The same with one more authority, which is the newest.
    ///
    /// # Errors
    /// As [`Bundle::new`].
    pub(super) fn with(&self, authority: &[Vec<u8>]) -> Result<Self, SecurityError> {
        let mut authorities = self.authorities.clone();
        authorities.retain(|trusted| trusted.fingerprint() != pair_fingerprint(authority));
        let others = authorities.iter().flat_map(TrustedAuthority::pair).map(|der| der.to_vec());
        Self::new(&authority.iter().cloned().chain(others).collect::<Vec<_>>(), self.certificates)
    }

    /// The same without one; `None` if it is the only one.
    pub(super) fn without(&self, authority: &[u8; 32]) -> Option<Self> {
        let mut authorities = self.authorities.clone();
        authorities.retain(|trusted| trusted.fingerprint() != *authority);
        (!authorities.is_empty()).then_some(Self { authorities, certificates: self.certificates })
    }

    /// The node that a chain certifies at `now`, leaf first: issued here, possibly by an appointed issuer, for `usage`, of
    /// this mesh's algorithm, and named like its Ed25519 key.
    pub(super) fn check(&self, chain: &[CertificateDer<'_>], usage: Usage, now: UnixTime) -> Result<PeerId, Refused> {
        let (leaf, above) = chain.split_first().ok_or(Refused::NoCertificate)?;
        let certificate = EndEntityCert::try_from(leaf).map_err(|_| Refused::Malformed)?;
        let id = spiffe_id(&certificate);
        // A stranger's certificate may be refused for many reasons; that it is of another mesh is the first one to tell.
        if id.as_ref().is_ok_and(|id| id.trust_domain != *self.trust_domain()) {
            return Err(Refused::WrongTrustDomain);
        }
        let key = certificate.subject_public_key_info();
        // Before anything is asked about who signed it: another kind of mesh may have the same name.
        if algorithm_of(&key).is_some_and(|algorithm| algorithm != self.certificates) {
            return Err(Refused::WrongAlgorithm);
        }
        if above.len() >= CHAIN_MAX {
            return Err(Refused::Malformed);
        }
        let anchors: Vec<_> = self.authorities.iter().map(|a| a.anchor(self.certificates).clone()).collect();
        check_chain((&certificate, above), (self.certificates, &anchors), usage.key_usage(), now)?;
        let peer = id?.peer;
        // That an ML-DSA-65 key is the peer's is the issuer's word, who has seen proofs of both keys.
        if self.certificates == Algorithm::Ed25519 && *key != *subject_public_key_info(&peer) {
            return Err(Refused::KeyMismatch);
        }
        Ok(peer)
    }

    /// Whose word a message is at `now`: the chains of both halves, leaf first, lead from the message to one authority,
    /// through one issuer or none; every signature of the first is of Ed25519, of the second of ML-DSA-65.
    pub(super) fn check_word(
        &self,
        halves: [&[CertificateDer<'_>]; 2],
        message: &[u8],
        now: UnixTime,
    ) -> Result<Rank, Refused> {
        let mut refused = Refused::Stranger;
        for authority in &self.authorities {
            match halves_lead_to(authority, halves, message, now) {
                Ok(rank) => return Ok(rank),
                Err(Refused::Stranger) => {}
                Err(other) => refused = other,
            }
        }
        Err(refused)
    }
}

fn halves_lead_to(
    authority: &TrustedAuthority,
    halves: [&[CertificateDer<'_>]; 2],
    message: &[u8],
    now: UnixTime,
) -> Result<Rank, Refused> {
    let uri = word_uri(authority.trust_domain(), message);
    for (half, algorithm) in halves.into_iter().zip([Algorithm::Ed25519, Algorithm::MlDsa65]) {
        let (leaf, above) = half.split_first().ok_or(Refused::NoCertificate)?;
        let certificate = EndEntityCert::try_from(leaf).map_err(|_| Refused::Malformed)?;
        let named = only_uri(&certificate).ok_or(Refused::Malformed)?;
        if !named.starts_with(&word_root(authority.trust_domain())) {
            return Err(Refused::WrongTrustDomain);
        }
        if above.len() >= CHAIN_MAX {
            return Err(Refused::Malformed);
        }
        let anchors = std::slice::from_ref(authority.anchor(algorithm));
        check_chain((&certificate, above), (algorithm, anchors), KeyUsage::client_auth(), now)?;
        if named != uri {
            return Err(Refused::KeyMismatch);
        }
    }
    // An authority gives both keys of an issuer one name, and no two issuers the same.
    match halves.map(|half| &half[1..]) {
        [[], []] => Ok(Rank::Authority),
        [[issuer], [of_twin]] if names(issuer)? == names(of_twin)? => Ok(Rank::Issuer),
        _ => Err(Refused::KeyMismatch),
    }
}

/// What a certificate calls whose it is, encoded.
fn names(der: &CertificateDer<'_>) -> Result<Vec<u8>, Refused> {
    EndEntityCert::try_from(der).map(|certificate| certificate.subject().to_vec()).map_err(|_| Refused::Malformed)
}

/// The SPIFFE ID in the certificates by which authorities and issuers say a message: it is no node's, and of this message
/// alone.
pub(super) fn word_uri(trust_domain: &TrustDomain, message: &[u8]) -> String {
    word_root(trust_domain) + &HEXLOWER.encode(&fingerprint(message))
}

fn word_root(trust_domain: &TrustDomain) -> String {
    format!("{}/authority/", trust_domain.uri())
}

/// Authorities that a node trusts at once.
pub(super) const AUTHORITIES_MAX: usize = 4;
/// Certificates of a chain, without its authority's: a node's and its issuer's.
pub(super) const CHAIN_MAX: usize = 2;
