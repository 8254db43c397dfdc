//! What two honest neighbors come to, whatever happens in between.

mod hostile;

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::limits::{
    RECONCILE_PATIENCE, RECONCILE_ROUNDS_MAX, RECONCILE_TIMEOUT, SKETCH_CELLS_MAX, SYNC_PAUSE, SYNC_RETRY,
};
use crate::rng::Rng;
use crate::wire::codec::encode_message;

/// Two neighbors, the wire between them, and what went over it.
struct Pair {
    ends: [Reconciler<usize>; 2],
    /// Messages under way, by receiver.
    wire: [VecDeque<Message>; 2],
    /// Records under way, by receiver.
    given: [Vec<ItemId>; 2],
    /// Items that an end refuses to take.
    refused: [Vec<ItemId>; 2],
    now: Instant,
    bytes: usize,
    records: usize,
    full_syncs: usize,
    /// Cells told, by receiver.
    cells: [usize; 2],
}

impl Pair {
    fn new(left: impl IntoIterator<Item = ItemId>, right: impl IntoIterator<Item = ItemId>) -> Self {
        let end = |items: &mut dyn Iterator<Item = ItemId>| {
            let mut end = Reconciler::new();
            items.for_each(|item| {
                end.insert(item);
            });
            end
        };
        Self {
            ends: [end(&mut left.into_iter()), end(&mut right.into_iter())],
            wire: Default::default(),
            given: Default::default(),
            refused: Default::default(),
            now: Instant::from_millis(1000),
            bytes: 0,
            records: 0,
            full_syncs: 0,
            cells: [0; 2],
        }
    }

    fn greet(&mut self, end: usize) {
        if let Some(message) = self.ends[end].greet(1 - end, self.now) {
            self.send(1 - end, message);
        }
    }

    fn send(&mut self, to: usize, message: Message) {
        assert_eq!(message.check(), Ok(()), "no node sends what another one rejects");
        self.bytes += encode_message(&message).len();
        self.full_syncs += usize::from(matches!(message, Message::Groups { .. }));
        if let Message::Cells { cells, .. } = &message {
            self.cells[to] += cells.len();
        }
        self.wire[to].push_back(message);
    }

    /// Delivers one message to `end`; `false` if there is none.
    fn deliver(&mut self, end: usize) -> bool {
        let Some(message) = self.wire[end].pop_front() else { return false };
        let mut out = Vec::new();
        let is_want = matches!(message, Message::Want(_));
        let result = self.ends[end].on_message(1 - end, message, self.now, &mut out);
        // Whoever superseded all that is asked for cannot give it.
        assert!(result == Ok(()) || (is_want && result == Err(Rejected::Stale)), "{result:?}");
        for outcome in out {
            match outcome {
                Outcome::Send { to, message } => self.send(to, message),
                Outcome::Give { to, items } => {
                    assert!(items.iter().all(|item| self.ends[end].items().contains(item)));
                    self.records += items.len();
                    self.given[to].extend(items);
                }
            }
        }
        true
    }

    fn take_given(&mut self, end: usize) {
        for item in std::mem::take(&mut self.given[end]) {
            if !self.refused[end].contains(&item) {
                self.ends[end].insert(item);
            }
        }
    }

    /// Delivers everything, and what comes of it.
    fn run(&mut self) {
        while self.deliver(0) | self.deliver(1) {
            self.take_given(0);
            self.take_given(1);
        }
    }

    fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    fn roots_agree(&mut self) -> bool {
        self.ends[0].root() == self.ends[1].root()
    }

    fn in_sync(&mut self) -> bool {
        self.ends[0].is_in_sync(&1) && self.ends[1].is_in_sync(&0)
    }

    /// Greets in turn until both know that they agree; returns how many greetings that took.
    fn settle(&mut self, most: usize) -> usize {
        for greetings in 0..=most {
            if self.in_sync() {
                assert!(self.roots_agree());
                return greetings;
            }
            self.greet(greetings % 2);
            self.run();
            self.wait(RECONCILE_PATIENCE);
        }
        panic!("no agreement after {most} greetings");
    }
}

