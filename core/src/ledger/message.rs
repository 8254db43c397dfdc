//! What neighbors say to each other about their ledgers.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

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
}

impl Message {
    /// Checks what its type does not say.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] if it is about a longer ledger than there can be, or has more hashes than a proof can have;
    /// [`Rejected::Inconsistent`] unless the second number is the larger one, and the first is not 0: nothing need be proven
    /// then.
    pub fn check(&self) -> Result<(), Rejected> {
        let (first, second, hashes) = match self {
            Message::Prove { first, second } => (*first, *second, 0),
            Message::Proof(proof) => (proof.first, proof.second, proof.path.len()),
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
    }
}
