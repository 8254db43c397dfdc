//! What this node presents and trusts.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prunella_core::PeerId;
use prunella_core::identity::Identity;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

use crate::security::certificate::{TrustedAuthority, Usage, fingerprint, validity};
use crate::security::keys::Signer;
use crate::security::verifier::ClientCertificate;
use crate::security::{Refused, SecurityError, state, tls};

/// A node's key, its current certificate and the authority that it trusts. Cheap to clone; clones share the
/// certificate, so that a renewed one is presented everywhere from the next handshake on.
#[derive(Clone, Debug)]
pub struct Credentials {
    identity: Identity,
    pub(super) shared: Arc<Shared>,
}

/// What TLS configurations hold on to.
#[derive(Debug)]
pub(super) struct Shared {
    signer: Arc<Signer>,
    pub(super) authority: TrustedAuthority,
    presented: ArcSwap<Presented>,
    /// By which certificates are judged.
    pub(super) time: Arc<dyn TimeProvider>,
}

/// The current certificate, ready to be presented.
#[derive(Debug)]
pub(super) struct Presented {
    /// The certificate alone: a member of the mesh has the authority's.
    pub(super) alone: Arc<CertifiedKey>,
    /// With the authority's certificate, for a joining host, which knows only its fingerprint.
    pub(super) with_authority: Arc<CertifiedKey>,
    expires_unix: u64,
}

impl Credentials {
    /// Loads them from a state directory.
    ///
    /// The certificate may have expired meanwhile: see [`Credentials::certificate_expiry_unix`].
    ///
    /// # Errors
    /// [`SecurityError::NotAMember`] if no mesh was founded or joined from there; otherwise which file cannot be used
    /// and why.
    pub fn load(dir: &Path) -> Result<Self, SecurityError> {
        state::load(dir)
    }

    /// Credentials from their parts; certificates in DER form.
    ///
    /// # Errors
    /// [`SecurityError::NotAnAuthority`], or [`SecurityError::OwnCertificate`] if the authority did not certify this
    /// identity.
    pub fn new(identity: Identity, certificate_der: Vec<u8>, authority_der: Vec<u8>) -> Result<Self, SecurityError> {
        let authority = TrustedAuthority::new(&authority_der)?;
        let signer = Arc::new(Signer::new(identity.clone()));
        let presented = present(&authority, &signer, certificate_der).map_err(SecurityError::OwnCertificate)?;
        let (presented, time) = (ArcSwap::from_pointee(presented), Arc::new(DefaultTimeProvider));
        let shared = Shared { signer, authority, presented, time };
        Ok(Self { identity, shared: Arc::new(shared) })
    }

    /// The same credentials, for a node that judges others' certificates by this clock instead of the system's. Clones
    /// made before share nothing with them.
    pub fn with_time(self, time: Arc<dyn TimeProvider>) -> Self {
        let Shared { signer, authority, .. } = &*self.shared;
        let presented = ArcSwap::new(self.shared.presented());
        let shared = Shared { signer: signer.clone(), authority: authority.clone(), presented, time };
        Self { identity: self.identity, shared: Arc::new(shared) }
    }

    /// The node's key.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who this node is.
    pub fn peer(&self) -> PeerId {
        self.identity.peer()
    }

    /// The name of the mesh.
    pub fn trust_domain(&self) -> &str {
        self.shared.authority.trust_domain().as_str()
    }

    /// The [`fingerprint`] of the authority's certificate.
    pub fn authority_fingerprint(&self) -> [u8; 32] {
        fingerprint(self.shared.authority.der())
    }

    /// The last second at which the certificate is valid, since the Unix epoch.
    pub fn certificate_expiry_unix(&self) -> u64 {
        self.shared.presented().expires_unix
    }

    /// The node's current certificate, DER.
    pub fn certificate_der(&self) -> Vec<u8> {
        self.shared.presented().alone.cert[0].to_vec()
    }

    /// The authority's certificate, DER.
    pub fn authority_der(&self) -> &[u8] {
        self.shared.authority.der()
    }

    /// Presents another certificate (DER) from the next handshake on, in every clone and in every configuration made
    /// so far.
    ///
    /// # Errors
    /// [`SecurityError::OwnCertificate`] if the authority did not certify this identity with it; the former
    /// certificate stays.
    pub fn replace_certificate(&self, der: Vec<u8>) -> Result<(), SecurityError> {
        let shared = &self.shared;
        let presented = present(&shared.authority, &shared.signer, der).map_err(SecurityError::OwnCertificate)?;
        shared.presented.store(Arc::new(presented));
        Ok(())
    }

    /// For the endpoint of links and admissions: speaks [`crate::security::LINK_ALPN`] and
    /// [`crate::security::JOIN_ALPN`].
    ///
    /// A client certificate is checked if there is one, but TLS cannot require it for one protocol and not for the
    /// other: on a link, call [`crate::security::authenticated_peer`] before anything else.
    pub fn link_server(&self) -> Arc<rustls::ServerConfig> {
        tls::server(&self.shared, &[tls::LINK_ALPN, tls::JOIN_ALPN], ClientCertificate::Optional)
    }

