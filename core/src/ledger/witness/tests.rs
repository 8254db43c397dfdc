//! What a witness finds, and what it does not.

use super::*;
use crate::identity::Identity;
use crate::ledger::{Event, Hash, Ledger};

fn owner() -> Identity {
    Identity::from_secret(&[1; 32])
}

/// The owner's ledger with so many entries, of which those from `from` on are of another history.
fn ledger(size: u64, from: u64) -> Ledger {
    let mut ledger = Ledger::new(owner().peer());
    for i in 0..size {
        let version = if i < from { format!("{i}") } else { format!("another {i}") };
        let entry = ledger.next(&Event::Started { version }, i);
        ledger.push(&entry).unwrap();
    }
    ledger
}

/// The head of that ledger, as if its last entry was written at this time.
fn other_head(size: u64, from: u64, unix_ms: u64) -> SignedHead {
    Head { unix_ms, ..ledger(size, from).head() }.sign(&owner())
}

fn head(size: u64, unix_ms: u64) -> SignedHead {
    other_head(size, size, unix_ms)
}

/// A witness that has seen 10 entries at the time 100.
fn witness() -> Witness {
    let mut witness = Witness::new();
    assert_eq!(witness.hear(head(10, 100)), Reaction::First);
    witness
}

fn found(reaction: Reaction) -> Finding {
    match reaction {
        Reaction::Found(finding) => *finding,
        other => panic!("nothing was found: {other:?}"),
    }
}

#[test]
fn a_ledger_that_grows_is_proven_step_by_step() {
    let mut witness = witness();
    for size in 11..40 {
        let new = head(size, 100 + size);
        assert_eq!(witness.hear(new.clone()), Reaction::ProofWanted { first: size - 1, second: size });
        assert_eq!(witness.hear(new.clone()), Reaction::Known, "it is asked once");
        assert_eq!(witness.proven(&owner().peer()).map(|head| head.head.size), Some(size - 1));
        let proof = ledger(size, size).tree().consistency(size - 1, size).unwrap();
        assert_eq!(witness.prove(&owner().peer(), &proof), Ok(None));
        assert_eq!(witness.proven(&owner().peer()), Some(&new));
        assert_eq!(witness.claimed(&owner().peer()), None);
    }
}

#[test]
fn a_ledger_that_was_truncated_is_found_and_anybody_can_check_it() {
    let mut witness = witness();
    let finding = found(witness.hear(head(7, 200)));
    assert_eq!(finding.fault, Fault::Truncated);
    assert_eq!(finding.check(), Ok(()));
    assert_eq!(witness.proven(&owner().peer()), Some(&head(10, 100)), "what was known stays known");
    // The entries that were there are gone, but so they are if all are gone.
    assert_eq!(found(witness.hear(head(0, 200))).fault, Fault::Truncated);
}

#[test]
fn a_ledger_that_was_rewritten_in_place_is_found_and_anybody_can_check_it() {
    let finding = found(witness().hear(other_head(10, 4, 200)));
    assert_eq!(finding.fault, Fault::Rewritten);
    assert_eq!(finding.check(), Ok(()));
}

#[test]
fn a_ledger_that_was_rewritten_and_grew_is_found_by_its_proof() {
    let mut witness = witness();
    let rewritten = ledger(15, 4);
    let claim = other_head(15, 4, 200);
    assert_eq!(witness.hear(claim.clone()), Reaction::ProofWanted { first: 10, second: 15 });
    let proof = rewritten.tree().consistency(10, 15).unwrap();
    let finding = witness.prove(&owner().peer(), &proof).unwrap().expect("it is found");
    assert_eq!((finding.fault, &finding.heard), (Fault::Rewritten, &claim));
    assert_eq!(finding.check(), Err(Rejected::Inconsistent), "that a proof failed, only its witness knows");
    assert_eq!(witness.proven(&owner().peer()), Some(&head(10, 100)));
}

