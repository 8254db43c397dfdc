//! The network under the mesh: which nodes can reach each other, how long it takes, and what becomes of a packet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prunella_core::Instant;
use prunella_core::rng::Rng;

use crate::topology::Topology;
use crate::weather::{Latency, Weather};

/// Wires between nodes. Each direction can be cut or clogged by several faults at once.
#[derive(Debug)]
pub(crate) struct Network {
    rng: Rng,
    weather: Weather,
    wires: BTreeMap<(usize, usize), Latency>,
    directions: BTreeMap<(usize, usize), Direction>,
}

/// One direction of a wire.
#[derive(Debug, Default)]
struct Direction {
    cuts: u32,
    clogs: u32,
    /// Datagrams and streams share the wire fairly: each have one half of it.
    datagrams: Half,
    streams: Half,
    /// Numbers of the packets that a clog holds back, in order.
    held: Vec<u64>,
}

/// One half of what one direction of a wire carries.
#[derive(Debug, Default)]
struct Half {
    /// When everything that waits in front of the wire will have been put onto it.
    busy_until: Instant,
}

/// What becomes of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is lost: the wire is cut, its queue is full, or the weather is bad.
    Lost,
    /// It arrives after each of these times: more than once if the network made a copy.
    Arrives(Vec<Duration>),
    /// A clog holds it back.
    Held,
}

impl Network {
    /// The wires of a topology. Every wire has its own latency, the same both ways.
    pub(crate) fn new(mut rng: Rng, topology: Topology, nodes: usize, weather: Weather) -> Self {
        let wires = topology.wires(&mut rng, nodes);
        let wires = wires.into_iter().map(|wire| (wire, weather.reach.draw(weather.spread, &mut rng))).collect();
        Self { rng, weather, wires, directions: BTreeMap::new() }
    }

    /// These wires, each with its own latency, the smaller end first.
    pub(crate) fn wired(rng: Rng, wires: BTreeMap<(usize, usize), Latency>, weather: Weather) -> Self {
        Self { rng, weather, wires, directions: BTreeMap::new() }
    }

    /// Every wire, once.
    pub(crate) fn wires(&self) -> Vec<(usize, usize)> {
        self.wires.keys().copied().collect()
    }

    /// The nodes at the other ends of the wires of `host`.
    pub(crate) fn neighbors(&self, host: usize) -> BTreeSet<usize> {
        let other = |(a, b): &(usize, usize)| match host {
            h if h == *a => Some(*b),
            h if h == *b => Some(*a),
            _ => None,
        };
        self.wires.keys().filter_map(other).collect()
    }

    /// How many wires the shortest way between two nodes has, cut or not, over nodes that `relays` allows; more than
    /// there are nodes if there is none.
    pub(crate) fn hops(&self, from: usize, to: usize, relays: impl Fn(usize) -> bool) -> usize {
        let (mut seen, mut edge, mut hops) = (BTreeSet::from([from]), BTreeSet::from([from]), 0);
        while !edge.contains(&to) {
            if edge.is_empty() {
                return usize::MAX;
            }
            edge = edge
                .iter()
                .filter(|at| **at == from || relays(**at))
                .flat_map(|at| self.neighbors(*at))
                .filter(|next| seen.insert(*next))
                .collect();
            hops += 1;
        }
        hops
    }

    /// Whether all other nodes reach each other without these.
    pub(crate) fn is_whole_without(&self, gone: &BTreeSet<usize>) -> bool {
        let nodes: BTreeSet<usize> = self.wires.keys().flat_map(|(a, b)| [*a, *b]).collect();
        let mut others = nodes.difference(gone).copied();
        let Some(first) = others.next() else { return true };
        others.all(|other| self.hops(first, other, |relay| !gone.contains(&relay)) < usize::MAX)
    }

    /// From now on, nothing is lost, copied, reordered or squeezed any more.
    pub(crate) fn calm(&mut self) {
        self.weather = Weather { reach: self.weather.reach, spread: self.weather.spread, ..Weather::CALM };
    }

