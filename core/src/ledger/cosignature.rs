//! The word of a witness: it has seen a head of another node's ledger, and that it continues all that it saw before.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::head::{Head, hex};
use crate::identity::{self, Identity};
use crate::signer::Signer;
use crate::{PeerId, Rejected};

/// A witness has seen a head. It says nothing of what the entries tell: only that whoever shows another history of the same
/// ledger contradicts what this witness has seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Cosignature {
    /// Who has seen it.
    pub witness: PeerId,
    /// How many entries the head stands for.
    pub size: u64,
    /// The witness's Ed25519 signature over the prefix `prunella ledger seen v1`, a zero byte, and [`Head::signed_bytes`];
    /// 64 bytes, written as hexadecimal digits where people read it.
    #[serde(with = "hex")]
    pub signature: Vec<u8>,
}

impl Cosignature {
    /// The word of a witness with this identity.
    pub fn of(head: &Head, witness: &Identity) -> Self {
        let signature = witness.sign(&signed_bytes(head)).to_vec();
        Self { witness: witness.peer(), size: head.size, signature }
    }

    /// As [`Cosignature::of`]; `None` if the signer has no signature for it.
    pub(super) fn sign(head: &Head, signer: &mut Signer) -> Option<Self> {
        let signature = signer.sign(&signed_bytes(head))?.to_vec();
        Some(Self { witness: signer.peer(), size: head.size, signature })
    }

    /// Checks that the witness has signed that it has seen this head.
    ///
    /// # Errors
    /// [`Rejected::Inconsistent`] if it is about another head, [`Rejected::Malformed`] for a signature of another length,
    /// [`Rejected::Unsigned`] for one that does not fit.
    pub fn verify(&self, head: &Head) -> Result<(), Rejected> {
        if self.size != head.size {
            return Err(Rejected::Inconsistent);
        }
        let signature = self.signature[..].try_into().map_err(|_| Rejected::Malformed)?;
        identity::verify(&self.witness, &signed_bytes(head), signature)
    }
}

fn signed_bytes(head: &Head) -> Vec<u8> {
    [PREFIX, &head.signed_bytes()].concat()
}

/// Keeps a witness's signature from meaning anything else.
const PREFIX: &[u8] = b"prunella ledger seen v1\0";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Ledger;

    #[test]
    fn a_witness_vouches_for_one_head_alone() {
        let (owner, witness) = (Identity::from_secret(&[1; 32]), Identity::from_secret(&[2; 32]));
        let head = Ledger::new(owner.peer()).head();
        let seen = Cosignature::of(&head, &witness);
        assert_eq!(seen.verify(&head), Ok(()));
        assert_eq!(seen.verify(&Head { unix_ms: 1, ..head }), Err(Rejected::Unsigned));
        assert_eq!(seen.verify(&Head { size: 1, ..head }), Err(Rejected::Inconsistent));
        assert_eq!(Cosignature { witness: owner.peer(), ..seen.clone() }.verify(&head), Err(Rejected::Unsigned));
        assert_eq!(Cosignature { signature: vec![1; 63], ..seen }.verify(&head), Err(Rejected::Malformed));
        // The owner's signature of its head is no witness's word, though it were its own witness.
        let own = Cosignature { witness: owner.peer(), size: 0, signature: head.sign(&owner).signature };
        assert_eq!(own.verify(&head), Err(Rejected::Unsigned));
    }
}
