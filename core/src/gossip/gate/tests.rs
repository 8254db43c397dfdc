//! The gate: each bad input by its name, its counter, its effect on the score, and what it leaves in memory.

use blake3::hazmat::{Mode, merge_subtrees_non_root};

use super::*;
use crate::identity::Identity;
use crate::limits::{CONTROL_MESSAGE_BYTES_MAX, CONTROL_RATE_PER_SECOND};
use crate::record::{Body, Kind, Record, RecordId};
use crate::reputation::Reputation;

const UNIX_MS: u64 = 1_800_000_000_000;
const AT: Moment = Moment { now: Instant::from_millis(1000), unix_ms: UNIX_MS };
const RATE: u32 = CONTROL_RATE_PER_SECOND;

fn me() -> Identity {
    Identity::from_secret(&[1; 32])
}

fn neighbor() -> Identity {
    Identity::from_secret(&[2; 32])
}

fn service(origin: &Identity, name: &str, issued_ms: u64) -> Record {
    Record {
        id: RecordId { origin: origin.peer(), kind: Kind::Service, key: name.to_owned() },
        version: issued_ms,
        issued_ms,
        expires_ms: issued_ms + 10_000,
        body: Body::Service,
    }
}

fn signed(name: &str, issued_ms: u64) -> SignedRecord {
    service(&me(), name, issued_ms).sign(&me()).signed.clone()
}

fn push(records: Vec<SignedRecord>) -> Vec<u8> {
    codec::encode_message(&Control::Push(records))
}

fn summary() -> Vec<u8> {
    codec::encode_message(&Control::Reconcile(reconcile::Message::Summary { root: [7; 32], items: 0, fresh: true }))
}

fn gate() -> Gate {
    Gate::greeted(RATE, AT.now)
}

/// Everything that a gate turned a message, or a part of it, away for.
fn turned_away(gate: &mut Gate, bytes: &[u8], known: &mut VerifiedCache) -> Vec<Rejected> {
    match gate.read(bytes, AT, known) {
        Ok(Said::Message { bad, .. }) => bad,
        Ok(Said::Hello { .. } | Said::Parting(_) | Said::Ledger(_)) => vec![],
        Err(reason) => vec![reason],
    }
}

/// One kind of bad input: messages that lead up to it and are fine, and the one that is bad.
struct Bad {
    what: &'static str,
    gate: Gate,
    before: Vec<Vec<u8>>,
    message: Vec<u8>,
    reason: Rejected,
    score: f64,
}

fn bad(what: &'static str, message: Vec<u8>, reason: Rejected, score: f64) -> Bad {
    Bad { what, gate: gate(), before: vec![], message, reason, score }
}

fn unsigned() -> SignedRecord {
    let mut record = signed("web", UNIX_MS);
    record.signature[5] ^= 1;
    record
}

/// Signed by its origin, with a byte too many.
fn non_canonical() -> SignedRecord {
    let mut record = signed("web", UNIX_MS);
    record.bytes.push(0);
    record.signature = me().sign(&[b"prunella record v1\0".as_slice(), &record.bytes].concat()).to_vec();
    record
}

/// A record within a batch, in the name of an origin that did not sign the batch.
fn wrong_origin() -> Vec<SignedRecord> {
    let batch = Record::sign_batch(vec![service(&me(), "a", UNIX_MS), service(&me(), "b", UNIX_MS)], &me());
    let mut records: Vec<SignedRecord> = batch.iter().map(|proven| proven.signed.clone()).collect();
    let other = service(&neighbor(), "b", UNIX_MS).sign(&neighbor()).signed.bytes.clone();
    // The hashes of RFC 9162's shape, by hand: two leaves and their parent.
    let leaves = [*blake3::hash(&records[0].bytes).as_bytes(), *blake3::hash(&other).as_bytes()];
    let root = merge_subtrees_non_root(&leaves[0], &leaves[1], Mode::KeyedHash(b"prunella 2026 record batch node\0"));
    let statement = [b"prunella batch v1\0".as_slice(), &2u16.to_le_bytes(), &root].concat();
    let signature = me().sign(&statement).to_vec();
    records[1].bytes = other;
    for (record, sibling) in records.iter_mut().zip([leaves[1], leaves[0]]) {
        record.signature = signature.clone();
        record.path.as_mut().unwrap().siblings = vec![sibling];
    }
    records
}

