//! Claims: what is taken, what is turned away, and under which name.

use super::*;
use crate::PeerId;
use crate::identity::{Identity, PublicKey};
use crate::ledger::Ledger;
use crate::limits::{BATCH_RECORDS_MAX, RECORD_LIFE_MAX, RECORD_PROOF_BYTES_MAX, ROUTES_ANNOUNCED_MAX};
use crate::record::{
    Body, Equivocation, JudgmentsBody, Kind, NodeBody, RecordId, Refuted, SignatureKey, VerifiedCache,
};

const NOW_MS: u64 = 1_800_000_000_000;

fn identity(i: u8) -> Identity {
    Identity::from_secret(&[i; 32])
}

fn service(origin: PeerId, name: &str, life_ms: u64) -> Record {
    Record {
        id: RecordId { origin, kind: Kind::Service, key: name.to_owned() },
        version: 1,
        issued_ms: NOW_MS,
        expires_ms: NOW_MS + life_ms,
        body: Body::Service,
    }
}

fn services(me: &Identity, count: usize) -> Vec<Record> {
    (0..count).map(|i| service(me.peer(), &format!("s{i}"), 1000)).collect()
}

fn batch(me: &Identity, count: usize) -> Vec<SignedRecord> {
    Record::sign_batch(services(me, count), me).into_iter().map(|proven| proven.signed.clone()).collect()
}

/// Signs what [`Record::sign`] would refuse to.
fn sign_bytes(bytes: Vec<u8>, me: &Identity) -> SignedRecord {
    let signature = Statement::Single(&bytes, [0; 32]).sign(me);
    SignedRecord { bytes, signature, path: None }
}

fn sign_anything(record: &Record, me: &Identity) -> SignedRecord {
    sign_bytes(codec::encode(record), me)
}

/// Counts how many signatures were checked.
#[derive(Default)]
struct Counted {
    cache: VerifiedCache,
    checked: usize,
}

impl Known for Counted {
    fn holds(&mut self, key: &SignatureKey) -> bool {
        let hit = self.cache.holds(key);
        self.checked += usize::from(!hit);
        hit
    }

    fn add(&mut self, key: SignatureKey) {
        self.cache.add(key);
    }

    fn signer(&mut self, origin: &PeerId) -> Option<PublicKey> {
        self.cache.signer(origin)
    }

    fn met(&mut self, origin: &PeerId, key: PublicKey) {
        self.cache.met(origin, key);
    }
}

#[test]
fn a_signed_record_verifies_as_it_was_said() {
    let me = identity(1);
    let proven = service(me.peer(), "web", 1000).sign(&me);
    let again = proven.signed.clone().verify(NOW_MS).expect("it is genuine");
    assert_eq!(again, proven);
    assert_eq!(again.item, ItemId::of(&again.signed.bytes));
}

#[test]
fn any_flipped_bit_is_rejected() {
    let me = identity(1);
    let batched = batch(&me, 5).remove(3);
    for signed in [service(me.peer(), "web", 1000).sign(&me).signed.clone(), batched] {
        let encoded = codec::encode(&signed);
        for i in 0..encoded.len() * 8 {
            let mut forged = encoded.clone();
            forged[i / 8] ^= 1 << (i % 8);
            let taken = codec::decode::<SignedRecord>(&forged).is_ok_and(|claim| claim.verify(NOW_MS).is_ok());
            assert!(!taken, "bit {i}");
        }
    }
}

#[test]
fn an_expired_record_is_stale_and_an_early_one_is_from_the_future() {
    let me = identity(1);
    let signed = service(me.peer(), "web", 1000).sign(&me).signed.clone();
    assert_eq!(signed.clone().verify(NOW_MS + 1000), Err(Rejected::Stale));
    assert_eq!(signed.clone().verify(NOW_MS - 300_001), Err(Rejected::Future));
    assert!(signed.clone().verify(NOW_MS - 300_000).is_ok() && signed.verify(NOW_MS + 999).is_ok());
}

