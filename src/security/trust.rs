//! Whom a node trusts: the authorities, and what they have said since.

use std::collections::BTreeMap;

use prunella_core::PeerId;
use prunella_core::limits::{CLOCK_SKEW_MAX, STATEMENTS_MAX};
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::security::bundle::Bundle;
use crate::security::certificate::{Usage, is_of_issuer, validity};
use crate::security::{Refused, Said, Statement};

/// The authorities that a node trusts, and every statement that holds, one for each subject.
#[derive(Clone, Debug)]
pub(super) struct Trust {
    pub(super) authorities: Bundle,
    said: BTreeMap<String, Said>,
    /// The keys of issuers that were dismissed: those of the statements that say so.
    dismissed: Vec<PeerId>,
}

/// A policy that was said is older than the one that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("version {version} of the policy is older than version {known}, which is known")]
pub struct Older {
    /// The version that was said.
    pub version: u64,
    /// The version that is known.
    pub known: u64,
}

impl Trust {
    /// Trusts these authorities, of whom nothing was heard yet.
    pub(super) fn new(authorities: Bundle) -> Self {
        Self { authorities, said: BTreeMap::new(), dismissed: Vec::new() }
    }

    /// The same with what this node kept of what they said. It is not proven again: the authority behind a revocation may
    /// have retired since, and the revocation holds.
    pub(super) fn with_kept(mut self, kept: Vec<Said>) -> Self {
        kept.into_iter().for_each(|said| self.note(said));
        self
    }

    /// Takes a statement in at `now`, in seconds since the Unix epoch; `None` if it is no news.
    ///
    /// # Errors
    /// Why it is none of this mesh's; [`Refused::NotYetValid`] if it was said further ahead than clocks may differ.
    pub(super) fn hear(&self, bytes: &[u8], now: u64) -> Result<Option<(Self, Said)>, Refused> {
        let said = Said::open(bytes, &self.authorities, |der| self.is_dismissed(der))?;
        if said.at_unix > now.saturating_add(CLOCK_SKEW_MAX.as_secs()) {
            return Err(Refused::NotYetValid);
        }
        let subject = said.statement.subject();
        let known = self.said.get(&subject);
        if known.is_some_and(|known| !said.supersedes(known)) || (known.is_none() && self.said.len() >= STATEMENTS_MAX)
        {
            return Ok(None);
        }
        let mut next = self.clone();
        match &said.statement {
            Statement::Succeeded { authority } => {
                next.authorities = self.authorities.with(authority).map_err(|_| Refused::Malformed)?;
            }
            Statement::Retired { authority } => {
                // The last one stays: without any, nobody could ever be trusted again.
                let Some(others) = self.authorities.without(authority) else { return Ok(None) };
                next.authorities = others;
            }
            Statement::Revoked { .. }
            | Statement::Reinstated { .. }
            | Statement::Dismissed { .. }
            | Statement::PolicySet { .. } => {}
        }
        next.note(said.clone());
        Ok(Some((next, said)))
    }

    /// The policy that this statement says, if a newer one is known.
    pub(super) fn older_policy(&self, said: &Said) -> Option<Older> {
        match (&said.statement, self.said.get(&said.statement.subject()).map(|known| &known.statement)) {
            (Statement::PolicySet { version, .. }, Some(Statement::PolicySet { version: known, .. }))
                if version < known =>
            {
                Some(Older { version: *version, known: *known })
            }
            _ => None,
        }
    }

    fn note(&mut self, said: Said) {
        if let Statement::Dismissed { issuer } = &said.statement {
            self.dismissed.push(*issuer);
        }
        self.said.insert(said.statement.subject(), said);
    }

