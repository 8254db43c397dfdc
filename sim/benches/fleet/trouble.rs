//! What goes wrong with some of the hosts, the same for every protocol.

use std::time::Duration;

use prunella_core::Instant;
use prunella_core::rng::Rng;
use prunella_sim::fleet::Network;

/// One kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// A tenth of the processes are starved for a minute: held for up to half a second at a time.
    LightHog,
    /// The same, held for up to four seconds at a time.
    HeavyHog,
    /// A hundredth of the hosts hear nothing for 20 s, everything for 20 s, and so on.
    FlipFlop,
    /// A hundredth of the hosts lose four of five packets that they send.
    Loss,
}

/// All of them.
pub(crate) const ALL: [Trouble; 4] = [Trouble::LightHog, Trouble::HeavyHog, Trouble::FlipFlop, Trouble::Loss];

impl Trouble {
    /// What to call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Trouble::LightHog => "CPU hog on 10 %, held up to 0.5 s at a time",
            Trouble::HeavyHog => "CPU hog on 10 %, held up to 4 s at a time",
            Trouble::FlipFlop => "deaf every other 20 s, 1 %",
            Trouble::Loss => "80 % loss of what 1 % send",
        }
    }

    /// How to ask for it.
    pub(crate) const fn argument(self) -> &'static str {
        match self {
            Trouble::LightHog => "light-hog",
            Trouble::HeavyHog => "heavy-hog",
            Trouble::FlipFlop => "flip-flop",
            Trouble::Loss => "loss",
        }
    }

    /// Whether the hosts concerned are to be removed.
    pub(crate) const fn is_fault(self) -> bool {
        matches!(self, Trouble::FlipFlop | Trouble::Loss)
    }

    /// How long to look, from the beginning of the trouble.
    pub(crate) const fn lasts(self) -> Duration {
        match self {
            Trouble::LightHog | Trouble::HeavyHog => Duration::from_secs(100),
            Trouble::FlipFlop | Trouble::Loss => Duration::from_secs(200),
        }
    }

    /// Lets it begin; whom it concerns.
    pub(crate) fn plan(self, network: &mut Network, nodes: usize, at: Instant, seed: u64) -> Vec<usize> {
        let concerned = drawn(nodes, if self.is_fault() { nodes / 100 } else { nodes / 10 }.max(1), seed);
        for host in &concerned {
            match self {
                Trouble::LightHog => network.hog(*host, (at, at + MINUTE), Duration::from_millis(500)),
                Trouble::HeavyHog => network.hog(*host, (at, at + MINUTE), Duration::from_secs(4)),
                Trouble::FlipFlop => network.flip_flop(*host, (at, at + self.lasts()), Duration::from_secs(20)),
                Trouble::Loss => network.condition_mut(*host).loses = Some((at, 800)),
            }
        }
        concerned
    }
}

/// Some of the nodes, ascending.
pub(crate) fn drawn(nodes: usize, count: usize, seed: u64) -> Vec<usize> {
    let mut rng = Rng::from_seed(seed ^ 0x0064_7261_776e);
    let mut left: Vec<usize> = (0..nodes).collect();
    let mut drawn: Vec<usize> = (0..count).map(|_| left.swap_remove(rng.below(left.len()))).collect();
    drawn.sort_unstable();
    drawn
}

const MINUTE: Duration = Duration::from_secs(60);
