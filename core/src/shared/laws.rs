//! The laws of a convergent replicated data type, over meshes that write at random and see each other's writes late.
//!
//! Two models say what must come out: happened-before, kept by hand without any clock, and the multi-value register of
//! the crate `crdts`.

use std::collections::{BTreeMap, BTreeSet};

use crdts::mvreg::Op;
use crdts::{CmRDT, MVReg};
use proptest::prelude::*;

use super::*;

const NODES: usize = 4;
const KEYS: [&str; 2] = ["a", "b"];

#[derive(Clone, Debug)]
enum Act {
    /// A node writes, or removes if there is no value, with a clock that is so far off.
    Write { node: usize, key: usize, value: Option<u8>, skew_ms: u64 },
    /// A node hears all that another one holds.
    Meet { from: usize, to: usize },
}

/// A record, as far as it matters here.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    origin: usize,
    key: &'static str,
    version: u64,
    write: Write,
    /// Which records its writer held when it wrote.
    saw: BTreeSet<usize>,
}

/// A run: every record ever said, and what each node held in the end.
struct History {
    said: Vec<Said>,
    nodes: Vec<Shared>,
    held: Vec<BTreeSet<usize>>,
}

fn peer(i: usize) -> PeerId {
    PeerId::from_public_key([i as u8 + 1; 32])
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let write = (0..NODES, 0..KEYS.len(), prop::option::weighted(0.7, 0..5u8), 0..50u64)
        .prop_map(|(node, key, value, skew_ms)| Act::Write { node, key, value, skew_ms });
    let meet = (0..NODES, 0..NODES).prop_map(|(from, to)| Act::Meet { from, to });
    prop::collection::vec(prop_oneof![2 => write, 1 => meet], 1..40)
}

fn run(acts: &[Act]) -> History {
    let nodes = vec![Shared::default(); NODES];
    let mut history = History { said: Vec::new(), nodes, held: vec![BTreeSet::new(); NODES] };
    for (at, act) in acts.iter().enumerate() {
        match act {
            Act::Write { node, key, value, skew_ms } => history.write(*node, KEYS[*key], *value, at as u64 + skew_ms),
            Act::Meet { from, to } => {
                for i in history.held[*from].clone() {
                    hear(&mut history.nodes[*to], &history.said[i]);
                    history.held[*to].insert(i);
                }
            }
        }
    }
    history
}

fn hear(shared: &mut Shared, said: &Said) {
    shared.apply(peer(said.origin), said.key, &said.write, said.version).unwrap();
}

impl History {
    fn write(&mut self, node: usize, key: &'static str, value: Option<u8>, unix_ms: u64) {
        let shared = &mut self.nodes[node];
        let written = match value {
            Some(value) => shared.put(peer(node), key, format!("v{value}"), unix_ms),
            None => shared.remove(peer(node), key, unix_ms),
        };
        let Ok(write) = written else {
            assert_eq!((written, value), (Err(Refused::NoSuchKey), None));
            return;
        };
        let counter = write.counter_of(&peer(node));
        assert_eq!(write.check(&peer(node), counter), Ok(()), "what a node writes, others accept");
        let version = self.said.iter().filter(|said| said.origin == node).count() as u64 + 1;
        let said = Said { origin: node, key, version, write, saw: self.held[node].clone() };
        hear(shared, &said);
        let values = shared.get(key).iter().map(|v| v.value.clone()).collect::<Vec<_>>();
        assert_eq!(values, said.write.value.iter().cloned().collect::<Vec<_>>(), "what was seen is superseded");
        self.held[node].insert(self.said.len());
        self.said.push(said);
    }

    /// Every origin's newest write under every key.
    fn newest(&self) -> Vec<(usize, &Said)> {
        let mut newest = BTreeMap::new();
        for (i, said) in self.said.iter().enumerate() {
            newest.insert((said.origin, said.key), (i, said));
        }
        newest.into_values().collect()
    }

    /// What must be there once all have heard everything: what no writer of a newest write had seen.
    fn expected(&self) -> BTreeMap<&'static str, BTreeSet<String>> {
        let newest = self.newest();
        let mut expected: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
        for (i, said) in &newest {
            let superseded = newest.iter().any(|(_, by)| by.key == said.key && by.saw.contains(i));
            if let Some(value) = said.write.value.clone().filter(|_| !superseded) {
                expected.entry(said.key).or_default().insert(value);
            }
        }
        expected
    }
}

