//! SPIFFE IDs: the name of a node inside its certificate.
//!
//! See the SPIFFE-ID specification, sections 2.1 and 2.2.

use std::fmt;
use std::str::FromStr;

use prunella_core::PeerId;

/// The name of a mesh, and the authority part of every SPIFFE ID in it: 1 to 255 characters of a to z, 0 to 9, `.`, `-`
/// and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(String);

/// A node's SPIFFE ID, written `spiffe://<trust domain>/node/<peer id>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    /// The mesh that the node belongs to.
    pub trust_domain: TrustDomain,
    /// The node.
    pub peer: PeerId,
}

/// The text cannot be a trust domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a trust domain (1 to 255 characters of a-z, 0-9, '.', '-' and '_')")]
pub struct NotATrustDomain;

/// The text is not the SPIFFE ID of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a node's SPIFFE ID (spiffe://<trust domain>/node/<peer id>)")]
pub struct NotASpiffeId;

impl TrustDomain {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The SPIFFE ID of the trust domain itself, which its authority's certificate carries.
    pub fn uri(&self) -> String {
        format!("{SCHEME}{self}")
    }

    /// The trust domain whose own SPIFFE ID is `uri`.
    ///
    /// # Errors
    /// [`NotATrustDomain`] if it is not one, for example because it has a path.
    pub fn from_uri(uri: &str) -> Result<Self, NotATrustDomain> {
        uri.strip_prefix(SCHEME).ok_or(NotATrustDomain)?.parse()
    }
}

impl FromStr for TrustDomain {
    type Err = NotATrustDomain;

    fn from_str(text: &str) -> Result<Self, NotATrustDomain> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_');
        let fits = (1..=TRUST_DOMAIN_BYTES_MAX).contains(&text.len()) && text.bytes().all(allowed);
        fits.then(|| Self(text.to_owned())).ok_or(NotATrustDomain)
    }
}

impl fmt::Display for TrustDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for SpiffeId {
    type Err = NotASpiffeId;

    fn from_str(text: &str) -> Result<Self, NotASpiffeId> {
        let (trust_domain, path) =
            text.strip_prefix(SCHEME).and_then(|rest| rest.split_once('/')).ok_or(NotASpiffeId)?;
        let peer = path.strip_prefix("node/").ok_or(NotASpiffeId)?;
        Ok(Self {
            trust_domain: trust_domain.parse().map_err(|_| NotASpiffeId)?,
            peer: peer.parse().map_err(|_| NotASpiffeId)?,
        })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/node/{}", self.trust_domain.uri(), self.peer)
    }
}

const SCHEME: &str = "spiffe://";
const TRUST_DOMAIN_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text_form() {
        let id = SpiffeId {
            trust_domain: "lab.example-1_x".parse().unwrap(),
            peer: PeerId::from_public_key(std::array::from_fn(|i| i as u8)),
        };
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert!(id.to_string().starts_with("spiffe://lab.example-1_x/node/"));
    }

    #[test]
    fn only_a_node_of_a_trust_domain_has_an_id() {
        let peer = PeerId::from_public_key([1; 32]);
        for bad in [
            String::new(),
            "spiffe://lab".to_owned(),
            "spiffe://lab/".to_owned(),
            format!("spiffe:///node/{peer}"),
            format!("https://lab/node/{peer}"),
            format!("SPIFFE://lab/node/{peer}"),
            format!("spiffe://lab/agent/{peer}"),
            format!("spiffe://lab/node/{peer}/"),
            format!("spiffe://lab/node/{peer}?x"),
            format!("spiffe://user@lab/node/{peer}"),
            format!("spiffe://lab:1/node/{peer}"),
            "spiffe://lab/node/short".to_owned(),
        ] {
            assert_eq!(bad.parse::<SpiffeId>(), Err(NotASpiffeId), "{bad}");
        }
    }

    #[test]
    fn a_trust_domain_is_lowercase_and_bounded() {
        assert!("a".repeat(255).parse::<TrustDomain>().is_ok());
        for bad in ["", "Lab", "lab/x", "lab x", "läb", "lab:1", &"a".repeat(256)] {
            assert_eq!(bad.parse::<TrustDomain>(), Err(NotATrustDomain), "{bad}");
        }
        assert_eq!(TrustDomain::from_uri("spiffe://lab").map(|d| d.to_string()), Ok("lab".to_owned()));
        assert_eq!(TrustDomain::from_uri("spiffe://lab/node"), Err(NotATrustDomain));
    }
}
