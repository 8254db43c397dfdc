//! What reconciliation costs: bytes and processor time to find ten differences among 100,000 items, and what keeping
//! the sketch and the fingerprint up to date adds to every change.
//!
//! `cargo bench -p prunella-core --bench reconcile`
//!
//! Times are the minimum, median and maximum over batches, in this run and on this machine. Bytes are of encoded
//! messages with their version byte, without what carries them.

#![allow(clippy::disallowed_types, reason = "a benchmark reads the clock; the core itself does not")]
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::hint::black_box;
use std::time::Instant;

use prunella_core::reconcile::{ItemSet, Message, Outcome, Reconciler};
use prunella_core::rng::Rng;
use prunella_core::wire::codec::encode_message;
use prunella_core::{Instant as Moment, ItemId};

const ITEMS: usize = 100_000;
const DIFFERENCES: usize = 10;
const DRAWS: usize = 2_000;

fn main() {
    let mut rng = Rng::from_seed(2024);
    let common: Vec<ItemId> = (0..ITEMS).map(|_| random(&mut rng)).collect();
    let mut set = ItemSet::new();
    for item in &common {
        set.insert(*item);
    }
    println!("{DIFFERENCES} differences among {ITEMS} items");
    bytes_of_cells(&mut set, &mut rng);
    bytes_of_a_round(&common, &mut rng);
    println!("  a full digest, 16 bytes an item       {:>9} B", 16 * ITEMS);
    time_to_find(&mut set, &mut rng);
    time_to_change(&mut set, &mut rng);
    time_to_commit(&mut set, &mut rng);
}

/// How long a prefix of the sketch must be, and how many bytes that is.
fn bytes_of_cells(set: &mut ItemSet, rng: &mut Rng) {
    let (mut needed, mut told) = (Vec::new(), Vec::new());
    for _ in 0..DRAWS {
        let (theirs, items) = differing(set, rng);
        let root = theirs.root;
        let enough = (1..theirs.cells.len()).find(|end| set.difference(&theirs.cells[..*end]).is_some());
        let enough = enough.expect("BUG: a few differences fit a sketch");
        let cells = theirs.cells[..enough].to_vec();
        needed.push(encode_message(&Message::Cells { root, start: 0, cells }).len() as f64);
        told.push(enough as f64);
        undo(set, &items);
    }
    let over = needed.iter().filter(|bytes| **bytes >= 512.0).count();
    print("  cells needed", "", &mut told);
    print("  the same, as one message", "B", &mut needed);
    println!("  512 B or more                          {over} of {DRAWS} draws");
}

/// What two neighbors say to each other until one knows the difference, and until both know that they agree.
fn bytes_of_a_round(common: &[ItemId], rng: &mut Rng) {
    let (mut cells, mut all, mut messages) = (Vec::new(), Vec::new(), Vec::new());
    let mut ends = [Reconciler::new(), Reconciler::new()];
    for end in &mut ends {
        common.iter().for_each(|item| {
            end.insert(*item);
        });
    }
    for draw in 0..DRAWS {
        for i in 0..DIFFERENCES {
            ends[i % 2].insert(random(rng));
        }
        let spent = talk(&mut ends, Moment::from_millis(10_000 * draw as u64));
        cells.push(spent.cells as f64);
        all.push(spent.all as f64);
        messages.push(spent.messages as f64);
    }
    print("  messages with cells, in a round", "B", &mut cells);
    print("  all messages, until both know", "B", &mut all);
    print("  how many those are", "", &mut messages);
}

struct Spent {
    cells: usize,
    all: usize,
    messages: usize,
}

/// Lets two neighbors talk until both know that they agree.
fn talk(ends: &mut [Reconciler<usize>; 2], now: Moment) -> Spent {
    let mut spent = Spent { cells: 0, all: 0, messages: 0 };
    let mut out = Vec::new();
    for greeting in 0..4 {
        let end = greeting % 2;
        let mut wire: Vec<(usize, Message)> = ends[end].greet(1 - end, now).into_iter().map(|m| (1 - end, m)).collect();
        while !wire.is_empty() {
            let (to, message) = wire.remove(0);
            let length = encode_message(&message).len();
            spent.all += length;
            spent.messages += 1;
            if matches!(message, Message::Cells { .. }) {
                spent.cells += length;
            }
            ends[to].on_message(1 - to, message, now, &mut out).expect("BUG: both are honest");
            for outcome in out.drain(..) {
                match outcome {
                    Outcome::Send { to, message } => wire.push((to, message)),
                    Outcome::Give { to, items } => items.into_iter().for_each(|item| {
                        ends[to].insert(item);
                    }),
                }
            }
        }
        if ends[0].is_in_sync(&1) && ends[1].is_in_sync(&0) {
            return spent;
        }
    }
    panic!("BUG: two honest neighbors agree");
}

