//! The proof that a node wrote an entry: everything that somebody needs who has nothing else of its ledger.

use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::head::SignedHead;
use super::proof::Inclusion;
use super::tree::Tree;
use super::{Broken, Ledger};
use crate::Rejected;

/// An entry, the way from it to the root, and the head that the node has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// What was written.
    pub entry: Entry,
    /// That it is under the root.
    pub inclusion: Inclusion,
    /// That the node has signed the root.
    pub head: SignedHead,
}

/// Why entries and a head do not belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unproven {
    /// The head is none, or its node has not signed it.
    #[error("the head is {0}")]
    Head(#[source] Rejected),
    /// The entries are no chain.
    #[error("{0}")]
    Chain(#[source] Broken),
    /// There are other entries, or fewer, than the head stands for.
    #[error("the entries are not those that the head stands for")]
    OtherEntries,
}

impl Attestation {
    /// The attestation of an entry under a head that was signed later; `None` unless the tree has both.
    pub fn of(entry: Entry, tree: &Tree, head: SignedHead) -> Option<Self> {
        let inclusion = tree.inclusion(entry.index, head.head.size)?;
        Some(Self { entry, inclusion, head })
    }

    /// Checks that the node whose ledger the entry names has written it at its place.
    ///
    /// # Errors
    /// What is wrong with the head, or with the proof; [`Rejected::OverLimit`] for texts that no entry has,
    /// [`Rejected::WrongOrigin`] if entry and head are of two ledgers, [`Rejected::Inconsistent`] if the proof is about
    /// something else.
    pub fn verify(&self) -> Result<(), Rejected> {
        let Self { entry, inclusion, head } = self;
        entry.check()?;
        head.verify()?;
        if entry.ledger != head.head.ledger {
            return Err(Rejected::WrongOrigin);
        }
        if (inclusion.index, inclusion.size) != (entry.index, head.head.size) {
            return Err(Rejected::Inconsistent);
        }
        inclusion.verify(&entry.hash(), &head.head.root)
    }
}

/// Checks that these entries are all that a head stands for, from the first to the last.
///
/// # Errors
/// [`Unproven`].
pub fn verify_all<'a>(entries: impl IntoIterator<Item = &'a Entry>, head: &SignedHead) -> Result<(), Unproven> {
    head.verify().map_err(Unproven::Head)?;
    let mut ledger = Ledger::new(head.head.ledger);
    for entry in entries {
        // Texts that are too long for their length's field cannot be hashed, and are in no ledger.
        entry.check().map_err(|_| Unproven::OtherEntries)?;
        ledger.push(entry).map_err(Unproven::Chain)?;
    }
    if ledger.head() == head.head { Ok(()) } else { Err(Unproven::OtherEntries) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::ledger::{Event, Hash, Head};

    fn owner() -> Identity {
        Identity::from_secret(&[1; 32])
    }

    fn written(size: u64) -> (Ledger, Vec<Entry>) {
        let mut ledger = Ledger::new(owner().peer());
        let mut entries = Vec::new();
        for i in 0..size {
            let event = Event::Commanded { command: format!("{i}"), who: "uid 0".into(), from: "local".into() };
            let entry = ledger.next(&event, i);
            ledger.push(&entry).unwrap();
            entries.push(entry);
        }
        (ledger, entries)
    }

    #[test]
    fn every_entry_is_attested_by_every_later_head() {
        let (ledger, entries) = written(12);
        for size in 1..=12 {
            let head = written(size).0.head().sign(&owner());
            for entry in &entries {
                let attestation = Attestation::of(entry.clone(), ledger.tree(), head.clone());
                assert_eq!(attestation.as_ref().map(Attestation::verify), (entry.index < size).then_some(Ok(())));
            }
        }
    }

    #[test]
    fn an_attestation_of_anything_else_is_refused_by_name() {
        let (ledger, entries) = written(12);
        let good = Attestation::of(entries[3].clone(), ledger.tree(), ledger.head().sign(&owner())).unwrap();
        let changed = |change: &dyn Fn(&mut Attestation)| {
            let mut other = good.clone();
            change(&mut other);
            other.verify()
        };
        assert_eq!(changed(&|a| a.entry.text = "another".into()), Err(Rejected::Inconsistent));
        assert_eq!(changed(&|a| a.entry.unix_ms += 1), Err(Rejected::Inconsistent));
        assert_eq!(changed(&|a| a.entry = entries[4].clone()), Err(Rejected::Inconsistent));
        assert_eq!(changed(&|a| a.entry.who = "x".repeat(100_000)), Err(Rejected::OverLimit));
        assert_eq!(changed(&|a| a.inclusion.index = 4), Err(Rejected::Inconsistent));
        assert_eq!(changed(&|a| a.head.head.unix_ms += 1), Err(Rejected::Unsigned));
        let thief = Identity::from_secret(&[2; 32]);
        let stolen = Head { ledger: thief.peer(), ..ledger.head() }.sign(&thief);
        assert_eq!(changed(&|a| a.head = stolen.clone()), Err(Rejected::WrongOrigin));
        assert_eq!(changed(&|a| a.entry.ledger = thief.peer()), Err(Rejected::WrongOrigin));
    }

    #[test]
    fn a_whole_ledger_is_what_its_head_stands_for_and_nothing_less_or_else() {
        let (ledger, entries) = written(12);
        let head = ledger.head().sign(&owner());
        assert_eq!(verify_all(&entries, &head), Ok(()));
        assert_eq!(verify_all(&entries[..11], &head), Err(Unproven::OtherEntries));
        let gap = entries[..5].iter().chain(&entries[6..]);
        let broken = Broken::OtherIndex { found: 6, wanted: 5 };
        assert_eq!(verify_all(gap, &head), Err(Unproven::Chain(broken)));
        let mut last = entries.clone();
        last[11].text = "another".into();
        assert_eq!(verify_all(&last, &head), Err(Unproven::OtherEntries));
        last[11].text = "x".repeat(100_000);
        assert_eq!(verify_all(&last, &head), Err(Unproven::OtherEntries));
        let forged = Head { root: Hash([3; 32]), ..head.head };
        let forged = SignedHead { head: forged, signature: head.signature.clone() };
        assert_eq!(verify_all(&entries, &forged), Err(Unproven::Head(Rejected::Unsigned)));
    }
}
