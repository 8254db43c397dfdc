//! What writers and readers of shared values meet, case by case; the laws are next door.

use super::*;
use crate::identity::Identity;
use crate::limits::SHARED_WRITERS_MAX;
use crate::record::{Body, Kind, Record, RecordId, SignedRecord};
use crate::wire::codec;

const NOW_MS: u64 = 1_800_000_000_000;

fn peer(i: usize) -> PeerId {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&(i as u64).to_be_bytes());
    PeerId::from_public_key(key)
}

fn texts<'a>(shared: &'a Shared, key: &str) -> Vec<&'a str> {
    shared.get(key).iter().map(|value| value.value.as_str()).collect()
}

/// Writes at one node, and returns the write so that others can see it.
fn put(shared: &mut Shared, me: usize, key: &str, value: &str, ms: u64) -> Write {
    let write = shared.put(peer(me), key, value.into(), ms).unwrap();
    write.check(&peer(me), ms.max(write.counter_of(&peer(me)))).unwrap();
    assert_eq!(shared.apply(peer(me), key, &write, write.counter_of(&peer(me))), Ok(Changed::Values));
    write
}

fn remove(shared: &mut Shared, me: usize, key: &str, ms: u64) -> Write {
    let write = shared.remove(peer(me), key, ms).unwrap();
    assert_eq!(shared.apply(peer(me), key, &write, ms), Ok(Changed::Values));
    write
}

fn see(shared: &mut Shared, origin: usize, key: &str, write: &Write) -> Changed {
    shared.apply(peer(origin), key, write, write.counter_of(&peer(origin))).unwrap()
}

#[test]
fn a_later_writer_supersedes_what_it_saw() {
    let (mut a, mut b) = (Shared::default(), Shared::default());
    let first = put(&mut a, 1, "color", "red", 10);
    see(&mut b, 1, "color", &first);
    // The later writer's clock is behind; that it saw the value counts, not the time.
    let second = put(&mut b, 2, "color", "blue", 5);
    assert_eq!(see(&mut a, 2, "color", &second), Changed::Values);
    assert_eq!((texts(&a, "color"), texts(&b, "color")), (vec!["blue"], vec!["blue"]));
}

#[test]
fn writes_that_did_not_see_each_other_stand_side_by_side_until_somebody_writes_again() {
    let (mut a, mut b) = (Shared::default(), Shared::default());
    let red = put(&mut a, 1, "color", "red", 10);
    let blue = put(&mut b, 2, "color", "blue", 11);
    see(&mut a, 2, "color", &blue);
    see(&mut b, 1, "color", &red);
    assert_eq!(a, b);
    assert!(a.is_conflict("color"));
    assert_eq!(texts(&a, "color"), ["blue", "red"], "the newest first");
    let green = put(&mut a, 1, "color", "green", 12);
    see(&mut b, 1, "color", &green);
    assert_eq!(texts(&b, "color"), ["green"]);
}

#[test]
fn the_same_value_written_twice_is_no_conflict() {
    let (mut a, mut b) = (Shared::default(), Shared::default());
    put(&mut a, 1, "color", "red", 10);
    let red = put(&mut b, 2, "color", "red", 11);
    see(&mut a, 2, "color", &red);
    let both = Value { value: "red".into(), writers: vec![peer(1), peer(2)], written_ms: 11 };
    assert_eq!(a.get("color"), [both]);
    assert!(!a.is_conflict("color"));
}

#[test]
fn a_removed_value_stays_away_in_whatever_order_the_records_come() {
    let mut a = Shared::default();
    let red = put(&mut a, 1, "color", "red", 10);
    let mut b = a.clone();
    let gone = remove(&mut b, 2, "color", 20);
    // Seen again afterwards.
    assert_eq!(see(&mut b, 1, "color", &red), Changed::Nothing);
    assert!(b.get("color").is_empty());
    // The removal first.
    let mut c = Shared::default();
    assert_eq!(see(&mut c, 2, "color", &gone), Changed::Nothing);
    assert_eq!(see(&mut c, 1, "color", &red), Changed::Nothing);
    assert_eq!(c.list().count(), 0);
    assert_eq!(b, c);
}

