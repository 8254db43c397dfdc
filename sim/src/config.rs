//! What a simulated world is like.

use std::time::Duration;

use prunella_core::peer::Probing;

/// A world's size, length and weather. Together with the seed it decides everything that happens.
#[derive(Clone, Debug)]
pub struct Config {
    /// How many nodes there are; at least three, so that there is a ring.
    pub nodes: usize,
    /// Links in addition to the ring, in number.
    pub chords: usize,
    /// How long faults happen after the mesh has formed.
    pub stormy: Duration,
    /// How long the mesh may take to form, and to heal when the faults have stopped.
    pub patience: Duration,
    /// Whether faults are drawn from the seed. Off: only those that a test injects.
    pub random_faults: bool,
    /// Frames lost on each hop, in thousandths.
    pub loss_permille: u16,
    /// To how many others each node keeps sending, in number.
    pub wanted: usize,
    /// A bug to plant, to see that the oracles can fail.
    pub bug: Option<Bug>,
}

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Every node tells its roles the labels of its links in the wrong order.
    SwappedLabels,
    /// Whatever repairs missed records is dropped: summaries, digests and pulls.
    NoAntiEntropy,
    /// Echoes of link probes are answered by the link itself, however broken it is.
    CredulousProbes,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            nodes: 8,
            chords: 4,
            stormy: Duration::from_secs(30),
            patience: Duration::from_secs(40),
            random_faults: true,
            loss_permille: 2,
            wanted: 2,
            bug: None,
        }
    }
}

/// How links are probed: the configuration's defaults.
pub(crate) const LINK_PROBING: Probing = Probing {
    interval: Duration::from_millis(200),
    idle_interval: Duration::from_secs(5),
    late_after: Duration::from_millis(120),
    dead_after: Duration::from_secs(1),
};

/// How paths are probed: the configuration's defaults.
pub(crate) const PATH_PROBING: Probing = Probing { interval: Duration::from_millis(40), ..LINK_PROBING };

/// Disjoint paths per destination.
pub(crate) const PATHS: usize = 3;
