//! Endorsements: in a mesh whose certificates are of ML-DSA-65, what a node says that matters for trust counts only when
//! both of its keys have signed it.
//!
//! The record that says it is signed with Ed25519, the key that the node is called by. An endorsement holds a signature of
//! each key over the same digest, and the certificate that binds the ML-DSA-65 key to that node. It was true when it was
//! said, so its certificate is judged by the moment at which it began: who has been revoked since is no member anyway.

use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::limits::ENDORSEMENT_BYTES_MAX;
use prunella_core::record::{Digest, Matter};
use prunella_core::wire::codec;
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::security::certificate::{Usage, validity};
use crate::security::postquantum::{self, HybridKeys};
use crate::security::trust::Trust;
use crate::security::{NodeKey, Refused, SecurityError};

/// What is signed: the trust domain, what it is about, and its digest.
type Signed = (String, Matter, Digest);
/// What travels: the encoded [`Signed`], both signatures (Ed25519, then ML-DSA-65), and the chain, leaf first.
type Sealed = (Vec<u8>, Vec<u8>, Vec<Vec<u8>>);

/// Signs what a node says with both of its keys.
pub(super) fn endorse(
    keys: &HybridKeys,
    trust_domain: &str,
    (matter, digest): (Matter, Digest),
    chain: Vec<Vec<u8>>,
) -> Result<Vec<u8>, SecurityError> {
    let signed: Signed = (trust_domain.to_owned(), matter, digest);
    let message = codec::encode(&signed);
    let signature = keys.sign(CONTEXT, &message)?;
    let sealed: Sealed = (message, signature, chain);
    Ok(codec::encode(&sealed))
}

/// What this node has endorsed.
///
/// # Errors
/// [`Refused::Malformed`] for what is no endorsement, [`Refused::WrongTrustDomain`] for one of another mesh, whatever is
/// wrong with its certificate, [`Refused::NotDialed`] if that is another node's, and [`Refused::KeyMismatch`] if one of the
/// two signatures does not fit.
pub(super) fn check(trust: &Trust, origin: PeerId, bytes: &[u8]) -> Result<(Matter, Digest), Refused> {
    if bytes.len() > ENDORSEMENT_BYTES_MAX {
        return Err(Refused::Malformed);
    }
    let (message, signature, chain): Sealed = codec::decode_canonical(bytes).map_err(|_| Refused::Malformed)?;
    let (trust_domain, matter, digest): Signed = codec::decode_canonical(&message).map_err(|_| Refused::Malformed)?;
    if trust_domain != trust.authorities.trust_domain().as_str() {
        return Err(Refused::WrongTrustDomain);
    }
    let leaf = chain.first().ok_or(Refused::NoCertificate)?;
    let chain: Vec<_> = chain.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let (from, _) = validity(&chain[0])?;
    let moment = UnixTime::since_unix_epoch(Duration::from_secs(from.as_secs()));
    if trust.check(&chain, Usage::Client, moment)? != origin {
        return Err(Refused::NotDialed);
    }
    let mldsa = NodeKey::of(leaf)?.mldsa.ok_or(Refused::WrongAlgorithm)?;
    postquantum::verify(&origin, &mldsa, CONTEXT, &message, &signature).map_err(|_| Refused::KeyMismatch)?;
    Ok((matter, digest))
}