#[test]
fn a_body_must_fit_its_kind() {
    let me = identity(1);
    let mut record = service(me.peer(), "web", 1000);
    record.id.kind = Kind::Links;
    assert_eq!(sign_anything(&record, &me).verify(NOW_MS), Err(Rejected::Malformed));
    record.id.kind = Kind::Equivocation;
    record.body = Body::Withdrawn;
    assert_eq!(sign_anything(&record, &me).verify(NOW_MS), Err(Rejected::Malformed), "a proof is not withdrawn");
}

#[test]
fn a_record_in_another_form_than_ours_is_not_canonical() {
    let me = identity(1);
    let bytes = codec::encode(&service(me.peer(), "web", 1000));
    let trailing = [&bytes[..], &[0]].concat();
    // The origin's bytes, then the kind as a number of 16 bits instead of 8.
    let long = [&bytes[..32], &[251, 2, 0], &bytes[33..]].concat();
    assert_eq!(codec::decode::<Record>(&long), codec::decode::<Record>(&bytes), "it means the same");
    for odd in [trailing, long] {
        assert_eq!(sign_bytes(odd, &me).verify(NOW_MS), Err(Rejected::NonCanonical));
    }
    assert!(sign_bytes(bytes, &me).verify(NOW_MS).is_ok());
}

#[test]
fn an_oversized_record_is_over_the_limit() {
    let me = identity(1);
    let huge = sign_bytes(vec![0; EQUIVOCATION_BYTES_MAX + 1], &me);
    assert_eq!(huge.verify(NOW_MS), Err(Rejected::OverLimit));
    let mut long = service(me.peer(), "", 1000);
    long.id.kind = Kind::Node;
    long.body = Body::Node(NodeBody { name: "n".repeat(RECORD_BYTES_MAX), ..NodeBody::default() });
    assert_eq!(sign_anything(&long, &me).verify(NOW_MS), Err(Rejected::OverLimit));
}

#[test]
fn networks_are_announced_few_in_order_and_none_that_is_not_the_nodes_own_to_give() {
    let me = identity(1);
    let said = |announced: Vec<&str>| {
        let mut record = service(me.peer(), "", 1000);
        record.id.kind = Kind::Node;
        let announced = announced.into_iter().map(|prefix| prefix.parse().unwrap()).collect();
        record.body = Body::Node(NodeBody { announced, ..NodeBody::default() });
        sign_anything(&record, &me).verify(NOW_MS).map(drop)
    };
    assert_eq!(said(vec!["10.20.0.0/16", "10.20.0.0/24", "fd00:20::/64"]), Ok(()));
    assert_eq!(said(vec!["fd00:20::/64", "10.20.0.0/16"]), Err(Rejected::Malformed), "not in order");
    assert_eq!(said(vec!["10.20.0.0/16"; 2]), Err(Rejected::Malformed), "twice");
    for bad in ["::/0", "0.0.0.0/0", "fd70:7275:6e65::7/128", "127.0.0.1/32"] {
        assert_eq!(said(vec![bad]), Err(Rejected::Malformed), "{bad}");
    }
    let many: Vec<String> = (0..=ROUTES_ANNOUNCED_MAX).map(|i| format!("10.{}.0.0/16", 10 + i)).collect();
    assert_eq!(said(many.iter().skip(1).map(String::as_str).collect()), Ok(()));
    assert_eq!(said(many.iter().map(String::as_str).collect()), Err(Rejected::OverLimit));
}

