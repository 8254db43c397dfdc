//! Recordings of real roles, replayed; and what is refused, turned away or found to differ.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::gossip::{self, Gossip, Heard, Loaded};
use crate::identity::Identity;
use crate::peer::{self, Peer, Probing};
use crate::policy::{Document, Policy, Source};
use crate::record::{Body, Kind, NodeBody, Record, RecordId};
use crate::wire::codec;
use crate::{Instant, Label, LinkId, PeerId};

/// Runs a machine as a recorder would: everything that it hears, and what comes of it.
fn recorded<R: Recorded>(
    life: u64,
    mut machine: R,
    start: &R::Start,
    heard: impl IntoIterator<Item = (Option<R::Input>, Instant)>,
) -> Vec<Entry> {
    machine.note_signatures();
    let start = codec::encode_plain(start);
    let mut entries = vec![Entry::Started(Started { life, actor: "it".to_owned(), at: 0, start })];
    for (number, (input, at)) in heard.into_iter().enumerate() {
        let heard = input.as_ref().map(codec::encode_plain);
        let mut effects = Vec::new();
        match input {
            Some(input) => machine.handle(input, at, &mut effects),
            None => machine.wake(at, &mut effects),
        }
        let outcome = Outcome::Effects(Digest::of(&effects));
        let (number, at, signatures) = (number as u64 + 1, at.as_nanos(), machine.take_signatures());
        entries.push(Entry::Handled(Handled { life, number, at, heard, signatures, outcome }));
    }
    entries
}

fn replayed(role: RoleName, entries: impl IntoIterator<Item = Entry>) -> Result<Tally, Box<Divergence>> {
    let mut replay = Replay::new(role, 1);
    entries.into_iter().try_for_each(|entry| replay.take(entry, &mut |_| {})).map(|()| replay.tally().clone())
}

/// The entry of an input, to be changed.
fn handled(entries: &mut [Entry], at: usize) -> &mut Handled {
    match &mut entries[at] {
        Entry::Handled(handled) => handled,
        other => panic!("{other:?}"),
    }
}

fn peer_start() -> PeerStart {
    let peer = PeerId::from_public_key([7; 32]);
    let probing = Probing {
        interval: Duration::from_millis(200),
        idle_interval: Duration::from_secs(5),
        late_after: Duration::from_millis(320),
        dead_after: Duration::from_secs(1),
    };
    PeerStart { peer, probing, seed: 11, now: Instant::BOOT }
}

fn peer_input() -> impl Strategy<Value = Option<peer::Input>> {
    let link = (0..3u64).prop_map(LinkId);
    prop_oneof![
        3 => Just(None),
        1 => Just(Some(peer::Input::AddressesLearned(vec!["192.0.2.1:7".parse().unwrap()]))),
        1 => link.clone().prop_map(|link| Some(peer::Input::LinkEstablished { link, label: Label(3) })),
        1 => link.clone().prop_map(|link| Some(peer::Input::LinkClosed { link })),
        1 => Just(Some(peer::Input::DialFailed)),
        3 => (link.clone(), 0..40u64, 1..400u64).prop_map(|(link, nonce, ms)| {
            Some(peer::Input::ProbeReturned { link, nonce, rtt: Duration::from_millis(ms) })
        }),
        1 => link.prop_map(|link| Some(peer::Input::Carrying { link })),
        1 => Just(Some(peer::Input::RedialRequested)),
        1 => Just(Some(peer::Input::ReportRequested)),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..200);
    let outcome = prop_oneof![
        Just(Outcome::Panicked),
        (any::<u32>(), any::<[u8; 16]>()).prop_map(|(effects, hash)| Outcome::Effects(Digest { effects, hash })),
    ];
    let signatures = proptest::collection::vec(bytes(), 0..3);
    prop_oneof![
        (any::<u64>(), "\\PC{0,20}", any::<u64>(), bytes())
            .prop_map(|(life, actor, at, start)| Entry::Started(Started { life, actor, at, start })),
        (any::<u64>(), any::<u64>(), any::<u64>(), proptest::option::of(bytes()), signatures, outcome).prop_map(
            |(life, number, at, heard, signatures, outcome)| {
                Entry::Handled(Handled { life, number, at, heard, signatures, outcome })
            }
        ),
        (any::<u64>(), any::<u64>()).prop_map(|(life, dropped)| Entry::Lost { life, dropped }),
    ]
}

fn unsealed(chunk: &[u8]) -> Result<&[u8], Damaged> {
    let (head, bytes) = chunk.split_first_chunk::<CHUNK_HEAD_BYTES>().unwrap();
    let chunk = Chunk::head(head)?;
    chunk.check(bytes).map(|()| bytes)
}

