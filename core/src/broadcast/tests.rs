//! One machine by itself, then small meshes of them: every graph, every failure, liars.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::PeerId;
use crate::limits::{MISSING_PER_NEIGHBOR_MAX, NEIGHBORS_MAX};

type Machine = Broadcast<u8, u16>;

const RTT: Duration = Duration::from_millis(2);

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// A machine with eager neighbors from 1 on.
fn with_neighbors(count: u8) -> Machine {
    let mut machine = Machine::new();
    (1..=count).for_each(|peer| machine.neighbor_up(peer, RTT).unwrap());
    machine
}

/// The same, but only the first neighbor is eager.
fn with_lazy_neighbors(count: u8) -> Machine {
    let mut machine = with_neighbors(count);
    (2..=count).for_each(|peer| machine.pruned(peer, at(0), &mut Vec::new()).unwrap());
    machine
}

fn effects(act: impl FnOnce(&mut Vec<Effect<u8, u16>>)) -> Vec<Effect<u8, u16>> {
    let mut effects = Vec::new();
    act(&mut effects);
    effects
}

fn push(to: u8, message: u16) -> Effect<u8, u16> {
    Effect::Push { to, messages: vec![message] }
}

fn graft(to: u8, message: u16) -> Effect<u8, u16> {
    Effect::Graft { to, messages: vec![message] }
}

fn eager(machine: &Machine) -> Vec<u8> {
    machine.neighbors().filter(|(_, eager)| *eager).map(|(peer, _)| peer).collect()
}

/// Wakes the machine whenever it wants, until it rests; what it asked for, and when.
fn wake_until_rest(machine: &mut Machine) -> Vec<(Instant, Effect<u8, u16>)> {
    let mut asked = Vec::new();
    while let Some(now) = machine.deadline() {
        asked.extend(effects(|e| machine.wake(now, e)).into_iter().map(|effect| (now, effect)));
        assert!(asked.len() < 1000, "it never rests");
    }
    asked
}

#[test]
fn a_fresh_message_is_pushed_to_eager_neighbors_and_announced_to_lazy_ones() {
    let mut machine = with_neighbors(4);
    machine.pruned(3, at(0), &mut Vec::new()).unwrap();
    assert_eq!(effects(|e| machine.received(1, 7, true, at(10), e)), [push(2, 7), push(4, 7)]);
    assert_eq!(machine.deadline(), Some(at(15)));
    assert_eq!(effects(|e| machine.wake(at(14), e)), []);
    assert_eq!(effects(|e| machine.wake(at(15), e)), [Effect::Announce { to: 3, messages: vec![7] }]);
    assert_eq!(machine.deadline(), None);
}

#[test]
fn announcements_are_collected_and_the_neighbor_that_has_it_is_not_told() {
    let mut machine = with_lazy_neighbors(3);
    machine.originate(7, at(0), &mut Vec::new());
    machine.originate(8, at(3), &mut Vec::new());
    machine.announced(2, &[7], |_| true, at(4)).unwrap();
    machine.received(3, 8, false, at(4), &mut Vec::new());
    let announce = |to, messages: &[u16]| Effect::Announce { to, messages: messages.to_vec() };
    assert_eq!(effects(|e| machine.wake(at(5), e)), [announce(2, &[8]), announce(3, &[7])]);
}

#[test]
fn a_copy_too_many_prunes_its_sender() {
    let mut machine = with_neighbors(2);
    machine.received(1, 7, true, at(0), &mut Vec::new());
    assert_eq!(effects(|e| machine.received(2, 7, false, at(1), e)), [Effect::Prune { to: 2 }]);
    assert_eq!(eager(&machine), [1]);
}

#[test]
fn the_last_eager_neighbor_stays_eager() {
    let mut machine = with_neighbors(1);
    machine.originate(7, at(0), &mut Vec::new());
    assert_eq!(effects(|e| machine.received(1, 7, false, at(1), e)), []);
    machine.pruned(1, at(2), &mut Vec::new()).unwrap();
    assert_eq!(eager(&machine), [1]);
}