#[test]
fn a_renewed_record_of_an_older_write_does_not_bring_it_back() {
    let mut a = Shared::default();
    let red = put(&mut a, 1, "color", "red", 10);
    remove(&mut a, 2, "color", 20);
    assert_eq!(a.apply(peer(1), "color", &red, 999), Ok(Changed::Nothing));
    assert!(a.get("color").is_empty());
}

#[test]
fn a_removal_that_expires_first_brings_nothing_back() {
    let mut a = Shared::default();
    put(&mut a, 1, "color", "red", 10);
    remove(&mut a, 2, "color", 20);
    assert_eq!(a.forget(&peer(2), "color"), Changed::Nothing);
    assert!(a.get("color").is_empty());
    assert!(!a.upholds(&peer(1), "color"), "its writer does not renew it either");
    // Whoever writes now supersedes it all the same.
    put(&mut a, 3, "color", "blue", 30);
    assert_eq!(texts(&a, "color"), ["blue"]);
}

#[test]
fn a_removal_loses_against_a_write_that_it_did_not_see() {
    let mut a = Shared::default();
    put(&mut a, 1, "color", "red", 10);
    let mut b = a.clone();
    let gone = remove(&mut a, 1, "color", 20);
    put(&mut b, 2, "color", "blue", 15);
    see(&mut b, 1, "color", &gone);
    assert_eq!(texts(&b, "color"), ["blue"]);
}

#[test]
fn a_value_whose_writers_have_all_expired_is_gone() {
    let mut a = Shared::default();
    put(&mut a, 1, "color", "red", 10);
    assert_eq!(a.forget(&peer(1), "color"), Changed::Values);
    assert_eq!(a, Shared::default(), "nothing is left behind");
    assert_eq!(a.forget(&peer(1), "color"), Changed::Nothing);
}

#[test]
fn writing_a_value_again_keeps_it_when_its_writer_is_gone() {
    let mut a = Shared::default();
    put(&mut a, 1, "color", "red", 10);
    let again = a.put(peer(2), "color", "red".into(), 20).unwrap();
    assert_eq!(see(&mut a, 2, "color", &again), Changed::Values, "somebody else answers for it");
    assert_eq!(a.forget(&peer(1), "color"), Changed::Nothing);
    assert_eq!(texts(&a, "color"), ["red"]);
}

#[test]
fn only_what_matters_is_renewed() {
    let mut a = Shared::default();
    put(&mut a, 1, "color", "red", 10);
    assert!(a.upholds(&peer(1), "color"));
    remove(&mut a, 2, "color", 20);
    assert!(!a.upholds(&peer(1), "color"), "it was superseded");
    assert!(a.upholds(&peer(2), "color"), "others still hold what it removes");
    a.forget(&peer(1), "color");
    assert!(!a.upholds(&peer(2), "color"), "nothing is left to keep away");
}

#[test]
fn a_clock_that_lies_about_the_future_supersedes_nothing_newer() {
    let mut a = Shared::default();
    let lie = Write {
        clock: vec![Seen { writer: peer(1), counter: 99 }, Seen { writer: peer(9), counter: 100 }],
        floor: 0,
        value: Some("lie".into()),
    };
    assert_eq!(lie.check(&peer(9), 100), Ok(()));
    see(&mut a, 9, "color", &lie);
    // The node lied about has a clock that is far behind; it has seen the lie, and is heard all the same.
    put(&mut a, 1, "color", "red", 10);
    assert_eq!(texts(&a, "color"), ["red"]);
    assert_eq!(see(&mut a, 9, "color", &lie), Changed::Nothing);
    assert_eq!(texts(&a, "color"), ["red"]);
}

#[test]
fn what_a_node_wrote_stands_against_its_own_former_life() {
    let mut a = Shared::default();
    put(&mut a, 2, "color", "blue", 5);
    put(&mut a, 1, "color", "green", 10);
    let mut elsewhere = Shared::default();
    put(&mut elsewhere, 3, "color", "red", 999);
    let older = put(&mut elsewhere, 1, "color", "yellow", 1000);
    let again = a.rewrite(peer(1), "color", &older, 11).unwrap();
    assert_eq!(again.value.as_deref(), Some("green"));
    assert_eq!([1, 2, 3].map(|i| again.counter_of(&peer(i))), [1001, 5, 999]);
    assert_eq!(a.rewrite(peer(3), "color", &older, 11), None);
    assert_eq!(a.rewrite(peer(1), "size", &older, 11), None);
}

