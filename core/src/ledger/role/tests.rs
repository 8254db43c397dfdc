//! What the keeper does, in meshes of a few nodes whose logs and clocks fail.

use std::collections::VecDeque;
use std::time::Duration;

use proptest::prelude::*;

use super::watching::ASKS_MAX;
use super::*;
use crate::identity::Identity;
use crate::ledger::{Consistency, Cosignature, EventKind};
use crate::limits::LEDGER_PENDING_MAX;

fn identity(n: u8) -> Identity {
    Identity::from_secret(&[n; 32])
}

fn id(n: u8) -> PeerId {
    identity(n).peer()
}

/// What there is of copies.
fn copied(copies: &[Entry]) -> Copied {
    let last = copies.last().unwrap();
    Copied { ledger: last.ledger, until: last.index + 1, last: last.hash() }
}

/// A head that is said as the newest there is.
fn heard(head: SignedHead) -> Input {
    Input::HeadHeard { head, version: u64::MAX }
}

fn event(i: u64) -> Event {
    Event::Commanded { command: format!("command {i}"), who: "uid 0".into(), from: "local".into() }
}

/// A node: its role, its log, and what it told.
struct Node {
    keeper: Keeper,
    log: Vec<Option<Entry>>,
    told: Vec<Effect>,
    /// Whether its log takes anything.
    writable: bool,
    /// Whether it answers.
    silent: bool,
    /// What it keeps of others.
    copies: BTreeMap<PeerId, Vec<Entry>>,
    /// Whether it changes what it gives back.
    lies: bool,
}

/// Nodes that are all neighbors, and hear all heads.
struct Mesh {
    nodes: BTreeMap<PeerId, Node>,
    version: u64,
    now: Instant,
    unix_ms: u64,
}

impl Mesh {
    fn new(size: u8) -> Self {
        let mut mesh = Mesh { nodes: BTreeMap::new(), version: 0, now: Instant::from_millis(0), unix_ms: 1_000_000 };
        (1..=size).for_each(|n| mesh.start(n, Vec::new()));
        mesh
    }

    /// Starts a node with this log; whoever was there under this name is gone.
    fn start(&mut self, n: u8, log: Vec<Option<Entry>>) {
        let keeper = Keeper::new(identity(n), self.now);
        let copies = self.nodes.remove(&id(n)).map(|node| node.copies).unwrap_or_default();
        let copied: Vec<Copied> = copies.values().map(|copies| copied(copies)).collect();
        let node =
            Node { keeper, log: log.clone(), told: Vec::new(), writable: true, silent: false, copies, lies: false };
        self.nodes.insert(id(n), node);
        self.hear(n, Input::Clock { unix_ms: self.unix_ms });
        copied.into_iter().for_each(|copied| self.hear(n, Input::Copied(copied)));
        self.hear(n, Input::Loaded { entries: log });
        let others: Vec<PeerId> = self.nodes.keys().copied().filter(|peer| *peer != id(n)).collect();
        for peer in others {
            self.hear(n, Input::NeighborChanged { peer, is_usable: true });
            self.run(peer, |keeper, now, effects| {
                keeper.handle(Input::NeighborChanged { peer: id(n), is_usable: true }, now, effects);
            });
        }
        self.write_down(n, Event::Started { version: "1".into() });
    }

    fn node(&self, n: u8) -> &Node {
        &self.nodes[&id(n)]
    }

    fn hear(&mut self, n: u8, input: Input) {
        self.run(id(n), |keeper, now, effects| keeper.handle(input, now, effects));
    }

    /// Has one node do something, and everybody what follows from it.
    fn run(&mut self, peer: PeerId, does: impl FnOnce(&mut Keeper, Instant, &mut Vec<Effect>)) {
        let mut effects = Vec::new();
        let now = self.now;
        does(&mut self.nodes.get_mut(&peer).unwrap().keeper, now, &mut effects);
        let mut queue: VecDeque<(PeerId, Effect)> = effects.drain(..).map(|effect| (peer, effect)).collect();
        while let Some((from, effect)) = queue.pop_front() {
            for (to, input) in self.perform(from, effect) {
                self.nodes.get_mut(&to).unwrap().keeper.handle(input, now, &mut effects);
                queue.extend(effects.drain(..).map(|effect| (to, effect)));
            }
        }
    }