#[test]
fn an_announcement_that_no_push_follows_is_grafted() {
    let mut machine = with_lazy_neighbors(2);
    machine.announced(2, &[7], |_| false, at(100)).unwrap();
    let due = machine.deadline().unwrap();
    assert_eq!(due, at(100) + 3 * RTT + GRAFT_MARGIN);
    assert_eq!(effects(|e| machine.wake(due, e)), [graft(2, 7)]);
    assert_eq!(eager(&machine), [1, 2]);
}

#[test]
fn a_graft_waits_longer_where_round_trips_are_longer() {
    let mut machine = with_lazy_neighbors(2);
    machine.set_rtt(1, Duration::from_millis(100));
    machine.announced(2, &[7], |_| false, at(0)).unwrap();
    assert_eq!(machine.deadline(), Some(at(300) + GRAFT_MARGIN));
    machine.set_rtt(1, Duration::from_secs(3600));
    machine.announced(2, &[8], |_| false, at(0)).unwrap();
    machine.received(1, 7, true, at(1), &mut Vec::new());
    machine.wake(at(6), &mut Vec::new());
    assert_eq!(machine.deadline(), Some(at(1000) + GRAFT_MARGIN), "but never longer than a second");
}

#[test]
fn a_push_in_time_cancels_the_graft() {
    let mut machine = with_lazy_neighbors(2);
    machine.announced(2, &[7], |_| false, at(0)).unwrap();
    assert_eq!(effects(|e| machine.received(1, 7, true, at(1), e)), [], "the announcer has it");
    assert_eq!((machine.missing(), machine.deadline()), (0, None));
    assert_eq!(effects(|e| machine.wake(at(500), e)), []);
}

#[test]
fn the_next_announcer_is_asked_when_the_first_does_not_deliver_until_it_is_given_up() {
    let mut machine = with_lazy_neighbors(4);
    for peer in [3, 2, 4] {
        machine.announced(peer, &[7], |_| false, at(0)).unwrap();
    }
    let asked = wake_until_rest(&mut machine);
    let whom: Vec<_> = asked.iter().map(|(_, effect)| effect.clone()).collect();
    assert_eq!(whom, [3, 2, 4, 3, 2, 4].map(|peer| graft(peer, 7)));
    assert!(asked.windows(2).all(|pair| pair[1].0 - pair[0].0 >= RTT), "each had time to answer");
    assert_eq!(machine.missing(), 0);
}

#[test]
fn whoever_did_not_deliver_is_asked_last_the_next_time() {
    let mut machine = with_lazy_neighbors(3);
    machine.announced(2, &[7], |_| false, at(0)).unwrap();
    machine.announced(3, &[7], |_| false, at(1)).unwrap();
    let now = machine.deadline().unwrap();
    assert_eq!(effects(|e| machine.wake(now, e)), [graft(2, 7)]);
    let now = machine.deadline().unwrap();
    assert_eq!(effects(|e| machine.wake(now, e)), [graft(3, 7)]);
    machine.received(3, 7, true, now, &mut Vec::new());
    machine.announced(2, &[8], |_| false, now).unwrap();
    machine.announced(3, &[8], |_| false, now).unwrap();
    let asked = wake_until_rest(&mut machine);
    assert_eq!(asked.first().map(|(_, effect)| effect.clone()), Some(graft(3, 8)));
}

#[test]
fn a_graft_is_answered_with_what_is_held() {
    let mut machine = with_lazy_neighbors(2);
    let answer = effects(|e| machine.grafted(2, &[6, 7, 8], |message| *message != 7, e).unwrap());
    assert_eq!(answer, [Effect::Push { to: 2, messages: vec![6, 8] }]);
    assert_eq!(eager(&machine), [1, 2]);
    let many: Vec<u16> = (0..BROADCAST_IDS_MAX as u16).collect();
    let answer = effects(|e| machine.grafted(2, &many, |_| true, e).unwrap());
    let parts = answer.iter().map(|effect| if let Effect::Push { messages, .. } = effect { messages.len() } else { 0 });
    assert!(parts.clone().all(|part| (1..=PUSH_RECORDS_MAX).contains(&part)));
    assert_eq!(parts.sum::<usize>(), BROADCAST_IDS_MAX);
}