    /// For the endpoint of sessions: speaks [`crate::security::SESSION_ALPN`]; a client certificate is mandatory.
    pub fn session_server(&self) -> Arc<rustls::ServerConfig> {
        tls::server(&self.shared, &[tls::SESSION_ALPN], ClientCertificate::Mandatory)
    }

    /// Presents this node's certificate; the server must be the peer in the server name (see
    /// [`crate::security::server_name`]).
    ///
    /// Beware: in TLS 1.3 a client's handshake is complete before the server has looked at the client's certificate.
    /// Only what the server then sends tells that this node was accepted.
    pub fn client(&self, alpn: &[u8]) -> Arc<rustls::ClientConfig> {
        tls::client(&self.shared, alpn)
    }
}

impl Shared {
    pub(super) fn presented(&self) -> Arc<Presented> {
        self.presented.load_full()
    }
}

/// Checks a certificate of this node's own, at a moment at which it is valid: that it has expired is for the other
/// side to refuse, and for this node to repair.
fn present(authority: &TrustedAuthority, signer: &Arc<Signer>, der: Vec<u8>) -> Result<Presented, Refused> {
    let der = CertificateDer::from(der);
    let (from, until) = validity(&der)?;
    for usage in [Usage::Client, Usage::Server] {
        if authority.check(&der, usage, from)? != signer.identity().peer() {
            return Err(Refused::KeyMismatch);
        }
    }
    let certified = |chain| Arc::new(CertifiedKey::new(chain, signer.clone()));
    Ok(Presented {
        alone: certified(vec![der.clone()]),
        with_authority: certified(vec![der, authority.der().clone()]),
        expires_unix: until.as_secs(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::{Authority, CERTIFICATE_LIFE};

    const NOW: u64 = 1_800_000_000;

    fn authority(name: &str) -> Authority {
        Authority::found(&name.parse().unwrap(), NOW).unwrap()
    }

    #[test]
    fn credentials_tell_what_they_are() {
        let (authority, me) = (authority("lab"), Identity::from_secret(&[1; 32]));
        let certificate = authority.issue(&me.peer(), NOW, CERTIFICATE_LIFE).unwrap();
        let credentials =
            Credentials::new(me.clone(), certificate.clone(), authority.certificate_der().to_vec()).unwrap();
        assert_eq!((credentials.peer(), credentials.trust_domain()), (me.peer(), "lab"));
        assert_eq!(credentials.certificate_expiry_unix(), NOW + 86_400);
        assert_eq!(credentials.certificate_der(), certificate);
        assert_eq!(credentials.authority_fingerprint(), fingerprint(authority.certificate_der()));
    }

    #[test]
    fn a_replaced_certificate_is_seen_by_every_clone_and_a_wrong_one_by_none() {
        let (authority, me) = (authority("lab"), Identity::from_secret(&[1; 32]));
        let certificate = authority.issue(&me.peer(), NOW, CERTIFICATE_LIFE).unwrap();
        let credentials = Credentials::new(me.clone(), certificate, authority.certificate_der().to_vec()).unwrap();
        let clone = credentials.clone();
        let renewed = authority.issue(&me.peer(), NOW + 3600, CERTIFICATE_LIFE).unwrap();
        credentials.replace_certificate(renewed.clone()).unwrap();
        assert_eq!(clone.certificate_der(), renewed);

        let of_another = authority.issue(&Identity::from_secret(&[2; 32]).peer(), NOW, CERTIFICATE_LIFE).unwrap();
        let error = credentials.replace_certificate(of_another).unwrap_err();
        assert!(matches!(error, SecurityError::OwnCertificate(Refused::KeyMismatch)), "{error}");
        assert_eq!(clone.certificate_der(), renewed);
    }

    #[test]
    fn a_certificate_of_another_authority_cannot_be_used() {
        let (one, two, me) = (authority("lab"), authority("lab"), Identity::from_secret(&[1; 32]));
        let certificate = one.issue(&me.peer(), NOW, CERTIFICATE_LIFE).unwrap();
        let error = Credentials::new(me, certificate, two.certificate_der().to_vec()).unwrap_err();
        assert!(matches!(error, SecurityError::OwnCertificate(Refused::Stranger)), "{error}");
    }

    #[test]
    fn the_secret_is_not_printed() {
        let (authority, me) = (authority("lab"), Identity::from_secret(&[0xab; 32]));
        let certificate = authority.issue(&me.peer(), NOW, CERTIFICATE_LIFE).unwrap();
        let credentials = Credentials::new(me, certificate, authority.certificate_der().to_vec()).unwrap();
        let text = format!("{credentials:?}{:?}{:?}", credentials.link_server(), credentials.client(b"x"));
        // Long enough not to stand in a certificate by chance.
        assert!(!text.contains(&"171, ".repeat(8)) && !text.to_lowercase().contains(&"ab".repeat(8)), "{text}");
    }
}