    /// Makes the weather.
    pub(crate) fn set_weather(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Whether anything sent from one node arrives at the other within its time.
    pub(crate) fn passes(&self, from: usize, to: usize) -> bool {
        let free = |direction: &Direction| direction.cuts == 0 && direction.clogs == 0;
        self.wires.contains_key(&ordered(from, to)) && self.directions.get(&(from, to)).is_none_or(free)
    }

    /// Whether a wire works in both directions.
    pub(crate) fn passes_both(&self, a: usize, b: usize) -> bool {
        self.passes(a, b) && self.passes(b, a)
    }

    /// Cuts one direction of a wire once more.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        self.direction(from, to).cuts += 1;
    }

    /// Takes one cut back.
    pub(crate) fn mend(&mut self, from: usize, to: usize) {
        let direction = self.direction(from, to);
        direction.cuts = direction.cuts.saturating_sub(1);
    }

    /// Clogs one direction of a wire once more: what is sent is held back.
    pub(crate) fn clog(&mut self, from: usize, to: usize) {
        self.direction(from, to).clogs += 1;
    }

    /// Takes one clog back; returns the numbers of the packets that now go on, in order.
    pub(crate) fn unclog(&mut self, from: usize, to: usize) -> Vec<u64> {
        let direction = self.direction(from, to);
        direction.clogs = direction.clogs.saturating_sub(1);
        if direction.clogs == 0 { std::mem::take(&mut direction.held) } else { Vec::new() }
    }

    /// What becomes of a datagram of this many bytes. `number` names it in case it is held back.
    pub(crate) fn carry(&mut self, from: usize, to: usize, bytes: usize, number: u64, now: Instant) -> Fate {
        let weather = self.weather;
        let lost = self.chance(weather.loss_permille);
        let Some(latency) = self.wires.get(&ordered(from, to)).copied() else { return Fate::Lost };
        let direction = self.direction(from, to);
        if direction.cuts > 0 || lost {
            return Fate::Lost;
        }
        if direction.clogs > 0 {
            if direction.held.len() >= HELD_MAX {
                return Fate::Lost;
            }
            direction.held.push(number);
            return Fate::Held;
        }
        let Some(waits) = direction.datagrams.squeeze(weather.bytes_per_second, bytes, now) else { return Fate::Lost };
        let mut takes = waits + latency.sample(&mut self.rng);
        if self.chance(weather.reorder_permille) {
            takes += latency.sample(&mut self.rng) * 3;
        }
        let mut arrives = vec![takes];
        if self.chance(weather.duplicate_permille) {
            arrives.push(waits + latency.sample(&mut self.rng) * 2);
        }
        Fate::Arrives(arrives)
    }

    /// How long a message of this many bytes takes on an ordered, reliable stream: what is lost is sent again, later.
    pub(crate) fn stream(&mut self, from: usize, to: usize, bytes: usize, now: Instant) -> Duration {
        let weather = self.weather;
        let mut takes = Duration::ZERO;
        while self.chance(weather.loss_permille) && takes < RETRANSMIT * 8 {
            takes += RETRANSMIT;
        }
        // A stream waits for the wire instead of losing what does not fit.
        let direction = self.direction(from, to);
        let waits = direction.streams.occupy(weather.bytes_per_second, bytes, now);
        takes + waits + self.latency(from, to)
    }

    /// How long one packet takes, with its share of jitter.
    pub(crate) fn latency(&mut self, from: usize, to: usize) -> Duration {
        let latency = self.wires.get(&ordered(from, to)).copied();
        latency.map_or(Duration::from_millis(10), |latency| latency.sample(&mut self.rng))
    }

    fn chance(&mut self, permille: u16) -> bool {
        permille > 0 && self.rng.below(1000) < usize::from(permille)
    }

    fn direction(&mut self, from: usize, to: usize) -> &mut Direction {
        self.directions.entry((from, to)).or_default()
    }
}

impl Half {
    /// How long a packet waits in front of the wire; `None` if the queue there is full.
    fn squeeze(&mut self, bytes_per_second: Option<u64>, bytes: usize, now: Instant) -> Option<Duration> {
        let full = bytes_per_second.is_some() && self.busy_until.since(now) > QUEUE;
        if full { None } else { Some(self.occupy(bytes_per_second, bytes, now)) }
    }

