//! What this node presents and trusts.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use prunella_core::PeerId;
use prunella_core::identity::Identity;
use prunella_core::record::{Digest, Matter};
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::time_provider::{DefaultTimeProvider, TimeProvider};

use crate::security::bundle::Bundle;
use crate::security::certificate::{Usage, validity, workload_of};
use crate::security::keys::Signer;
use crate::security::postquantum::HybridKeys;
use crate::security::trust::{Older, Trust};
use crate::security::twin::TwinSigner;
use crate::security::verifier::ClientCertificate;
use crate::security::{
    Algorithm, Member, NodeKey, Refused, Said, SecurityError, endorsement, prove, prove_both, state, tls,
};

/// A node's key, its current certificate and whom it trusts. Cheap to clone; clones share the certificate and the trust,
/// so that what is new counts everywhere from the next handshake on.
#[derive(Clone, Debug)]
pub struct Credentials {
    identity: Identity,
    pub(super) shared: Arc<Shared>,
}

/// What TLS configurations hold on to.
#[derive(Debug)]
pub(super) struct Shared {
    signer: Arc<NodeSigner>,
    pub(super) trust: ArcSwap<Trust>,
    presented: ArcSwap<Presented>,
    /// By which certificates are judged.
    pub(super) time: Arc<dyn TimeProvider>,
}

/// With what this node proves who it is: the key that its certificate is of.
#[derive(Debug)]
struct NodeSigner {
    node: NodeKey,
    key: Arc<dyn rustls::sign::SigningKey>,
    /// Where the certificate is of ML-DSA-65, also for proofs outside of handshakes.
    hybrid: Option<Arc<HybridKeys>>,
}

/// The current certificate, ready to be presented.
#[derive(Debug)]
pub(super) struct Presented {
    /// The certificate and its issuer's: a member of the mesh has the authority's.
    pub(super) alone: Arc<CertifiedKey>,
    /// With the authorities' certificates, for a joining host, which knows only a fingerprint.
    pub(super) with_authorities: Arc<CertifiedKey>,
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

    /// Credentials from their parts, all DER: the node's certificate and its issuer's; the authorities' certificates, two of
    /// each, Ed25519 and ML-DSA-65, the newest authority first.
    ///
    /// # Errors
    /// [`SecurityError::NotAnAuthority`], or [`SecurityError::OwnCertificate`] if no authority stands behind this
    /// identity's certificate.
    pub fn new(identity: Identity, chain: Vec<Vec<u8>>, authorities: &[Vec<u8>]) -> Result<Self, SecurityError> {
        let (node, key) = (identity.peer().into(), Arc::new(Signer::new(identity.clone())));
        Self::with_signer(identity, NodeSigner { node, key, hybrid: None }, chain, authorities)
    }

