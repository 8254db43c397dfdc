//! What a neighbor that lies, repeats itself or falls silent can do: little, and that has a name.

use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::*;
use crate::limits::{
    NEIGHBORS_MAX, RECONCILE_GREETINGS_MAX, SKETCH_CELLS_FIRST, SKETCH_CELLS_PER_SECOND, SYNC_ITEMS_MAX, SYNC_LIFE_MAX,
    SYNC_PAUSE, SYNCS_MAX,
};
use crate::reconcile::tree::{BUCKETS, GROUPS};
use crate::rng::Rng;

const LIAR: usize = 9;
const ROOT: [u8; 32] = [0xee; 32];

/// A node with items, and what a liar gets out of it.
struct Victim {
    node: Reconciler<usize>,
    now: Instant,
}

impl Victim {
    fn new(items: usize) -> Self {
        let mut node = Reconciler::new();
        for item in draw(&mut Rng::from_seed(77), items) {
            node.insert(item);
        }
        Self { node, now: Instant::from_millis(1000) }
    }

    fn hear_from(&mut self, from: usize, message: Message) -> Result<Vec<Outcome<usize>>, Rejected> {
        let mut out = Vec::new();
        let result = self.node.on_message(from, message, self.now, &mut out);
        assert!(result.is_ok() || out.is_empty(), "nothing comes of what is rejected");
        result.map(|()| out)
    }

    fn hear(&mut self, message: Message) -> Result<Vec<Outcome<usize>>, Rejected> {
        self.hear_from(LIAR, message)
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }
}

fn sent(outcomes: &[Outcome<usize>]) -> Vec<&Message> {
    outcomes
        .iter()
        .filter_map(|outcome| match outcome {
            Outcome::Send { message, .. } => Some(message),
            Outcome::Give { .. } => None,
        })
        .collect()
}

fn given(outcomes: &[Outcome<usize>]) -> usize {
    outcomes.iter().map(|outcome| if let Outcome::Give { items, .. } = outcome { items.len() } else { 0 }).sum()
}

fn noise(rng: &mut Rng, count: usize) -> Vec<Cell> {
    let bytes: Vec<u8> = (0..count * 2).flat_map(|_| rng.next_u64().to_be_bytes()).take(count * 10).collect();
    bytes.chunks(10).map(|cell| crate::wire::codec::decode(cell).unwrap()).collect()
}

fn summary(items: u32) -> Message {
    Message::Summary { root: ROOT, items, fresh: false }
}

fn groups() -> Message {
    Message::Groups { root: ROOT, hashes: vec![[0xee; 16]; GROUPS] }
}

fn nothing_in(buckets: std::ops::Range<usize>) -> Vec<Part> {
    buckets.map(|bucket| Part { bucket: bucket as u16, after: None, until: None, items: vec![] }).collect()
}

#[test]
fn answers_without_a_question_are_stale() {
    let cell = Cell::default();
    for message in [
        Message::Cells { root: ROOT, start: 0, cells: vec![cell; 16] },
        Message::Cells { root: ROOT, start: 16, cells: vec![cell; 8] },
        Message::Want(vec![Symbol([1; 8])]),
        Message::Buckets { root: ROOT, groups: 0, buckets: vec![] },
        Message::Items { parts: nothing_in(0..9), last: false },
        Message::WantItems(vec![]),
        Message::Busy,
    ] {
        assert_eq!(Victim::new(100).hear(message.clone()), Err(Rejected::Stale), "{message:?}");
    }
}

#[test]
fn what_is_malformed_or_over_a_limit_reaches_no_session() {
    let mut victim = Victim::new(10);
    let long = vec![Cell::default(); SKETCH_CELLS_MAX + 1];
    assert_eq!(victim.hear(Message::Cells { root: ROOT, start: 0, cells: long }), Err(Rejected::OverLimit));
    assert_eq!(victim.hear(Message::MoreCells { root: ROOT, start: u16::MAX }), Err(Rejected::OverLimit));
    assert_eq!(victim.hear(Message::Want(vec![])), Err(Rejected::Malformed));
    assert!(victim.node.sessions.is_empty());
}

#[test]
fn one_greeting_is_answered_once() {
    let mut victim = Victim::new(100);
    victim.node.greet(LIAR, victim.now).unwrap();
    let cells = |seed| Message::Cells { root: ROOT, start: 0, cells: noise(&mut Rng::from_seed(seed), 2048) };
    assert!(victim.hear(cells(1)).is_ok());
    assert_eq!(victim.hear(cells(2)), Err(Rejected::Stale));
}

