//! Neighbor choice: with whom of all known nodes a node wants links.
//!
//! A few near neighbors make the mesh quick, a few random ones make it an expander: any part of it has many links to the
//! rest, so messages need few hops and no failure cuts off much. Whatever the strategy, the first choice is always the
//! *ring successor*, the candidate whose name follows one's own: so every node is somebody's choice, and nodes that know
//! the same candidates form one ring, hence one mesh, however unattractive or far away some of them are.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::rng::Rng;

/// Which candidates a node prefers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Strategy {
    /// All alike.
    Random,
    /// The shortest round trips; candidates that were never measured come last.
    Nearest,
    /// Those of the own region, all alike; others only if there are too few.
    Region,
    /// Of five, four near ones (the own region first, then the shortest round trips) and a random one.
    #[default]
    Hybrid,
}

impl Strategy {
    /// Every strategy.
    pub const ALL: [Strategy; 4] = [Strategy::Random, Strategy::Nearest, Strategy::Region, Strategy::Hybrid];

    /// The strategy's name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::Random => "random",
            Strategy::Nearest => "nearest",
            Strategy::Region => "region",
            Strategy::Hybrid => "hybrid",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Strategy {
    type Err = NotAStrategy;

    fn from_str(text: &str) -> Result<Self, NotAStrategy> {
        Self::ALL.into_iter().find(|strategy| strategy.name() == text).ok_or(NotAStrategy)
    }
}

impl TryFrom<String> for Strategy {
    type Error = NotAStrategy;

    fn try_from(text: String) -> Result<Self, NotAStrategy> {
        text.parse()
    }
}

impl From<Strategy> for String {
    fn from(strategy: Strategy) -> String {
        strategy.to_string()
    }
}

/// The text names no strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a strategy (random, nearest, region or hybrid)")]
pub struct NotAStrategy;

/// A node that could become a neighbor. `P` is its name, `R` names its region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate<P, R> {
    /// Which node.
    pub peer: P,
    /// Where it is.
    pub region: R,
    /// What a round trip to it takes, if it was ever measured.
    pub rtt: Option<Duration>,
}

/// Chooses up to `wanted` neighbors for the node `own` in `region`, in order of preference and each only once; `own`
/// itself is passed over. The ring successor stands first, then what `strategy` prefers.
///
/// Hybrid draws a fifth of the choices at random, at least one of two or more. The random choices are even: no candidate
/// is more likely than another.
pub fn choose<P: Copy + Ord, R: PartialEq>(
    strategy: Strategy,
    own: P,
    region: &R,
    candidates: &[Candidate<P, R>],
    wanted: usize,
    rng: &mut Rng,
) -> Vec<P> {
    let mut left: Vec<&Candidate<P, R>> = candidates.iter().filter(|candidate| candidate.peer != own).collect();
    left.sort_by_key(|candidate| candidate.peer);
    left.dedup_by_key(|candidate| candidate.peer);
    if left.is_empty() || wanted == 0 {
        return Vec::new();
    }
    let after = left.partition_point(|candidate| candidate.peer < own);
    let mut chosen = vec![left.remove(after % left.len()).peer];
    // Shuffled first, so that the stable sorts below leave those alike in random order.
    shuffle(&mut left, rng);
    let random = match strategy {
        Strategy::Random => wanted,
        Strategy::Nearest | Strategy::Region => 0,
        Strategy::Hybrid => wanted.div_ceil(RANDOM_ONE_IN),
    };
    let drawn = left.split_off(left.len().saturating_sub(random.min(wanted - 1)));
    match strategy {
        Strategy::Random => {}
        Strategy::Nearest => left.sort_by_key(|candidate| candidate.rtt.unwrap_or(Duration::MAX)),
        Strategy::Region => left.sort_by_key(|candidate| candidate.region != *region),
        Strategy::Hybrid => {
            left.sort_by_key(|candidate| (candidate.region != *region, candidate.rtt.unwrap_or(Duration::MAX)));
        }
    }
    let preferred = left.iter().take(wanted - 1 - drawn.len());
    chosen.extend(preferred.chain(&drawn).map(|candidate| candidate.peer));
    chosen
}

/// An even shuffle (Fisher and Yates, in Durstenfeld's form).
fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for end in (1..items.len()).rev() {
        items.swap(end, rng.below(end + 1));
    }
}

