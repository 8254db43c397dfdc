//! Why a handshake was refused, and how both sides learn it.
//!
//! Every reason has a TLS alert of its own (RFC 8446, section 6.2), which QUIC carries as a transport error code
//! (RFC 9001, section 4.8). So the side that refuses and the side that is refused read the same reason from the code;
//! the text that comes with it is never trusted or shown.

use std::fmt;
use std::sync::Arc;

use quinn::{ConnectionError, VarInt};
use rustls::{AlertDescription, CertificateError, OtherError};

/// Why one side of a handshake turned the other away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// The certificate was not issued by this mesh's authority.
    #[error("the certificate was not issued by this mesh's authority")]
    Stranger,
    /// The certificate's time is over.
    #[error("the certificate has expired")]
    Expired,
    /// The certificate's time has not come.
    #[error("the certificate is not valid yet")]
    NotYetValid,
    /// The certificate is of another mesh.
    #[error("the certificate belongs to another trust domain")]
    WrongTrustDomain,
    /// Somebody else answered than the peer that was dialed.
    #[error("the certificate is of another node than the one dialed")]
    NotDialed,
    /// No certificate was presented where one is required.
    #[error("no certificate was presented")]
    NoCertificate,
    /// The key does not fit: not the one that the certificate's name says, or not held by who presents it.
    #[error("the certificate does not fit the key")]
    KeyMismatch,
    /// The certificate is not one of a node: unreadable, without one SPIFFE ID, or not for this use.
    #[error("the certificate is not one of a mesh node")]
    Malformed,
    /// No key exchange in common: one side does not offer X25519MLKEM768.
    #[error("no key exchange in common (X25519MLKEM768 is required)")]
    NoKeyExchange,
    /// No protocol in common: one side does not speak this version, or not on this endpoint.
    #[error("no protocol in common")]
    NoProtocol,
    /// The certificate is of another algorithm than the mesh's: Ed25519 or ML-DSA-65.
    #[error("the certificate is of another algorithm than this mesh's")]
    WrongAlgorithm,
    /// The authority, or an issuer, has revoked the node, or dismissed whoever certified it.
    #[error("the certificate was revoked")]
    Revoked,
}

/// Which side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// This node.
    Local,
    /// The node at the other end.
    Remote,
}

/// A handshake that was refused: by whom, and why. Its text says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeRefused {
    /// Who refused.
    pub by: Side,
    /// Why; it is the other side's certificate or offer that is meant.
    pub reason: Refused,
}

/// The reason behind a failed or closed connection, if it was refused for who the other side is.
///
/// `None` for everything else: time-outs, resets, ordinary closing.
pub fn explain(error: &ConnectionError) -> Option<HandshakeRefused> {
    let (by, code) = match error {
        ConnectionError::TransportError(error) => (Side::Local, u64::from(error.code)),
        ConnectionError::ConnectionClosed(close) => (Side::Remote, u64::from(close.error_code)),
        ConnectionError::ApplicationClosed(close) => (Side::Remote, close.error_code.into_inner()),
        _ => return None,
    };
    Some(HandshakeRefused { by, reason: Refused::from_code(code)? })
}

impl Refused {
    /// Every reason, in the order in which counters are listed.
    pub const ALL: [Refused; 12] = [
        Refused::Stranger,
        Refused::Expired,
        Refused::NotYetValid,
        Refused::WrongTrustDomain,
        Refused::NotDialed,
        Refused::NoCertificate,
        Refused::KeyMismatch,
        Refused::Malformed,
        Refused::NoKeyExchange,
        Refused::NoProtocol,
        Refused::WrongAlgorithm,
        Refused::Revoked,
    ];

    /// The name under which the reason is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Refused::Stranger => "stranger",
            Refused::Expired => "expired",
            Refused::NotYetValid => "not_yet_valid",
            Refused::WrongTrustDomain => "wrong_trust_domain",
            Refused::NotDialed => "not_dialed",
            Refused::NoCertificate => "no_certificate",
            Refused::KeyMismatch => "key_mismatch",
            Refused::Malformed => "malformed",
            Refused::NoKeyExchange => "no_key_exchange",
            Refused::NoProtocol => "no_protocol",
            Refused::WrongAlgorithm => "wrong_algorithm",
            Refused::Revoked => "revoked",
        }
    }

    /// Closes a connection for this reason after its handshake, so that the other side's [`explain`] finds it.
    ///
    /// The codes are 0x100 to 0x1ff, as for TLS alerts: other application codes must stay outside.
    pub fn close(self, connection: &quinn::Connection) {
        connection.close(VarInt::from_u32(ALERT_BASE | u32::from(u8::from(self.alert()))), b"");
    }

    fn from_code(code: u64) -> Option<Self> {
        let alert = u8::try_from(code.checked_sub(u64::from(ALERT_BASE))?).ok()?;
        Refused::ALL.into_iter().find(|reason| u8::from(reason.alert()) == alert)
    }

    /// The alert for each reason, no two the same. For a certificate that is not valid yet, RFC 8446 suggests the same
    /// alert as for an expired one; telling them apart points at the clock that is wrong.
    const fn alert(self) -> AlertDescription {
        match self {
            Refused::Stranger => AlertDescription::UnknownCA,
            Refused::Expired => AlertDescription::CertificateExpired,
            Refused::NotYetValid => AlertDescription::CertificateUnknown,
            Refused::WrongTrustDomain => AlertDescription::AccessDenied,
            Refused::NotDialed => AlertDescription::BadCertificate,
            Refused::NoCertificate => AlertDescription::CertificateRequired,
            Refused::KeyMismatch => AlertDescription::DecryptError,
            Refused::Malformed => AlertDescription::UnsupportedCertificate,
            Refused::NoKeyExchange => AlertDescription::HandshakeFailure,
            Refused::NoProtocol => AlertDescription::NoApplicationProtocol,
            // Nobody here speaks OCSP, so that nothing else has this alert.
            Refused::WrongAlgorithm => AlertDescription::BadCertificateStatusResponse,
            Refused::Revoked => AlertDescription::CertificateRevoked,
        }
    }
}