    /// As [`new`](Self::new), in a mesh whose certificates are of ML-DSA-65.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_hybrid(
        keys: Arc<HybridKeys>,
        chain: Vec<Vec<u8>>,
        authorities: &[Vec<u8>],
    ) -> Result<Self, SecurityError> {
        let identity = keys.identity().clone();
        let node = NodeKey { peer: identity.peer(), mldsa: Some(keys.verifying_key().clone()) };
        let key = Arc::new(TwinSigner(keys.signing_key()));
        Self::with_signer(identity, NodeSigner { node, key, hybrid: Some(keys) }, chain, authorities)
    }

    fn with_signer(
        identity: Identity,
        signer: NodeSigner,
        chain: Vec<Vec<u8>>,
        authorities: &[Vec<u8>],
    ) -> Result<Self, SecurityError> {
        let trust = Trust::new(Bundle::new(authorities, signer.node.algorithm())?);
        let signer = Arc::new(signer);
        let presented = present(&trust.authorities, &signer, chain).map_err(SecurityError::OwnCertificate)?;
        let (presented, time) = (ArcSwap::from_pointee(presented), Arc::new(DefaultTimeProvider));
        let shared = Shared { signer, trust: ArcSwap::from_pointee(trust), presented, time };
        Ok(Self { identity, shared: Arc::new(shared) })
    }

    /// The same credentials, for a node that judges others' certificates by this clock instead of the system's. Clones
    /// made before share nothing with them.
    pub fn with_time(self, time: Arc<dyn TimeProvider>) -> Self {
        let presented = ArcSwap::new(self.shared.presented());
        let trust = ArcSwap::new(self.shared.trust.load_full());
        let shared = Shared { signer: self.shared.signer.clone(), trust, presented, time };
        Self { identity: self.identity, shared: Arc::new(shared) }
    }

    /// The same credentials, with what was kept of what the authorities said.
    pub(super) fn with_kept(self, kept: Vec<Said>) -> Self {
        let trust = Trust::clone(&self.shared.trust.load()).with_kept(kept);
        self.shared.trust.store(Arc::new(trust));
        self
    }

    /// The node's key.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who this node is.
    pub fn peer(&self) -> PeerId {
        self.identity.peer()
    }

    /// The keys that this node's certificate names and is of.
    pub fn node_key(&self) -> NodeKey {
        self.shared.signer.node.clone()
    }

    /// What this node's certificate says of it.
    pub fn member(&self) -> Member {
        Member { node: self.node_key(), workload: workload_of(&self.chain_ders()) }
    }

    /// Of which algorithm the certificates of this mesh are.
    pub fn algorithm(&self) -> Algorithm {
        self.shared.signer.node.algorithm()
    }

    /// Shows that this node holds its keys, on the connection with this [`join_exporter`](crate::security::join_exporter):
    /// for a certificate that has expired, and so proves nothing in a handshake.
    ///
    /// # Errors
    /// [`SecurityError::Hybrid`] if they cannot sign.
    pub fn prove(&self, exporter: &[u8]) -> Result<Vec<u8>, SecurityError> {
        match &self.shared.signer.hybrid {
            Some(keys) => prove_both(keys, exporter),
            None => Ok(prove(&self.identity, exporter)),
        }
    }

    /// The name of the mesh.
    pub fn trust_domain(&self) -> String {
        self.shared.trust.load().authorities.trust_domain().to_string()
    }

    /// The [`pair_fingerprint`](crate::security::pair_fingerprint) of the newest authority.
    pub fn authority_fingerprint(&self) -> [u8; 32] {
        self.shared.trust.load().authorities.newest().fingerprint()
    }

    /// The last second at which the certificate is valid, since the Unix epoch.
    pub fn certificate_expiry_unix(&self) -> u64 {
        self.shared.presented().expires_unix
    }

    /// The node's current certificate and its issuer's, DER.
    pub fn chain_ders(&self) -> Vec<Vec<u8>> {
        self.shared.presented().alone.cert.iter().map(|der| der.to_vec()).collect()
    }

    /// The authorities' certificates, DER, two of each, the newest authority first.
    pub fn authority_ders(&self) -> Vec<Vec<u8>> {
        self.shared.trust.load().authorities.ders().map(|der| der.to_vec()).collect()
    }

    /// Presents another certificate (the chain, DER) from the next handshake on, in every clone and in every
    /// configuration made so far.
    ///
    /// # Errors
    /// [`SecurityError::OwnCertificate`] if no authority stands behind it, or it is not this identity's; the former
    /// certificate stays.
    pub fn replace_certificate(&self, chain: Vec<Vec<u8>>) -> Result<(), SecurityError> {
        let shared = &self.shared;
        let presented = present(&shared.trust.load().authorities, &shared.signer, chain);
        shared.presented.store(Arc::new(presented.map_err(SecurityError::OwnCertificate)?));
        Ok(())
    }

    /// Takes in what somebody says that an authority or an issuer has said, at `now` in seconds since the Unix epoch;
    /// `None` if it is no news. It counts from the next handshake on; connections that exist are for the caller to end.
    ///
    /// # Errors
    /// Why it is none of this mesh's.
    pub fn hear(&self, statement: &[u8], now: u64) -> Result<Option<Said>, Refused> {
        loop {
            let before = self.shared.trust.load_full();
            let Some((next, said)) = before.hear(statement, now)? else { return Ok(None) };
            let stored = self.shared.trust.compare_and_swap(&before, Arc::new(next));
            if Arc::ptr_eq(&stored, &before) {
                return Ok(Some(said));
            }
        }
    }

    /// The policy that a statement says which [`hear`](Self::hear) took for no news, if it is older than the one that is
    /// known.
    pub fn older_policy(&self, statement: &[u8]) -> Option<Older> {
        self.shared.trust.load().older_policy(&Said::reread(statement).ok()?)
    }

    /// A signature of both keys over what this node says, with its certificate: for a mesh whose certificates are of
    /// ML-DSA-65.
    ///
    /// # Errors
    /// [`SecurityError::Unsayable`] in any other.
    pub fn endorse(&self, matter: Matter, digest: Digest) -> Result<Vec<u8>, SecurityError> {
        let keys = self.shared.signer.hybrid.as_ref().ok_or(SecurityError::Unsayable)?;
        endorsement::endorse(keys, &self.trust_domain(), (matter, digest), self.chain_ders())
    }

    /// What a node has endorsed, if both of its keys have signed this.
    ///
    /// # Errors
    /// Why that is not so.
    pub fn check_endorsement(&self, origin: PeerId, bytes: &[u8]) -> Result<(Matter, Digest), Refused> {
        endorsement::check(&self.shared.trust.load(), origin, bytes)
    }

    /// Everything that the authorities and their issuers said and that holds.
    pub fn said(&self) -> Vec<Said> {
        self.shared.trust.load().said().cloned().collect()
    }

    /// Whether exactly this was said and holds.
    pub fn holds(&self, statement: &[u8]) -> bool {
        self.shared.trust.load().said().any(|said| said.to_bytes() == statement)
    }

    /// What holds of it and cannot be proven to newcomers any more, because the authority behind it has retired: for an
    /// issuer to say again.
    pub fn unproven(&self) -> Vec<Said> {
        let trust = self.shared.trust.load();
        trust.said().filter(|said| !trust.proves_itself(said)).cloned().collect()
    }

    /// Whether a node was revoked.
    pub fn is_revoked(&self, peer: &PeerId) -> bool {
        self.shared.trust.load().is_revoked(peer)
    }

    /// Whose chain this is (DER, leaf first), although it may have expired up to `grace_s` seconds before `now`.
    ///
    /// # Errors
    /// Why it is not a member's.
    pub fn check_lapsed(&self, chain: &[Vec<u8>], now: u64, grace_s: u64) -> Result<PeerId, Refused> {
        let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        self.shared.trust.load().check_lapsed(&chain, now, grace_s)
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

    /// As [`client`](Self::client) for an admission, offering only this: to see what a node accepts.
    pub fn offering_client(&self, offer: &tls::Offer) -> Arc<rustls::ClientConfig> {
        tls::offering_client(&self.shared, offer)
    }

    /// For a member whose certificate has expired, to ask for another: presents none, and checks the server as
    /// [`client`](Self::client) does.
    pub fn lapsed_client(&self) -> Arc<rustls::ClientConfig> {
        tls::lapsed_client(&self.shared)
    }
}