#[test]
fn two_histories_are_found_and_anybody_can_check_it() {
    for unix_ms in [100, 99] {
        let finding = found(witness().hear(other_head(10, 4, unix_ms)));
        assert_eq!(finding.fault, Fault::Forked);
        assert_eq!(finding.check(), Ok(()));
    }
    // More entries at an earlier time: a second history that is ahead.
    let finding = found(witness().hear(head(12, 50)));
    assert_eq!((finding.fault, finding.check()), (Fault::Forked, Ok(())));
}

#[test]
fn two_histories_that_both_grew_are_found_although_nothing_was_proven_yet() {
    let mut witness = witness();
    assert!(matches!(witness.hear(head(15, 200)), Reaction::ProofWanted { .. }));
    let finding = found(witness.hear(other_head(15, 12, 200)));
    assert_eq!((finding.fault, finding.check()), (Fault::Forked, Ok(())));
}

#[test]
fn an_older_head_that_is_said_again_as_new_is_found_and_proves_nothing_to_others() {
    let mut witness = witness();
    for older in [head(7, 50), head(10, 99), head(0, 100)] {
        let finding = found(witness.hear(older));
        assert_eq!(finding.fault, Fault::Replayed);
        assert_eq!(finding.check(), Err(Rejected::Inconsistent), "it was true once");
    }
}

#[test]
fn a_finding_that_was_made_up_proves_nothing() {
    let true_one = found(witness().hear(head(7, 200)));
    for fault in [Fault::Rewritten, Fault::Forked, Fault::Replayed] {
        assert_eq!(Finding { fault, ..true_one.clone() }.check(), Err(Rejected::Inconsistent));
    }
    let mut unsigned = true_one.clone();
    unsigned.heard.head.size = 6;
    assert_eq!(unsigned.check(), Err(Rejected::Unsigned));
    let (known, heard) = (head(7, 50), head(10, 100));
    for fault in Fault::ALL {
        let honest = Finding { fault, known: known.clone(), heard: heard.clone() };
        assert_eq!(honest.check(), Err(Rejected::Inconsistent), "an honest ledger is accused of nothing");
    }
    let other = Identity::from_secret(&[2; 32]);
    let elsewhere = Ledger::new(other.peer()).head().sign(&other);
    let mixed = Finding { fault: Fault::Truncated, known: heard, heard: elsewhere };
    assert_eq!(mixed.check(), Err(Rejected::Inconsistent), "heads of two ledgers contradict nothing");
}

#[test]
fn a_proof_that_nobody_waits_for_says_nothing() {
    let mut witness = witness();
    let me = owner().peer();
    let longer = ledger(15, 15);
    let proof = longer.tree().consistency(10, 15).unwrap();
    assert_eq!(witness.prove(&me, &proof), Err(Rejected::Stale));
    witness.hear(head(14, 200));
    assert_eq!(witness.prove(&me, &proof), Err(Rejected::Stale));
    assert_eq!(witness.prove(&Identity::from_secret(&[2; 32]).peer(), &proof), Err(Rejected::Stale));
    let garbage = Consistency { first: 10, second: 14, path: vec![Hash([9; 32]); 2] };
    assert!(witness.prove(&me, &garbage).unwrap().is_some());
}

#[test]
fn a_witness_is_bounded_and_the_first_stay() {
    let mut witness = witness();
    for i in 0..2 * LEDGERS_WITNESSED_MAX as u64 {
        let mut key = [9; 32];
        key[..8].copy_from_slice(&i.to_be_bytes());
        let head = Ledger::new(PeerId::from_public_key(key)).head();
        let reaction = witness.hear(SignedHead { head, signature: vec![0; 64] });
        let room = i + 1 < LEDGERS_WITNESSED_MAX as u64;
        assert_eq!(reaction, if room { Reaction::First } else { Reaction::NoRoom });
    }
    assert_eq!(witness.ledgers().count(), LEDGERS_WITNESSED_MAX);
    assert_eq!(witness.hear(head(10, 100)), Reaction::Known);
}