#[test]
fn a_batch_costs_one_signature_and_each_record_stands_alone() {
    let me = identity(1);
    for size in [1, 2, 3, 7, 200, BATCH_RECORDS_MAX, BATCH_RECORDS_MAX + 1, BATCH_RECORDS_MAX + 2] {
        let claims = batch(&me, size);
        let mut known = Counted::default();
        let (good, bad) = verify_all(claims.clone(), NOW_MS, &mut known);
        let said: Vec<Record> = good.iter().map(|proven| proven.record.clone()).collect();
        assert_eq!((said, bad), (services(&me, size), vec![]));
        assert_eq!(known.checked, size.div_ceil(BATCH_RECORDS_MAX), "{size}");
        for i in [0, size / 2, size - 1] {
            let alone = claims[i].clone().verify(NOW_MS).expect("its path leads to the root");
            assert_eq!(alone, good[i]);
        }
    }
}

#[test]
fn a_batch_of_one_is_a_record_signed_alone() {
    let me = identity(1);
    let alone = batch(&me, 1).remove(0);
    assert_eq!(alone.path, None);
    assert_eq!(alone, service(me.peer(), "s0", 1000).sign(&me).signed.clone());
}

#[test]
fn what_lies_between_two_batches_does_not_disturb_them() {
    let (me, other) = (identity(1), identity(2));
    let (mine, others) = (batch(&me, 6), batch(&other, 6));
    let mixed: Vec<SignedRecord> = mine.into_iter().zip(others).flat_map(|(a, b)| [a, b]).collect();
    let mut known = Counted::default();
    let (good, bad) = verify_all(mixed.clone(), NOW_MS, &mut known);
    assert_eq!((good.len(), bad), (12, vec![]));
    assert_eq!(known.cache.len(), 2, "two signatures");
    assert!(good.iter().zip(mixed).all(|(proven, claim)| proven.signed == claim));
}

#[test]
fn a_batch_carries_no_stranger() {
    let (me, other) = (identity(1), identity(2));
    let mut claims = batch(&me, 4);
    // A record that was never in the batch, with a place and a signature from it.
    claims[2].bytes = codec::encode(&service(me.peer(), "forged", 1000));
    let (good, bad) = verify_all(claims.clone(), NOW_MS, &mut VerifiedCache::default());
    assert_eq!((good.len(), bad), (3, vec![Rejected::Unsigned]));
    assert_eq!(claims[2].clone().verify(NOW_MS), Err(Rejected::Unsigned));
    // A record of another origin that was in the batch when it was signed.
    let leaves = [&me, &other].map(|origin| codec::encode(&service(origin.peer(), "web", 1000)));
    let (root, paths) = batch::tree(leaves.iter().map(|bytes| batch::leaf(bytes)).collect());
    let signature = Statement::Batch(2, root).sign(&me);
    let claims: Vec<SignedRecord> = leaves
        .into_iter()
        .zip(paths)
        .map(|(bytes, path)| SignedRecord { bytes, signature: signature.clone(), path: Some(path) })
        .collect();
    let (good, bad) = verify_all(claims.clone(), NOW_MS, &mut VerifiedCache::default());
    assert_eq!((good.len(), bad), (1, vec![Rejected::WrongOrigin]));
    assert_eq!(claims[1].clone().verify(NOW_MS), Err(Rejected::Unsigned), "alone it only lacks a signature");
}

#[test]
fn a_path_that_could_not_be_passed_on_is_refused_within_its_batch_too() {
    let me = identity(1);
    let mut claims = batch(&me, 8);
    for sibling in 0..3 {
        let mut bent = claims.clone();
        bent[5].path.as_mut().unwrap().siblings[sibling][7] ^= 1;
        let (good, bad) = verify_all(bent, NOW_MS, &mut VerifiedCache::default());
        assert_eq!((good.len(), bad), (7, vec![Rejected::Unsigned]), "sibling {sibling}");
    }
    claims[5].path = None;
    let (good, bad) = verify_all(claims, NOW_MS, &mut VerifiedCache::default());
    assert_eq!((good.len(), bad), (7, vec![Rejected::Unsigned]), "and a root is not a record");
}