#[test]
fn greetings_to_the_silent_are_bounded() {
    let mut victim = Victim::new(100);
    let greetings = (0..100).filter(|_| victim.node.greet(LIAR, victim.now).is_some()).count();
    assert_eq!(greetings, RECONCILE_GREETINGS_MAX);
    victim.wait(RECONCILE_TIMEOUT + Duration::from_millis(1));
    assert!(victim.node.greet(LIAR, victim.now).is_some());
}

#[test]
fn a_neighbor_wants_no_more_than_it_was_told() {
    let mut victim = Victim::new(200);
    let all: Vec<Symbol> = (0..BUCKETS).flat_map(|b| victim.node.set.range(b, None, None)).map(Symbol::of).collect();
    victim.hear(summary(200)).unwrap();
    assert_eq!(victim.hear(Message::Want(all[..SKETCH_CELLS_FIRST + 1].to_vec())), Err(Rejected::OverLimit));
    let out = victim.hear(Message::Want(all[..SKETCH_CELLS_FIRST].to_vec())).unwrap();
    assert_eq!(given(&out), SKETCH_CELLS_FIRST);
    assert_eq!(victim.hear(Message::Want(all[..1].to_vec())), Err(Rejected::Stale));
}

#[test]
fn wanting_what_does_not_exist_is_stale() {
    let mut victim = Victim::new(200);
    victim.hear(summary(200)).unwrap();
    assert_eq!(victim.hear(Message::Want(vec![Symbol([1; 8]), Symbol([2; 8])])), Err(Rejected::Stale));
}

#[test]
fn a_flood_of_greetings_is_told_a_bounded_number_of_cells() {
    for flood in [summary(0), summary(u32::MAX), Message::MoreCells { root: ROOT, start: 1900 }] {
        let mut victim = Victim::new(100);
        let mut told = 0;
        let mut refused = 0;
        for _ in 0..3000 {
            match victim.hear(flood.clone()) {
                Ok(out) => {
                    told += sent(&out)
                        .iter()
                        .map(|m| if let Message::Cells { cells, .. } = m { cells.len() } else { 0 })
                        .sum::<usize>();
                }
                Err(error) => {
                    assert_eq!(error, Rejected::OverLimit);
                    refused += 1;
                }
            }
        }
        assert!(told <= SKETCH_CELLS_PER_SECOND as usize, "{told} cells");
        // Whoever says that it holds four billion items has a full sync begun with it, and no cells.
        assert!(refused > 0 || flood == summary(u32::MAX));
        victim.wait(Duration::from_secs(10));
        assert!(victim.hear(flood).is_ok(), "a second later it is heard again");
    }
}

/// Answers everything that `victim` asks of the liar with cells of nothing; returns what came last, and how much.
fn feed_noise(victim: &mut Victim, another_root: bool) -> (Message, usize) {
    let mut rng = Rng::from_seed(5);
    victim.node.greet(LIAR, victim.now).unwrap();
    let (mut root, mut start, mut count) = (ROOT, 0, SKETCH_CELLS_FIRST);
    for answers in 1..1000 {
        let message = Message::Cells { root, start: start as u16, cells: noise(&mut rng, count) };
        let out = victim.hear(message).unwrap();
        match sent(&out)[..] {
            [Message::MoreCells { start: known, .. }] => {
                let known = usize::from(*known);
                let end = sketch::next_end(known);
                start = if another_root { 0 } else { known };
                count = end - start;
                root[0] = if another_root { root[0].wrapping_add(1) } else { root[0] };
            }
            [last] => return (last.clone(), answers),
            _ => panic!("one thing at a time: {out:?}"),
        }
    }
    panic!("no end of it");
}

#[test]
fn random_cells_lead_to_a_full_sync_after_a_bounded_number_of_questions() {
    for another_root in [false, true] {
        let mut victim = Victim::new(100);
        let (last, answers) = feed_noise(&mut victim, another_root);
        assert!(matches!(last, Message::Groups { .. }), "{last:?}");
        assert!(answers <= 16, "{answers} answers");
    }
}

#[test]
fn too_few_or_misplaced_cells_are_stale() {
    let mut victim = Victim::new(100);
    victim.node.greet(LIAR, victim.now).unwrap();
    let cells = |start, count| Message::Cells { root: ROOT, start, cells: noise(&mut Rng::from_seed(6), count) };
    victim.hear(cells(0, 20)).unwrap();
    for (start, count) in [(20, 1), (19, 11), (0, 20), (30, 10), (20, 11), (2038, 10)] {
        assert_eq!(victim.hear(cells(start, count)), Err(Rejected::Stale), "{start} {count}");
    }
    assert!(victim.hear(cells(20, 10)).is_ok(), "what was asked for is still welcome");
}