impl Shared {
    pub(super) fn presented(&self) -> Arc<Presented> {
        self.presented.load_full()
    }
}

/// Checks a certificate of this node's own, at a moment at which it is valid: that it has expired is for the other
/// side to refuse, and for this node to repair.
fn present(authorities: &Bundle, signer: &NodeSigner, chain: Vec<Vec<u8>>) -> Result<Presented, Refused> {
    let chain: Vec<CertificateDer<'static>> = chain.into_iter().map(CertificateDer::from).collect();
    let (_, until) = validity(chain.first().ok_or(Refused::NoCertificate)?)?;
    let begun = chain.iter().filter_map(|der| validity(der).ok()).map(|(from, _)| from).max();
    let begun = begun.ok_or(Refused::Malformed)?;
    for usage in [Usage::Client, Usage::Server] {
        authorities.check(&chain, usage, begun)?;
    }
    if NodeKey::of(&chain[0])? != signer.node {
        return Err(Refused::KeyMismatch);
    }
    let with_authorities = chain.iter().chain(authorities.ders()).cloned().collect();
    let certified = |chain| Arc::new(CertifiedKey::new(chain, signer.key.clone()));
    Ok(Presented {
        alone: certified(chain),
        with_authorities: certified(with_authorities),
        expires_unix: until.as_secs(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::{CERTIFICATE_LIFE, IssuingKey, Statement};

    const NOW: u64 = 1_800_000_000;

    fn member(issuer: &IssuingKey, me: &Identity) -> Credentials {
        let chain = issuer.issue(me.peer(), NOW, CERTIFICATE_LIFE).unwrap();
        Credentials::new(me.clone(), chain, &issuer.authority_ders()).unwrap()
    }

    #[test]
    fn credentials_tell_what_they_are() {
        let (issuer, me) = (IssuingKey::of_new_mesh("lab", NOW), Identity::from_secret(&[1; 32]));
        let credentials = member(&issuer, &me);
        assert_eq!((credentials.peer(), credentials.trust_domain().as_str()), (me.peer(), "lab"));
        assert_eq!(credentials.certificate_expiry_unix(), NOW + 86_400);
        assert_eq!(credentials.chain_ders()[1], issuer.certificate_ders()[0]);
        assert_eq!(credentials.authority_fingerprint(), crate::security::pair_fingerprint(&issuer.authority_ders()));
    }

    #[test]
    fn a_replaced_certificate_is_seen_by_every_clone_and_a_wrong_one_by_none() {
        let (issuer, me) = (IssuingKey::of_new_mesh("lab", NOW), Identity::from_secret(&[1; 32]));
        let credentials = member(&issuer, &me);
        let clone = credentials.clone();
        let renewed = issuer.issue(me.peer(), NOW + 3600, CERTIFICATE_LIFE).unwrap();
        credentials.replace_certificate(renewed.clone()).unwrap();
        assert_eq!(clone.chain_ders(), renewed);

        let of_another = issuer.issue(Identity::from_secret(&[2; 32]).peer(), NOW, CERTIFICATE_LIFE).unwrap();
        let error = credentials.replace_certificate(of_another).unwrap_err();
        assert!(matches!(error, SecurityError::OwnCertificate(Refused::KeyMismatch)), "{error}");
        assert_eq!(clone.chain_ders(), renewed);
    }

    #[test]
    fn a_certificate_of_another_authority_cannot_be_used() {
        let (one, two) = (IssuingKey::of_new_mesh("lab", NOW), IssuingKey::of_new_mesh("lab", NOW));
        let me = Identity::from_secret(&[1; 32]);
        let chain = one.issue(me.peer(), NOW, CERTIFICATE_LIFE).unwrap();
        let error = Credentials::new(me, chain, &two.authority_ders()).unwrap_err();
        assert!(matches!(error, SecurityError::OwnCertificate(Refused::Stranger)), "{error}");
    }

    #[test]
    fn what_one_clone_hears_all_know() {
        let (issuer, me) = (IssuingKey::of_new_mesh("lab", NOW), Identity::from_secret(&[1; 32]));
        let credentials = member(&issuer, &me);
        let clone = credentials.clone();
        let thief = PeerId::from_public_key([7; 32]);
        let said = issuer.say(Statement::Revoked { peer: thief, reason: "stolen".to_owned() }, NOW).unwrap();
        assert_eq!(credentials.hear(&said.to_bytes(), NOW), Ok(Some(said.clone())));
        assert_eq!(credentials.hear(&said.to_bytes(), NOW), Ok(None), "it is no news any more");
        assert!(clone.is_revoked(&thief));
        assert_eq!(clone.said(), [said]);
    }

    #[test]
    fn the_secret_is_not_printed() {
        let (issuer, me) = (IssuingKey::of_new_mesh("lab", NOW), Identity::from_secret(&[0xab; 32]));
        let credentials = member(&issuer, &me);
        let text = format!("{credentials:?}{:?}{:?}", credentials.link_server(), credentials.client(b"x"));
        // Long enough not to stand in a certificate by chance.
        assert!(!text.contains(&"171, ".repeat(8)) && !text.to_lowercase().contains(&"ab".repeat(8)), "{text}");
    }
}
