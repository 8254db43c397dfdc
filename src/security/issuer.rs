//! Admission: makes tokens, and certifies the nodes that come with one, or with an older certificate.

use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::identity::{self, Identity};
use prunella_core::wire::Admission;
use prunella_core::wire::admission::Refusal;

use crate::security::postquantum::{self, HybridKeys};
use crate::security::{
    CERTIFICATE_LIFE, IssuingKey, Member, NodeKey, SecurityError, Token, create_identity, pair_fingerprints, state,
};

/// Why the use of a token could not be recorded.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Records durably that the token with this id, which expires at this second since the Unix epoch, is used up; `false`
/// if it was before. After its expiry the record may be forgotten.
pub type MarkUsed<'a> = dyn FnMut(&[u8; 16], u64) -> Result<bool, Failure> + 'a;

/// A node that holds an issuing key.
#[derive(Debug)]
pub struct Issuer {
    key: IssuingKey,
    peer: PeerId,
    certificate_life: Duration,
}

impl Issuer {
    /// Loads the issuing key from a state directory; `None` if this node issues nothing.
    ///
    /// # Errors
    /// Which file cannot be used, and why.
    pub fn load(dir: &Path) -> Result<Option<Self>, SecurityError> {
        let Some(key) = state::load_issuing_key(dir)? else { return Ok(None) };
        Ok(Some(Self::new(key, create_identity(dir)?.peer())))
    }

    /// The node `peer` as an issuer whose certificates last [`CERTIFICATE_LIFE`].
    pub fn new(key: IssuingKey, peer: PeerId) -> Self {
        Self { key, peer, certificate_life: CERTIFICATE_LIFE }
    }

    /// The same issuer with another life for the certificates that it issues.
    pub fn with_certificate_life(self, life: Duration) -> Self {
        Self { certificate_life: life, ..self }
    }

    /// Its key.
    pub fn key(&self) -> &IssuingKey {
        &self.key
    }

    /// Makes a token for one host, to join through `inviter` at one of `addresses`, within `life` from `now` (seconds
    /// since the Unix epoch).
    ///
    /// # Errors
    /// [`SecurityError::TokenTooLong`] for more addresses than a token may list; [`SecurityError::Randomness`].
    pub fn invite(
        &self,
        addresses: Vec<SocketAddr>,
        inviter: PeerId,
        life: Duration,
        now: u64,
    ) -> Result<Token, SecurityError> {
        let mut id = [0; 16];
        getrandom::fill(&mut id)?;
        let trust_domain = self.key.trust_domain().to_string();
        let fingerprint = self.key.newest_fingerprint();
        let expires_unix = now.saturating_add(life.as_secs());
        let fields = (id, expires_unix, trust_domain, self.key.algorithm(), fingerprint, inviter, addresses);
        Token::make(fields, &self.key.keys().own_secret(TOKENS))
    }

    /// Answers a request to join at `now` (seconds since the Unix epoch); returns the new node's certificate and its
    /// issuer's, DER.
    ///
    /// `exporter` is the connection's [`join_exporter`]. `mark_used` is asked last, so that a request that is refused
    /// for another reason does not use up the token.
    ///
    /// # Errors
    /// The reason to tell the host. What members ask for is for [`Issuer::renew`] and is refused here.
    pub fn admit(
        &self,
        admission: &Admission,
        exporter: &[u8],
        now: u64,
        mark_used: &mut MarkUsed<'_>,
    ) -> Result<Vec<Vec<u8>>, Refusal> {
        let Admission::Join { token, public_key, mldsa_key, proof } = admission else {
            return Err(Refusal::NotProven);
        };
        let token = self.check_token(token, now)?;
        let node = NodeKey::shown(*public_key, mldsa_key)?;
        if node.algorithm() != self.key.algorithm() {
            return Err(Refusal::WrongAlgorithm);
        }
        check_proof(&node, exporter, proof)?;
        let chain = self.renew(node, now).map_err(|error| failed(&error))?;
        match mark_used(&token.id, token.expires_unix) {
            Ok(true) => Ok(chain),
            Ok(false) => Err(Refusal::Replayed),
            Err(error) => Err(failed(error.as_ref())),
        }
    }