/// What a verifier returns: rustls derives the alert from the variant, so each is chosen for the alert of its reason.
impl From<Refused> for rustls::Error {
    fn from(reason: Refused) -> rustls::Error {
        let error = match reason {
            Refused::Stranger => CertificateError::UnknownIssuer,
            Refused::Expired => CertificateError::Expired,
            Refused::WrongTrustDomain => CertificateError::ApplicationVerificationFailure,
            Refused::NotDialed => CertificateError::NotValidForName,
            Refused::KeyMismatch => CertificateError::BadSignature,
            Refused::Malformed => CertificateError::InvalidPurpose,
            Refused::NoCertificate => return rustls::Error::NoCertificatesPresented,
            Refused::WrongAlgorithm => CertificateError::InvalidOcspResponse,
            Refused::Revoked => CertificateError::Revoked,
            Refused::NotYetValid | Refused::NoKeyExchange | Refused::NoProtocol => {
                CertificateError::Other(OtherError(Arc::new(reason)))
            }
        };
        rustls::Error::InvalidCertificate(error)
    }
}

impl fmt::Display for HandshakeRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.by, self.reason) {
            (Side::Local, reason) => local_text(reason),
            (Side::Remote, reason) => remote_text(reason),
        })
    }
}

impl std::error::Error for HandshakeRefused {}

fn local_text(reason: Refused) -> &'static str {
    match reason {
        Refused::Stranger => "the peer is a stranger: its certificate was not issued by this mesh's authority",
        Refused::Expired => "the peer's certificate has expired; it must renew, or a clock is wrong",
        Refused::NotYetValid => "the peer's certificate is not valid yet; check the clocks of both hosts",
        Refused::WrongTrustDomain => "the peer belongs to another mesh: its trust domain is not this node's",
        Refused::NotDialed => "another node than the one dialed answers at that address",
        Refused::NoCertificate => "the peer presented no certificate; it must join first",
        Refused::KeyMismatch => "the peer does not hold the key that its certificate names",
        Refused::Malformed => "the peer's certificate is not one of a mesh node",
        Refused::NoKeyExchange => "the peer does not offer the post-quantum key exchange X25519MLKEM768",
        Refused::NoProtocol => "the peer does not speak this protocol or version",
        Refused::WrongAlgorithm => {
            "the peer's certificate is of another algorithm than this mesh's, which is chosen when a mesh is founded"
        }
        Refused::Revoked => {
            "the peer was revoked, or whoever certified it was dismissed: `prunella cert list` says why"
        }
    }
}

fn remote_text(reason: Refused) -> &'static str {
    match reason {
        Refused::Stranger => "the peer does not know this node's authority; both must be admitted to the same mesh",
        Refused::Expired => "the peer says that this node's certificate has expired; join again, or check the clocks",
        Refused::NotYetValid => "the peer says that this node's certificate is not valid yet; check the clocks",
        Refused::WrongTrustDomain => "the peer belongs to another mesh: this node's trust domain is not the peer's",
        Refused::NotDialed => "the peer dialed another node than this one; its address for that node is out of date",
        Refused::NoCertificate => "the peer requires a certificate and this node presented none; join first",
        Refused::KeyMismatch => "the peer says that this node's certificate does not fit its key",
        Refused::Malformed => "the peer says that this node's certificate is not one of a mesh node",
        Refused::NoKeyExchange => "the peer does not accept the post-quantum key exchange X25519MLKEM768",
        Refused::NoProtocol => "the peer does not speak this protocol or version",
        Refused::WrongAlgorithm => {
            "the peer says that this node's certificate is of another algorithm than the mesh's; it must join anew"
        }
        Refused::Revoked => "the peer says that this node was revoked; an operator must reinstate it",
    }
}

const ALERT_BASE: u32 = 0x100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_an_alert_of_its_own() {
        for reason in Refused::ALL {
            let code = u64::from(ALERT_BASE) + u64::from(u8::from(reason.alert()));
            assert_eq!(Refused::from_code(code), Some(reason));
        }
    }

    #[test]
    fn the_error_of_a_verifier_leads_to_the_alert_of_its_reason() {
        for reason in Refused::ALL {
            if let rustls::Error::InvalidCertificate(error) = rustls::Error::from(reason)
                && !matches!(reason, Refused::NoKeyExchange | Refused::NoProtocol)
            {
                assert_eq!(AlertDescription::from(error), reason.alert(), "{reason:?}");
            }
        }
    }

    #[test]
    fn other_ends_of_a_connection_are_no_refusal() {
        assert_eq!(explain(&ConnectionError::TimedOut), None);
        assert_eq!(explain(&ConnectionError::LocallyClosed), None);
        assert_eq!(Refused::from_code(0), None);
        assert_eq!(Refused::from_code(0x100), None);
        assert_eq!(Refused::from_code(0x230), None);
    }
}
