//! The head of a ledger: everything in it, in one signed statement.

use std::fmt;

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::hash::Hash;
use crate::identity::{self, Identity};
use crate::limits::LEDGER_ENTRIES_MAX;
use crate::signer::Signer;
use crate::{PeerId, Rejected};

/// What a ledger is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Head {
    /// Whose ledger.
    pub ledger: PeerId,
    /// How many entries it has.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
    /// The leaf hash of the last one; [`Hash::NONE`] if there is none.
    pub last: Hash,
    /// When the last entry was written, in milliseconds since the Unix epoch; 0 if there is none. Each entry is later than
    /// the one before it, whatever the clock does: of two heads with other times, one is the later.
    pub unix_ms: u64,
}

/// A head and the signature of its ledger's node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct SignedHead {
    /// What is signed.
    pub head: Head,
    /// The Ed25519 signature over [`Head::signed_bytes`], 64 bytes; written as hexadecimal digits where people read it.
    #[serde(with = "hex")]
    pub signature: Vec<u8>,
}

impl Head {
    /// What is signed: the prefix `prunella ledger head v1` and a zero byte, then the fields in their order, numbers
    /// big-endian; 136 bytes.
    pub fn signed_bytes(&self) -> Vec<u8> {
        let (size, time) = (self.size.to_be_bytes(), self.unix_ms.to_be_bytes());
        [PREFIX, self.ledger.as_bytes(), &size, &self.root.0, &self.last.0, &time].concat()
    }

    /// Signs it as the node whose ledger it is.
    ///
    /// # Panics
    /// If it is another node's: a bug of this node.
    pub fn sign(self, identity: &Identity) -> SignedHead {
        assert_eq!(self.ledger, identity.peer(), "BUG: a node signs only heads of its own ledger");
        SignedHead { signature: identity.sign(&self.signed_bytes()).to_vec(), head: self }
    }

    /// As [`Head::sign`]; `None` if the signer has no signature for it.
    pub(super) fn sign_with(self, signer: &mut Signer) -> Option<SignedHead> {
        let signature = signer.sign(&self.signed_bytes())?.to_vec();
        Some(SignedHead { head: self, signature })
    }

    /// Whether both say the same of the entries.
    pub fn agrees_with(&self, other: &Head) -> bool {
        (self.ledger, self.size, self.root, self.last) == (other.ledger, other.size, other.root, other.last)
    }
}

impl SignedHead {
    /// Checks that it can be a head, and that the node whose ledger it is has signed it.
    ///
    /// # Errors
    /// As [`SignedHead::check`], and [`Rejected::Unsigned`].
    pub fn verify(&self) -> Result<(), Rejected> {
        self.check()?;
        let signature = self.signature[..].try_into().map_err(|_| Rejected::Malformed)?;
        identity::verify(&self.head.ledger, &self.head.signed_bytes(), signature)
    }

    /// Checks its form alone.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] for a signature of another length, [`Rejected::OverLimit`] for a ledger that is too long,
    /// [`Rejected::Inconsistent`] for an empty one with a last entry or another root, or the other way around.
    pub fn check(&self) -> Result<(), Rejected> {
        let Head { size, root, last, .. } = self.head;
        if self.signature.len() != 64 {
            return Err(Rejected::Malformed);
        }
        if size > LEDGER_ENTRIES_MAX {
            return Err(Rejected::OverLimit);
        }
        let is_empty = (root == Hash::of_empty_tree(), last == Hash::NONE);
        // The only leaf of a tree is its root.
        let sound = if size == 0 { is_empty == (true, true) } else { !is_empty.0 && !is_empty.1 };
        if sound && (size != 1 || root == last) { Ok(()) } else { Err(Rejected::Inconsistent) }
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} entries, root {}, at {} ms", self.size, self.root, self.unix_ms)
    }
}

/// Bytes as text where people read them, as they are where they do not.
pub(super) mod hex {
    use data_encoding::HEXLOWER;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::ledger) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            HEXLOWER.encode(bytes).serialize(serializer)
        } else {
            bytes.serialize(serializer)
        }
    }

    pub(in crate::ledger) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            HEXLOWER.decode(text.as_bytes()).map_err(D::Error::custom)
        } else {
            Deserialize::deserialize(deserializer)
        }
    }
}

/// Keeps a signed head from meaning anything else.
const PREFIX: &[u8] = b"prunella ledger head v1\0";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_head_is_signed() {
        let me = Identity::from_secret(&[1; 32]);
        let head = Head { ledger: me.peer(), size: 3, root: Hash([1; 32]), last: Hash([2; 32]), unix_ms: 77 };
        assert_eq!(head.signed_bytes().len(), 136);
        let signed = head.sign(&me);
        assert_eq!(signed.verify(), Ok(()));
        let changed = |change: fn(&mut Head)| {
            let mut other = signed.clone();
            change(&mut other.head);
            other.verify()
        };
        assert_eq!(changed(|head| head.ledger = Identity::from_secret(&[2; 32]).peer()), Err(Rejected::Unsigned));
        assert_eq!(changed(|head| head.size = 4), Err(Rejected::Unsigned));
        assert_eq!(changed(|head| head.root.0[31] ^= 1), Err(Rejected::Unsigned));
        assert_eq!(changed(|head| head.last.0[0] ^= 1), Err(Rejected::Unsigned));
        assert_eq!(changed(|head| head.unix_ms += 1), Err(Rejected::Unsigned));
    }

    #[test]
    fn heads_that_no_ledger_has_are_refused_by_name() {
        let me = Identity::from_secret(&[1; 32]);
        let checked = |size, root, last| Head { ledger: me.peer(), size, root, last, unix_ms: 0 }.sign(&me).verify();
        let (some, empty) = (Hash([1; 32]), Hash::of_empty_tree());
        assert_eq!(checked(0, empty, Hash::NONE), Ok(()));
        assert_eq!(checked(1, some, some), Ok(()));
        assert_eq!(checked(0, some, Hash::NONE), Err(Rejected::Inconsistent));
        assert_eq!(checked(2, empty, some), Err(Rejected::Inconsistent));
        assert_eq!(checked(2, some, Hash::NONE), Err(Rejected::Inconsistent));
        assert_eq!(checked(1, some, Hash([2; 32])), Err(Rejected::Inconsistent));
        assert_eq!(checked(LEDGER_ENTRIES_MAX + 1, some, some), Err(Rejected::OverLimit));
    }
}