/// Subtracting and peeling the cells that suffice, with the sketch at hand.
fn time_to_find(set: &mut ItemSet, rng: &mut Rng) {
    let mut times = Vec::new();
    for _ in 0..200 {
        let (theirs, items) = differing(set, rng);
        let enough = [20, 30, 45, 67].into_iter().find(|end| set.difference(&theirs.cells[..*end]).is_some());
        let cells = &theirs.cells[..enough.unwrap_or(theirs.cells.len())];
        times.push(nanos_each(100, || {
            black_box(set.difference(black_box(cells)));
        }));
        undo(set, &items);
    }
    times.iter_mut().for_each(|nanos| *nanos /= 1000.0);
    print("  finding them, sketch at hand", "us", &mut times);
}

/// Inserting and removing, which keeps the sketch up to date.
fn time_to_change(set: &mut ItemSet, rng: &mut Rng) {
    let (mut inserts, mut removes, mut replaced) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..200 {
        let items: Vec<ItemId> = (0..1000).map(|_| random(rng)).collect();
        let mut each = items.iter();
        inserts.push(nanos_each(items.len(), || {
            each.next().map(|item| set.insert(*item));
        }));
        let others: Vec<ItemId> = items.iter().map(|_| random(rng)).collect();
        let mut each = items.iter().zip(&others);
        replaced.push(nanos_each(items.len(), || {
            if let Some((item, other)) = each.next() {
                set.replace(item, *other);
            }
        }));
        let mut each = others.iter();
        removes.push(nanos_each(items.len(), || {
            each.next().map(|item| set.remove(item));
        }));
    }
    println!("one change of {ITEMS} items");
    print("  insert", "ns", &mut inserts);
    print("  remove", "ns", &mut removes);
    print("  replace one by another", "ns", &mut replaced);
}

/// The root after one change, and after none.
fn time_to_commit(set: &mut ItemSet, rng: &mut Rng) {
    let (mut changed, mut unchanged) = (Vec::new(), Vec::new());
    for _ in 0..2000 {
        let item = random(rng);
        set.insert(item);
        changed.push(nanos_each(1, || {
            black_box(set.root());
        }));
        unchanged.push(nanos_each(100, || {
            black_box(set.root());
        }));
        set.remove(&item);
        set.root();
    }
    changed.iter_mut().for_each(|nanos| *nanos /= 1000.0);
    print("  root after it", "us", &mut changed);
    print("  root again", "ns", &mut unchanged);
}

struct Theirs {
    root: [u8; 32],
    cells: Vec<prunella_core::reconcile::Cell>,
}

/// The cells of another set, and what was put into this one: half of the difference is on either side.
fn differing(set: &mut ItemSet, rng: &mut Rng) -> (Theirs, Vec<ItemId>) {
    let theirs: Vec<ItemId> = (0..DIFFERENCES / 2).map(|_| random(rng)).collect();
    theirs.iter().for_each(|item| {
        set.insert(*item);
    });
    let told = Theirs { root: set.root(), cells: set.cells(0, 128).to_vec() };
    undo(set, &theirs);
    let ours: Vec<ItemId> = (0..DIFFERENCES - DIFFERENCES / 2).map(|_| random(rng)).collect();
    ours.iter().for_each(|item| {
        set.insert(*item);
    });
    (told, ours)
}

fn undo(set: &mut ItemSet, items: &[ItemId]) {
    for item in items {
        set.remove(item);
    }
}

fn random(rng: &mut Rng) -> ItemId {
    ItemId::of(&rng.next_u64().to_be_bytes())
}

fn nanos_each(times: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..times {
        work();
    }
    start.elapsed().as_nanos() as f64 / times as f64
}

fn print(what: &str, unit: &str, values: &mut [f64]) {
    values.sort_by(f64::total_cmp);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let (min, median, max) = (values[0], values[values.len() / 2], values[values.len() - 1]);
    println!("{what:<38} min {min:>9.1}  median {median:>9.1}  max {max:>9.1}  mean {mean:>9.1} {unit}");
}