#[test]
fn a_hit_in_the_cache_skips_the_signature_but_no_other_check() {
    let me = identity(1);
    let mut known = Counted::default();
    let single = service(me.peer(), "web", 1000).sign(&me).signed.clone();
    let claims = [batch(&me, 3), vec![single]].concat();
    assert_eq!(verify_all(claims.clone(), NOW_MS, &mut known).0.len(), 4);
    assert_eq!(verify_all(claims.clone(), NOW_MS, &mut known).0.len(), 4);
    assert_eq!(known.checked, 2, "the second time nothing was checked");
    let bad_at = |unix_ms, known: &mut Counted| verify_all(claims.clone(), unix_ms, known).1;
    assert_eq!(bad_at(NOW_MS + 1000, &mut known), [Rejected::Stale; 4]);
    assert_eq!(bad_at(NOW_MS - 300_001, &mut known), [Rejected::Future; 4]);
    let mut forged = claims.clone();
    forged.iter_mut().for_each(|claim| claim.bytes[40] ^= 1);
    let (good, bad) = verify_all(forged, NOW_MS, &mut known);
    assert!(good.is_empty() && bad.len() == 4, "known signatures over other bytes: {bad:?}");
    assert_eq!(known.cache.len(), 2);
}

#[test]
fn behind_too_many_bad_signatures_nothing_is_looked_at() {
    let me = identity(1);
    let mut claims: Vec<SignedRecord> =
        services(&me, 10).into_iter().map(|record| record.sign(&me).signed.clone()).collect();
    claims[1..6].iter_mut().for_each(|claim| claim.signature[3] ^= 1);
    let mut known = Counted::default();
    let (good, bad) = verify_all(claims, NOW_MS, &mut known);
    assert_eq!(good.len(), 1);
    assert_eq!(bad[..4], [Rejected::Unsigned; 4]);
    assert_eq!(bad[4..], [Rejected::Distrusted; 5]);
    assert_eq!(known.checked, 5);
}

// --- Equivocation ----------------------------------------------------------------------------------------------------

fn liar_says(liar: &Identity, life_ms: u64) -> Verified<ProvenRecord> {
    service(liar.peer(), "web", life_ms).sign(liar)
}

fn accusation(accuser: &Identity, accused: PeerId, proof: Equivocation) -> Record {
    Record {
        id: RecordId { origin: accuser.peer(), kind: Kind::Equivocation, key: accused.to_string() },
        version: 1,
        issued_ms: NOW_MS,
        expires_ms: NOW_MS + 60_000,
        body: Body::Equivocation(Box::new(proof)),
    }
}

#[test]
fn an_equivocation_is_proven_to_everybody() {
    let (me, liar) = (identity(1), identity(2));
    let (a, b) = (liar_says(&liar, 1000), liar_says(&liar, 2000));
    let proof = Equivocation::of(&a, &b).expect("they contradict each other");
    assert_eq!(Some(&proof), Equivocation::of(&b, &a).as_ref(), "in whichever order they were seen");
    assert_eq!(proof.accused(), liar.peer());
    let signed = accusation(&me, liar.peer(), proof.clone()).sign(&me).signed.clone();
    // The statements have expired long ago; the proof has not.
    let later = signed.verify(NOW_MS + 59_000).expect("it proves what it says");
    assert_eq!(later.record.body, Body::Equivocation(Box::new(proof)));
}

#[test]
fn statements_out_of_batches_prove_an_equivocation_too() {
    let (me, liar) = (identity(1), identity(2));
    let said = |life| vec![service(liar.peer(), "a", 1000), service(liar.peer(), "web", life)];
    let (a, b) = (Record::sign_batch(said(1000), &liar), Record::sign_batch(said(2000), &liar));
    assert_eq!(Equivocation::of(&a[0], &b[0]), None, "the same was said twice");
    let proof = Equivocation::of(&a[1], &b[1]).expect("they contradict each other");
    assert!(accusation(&me, liar.peer(), proof).sign(&me).signed.clone().verify(NOW_MS).is_ok());
}

