//! Whom a node trusts: the authorities, and what they have said since.

use std::collections::BTreeMap;

use prunella_core::PeerId;
use prunella_core::limits::{CLOCK_SKEW_MAX, STATEMENTS_MAX};
use rustls::pki_types::{CertificateDer, UnixTime};

use crate::security::bundle::Bundle;
use crate::security::certificate::{Usage, is_of_key, validity};
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
        self.dismissed.iter().any(|issuer| is_of_key(der, issuer))
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::identity::Identity;
    use prunella_core::limits::{POLICY_SET_BYTES_MAX, POLICY_SET_NAME_BYTES_MAX, STATEMENT_BYTES_MAX};

    use super::*;
    use crate::security::{Authority, CERTIFICATE_LIFE, IssuingKey};

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
            let trust = Trust::new(Bundle::new(&issuer.authority_ders()).unwrap());
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
        let chain: Vec<_> = by.issue(&someone(), NOW, CERTIFICATE_LIFE).unwrap().into_iter().map(Into::into).collect();
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
        let succeeded = Statement::Succeeded { authority: successor.certificate_der().to_vec() };
        assert_eq!(mesh.check(&later), Err(Refused::Stranger));
        let by_itself = successor.say(succeeded.clone(), NOW).unwrap();
        assert_eq!(mesh.hear(&by_itself), Err(Refused::Stranger), "nobody succeeds by its own word");
        assert_eq!(mesh.issuer_says(succeeded.clone(), NOW), Err(Refused::Stranger), "nor by that of an issuer");
        mesh.issuer_says(revoked(), NOW - 100).unwrap();
        mesh.issuer_says(Statement::Reinstated { peer: someone() }, NOW - 50).unwrap();
        let said = mesh.authority.say(succeeded, NOW).unwrap();
        assert_eq!(mesh.hear(&said), Ok(true));
        assert_eq!((mesh.check(&mesh.issuer), mesh.check(&later)), (Ok(someone()), Ok(someone())));
        assert_eq!(**mesh.trust.authorities.newest().der(), *successor.certificate_der());

        let first = crate::security::fingerprint(mesh.authority.certificate_der());
        let retired = successor.say(Statement::Retired { authority: first }, NOW).unwrap();
        assert_eq!(mesh.hear(&retired), Ok(true));
        assert_eq!((mesh.check(&mesh.issuer), mesh.check(&later)), (Err(Refused::Stranger), Ok(someone())));
        let unproven: Vec<_> = mesh.trust.said().filter(|said| !mesh.trust.proves_itself(said)).collect();
        assert!(!unproven.is_empty(), "what only the first authority vouches for must be said again");

        let last = crate::security::fingerprint(successor.certificate_der());
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
            mesh.trust = Trust::new(Bundle::new(&mesh.issuer.authority_ders()).unwrap());
            for text in texts {
                mesh.issuer_says(policy(5, text), NOW).unwrap();
            }
            mesh.trust.said().map(|said| said.statement.clone()).collect::<Vec<_>>()
        });
        assert_eq!(ends[0], ends[1]);
    }

    #[test]
    fn a_policy_that_is_too_long_or_has_no_name_cannot_be_said() {
        let mesh = Mesh::new("lab");
        let policy =
            |name: &str, bytes| Statement::PolicySet { version: 1, name: name.to_owned(), text: vec![b'#'; bytes] };
        let said = |statement| mesh.issuer.say(statement, NOW).map(|said| said.to_bytes().len());
        let longest = said(policy(&"n".repeat(POLICY_SET_NAME_BYTES_MAX), POLICY_SET_BYTES_MAX)).unwrap();
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
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1 << (at % 8);
            assert!(mesh.trust.hear(&bad, NOW).is_err(), "byte {at}");
        }
        assert!(mesh.trust.hear(&good[..good.len() - 1], NOW).is_err());
        assert!(mesh.trust.hear(&vec![0; 100_000], NOW).is_err());
        assert_eq!(mesh.check(&mesh.issuer), Ok(someone()));
    }

    #[test]
    fn a_node_s_certificate_signs_no_statement() {
        let mut mesh = Mesh::new("lab");
        let thief = Identity::from_secret(&[1; 32]);
        let genuine = mesh.issuer.say(revoked(), NOW).unwrap().to_bytes();
        let (message, _, _): (Vec<u8>, Vec<Vec<u8>>, Vec<u8>) =
            prunella_core::wire::codec::decode_canonical(&genuine).unwrap();
        let chain = mesh.issuer.issue(&thief.peer(), NOW, CERTIFICATE_LIFE).unwrap();
        let signature = thief.sign(&[b"prunella statement v1\0".as_slice(), &message].concat()).to_vec();
        let forged = prunella_core::wire::codec::encode(&(message, chain, signature));
        assert_eq!(mesh.trust.hear(&forged, NOW).map(drop), Err(Refused::WrongTrustDomain));
        assert_eq!(mesh.issuer_says(revoked(), NOW), Ok(true));
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
            mesh.issuer.issue(&someone(), NOW, CERTIFICATE_LIFE).unwrap().into_iter().map(Into::into).collect();
        let ends = NOW + CERTIFICATE_LIFE.as_secs();
        assert_eq!(mesh.trust.check_lapsed(&chain, ends + 3600, 3600), Ok(someone()));
        assert_eq!(mesh.trust.check_lapsed(&chain, ends + 3601, 3600), Err(Refused::Expired));
        assert_eq!(Mesh::new("lab").trust.check_lapsed(&chain, ends, 3600), Err(Refused::Stranger));
    }
}