fn random(rng: &mut Rng) -> ItemId {
    ItemId::of(&rng.next_u64().to_be_bytes())
}

fn draw(rng: &mut Rng, count: usize) -> Vec<ItemId> {
    (0..count).map(|_| random(rng)).collect()
}

/// Another item with the symbol of `item`: what an insider looks for.
fn twin(item: ItemId) -> ItemId {
    let mut twin = item;
    twin.0[15] ^= 1;
    twin
}

/// A pair with `both` common items, and some that only one end has.
fn differing(seed: u64, both: usize, left: usize, right: usize) -> Pair {
    let mut rng = Rng::from_seed(seed);
    let both = draw(&mut rng, both);
    let (left, right) = (draw(&mut rng, left), draw(&mut rng, right));
    Pair::new(both.iter().copied().chain(left), both.iter().copied().chain(right))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn neighbors_agree_in_the_end_and_pay_for_what_differs(
        seed: u64, both in 0..2000usize, left in 0..300usize, right in 0..300usize,
    ) {
        let mut pair = differing(seed, both, left, right);
        pair.settle(4);
        prop_assert_eq!(pair.ends[0].items().len(), both + left + right);
        prop_assert_eq!(pair.full_syncs, 0);
        prop_assert_eq!(pair.records, left + right);
        // About 1.4 cells of 10 bytes for each difference, half as many again because they come in steps, and 8 bytes
        // to ask for it; greetings, headers and the first cells.
        prop_assert!(pair.bytes <= 36 * (left + right) + 900, "{} bytes for {}", pair.bytes, left + right);
    }

    #[test]
    fn a_neighbor_that_starts_again_is_not_kept_waiting(
        seed: u64, both in 0..500usize, left in 0..3000usize, right in 0..300usize,
        greeter in 0..2usize, starts_again in 0..2usize, delivered in 0..12usize,
    ) {
        let mut rng = Rng::from_seed(seed);
        let (both, left, right) = (draw(&mut rng, both), draw(&mut rng, left), draw(&mut rng, right));
        let [left, right] = [left, right].map(|own| both.iter().copied().chain(own).collect::<Vec<_>>());
        let mut pair = Pair::new(left.clone(), right.clone());
        pair.greet(greeter);
        for message in 0..delivered {
            pair.deliver((1 + greeter + message) % 2);
        }
        let mut after = Pair::new(left, right);
        pair.ends[starts_again] = std::mem::take(&mut after.ends[starts_again]);
        (pair.wire, pair.given) = Default::default();
        // What bounds how often a neighbor may ask for something is no time-out.
        pair.wait(SYNC_PAUSE);
        // The first of its greetings may cross with one that was lost.
        for _ in 0..2 {
            pair.greet(starts_again);
            pair.run();
        }
        prop_assert!(pair.roots_agree(), "long before the other end gives up what was under way");
    }

    #[test]
    fn neighbors_agree_however_messages_and_changes_interleave(
        seed: u64, both in 0..300usize, left in 0..60usize, right in 0..60usize, censored: bool,
        steps in proptest::collection::vec((0..6u8, 0..2usize, any::<bool>()), 0..120),
    ) {
        let mut pair = differing(seed, both, left, right);
        let mut rng = Rng::from_seed(!seed);
        let mut held = draw(&mut rng, 30);
        if censored {
            let hidden = random(&mut rng);
            pair.ends[0].insert(hidden);
            pair.ends[1].insert(twin(hidden));
        }
        for (step, end, either) in steps {
            match step {
                0 => pair.greet(end),
                1 | 2 => { pair.deliver(end); }
                3 => pair.take_given(end),
                // A record is superseded: at one end, or at both.
                4 => {
                    let old = held.remove(rng.below(held.len()));
                    let new = random(&mut rng);
                    held.push(new);
                    for at in if either { vec![end] } else { vec![0, 1] } {
                        pair.ends[at].remove(&old);
                        pair.ends[at].insert(new);
                    }
                }
                // Never so long that an answer comes too late.
                _ => pair.wait(RECONCILE_TIMEOUT / 120),
            }
        }
        pair.run();
        pair.wait(RECONCILE_TIMEOUT);
        pair.settle(8);
    }
}