#[test]
fn strangers_and_endless_lists_are_turned_away() {
    let mut machine = with_neighbors(1);
    let long = vec![0; BROADCAST_IDS_MAX + 1];
    let mut out = Vec::new();
    assert_eq!(machine.announced(9, &[7], |_| false, at(0)), Err(Rejected::Unauthorized));
    assert_eq!(machine.grafted(9, &[7], |_| true, &mut out), Err(Rejected::Unauthorized));
    assert_eq!(machine.pruned(9, at(0), &mut out), Err(Rejected::Unauthorized));
    assert_eq!(machine.announced(1, &long, |_| false, at(0)), Err(Rejected::OverLimit));
    assert_eq!(machine.grafted(1, &long, |_| true, &mut out), Err(Rejected::OverLimit));
    assert_eq!((machine.missing(), out), (0, Vec::new()));
    let mut machine = with_neighbors(NEIGHBORS_MAX as u8);
    assert_eq!(machine.neighbor_up(0, RTT), Err(Rejected::OverLimit));
    assert_eq!(machine.neighbor_up(1, RTT), Ok(()));
}

#[test]
fn a_flood_of_unknown_names_crowds_out_only_its_own() {
    let mut machine = with_lazy_neighbors(3);
    machine.announced(2, &[1], |_| false, at(0)).unwrap();
    let mut crowded = 0;
    for name in 2..5000 {
        crowded += usize::from(machine.announced(3, &[name], |_| false, at(1)) == Err(Rejected::OverLimit));
    }
    assert_eq!(crowded, 4998 - MISSING_PER_NEIGHBOR_MAX);
    assert_eq!(machine.missing(), 1 + MISSING_PER_NEIGHBOR_MAX);
    assert!(machine.bytes() < 32 * 1024, "{} bytes", machine.bytes());
    let asked = wake_until_rest(&mut machine);
    assert!(asked.iter().any(|(_, effect)| *effect == graft(2, 1)), "the honest announcement is still there");
    let newest =
        |effect: &Effect<u8, u16>| matches!(effect, Effect::Graft { to: 3, messages } if messages.contains(&4999));
    assert!(asked.iter().any(|(_, effect)| newest(effect)), "the oldest made room");
    assert_eq!(machine.missing(), 0);
}

#[test]
fn what_is_owed_is_bounded_and_nothing_is_lost() {
    let mut machine = with_lazy_neighbors(NEIGHBORS_MAX as u8);
    let mut announced = BTreeMap::<u8, usize>::new();
    let mut count = |effects: Vec<Effect<u8, u16>>| {
        for effect in effects {
            if let Effect::Announce { to, messages } = effect {
                assert!(messages.len() <= BROADCAST_IDS_MAX);
                *announced.entry(to).or_default() += messages.len();
            }
        }
    };
    for message in 0..500 {
        count(effects(|e| machine.originate(message, at(0), e)));
        assert!(machine.owed.len() <= ANNOUNCEMENTS_OWED_MAX);
    }
    count(effects(|e| machine.wake(at(5), e)));
    assert_eq!(announced, (2..=NEIGHBORS_MAX as u8).map(|peer| (peer, 500)).collect());
}

#[test]
fn a_lazy_neighbor_takes_the_place_of_an_eager_one_that_is_gone() {
    let mut machine = with_lazy_neighbors(4);
    machine.set_rtt(3, Duration::from_millis(1));
    let asked = effects(|e| machine.neighbor_down(1, at(0), e));
    assert_eq!(asked, [Effect::Graft { to: 3, messages: vec![] }]);
    assert_eq!(eager(&machine), [3]);
    assert_eq!(effects(|e| machine.neighbor_down(2, at(0), e)), [], "it was lazy");
    assert_eq!(effects(|e| machine.neighbor_down(2, at(0), e)), [], "it is gone already");
}

#[test]
fn what_was_asked_of_a_neighbor_that_is_gone_is_asked_of_another_at_once() {
    let mut machine = with_lazy_neighbors(3);
    machine.announced(2, &[7, 8], |_| false, at(0)).unwrap();
    machine.announced(3, &[7], |_| false, at(0)).unwrap();
    let due = machine.deadline().unwrap();
    machine.wake(due, &mut Vec::new());
    machine.neighbor_down(2, due, &mut Vec::new());
    assert_eq!(effects(|e| machine.wake(due, e)), [graft(3, 7)]);
    assert_eq!(machine.missing(), 1, "nobody else has the other one");
}

