//! What to simulate.

use std::ops::Range;
use std::time::Duration;

use prunella_core::limits::NEIGHBORS_MAX;
use prunella_core::selection::Strategy;

/// A mesh, what goes wrong in it, and what is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many nodes; two to 2^31.
    pub nodes: usize,
    /// Into how many regions of equal size they are split; 1: the mesh is flat.
    pub regions: usize,
    /// Least and greatest one-way latency of links inside a region; packets take up to 10 % longer.
    pub near: (Duration, Duration),
    /// Least and greatest one-way latency of links between regions; packets take up to 10 % longer.
    pub far: (Duration, Duration),
    /// Share of packets that are lost, in thousandths; under 1,000.
    pub loss_permille: u16,
    /// How many neighbors a node has on average; two to half of the neighbors that a node may have.
    pub degree: usize,
    /// How nodes choose their neighbors.
    pub strategy: Strategy,
    /// How many messages are sent before the first that counts: they form the tree.
    pub warm_up: usize,
    /// How many messages are measured, one after the other, each from a node drawn at random.
    pub messages: usize,
    /// How many nodes crash after the warm-up, all at once. The first message is under way before anybody notices.
    pub crashed: usize,
    /// Where all randomness comes from.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 1000,
            regions: 1,
            near: RACK,
            far: WORLD,
            loss_permille: 0,
            degree: 10,
            strategy: Strategy::default(),
            warm_up: 3,
            messages: 20,
            crashed: 0,
            seed: 1,
        }
    }
}

/// Options with a name, and what they have to come up to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preset {
    /// By which it is asked for.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// Greatest allowed time to reach all nodes, mean over the messages.
    pub mean_max: Option<Duration>,
    /// Greatest allowed time to reach all nodes, of any message.
    pub all_max: Option<Duration>,
    /// The options.
    pub options: Options,
}

impl Options {
    /// The options with this name; `None` if there are none. [`presets`] lists the names.
    pub fn preset(name: &str) -> Option<Self> {
        presets().into_iter().find(|preset| preset.name == name).map(|preset| preset.options)
    }

    /// What makes the options unusable, if anything does.
    pub fn complaint(&self) -> Option<String> {
        let latency = |(min, max): (Duration, Duration)| min.is_zero() || min > max || max > LATENCY_MAX;
        if !(2..=NODES_MAX).contains(&self.nodes) {
            Some(format!("nodes: {} is not between 2 and {NODES_MAX}", self.nodes))
        } else if !(1..=self.nodes / 2).contains(&self.regions) {
            Some(format!("regions: {} is not between 1 and half of the nodes", self.regions))
        } else if latency(self.near) || latency(self.far) {
            Some(format!("latency: a range must be above 0 and at most {} s", LATENCY_MAX.as_secs()))
        } else if self.loss_permille > LOSS_PERMILLE_MAX {
            Some(format!("loss: {} ‰ is over {LOSS_PERMILLE_MAX} ‰", self.loss_permille))
        } else if !(2..=NEIGHBORS_MAX / 2).contains(&self.degree) {
            Some(format!("degree: {} is not between 2 and {}", self.degree, NEIGHBORS_MAX / 2))
        } else if self.messages == 0 || self.warm_up.saturating_add(self.messages) > MESSAGES_MAX {
            Some(format!("messages: 1 to {MESSAGES_MAX} with the warm-up"))
        } else if self.crashed + 2 > self.nodes {
            Some("crashed: at least two nodes must live".to_owned())
        } else {
            None
        }
    }

    /// A node's region.
    pub(super) fn region(&self, node: u32) -> u32 {
        (u64::from(node) * self.regions as u64 / self.nodes as u64) as u32
    }

    /// The nodes of a region.
    pub(super) fn members(&self, region: u32) -> Range<u32> {
        let first = |region: u64| (region * self.nodes as u64).div_ceil(self.regions as u64) as u32;
        first(u64::from(region))..first(u64::from(region) + 1)
    }
}

