//! What a node says with a second signature: in a mesh whose certificates are of another algorithm than Ed25519, what
//! matters for trust counts only if the certified key has signed it, too.
//!
//! An endorsement is a record of its own: it is long, what it endorses is short, and most records are not endorsed. It
//! proves itself by certificates that this crate cannot read, and names what it is about by a digest.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::Body;
use crate::PeerId;
use crate::ledger::Head;
use crate::wire::codec;

/// What is endorsed: of each matter of a node, its newest word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, Encode, Decode)]
pub enum Matter {
    /// Who a node is and where it can be reached: its [`NodeBody`](super::NodeBody).
    Identity,
    /// Whom it believes no more: its votes.
    Distrust,
    /// The head of its ledger.
    LedgerHead,
}

/// A BLAKE3 hash of what is endorsed, which means nothing elsewhere.
pub type Digest = [u8; 32];

impl Matter {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Identity, Self::Distrust, Self::LedgerHead];

    /// The key under which its endorsement is told.
    pub const fn key(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Distrust => "distrust",
            Self::LedgerHead => "ledger-head",
        }
    }

    /// The matter with this key.
    pub fn with_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|matter| matter.key() == key)
    }

    /// What stands for a ledger's head.
    pub fn digest_of_head(head: &Head) -> Digest {
        digest(Self::LedgerHead, &head.signed_bytes())
    }

    /// What stands for a node's votes.
    pub fn digest_of_votes(distrusted: &[PeerId]) -> Digest {
        digest(Self::Distrust, &codec::encode(&distrusted))
    }

    /// What of a record is endorsed, if anything is; what says nothing of the matter is not.
    pub fn of(body: &Body) -> Option<(Self, Digest)> {
        match body {
            Body::Node(node) => Some((Self::Identity, digest(Self::Identity, &codec::encode(node)))),
            Body::Judgments(judgments) => Some((Self::Distrust, Self::digest_of_votes(&judgments.distrusted))),
            Body::LedgerHead(head) => Some((Self::LedgerHead, Self::digest_of_head(&head.head))),
            _ => None,
        }
    }
}

fn digest(matter: Matter, content: &[u8]) -> Digest {
    *blake3::Hasher::new_derive_key(CONTEXT)
        .update(matter.key().as_bytes())
        .update(&[0])
        .update(content)
        .finalize()
        .as_bytes()
}

/// Keeps a digest from meaning anything else.
const CONTEXT: &str = "prunella 2026-11 endorsed word v1";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_matter_has_a_key_and_digests_of_its_own() {
        for matter in Matter::ALL {
            assert_eq!(Matter::with_key(matter.key()), Some(matter));
        }
        assert_eq!(Matter::with_key("else"), None);
        let alike = Matter::ALL.map(|matter| digest(matter, b"the same"));
        assert!(alike[0] != alike[1] && alike[1] != alike[2] && alike[0] != alike[2]);
        assert_ne!(
            Matter::digest_of_votes(&[]),
            Matter::digest_of_votes(&[crate::identity::Identity::from_secret(&[1; 32]).peer()])
        );
        assert_eq!(Matter::of(&Body::Withdrawn), None);
    }
}
