//! What neighbors say to each other about their ledgers.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::cosignature::Cosignature;
use super::entry::Entry;
use super::proof::Consistency;
use crate::limits::{LEDGER_ENTRIES_MAX, LEDGER_FETCH_MAX, LEDGER_GIVE_BYTES_MAX, LEDGER_PROOF_HASHES_MAX};
use crate::{PeerId, Rejected};

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
    /// Asks for entries: of the receiver's own ledger, or those of the sender's of which the receiver has copies.
    Fetch {
        /// Whose ledger.
        ledger: PeerId,
        /// The number of the first.
        first: u64,
        /// How many, at most [`LEDGER_FETCH_MAX`].
        count: u64,
    },
    /// The answer: entries that follow each other, as many as there are and fit. None: there is none of them.
    Entries {
        /// Whose ledger.
        ledger: PeerId,
        /// The number of the first; it may be later than what was asked for, if what was there cannot be read.
        first: u64,
        /// Each as [`Entry::encode`] has it.
        entries: Vec<Vec<u8>>,
    },
}

impl Message {
    /// Checks what its type does not say.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] if it is about a longer ledger than there can be, or has more hashes than a proof can have;
    /// [`Rejected::Inconsistent`] unless the second number is the larger one, and the first is not 0: nothing need be proven
    /// then; [`Rejected::Malformed`] for a signature of another length. Of entries whatever [`Entry::decode`] says, and
    /// [`Rejected::Inconsistent`] for those of another ledger or with other numbers: whether they are what was written is not
    /// checked here.
    pub fn check(&self) -> Result<(), Rejected> {
        let (first, second, hashes) = match self {
            Message::Prove { first, second } => (*first, *second, 0),
            Message::Proof(proof) => (proof.first, proof.second, proof.path.len()),
            Message::Seen(seen) if seen.size > LEDGER_ENTRIES_MAX => return Err(Rejected::OverLimit),
            Message::Seen(seen) if seen.signature.len() != 64 => return Err(Rejected::Malformed),
            Message::Seen(_) => return Ok(()),
            Message::Fetch { first, count, .. } => return check_range(*first, *count, 1),
            Message::Entries { ledger, first, entries } => return check_entries(ledger, *first, entries),
        };
        if second > LEDGER_ENTRIES_MAX || hashes > LEDGER_PROOF_HASHES_MAX {
            return Err(Rejected::OverLimit);
        }
        if first > 0 && first < second { Ok(()) } else { Err(Rejected::Inconsistent) }
    }
}

/// Checks that a ledger can have so many entries from that one on, and that they can be asked for at once.
fn check_range(first: u64, count: u64, least: u64) -> Result<(), Rejected> {
    if count > LEDGER_FETCH_MAX || first > LEDGER_ENTRIES_MAX - count {
        return Err(Rejected::OverLimit);
    }
    if count < least { Err(Rejected::Malformed) } else { Ok(()) }
}

fn check_entries(ledger: &PeerId, first: u64, entries: &[Vec<u8>]) -> Result<(), Rejected> {
    check_range(first, entries.len() as u64, 0)?;
    if entries.iter().map(Vec::len).sum::<usize>() > LEDGER_GIVE_BYTES_MAX {
        return Err(Rejected::OverLimit);
    }
    for (index, bytes) in (first..).zip(entries) {
        let entry = Entry::decode(bytes)?;
        if (entry.ledger, entry.index) != (*ledger, index) {
            return Err(Rejected::Inconsistent);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Event, Hash, Ledger};

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
    #[test]
    fn entries_that_no_ledger_has_or_too_many_are_refused_by_name() {
        let owner = PeerId::from_public_key([1; 32]);
        let fetch = |first, count| Message::Fetch { ledger: owner, first, count }.check();
        assert_eq!(fetch(0, LEDGER_FETCH_MAX), Ok(()));
        assert_eq!(fetch(LEDGER_ENTRIES_MAX - 1, 1), Ok(()));
        assert_eq!([fetch(0, LEDGER_FETCH_MAX + 1), fetch(LEDGER_ENTRIES_MAX, 1)], [Err(Rejected::OverLimit); 2]);
        assert_eq!([fetch(u64::MAX, 1), fetch(1, u64::MAX)], [Err(Rejected::OverLimit); 2]);
        assert_eq!(fetch(7, 0), Err(Rejected::Malformed));

        let mut ledger = Ledger::new(owner);
        let mut written = Vec::new();
        for _ in 0..40 {
            let entry = ledger.next(&Event::Started { version: "x".repeat(200) }, 0);
            ledger.push(&entry).unwrap();
            written.push(entry.encode());
        }
        let given = |ledger, first, entries: &[Vec<u8>]| Message::Entries { ledger, first, entries: entries.into() };
        assert_eq!(given(owner, 3, &written[3..9]).check(), Ok(()));
        assert_eq!(given(owner, 3, &[]).check(), Ok(()), "there may be none");
        assert_eq!(given(owner, 2, &written[3..9]).check(), Err(Rejected::Inconsistent));
        assert_eq!(given(PeerId::from_public_key([2; 32]), 3, &written[3..9]).check(), Err(Rejected::Inconsistent));
        assert_eq!(given(owner, 0, &written).check(), Err(Rejected::OverLimit), "they are too long together");
        assert_eq!(given(owner, 0, &vec![Vec::new(); 65]).check(), Err(Rejected::OverLimit));
        assert_eq!(given(owner, 0, &[Vec::new()]).check(), Err(Rejected::Malformed));
        assert_eq!(given(owner, u64::MAX, &written[..1]).check(), Err(Rejected::OverLimit));
    }
}