#[test]
fn a_silent_neighbor_blocks_its_own_round_for_a_while_only() {
    let mut victim = Victim::new(100);
    victim.node.greet(LIAR, victim.now).unwrap();
    victim.hear(Message::Cells { root: ROOT, start: 0, cells: noise(&mut Rng::from_seed(6), 16) }).unwrap();
    assert_eq!(victim.node.greet(LIAR, victim.now), None);
    victim.wait(RECONCILE_TIMEOUT + Duration::from_millis(1));
    assert!(victim.node.greet(LIAR, victim.now).is_some());
}

#[test]
fn full_syncs_that_are_served_are_bounded() {
    let mut victim = Victim::new(100);
    for peer in 0..SYNCS_MAX {
        assert!(matches!(sent(&victim.hear_from(peer, groups()).unwrap())[..], [Message::Buckets { .. }]));
    }
    assert_eq!(sent(&victim.hear_from(LIAR, groups()).unwrap()), [&Message::Busy]);
    assert_eq!(victim.hear_from(LIAR, groups()), Err(Rejected::OverLimit), "asked again at once");
    victim.wait(SYNC_PAUSE);
    assert_eq!(sent(&victim.hear_from(LIAR, groups()).unwrap()), [&Message::Busy]);
    victim.wait(RECONCILE_TIMEOUT);
    let out = victim.hear_from(LIAR, groups()).unwrap();
    assert!(matches!(sent(&out)[..], [Message::Buckets { .. }]), "the silent ones have lost their turn: {out:?}");
}

#[test]
fn full_syncs_that_are_begun_are_bounded() {
    let mut victim = Victim::new(100);
    let far = SKETCH_CELLS_MAX as u32 + 200;
    for peer in 0..SYNCS_MAX + 3 {
        let out = victim.hear_from(peer, summary(far)).unwrap();
        let begun = matches!(sent(&out)[..], [Message::Groups { .. }]);
        assert_eq!(begun, peer < SYNCS_MAX, "{out:?}");
    }
    victim.hear_from(0, Message::Busy).unwrap();
    let out = victim.hear_from(SYNCS_MAX, summary(far)).unwrap();
    assert!(matches!(sent(&out)[..], [Message::Groups { .. }]), "a place is free again");
}

#[test]
fn a_full_sync_that_never_ends_is_ended() {
    let mut victim = Victim::new(100);
    victim.hear(groups()).unwrap();
    for second in 0.. {
        victim.wait(Duration::from_secs(1));
        let message = Message::Items { parts: nothing_in(second..second + 1), last: false };
        if victim.hear(message) == Err(Rejected::Stale) {
            assert!((second as u64).abs_diff(SYNC_LIFE_MAX.as_secs()) <= 1, "after {second} s");
            return;
        }
        assert!(second < 500);
    }
}

#[test]
fn a_full_sync_gives_a_bounded_number_of_items_at_once_and_never_goes_back() {
    let mut victim = Victim::new(6000);
    victim.hear(groups()).unwrap();
    let items = |buckets, last| Message::Items { parts: nothing_in(buckets), last };
    let out = victim.hear(items(0..500, false)).unwrap();
    assert_eq!(given(&out), SYNC_ITEMS_MAX);
    assert_eq!(victim.hear(items(499..501, false)), Err(Rejected::Malformed));
    assert!(victim.hear(items(500..501, true)).is_ok());
    assert_eq!(victim.hear(items(501..502, true)), Err(Rejected::Stale), "that was the last");
}

#[test]
fn a_full_sync_gives_no_more_than_it_listed() {
    let mut victim = Victim::new(6000);
    victim.hear(summary(u32::MAX)).unwrap();
    // The liar says that its buckets are full of something else.
    let full = BucketSummary { hash: [0xee; 16], items: u32::MAX };
    let buckets = Message::Buckets { root: ROOT, groups: u32::MAX, buckets: vec![full; BUCKETS] };
    let out = victim.hear(buckets.clone()).unwrap();
    let [Message::Items { parts, last: false }] = &sent(&out)[..] else { panic!("{out:?}") };
    let listed: Vec<ItemId> = parts.iter().flat_map(|part| part.items.iter().copied()).collect();
    assert!(!listed.is_empty() && listed.len() <= SYNC_ITEMS_MAX);
    assert_eq!(victim.hear(buckets), Err(Rejected::Stale), "said before");
    let mut more = listed.clone();
    more.push(ItemId([0xff; 16]));
    assert_eq!(victim.hear(Message::WantItems(more)), Err(Rejected::OverLimit));
    assert_eq!(given(&victim.hear(Message::WantItems(listed)).unwrap()), parts[0].items.len());
}

