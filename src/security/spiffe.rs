//! SPIFFE IDs: the name of a node inside its certificate, and those of workloads that others certify.
//!
//! See the SPIFFE-ID specification, sections 2.1 and 2.2.

use std::fmt;
use std::str::FromStr;

use prunella_core::PeerId;
use prunella_core::limits::WORKLOAD_ID_BYTES_MAX;

/// The name of a mesh, and the authority part of every SPIFFE ID in it: 1 to 255 characters of a to z, 0 to 9, `.`, `-`
/// and `_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrustDomain(String);

/// A node's SPIFFE ID, written `spiffe://<trust domain>/node/<peer id>`, and for a node that was admitted on the word of
/// another trust domain `spiffe://<trust domain>/node/<peer id>/for/<the workload's trust domain>/<its path>`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpiffeId {
    /// The mesh that the node belongs to.
    pub trust_domain: TrustDomain,
    /// The node.
    pub peer: PeerId,
    /// The workload as which it was admitted; `None`: on an invitation.
    pub workload: Option<WorkloadId>,
}

/// The SPIFFE ID of a workload, in whatever trust domain: `spiffe://<trust domain>/<path>`, at most
/// [`WORKLOAD_ID_BYTES_MAX`] bytes long.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadId {
    trust_domain: TrustDomain,
    path: String,
}

/// The text is not the SPIFFE ID of a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a workload's SPIFFE ID (spiffe://<trust domain>/<path>, at most {WORKLOAD_ID_BYTES_MAX} bytes)")]
pub struct NotAWorkload;

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
        let name = path.strip_prefix("node/").ok_or(NotASpiffeId)?;
        let (peer, workload) = match name.split_once('/') {
            None => (name, None),
            Some((peer, rest)) => (peer, Some(rest.strip_prefix("for/").ok_or(NotASpiffeId)?)),
        };
        let workload = workload.map(WorkloadId::of_rest).transpose().map_err(|_| NotASpiffeId)?;
        Ok(Self {
            trust_domain: trust_domain.parse().map_err(|_| NotASpiffeId)?,
            peer: peer.parse().map_err(|_| NotASpiffeId)?,
            workload,
        })
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/node/{}", self.trust_domain.uri(), self.peer)?;
        match &self.workload {
            Some(WorkloadId { trust_domain, path }) => write!(f, "/for/{trust_domain}/{path}"),
            None => Ok(()),
        }
    }
}

impl WorkloadId {
    /// The trust domain that names the workload.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The workload whose ID this is, without its scheme.
    fn of_rest(rest: &str) -> Result<Self, NotAWorkload> {
        let (trust_domain, path) = rest.split_once('/').ok_or(NotAWorkload)?;
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        let segment = |text: &str| !matches!(text, "" | "." | "..") && text.bytes().all(allowed);
        if SCHEME.len() + rest.len() > WORKLOAD_ID_BYTES_MAX || !path.split('/').all(segment) {
            return Err(NotAWorkload);
        }
        Ok(Self { trust_domain: trust_domain.parse().map_err(|_| NotAWorkload)?, path: path.to_owned() })
    }
}

impl FromStr for WorkloadId {
    type Err = NotAWorkload;

    fn from_str(text: &str) -> Result<Self, NotAWorkload> {
        text.strip_prefix(SCHEME).ok_or(NotAWorkload).and_then(Self::of_rest)
    }
}

impl fmt::Display for WorkloadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.trust_domain.uri(), self.path)
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
            workload: None,
        };
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert!(id.to_string().starts_with("spiffe://lab.example-1_x/node/"));
        let id = SpiffeId { workload: Some("spiffe://partner.example/ns/a_b/SA.1".parse().unwrap()), ..id };
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert!(id.to_string().ends_with("/for/partner.example/ns/a_b/SA.1"));
    }

    #[test]
    fn a_workload_has_a_path_of_plain_segments() {
        let id: WorkloadId = "spiffe://partner.example/ns/web".parse().unwrap();
        assert_eq!(
            (id.trust_domain().as_str(), id.to_string().as_str()),
            ("partner.example", "spiffe://partner.example/ns/web")
        );
        let long = |bytes: usize| format!("spiffe://p/{}", "a".repeat(bytes - "spiffe://p/".len()));
        assert!(long(WORKLOAD_ID_BYTES_MAX).parse::<WorkloadId>().is_ok());
        for bad in [
            "",
            "spiffe://p",
            "spiffe://p/",
            "spiffe:///a",
            "spiffe://p/a/",
            "spiffe://p/a//b",
            "spiffe://p/a/../b",
            "spiffe://p/./a",
            "spiffe://p/a b",
            "spiffe://p/a?x=1",
            "spiffe://p/%61",
            "spiffe://P/a",
            "spiffe://p:1/a",
            "SPIFFE://p/a",
            "https://p/a",
            &long(WORKLOAD_ID_BYTES_MAX + 1),
        ] {
            assert_eq!(bad.parse::<WorkloadId>(), Err(NotAWorkload), "{bad:.60}");
        }
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
            format!("spiffe://lab/node/{peer}/for"),
            format!("spiffe://lab/node/{peer}/for/"),
            format!("spiffe://lab/node/{peer}/for/partner"),
            format!("spiffe://lab/node/{peer}/for/partner/"),
            format!("spiffe://lab/node/{peer}/of/partner/web"),
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