    /// What somebody hears because of an effect.
    fn perform(&mut self, from: PeerId, effect: Effect) -> Vec<(PeerId, Input)> {
        let everybody: Vec<PeerId> = self.nodes.keys().copied().collect();
        let node = self.nodes.get_mut(&from).unwrap();
        match effect {
            Effect::ResyncWanted => vec![],
            Effect::Write { entries, .. } if node.writable => {
                node.log.extend(entries.into_iter().map(Some));
                vec![(from, Input::Stored { size: node.log.len() as u64 })]
            }
            Effect::Write { .. } => vec![(from, Input::StoreFailed)],
            Effect::Publish(head) => {
                assert_eq!(head.verify(), Ok(()));
                assert!(head.head.size <= node.log.len() as u64, "nothing is signed that is not durable");
                node.told.push(Effect::Publish(head.clone()));
                self.version += 1;
                let version = self.version;
                everybody.into_iter().map(|to| (to, Input::HeadHeard { head: head.clone(), version })).collect()
            }
            Effect::Send { to, message } => {
                assert_eq!(message.check(), Ok(()));
                node.told.push(Effect::Send { to, message: message.clone() });
                if node.silent && matches!(message, Message::Proof(_)) {
                    vec![]
                } else {
                    vec![(to, Input::Heard { from, message })]
                }
            }
            Effect::Give { to, ledger, first, count } => {
                let held: Vec<Entry> = if ledger == from {
                    node.log.iter().flatten().cloned().collect()
                } else {
                    node.copies.get(&ledger).cloned().unwrap_or_default()
                };
                let mut given: Vec<Entry> =
                    held.into_iter().filter(|entry| (first..first + count).contains(&entry.index)).collect();
                if node.lies && ledger == to {
                    given.iter_mut().for_each(|entry| entry.text = "nothing happened".into());
                }
                let first = given.first().map_or(first, |entry| entry.index);
                let message = Message::Entries { ledger, first, entries: given.iter().map(Entry::encode).collect() };
                vec![(to, Input::Heard { from, message })]
            }
            Effect::Copy { entries } => {
                let ledger = entries[0].ledger;
                let copies = node.copies.entry(ledger).or_default();
                copies.extend(entries);
                vec![(from, Input::Copied(copied(copies)))]
            }
            Effect::DropCopies { ledger } => {
                node.copies.remove(&ledger);
                vec![]
            }
            Effect::Mend { entries } if node.writable => {
                let numbers: Vec<u64> = entries.iter().map(|entry| entry.index).collect();
                for entry in entries {
                    let at = entry.index as usize;
                    assert_eq!(node.log[at], None, "only what is damaged is put back");
                    node.log[at] = Some(entry);
                }
                vec![(from, Input::Mended { entries: numbers, refused: vec![] })]
            }
            Effect::Mend { .. } => vec![(from, Input::Mended { entries: vec![], refused: vec![] })],
            other => {
                node.told.push(other);
                vec![]
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 100 {
            self.now = self.now + Duration::from_millis(100);
            self.unix_ms += 100;
            let peers: Vec<PeerId> = self.nodes.keys().copied().collect();
            for peer in peers {
                if self.nodes[&peer].keeper.deadline().is_some_and(|at| at <= self.now) {
                    self.run(peer, |keeper, now, effects| keeper.wake(now, effects));
                }
            }
        }
    }

    fn append(&mut self, n: u8, events: u64) {
        for i in 0..events {
            self.write_down(n, event(i));
        }
    }

    fn write_down(&mut self, n: u8, event: Event) {
        self.hear(n, Input::Append { event, ticket: 7 });
    }

    /// What a node found wrong with ledgers.
    fn found(&self, n: u8) -> Vec<(PeerId, Fault)> {
        let found = self.node(n).told.iter().filter_map(|effect| match effect {
            Effect::Found(finding) => Some((finding.known.head.ledger, finding.fault)),
            _ => None,
        });
        found.collect()
    }

    fn heads(&self, n: u8) -> Vec<Head> {
        let heads = self.node(n).told.iter().filter_map(|effect| match effect {
            Effect::Publish(head) => Some(head.head),
            _ => None,
        });
        heads.collect()
    }

    fn kinds(&self, n: u8) -> Vec<EventKind> {
        self.node(n).log.iter().flatten().map(|entry| entry.kind).collect()
    }
}

use crate::ledger::Head;

/// Two nodes; the first has written ten entries, and the second has witnessed them.
fn witnessed() -> Mesh {
    let mut mesh = Mesh::new(2);
    mesh.pass(6000);
    mesh.append(1, 9);
    mesh.pass(3000);
    assert_eq!(mesh.node(2).keeper.witness().proven(&id(1)).map(|head| head.head.size), Some(10));
    assert_eq!(mesh.found(2), []);
    mesh
}

#[test]
fn what_is_written_is_proven_to_every_neighbor() {
    let mut mesh = Mesh::new(4);
    for round in 0..30 {
        mesh.append(1 + (round % 4) as u8, round % 7);
        mesh.pass(700);
    }
    mesh.pass(10_000);
    for n in 1..=4 {
        let size = mesh.node(n).keeper.ledger().size();
        assert_eq!(size, mesh.node(n).log.len() as u64);
        for witness in (1..=4).filter(|witness| *witness != n) {
            let node = mesh.node(witness);
            assert_eq!(node.keeper.witness().proven(&id(n)).map(|head| head.head.size), Some(size), "{n} by {witness}");
            assert_eq!(mesh.found(witness), []);
        }
    }
}

#[test]
fn a_head_is_published_only_after_listening_and_only_now_and_then() {
    let mut mesh = Mesh::new(1);
    mesh.append(1, 5);
    mesh.pass(4900);
    assert_eq!(mesh.heads(1), []);
    mesh.pass(100);
    assert_eq!(mesh.heads(1).iter().map(|head| head.size).collect::<Vec<_>>(), [6]);
    for _ in 0..100 {
        mesh.append(1, 1);
        mesh.pass(100);
    }
    assert!((4..=6).contains(&mesh.heads(1).len()), "ten seconds: {:?}", mesh.heads(1));
    mesh.pass(60_000);
    let told = mesh.heads(1).len();
    mesh.pass(60_000);
    assert_eq!(mesh.heads(1).len(), told, "what has not changed is not told");
}

#[test]
fn what_cannot_be_written_is_tried_again_in_order_and_no_head_says_that_it_is_there() {
    let mut mesh = Mesh::new(1);
    mesh.pass(6000);
    mesh.nodes.get_mut(&id(1)).unwrap().writable = false;
    mesh.append(1, 200);
    mesh.pass(10_000);
    assert_eq!((mesh.node(1).log.len(), mesh.heads(1).len()), (1, 1));
    mesh.nodes.get_mut(&id(1)).unwrap().writable = true;
    mesh.pass(5000);
    let node = mesh.node(1);
    assert_eq!((node.log.len(), node.keeper.ledger().size()), (201, 201));
    let mut read = Ledger::new(id(1));
    node.log.iter().flatten().for_each(|entry| read.push(entry).unwrap());
    assert_eq!(&read, node.keeper.ledger());
}

#[test]
fn too_much_that_waits_is_refused_and_told() {
    let mut mesh = Mesh::new(1);
    mesh.nodes.get_mut(&id(1)).unwrap().writable = false;
    mesh.append(1, LEDGER_PENDING_MAX as u64 + 7);
    let refused = mesh.node(1).told.iter().filter(|effect| matches!(effect, Effect::Refused { .. })).count();
    assert_eq!(refused, 7);
    assert_eq!(mesh.node(1).keeper.pending.len(), LEDGER_PENDING_MAX);
}

#[test]
fn what_happens_before_the_log_was_read_is_written_down_then_in_order() {
    let mut keeper = Keeper::new(identity(1), Instant::BOOT);
    let mut effects = Vec::new();
    for ticket in 1..=3 {
        keeper.handle(Input::Append { event: event(ticket), ticket }, Instant::BOOT, &mut effects);
    }
    assert_eq!((effects.len(), keeper.waiting(), keeper.is_ready()), (0, 3, false));
    keeper.handle(Input::Loaded { entries: vec![] }, Instant::BOOT, &mut effects);
    assert_eq!(effects[0], Effect::ResyncWanted);
    let Effect::Write { entries, tickets } = &effects[1] else { panic!("{effects:?}") };
    assert_eq!((entries[0].text.as_str(), &tickets[..]), ("command 1", &[1][..]));
    keeper.handle(Input::Stored { size: 1 }, Instant::BOOT, &mut effects);
    let Some(Effect::Write { entries, tickets }) = effects.last() else { panic!("{effects:?}") };
    assert_eq!((entries.len(), &tickets[..]), (2, &[2, 3][..]), "what has come meanwhile is written together");
}

#[test]
fn a_neighbor_finds_a_ledger_that_was_truncated_and_writes_it_down_once() {
    let mut mesh = witnessed();
    let log = mesh.node(1).log[..5].to_vec();
    mesh.start(1, log);
    mesh.pass(6000);
    assert_eq!(mesh.found(2), [(id(1), Fault::Truncated)]);
    mesh.append(1, 1);
    mesh.pass(6000);
    assert_eq!(mesh.found(2), [(id(1), Fault::Truncated)], "it is told once");
    assert_eq!(mesh.kinds(2), [EventKind::Started, EventKind::Witnessed]);
    let entry = mesh.node(2).log[1].clone().unwrap();
    assert_eq!(entry.subject, id(1).to_string());
    assert!(entry.text.starts_with("truncated: 6 entries"), "{}", entry.text);
}

#[test]
fn a_neighbor_finds_a_ledger_that_was_rewritten_and_has_grown_since() {
    let mut mesh = witnessed();
    let log = mesh.node(1).log[..5].to_vec();
    mesh.start(1, log);
    mesh.append(1, 20);
    mesh.pass(6000);
    assert_eq!(mesh.found(2), [(id(1), Fault::Rewritten)]);
}

#[test]
fn a_neighbor_finds_two_histories_and_an_old_head_that_is_said_again() {
    let mut mesh = witnessed();
    let old = mesh.heads(1)[0].sign(&identity(1));
    mesh.hear(2, heard(old));
    assert_eq!(mesh.found(2), [(id(1), Fault::Replayed)]);
    let now = mesh.heads(1).last().copied().unwrap();
    let other = Head { root: Hash([7; 32]), ..now }.sign(&identity(1));
    mesh.hear(2, heard(other));
    assert_eq!(mesh.found(2), [(id(1), Fault::Replayed), (id(1), Fault::Forked)]);
}

#[test]
fn an_old_record_that_comes_late_accuses_nobody() {
    let mut mesh = witnessed();
    let old = mesh.heads(1)[0].sign(&identity(1));
    mesh.hear(2, Input::HeadHeard { head: old, version: 0 });
    assert_eq!(mesh.found(2), []);
}

#[test]
fn a_node_whose_disk_was_set_back_says_so_in_its_own_ledger_before_it_signs_anything() {
    for before_the_log in [false, true] {
        let mut mesh = witnessed();
        let last = mesh.heads(1).last().copied().unwrap().sign(&identity(1));
        let log = mesh.node(1).log[..5].to_vec();
        if before_the_log {
            let mut keeper = Keeper::new(identity(1), mesh.now);
            let mut effects = Vec::new();
            keeper.handle(heard(last.clone()), mesh.now, &mut effects);
            assert_eq!(effects, []);
            keeper.handle(Input::Loaded { entries: log }, mesh.now, &mut effects);
            assert!(matches!(&effects[1], Effect::RolledBack { found: 5, witnessed } if *witnessed == last));
            continue;
        }
        mesh.start(1, log);
        mesh.hear(1, heard(last.clone()));
        mesh.hear(1, heard(last.clone()));
        let node = mesh.node(1);
        let told: Vec<_> = node.told.iter().filter(|told| matches!(told, Effect::RolledBack { .. })).collect();
        assert_eq!(told, [&Effect::RolledBack { found: 6, witnessed: last }]);
        assert_eq!(mesh.heads(1), []);
        assert_eq!(mesh.kinds(1).last(), Some(&EventKind::RolledBack));
    }
}

#[test]
fn a_damaged_entry_that_nobody_has_is_told_and_changes_no_head() {
    let mut mesh = witnessed();
    mesh.nodes.get_mut(&id(2)).unwrap().copies.clear();
    let mut log = mesh.node(1).log.clone();
    log[4] = None;
    mesh.start(1, log);
    assert_eq!(mesh.node(1).told, [Effect::Damaged { entries: vec![4], broken: None }]);
    mesh.append(1, 3);
    mesh.pass(10_000);
    assert_eq!(mesh.found(2), []);
    assert_eq!(mesh.node(2).keeper.witness().proven(&id(1)).map(|head| head.head.size), Some(15));
    assert_eq!(mesh.node(1).log[10].as_ref().map(|entry| entry.kind), Some(EventKind::Damaged));
    let log = mesh.node(1).log.clone();
    mesh.start(1, log);
    assert_eq!(mesh.node(1).log.len(), 16, "the same damage is written down once: only the start is new");
}

#[test]
fn a_ledger_that_does_not_know_its_own_last_hash_writes_and_signs_nothing() {
    let mut mesh = witnessed();
    let mut log = mesh.node(1).log.clone();
    log[9] = None;
    mesh.start(1, log);
    mesh.append(1, 3);
    mesh.pass(10_000);
    let node = mesh.node(1);
    assert_eq!(node.told[0], Effect::Damaged { entries: vec![9], broken: None });
    assert_eq!((node.keeper.waiting(), node.keeper.is_ready()), (5, false));
    assert_eq!((node.log.len(), mesh.heads(1).len(), mesh.found(2)), (10, 0, vec![]));

    // Another one has seen it; a head that covers less says nothing of it.
    let heads = mesh.node(2).keeper.witness().proven(&id(1)).cloned().unwrap();
    let older = Head { size: 9, ..heads.head }.sign(&identity(1));
    mesh.hear(1, heard(older));
    assert!(!mesh.node(1).keeper.is_ready());
    let other = Head { root: Hash([7; 32]), ..heads.head }.sign(&identity(1));
    mesh.hear(1, heard(other));
    assert!(!mesh.node(1).keeper.is_ready());
    mesh.hear(1, heard(heads));
    mesh.pass(10_000);
    assert_eq!(mesh.found(2), []);
    let kinds = mesh.kinds(1);
    // Somebody has signed something else with this node's key: that is told as well, now that it can be.
    assert!(kinds.contains(&EventKind::RolledBack) && kinds.contains(&EventKind::Repaired), "{kinds:?}");
    assert_eq!((kinds.len(), mesh.node(1).log.len()), (17, 17));
    assert_eq!(mesh.node(2).keeper.witness().proven(&id(1)).map(|head| head.head.size), Some(17));
}

/// What is lost of a history is no other history.
#[test]
fn a_node_that_has_lost_a_hash_proves_nothing_and_is_accused_of_nothing() {
    let mut mesh = witnessed();
    mesh.nodes.get_mut(&id(2)).unwrap().copies.clear();
    let mut log = mesh.node(1).log.clone();
    for damaged in [3, 4] {
        log[damaged] = None;
    }
    mesh.start(1, log);
    let size = mesh.node(1).keeper.ledger().size();
    let mut effects = Vec::new();
    let prove = Input::Heard { from: id(2), message: Message::Prove { first: 5, second: size } };
    let (now, node) = (mesh.now, mesh.nodes.get_mut(&id(1)).unwrap());
    node.keeper.handle(prove, now, &mut effects);
    assert_eq!(effects, []);
    mesh.pass(60_000);
    assert_eq!(mesh.found(2), []);
}

#[test]
fn every_neighbor_vouches_for_the_head_that_it_has_seen() {
    let mesh = witnessed();
    let (head, by) = mesh.node(1).keeper.seen(9).unwrap();
    assert_eq!((head.head.size, by.len(), by[0].witness), (10, 1, id(2)));
    assert_eq!(by[0].verify(&head.head), Ok(()));
    assert_eq!(mesh.node(1).keeper.seen(10), None);
    assert_eq!(mesh.node(1).keeper.seen(0).map(|(head, _)| head.head.size), Some(10));
}

#[test]
fn what_a_neighbor_did_not_sign_it_has_not_seen() {
    let mut mesh = witnessed();
    let now = *mesh.heads(1).last().unwrap();
    mesh.nodes.get_mut(&id(1)).unwrap().keeper.seen = Default::default();
    mesh.nodes.get_mut(&id(1)).unwrap().keeper.seen.begin(now.sign(&identity(1)));
    let good = Cosignature::of(&now, &identity(2));
    let forged = Cosignature { witness: id(3), ..good.clone() };
    let other = Cosignature::of(&Head { root: Hash([7; 32]), ..now }, &identity(2));
    for (from, seen) in [(3, forged), (3, good.clone()), (2, other)] {
        mesh.hear(1, Input::Heard { from: id(from), message: Message::Seen(seen) });
        assert_eq!(mesh.node(1).keeper.seen(0).map(|(_, by)| by), Some(vec![]));
    }
    mesh.hear(1, Input::Heard { from: id(2), message: Message::Seen(good.clone()) });
    assert_eq!(mesh.node(1).keeper.seen(0).map(|(_, by)| by), Some(vec![good]));
}

#[test]
fn an_entry_that_was_exchanged_on_disk_is_told_by_the_node_and_found_by_its_neighbor() {
    let mut mesh = witnessed();
    let mut log = mesh.node(1).log.clone();
    log[4].as_mut().unwrap().text = "nothing happened".into();
    mesh.start(1, log);
    let broken = Some(Broken::OtherPrevious { index: 5 });
    assert_eq!(mesh.node(1).told, [Effect::Damaged { entries: vec![], broken }]);
    mesh.pass(6000);
    assert_eq!(mesh.found(2), [(id(1), Fault::Rewritten)]);
}

#[test]
fn who_does_not_answer_is_asked_a_few_times_and_not_accused() {
    let mut mesh = witnessed();
    mesh.nodes.get_mut(&id(1)).unwrap().silent = true;
    mesh.append(1, 1);
    mesh.pass(120_000);
    let to_first = |told: &&Effect| matches!(told, Effect::Send { message: Message::Prove { second: 11, .. }, .. });
    assert_eq!(mesh.node(2).told.iter().filter(to_first).count(), ASKS_MAX as usize);
    assert_eq!(mesh.found(2), []);
    mesh.nodes.get_mut(&id(1)).unwrap().silent = false;
    mesh.append(1, 1);
    mesh.pass(6000);
    assert_eq!(mesh.node(2).keeper.witness().proven(&id(1)).map(|head| head.head.size), Some(12));
}

#[test]
fn a_proof_that_was_not_asked_for_accuses_nobody() {
    let mut mesh = witnessed();
    let garbage = Message::Proof(Consistency { first: 10, second: 11, path: vec![Hash([1; 32])] });
    mesh.hear(2, Input::Heard { from: id(1), message: garbage });
    assert_eq!(mesh.found(2), []);
}

mod copies;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn an_honest_node_is_accused_of_nothing_whatever_its_clock_does_and_however_often_it_restarts(
        steps in proptest::collection::vec((0..5u8, 0..9u64, 0..4_000u64), 1..25),
    ) {
        let mut mesh = Mesh::new(3);
        for (what, events, ms) in steps {
            match what {
                0 => {
                    let log = mesh.node(1).log.clone();
                    mesh.start(1, log);
                }
                1 => {
                    mesh.unix_ms = mesh.unix_ms.saturating_sub(ms * 1000);
                    let unix_ms = mesh.unix_ms;
                    mesh.hear(1, Input::Clock { unix_ms });
                }
                2 => mesh.nodes.get_mut(&id(1)).unwrap().writable ^= true,
                _ => mesh.append(1, events),
            }
            mesh.pass(ms);
        }
        mesh.nodes.get_mut(&id(1)).unwrap().writable = true;
        mesh.pass(2_000);
        // Something that cannot wait, so that everything is told.
        mesh.append(1, 1);
        mesh.pass(20_000);
        for n in 1..=3 {
            prop_assert_eq!(mesh.found(n), []);
            let is_rolled_back = mesh.node(n).told.iter().any(|told| matches!(told, Effect::RolledBack { .. }));
            prop_assert!(!is_rolled_back);
        }
        let size = mesh.node(1).log.len() as u64;
        prop_assert_eq!(mesh.node(2).keeper.witness().proven(&id(1)).map(|head| head.head.size), Some(size));
    }
}