#[test]
fn full_syncs_that_cross_become_one() {
    let mut pair = differing(12, 0, 9000, 2000);
    for end in [0, 1] {
        let mut out = Vec::new();
        let items = pair.ends[1 - end].items().len() as u32;
        let root = pair.ends[1 - end].root();
        pair.ends[end].on_message(1 - end, Message::Summary { root, items, fresh: true }, pair.now, &mut out).unwrap();
        for outcome in out {
            if let Outcome::Send { to, message } = outcome {
                pair.send(to, message);
            }
        }
    }
    assert_eq!(pair.full_syncs, 2, "both began");
    pair.run();
    assert!(pair.roots_agree());
    assert_eq!(pair.records, 11_000, "nothing was given twice");
}

#[test]
fn neighbors_are_bounded() {
    let mut victim = Victim::new(10);
    for peer in 0..NEIGHBORS_MAX {
        victim.hear_from(peer, summary(10)).unwrap();
    }
    assert_eq!(victim.hear_from(NEIGHBORS_MAX, summary(10)), Err(Rejected::OverLimit));
    assert_eq!(victim.node.greet(NEIGHBORS_MAX, victim.now), None);
    victim.node.forget(&0);
    assert!(victim.hear_from(NEIGHBORS_MAX, summary(10)).is_ok());
}

/// Anything that passes for a message, often enough as an answer to what was asked.
fn message() -> impl Strategy<Value = Message> {
    let root = prop_oneof![Just(ROOT), any::<[u8; 32]>()];
    let cells = (root.clone(), prop_oneof![Just(0u16), 0..2100u16], 0..60usize, any::<u64>());
    let part = (0..1100u16, proptest::collection::vec(any::<u64>(), 0..4)).prop_map(|(bucket, lows)| {
        let mut items: Vec<_> = lows.iter().map(|low| ItemId::of(&low.to_be_bytes())).collect();
        items.iter_mut().for_each(|item| item.0[..2].copy_from_slice(&(bucket << 6).to_be_bytes()));
        items.sort_unstable();
        Part { bucket, after: None, until: None, items }
    });
    prop_oneof![
        (root.clone(), any::<u32>(), any::<bool>()).prop_map(|(root, items, fresh)| Message::Summary {
            root,
            items,
            fresh
        }),
        cells.prop_map(|(root, start, count, seed)| {
            Message::Cells { root, start, cells: noise(&mut Rng::from_seed(seed), count) }
        }),
        (root.clone(), 0..2100u16).prop_map(|(root, start)| Message::MoreCells { root, start }),
        proptest::collection::btree_set(any::<[u8; 8]>(), 0..40)
            .prop_map(|set| Message::Want(set.into_iter().map(Symbol).collect())),
        (root.clone(), any::<[u8; 16]>()).prop_map(|(root, hash)| Message::Groups { root, hashes: vec![hash; GROUPS] }),
        (root, any::<u32>(), any::<u32>()).prop_map(|(root, groups, items)| {
            let count = groups.count_ones() as usize * 32;
            Message::Buckets { root, groups, buckets: vec![BucketSummary { hash: [1; 16], items }; count] }
        }),
        (proptest::collection::vec(part, 0..5), any::<bool>()).prop_map(|(mut parts, last)| {
            parts.sort_by_key(|part| part.bucket);
            Message::Items { parts, last }
        }),
        proptest::collection::vec(any::<[u8; 16]>(), 0..5)
            .prop_map(|items| Message::WantItems(items.into_iter().map(ItemId).collect())),
        Just(Message::Busy),
    ]
}

proptest! {
    #[test]
    fn whatever_neighbors_say_a_node_stays_within_its_bounds(
        words in proptest::collection::vec((0..4usize, message(), 0..1500u64), 0..60),
    ) {
        let mut victim = Victim::new(300);
        let root = victim.node.root();
        for (from, message, millis) in words {
            victim.wait(Duration::from_millis(millis));
            victim.node.greet(from, victim.now);
            if let Ok(out) = victim.hear_from(from, message) {
                prop_assert!(out.len() <= 2);
                prop_assert!(given(&out) <= SKETCH_CELLS_MAX);
                for message in sent(&out) {
                    prop_assert_eq!(message.check(), Ok(()));
                }
            }
            let serving = victim.node.sessions.values().filter(|session| session.serving.is_some()).count();
            let syncing = victim.node.sessions.values().filter(|session| session.syncing.is_some()).count();
            prop_assert!(serving <= SYNCS_MAX && syncing <= SYNCS_MAX);
            prop_assert!(victim.node.sessions.values().all(|session| session.under_way.len() <= 2 * SKETCH_CELLS_MAX));
        }
        prop_assert_eq!(victim.node.root(), root, "words change nothing that is held");
    }
}