proptest! {
    #[test]
    fn an_entry_survives_its_encoding_and_is_no_longer_than_it_says(entry in entry()) {
        let bytes = entry.encode();
        prop_assert!(bytes.len() <= entry.bytes(), "{} of {}", bytes.len(), entry.bytes());
        let chunk = sealed(&bytes);
        prop_assert_eq!(Entry::decode(unsealed(&chunk).unwrap()), Ok(entry));
    }

    #[test]
    fn any_flipped_bit_of_a_chunk_is_told(entry in entry(), at: usize, bit in 0..8u32) {
        let mut chunk = sealed(&entry.encode());
        let at = at % chunk.len();
        chunk[at] ^= 1 << bit;
        prop_assert_eq!(unsealed(&chunk), Err(Damaged::Corrupt));
    }

    #[test]
    fn garbage_is_no_entry_and_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        if let Ok(entry) = Entry::decode(&bytes) {
            for role in RoleName::ALL {
                let start = Entry::Started(Started { life: 1, actor: String::new(), at: 0, start: bytes.clone() });
                let _ = replayed(role, [entry.clone(), start, entry.clone()]);
            }
        }
    }

    #[test]
    fn whatever_a_role_hears_it_does_the_same_again(
        heard in proptest::collection::vec((peer_input(), 0..700u64), 1..80)
    ) {
        let mut at = Instant::BOOT;
        let heard: Vec<_> = heard
            .into_iter()
            .map(|(input, wait)| {
                at = at + Duration::from_millis(wait);
                (input, at)
            })
            .collect();
        let inputs = heard.len() as u64;
        let start = peer_start();
        let entries = recorded(1, Peer::made_of(start.clone()), &start, heard);
        let tally = replayed(RoleName::Peer, entries).unwrap();
        prop_assert_eq!((tally.same, tally.entries, tally.lives), (inputs, inputs + 1, 1));
    }
}

fn policy(life: u64) -> Vec<Entry> {
    let heard = (1..=5).map(|n| (Some(policy_input(n)), Instant::from_millis(n as u64)));
    recorded(life, Policy::default(), &(), heard)
}

fn policy_input(bytes: usize) -> crate::policy::Input {
    crate::policy::Input::Offered(Document::new(0, Source::File, "p.toml", vec![b'#'; bytes]))
}

#[test]
fn an_input_that_was_altered_diverges_there() {
    let mut entries = policy(1);
    handled(&mut entries, 3).heard = Some(codec::encode_plain(&policy_input(9)));
    let found = replayed(RoleName::Policy, entries).unwrap_err();
    assert_eq!((found.entry, found.number, found.at), (4, 3, Instant::from_millis(3)));
    assert_eq!((found.actor.as_str(), found.life), ("it", 1));
    assert!(found.input.contains("Offered"), "{}", found.input);
    assert_eq!(found.effects.len(), 1);
    assert!(found.now.is_ok_and(|now| Some(now) != found.then));
}

#[test]
fn what_comes_before_the_first_entry_to_be_compared_only_leads_there() {
    let mut entries = policy(1);
    handled(&mut entries, 1).outcome = Outcome::Panicked;
    let mut replay = Replay::new(RoleName::Policy, 3);
    // Who panicked then is not played on, whatever happens now.
    assert!(entries.clone().into_iter().all(|entry| replay.take(entry, &mut |_| {}).is_ok()));
    assert_eq!((replay.tally().passed, replay.tally().unplayed[&Unplayed::Gap]), (1, 4));
    handled(&mut entries, 1).outcome = Outcome::Effects(Digest { effects: 7, hash: [0; 16] });
    let mut replay = Replay::new(RoleName::Policy, 3);
    assert!(entries.into_iter().all(|entry| replay.take(entry, &mut |_| {}).is_ok()));
    assert_eq!((replay.tally().passed, replay.tally().same), (1, 4));
}

#[test]
fn after_a_gap_a_life_is_not_played_and_the_next_one_is() {
    let (mut first, second) = (policy(1), policy(2));
    first.remove(2);
    let tally = replayed(RoleName::Policy, first.into_iter().chain(second.clone())).unwrap();
    assert_eq!((tally.same, tally.lives), (6, 2));
    assert_eq!(tally.unplayed, [(Unplayed::Gap, 3)].into());

    let mut told = policy(1);
    told.insert(4, Entry::Lost { life: 1, dropped: 8 });
    let tally = replayed(RoleName::Policy, told).unwrap();
    assert_eq!((tally.same, tally.dropped), (3, 8));
    assert_eq!(tally.unplayed, [(Unplayed::Gap, 2)].into());

    let headless = second.into_iter().skip(1);
    let tally = replayed(RoleName::Policy, headless).unwrap();
    assert_eq!((tally.same, tally.lives), (0, 0));
    assert_eq!(tally.unplayed, [(Unplayed::BeganBefore, 5)].into());
}

