//! What three disjoint paths cost, from nothing and after a change, beside one Dijkstra of petgraph over the same graph.
//!
//! `cargo bench -p prunella-core --bench paths` prints median and spread over all pairs. Everything is done several times
//! in turn for each pair, and the least time of each counts: what else the machine does then disturbs all of them little,
//! and alike.
#![allow(clippy::disallowed_types, clippy::print_stdout, reason = "a bench reads the clock and prints")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use petgraph::algo::dijkstra;
use petgraph::graph::{NodeIndex, UnGraph};
use prunella_core::limits::LINKS_PER_NODE_MAX;
use prunella_core::paths::{Path, PathTable, disjoint_paths};
use prunella_core::record::LinkBody;
use prunella_core::rng::Rng;
use prunella_core::{Label, PeerId};

const NODES: usize = 10_000;
const LINKS: usize = 50_000;
const SOURCES: usize = 4;
const DESTINATIONS: usize = 8;
const K: usize = 3;
/// How often each pair is measured; the least counts.
const TURNS: usize = 25;

fn main() {
    println!("{NODES} nodes, {LINKS} links, k = {K}; load average before: {}", load());
    show("random, round trips 1 to 40 ms", &World::random(1, |rng| 1_000 + rng.below(39_000) as u32));
    show("random, all round trips equal", &World::random(2, |_| 10_000));
    show("hubs (preferential attachment), 1 to 40 ms", &World::hubs(3));
    show("plane (near links and a tenth far ones)", &World::plane(4));
    println!("load average after: {}", load());
}

fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").map_or_else(|_| "unknown".into(), |text| text.trim().into())
}

/// Measures all pairs of one graph.
fn show(name: &str, world: &World) {
    let mut times = Times::default();
    let mut paths = [0; K + 1];
    let mut rng = Rng::from_seed(9);
    for _ in 0..SOURCES {
        let from = rng.below(NODES);
        let mut table = world.table(from);
        // The first answer grows what all others share.
        table.paths(peer(rng.below(NODES)));
        for _ in 0..DESTINATIONS {
            let to = loop {
                let to = rng.below(NODES);
                if to != from && !disjoint_paths(table.topology(), peer(from), peer(to), 1).is_empty() {
                    break to;
                }
            };
            let edits = Edits::random(world, &table.search(peer(to)), &mut rng);
            for _ in 0..TURNS {
                times.take("petgraph: one Dijkstra, one pair", || {
                    dijkstra(&world.plain, NodeIndex::new(from), Some(NodeIndex::new(to)), |link| *link.weight())
                });
                times.take("from nothing", || disjoint_paths(table.topology(), peer(from), peer(to), K));
                let found = times.take("one more destination", || table.paths(peer(to)).len());
                edits.measure(world, &mut table, &mut times);
                paths[found] += 1;
                table.forget(peer(to));
            }
            times.settle();
        }
    }
    println!("\n{name}: questions by number of paths {paths:?}");
    times.print();
}

/// A graph as petgraph has it, and as its nodes tell it.
struct World {
    plain: UnGraph<(), u64>,
    told: Vec<Vec<LinkBody>>,
}

impl World {
    fn new(links: BTreeMap<(usize, usize), u32>) -> Self {
        let mut told = vec![Vec::new(); NODES];
        for (&(a, b), &rtt_us) in &links {
            for (here, there) in [(a, b), (b, a)] {
                let label = Label(1 + told[here].len() as u16);
                told[here].push(LinkBody { neighbor: peer(there), label, rtt_us, loss_permille: 0 });
            }
        }
        let mut world = Self { plain: UnGraph::with_capacity(NODES, links.len()), told };
        let table = world.table(0);
        for _ in 0..NODES {
            world.plain.add_node(());
        }
        for (a, b) in links.into_keys() {
            let cost = table.topology().link(peer(a), peer(b)).expect("both ends told it").cost;
            world.plain.add_edge(NodeIndex::new(a), NodeIndex::new(b), cost);
        }
        world
    }

    fn random(seed: u64, rtt: impl Fn(&mut Rng) -> u32) -> Self {
        let rng = &mut Rng::from_seed(seed);
        let mut links = Links::default();
        while links.all.len() < LINKS {
            let (a, b) = (rng.below(NODES), rng.below(NODES));
            links.join(a, b, rtt(rng));
        }
        Self::new(links.all)
    }

    /// Each node joins some that came before it, each of them the more probably, the more links it has.
    fn hubs(seed: u64) -> Self {
        let rng = &mut Rng::from_seed(seed);
        let mut links = Links::default();
        let mut ends: Vec<usize> = vec![0];
        for node in 1..NODES {
            for _ in 0..LINKS / NODES {
                let other = ends[rng.below(ends.len())];
                if links.join(node, other, 1_000 + rng.below(39_000) as u32) {
                    ends.extend([node, other]);
                }
            }
        }
        while links.all.len() < LINKS {
            let (a, b) = (rng.below(NODES), ends[rng.below(ends.len())]);
            links.join(a, b, 1_000 + rng.below(39_000) as u32);
        }
        Self::new(links.all)
    }

    /// Nodes on a square of 100 by 100 that join others near them, and a few far away; delay is distance.
    fn plane(seed: u64) -> Self {
        let rng = &mut Rng::from_seed(seed);
        let mut links = Links::default();
        while links.all.len() < LINKS {
            let (x, y) = (rng.below(100), rng.below(100));
            let (u, v) = match rng.below(10) {
                0 => (rng.below(100), rng.below(100)),
                _ => ((x + rng.below(7)).saturating_sub(3).min(99), (y + rng.below(7)).saturating_sub(3).min(99)),
            };
            let distance = (x.abs_diff(u).pow(2) + y.abs_diff(v).pow(2)).isqrt();
            links.join(100 * x + y, 100 * u + v, 300 + 1_000 * distance as u32 + rng.below(200) as u32);
        }
        Self::new(links.all)
    }

