//! Reading and checking certificates: whose they are, how long they last, and who issued them.

use prunella_core::PeerId;
use rustls::pki_types::{CertificateDer, TrustAnchor, UnixTime};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use crate::security::keys::subject_public_key_info;
use crate::security::{Refused, SecurityError, SpiffeId, TrustDomain, WorkloadId};

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

/// An authority of a mesh, ready to check certificates against.
#[derive(Clone, Debug)]
pub(super) struct TrustedAuthority {
    der: CertificateDer<'static>,
    anchor: TrustAnchor<'static>,
    trust_domain: TrustDomain,
}

impl TrustedAuthority {
    /// # Errors
    /// [`SecurityError::NotAnAuthority`] if it does not parse or does not name exactly one trust domain.
    pub(super) fn new(der: &[u8]) -> Result<Self, SecurityError> {
        let der = CertificateDer::from(der.to_vec());
        let not_an_authority = |_| SecurityError::NotAnAuthority;
        let anchor = anchor_from_trusted_cert(&der).map_err(not_an_authority)?.to_owned();
        let trust_domain = {
            let certificate = EndEntityCert::try_from(&der).map_err(not_an_authority)?;
            let uri = only_uri(&certificate).ok_or(SecurityError::NotAnAuthority)?;
            TrustDomain::from_uri(uri).map_err(|_| SecurityError::NotAnAuthority)?
        };
        Ok(Self { der, anchor, trust_domain })
    }

    pub(super) fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    pub(super) fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// Whether the authority certifies the key of `peer` as its own.
    pub(super) fn is_key_of(&self, peer: &PeerId) -> bool {
        is_of_key(&self.der, peer)
    }

    pub(super) fn anchor(&self) -> &TrustAnchor<'static> {
        &self.anchor
    }
}

/// Whether a certificate, of whatever kind, is one of this key.
pub(super) fn is_of_key(der: &CertificateDer<'_>, key: &PeerId) -> bool {
    let certificate = EndEntityCert::try_from(der);
    certificate.is_ok_and(|certificate| *certificate.subject_public_key_info() == *subject_public_key_info(key))
}

/// Checks that the key of a certificate signed a message.
pub(super) fn signs_with(certificate: &EndEntityCert<'_>, message: &[u8], signature: &[u8]) -> Result<(), Refused> {
    let checked = certificate.verify_signature(webpki::aws_lc_rs::ED25519, message, signature);
    checked.map_err(|_| Refused::KeyMismatch)
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
