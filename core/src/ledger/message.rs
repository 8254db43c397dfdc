//! What neighbors say to each other about their ledgers.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::cosignature::Cosignature;
use super::proof::Consistency;
use crate::Rejected;
use crate::limits::{LEDGER_ENTRIES_MAX, LEDGER_PROOF_HASHES_MAX};

/// One message about the ledger of one of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub enum Message {
    /// Asks for the proof that the receiver's ledger of `second` entries begins with that of `first`.
    Prove {
        /// Entries that the sender knows.
        first: u64,
        /// Entries that the receiver has signed that there are.
        second: u64,
    },
    /// The answer: about the sender's own ledger.
    Proof(Consistency),
    /// The sender has seen this head of the receiver's ledger; said whenever it has seen a larger one.
    Seen(Cosignature),
}

impl Message {
    /// Checks what its type does not say.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] if it is about a longer ledger than there can be, or has more hashes than a proof can have;
    /// [`Rejected::Inconsistent`] unless the second number is the larger one, and the first is not 0: nothing need be proven
    /// then; [`Rejected::Malformed`] for a signature of another length.
    pub fn check(&self) -> Result<(), Rejected> {
        let (first, second, hashes) = match self {
            Message::Prove { first, second } => (*first, *second, 0),
            Message::Proof(proof) => (proof.first, proof.second, proof.path.len()),
            Message::Seen(seen) if seen.size > LEDGER_ENTRIES_MAX => return Err(Rejected::OverLimit),
            Message::Seen(seen) if seen.signature.len() != 64 => return Err(Rejected::Malformed),
            Message::Seen(_) => return Ok(()),
        };
        if second > LEDGER_ENTRIES_MAX || hashes > LEDGER_PROOF_HASHES_MAX {
            return Err(Rejected::OverLimit);
        }
        if first > 0 && first < second { Ok(()) } else { Err(Rejected::Inconsistent) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Hash;

    #[test]
    fn what_no_ledger_can_be_asked_or_answer_is_refused_by_name() {
        let prove = |first, second| Message::Prove { first, second }.check();
        assert_eq!(prove(1, LEDGER_ENTRIES_MAX), Ok(()));
        assert_eq!(prove(1, LEDGER_ENTRIES_MAX + 1), Err(Rejected::OverLimit));
        assert_eq!([prove(0, 1), prove(2, 2), prove(3, 2)], [Err(Rejected::Inconsistent); 3]);
        let proof =
            |hashes| Message::Proof(Consistency { first: 1, second: 2, path: vec![Hash::NONE; hashes] }).check();
        assert_eq!(proof(LEDGER_PROOF_HASHES_MAX), Ok(()));
        assert_eq!(proof(LEDGER_PROOF_HASHES_MAX + 1), Err(Rejected::OverLimit));
        let witness = crate::PeerId::from_public_key([1; 32]);
        let seen = |size, bytes| Message::Seen(Cosignature { witness, size, signature: vec![1; bytes] }).check();
        assert_eq!(seen(LEDGER_ENTRIES_MAX, 64), Ok(()));
        assert_eq!(seen(LEDGER_ENTRIES_MAX + 1, 64), Err(Rejected::OverLimit));
        assert_eq!([seen(1, 63), seen(1, 65)], [Err(Rejected::Malformed); 2]);
    }
}