#[test]
fn thousands_of_differences_are_found_at_the_price_of_their_buckets() {
    for (both, left, right) in [(3000, 2000, 3000), (0, 4000, 4000), (9000, 1500, 10)] {
        let mut pair = differing(7, both, left, right);
        pair.settle(6);
        assert_eq!(pair.ends[0].items().len(), both + left + right);
        assert_eq!(pair.records, left + right);
        // The whole sketch in vain, the tree, and every item of a bucket that differs: at both ends nearly all.
        let bound =
            2 * 12 * SKETCH_CELLS_MAX + 24 * 1024 + 17 * (both + left + right) + 17 * (left + right) + 16 * 1024;
        assert!(pair.bytes <= bound, "{} of {bound} bytes", pair.bytes);
    }
}

#[test]
fn an_empty_node_is_given_everything_without_a_list_of_it() {
    for empty in [0, 1] {
        let mut pair = differing(8, 0, if empty == 0 { 0 } else { 12_000 }, if empty == 1 { 0 } else { 12_000 });
        pair.settle(6);
        assert_eq!((pair.records, pair.full_syncs), (12_000, 1));
        assert!(pair.bytes < 32 * 1024, "{} bytes", pair.bytes);
    }
}

#[test]
fn equal_neighbors_say_two_words() {
    let mut pair = differing(1, 500, 0, 0);
    assert!(!pair.in_sync());
    pair.greet(0);
    pair.run();
    assert!(pair.in_sync());
    assert!(pair.bytes < 80, "{} bytes", pair.bytes);
}

#[test]
fn being_in_sync_ends_with_the_next_change() {
    let mut pair = differing(1, 500, 2, 2);
    pair.settle(4);
    pair.ends[0].insert(ItemId([1; 16]));
    assert!(!pair.ends[0].is_in_sync(&1));
    assert!(pair.ends[1].is_in_sync(&0), "as far as it was told");
    pair.greet(0);
    assert!(pair.deliver(1));
    assert!(!pair.ends[1].is_in_sync(&0));
    assert_eq!(pair.ends[1].told_by(&0), Some(pair.ends[0].items().peek_root()));
    pair.ends[0].forget(&1);
    pair.ends[0].remove(&ItemId([1; 16]));
    assert!(!pair.ends[0].is_in_sync(&1), "forgotten");
}

#[test]
fn greetings_that_cross_start_one_round() {
    let mut pair = differing(3, 500, 5, 5);
    pair.greet(0);
    pair.greet(1);
    pair.run();
    assert!(pair.roots_agree());
    assert_eq!(pair.records, 10, "nothing was given twice");
    assert!(pair.cells.contains(&0), "one end tells its cells: {:?}", pair.cells);
}

#[test]
fn what_is_under_way_is_not_asked_for_again() {
    let mut pair = differing(4, 500, 5, 5);
    pair.greet(0);
    while pair.deliver(0) | pair.deliver(1) {}
    assert_eq!(pair.records, 10);
    for end in [0, 1, 0] {
        pair.greet(end);
        while pair.deliver(0) | pair.deliver(1) {}
        pair.wait(RECONCILE_PATIENCE / 4);
    }
    assert_eq!(pair.records, 10, "all of it is on its way");
    pair.given = Default::default();
    pair.wait(RECONCILE_PATIENCE);
    pair.settle(4);
}