#[test]
fn neighbors_that_prune_everything_are_replaced_in_turn_and_not_too_often() {
    let mut machine = with_lazy_neighbors(4);
    let mut tried = BTreeSet::new();
    let mut grafts = 0;
    for ms in 0..5000 {
        for peer in eager(&machine) {
            let asked = effects(|e| machine.pruned(peer, at(ms), e).unwrap());
            grafts += asked.len();
        }
        assert_eq!(eager(&machine).len(), 1);
        tried.extend(eager(&machine));
    }
    assert_eq!(grafts, 5, "one in a second");
    assert_eq!(tried.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn a_machine_at_rest_is_small() {
    let mut small = Broadcast::<u32, u32>::new();
    let mut large = Broadcast::<PeerId, [u8; 16]>::new();
    for peer in 0..10u8 {
        small.neighbor_up(peer.into(), RTT).unwrap();
        large.neighbor_up(PeerId::from_public_key([peer; 32]), RTT).unwrap();
    }
    small.originate(1, at(0), &mut Vec::new());
    small.announced(1, &[2], |_| false, at(0)).unwrap();
    small.received(1, 2, true, at(0), &mut Vec::new());
    small.wake(at(5), &mut Vec::new());
    assert!(small.bytes() <= 256, "{} bytes", small.bytes());
    assert!(large.bytes() <= 512, "{} bytes", large.bytes());
}

/// What travels between two nodes of a small mesh, or happens to one.
#[derive(Clone, Debug)]
enum Event {
    Wire(Effect<u8, u16>),
    Down,
    Wake,
}

/// What is wrong with the last node of a mesh.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// It takes everything and does nothing, and nobody notices.
    Hangs,
    /// It is gone, which its neighbors notice after a while.
    Crashes,
    /// It announces every message before anybody has it, delivers none, and prunes whoever sends it anything.
    Lies,
}

/// A small mesh in virtual time, over ordered links.
struct Mesh {
    machines: Vec<Machine>,
    held: Vec<BTreeSet<u16>>,
    links: BTreeMap<(u8, u8), Duration>,
    arrivals: BTreeMap<(u8, u8), Instant>,
    queue: BTreeMap<(Instant, u64), (u8, u8, Event)>,
    pushed: u64,
    now: Instant,
    faulty: Option<(u8, Fault)>,
    copies: usize,
}

impl Mesh {
    fn new(nodes: u8, links: &BTreeMap<(u8, u8), u64>) -> Self {
        let mut mesh = Self {
            machines: (0..nodes).map(|_| Machine::new()).collect(),
            held: vec![BTreeSet::new(); nodes.into()],
            links: BTreeMap::new(),
            arrivals: BTreeMap::new(),
            queue: BTreeMap::new(),
            pushed: 0,
            now: Instant::BOOT,
            faulty: None,
            copies: 0,
        };
        for ((a, b), us) in links {
            let once = Duration::from_micros(*us);
            for (a, b) in [(*a, *b), (*b, *a)] {
                mesh.links.insert((a, b), once);
                mesh.machines[a as usize].neighbor_up(b, 2 * once).unwrap();
            }
        }
        mesh
    }

    /// The last node fails.
    fn fail(&mut self, fault: Fault) {
        let faulty = self.machines.len() as u8 - 1;
        self.faulty = Some((faulty, fault));
        if fault == Fault::Crashes {
            for peer in self.neighbors(faulty) {
                self.enqueue(self.now + Duration::from_millis(20), faulty, peer, Event::Down);
            }
        }
    }

    fn neighbors(&self, node: u8) -> Vec<u8> {
        self.links.keys().filter(|(a, _)| *a == node).map(|(_, b)| *b).collect()
    }

    fn is_honest(&self, node: u8) -> bool {
        self.faulty.is_none_or(|(faulty, _)| faulty != node)
    }

    /// Sends a message; how many copies too many arrived until everything was at rest.
    fn send(&mut self, origin: u8, message: u16) -> usize {
        self.start(origin, message);
        self.settle()
    }

    fn start(&mut self, origin: u8, message: u16) {
        if let Some((liar, Fault::Lies)) = self.faulty {
            for peer in self.neighbors(liar) {
                self.transmit(liar, peer, Effect::Announce { to: peer, messages: vec![message] });
            }
        }
        self.held[origin as usize].insert(message);
        let now = self.now;
        let effects = effects(|e| self.machines[origin as usize].originate(message, now, e));
        self.perform(origin, effects);
    }

    fn settle(&mut self) -> usize {
        let before = self.copies;
        let mut events = 0;
        while let Some(((at, _), (from, to, event))) = self.queue.pop_first() {
            (self.now, events) = (at, events + 1);
            assert!(events < 100_000, "it never rests");
            self.happen(from, to, event);
        }
        self.copies - before
    }

    fn happen(&mut self, from: u8, to: u8, event: Event) {
        if !self.is_honest(to) {
            if self.faulty == Some((to, Fault::Lies)) && matches!(event, Event::Wire(_)) {
                self.transmit(to, from, Effect::Prune { to: from });
            }
            return;
        }
        let now = self.now;
        let (machine, held) = (&mut self.machines[to as usize], &mut self.held[to as usize]);
        let mut out = Vec::new();
        match event {
            Event::Wire(Effect::Push { messages, .. }) => {
                for message in messages {
                    let fresh = held.insert(message);
                    self.copies += usize::from(!fresh);
                    machine.received(from, message, fresh, now, &mut out);
                }
            }
            Event::Wire(Effect::Announce { messages, .. }) => {
                let _ = machine.announced(from, &messages, |message| held.contains(message), now);
            }
            Event::Wire(Effect::Graft { messages, .. }) => {
                let _ = machine.grafted(from, &messages, |message| held.contains(message), &mut out);
            }
            Event::Wire(Effect::Prune { .. }) => {
                let _ = machine.pruned(from, now, &mut out);
            }
            Event::Down => machine.neighbor_down(from, now, &mut out),
            Event::Wake => machine.wake(now, &mut out),
        }
        self.perform(to, out);
    }

    fn perform(&mut self, own: u8, effects: Vec<Effect<u8, u16>>) {
        for effect in effects {
            let (Effect::Push { to, .. }
            | Effect::Announce { to, .. }
            | Effect::Graft { to, .. }
            | Effect::Prune { to }) = effect;
            self.transmit(own, to, effect);
        }
        let machine = &self.machines[own as usize];
        let eager = machine.neighbors().filter(|(_, eager)| *eager).count();
        assert!(eager > 0 || machine.neighbors().next().is_none(), "node {own} has no eager neighbor");
        if let Some(at) = machine.deadline() {
            self.enqueue(at, own, own, Event::Wake);
        }
    }

    fn transmit(&mut self, from: u8, to: u8, effect: Effect<u8, u16>) {
        let arrival = self.arrivals.entry((from, to)).or_default();
        *arrival = (*arrival).max(self.now + self.links[&(from, to)]);
        let at = *arrival;
        self.enqueue(at, from, to, Event::Wire(effect));
    }

    fn enqueue(&mut self, at: Instant, from: u8, to: u8, event: Event) {
        self.pushed += 1;
        self.queue.insert((at, self.pushed), (from, to, event));
    }

    /// Who of the honest nodes goes without what.
    fn without(&self, messages: u16) -> Vec<(u8, u16)> {
        let honest = (0..self.machines.len() as u8).filter(|node| self.is_honest(*node));
        let pairs = honest.flat_map(|node| (0..messages).map(move |message| (node, message)));
        pairs.filter(|(node, message)| !self.held[*node as usize].contains(message)).collect()
    }
}

/// A connected graph of nodes, each link with its latency in microseconds, and one more node at the end that has links
/// but on which nobody depends.
fn graph() -> impl Strategy<Value = (u8, BTreeMap<(u8, u8), u64>)> {
    (2u8..12).prop_flat_map(|nodes| {
        let latency = || 500u64..4000;
        let tree: Vec<_> = (1..nodes).map(|node| (0..node, Just(node), latency())).collect();
        let more = prop::collection::vec((0..nodes, 0..nodes, latency()), 0..20);
        let last = prop::collection::vec((0..nodes, Just(nodes), latency()), 1..8);
        (tree, more, last).prop_map(move |(tree, more, last)| {
            let links = tree.into_iter().chain(more).chain(last);
            let links = links.filter(|(a, b, _)| a != b).map(|(a, b, us)| ((a.min(b), a.max(b)), us));
            (nodes + 1, links.collect())
        })
    })
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![Just(Fault::Hangs), Just(Fault::Crashes), Just(Fault::Lies)]
}

proptest! {
    #[test]
    fn everybody_gets_everything_and_after_the_first_message_only_once(
        (nodes, links) in graph(), origins in prop::collection::vec(any::<u8>(), 1..8),
    ) {
        let mut mesh = Mesh::new(nodes, &links);
        for (message, origin) in origins.iter().enumerate() {
            let copies = mesh.send(origin % nodes, message as u16);
            prop_assert!(message == 0 || copies == 0, "{copies} copies of message {message}");
        }
        prop_assert_eq!(mesh.without(origins.len() as u16), []);
    }

    #[test]
    fn everybody_gets_everything_when_many_messages_are_under_way(
        (nodes, links) in graph(), origins in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let mut mesh = Mesh::new(nodes, &links);
        for (message, origin) in origins.iter().enumerate() {
            mesh.start(origin % nodes, message as u16);
        }
        mesh.settle();
        prop_assert_eq!(mesh.without(origins.len() as u16), []);
    }

    #[test]
    fn no_failure_of_one_node_keeps_anything_from_the_others(
        (nodes, links) in graph(), fault in fault(), before in 0usize..4,
        origins in prop::collection::vec(any::<u8>(), 5..9),
    ) {
        let mut mesh = Mesh::new(nodes, &links);
        for (message, origin) in origins.iter().enumerate() {
            if message == before {
                mesh.fail(fault);
            }
            mesh.send(origin % (nodes - 1), message as u16);
        }
        prop_assert_eq!(mesh.without(origins.len() as u16), []);
    }

    #[test]
    fn no_failure_while_messages_are_under_way_keeps_anything_from_the_others(
        (nodes, links) in graph(), fault in fault(), steps in 0usize..60,
        origins in prop::collection::vec(any::<u8>(), 1..20),
    ) {
        let mut mesh = Mesh::new(nodes, &links);
        mesh.send(0, 0);
        for (message, origin) in (1..).zip(&origins) {
            mesh.start(origin % (nodes - 1), message);
        }
        for _ in 0..steps {
            let Some(((at, _), (from, to, event))) = mesh.queue.pop_first() else { break };
            mesh.now = at;
            mesh.happen(from, to, event);
        }
        mesh.fail(fault);
        mesh.settle();
        prop_assert_eq!(mesh.without(1 + origins.len() as u16), []);
    }

    #[test]
    fn whatever_neighbors_say_tables_stay_bounded_and_an_eager_neighbor_is_left(
        said in prop::collection::vec((0u8..6, 1u8..8, 0u16..300, any::<bool>()), 0..400),
    ) {
        let mut machine = with_neighbors(5);
        for (now, (what, from, message, flag)) in said.into_iter().enumerate() {
            let (now, mut out) = (at(now as u64), Vec::new());
            let _ = match what {
                0 => { machine.received(from, message, flag, now, &mut out); Ok(()) }
                1 => machine.announced(from, &[message, message + 1], |_| flag, now),
                2 => machine.grafted(from, &[message], |_| flag, &mut out),
                3 => machine.pruned(from, now, &mut out),
                4 => { machine.wake(now, &mut out); Ok(()) }
                _ if flag => machine.neighbor_up(from, RTT),
                _ => { machine.neighbor_down(from, now, &mut out); Ok(()) }
            };
            let known: BTreeSet<u8> = machine.neighbors().map(|(peer, _)| peer).collect();
            prop_assert!(known.is_empty() || !eager(&machine).is_empty());
            prop_assert!(machine.missing() <= known.len() * MISSING_PER_NEIGHBOR_MAX);
            let addressee = |effect: &Effect<u8, u16>| match effect {
                Effect::Push { to, .. } | Effect::Announce { to, .. } | Effect::Graft { to, .. } | Effect::Prune { to } => *to,
            };
            prop_assert!(out.iter().map(addressee).all(|to| known.contains(&to)), "{out:?} to {known:?}");
        }
        wake_until_rest(&mut machine);
        prop_assert_eq!(machine.missing(), 0);
    }
}