fn values(shared: &Shared) -> BTreeMap<&str, BTreeSet<String>> {
    shared.list().map(|(key, values)| (key, values.iter().map(|v| v.value.clone()).collect())).collect()
}

fn all_of(said: &[&Said]) -> Shared {
    let mut shared = Shared::default();
    said.iter().for_each(|said| hear(&mut shared, said));
    shared
}

proptest! {
    #[test]
    fn order_repetition_and_older_versions_make_no_difference(
        acts in acts(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 0..80),
    ) {
        let history = run(&acts);
        prop_assume!(!history.said.is_empty());
        let newest: Vec<&Said> = history.newest().into_iter().map(|(_, said)| said).collect();
        let straight = all_of(&newest);
        // First a random selection with repetitions, then the rest in reverse.
        let random = picks.iter().map(|pick| pick.get(&history.said));
        let shuffled: Vec<&Said> = random.chain(history.said.iter().rev()).collect();
        prop_assert_eq!(all_of(&shuffled), straight);
    }

    #[test]
    fn it_makes_no_difference_who_hears_from_whom_first(acts in acts()) {
        let history = run(&acts);
        let heard = |i: usize| history.held[i].iter().map(|at| &history.said[*at]).collect::<Vec<_>>();
        let merge = |mut into: Shared, from: &[&Said]| {
            from.iter().for_each(|said| hear(&mut into, said));
            into
        };
        let (a, b, c) = (heard(0), heard(1), heard(2));
        let left = merge(merge(all_of(&a), &b), &c);
        let right = merge(all_of(&a), &[b.clone(), c.clone()].concat());
        let swapped = merge(merge(all_of(&c), &b), &a);
        let again = merge(left.clone(), &b);
        prop_assert_eq!(&left, &right);
        prop_assert_eq!(&left, &swapped);
        prop_assert_eq!(&left, &again);
        // And what a node came to in the course of the run is what its records alone give.
        for (i, node) in history.nodes.iter().enumerate() {
            prop_assert_eq!(node, &all_of(&heard(i)));
        }
    }

    #[test]
    fn the_values_are_those_that_nobody_saw_who_wrote_later(acts in acts()) {
        let history = run(&acts);
        let all = all_of(&history.said.iter().collect::<Vec<_>>());
        prop_assert_eq!(values(&all), history.expected());
    }

    #[test]
    fn the_values_are_those_of_the_register_of_crdts(acts in acts()) {
        let history = run(&acts);
        let mut registers: BTreeMap<&str, MVReg<Option<String>, PeerId>> = BTreeMap::new();
        for said in history.said.iter().rev() {
            let op = Op::Put { clock: said.write.vclock(), val: said.write.value.clone() };
            let register = registers.entry(said.key).or_default();
            prop_assert!(register.validate_op(&op).is_ok());
            register.apply(op);
        }
        let read = registers.into_iter().map(|(key, register)| {
            (key, register.read().val.into_iter().flatten().collect::<BTreeSet<String>>())
        });
        let registers: BTreeMap<_, _> = read.filter(|(_, values)| !values.is_empty()).collect();
        let all = all_of(&history.said.iter().collect::<Vec<_>>());
        prop_assert_eq!(values(&all), registers);
    }

    #[test]
    fn what_was_superseded_is_no_value_again_whatever_expires(
        acts in acts(),
        order in prop::collection::vec((0..NODES, 0..KEYS.len()), 0..16),
    ) {
        let history = run(&acts);
        let mut all = all_of(&history.said.iter().collect::<Vec<_>>());
        for (origin, key) in order {
            let before = values(&all).get(KEYS[key]).cloned().unwrap_or_default();
            all.forget(&peer(origin), KEYS[key]);
            let after = values(&all).get(KEYS[key]).cloned().unwrap_or_default();
            prop_assert!(after.is_subset(&before), "{before:?} became {after:?}");
            // A renewal of what is left does not bring it back either.
            for (_, said) in history.newest() {
                if all.said(&peer(said.origin), said.key).is_some() {
                    all.apply(peer(said.origin), said.key, &said.write, said.version + 1000).unwrap();
                }
            }
            prop_assert_eq!(values(&all).get(KEYS[key]).cloned().unwrap_or_default(), after);
        }
    }
}