#[test]
fn what_an_honest_node_says_proves_nothing() {
    let (me, other) = (identity(1), identity(2));
    let a = liar_says(&me, 1000);
    let mut newer = service(me.peer(), "web", 2000);
    newer.version = 2;
    let elsewhere = service(me.peer(), "db", 2000);
    let theirs = service(other.peer(), "web", 2000);
    assert_eq!(Equivocation::of(&a, &a), None);
    assert_eq!(Equivocation::of(&a, &newer.sign(&me)), None);
    assert_eq!(Equivocation::of(&a, &elsewhere.sign(&me)), None);
    assert_eq!(Equivocation::of(&a, &theirs.sign(&other)), None);
}

/// A proof made of two claims, without asking whether it proves anything.
fn forged(first: &SignedRecord, second: &SignedRecord, accused: PeerId) -> Equivocation {
    let made = (first.clone(), second.clone(), accused, NOW_MS);
    codec::decode(&codec::encode(&made)).expect("the same fields in the same order")
}

#[test]
fn a_proof_that_proves_nothing_is_refused() {
    let (me, liar) = (identity(1), identity(2));
    let (a, b) = (liar_says(&liar, 1000), liar_says(&liar, 2000));
    let (a, b) = if a.signed.bytes < b.signed.bytes { (&a.signed, &b.signed) } else { (&b.signed, &a.signed) };
    let verdict = |proof| {
        let record = accusation(&me, liar.peer(), proof);
        sign_anything(&record, &me).verify(NOW_MS).map(|_| ())
    };
    assert_eq!(verdict(forged(a, b, liar.peer())), Ok(()));
    assert_eq!(verdict(forged(a, a, liar.peer())), Err(Rejected::Inconsistent));
    assert_eq!(verdict(forged(b, a, liar.peer())), Err(Rejected::Inconsistent), "there is one order");
    assert_eq!(verdict(forged(a, b, me.peer())), Err(Rejected::WrongOrigin));
    let mut unsigned = b.clone();
    unsigned.signature[0] ^= 1;
    assert_eq!(verdict(forged(a, &unsigned, liar.peer())), Err(Rejected::Unsigned), "the accuser made one up");
    let mut odd = b.clone();
    odd.bytes.push(0);
    assert_eq!(verdict(forged(a, &odd, liar.peer())), Err(Rejected::NonCanonical));
    let mut other_key = accusation(&me, me.peer(), forged(a, b, liar.peer()));
    assert_eq!(sign_anything(&other_key, &me).verify(NOW_MS), Err(Rejected::WrongOrigin));
    other_key.id.key = "somebody".to_owned();
    assert_eq!(sign_anything(&other_key, &me).verify(NOW_MS), Err(Rejected::WrongOrigin));
}

#[test]
fn a_proof_within_a_proof_is_refused() {
    let (me, liar) = (identity(1), identity(2));
    let proof = Equivocation::of(&liar_says(&liar, 1000), &liar_says(&liar, 2000)).unwrap();
    let mut other = accusation(&me, liar.peer(), proof.clone());
    other.expires_ms += 1;
    let (a, b) = (accusation(&me, liar.peer(), proof).sign(&me), other.sign(&me));
    assert_eq!(Equivocation::of(&a, &b), None);
    let (a, b) = if a.signed.bytes < b.signed.bytes { (&a, &b) } else { (&b, &a) };
    let nested = accusation(&liar, me.peer(), forged(&a.signed, &b.signed, me.peer()));
    assert_eq!(sign_anything(&nested, &liar).verify(NOW_MS), Err(Rejected::Inconsistent));
}

#[test]
fn a_proof_ends_a_records_life_after_what_it_proves() {
    let (me, liar) = (identity(1), identity(2));
    let proof = Equivocation::of(&liar_says(&liar, 1000), &liar_says(&liar, 2000)).unwrap();
    let life_ms = RECORD_LIFE_MAX.as_millis() as u64;
    assert_eq!(proof.ends_ms(), NOW_MS + life_ms);
    let mut late = accusation(&me, liar.peer(), proof);
    late.issued_ms = NOW_MS + life_ms / 2;
    late.expires_ms = NOW_MS + life_ms;
    assert!(sign_anything(&late, &me).verify(late.issued_ms).is_ok());
    late.expires_ms += 1;
    assert_eq!(sign_anything(&late, &me).verify(late.issued_ms), Err(Rejected::OverLimit));
}