#[test]
fn what_was_superseded_makes_room_first() {
    let fresh = |i: usize, ms| Shared::default().put(peer(i), "color", format!("v{i}"), ms).unwrap();
    let mut a = Shared::default();
    for i in 2..SHARED_WRITERS_MAX {
        see(&mut a, i, "color", &fresh(i, i as u64));
    }
    let mut b = Shared::default();
    let superseded = put(&mut b, 900, "color", "old", 100);
    let newer = put(&mut b, 1, "color", "new", 101);
    see(&mut a, 900, "color", &superseded);
    see(&mut a, 1, "color", &newer);
    see(&mut a, 901, "color", &fresh(901, 50));
    assert_eq!(a.get("color").len(), SHARED_WRITERS_MAX, "no value was lost");
    assert_eq!(a.said(&peer(900), "color"), None);
}

#[test]
fn what_is_below_the_floor_stays_seen() {
    let mut a = Shared::default();
    for i in 0..SHARED_WRITERS_MAX + 3 {
        put(&mut a, i, "color", &format!("v{i}"), i as u64 + 1);
    }
    let last = SHARED_WRITERS_MAX + 2;
    let floor = a.said(&peer(last), "color").unwrap().floor;
    assert!(floor > 0);
    for i in 0..last {
        a.forget(&peer(i), "color");
    }
    assert!(put(&mut a, last, "color", "again", 100).floor >= floor);
}

#[test]
fn of_two_statements_with_one_version_every_node_takes_the_same() {
    let (mut a, mut b) = (Shared::default(), Shared::default());
    let one = Shared::default().put(peer(1), "color", "red".into(), 10).unwrap();
    let other = Write { value: Some("blue".into()), ..one.clone() };
    for (shared, order) in [(&mut a, [&one, &other]), (&mut b, [&other, &one])] {
        for write in order {
            shared.apply(peer(1), "color", write, 1).unwrap();
        }
    }
    assert_eq!(a, b);
}

#[test]
fn what_a_node_may_not_write_is_refused_by_name() {
    let mut a = Shared::default();
    let long = "k".repeat(RECORD_KEY_BYTES_MAX + 1);
    for bad in ["", "with space", "ümlaut", "new\nline", &long] {
        assert_eq!(a.put(peer(1), bad, "x".into(), 1), Err(Refused::BadKey), "{bad:?}");
        assert_eq!(a.remove(peer(1), bad, 1), Err(Refused::BadKey), "{bad:?}");
    }
    let bytes = SHARED_VALUE_BYTES_MAX + 1;
    assert_eq!(a.put(peer(1), "k", "x".repeat(bytes), 1), Err(Refused::LongValue { bytes }));
    assert_eq!(a.remove(peer(1), "k", 1), Err(Refused::NoSuchKey));
    put(&mut a, 1, "flags/new-ui:v2.1_x", "x", 1);
    remove(&mut a, 1, "flags/new-ui:v2.1_x", 2);
    assert_eq!(a.remove(peer(1), "flags/new-ui:v2.1_x", 3), Err(Refused::NoSuchKey));
}

#[test]
fn one_origin_can_only_write_so_many_keys() {
    let mut a = Shared::default();
    for i in 0..SHARED_KEYS_PER_ORIGIN_MAX {
        put(&mut a, 1, &format!("k{i}"), "x", 1);
    }
    assert_eq!(a.put(peer(1), "more", "x".into(), 2), Err(Refused::TooManyOwnKeys));
    assert!(a.put(peer(1), "k0", "y".into(), 2).is_ok(), "what it has it may change");
    let more = Shared::default().put(peer(1), "more", "x".into(), 2).unwrap();
    assert_eq!(a.apply(peer(1), "more", &more, 2), Err(Rejected::OverLimit));
    put(&mut a, 2, "more", "x", 2);
    a.forget(&peer(1), "k7");
    put(&mut a, 1, "more", "y", 3);
}