/// Hybrid draws one choice of so many at random.
const RANDOM_ONE_IN: usize = 5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use super::{Rng, Strategy};

    /// Nodes on a plane of four regions; the last few are far away from everybody.
    fn population(nodes: usize, seed: u64) -> Vec<(u32, u32)> {
        let mut rng = Rng::from_seed(seed);
        let far = |node: usize| if node + 3 >= nodes { 1_000_000 } else { 0 };
        (0..nodes).map(|node| (far(node) + rng.below(1000) as u32, far(node) + rng.below(1000) as u32)).collect()
    }

    fn region((x, y): (u32, u32)) -> u32 {
        x / 500 * 2 + y / 500
    }

    fn rtt(a: (u32, u32), b: (u32, u32)) -> Option<Duration> {
        Some(Duration::from_micros(u64::from(a.0.abs_diff(b.0) + a.1.abs_diff(b.1))))
    }

    /// Whom every node chooses.
    fn choices(strategy: Strategy, nodes: usize, wanted: usize, seed: u64) -> Vec<Vec<usize>> {
        let places = population(nodes, seed);
        let mut rng = Rng::from_seed(seed);
        let names: Vec<u64> = (0..nodes as u64).map(|node| node.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        let of = |name: u64| names.iter().position(|known| *known == name).unwrap();
        (0..nodes)
            .map(|own| {
                let candidates: Vec<_> = (0..nodes)
                    .map(|node| Candidate {
                        peer: names[node],
                        region: region(places[node]),
                        rtt: rtt(places[own], places[node]),
                    })
                    .collect();
                let chosen = choose(strategy, names[own], &region(places[own]), &candidates, wanted, &mut rng);
                chosen.into_iter().map(of).collect()
            })
            .collect()
    }

    fn in_degrees(choices: &[Vec<usize>]) -> Vec<usize> {
        let mut degrees = vec![0; choices.len()];
        choices.iter().flatten().for_each(|node| degrees[*node] += 1);
        degrees
    }

    /// How many nodes of those that are `kept` the first of them reaches over links in either direction.
    fn reached(choices: &[Vec<usize>], kept: &[bool]) -> usize {
        let mut links = vec![Vec::new(); choices.len()];
        for (a, chosen) in choices.iter().enumerate() {
            chosen.iter().for_each(|b| (links[a].push(*b), links[*b].push(a)).0);
        }
        let mut seen = vec![false; choices.len()];
        let mut open: Vec<usize> = kept.iter().position(|kept| *kept).into_iter().collect();
        let mut count = 0;
        while let Some(node) = open.pop() {
            if !std::mem::replace(&mut seen[node], true) {
                count += 1;
                open.extend(links[node].iter().filter(|next| kept[**next]));
            }
        }
        count
    }

    /// The second largest eigenvalue of the random walk that rests half of the time, by power iteration on what is
    /// orthogonal to its stationary distribution. A ring of 400 has 0.9999; an expander stays away from 1.
    fn second_eigenvalue(choices: &[Vec<usize>]) -> f64 {
        let nodes = choices.len();
        let mut links = vec![Vec::new(); nodes];
        for (a, chosen) in choices.iter().enumerate() {
            chosen.iter().for_each(|b| (links[a].push(*b), links[*b].push(a)).0);
        }
        let degree = |node: usize| links[node].len() as f64;
        let total: f64 = (0..nodes).map(degree).sum();
        let mut rng = Rng::from_seed(1);
        let mut x: Vec<f64> = (0..nodes).map(|_| rng.below(1000) as f64).collect();
        let mut eigenvalue = 0.0;
        for _ in 0..300 {
            let mean: f64 = (0..nodes).map(|node| x[node] * degree(node)).sum::<f64>() / total;
            x.iter_mut().for_each(|value| *value -= mean);
            let norm = (0..nodes).map(|node| x[node] * x[node] * degree(node)).sum::<f64>().sqrt();
            x.iter_mut().for_each(|value| *value /= norm);
            let next: Vec<f64> = (0..nodes)
                .map(|node| x[node] / 2.0 + links[node].iter().map(|n| x[*n]).sum::<f64>() / degree(node) / 2.0)
                .collect();
            eigenvalue = (0..nodes).map(|node| next[node] * x[node] * degree(node)).sum();
            x = next;
        }
        eigenvalue
    }

    #[test]
    fn every_node_is_chosen_by_somebody_under_every_strategy() {
        for strategy in Strategy::ALL {
            for seed in 0..3 {
                let degrees = in_degrees(&choices(strategy, 200, 5, seed));
                assert!(degrees.iter().all(|degree| *degree > 0), "{strategy}, seed {seed}: {degrees:?}");
            }
        }
    }

    #[test]
    fn every_strategy_makes_one_mesh() {
        for strategy in Strategy::ALL {
            assert_eq!(reached(&choices(strategy, 200, 4, 1), &[true; 200]), 200, "{strategy}");
        }
    }

    #[test]
    fn hybrid_makes_an_expander() {
        let choices = choices(Strategy::Hybrid, 400, 5, 2);
        let eigenvalue = second_eigenvalue(&choices);
        assert!(eigenvalue < 0.95, "second eigenvalue {eigenvalue}");
        let mut rng = Rng::from_seed(3);
        let kept: Vec<bool> = (0..400).map(|_| rng.below(10) >= 3).collect();
        let left = kept.iter().filter(|kept| **kept).count();
        assert!(reached(&choices, &kept) * 100 >= left * 99, "{} of {left}", reached(&choices, &kept));
    }

    #[test]
    fn random_choices_are_even() {
        let candidates: Vec<_> = (0..21u32).map(|peer| Candidate { peer, region: 0, rtt: None }).collect();
        let mut rng = Rng::from_seed(5);
        let mut counts = [0u32; 21];
        for _ in 0..19_000 {
            choose(Strategy::Random, 0, &0, &candidates, 2, &mut rng)
                .into_iter()
                .for_each(|peer| counts[peer as usize] += 1);
        }
        assert_eq!((counts[0], counts[1]), (0, 19_000), "oneself never, the ring successor always");
        // 1,000 are expected of each other; five standard deviations are 154.
        assert!(counts[2..].iter().all(|count| count.abs_diff(1000) < 154), "{counts:?}");
    }

    #[test]
    fn nearest_takes_the_shortest_round_trips_and_the_unmeasured_last() {
        let rtt = |peer: u32| (peer != 4).then(|| Duration::from_millis(u64::from(100 - peer)));
        let candidates: Vec<_> = (0..10).map(|peer| Candidate { peer, region: 0, rtt: rtt(peer) }).collect();
        let mut rng = Rng::from_seed(1);
        assert_eq!(choose(Strategy::Nearest, 0, &0, &candidates, 4, &mut rng), [1, 9, 8, 7]);
        assert_eq!(choose(Strategy::Nearest, 0, &0, &candidates, 99, &mut rng).last(), Some(&4));
    }

    #[test]
    fn region_goes_abroad_only_when_it_must() {
        let candidates: Vec<_> = (0..10u32).map(|peer| Candidate { peer, region: peer / 5, rtt: None }).collect();
        let mut rng = Rng::from_seed(1);
        let at_home = choose(Strategy::Region, 0, &0, &candidates, 4, &mut rng);
        assert!(at_home.len() == 4 && at_home.iter().all(|peer| *peer < 5), "{at_home:?}");
        let more = choose(Strategy::Region, 0, &0, &candidates, 6, &mut rng);
        assert!(more.len() == 6 && more[..4].iter().all(|peer| *peer < 5), "{more:?}");
    }

    #[test]
    fn hybrid_draws_a_fifth_at_random_and_takes_the_rest_nearby() {
        let near = |peer: u32| peer <= 10;
        let candidates: Vec<_> =
            (1..=500u32).map(|peer| Candidate { peer, region: u32::from(!near(peer)), rtt: None }).collect();
        let chosen = choose(Strategy::Hybrid, 0, &0, &candidates, 10, &mut Rng::from_seed(1));
        assert!(chosen[..8].iter().all(|peer| near(*peer)), "{chosen:?}");
        assert!(chosen[8..].iter().any(|peer| !near(*peer)), "{chosen:?}");
        assert_eq!(chosen.len(), 10);
    }

    #[test]
    fn names_lead_back_to_their_strategies() {
        for strategy in Strategy::ALL {
            assert_eq!(strategy.to_string().parse(), Ok(strategy));
        }
        assert_eq!("closest".parse::<Strategy>(), Err(NotAStrategy));
        assert_eq!(Strategy::default(), Strategy::Hybrid);
    }

    proptest! {
        #[test]
        fn as_many_as_wanted_are_chosen_each_once_and_never_oneself(
            peers in prop::collection::vec((0u8..40, 0u8..3, prop::option::of(0u64..9)), 0..60),
            own in 0u8..40, wanted in 0usize..50, seed: u64, strategy in 0usize..4,
        ) {
            let candidates: Vec<_> = peers
                .iter()
                .map(|(peer, region, rtt)| Candidate { peer: *peer, region: *region, rtt: rtt.map(Duration::from_millis) })
                .collect();
            let mut others: Vec<u8> = peers.iter().map(|(peer, ..)| *peer).filter(|peer| *peer != own).collect();
            others.sort_unstable();
            others.dedup();
            let mut chosen =
                choose(Strategy::ALL[strategy], own, &0, &candidates, wanted, &mut Rng::from_seed(seed));
            prop_assert_eq!(chosen.len(), wanted.min(others.len()));
            chosen.sort_unstable();
            chosen.dedup();
            prop_assert_eq!(chosen.len(), wanted.min(others.len()));
            prop_assert!(chosen.iter().all(|peer| others.contains(peer)));
        }
    }
}