/// A gossip role that announces itself, hears of another node, and renews what it said.
fn gossip_entries(me: &Identity, other: &Identity) -> Vec<Entry> {
    const NOW_MS: u64 = 1_800_000_000_000;
    let start = GossipStart { me: me.peer(), seed: 5, now: Instant::BOOT };
    let id = RecordId { origin: other.peer(), kind: Kind::Service, key: "web".into() };
    let record = Record { id, version: 7, issued_ms: NOW_MS, expires_ms: NOW_MS + 9_000_000, body: Body::Service };
    let message = Heard::Push(vec![record.sign(other)]);
    let body = NodeBody { name: "me".into(), ..NodeBody::default() };
    let inputs = [
        Some(gossip::Input::Clock { unix_ms: NOW_MS }),
        Some(gossip::Input::Loaded(Loaded::default())),
        Some(gossip::Input::Announce(body)),
        Some(gossip::Input::SetService { name: "db".into(), exposed: true }),
        Some(gossip::Input::Heard { from: other.peer(), message }),
        None,
    ];
    let heard = inputs.into_iter().zip([1, 2, 3, 4, 5, 400]).map(|(input, ms)| (input, Instant::from_millis(ms)));
    recorded(1, Gossip::new(me.clone(), start.seed, start.now), &start, heard)
}

#[test]
fn a_role_that_signs_is_replayed_without_its_key() {
    let (me, other) = (Identity::from_secret(&[1; 32]), Identity::from_secret(&[2; 32]));
    let entries = gossip_entries(&me, &other);
    let signed = entries.iter().filter(|entry| matches!(entry, Entry::Handled(h) if !h.signatures.is_empty()));
    assert_eq!(signed.count(), 2, "what it is, and what it exposes");
    assert_eq!(replayed(RoleName::Gossip, entries.clone()).unwrap().same, 6);

    let secret = me.signing_key().to_bytes();
    for entry in &entries {
        let bytes = entry.encode();
        assert!(!bytes.windows(secret.len()).any(|window| window == secret), "the key is in the recording");
    }

    let mut forged = entries;
    handled(&mut forged, 3).signatures[0][5] ^= 1;
    let found = replayed(RoleName::Gossip, forged).unwrap_err();
    assert_eq!((found.entry, found.number), (4, 3));
}

#[test]
fn a_record_in_a_recording_is_verified_again() {
    let (me, other) = (Identity::from_secret(&[1; 32]), Identity::from_secret(&[2; 32]));
    let entries = gossip_entries(&me, &other);
    // The record stands in it twice, as statement and as signed bytes, and then come signature and item: no bit of any
    // of them can be changed.
    let whole = match &entries[5] {
        Entry::Handled(handled) => handled.heard.clone().unwrap(),
        other => panic!("{other:?}"),
    };
    let from = 1 + 32 + 1;
    let mut reasons = std::collections::BTreeSet::new();
    for at in from..whole.len() {
        let mut entries = entries.clone();
        handled(&mut entries, 5).heard.as_mut().unwrap()[at] ^= 1;
        let found = replayed(RoleName::Gossip, entries).unwrap_err();
        reasons.insert(found.now.expect_err("a changed record was believed"));
    }
    assert!(reasons.contains(&Rejected::Unsigned) && reasons.contains(&Rejected::Inconsistent), "{reasons:?}");
}

#[test]
fn what_the_gate_would_not_let_through_is_turned_away() {
    let (me, other) = (Identity::from_secret(&[1; 32]), Identity::from_secret(&[2; 32]));
    let mut entries = gossip_entries(&me, &other);
    let items = vec![crate::ItemId([0; 16]); crate::limits::BROADCAST_IDS_MAX + 1];
    let heard = gossip::Input::Heard { from: other.peer(), message: Heard::Announced(items) };
    handled(&mut entries, 5).heard = Some(codec::encode_plain(&heard));
    assert_eq!(replayed(RoleName::Gossip, entries).unwrap_err().now, Err(Rejected::OverLimit));
}

#[test]
fn a_role_that_panics_is_a_result() {
    let (me, other) = (Identity::from_secret(&[1; 32]), Identity::from_secret(&[2; 32]));
    let mut entries = gossip_entries(&me, &other);
    // A name that no configuration allows: that the role says it is a bug of whoever told it.
    let name = "x".repeat(crate::limits::NODE_NAME_BYTES_MAX + 1);
    let body = NodeBody { name, ..NodeBody::default() };
    handled(&mut entries, 3).heard = Some(codec::encode_plain(&gossip::Input::Announce(body)));
    let found = replayed(RoleName::Gossip, entries.clone()).unwrap_err();
    assert_eq!(found.now, Ok(Outcome::Panicked));

    handled(&mut entries, 3).outcome = Outcome::Panicked;
    let tally = replayed(RoleName::Gossip, entries).unwrap();
    assert_eq!((tally.same, tally.panicked), (3, 1));
    assert_eq!(tally.unplayed, [(Unplayed::Gap, 3)].into());
}

#[test]
fn every_role_has_a_name_and_a_start() {
    for role in RoleName::ALL {
        assert_eq!(role.name().parse(), Ok(role));
    }
    assert_eq!("nobody".parse::<RoleName>(), Err(NotARole));
}

#[test]
fn another_format_is_told_from_no_recording() {
    assert_eq!(check_opening(&opening()), Ok(()));
    let mut other = opening();
    other[8] += 1;
    assert_eq!(check_opening(&other), Err(Damaged::Version(4)));
    assert_eq!(check_opening(b"SQLite for"), Err(Damaged::Foreign));
}
