//! How a node checks the certificate at the other end of a handshake.

use std::sync::Arc;

use prunella_core::PeerId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, SignatureScheme};

use crate::security::bundle::Bundle;
use crate::security::certificate::Usage;
use crate::security::credentials::Shared;
use crate::security::{Algorithm, Refused, pair_fingerprint};

/// The server name under which a peer is dialed. It never leaves this node: the names of peers are not sent in clear.
pub fn server_name(peer: &PeerId) -> String {
    format!("{peer}{SERVER_NAME_SUFFIX}")
}

/// Whether a server insists on a client certificate. One that is presented is checked in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientCertificate {
    Mandatory,
    Optional,
}

/// The methods that every verifier has alike: handshakes are signed with Ed25519 or ML-DSA-65, in
/// TLS 1.3. Both are offered everywhere, so that a node with a certificate of the other kind is refused for that, by name, when
/// its certificate is checked; only then is a signature looked at.
macro_rules! mesh_signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _message: &[u8],
            _certificate: &CertificateDer<'_>,
            _signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Err(rustls::PeerIncompatible::Tls13RequiredForQuic.into())
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signature: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            verify_tls13_signature(message, certificate, signature, &SIGNATURES)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            SIGNATURES.supported_schemes()
        }
    };
}

/// A member checks another: same authorities, and as a client that it is the peer that was dialed.
#[derive(Debug)]
pub(super) struct MemberVerifier {
    pub(super) shared: Arc<Shared>,
    /// Asked by servers only.
    pub(super) certificate: ClientCertificate,
}

impl MemberVerifier {
    /// A server that answers a joining host shows the authorities' certificates as well, which a member has.
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        usage: Usage,
        now: UnixTime,
    ) -> Result<PeerId, Refused> {
        let trust = self.shared.trust.load();
        let authorities: Vec<_> = trust.authorities.ders().collect();
        let above = intermediates.iter().filter(|der| !authorities.contains(der));
        let chain: Vec<_> = std::iter::once(certificate).chain(above).cloned().collect();
        trust.check(&chain, usage, now)
    }
}

impl ServerCertVerifier for MemberVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let peer = self.check(certificate, intermediates, Usage::Server, now)?;
        let dialed = dialed_peer(server_name).ok_or(Refused::NotDialed)?;
        if peer == dialed { Ok(ServerCertVerified::assertion()) } else { Err(Refused::NotDialed.into()) }
    }

    mesh_signatures!();
}

impl ClientCertVerifier for MemberVerifier {
    fn client_auth_mandatory(&self) -> bool {
        self.certificate == ClientCertificate::Mandatory
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(certificate, intermediates, Usage::Client, now)?;
        Ok(ClientCertVerified::assertion())
    }

    mesh_signatures!();
}

/// A joining host checks its inviter by what the token, or its operator, says.
#[derive(Debug)]
pub(super) struct InviterVerifier {
    pub(super) authority_fingerprint: [u8; 32],
    pub(super) trust_domain: Option<String>,
    pub(super) inviter: PeerId,
    /// Of which algorithm its certificate must be.
    pub(super) certificates: Algorithm,
}

impl InviterVerifier {
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Refused> {
        let named = chain.windows(2).position(|pair| pair_fingerprint(pair) == self.authority_fingerprint);
        let named = named.ok_or(Refused::Stranger)?;
        let pair = [&chain[named], &chain[named + 1]].map(|der| der.to_vec());
        let authority = Bundle::new(&pair, self.certificates).map_err(|_| Refused::Malformed)?;
        if self.trust_domain.as_ref().is_some_and(|named| authority.trust_domain().as_str() != named) {
            return Err(Refused::WrongTrustDomain);
        }
        // The issuer's certificate comes first, the authorities' follow.
        let issued: Vec<_> = std::iter::once(certificate).chain(chain[..named].first()).cloned().collect();
        let peer = authority.check(&issued, Usage::Server, now)?;
        if peer == self.inviter { Ok(()) } else { Err(Refused::NotDialed) }
    }
}

impl ServerCertVerifier for InviterVerifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(certificate, intermediates, now)?;
        Ok(ServerCertVerified::assertion())
    }

    mesh_signatures!();
}

fn dialed_peer(server_name: &ServerName<'_>) -> Option<PeerId> {
    server_name.to_str().strip_suffix(SERVER_NAME_SUFFIX)?.parse().ok()
}

const SERVER_NAME_SUFFIX: &str = ".prunella";

/// The only signatures that are spoken in handshakes. Which of the two is for the certificate to say.
pub(super) static SIGNATURES: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[webpki::aws_lc_rs::ED25519, webpki::aws_lc_rs::ML_DSA_65],
    mapping: &[
        (SignatureScheme::ED25519, &[webpki::aws_lc_rs::ED25519]),
        (SignatureScheme::ML_DSA_65, &[webpki::aws_lc_rs::ML_DSA_65]),
    ],
};
