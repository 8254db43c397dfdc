//! One attack from its beginning to its end: who is where, when who turns, and what was delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prunella_core::rng::Rng;
use prunella_core::{Instant, Rejected};

use super::{Attack, DELIVERED_WITHIN, Outcome, Size};
use crate::fleet::{Behavior, Doors, Fleet, Network, Noise, plane};

/// An attack under way.
pub(super) struct Scene {
    attack: Attack,
    size: Size,
    fleet: Fleet,
    rng: Rng,
    /// Whose records count, one after the other.
    publishers: Vec<usize>,
    /// When each record was published, and by whom.
    published: BTreeMap<String, (Instant, usize)>,
}

impl Scene {
    /// The mesh, before anything runs.
    pub(super) fn new(attack: Attack, size: Size) -> Self {
        let nodes = size.honest + size.attackers;
        let network = Network::new(nodes, plane(nodes, size.seed), size.seed);
        let mut fleet = Fleet::new(nodes, network, size.seed);
        fleet.guard(Doors { most: size.places, guests_most: size.places.saturating_sub(WANTED), wanted: WANTED });
        let mut rng = Rng::from_seed(size.seed ^ 0x6174_7461);
        // Whoever has only seldom something to say is found the most easily: a few say everything.
        let publishers: Vec<usize> = (0..size.honest).step_by((size.honest / PUBLISHERS).max(1)).collect();
        for host in 0..size.honest {
            fleet.choose(host, drawn(&mut rng, size.honest, host, WANTED));
        }
        Self { attack, size, fleet, rng, publishers, published: BTreeMap::new() }
    }

    /// Lets it happen.
    pub(super) fn play(mut self) -> Outcome {
        let (boots, strikes, turns) = self.times();
        for host in 0..self.size.honest {
            let at = boots + Duration::from_millis(self.rng.below(1000) as u64);
            self.fleet.boot_at(host, at);
        }
        for attacker in self.size.honest..self.size.honest + self.size.attackers {
            let behavior = self.behavior(turns);
            let targets = self.targets();
            self.fleet.corrupt(attacker, strikes, behavior, targets);
        }
        self.fleet.run_for(turns.since(Instant::BOOT));
        // What is said while everybody is good shapes the tree, and counts as well.
        self.publish(self.size.records);
        self.fleet.run_for(DELIVERED_WITHIN);
        self.judge()
    }

    /// When the honest boot, when the attackers come, and when the records that count are published.
    fn times(&self) -> (Instant, Instant, Instant) {
        let at = Instant::from_millis;
        match self.attack {
            Attack::ColdBoot => (at(0), at(0), at(5_000)),
            Attack::Dawn => (at(5_000), at(0), at(10_000)),
            Attack::CovertFlash => (at(0), at(0), at(30_000)),
            _ => (at(0), at(5_000), at(15_000)),
        }
    }

    fn behavior(&self, turns: Instant) -> Behavior {
        let silent = Behavior::silent(Instant::BOOT);
        let noisy = |noise, noise_per_second| Behavior { noise, noise_per_second, ..silent.clone() };
        let censored = self.fleet.peer_id(self.publishers[0]);
        match self.attack {
            Attack::CovertFlash => Behavior { turns_at: turns, promises: true, ..silent },
            Attack::Censor => Behavior { censors: Some(censored), promises: true, ..silent },
            Attack::Degradation => Behavior { withholds_permille: 500, promises: true, feigns: false, ..silent },
            Attack::Colocation | Attack::EclipseNetwork => Behavior { promises: true, ..silent },
            Attack::Invalid => noisy(Noise::Invalid, 20),
            Attack::Replay => noisy(Noise::Replays, 50),
            Attack::Flood => noisy(Noise::Flood, 50),
            _ => silent,
        }
    }

    /// With whom one attacker wants links.
    fn targets(&mut self) -> Vec<usize> {
        match self.attack {
            Attack::EclipseTarget => vec![self.victim()],
            Attack::EclipsePublishers => self.publishers.clone(),
            Attack::EclipseNetwork | Attack::ColdBoot | Attack::Dawn | Attack::CovertFlash | Attack::Censor => {
                (0..self.size.honest).collect()
            }
            _ => {
                let some = (self.size.honest / 4).max(4);
                drawn(&mut self.rng, self.size.honest, usize::MAX, some).into_iter().collect()
            }
        }
    }

    /// Who is surrounded: it says something as well.
    fn victim(&self) -> usize {
        self.publishers[self.publishers.len() / 2]
    }

    fn publish(&mut self, records: usize) {
        for number in 0..records {
            let by = self.publishers[number % self.publishers.len()];
            let name = format!("record-{number}");
            self.published.insert(name.clone(), (self.fleet.now(), by));
            self.fleet.expose(by, name);
            self.fleet.run_for(PUBLISHED_EVERY);
        }
    }

    fn judge(self) -> Outcome {
        let Size { honest, attackers, .. } = self.size;
        let mut first: BTreeMap<(&str, usize), Duration> = BTreeMap::new();
        for delivery in self.fleet.deliveries().iter().filter(|delivery| delivery.to < honest) {
            let Some((at, _)) = self.published.get(&delivery.name) else { continue };
            first.entry((&delivery.name, delivery.to)).or_insert_with(|| delivery.at.since(*at));
        }
        let mut took: Vec<Duration> = first.into_values().collect();
        took.sort_unstable();
        let rank = |permille: usize| took.get((took.len() * permille / 1000).min(took.len().saturating_sub(1)));
        let evil = honest..honest + attackers;
        let ignored = (0..honest).filter_map(|host| self.fleet.node(host)).map(|node| node.gossip().ignored()).sum();
        let isolated = evil.clone().filter(|attacker| self.fleet.quarantined_by(*attacker) > 0).count() as u64;
        let links =
            (0..honest).map(|host| self.fleet.linked(host).filter(|peer| evil.contains(peer)).count()).sum::<usize>();
        let mut countered = vec![
            ("links to attackers in the end", links as u64),
            ("links refused", self.fleet.refused()),
            ("attackers quarantined", isolated),
            ("messages ignored", ignored),
        ];
        let rejected = self.fleet.rejected();
        countered.extend(Rejected::ALL.map(|r| (r.name(), rejected.get(&r.to_string()).copied().unwrap_or(0))));
        countered.retain(|(_, count)| *count > 0);
        Outcome {
            attack: self.attack,
            size: self.size,
            expected: self.published.len() * (honest - 1),
            delivered: took.iter().filter(|took| **took <= DELIVERED_WITHIN).count(),
            p50: rank(500).copied().unwrap_or_default(),
            p99: rank(990).copied().unwrap_or_default(),
            max: took.last().copied().unwrap_or_default(),
            countered,
        }
    }
}

/// Some of so many, without one.
fn drawn(rng: &mut Rng, of: usize, without: usize, count: usize) -> BTreeSet<usize> {
    let mut left: Vec<usize> = (0..of).filter(|host| *host != without).collect();
    (0..count.min(left.len())).map(|_| left.swap_remove(rng.below(left.len()))).collect()
}

/// How many neighbors a node chooses: the configuration's default of `neighbors.target`.
const WANTED: usize = 4;
/// How many nodes have something to say, about.
const PUBLISHERS: usize = 10;
/// How often.
const PUBLISHED_EVERY: Duration = Duration::from_millis(250);
