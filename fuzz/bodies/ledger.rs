//! Whatever comes as an entry, a head, an attestation or a proof: it is read or refused, and what is refused proves nothing.

use prunella_core::ledger::{
    Attestation, Consistency, Entry, Inclusion, Ledger, Message, SignedHead, Tree, verify_all,
};
use prunella_core::wire::codec;

/// How many of the forms the bytes have.
pub(crate) fn read(bytes: &[u8]) -> usize {
    let entry = Entry::decode(bytes);
    if let Ok(entry) = &entry {
        let mut ledger = Ledger::new(entry.ledger);
        let taken = ledger.push(entry).is_ok();
        assert!(!taken || ledger.head().size == 1, "only the first entry begins a ledger");
    }
    let message = codec::decode::<Message>(bytes);
    let _ = message.as_ref().map(Message::check);
    let head = codec::decode::<SignedHead>(bytes);
    let _ = head.as_ref().map(|head| (head.check(), head.verify()));
    let proven = proofs(bytes);
    [entry.is_ok(), message.is_ok(), head.is_ok()].into_iter().filter(|is_read| *is_read).count() + proven + json(bytes)
}

/// Proofs of a tree that nobody has: none of them may hold.
fn proofs(bytes: &[u8]) -> usize {
    let empty = Tree::new().root();
    let inclusion = codec::decode::<Inclusion>(bytes);
    let _ = inclusion.as_ref().map(|proof| proof.verify(&empty, &empty));
    let consistency = codec::decode::<Consistency>(bytes);
    let _ = consistency.as_ref().map(|proof| proof.verify(&empty, &empty));
    usize::from(inclusion.is_ok()) + usize::from(consistency.is_ok())
}

/// What an exported ledger and an attestation are in files.
fn json(bytes: &[u8]) -> usize {
    let entry = serde_json::from_slice::<Entry>(bytes);
    let head = serde_json::from_slice::<SignedHead>(bytes);
    if let (Ok(entry), Ok(head)) = (&entry, &head) {
        let _ = verify_all([entry], head);
    }
    let attestation = serde_json::from_slice::<Attestation>(bytes);
    if let Ok(attestation) = &attestation {
        let again = serde_json::to_vec(attestation).expect("what was read can be written");
        let again: Attestation = serde_json::from_slice(&again).expect("what was written can be read");
        assert_eq!(again.verify(), attestation.verify());
    }
    [entry.is_ok(), head.is_ok(), attestation.is_ok()].into_iter().filter(|is_read| *is_read).count()
}