#[test]
fn a_difference_hidden_from_the_sketch_is_found_by_the_fingerprint() {
    let mut rng = Rng::from_seed(5);
    let both = draw(&mut rng, 1000);
    let hidden = random(&mut rng);
    let mut pair = Pair::new(both.iter().copied().chain([hidden]), both.iter().copied().chain([twin(hidden)]));
    assert_eq!(pair.ends[0].items().difference(pair.ends[1].items().cells(0, 256)), Some(vec![]), "censored");
    pair.settle(4);
    assert_eq!(pair.full_syncs, 1);
    assert!(pair.ends[1].items().contains(&hidden) && pair.ends[0].items().contains(&twin(hidden)));
}

#[test]
fn a_pair_of_items_at_one_end_is_found_although_it_cancels_out() {
    let mut rng = Rng::from_seed(6);
    let both = draw(&mut rng, 1000);
    let hidden = random(&mut rng);
    let mut pair =
        Pair::new(both.iter().copied().chain([hidden, twin(hidden), random(&mut rng)]), both.iter().copied());
    pair.settle(6);
    assert_eq!(pair.full_syncs, 1);
}

#[test]
fn a_hidden_difference_is_found_although_something_always_changes() {
    let mut rng = Rng::from_seed(7);
    let both = draw(&mut rng, 1000);
    let hidden = random(&mut rng);
    let mut pair = Pair::new(both.iter().copied().chain([hidden]), both.iter().copied().chain([twin(hidden)]));
    for round in 0..=RECONCILE_ROUNDS_MAX + 1 {
        pair.ends[0].insert(random(&mut rng));
        pair.ends[1].insert(random(&mut rng));
        pair.greet(0);
        pair.run();
        pair.wait(RECONCILE_PATIENCE);
        if pair.ends[1].items().contains(&hidden) {
            assert!(round > 1, "the sketch cannot have found it");
            return;
        }
    }
    panic!("hidden behind change");
}

#[test]
fn items_that_leave_out_nearly_all_cells_are_exchanged_all_the_same() {
    let mut rng = Rng::from_seed(8);
    // Two of them make a difference that no prefix of the first 150 cells gives back.
    let is_lonely = |item: &ItemId| {
        let mut sketch = sketch::Sketch::new();
        sketch.toggle(Symbol::of(item));
        sketch.cells(1, 150).iter().all(|cell| *cell == Cell::default())
    };
    let ground: Vec<ItemId> = std::iter::repeat_with(|| random(&mut rng)).filter(is_lonely).take(2).collect();
    let both = draw(&mut Rng::from_seed(9), 500);
    let mut pair = Pair::new(both.iter().copied().chain(ground), both.iter().copied());
    pair.settle(4);
}

#[test]
fn what_one_end_refuses_is_left_alone_after_one_full_sync() {
    let mut pair = differing(10, 500, 1, 1);
    let refused = ItemId([3; 16]);
    pair.ends[0].insert(refused);
    pair.refused[1].push(refused);
    for _ in 0..8 {
        pair.greet(0);
        pair.run();
        pair.wait(RECONCILE_PATIENCE);
    }
    assert_eq!(pair.full_syncs, 1);
    let records = pair.records;
    for _ in 0..4 {
        pair.greet(0);
        pair.run();
        pair.wait(RECONCILE_PATIENCE);
    }
    assert_eq!(pair.records, records, "not offered for some time");
    pair.refused[1].clear();
    pair.wait(SYNC_RETRY);
    pair.settle(4);
}

#[test]
fn a_long_round_ends_although_the_set_changes_at_every_step() {
    let mut pair = differing(11, 500, 150, 150);
    let mut rng = Rng::from_seed(11);
    pair.greet(0);
    let mut messages = 0;
    while pair.deliver(0) | pair.deliver(1) {
        messages += 1;
        pair.ends[1].insert(random(&mut rng));
        assert!(messages < 40);
    }
    assert_eq!(pair.full_syncs, 0);
    assert!(pair.records >= 300, "{} records", pair.records);
}
