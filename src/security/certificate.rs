//! Reading and checking certificates: whose they are, how long they last, and who issued them.

use bincode::{Decode, Encode};
use prunella_core::PeerId;
use rustls::pki_types::{CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::security::authority::issuer_name;
use crate::security::keys::subject_public_key_info;
use crate::security::twin::{algorithm_of, twin_public_key_info};
use crate::security::{PublicTwins, Refused, SecurityError, SpiffeId, TrustDomain, WorkloadId};

/// The fingerprint of a certificate: BLAKE3 over its DER form, 32 bytes.
pub fn fingerprint(certificate_der: &[u8]) -> [u8; 32] {
    *blake3::hash(certificate_der).as_bytes()
}

/// What a certificate is presented for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Usage {
    Client,
    Server,
}

impl Usage {
    pub(super) fn key_usage(self) -> KeyUsage {
        match self {
            Usage::Client => KeyUsage::client_auth(),
            Usage::Server => KeyUsage::server_auth(),
        }
    }
}

/// The algorithm of a certificate's key, and of all keys above it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032).
    #[default]
    Ed25519,
    /// ML-DSA-65 (FIPS 204).
    MlDsa65,
}

impl Algorithm {
    /// As it is told to people and written in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Ed25519 => "ed25519",
            Algorithm::MlDsa65 => "ml-dsa-65",
        }
    }

    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Ed25519, Self::MlDsa65];

    /// The one algorithm by which signatures of a chain are checked.
    fn verification(self) -> &'static dyn SignatureVerificationAlgorithm {
        match self {
            Algorithm::Ed25519 => webpki::aws_lc_rs::ED25519,
            Algorithm::MlDsa65 => webpki::aws_lc_rs::ML_DSA_65,
        }
    }

    /// Of which algorithm the key of a certificate is.
    ///
    /// # Errors
    /// [`Refused::Malformed`] if it is no certificate or of another algorithm.
    pub fn of(der: &[u8]) -> Result<Self, Refused> {
        let der = CertificateDer::from(der);
        let certificate = EndEntityCert::try_from(&der).map_err(|_| Refused::Malformed)?;
        algorithm_of(&certificate.subject_public_key_info()).ok_or(Refused::Malformed)
    }
}

/// The fingerprint of an authority: BLAKE3 over the [`fingerprint`]s of its certificates. It names both.
pub fn pair_fingerprint(pair: &[impl AsRef<[u8]>]) -> [u8; 32] {
    let hashes: Vec<_> = pair.iter().map(|der| fingerprint(der.as_ref())).collect();
    *blake3::hash(hashes.as_flattened()).as_bytes()
}

/// The fingerprints of authorities whose certificates stand one behind another, two of each.
pub fn pair_fingerprints(authorities: &[Vec<u8>]) -> impl Iterator<Item = [u8; 32]> {
    authorities.chunks(2).map(pair_fingerprint)
}

/// An authority of a mesh, ready to check certificates against: what its Ed25519 key signs, and what its ML-DSA-65 key
/// signs.
#[derive(Clone, Debug)]
pub(super) struct TrustedAuthority {
    pair: [CertificateDer<'static>; 2],
    anchors: [TrustAnchor<'static>; 2],
    trust_domain: TrustDomain,
}

impl TrustedAuthority {
    /// # Errors
    /// [`SecurityError::NotAnAuthority`] if these are not two certificates, Ed25519 and ML-DSA-65, that name the same one
    /// trust domain.
    pub(super) fn new(pair: &[Vec<u8>]) -> Result<Self, SecurityError> {
        let not_an_authority = || SecurityError::NotAnAuthority;
        let pair: &[Vec<u8>; 2] = pair.try_into().map_err(|_| not_an_authority())?;
        let pair = pair.clone().map(CertificateDer::from);
        let read = |der: &CertificateDer<'static>, algorithm| {
            let anchor = anchor_from_trusted_cert(der).ok()?.to_owned();
            let certificate = EndEntityCert::try_from(der).ok()?;
            let trust_domain = TrustDomain::from_uri(only_uri(&certificate)?).ok()?;
            let is_of = algorithm_of(&certificate.subject_public_key_info()) == Some(algorithm);
            is_of.then_some((anchor, trust_domain))
        };
        let (anchor, trust_domain) = read(&pair[0], Algorithm::Ed25519).ok_or_else(not_an_authority)?;
        let (of_twin, same) = read(&pair[1], Algorithm::MlDsa65).ok_or_else(not_an_authority)?;
        if trust_domain != same {
            return Err(not_an_authority());
        }
        Ok(Self { pair, anchors: [anchor, of_twin], trust_domain })
    }

    /// Both certificates: Ed25519, then ML-DSA-65.
    pub(super) fn pair(&self) -> &[CertificateDer<'static>; 2] {
        &self.pair
    }

    pub(super) fn fingerprint(&self) -> [u8; 32] {
        pair_fingerprint(&self.pair)
    }

    pub(super) fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Whether the certificates are of these keys.
    pub(super) fn has_keys(&self, keys: &PublicTwins) -> bool {
        are_of_keys(&self.pair, keys)
    }

    pub(super) fn anchor(&self, algorithm: Algorithm) -> &TrustAnchor<'static> {
        &self.anchors[algorithm as usize]
    }
}