/// Keeps the signatures from meaning anything else.
const CONTEXT: &[u8] = b"prunella endorsement v1";

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::security::{Algorithm, CERTIFICATE_LIFE, Credentials, IssuingKey, Statement};

    const NOW: u64 = 1_800_000_000;
    const SAID: (Matter, Digest) = (Matter::LedgerHead, [7; 32]);

    /// A node of the mesh that this issuer is of.
    fn node(issuer: &IssuingKey, secret: u8) -> (Arc<HybridKeys>, Credentials) {
        let identity = prunella_core::identity::Identity::from_secret(&[secret; 32]);
        let keys = Arc::new(HybridKeys::generate(identity).unwrap());
        let node = NodeKey { peer: keys.identity().peer(), mldsa: Some(keys.verifying_key().clone()) };
        let chain = issuer.issue(node, NOW, CERTIFICATE_LIFE).unwrap();
        (keys.clone(), Credentials::with_hybrid(keys, chain, &issuer.authority_ders()).unwrap())
    }

    #[test]
    fn an_endorsement_counts_when_both_signatures_and_the_certificate_are_the_nodes() {
        let issuer = IssuingKey::of_new_mesh("lab", NOW).certifying(Algorithm::MlDsa65);
        let ((keys, one), (_, two)) = (node(&issuer, 1), node(&issuer, 2));
        let good = one.endorse(SAID.0, SAID.1).unwrap();
        println!("an endorsement has {} bytes", good.len());
        assert!(good.len() <= ENDORSEMENT_BYTES_MAX);
        // Long after its certificate has ended, too.
        assert_eq!(two.check_endorsement(one.peer(), &good), Ok(SAID));
        assert_eq!(one.check_endorsement(two.peer(), &good), Err(Refused::NotDialed));
        let elsewhere = node(&IssuingKey::of_new_mesh("lab", NOW).certifying(Algorithm::MlDsa65), 3).1;
        assert_eq!(elsewhere.check_endorsement(one.peer(), &good), Err(Refused::Stranger));
        let other = node(&IssuingKey::of_new_mesh("other", NOW).certifying(Algorithm::MlDsa65), 4).1;
        assert_eq!(other.check_endorsement(one.peer(), &good), Err(Refused::WrongTrustDomain));

        let changed = |change: &dyn Fn(&mut Sealed)| {
            let mut sealed: Sealed = codec::decode_canonical(&good).unwrap();
            change(&mut sealed);
            two.check_endorsement(one.peer(), &codec::encode(&sealed))
        };
        assert_eq!(changed(&|_| ()), Ok(SAID));
        // One half alone, whichever it is, is nobody's word.
        for at in [0, 64] {
            assert_eq!(changed(&|(_, signature, _)| signature[at] ^= 1), Err(Refused::KeyMismatch));
        }
        assert_eq!(changed(&|(_, signature, _)| signature.truncate(64)), Err(Refused::KeyMismatch));
        let said = (String::from("lab"), SAID.0, [8; 32]);
        assert_eq!(changed(&|(message, _, _)| *message = codec::encode(&said)), Err(Refused::KeyMismatch));
        assert_eq!(changed(&|(_, _, chain)| chain.clear()), Err(Refused::NoCertificate));
        assert_eq!(changed(&|(_, _, chain)| *chain = two.chain_ders()), Err(Refused::NotDialed));
        let by_twin_of_another = |(message, signature, _): &mut Sealed| {
            let other = node(&issuer, 1).0;
            assert_ne!(other.verifying_key(), keys.verifying_key());
            *signature = other.sign(CONTEXT, message).unwrap();
        };
        assert_eq!(changed(&by_twin_of_another), Err(Refused::KeyMismatch));
        assert_eq!(two.check_endorsement(one.peer(), &good[1..]), Err(Refused::Malformed));
        assert_eq!(two.check_endorsement(one.peer(), &[0; ENDORSEMENT_BYTES_MAX + 1]), Err(Refused::Malformed));
        // Who was thrown out endorses nothing any more.
        let revoked = Statement::Revoked { peer: one.peer(), reason: String::new() };
        two.hear(&issuer.say(revoked, NOW).unwrap().to_bytes(), NOW).unwrap();
        assert_eq!(two.check_endorsement(one.peer(), &good), Err(Refused::Revoked));
    }

    #[test]
    fn nodes_of_other_meshes_endorse_nothing() {
        let issuer = IssuingKey::of_new_mesh("lab", NOW);
        let identity = prunella_core::identity::Identity::from_secret(&[1; 32]);
        let chain = issuer.issue(identity.peer(), NOW, CERTIFICATE_LIFE).unwrap();
        let one = Credentials::new(identity, chain, &issuer.authority_ders()).unwrap();
        assert!(matches!(one.endorse(SAID.0, SAID.1), Err(SecurityError::Unsayable)));
    }
}