    /// Certifies a node anew at `now` (seconds since the Unix epoch); returns its certificate and its issuer's, DER.
    ///
    /// The caller vouches that the node is a member, and holds the key that its certificate is of: it is what
    /// [`authenticated_member`](crate::security::authenticated_member) says of the connection that asks.
    ///
    /// # Errors
    /// As [`IssuingKey::issue`].
    pub fn renew(&self, member: impl Into<Member>, now: u64) -> Result<Vec<Vec<u8>>, SecurityError> {
        self.key.issue(member, now, self.certificate_life)
    }

    fn check_token(&self, bytes: &[u8], now: u64) -> Result<Token, Refusal> {
        let token = Token::from_bytes(bytes).map_err(|_| Refusal::Forged)?;
        let authorities = self.key.authority_ders();
        let is_ours = pair_fingerprints(&authorities).any(|fingerprint| fingerprint == token.authority_fingerprint);
        if !is_ours || !token.is_made_with(&self.key.keys().own_secret(TOKENS)) {
            return Err(Refusal::Forged);
        }
        // Where several nodes issue, each knows only the uses that it marked itself: so a token is good at one of them.
        if token.inviter != self.peer {
            return Err(Refusal::NotAnIssuer);
        }
        if token.expires_unix <= now { Err(Refusal::Expired) } else { Ok(token) }
    }
}

/// The value of a connection that a joining host signs, and that its inviter derives as well: no other connection has
/// it (RFC 8446, section 7.5), so the proof is worth nothing elsewhere.
///
/// # Errors
/// [`SecurityError::NotEstablished`] before the handshake is complete.
pub fn join_exporter(connection: &quinn::Connection) -> Result<[u8; 32], SecurityError> {
    let mut value = [0; 32];
    let derived = connection.export_keying_material(&mut value, b"EXPERIMENTAL prunella join", b"");
    derived.map_err(|_| SecurityError::NotEstablished)?;
    Ok(value)
}

/// The `proof` of [`Admission::Join`] in a mesh with certificates of Ed25519: shows that the joining host holds its key, on
/// the connection with this [`join_exporter`].
pub fn prove(identity: &Identity, exporter: &[u8]) -> Vec<u8> {
    identity.sign(&proven_bytes(exporter)).to_vec()
}

/// The `proof` of [`Admission::Join`] in a mesh with certificates of ML-DSA-65: shows that the host holds both keys.
///
/// # Errors
/// [`SecurityError::Hybrid`] if they cannot sign.
pub fn prove_both(keys: &HybridKeys, exporter: &[u8]) -> Result<Vec<u8>, SecurityError> {
    Ok(keys.sign(PROOF_CONTEXT, exporter)?)
}

/// Whether whoever is at the other end of the connection with this exporter value holds the keys of this node: one, or
/// both.
///
/// # Errors
/// [`Refusal::NotProven`] if it does not.
pub fn check_proof(node: &NodeKey, exporter: &[u8], proof: &[u8]) -> Result<(), Refusal> {
    if let Some(mldsa) = &node.mldsa {
        let both = postquantum::verify(&node.peer, mldsa, PROOF_CONTEXT, exporter, proof);
        return both.map_err(|_| Refusal::NotProven);
    }
    let proof: &[u8; 64] = proof.try_into().map_err(|_| Refusal::NotProven)?;
    identity::verify(&node.peer, &proven_bytes(exporter), proof).map_err(|_| Refusal::NotProven)
}

/// The prefix keeps a proof's signature from meaning anything in another protocol.
fn proven_bytes(exporter: &[u8]) -> Vec<u8> {
    [PROOF_CONTEXT, b"\0", exporter].concat()
}

