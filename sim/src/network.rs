//! The network under the mesh: which nodes can reach each other, how long it takes, and what is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prunella_core::rng::Rng;

/// Wires between nodes; each direction can be cut by several faults at once.
#[derive(Debug)]
pub(crate) struct Network {
    rng: Rng,
    wires: BTreeMap<(usize, usize), Duration>,
    cuts: BTreeMap<(usize, usize), u32>,
    loss_permille: u16,
}

impl Network {
    /// A ring and some chords, drawn from the seed. Every wire has its own latency, the same both ways.
    pub(crate) fn new(mut rng: Rng, nodes: usize, chords: usize, loss_permille: u16) -> Self {
        let mut wires = BTreeMap::new();
        let most = nodes * (nodes - 1) / 2;
        for i in 0..nodes {
            wires.insert(ordered(i, (i + 1) % nodes), latency(&mut rng));
        }
        while wires.len() < (nodes + chords).min(most) {
            let (a, b) = (rng.below(nodes), rng.below(nodes));
            if a != b {
                wires.entry(ordered(a, b)).or_insert_with(|| latency(&mut rng));
            }
        }
        Self { rng, wires, cuts: BTreeMap::new(), loss_permille }
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

    /// Whether anything sent from one node arrives at the other.
    pub(crate) fn passes(&self, from: usize, to: usize) -> bool {
        self.wires.contains_key(&ordered(from, to)) && self.cuts.get(&(from, to)).is_none_or(|cuts| *cuts == 0)
    }

    /// Whether a wire works in both directions.
    pub(crate) fn passes_both(&self, a: usize, b: usize) -> bool {
        self.passes(a, b) && self.passes(b, a)
    }

    /// Cuts one direction of a wire once more.
    pub(crate) fn cut(&mut self, from: usize, to: usize) {
        *self.cuts.entry((from, to)).or_default() += 1;
    }

    /// Takes one cut back.
    pub(crate) fn mend(&mut self, from: usize, to: usize) {
        if let Some(cuts) = self.cuts.get_mut(&(from, to)) {
            *cuts = cuts.saturating_sub(1);
        }
    }

    /// How long this packet takes; `None` if it is lost or the wire is cut.
    pub(crate) fn carry(&mut self, from: usize, to: usize) -> Option<Duration> {
        let lost = self.rng.below(1000) < usize::from(self.loss_permille);
        let takes = self.latency(from, to);
        (self.passes(from, to) && !lost).then_some(takes)
    }

    /// How long something that is sent again when it is lost takes, with this packet's share of jitter.
    pub(crate) fn latency(&mut self, from: usize, to: usize) -> Duration {
        let base = self.wires.get(&ordered(from, to)).copied().unwrap_or(LATENCY_MAX);
        self.rng.jitter(base, 10)
    }
}

fn ordered(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

fn latency(rng: &mut Rng) -> Duration {
    LATENCY_MIN + Duration::from_micros(rng.below((LATENCY_MAX - LATENCY_MIN).as_micros() as usize) as u64)
}

/// Between two racks.
const LATENCY_MIN: Duration = Duration::from_micros(200);
/// Between two towns.
const LATENCY_MAX: Duration = Duration::from_millis(8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_direction_passes_again_only_when_every_cut_is_taken_back() {
        let mut network = Network::new(Rng::from_seed(1), 4, 1, 0);
        network.cut(0, 1);
        network.cut(0, 1);
        assert!(!network.passes(0, 1) && network.passes(1, 0));
        network.mend(0, 1);
        assert!(!network.passes(0, 1));
        network.mend(0, 1);
        assert!(network.passes_both(0, 1));
    }

    #[test]
    fn a_full_graph_has_no_room_for_more_chords() {
        assert_eq!(Network::new(Rng::from_seed(1), 4, 99, 0).wires().len(), 6);
    }
}