/// Every preset, in the order in which they are listed.
///
/// In the flat ones neighbors are drawn at random, so that links take the whole range of latencies and none is picked
/// for being quick.
pub fn presets() -> Vec<Preset> {
    let flat = |nodes, near| Options { nodes, near, strategy: Strategy::Random, ..Options::default() };
    let regions = |nodes, regions| Options { nodes, regions, loss_permille: 200, messages: 5, ..Options::default() };
    let preset = |name, what, mean_max: Option<u64>, all_max: Option<u64>, options| Preset {
        name,
        what,
        mean_max: mean_max.map(Duration::from_millis),
        all_max: all_max.map(Duration::from_millis),
        options,
    };
    let crashed = Options { crashed: 50, ..flat(1000, RACK) };
    let large = Options { messages: 5, ..flat(100_000, RACK) };
    vec![
        preset("1k", "1,000 nodes, links 0.5 to 2 ms", Some(26), Some(34), flat(1000, RACK)),
        preset("10k", "10,000 nodes, links 0.5 to 2 ms", Some(89), Some(142), flat(10_000, RACK)),
        preset("100k", "100,000 nodes, links 0.5 to 2 ms", None, None, large),
        preset("1k-far", "1,000 nodes, links 10 to 50 ms", Some(318), None, flat(1000, WORLD)),
        preset("1k-crashed", "1,000 nodes, links 0.5 to 2 ms, 50 crash unnoticed", None, None, crashed),
        preset("100k-regions", "100 regions of 1,000 nodes, 20 % loss", None, None, regions(100_000, 100)),
        preset("1m", "1,000 regions of 1,000 nodes, 20 % loss", None, Some(1000), regions(1_000_000, 1000)),
    ]
}

/// One-way latencies between hosts of one place.
const RACK: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(2));
/// One-way latencies between places.
const WORLD: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(50));
/// Nodes are numbered with 32 bits.
const NODES_MAX: usize = 1 << 31;
/// A node remembers in 64 bits which messages it holds.
const MESSAGES_MAX: usize = 64;
/// Beyond it nearly everything is lost several times.
const LOSS_PERMILLE_MAX: u16 = 900;
/// One-way; beyond it the queue would have to look far ahead.
const LATENCY_MAX: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_usable_and_found_by_its_name() {
        for preset in presets() {
            assert_eq!(preset.options.complaint(), None, "{}", preset.name);
            assert_eq!(Options::preset(preset.name), Some(preset.options));
        }
        assert_eq!(Options::preset("all"), None);
    }

    #[test]
    fn unusable_options_are_named() {
        let ok = Options::default();
        let bad = [
            ("nodes", Options { nodes: 1, ..ok.clone() }),
            ("regions", Options { regions: 0, ..ok.clone() }),
            ("latency", Options { near: (Duration::ZERO, Duration::ZERO), ..ok.clone() }),
            ("loss", Options { loss_permille: 1000, ..ok.clone() }),
            ("degree", Options { degree: 65, ..ok.clone() }),
            ("messages", Options { messages: 62, ..ok.clone() }),
            ("crashed", Options { crashed: 999, ..ok.clone() }),
        ];
        assert_eq!(ok.complaint(), None);
        for (name, options) in bad {
            let complaint = options.complaint().unwrap();
            assert!(complaint.starts_with(name), "{complaint}");
        }
    }

    #[test]
    fn regions_share_out_the_nodes() {
        let options = Options { nodes: 103, regions: 10, ..Options::default() };
        let mut next = 0;
        for region in 0..10 {
            let members = options.members(region);
            assert_eq!(members.start, next);
            assert!((10..=11).contains(&members.len()));
            assert!(members.clone().all(|node| options.region(node) == region));
            next = members.end;
        }
        assert_eq!(next, 103);
    }
}