    /// The node that a chain certifies at `now`.
    pub(super) fn check(&self, chain: &[CertificateDer<'_>], usage: Usage, now: UnixTime) -> Result<PeerId, Refused> {
        let peer = self.authorities.check(chain, usage, now)?;
        if self.is_revoked(&peer) || chain.iter().any(|der| self.is_dismissed(der)) {
            return Err(Refused::Revoked);
        }
        Ok(peer)
    }

    /// As [`check`](Self::check), for a certificate that may have expired, but not for longer than `grace` seconds.
    pub(super) fn check_lapsed(&self, chain: &[CertificateDer<'_>], now: u64, grace: u64) -> Result<PeerId, Refused> {
        let (from, until) = validity(chain.first().ok_or(Refused::NoCertificate)?)?;
        if now > until.as_secs().saturating_add(grace) {
            return Err(Refused::Expired);
        }
        let moment = now.clamp(from.as_secs(), until.as_secs());
        self.check(chain, Usage::Client, UnixTime::since_unix_epoch(std::time::Duration::from_secs(moment)))
    }

    /// Whether a node was revoked and not reinstated.
    pub(super) fn is_revoked(&self, peer: &PeerId) -> bool {
        let said = self.said.get(&Statement::Reinstated { peer: *peer }.subject());
        said.is_some_and(|said| matches!(said.statement, Statement::Revoked { .. }))
    }

    /// Whether a statement still proves itself to somebody who trusts these authorities and has heard nothing else.
    pub(super) fn proves_itself(&self, said: &Said) -> bool {
        Said::open(&said.to_bytes(), &self.authorities, |der| self.is_dismissed(der)).is_ok()
    }

    /// Everything that was said and holds, by subject.
    pub(super) fn said(&self) -> impl Iterator<Item = &Said> {
        self.said.values()
    }

    fn is_dismissed(&self, der: &CertificateDer<'_>) -> bool {
        self.dismissed.iter().any(|issuer| is_of_issuer(der, issuer))
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::identity::Identity;
    use prunella_core::limits::{POLICY_SET_BYTES_MAX, POLICY_SET_NAME_BYTES_MAX, STATEMENT_BYTES_MAX};

    use super::*;
    use crate::security::authority::issuer_params;
    use crate::security::twin::Twins;
    use crate::security::{Algorithm, Authority, CERTIFICATE_LIFE, IssuingKey};

    const NOW: u64 = 1_800_000_000;

    /// An authority, an issuer that it appointed, and a node that trusts it.
    struct Mesh {
        authority: Authority,
        issuer: IssuingKey,
        trust: Trust,
    }

    impl Mesh {
        fn new(name: &str) -> Self {
            let authority = Authority::found(&name.parse().unwrap(), NOW).unwrap();
            let issuer = IssuingKey::appointed_by(&authority, NOW).unwrap();
            let trust = Trust::new(Bundle::new(&issuer.authority_ders(), Algorithm::Ed25519).unwrap());
            Self { authority, issuer, trust }
        }

        /// Has the node hear this; whether it was news.
        fn hear(&mut self, said: &Said) -> Result<bool, Refused> {
            let news = self.trust.hear(&said.to_bytes(), NOW)?;
            Ok(news.map(|(next, _)| self.trust = next).is_some())
        }

        fn issuer_says(&mut self, statement: Statement, at: u64) -> Result<bool, Refused> {
            let said = self.issuer.say(statement, at).unwrap();
            self.hear(&said)
        }

        fn check(&self, by: &IssuingKey) -> Result<PeerId, Refused> {
            check(&self.trust, by)
        }
    }

    fn by(mesh: &Mesh, statement: &Statement) -> Said {
        mesh.issuer.say(statement.clone(), NOW).unwrap()
    }

    fn check(trust: &Trust, by: &IssuingKey) -> Result<PeerId, Refused> {
        let chain: Vec<_> = by.issue(someone(), NOW, CERTIFICATE_LIFE).unwrap().into_iter().map(Into::into).collect();
        trust.check(&chain, Usage::Client, UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW)))
    }

    fn someone() -> PeerId {
        Identity::from_secret(&[1; 32]).peer()
    }

    fn revoked() -> Statement {
        Statement::Revoked { peer: someone(), reason: "its host was stolen".to_owned() }
    }

    #[test]
    fn the_last_word_about_a_node_counts_and_the_careful_one_if_both_were_said_at_once() {
        let mut mesh = Mesh::new("lab");
        assert_eq!(mesh.check(&mesh.issuer), Ok(someone()));
        assert_eq!(mesh.issuer_says(revoked(), NOW - 10), Ok(true));
        assert_eq!(mesh.check(&mesh.issuer), Err(Refused::Revoked));
        let reinstated = || Statement::Reinstated { peer: someone() };
        assert_eq!(mesh.issuer_says(reinstated(), NOW - 11), Ok(false), "that was said before");
        assert_eq!(mesh.issuer_says(reinstated(), NOW - 10), Ok(false), "that was said at the same moment");
        assert_eq!(mesh.check(&mesh.issuer), Err(Refused::Revoked));
        assert_eq!(mesh.issuer_says(reinstated(), NOW - 5), Ok(true));
        assert_eq!(mesh.check(&mesh.issuer), Ok(someone()));
        assert_eq!(mesh.issuer_says(revoked(), NOW - 5), Ok(true), "the careful word of one moment counts");
        assert_eq!(mesh.check(&mesh.issuer), Err(Refused::Revoked));
        assert_eq!(mesh.trust.said().count(), 1, "one for each subject");
    }

    #[test]
    fn an_issuer_that_is_dismissed_certifies_and_says_nothing_any_more() {
        let mut mesh = Mesh::new("lab");
        let other = IssuingKey::appointed_by(&mesh.authority, NOW).unwrap();
        let dismissed = Statement::Dismissed { issuer: mesh.issuer.key().peer() };
        assert_eq!(mesh.issuer_says(dismissed.clone(), NOW), Err(Refused::Stranger), "issuers do not dismiss issuers");
        let said = mesh.authority.say(dismissed, NOW).unwrap();
        assert_eq!(mesh.hear(&said), Ok(true));
        assert_eq!(mesh.check(&mesh.issuer), Err(Refused::Revoked));
        assert_eq!(mesh.issuer_says(revoked(), NOW), Err(Refused::Stranger));
        assert_eq!(mesh.check(&other), Ok(someone()));
    }

    #[test]
    fn one_authority_takes_the_place_of_another_with_overlap() {
        let mut mesh = Mesh::new("lab");
        let successor = Authority::found(&"lab".parse().unwrap(), NOW).unwrap();
        let later = IssuingKey::appointed_by(&successor, NOW).unwrap();
        let succeeded = Statement::Succeeded { authority: successor.certificate_ders() };
        assert_eq!(mesh.check(&later), Err(Refused::Stranger));
        let by_itself = successor.say(succeeded.clone(), NOW).unwrap();
        assert_eq!(mesh.hear(&by_itself), Err(Refused::Stranger), "nobody succeeds by its own word");
        assert_eq!(mesh.issuer_says(succeeded.clone(), NOW), Err(Refused::Stranger), "nor by that of an issuer");
        mesh.issuer_says(revoked(), NOW - 100).unwrap();
        mesh.issuer_says(Statement::Reinstated { peer: someone() }, NOW - 50).unwrap();
        let said = mesh.authority.say(succeeded, NOW).unwrap();
        assert_eq!(mesh.hear(&said), Ok(true));
        assert_eq!((mesh.check(&mesh.issuer), mesh.check(&later)), (Ok(someone()), Ok(someone())));
        let newest = mesh.trust.authorities.newest().fingerprint();
        assert_eq!(newest, crate::security::pair_fingerprint(&successor.certificate_ders()));

        let first = crate::security::pair_fingerprint(&mesh.authority.certificate_ders());
        let retired = successor.say(Statement::Retired { authority: first }, NOW).unwrap();
        assert_eq!(mesh.hear(&retired), Ok(true));
        assert_eq!((mesh.check(&mesh.issuer), mesh.check(&later)), (Err(Refused::Stranger), Ok(someone())));
        let unproven: Vec<_> = mesh.trust.said().filter(|said| !mesh.trust.proves_itself(said)).collect();
        assert!(!unproven.is_empty(), "what only the first authority vouches for must be said again");

        let last = crate::security::pair_fingerprint(&successor.certificate_ders());
        let retired = successor.say(Statement::Retired { authority: last }, NOW + 1).unwrap();
        assert_eq!(mesh.hear(&retired), Ok(false), "the last authority does not retire");
        assert_eq!(mesh.check(&later), Ok(someone()));
    }

    #[test]
    fn the_highest_version_of_a_policy_counts_whenever_it_was_said() {
        let mut mesh = Mesh::new("lab");
        let policy = |version, text: &str| Statement::PolicySet {
            version,
            name: "p.toml".to_owned(),
            text: text.as_bytes().to_vec(),
        };
        assert_eq!(mesh.issuer_says(policy(2, "b"), NOW), Ok(true));
        assert_eq!(mesh.trust.older_policy(&by(&mesh, &policy(2, "b"))), None);
        assert_eq!(mesh.issuer_says(policy(2, "b"), NOW), Ok(false), "no news");
        assert_eq!(mesh.issuer_says(policy(1, "a"), NOW + 9), Ok(false), "it was said later, all the same");
        assert_eq!(mesh.trust.older_policy(&by(&mesh, &policy(1, "a"))), Some(Older { version: 1, known: 2 }));
        assert_eq!(mesh.issuer_says(policy(3, "c"), NOW - 50), Ok(true));
        let by_authority = mesh.authority.say(policy(4, "d"), NOW).unwrap();
        assert_eq!(mesh.hear(&by_authority), Ok(true));
        let said: Vec<_> = mesh.trust.said().map(|said| said.statement.clone()).collect();
        assert_eq!(said, [policy(4, "d")], "one policy at a time");
        // Two issuers at once: whoever hears both, in whichever order, takes the same.
        let ends = [["x", "y"], ["y", "x"]].map(|texts| {
            mesh.trust = Trust::new(Bundle::new(&mesh.issuer.authority_ders(), Algorithm::Ed25519).unwrap());
            for text in texts {
                mesh.issuer_says(policy(5, text), NOW).unwrap();
            }
            mesh.trust.said().map(|said| said.statement.clone()).collect::<Vec<_>>()
        });
        assert_eq!(ends[0], ends[1]);
    }

    #[test]
    fn a_policy_that_is_too_long_or_has_no_name_cannot_be_said() {
        let mesh = Mesh::new(&"d".repeat(255));
        let policy =
            |name: &str, bytes| Statement::PolicySet { version: 1, name: name.to_owned(), text: vec![b'#'; bytes] };
        let said = |statement| mesh.issuer.say(statement, NOW).map(|said| said.to_bytes().len());
        let longest = said(policy(&"n".repeat(POLICY_SET_NAME_BYTES_MAX), POLICY_SET_BYTES_MAX)).unwrap();
        assert!(longest <= STATEMENT_BYTES_MAX, "{longest} bytes");
        let succeeded = Statement::Succeeded { authority: mesh.authority.certificate_ders() };
        let longest = mesh.authority.say(succeeded, NOW).unwrap().to_bytes().len();
        assert!(longest <= STATEMENT_BYTES_MAX, "{longest} bytes");
        for (name, bytes) in [("p", POLICY_SET_BYTES_MAX + 1), ("", 1), ("two\nlines", 1), (&*"n".repeat(129), 1)] {
            assert!(matches!(said(policy(name, bytes)), Err(crate::security::SecurityError::Unsayable)), "{name:?}");
        }
        assert!(said(policy("", 0)).is_ok(), "back to the nodes' own files");
    }

    #[test]
    fn what_no_authority_of_this_mesh_says_changes_nothing() {
        let (mut mesh, same_name, other) = (Mesh::new("lab"), Mesh::new("lab"), Mesh::new("other"));
        let by_stranger = same_name.issuer.say(revoked(), NOW).unwrap();
        assert_eq!(mesh.hear(&by_stranger), Err(Refused::Stranger));
        assert_eq!(mesh.hear(&other.issuer.say(revoked(), NOW).unwrap()), Err(Refused::WrongTrustDomain));
        assert_eq!(mesh.issuer_says(revoked(), NOW + 301), Err(Refused::NotYetValid));
        let good = mesh.issuer.say(revoked(), NOW).unwrap().to_bytes();
        // Every byte of the first half, and so many of the keys and signatures of the second that each part has some.
        for at in (0..1500).chain((1500..good.len()).step_by(7)) {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(mesh.trust.hear(&bad, NOW).is_err(), "byte {at}");
        }
        assert!(mesh.trust.hear(&good[..good.len() - 1], NOW).is_err());
        assert!(mesh.trust.hear(&vec![0; 100_000], NOW).is_err());
        assert_eq!(mesh.check(&mesh.issuer), Ok(someone()));
    }

    /// A statement in its parts: what is said, and both chains.
    type Parts = (Vec<u8>, Vec<Vec<u8>>, Vec<Vec<u8>>);

    fn parts(said: &Said) -> Parts {
        prunella_core::wire::codec::decode_canonical(&said.to_bytes()).unwrap()
    }

    fn hear(mesh: &Mesh, parts: &Parts) -> Result<(), Refused> {
        mesh.trust.hear(&prunella_core::wire::codec::encode(parts), NOW).map(drop)
    }

    #[test]
    fn a_node_s_certificate_signs_no_statement() {
        let mut mesh = Mesh::new("lab");
        let (message, half, by_twin) = parts(&mesh.issuer.say(revoked(), NOW).unwrap());
        let node = mesh.issuer.issue(someone(), NOW, CERTIFICATE_LIFE).unwrap();
        assert_eq!(hear(&mesh, &(message.clone(), node.clone(), by_twin)), Err(Refused::WrongTrustDomain));
        assert_eq!(hear(&mesh, &(message, half, node)), Err(Refused::WrongTrustDomain));
        assert_eq!(mesh.issuer_says(revoked(), NOW), Ok(true));
    }

    /// Both halves of a statement must hold, and either can be the one that does not.
    #[test]
    fn half_a_statement_is_refused_by_what_is_wrong_with_the_other_half() {
        let (mesh, same_name) = (Mesh::new("lab"), Mesh::new("lab"));
        let second = IssuingKey::appointed_by(&mesh.authority, NOW).unwrap();
        let reinstated = Statement::Reinstated { peer: someone() };
        let others = [
            ("a stranger's", same_name.issuer.say(revoked(), NOW).unwrap(), Refused::Stranger),
            ("another issuer's", second.say(revoked(), NOW).unwrap(), Refused::KeyMismatch),
            ("the authority's", mesh.authority.say(revoked(), NOW).unwrap(), Refused::KeyMismatch),
            ("of another message", mesh.issuer.say(reinstated.clone(), NOW).unwrap(), Refused::KeyMismatch),
            ("of another moment", mesh.issuer.say(revoked(), NOW - 1).unwrap(), Refused::KeyMismatch),
        ];
        let (message, half, by_twin) = parts(&mesh.issuer.say(revoked(), NOW).unwrap());
        assert_eq!(hear(&mesh, &(message.clone(), half.clone(), by_twin.clone())), Ok(()));
        for (what, other, reason) in others {
            let (_, other_half, other_by_twin) = parts(&other);
            let bad = (message.clone(), half.clone(), other_by_twin);
            let told = hear(&mesh, &bad).unwrap_err();
            assert_eq!(told, reason, "the ML-DSA-65 half is {what}");
            let bad = (message.clone(), other_half, by_twin.clone());
            assert_eq!(hear(&mesh, &bad).unwrap_err(), reason, "the Ed25519 half is {what}");
        }
        // One half twice is not both, nor are the two in the other order.
        for (first, second, reason) in [
            (half.clone(), vec![], Refused::NoCertificate),
            (vec![], by_twin.clone(), Refused::NoCertificate),
            (half.clone(), half.clone(), Refused::Stranger),
            (by_twin.clone(), by_twin.clone(), Refused::Stranger),
            (by_twin.clone(), half.clone(), Refused::Stranger),
            (half.clone(), by_twin[..1].to_vec(), Refused::Stranger),
            (half[..1].to_vec(), by_twin.clone(), Refused::Stranger),
        ] {
            assert_eq!(hear(&mesh, &(message.clone(), first, second)), Err(reason));
        }
    }

    /// Whoever can compute an Ed25519 secret from its public key gains nothing, and neither does whoever breaks ML-DSA-65.
    #[test]
    fn an_issuer_whose_twin_no_authority_has_appointed_says_nothing() {
        let mesh = Mesh::new("lab");
        let thief = Twins::generate().unwrap();
        for with_key in [true, false] {
            let keys = mesh.issuer.keys();
            let stolen = match with_key {
                true => Twins { key: keys.key.clone(), twin: thief.twin.clone() },
                false => Twins { key: thief.key.clone(), twin: keys.twin.clone() },
            };
            let by = (&issuer_params(&mesh.issuer.key().peer()), &stolen);
            let above: Vec<CertificateDer<'_>> =
                mesh.issuer.certificate_ders().into_iter().map(CertificateDer::from).collect();
            let said = Said::sign(revoked(), NOW, mesh.issuer.trust_domain(), by, &above).unwrap();
            assert_eq!(mesh.trust.hear(&said.to_bytes(), NOW).map(drop), Err(Refused::Stranger));
        }
    }

    #[test]
    fn reasons_are_bounded_and_printable() {
        let mesh = Mesh::new("lab");
        for reason in ["a".repeat(201), "two\nlines".to_owned()] {
            let said = mesh.issuer.say(Statement::Revoked { peer: someone(), reason }, NOW);
            assert!(matches!(said, Err(crate::security::SecurityError::Unsayable)));
        }
    }

    #[test]
    fn a_certificate_is_taken_back_within_its_grace() {
        let mesh = Mesh::new("lab");
        let chain: Vec<CertificateDer<'_>> =
            mesh.issuer.issue(someone(), NOW, CERTIFICATE_LIFE).unwrap().into_iter().map(Into::into).collect();
        let ends = NOW + CERTIFICATE_LIFE.as_secs();
        assert_eq!(mesh.trust.check_lapsed(&chain, ends + 3600, 3600), Ok(someone()));
        assert_eq!(mesh.trust.check_lapsed(&chain, ends + 3601, 3600), Err(Refused::Expired));
        assert_eq!(Mesh::new("lab").trust.check_lapsed(&chain, ends, 3600), Err(Refused::Stranger));
    }
}