    fn table(&self, from: usize) -> PathTable {
        let mut table = PathTable::new(peer(from), K);
        for (node, links) in self.told.iter().enumerate() {
            table.set_links(peer(node), links);
        }
        table
    }
}

/// What is changed and changed back: something anywhere, and something on the paths in use.
struct Edits {
    links: Vec<(&'static str, usize, usize)>,
    nodes: Vec<(&'static str, usize)>,
}

impl Edits {
    fn random(world: &World, found: &[Path], rng: &mut Rng) -> Self {
        let anywhere = loop {
            let node = rng.below(NODES);
            if !world.told[node].is_empty() && found.iter().all(|path| number(path.hops[0]) != node) {
                break node;
            }
        };
        let mut edits = Self {
            links: vec![("anywhere", anywhere, rng.below(world.told[anywhere].len()))],
            nodes: vec![("anywhere", anywhere)],
        };
        if let Some(path) = rng.pick(found) {
            let at = rng.below(path.hops.len() - 1);
            let (here, there) = (number(path.hops[at]), path.hops[at + 1]);
            let link = world.told[here].iter().position(|link| link.neighbor == there).expect("paths follow links");
            edits.links.push(("on a path", here, link));
            edits.nodes.extend(rng.pick(path.relays()).map(|relay| ("on a path", number(*relay))));
        }
        edits
    }

    /// Measures until the answer is right again, for the way there and for the way back.
    fn measure(&self, world: &World, table: &mut PathTable, times: &mut Times) {
        for &(place, node, link) in &self.links {
            let links = &world.told[node];
            let (mut dearer, mut without) = (links.clone(), links.clone());
            dearer[link].rtt_us *= 3;
            without.remove(link);
            for (what, other) in [("dearer", dearer), ("gone", without)] {
                times.take(&format!("link {place} {what}"), || (table.set_links(peer(node), &other), table.refresh()));
                times.take(&format!("link {place} no longer {what}"), || {
                    (table.set_links(peer(node), links), table.refresh())
                });
            }
        }
        for &(place, node) in &self.nodes {
            times.take(&format!("node {place} gone"), || (table.remove(peer(node)), table.refresh()));
            times.take(&format!("node {place} no longer gone"), || {
                (table.set_links(peer(node), &world.told[node]), table.refresh())
            });
        }
    }
}

#[derive(Default)]
struct Links {
    all: BTreeMap<(usize, usize), u32>,
    degrees: BTreeMap<usize, usize>,
}

impl Links {
    fn join(&mut self, a: usize, b: usize, rtt_us: u32) -> bool {
        let degree = |node| self.degrees.get(&node).copied().unwrap_or(0);
        let pair = (a.min(b), a.max(b));
        let possible = a != b && degree(a).max(degree(b)) < LINKS_PER_NODE_MAX && !self.all.contains_key(&pair);
        if possible {
            self.all.insert(pair, rtt_us);
            *self.degrees.entry(a).or_default() += 1;
            *self.degrees.entry(b).or_default() += 1;
        }
        possible
    }
}

/// A peer whose id says its number, and whose order has nothing to do with it.
fn peer(number: usize) -> PeerId {
    let mut bytes = [0; 32];
    bytes[..4].copy_from_slice(&(number as u32).wrapping_mul(0x9E37_79B1).to_le_bytes());
    bytes[28..].copy_from_slice(&(number as u32).to_le_bytes());
    PeerId::from_public_key(bytes)
}

fn number(peer: PeerId) -> usize {
    let bytes = peer.to_bytes();
    u32::from_le_bytes([bytes[28], bytes[29], bytes[30], bytes[31]]) as usize
}

/// What was measured, in the order in which it was first.
#[derive(Default)]
struct Times(Vec<Measured>);

struct Measured {
    name: String,
    /// The least for each pair.
    times: Vec<Duration>,
    /// The least for this pair so far.
    least: Option<Duration>,
}

impl Times {
    fn take<R>(&mut self, name: &str, run: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let output = black_box(run());
        let taken = start.elapsed();
        let at = self.0.iter().position(|known| known.name == name).unwrap_or_else(|| {
            self.0.push(Measured { name: name.into(), times: Vec::new(), least: None });
            self.0.len() - 1
        });
        let least = &mut self.0[at].least;
        *least = Some(least.map_or(taken, |known| known.min(taken)));
        output
    }

    /// The next pair begins.
    fn settle(&mut self) {
        self.0.iter_mut().for_each(|measured| measured.times.extend(measured.least.take()));
    }

    fn print(mut self) {
        println!("{:36} {:>6} {:>9} {:>9} {:>9} {:>9} {:>7}", "us", "pairs", "p10", "median", "p90", "max", "x one");
        let one = median(&mut self.0[0].times);
        for Measured { name, times, .. } in &mut self.0 {
            let median = median(times);
            let us = |time: Duration| time.as_nanos() as f64 / 1e3;
            let at = |percent: usize| us(times[(times.len() - 1) * percent / 100]);
            println!(
                "{name:36} {:6} {:9.1} {:9.1} {:9.1} {:9.1} {:7.3}",
                times.len(),
                at(10),
                us(median),
                at(90),
                at(100),
                us(median) / us(one)
            );
        }
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
