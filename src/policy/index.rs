//! Rules sorted by what they can be about, so that a request meets only those that it can satisfy.
//!
//! Evaluation takes time for every policy of a set, those included that fail at their head. So each rule lies in the
//! small sets for its actions, its nodes or regions, and its services; a request asks the few sets that are about it.

use std::collections::BTreeMap;

use cedar_policy::PolicySet;
use prunella_core::PeerId;
use prunella_core::limits::POLICY_PAIRS_INDEXED_MAX;

use super::policy_file::Rule;
use super::request::{ActionName, Request};
use super::scope::{Scope, What, Who};

/// The rules of a policy, sorted.
#[derive(Debug, Default)]
pub(super) struct Index {
    sets: Vec<PolicySet>,
    by_action: BTreeMap<ActionName, ByWho>,
}

/// Places of sets, by whom their rules are about.
#[derive(Debug, Default)]
struct ByWho {
    anybody: ByName,
    nodes: BTreeMap<PeerId, ByName>,
    regions: BTreeMap<String, ByName>,
}

/// Places of sets, by what their rules are about.
#[derive(Debug, Default)]
struct ByName {
    anything: Place,
    named: BTreeMap<String, Place>,
}

/// The numbers of rules, and then the place of the set that holds them.
#[derive(Debug, Default)]
struct Place {
    rules: Vec<usize>,
    set: usize,
}

impl Index {
    /// Sorts the rules.
    pub(super) fn of(rules: &[Rule]) -> Self {
        let mut index = Self::default();
        for (number, rule) in rules.iter().enumerate() {
            for action in &rule.scope.actions {
                index.by_action.entry(*action).or_default().put(number, &rule.scope);
            }
        }
        // Many places hold the same rules, as of a rule about many nodes: they share one set.
        let mut known: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let sets = &mut index.sets;
        for place in index.by_action.values_mut().flat_map(ByWho::places) {
            place.set = *known.entry(std::mem::take(&mut place.rules)).or_insert_with_key(|numbers| {
                let policies = numbers.iter().map(|number| rules[*number].policy.clone());
                sets.push(PolicySet::from_policies(policies).expect("BUG: every rule has a number of its own"));
                sets.len() - 1
            });
        }
        index
    }

    /// The sets that hold every rule that this request can satisfy, and few others; `region` is that of whoever asks.
    pub(super) fn candidates<'a>(
        &'a self,
        request: &'a Request<'_>,
        region: &str,
    ) -> impl Iterator<Item = &'a PolicySet> + use<'a> {
        let about = request.action.about();
        let by_who = self.by_action.get(&request.action.name());
        let by_name = by_who.map(|by_who| {
            let region = if region.is_empty() { None } else { by_who.regions.get(region) };
            [Some(&by_who.anybody), by_who.nodes.get(&request.from), region]
        });
        let places = by_name.into_iter().flatten().flatten().flat_map(move |by_name| {
            [Some(&by_name.anything), about.and_then(|name| by_name.named.get(name))].into_iter().flatten()
        });
        places.map(|place| &self.sets[place.set]).filter(|set| !set.is_empty())
    }
}

impl ByWho {
    fn put(&mut self, number: usize, scope: &Scope) {
        let anything = What::Anything;
        let pairs = scope.who.count().saturating_mul(scope.what.count());
        let too_many = pairs > POLICY_PAIRS_INDEXED_MAX && scope.who != Who::Anybody;
        let what = if too_many { &anything } else { &scope.what };
        match &scope.who {
            Who::Anybody => self.anybody.put(number, what),
            Who::Nodes(nodes) => {
                for node in nodes {
                    self.nodes.entry(*node).or_default().put(number, what);
                }
            }
            Who::Regions(regions) => {
                for region in regions {
                    self.regions.entry(region.clone()).or_default().put(number, what);
                }
            }
        }
    }

    fn places(&mut self) -> impl Iterator<Item = &mut Place> {
        let by_name =
            std::iter::once(&mut self.anybody).chain(self.nodes.values_mut()).chain(self.regions.values_mut());
        by_name.flat_map(|by_name| std::iter::once(&mut by_name.anything).chain(by_name.named.values_mut()))
    }
}

impl ByName {
    fn put(&mut self, number: usize, what: &What) {
        let add = |place: &mut Place| {
            if place.rules.last() != Some(&number) {
                place.rules.push(number);
            }
        };
        match what {
            What::Anything => add(&mut self.anything),
            What::Named(names) => names.iter().for_each(|name| add(self.named.entry(name.clone()).or_default())),
        }
    }
}

impl Who {
    fn count(&self) -> usize {
        match self {
            Who::Anybody => 1,
            Who::Nodes(nodes) => nodes.len(),
            Who::Regions(regions) => regions.len(),
        }
    }
}

impl What {
    fn count(&self) -> usize {
        match self {
            What::Anything => 1,
            What::Named(names) => names.len(),
        }
    }
}