/// Items that are out of the bucket in which they are said to be.
fn liars_list() -> Vec<u8> {
    let part = reconcile::Part { bucket: 0, after: None, until: None, items: vec![ItemId([255; 16])] };
    codec::encode_message(&Control::Reconcile(reconcile::Message::Items { parts: vec![part], last: true }))
}

fn table() -> Vec<Bad> {
    let mut other_version = summary();
    other_version[0] += 1;
    let oversized = [vec![codec::VERSION], vec![0; CONTROL_MESSAGE_BYTES_MAX + 1]].concat();
    let again = push(vec![signed("web", UNIX_MS)]);
    let replayed =
        Bad { before: vec![again.clone(); usize::from(COPIES_MAX)], ..bad("replayed", again, Rejected::Replayed, 1.0) };
    let unknown =
        Bad { gate: Gate::new(RATE, AT.now), ..bad("unknown sender", summary(), Rejected::UnknownSender, 1.0) };
    let flood = Bad { before: vec![summary(); RATE as usize], ..bad("flood", summary(), Rejected::Flood, 0.998) };
    vec![
        unknown,
        bad("bad signature", push(vec![unsigned()]), Rejected::Unsigned, 0.85),
        bad("stale", push(vec![signed("web", UNIX_MS - 10_000)]), Rejected::Stale, 1.0),
        bad("future", push(vec![signed("web", UNIX_MS + 300_001)]), Rejected::Future, 1.0),
        replayed,
        bad("oversized message", oversized, Rejected::OverLimit, 0.9),
        bad("oversized push", push(vec![signed("web", UNIX_MS); 257]), Rejected::OverLimit, 0.9),
        bad("wrong version", other_version, Rejected::UnknownVersion, 1.0),
        bad("non-canonical", push(vec![non_canonical()]), Rejected::NonCanonical, 0.9),
        bad("wrong origin", push(wrong_origin()), Rejected::WrongOrigin, 0.85),
        bad("sketch from a liar", liars_list(), Rejected::Inconsistent, 0.85),
        flood,
        bad("garbage", vec![codec::VERSION, 99], Rejected::Malformed, 0.9),
    ]
}

#[test]
fn each_bad_input_has_its_name_its_counter_and_its_effect_on_the_score() {
    for Bad { what, mut gate, before, message, reason, score } in table() {
        let mut known = VerifiedCache::default();
        for fine in before {
            assert_eq!(turned_away(&mut gate, &fine, &mut known), [], "{what}");
        }
        assert_eq!(turned_away(&mut gate, &message, &mut known), [reason], "{what}");
        for other in Rejected::ALL {
            assert_eq!(gate.count(other), u64::from(other == reason), "{what}: {other}");
        }
        let mut reputation = Reputation::default();
        reputation.note(neighbor().peer(), reason, true, AT.now);
        assert_eq!(reputation.score(&neighbor().peer(), AT.now).sum, score, "{what}");
    }
}

#[test]
fn no_bad_input_grows_the_memory_however_often_it_comes() {
    for Bad { what, mut gate, message, .. } in table() {
        let mut known = VerifiedCache::with_room_for(8);
        for _ in 0..50 {
            turned_away(&mut gate, &message, &mut known);
        }
        assert!(known.len() <= 1, "{what}: only what verified is remembered");
        assert!(gate.recent.young.len() + gate.recent.old.len() <= 2, "{what}");
    }
    // Good ones by the thousand: the gate and the cache stay within their bounds.
    let mut gate = Gate::greeted(100_000, AT.now);
    let mut known = VerifiedCache::with_room_for(8);
    for round in 0..10 {
        let records = (0..250).map(|i| service(&me(), &format!("s{round}-{i}"), UNIX_MS)).collect();
        let records = Record::sign_batch(records, &me());
        for part in records.chunks(100) {
            let bytes = push(part.iter().map(|proven| proven.signed.clone()).collect());
            assert_eq!(turned_away(&mut gate, &bytes, &mut known), []);
        }
    }
    assert_eq!(known.len(), 8);
    let (young, old) = (gate.recent.young.len(), gate.recent.old.len());
    assert!(young + old <= REPLAYS_REMEMBERED_MAX && old > 0, "{young} and {old}");
}

