//! What a simulated world is like.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use prunella_core::limits::RETURN_AFTER_MIN;
use prunella_core::peer::Probing;
use prunella_core::rng::Rng;
use prunella_core::{PeerId, rebalancer};

use crate::mix::Mix;
use crate::topology::Topology;
use crate::weather::Weather;

/// A world's size, shape, length, weather and faults. Together with the seed it decides everything that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many nodes there are; at least three.
    pub nodes: usize,
    /// The shape of the mesh.
    pub topology: Topology,
    /// How long faults happen after the mesh has formed.
    pub stormy: Duration,
    /// How long the mesh may take to form, and to heal when the faults have stopped.
    pub patience: Duration,
    /// What the network does to every packet while the storm lasts.
    pub weather: Weather,
    /// Which faults are drawn, and how often. Empty: only those that a test injects.
    pub mix: Mix,
    /// How many nodes lie.
    pub liars: usize,
    /// To how many others each node keeps sending, in number.
    pub wanted: usize,
    /// Whether services come and go, shared values are written, and rules change.
    pub churn: bool,
    /// Whether a node dies for good when the mesh has healed, and must be mourned before it is started again.
    pub mourning: bool,
    /// A bug to plant in the shell, to see that the oracles can fail.
    pub bug: Option<Bug>,
}

/// A bug planted in the simulated shell. Bugs in the core are planted there: `prunella_core::planted`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Every node tells its roles the labels of its links in the wrong order.
    SwappedLabels,
    /// Whatever repairs missed records is dropped: reconciliations, and what is given for them.
    NoAntiEntropy,
    /// Echoes of link probes are answered by the link itself, however broken it is.
    CredulousProbes,
    /// The store says that it has flushed, and has not.
    ForgottenFlush,
    /// The log of a ledger loses its newest entry when the process is killed, although it was said to be durable.
    ForgottenEntry,
}

impl Config {
    /// Draws a world of at most `nodes_max` nodes from a seed: its size, shape, weather, faults and liars. Each seed
    /// leaves out some kinds of faults, because what is always there hides what it is not there for (Groce et al.,
    /// "Swarm Testing", ISSTA 2012).
    pub fn swarm(seed: u64, nodes_max: usize, stormy: Duration) -> Self {
        // Not the generator of the world's own events: those must not repeat what the shape was drawn from.
        let mut rng = Rng::from_seed(seed ^ 0x5741_524d);
        let nodes = 3 + rng.below(nodes_max.max(3) - 2);
        let liars = if rng.below(3) == 0 && nodes > 3 { 1 + rng.below(nodes.div_ceil(6)) } else { 0 };
        Self {
            nodes,
            topology: Topology::draw(&mut rng, nodes),
            stormy,
            weather: Weather::draw(&mut rng),
            mix: Mix::draw(&mut rng),
            liars,
            mourning: rng.below(4) == 0,
            ..Self::default()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            nodes: 8,
            topology: Topology::Ring { chords: 4 },
            stormy: Duration::from_secs(30),
            // A node that was removed must work for a while before it counts as alive again; longer, the next time.
            patience: RETURN_AFTER_MIN.saturating_mul(6),
            weather: Weather { loss_permille: 2, ..Weather::CALM },
            mix: Mix::EVERYTHING,
            liars: 0,
            wanted: 2,
            churn: true,
            mourning: false,
            bug: None,
        }
    }
}

impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} nodes, {}, {}", self.nodes, self.topology, self.weather)?;
        if self.liars > 0 {
            write!(f, ", {} liars", self.liars)?;
        }
        if self.mourning { write!(f, ", one dies") } else { Ok(()) }
    }
}

/// How links are probed: the configuration's defaults, as the shell of a real node reads them.
pub(crate) const LINK_PROBING: Probing = Probing {
    interval: Duration::from_millis(200),
    idle_interval: Duration::from_secs(5),
    late_after: Duration::from_millis(120 + 200),
    dead_after: Duration::from_secs(1),
};

/// How paths are probed: the configuration's defaults.
pub(crate) const PATH_PROBING: Probing =
    Probing { interval: Duration::from_millis(40), late_after: Duration::from_millis(120), ..LINK_PROBING };

/// How much longer than usual a probe of the path in use may take: the configuration's default.
pub(crate) const HEDGE_AFTER: Duration = Duration::from_millis(15);

/// Neighbors stay as they are: a simulated node is linked to whomever it is wired to.
pub(crate) fn rebalancing(me: PeerId, target: usize) -> rebalancer::Config {
    rebalancer::Config { me, target, every: Duration::ZERO, configured: BTreeSet::new() }
}

/// Disjoint paths per destination.
pub(crate) const PATHS: usize = 3;