    fn occupy(&mut self, bytes_per_second: Option<u64>, bytes: usize, now: Instant) -> Duration {
        let Some(rate) = bytes_per_second else { return Duration::ZERO };
        let takes = Duration::from_nanos(bytes as u64 * 2_000_000_000 / rate);
        self.busy_until = self.busy_until.max(now) + takes;
        self.busy_until.since(now)
    }
}

fn ordered(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

/// How soon a transport sends again what was lost.
pub(crate) const RETRANSMIT: Duration = Duration::from_millis(200);
/// How long a datagram may wait in front of a wire; beyond it the queue is full.
const QUEUE: Duration = Duration::from_millis(100);
/// Most datagrams that one clog holds back.
const HELD_MAX: usize = 2000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weather::{Reach, Spread};

    fn network(weather: Weather) -> Network {
        Network::new(Rng::from_seed(1), Topology::Ring { chords: 1 }, 4, weather)
    }

    fn carry(network: &mut Network) -> Fate {
        network.carry(0, 1, 100, 7, Instant::BOOT)
    }

    #[test]
    fn a_cut_direction_passes_again_only_when_every_cut_is_taken_back() {
        let mut network = network(Weather::CALM);
        network.cut(0, 1);
        network.cut(0, 1);
        assert!(!network.passes(0, 1) && network.passes(1, 0));
        network.mend(0, 1);
        assert_eq!(carry(&mut network), Fate::Lost);
        network.mend(0, 1);
        assert!(network.passes_both(0, 1));
        assert!(matches!(carry(&mut network), Fate::Arrives(times) if times.len() == 1));
    }

    #[test]
    fn a_clog_holds_packets_back_and_lets_them_go_in_order() {
        let mut network = network(Weather::CALM);
        network.clog(0, 1);
        for number in [3, 1, 2] {
            assert_eq!(network.carry(0, 1, 100, number, Instant::BOOT), Fate::Held);
        }
        assert!(!network.passes(0, 1) && matches!(network.carry(1, 0, 100, 9, Instant::BOOT), Fate::Arrives(_)));
        assert_eq!(network.unclog(0, 1), [3, 1, 2]);
        assert_eq!(network.unclog(0, 1), [0; 0]);
    }

    #[test]
    fn a_narrow_wire_makes_packets_wait_and_then_drops_them() {
        let spread = Spread::Constant;
        let mut network = network(Weather { spread, bytes_per_second: Some(20_000), ..Weather::CALM });
        let arrives = |fate| if let Fate::Arrives(times) = fate { times[0] } else { panic!("{fate:?}") };
        let (first, second) = (arrives(carry(&mut network)), arrives(carry(&mut network)));
        assert_eq!(second - first, Duration::from_millis(10), "100 bytes at half of 20 kB/s");
        let lost = (0..50).filter(|_| carry(&mut network) == Fate::Lost).count();
        assert!((35..45).contains(&lost), "a queue of 100 ms holds ten of them: {lost}");
        assert!(network.stream(0, 1, 2000, Instant::BOOT) > Duration::from_millis(200), "a stream waits");
    }

    #[test]
    fn bad_weather_loses_copies_and_delays() {
        let weather = Weather {
            reach: Reach::Rack,
            spread: Spread::Constant,
            loss_permille: 100,
            duplicate_permille: 100,
            reorder_permille: 100,
            bytes_per_second: None,
        };
        let mut network = network(weather);
        let fates: Vec<Fate> = (0..10_000).map(|_| carry(&mut network)).collect();
        let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
        let copied = fates.iter().filter(|fate| matches!(fate, Fate::Arrives(times) if times.len() == 2)).count();
        assert!((900..1100).contains(&lost) && (800..1000).contains(&copied), "{lost} {copied}");
        network.calm();
        assert!((0..1000).all(|_| matches!(carry(&mut network), Fate::Arrives(times) if times.len() == 1)));
    }
}