#[test]
fn what_is_good_in_a_push_passes_beside_what_is_bad() {
    let mut gate = gate();
    let bytes = push(vec![signed("a", UNIX_MS), unsigned(), signed("b", UNIX_MS), signed("c", UNIX_MS - 10_000)]);
    let said = gate.read(&bytes, AT, &mut VerifiedCache::default()).expect("it is a push");
    let Said::Message { message: Heard::Push(records), bad } = said else { panic!("{said:?}") };
    let names: Vec<&str> = records.iter().map(|proven| proven.record.id.key.as_str()).collect();
    assert_eq!((names, bad), (vec!["a", "b"], vec![Rejected::Unsigned, Rejected::Stale]));
    assert_eq!((gate.count(Rejected::Unsigned), gate.count(Rejected::Stale)), (1, 1));
}

#[test]
fn the_greeting_comes_first_and_once() {
    let mut gate = Gate::new(RATE, AT.now);
    let mut known = VerifiedCache::default();
    let hello = codec::encode_message(&Control::Hello { incarnation: 4, label: Label(3) });
    assert_eq!(gate.read(&summary(), AT, &mut known), Err(Rejected::UnknownSender));
    assert_eq!(gate.read(&hello, AT, &mut known), Ok(Said::Hello { incarnation: 4, label: Label(3) }));
    assert_eq!(gate.read(&hello, AT, &mut known), Err(Rejected::Malformed));
    let part = codec::encode_message(&Control::Part);
    assert_eq!(gate.read(&part, AT, &mut known), Ok(Said::Parting(Parting::Asked)));
    assert_eq!(Gate::new(RATE, AT.now).read(&part, AT, &mut known), Err(Rejected::UnknownSender));
    let said = Said::Message {
        message: Heard::Reconcile(reconcile::Message::Summary { root: [7; 32], items: 0, fresh: true }),
        bad: vec![],
    };
    assert_eq!(gate.read(&summary(), AT, &mut known), Ok(said));
}

#[test]
fn what_is_said_about_ledgers_passes_checked_and_what_no_ledger_has_is_refused_by_name() {
    use crate::ledger::{Consistency, Cosignature, Hash, Message};
    let mut known = VerifiedCache::default();
    let mut read = |message: &Message| {
        let mut gate = gate();
        let read = gate.read(&codec::encode_message(&Control::Ledger(message.clone())), AT, &mut known);
        read.inspect_err(|reason| assert_eq!(gate.count(*reason), 1))
    };
    let prove = |first, second| Message::Prove { first, second };
    assert_eq!(read(&prove(1, 2)), Ok(Said::Ledger(prove(1, 2))));
    assert_eq!(read(&prove(2, 1)), Err(Rejected::Inconsistent));
    assert_eq!(read(&prove(1, u64::MAX)), Err(Rejected::OverLimit));
    let proof = |hashes| Message::Proof(Consistency { first: 1, second: 2, path: vec![Hash::NONE; hashes] });
    assert_eq!(read(&proof(1000)), Err(Rejected::OverLimit));
    let witness = crate::PeerId::from_public_key([1; 32]);
    assert_eq!(read(&Message::Seen(Cosignature { witness, size: 1, signature: vec![] })), Err(Rejected::Malformed));
    let early = codec::encode_message(&Control::Ledger(prove(1, 2)));
    assert_eq!(Gate::new(RATE, AT.now).read(&early, AT, &mut known), Err(Rejected::UnknownSender));
}

#[test]
fn a_replay_is_news_again_after_a_while() {
    let mut gate = gate();
    let mut known = VerifiedCache::default();
    let bytes = push(vec![signed("web", UNIX_MS)]);
    let mut passes = |after_ms| {
        let at = Moment { now: AT.now + Duration::from_millis(after_ms), unix_ms: UNIX_MS };
        matches!(gate.read(&bytes, at, &mut known), Ok(Said::Message { bad, .. }) if bad.is_empty())
    };
    assert_eq!([0, 10, 20, 900].map(&mut passes), [true, true, false, false]);
    assert_eq!([5000, 5010, 5020].map(&mut passes), [true, true, false], "and then a replay again");
}

#[test]
fn the_rate_is_the_configured_one() {
    let mut gate = Gate::greeted(10, AT.now);
    let mut known = VerifiedCache::default();
    let passed = (0..50).filter(|_| gate.read(&summary(), AT, &mut known).is_ok()).count();
    assert_eq!((passed, gate.count(Rejected::Flood)), (10, 40));
    let later = Moment { now: AT.now + Duration::from_millis(500), unix_ms: UNIX_MS };
    assert_eq!((0..50).filter(|_| gate.read(&summary(), later, &mut known).is_ok()).count(), 5);
}