/// The host is told only that the inviter failed, and to see its log: so the cause belongs there.
fn failed(error: &dyn Error) -> Refusal {
    tracing::error!(%error, "failed to admit a host");
    Refusal::Failed
}

/// What a proof is made for; before a zero byte, as in [`HybridKeys::sign`].
const PROOF_CONTEXT: &[u8] = b"prunella join v1";
/// By what tokens are known again; it keeps their secret from meaning anything elsewhere.
const TOKENS: &str = "prunella 2026-11 tokens v1";

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use rustls::pki_types::CertificateDer;

    use super::*;
    use crate::security::certificate::id_of;
    use crate::security::{Algorithm, Credentials};

    const NOW: u64 = 1_800_000_000;
    const LIFE: Duration = Duration::from_secs(3600);
    const EXPORTER: &[u8] = &[9; 32];

    struct Gate {
        issuer: Issuer,
        used: BTreeSet<[u8; 16]>,
    }

    impl Gate {
        fn new() -> Self {
            Self { issuer: Issuer::new(IssuingKey::of_new_mesh("lab", NOW), inviter()), used: BTreeSet::new() }
        }

        fn token(&self) -> Token {
            self.issuer.invite(vec!["192.0.2.1:7000".parse().unwrap()], inviter(), LIFE, NOW).unwrap()
        }

        fn admit(&mut self, admission: &Admission, now: u64) -> Result<Vec<Vec<u8>>, Refusal> {
            let used = &mut self.used;
            self.issuer.admit(admission, EXPORTER, now, &mut |id, _| Ok(used.insert(*id)))
        }
    }

    fn inviter() -> PeerId {
        Identity::from_secret(&[1; 32]).peer()
    }

    fn host() -> Identity {
        Identity::from_secret(&[2; 32])
    }

    fn join(token: &Token) -> Admission {
        let (token, public_key) = (token.to_bytes(), host().peer().to_bytes());
        Admission::Join { token, public_key, mldsa_key: vec![], proof: prove(&host(), EXPORTER) }
    }

    #[test]
    fn a_host_with_a_token_is_certified_once() {
        let mut gate = Gate::new();
        let request = join(&gate.token());
        let chain = gate.admit(&request, NOW).unwrap();
        assert_eq!(id_of(&CertificateDer::from(chain[0].as_slice())).map(|id| id.peer), Ok(host().peer()));
        let member = Credentials::new(host(), chain, &gate.issuer.key().authority_ders()).unwrap();
        assert_eq!(member.certificate_expiry_unix(), NOW + 86_400);
        assert_eq!(gate.admit(&request, NOW), Err(Refusal::Replayed));
        assert!(gate.admit(&join(&gate.token()), NOW).is_ok(), "another token is another invitation");
    }

    #[test]
    fn a_token_ends() {
        let mut gate = Gate::new();
        let request = join(&gate.token());
        assert_eq!(gate.admit(&request, NOW + 3600), Err(Refusal::Expired));
        assert!(gate.admit(&request, NOW + 3599).is_ok());
    }

    #[test]
    fn a_token_of_another_authority_or_tampered_with_is_forged() {
        let (mut gate, other) = (Gate::new(), Gate::new());
        assert_eq!(gate.admit(&join(&other.token()), NOW), Err(Refusal::Forged));
        let mut request = join(&gate.token());
        if let Admission::Join { token, .. } = &mut request {
            token[20] ^= 1;
        }
        assert_eq!(gate.admit(&request, NOW), Err(Refusal::Forged));
        let garbage = Admission::Join { token: vec![1; 100], public_key: [1; 32], mldsa_key: vec![], proof: vec![] };
        assert_eq!(gate.admit(&garbage, NOW), Err(Refusal::Forged));
    }

    #[test]
    fn a_token_is_good_at_its_inviter_alone() {
        let mut gate = Gate::new();
        let token = gate.issuer.invite(vec![], host().peer(), LIFE, NOW).unwrap();
        assert_eq!(gate.admit(&join(&token), NOW), Err(Refusal::NotAnIssuer));
    }

    #[test]
    fn a_key_that_is_not_proven_here_is_refused_and_the_token_stays_good() {
        let mut gate = Gate::new();
        let token = gate.token();
        let elsewhere = prove(&host(), &[8; 32]);
        let of_another = prove(&Identity::from_secret(&[3; 32]), EXPORTER);
        for proof in [elsewhere, of_another, vec![], vec![0; 64]] {
            let (token, public_key) = (token.to_bytes(), host().peer().to_bytes());
            let request = Admission::Join { token, public_key, mldsa_key: vec![], proof };
            assert_eq!(gate.admit(&request, NOW), Err(Refusal::NotProven));
        }
        assert_eq!(gate.admit(&Admission::Renew { proof: vec![] }, NOW), Err(Refusal::NotProven));
        assert!(gate.admit(&join(&token), NOW).is_ok());
    }

    #[test]
    fn where_certificates_are_of_ml_dsa_a_host_proves_both_keys() {
        let mut gate = Gate::new();
        let key = IssuingKey::of_new_mesh("lab", NOW).certifying(Algorithm::MlDsa65);
        gate.issuer = Issuer::new(key, inviter());
        let (keys, other) = (HybridKeys::generate(host()).unwrap(), HybridKeys::generate(host()).unwrap());
        let thief = HybridKeys::generate(Identity::from_secret(&[3; 32])).unwrap();
        let token = gate.token();
        assert_eq!(token.certificates, Algorithm::MlDsa65);
        let ask = |key: &HybridKeys, proof| {
            let (token, public_key) = (token.to_bytes(), host().peer().to_bytes());
            Admission::Join { token, public_key, mldsa_key: key.verifying_key().as_bytes().to_vec(), proof }
        };
        assert_eq!(gate.admit(&join(&token), NOW), Err(Refusal::WrongAlgorithm), "one key is not enough");
        let good = prove_both(&keys, EXPORTER).unwrap();
        for proof in [
            good[..64].to_vec(),
            good[64..].to_vec(),
            prove_both(&keys, &[8; 32]).unwrap(),
            prove_both(&other, EXPORTER).unwrap(),
            prove_both(&thief, EXPORTER).unwrap(),
            [&prove_both(&thief, EXPORTER).unwrap()[..64], &good[64..]].concat(),
        ] {
            assert_eq!(gate.admit(&ask(&keys, proof), NOW), Err(Refusal::NotProven));
        }
        let chain = gate.admit(&ask(&keys, good), NOW).unwrap();
        let node = NodeKey::of(&chain[0]).unwrap();
        assert_eq!((node.peer, node.mldsa.as_ref()), (host().peer(), Some(keys.verifying_key())));
        let member = Credentials::with_hybrid(Arc::new(keys), chain, &gate.issuer.key().authority_ders()).unwrap();
        assert_eq!(member.node_key(), node);
    }

    #[test]
    fn nobody_is_admitted_if_the_use_cannot_be_recorded() {
        let gate = Gate::new();
        let request = join(&gate.token());
        let outcome = gate.issuer.admit(&request, EXPORTER, NOW, &mut |_, _| Err("disk full".into()));
        assert_eq!(outcome, Err(Refusal::Failed));
    }

    #[test]
    fn the_life_of_certificates_can_be_chosen() {
        let issuer = Gate::new().issuer.with_certificate_life(Duration::from_secs(60));
        let chain = issuer.renew(host().peer(), NOW).unwrap();
        let member = Credentials::new(host(), chain, &issuer.key().authority_ders()).unwrap();
        assert_eq!(member.certificate_expiry_unix(), NOW + 60);
    }
}