#[test]
fn the_mesh_can_only_have_so_many_keys() {
    let mut a = Shared::default();
    for i in 0..SHARED_KEYS_MAX {
        put(&mut a, 1 + i / SHARED_KEYS_PER_ORIGIN_MAX, &format!("k{i}"), "x", 1);
    }
    assert_eq!(a.put(peer(900), "more", "x".into(), 2), Err(Refused::TooManyKeys));
    let more = Shared::default().put(peer(900), "more", "x".into(), 2).unwrap();
    assert_eq!(a.apply(peer(900), "more", &more, 2), Err(Rejected::OverLimit));
    put(&mut a, 900, "k0", "y", 2);
    assert_eq!(a.list().count(), SHARED_KEYS_MAX);
}

#[test]
fn any_number_of_nodes_can_write_a_key_one_after_the_other() {
    let mut a = Shared::default();
    let mut all = Vec::new();
    for i in 0..3 * SHARED_WRITERS_MAX {
        all.push(put(&mut a, i, "color", &format!("v{i}"), i as u64));
        assert_eq!(texts(&a, "color"), [format!("v{i}")]);
    }
    // Whoever hears all of it, the newest first, comes to the same value.
    let mut b = Shared::default();
    for (i, write) in all.iter().enumerate().rev() {
        b.apply(peer(i), "color", write, 1).unwrap();
    }
    assert_eq!(a.get("color"), b.get("color"));
    assert_eq!(a.per_origin.len(), SHARED_WRITERS_MAX);
    assert_eq!(b.per_origin.len(), SHARED_WRITERS_MAX);
}

#[test]
fn of_too_many_concurrent_writers_the_newest_are_heard() {
    let write = |i: usize| Shared::default().put(peer(i), "color", format!("v{i}"), i as u64).unwrap();
    let writers = SHARED_WRITERS_MAX + 5;
    let mut a = Shared::default();
    for i in 1..=writers {
        see(&mut a, i, "color", &write(i));
    }
    let mut b = Shared::default();
    for i in (1..=writers).rev() {
        let old = i <= 5;
        assert_eq!(b.apply(peer(i), "color", &write(i), i as u64).is_err(), old, "{i}");
    }
    assert_eq!(a, b);
    assert_eq!(a.get("color").len(), SHARED_WRITERS_MAX);
    put(&mut a, 1, "color", "settled", 100);
    assert_eq!(texts(&a, "color"), ["settled"]);
}

#[test]
fn a_record_is_taken_only_if_its_key_and_its_write_are_sound() {
    let me = Identity::from_secret(&[1; 32]);
    let verify = |key: &str, body: Body| {
        let id = RecordId { origin: me.peer(), kind: Kind::Shared, key: key.to_owned() };
        let record = Record { id, version: 1, issued_ms: NOW_MS, expires_ms: NOW_MS + 1000, body };
        let bytes = codec::encode(&record);
        let signature = me.sign(&[b"prunella record v1\0".as_slice(), &bytes].concat()).to_vec();
        SignedRecord { bytes, signature, path: None }.verify(NOW_MS).map(drop)
    };
    let sound = Shared::default().put(me.peer(), "k", "x".into(), NOW_MS).unwrap();
    let with = |change: fn(&mut Write)| {
        let mut write = sound.clone();
        change(&mut write);
        Body::Shared(write)
    };
    assert_eq!(verify("k", with(|_| {})), Ok(()));
    assert_eq!(verify("k", with(|write| write.value = None)), Ok(()));
    assert_eq!(verify("", with(|_| {})), Err(Rejected::Malformed));
    assert_eq!(verify("a b", with(|_| {})), Err(Rejected::Malformed));
    assert_eq!(verify("k", with(|write| write.clock[0].counter += 1)), Err(Rejected::Malformed), "from the future");
    assert_eq!(verify("k", with(|write| write.clock.clear())), Err(Rejected::Malformed));
    let long = |write: &mut Write| write.value = Some("x".repeat(SHARED_VALUE_BYTES_MAX + 1));
    assert_eq!(verify("k", with(long)), Err(Rejected::OverLimit));
    assert_eq!(verify("k", Body::Withdrawn), Err(Rejected::Malformed));
    assert_eq!(verify("k", Body::Service), Err(Rejected::Malformed));
}