/// Whether a pair of certificates, of whatever kind, is of these keys.
pub(super) fn are_of_keys(pair: &[CertificateDer<'_>; 2], keys: &PublicTwins) -> bool {
    let is_of = |der, info: Vec<u8>| {
        EndEntityCert::try_from(der).is_ok_and(|certificate| *certificate.subject_public_key_info() == *info)
    };
    is_of(&pair[0], subject_public_key_info(&keys.key)) && is_of(&pair[1], twin_public_key_info(&keys.twin))
}

/// Whether a certificate is of the issuer with this Ed25519 key: of that key, or of its twin, whose authority gave it the
/// same name.
pub(super) fn is_of_issuer(der: &CertificateDer<'_>, key: &PeerId) -> bool {
    EndEntityCert::try_from(der).is_ok_and(|certificate| {
        *certificate.subject_public_key_info() == *subject_public_key_info(key)
            || certificate.subject().ends_with(issuer_name(key).as_bytes())
    })
}

/// Checks a chain above a certificate at `now`: every signature of it is of this algorithm.
pub(super) fn check_chain(
    (certificate, above): (&EndEntityCert<'_>, &[CertificateDer<'_>]),
    (algorithm, anchors): (Algorithm, &[TrustAnchor<'_>]),
    usage: KeyUsage,
    now: UnixTime,
) -> Result<(), Refused> {
    let algorithms = &[algorithm.verification()];
    certificate.verify_for_usage(algorithms, anchors, above, now, usage, None, None).map(drop).map_err(refused)
}

/// What a certificate says of the node that it names. The certificate must have been checked.
pub(super) fn id_of(der: &CertificateDer<'_>) -> Result<SpiffeId, Refused> {
    spiffe_id(&EndEntityCert::try_from(der).map_err(|_| Refused::Malformed)?)
}

/// The workload as which the node of this chain (DER, leaf first) was admitted; `None` if on an invitation. The chain must
/// have been checked.
pub fn workload_of(chain: &[Vec<u8>]) -> Option<WorkloadId> {
    id_of(&CertificateDer::from(chain.first()?.as_slice())).ok()?.workload
}

/// The first and the last second at which a certificate is valid, since the Unix epoch.
///
/// webpki does not tell them, except in its refusal of a moment that lies outside; so it is asked about such moments.
/// It looks at the time before anything else in a chain.
pub(super) fn validity(der: &CertificateDer<'_>) -> Result<(UnixTime, UnixTime), Refused> {
    let certificate = EndEntityCert::try_from(der).map_err(|_| Refused::Malformed)?;
    let ask = |moment| {
        let algorithms = &[webpki::aws_lc_rs::ED25519];
        certificate.verify_for_usage(algorithms, &[], &[], moment, KeyUsage::client_auth(), None, None).err()
    };
    let early = ask(UnixTime::since_unix_epoch(std::time::Duration::ZERO));
    let late = ask(UnixTime::since_unix_epoch(std::time::Duration::from_secs(END_OF_TIME)));
    match (early, late) {
        (
            Some(webpki::Error::CertNotValidYet { not_before, .. }),
            Some(webpki::Error::CertExpired { not_after, .. }),
        ) => Ok((not_before, not_after)),
        _ => Err(Refused::Malformed),
    }
}

/// A node's certificate carries exactly one URI (SPIFFE X.509-SVID, section 2).
pub(super) fn spiffe_id(certificate: &EndEntityCert<'_>) -> Result<SpiffeId, Refused> {
    only_uri(certificate).and_then(|uri| uri.parse().ok()).ok_or(Refused::Malformed)
}

pub(super) fn only_uri<'a>(certificate: &EndEntityCert<'a>) -> Option<&'a str> {
    let mut uris = certificate.valid_uri_names();
    let uri = uris.next()?;
    uris.next().is_none().then_some(uri)
}

/// A signature that does not fit the authority's key is a stranger's, too: another authority may bear the same name.
pub(super) fn refused(error: webpki::Error) -> Refused {
    use webpki::Error::{
        CertExpired, CertNotValidYet, InvalidSignatureForPublicKey, UnknownIssuer,
        UnsupportedSignatureAlgorithmContext, UnsupportedSignatureAlgorithmForPublicKeyContext,
    };
    match error {
        CertExpired { .. } => Refused::Expired,
        CertNotValidYet { .. } => Refused::NotYetValid,
        UnknownIssuer
        | InvalidSignatureForPublicKey
        | UnsupportedSignatureAlgorithmContext(_)
        | UnsupportedSignatureAlgorithmForPublicKeyContext(_) => Refused::Stranger,
        _ => Refused::Malformed,
    }
}

/// The last second of the year 9999, which a certificate without an end claims (RFC 5280, section 4.1.2.5), and one.
const END_OF_TIME: u64 = 253_402_300_800;
