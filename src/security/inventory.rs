//! What certificates there are, how long they last, and what is wrong with them.

use data_encoding::HEXLOWER;
use rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use crate::security::certificate::{only_uri, validity};
use crate::security::{APPOINTMENT_LIFE, AUTHORITY_LIFE, Algorithm, fingerprint};

/// What a certificate is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It names a node.
    Node,
    /// It appoints an issuer.
    Issuer,
    /// It is an authority's.
    Authority,
}

/// One certificate in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// What it is for.
    pub role: Role,
    /// The algorithm of its key.
    pub algorithm: Algorithm,
    /// Its SPIFFE ID; empty if it has none.
    pub spiffe_id: String,
    /// The first second at which it is valid, since the Unix epoch.
    pub from_unix: u64,
    /// The last one.
    pub until_unix: u64,
    /// The hash of the certificate, 64 hexadecimal digits.
    pub fingerprint: String,
}

impl Summary {
    /// What this certificate (DER) says; `None` if it is none.
    pub fn of(role: Role, der: &[u8]) -> Option<Self> {
        let parsed = CertificateDer::from(der);
        let (from, until) = validity(&parsed).ok()?;
        let certificate = EndEntityCert::try_from(&parsed).ok()?;
        Some(Self {
            role,
            algorithm: Algorithm::of(der).ok()?,
            spiffe_id: only_uri(&certificate).unwrap_or_default().to_owned(),
            from_unix: from.as_secs(),
            until_unix: until.as_secs(),
            fingerprint: HEXLOWER.encode(&fingerprint(der)),
        })
    }

    /// What its time says at `now`, in seconds since the Unix epoch: empty if all is well. A node's certificate is renewed
    /// at half of its life, so one with less than a quarter left is not being renewed; the others are renewed by people,
    /// who are told half a year, or two, before.
    pub fn problem(&self, now: u64) -> Option<String> {
        let left = self.until_unix.saturating_sub(now);
        let life = self.until_unix.saturating_sub(self.from_unix);
        if now > self.until_unix {
            return Some("it has expired".to_owned());
        }
        if now < self.from_unix {
            return Some("it is not valid yet; check the clocks".to_owned());
        }
        match self.role {
            Role::Node if left < life / 4 => Some("it ends soon and is not being renewed".to_owned()),
            Role::Issuer if left < APPOINTMENT_LIFE.as_secs() / 4 => {
                Some("the appointment ends soon; `prunella authority appoint` renews it".to_owned())
            }
            Role::Authority if left < AUTHORITY_LIFE.as_secs() / 5 => {
                Some("the authority ends soon; `prunella authority succeed` makes another".to_owned())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::PeerId;

    use super::*;
    use crate::security::{CERTIFICATE_LIFE, IssuingKey};

    const NOW: u64 = 1_800_000_000;
    const DAY: u64 = 86_400;

    #[test]
    fn each_kind_is_complained_about_in_time() {
        let issuer = IssuingKey::of_new_mesh("lab", NOW);
        let chain = issuer.issue(PeerId::from_public_key([1; 32]), NOW, CERTIFICATE_LIFE).unwrap();
        let problem = |role, der: &[u8], at| Summary::of(role, der).unwrap().problem(at);
        for (role, der, well, soon, over) in [
            (Role::Node, &chain[0], 17 * 3600, 19 * 3600, DAY + 1),
            (Role::Issuer, &chain[1], 540 * DAY, 560 * DAY, 731 * DAY),
            (Role::Authority, &issuer.authority_ders()[0], 2900 * DAY, 2930 * DAY, 3651 * DAY),
            (Role::Authority, &issuer.authority_ders()[1], 2900 * DAY, 2930 * DAY, 3651 * DAY),
        ] {
            assert_eq!(problem(role, der, NOW + well), None, "{role:?}");
            assert!(problem(role, der, NOW + soon).unwrap().contains("ends soon"), "{role:?}");
            assert_eq!(problem(role, der, NOW + over).unwrap(), "it has expired");
            assert!(problem(role, der, NOW - 301).unwrap().contains("not valid yet"));
        }
        let algorithms =
            issuer.authority_ders().into_iter().map(|der| Summary::of(Role::Authority, &der).unwrap().algorithm);
        assert_eq!(algorithms.collect::<Vec<_>>(), [Algorithm::Ed25519, Algorithm::MlDsa65]);
        assert_eq!(Summary::of(Role::Node, b"garbage"), None);
    }
}