#[test]
fn the_head_of_a_ledger_counts_only_if_its_own_signature_is_good_too() {
    let (me, other) = (identity(1), identity(2));
    let head = |of: &Identity| Ledger::new(of.peer()).head().sign(of);
    let record = |key: &str, body: Body| Record {
        id: RecordId { origin: me.peer(), kind: Kind::LedgerHead, key: key.to_owned() },
        version: 1,
        issued_ms: NOW_MS,
        expires_ms: NOW_MS + 1000,
        body,
    };
    let verified = |record: &Record| sign_anything(record, &me).verify(NOW_MS).map(drop);
    assert_eq!(verified(&record("", Body::LedgerHead(head(&me)))), Ok(()));
    let mut unsigned = head(&me);
    unsigned.signature[7] ^= 1;
    assert_eq!(verified(&record("", Body::LedgerHead(unsigned))), Err(Rejected::Unsigned));
    assert_eq!(verified(&record("", Body::LedgerHead(head(&other)))), Err(Rejected::WrongOrigin));
    let mut short = head(&me);
    short.signature.pop();
    assert_eq!(verified(&record("", Body::LedgerHead(short))), Err(Rejected::Malformed));
    assert_eq!(verified(&record("key", Body::LedgerHead(head(&me)))), Err(Rejected::Malformed));
    assert_eq!(verified(&record("", Body::Withdrawn)), Err(Rejected::Malformed));
    let mut known = Counted::default();
    for _ in 0..3 {
        let claim = sign_anything(&record("", Body::LedgerHead(head(&me))), &me);
        assert!(verify_all(vec![claim], NOW_MS, &mut known).1.is_empty());
    }
    assert_eq!(known.checked, 2, "the record's signature and the head's, once each");
}

#[test]
fn the_largest_proof_is_within_its_limit() {
    let (me, liar) = (identity(1), identity(2));
    let judgments = |silent: u8| {
        let peer = |i: u8| PeerId::from_public_key([i; 32]);
        let refuted = |i: u8| Refuted { accuser: peer(i), version: u64::MAX };
        let (silent, failing) = ((0..silent).map(peer).collect(), (silent..64).map(peer).collect());
        let (refuted, distrusted) = ((0..64).map(refuted).collect(), (0..64).map(peer).collect());
        let body = JudgmentsBody { silent, failing, refuted, distrusted };
        let id = RecordId { origin: liar.peer(), kind: Kind::Judgments, key: String::new() };
        let (issued_ms, expires_ms) = (NOW_MS, NOW_MS + 1000);
        let record = Record { id, version: 1, issued_ms, expires_ms, body: Body::Judgments(body) };
        let rest = services(&liar, BATCH_RECORDS_MAX - 1);
        Record::sign_batch([vec![record], rest].concat(), &liar).remove(0)
    };
    let (a, b) = (judgments(3), judgments(4));
    let proof_bytes = codec::encode(&a.signed).len() - a.signed.bytes.len();
    assert!(proof_bytes <= RECORD_PROOF_BYTES_MAX, "{proof_bytes} bytes around a record");
    assert!(codec::encode(&a.signed).len() <= a.signed.wire_bytes());
    let proof = Equivocation::of(&a, &b).expect("they contradict each other");
    let signed = accusation(&me, liar.peer(), proof).sign(&me).signed.clone();
    assert!(signed.bytes.len() > RECORD_BYTES_MAX && signed.bytes.len() <= EQUIVOCATION_BYTES_MAX);
    assert!(signed.verify(NOW_MS).is_ok());
}
