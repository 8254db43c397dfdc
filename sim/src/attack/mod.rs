//! Attacks on gossip: members with good certificates that want records not to arrive.
//!
//! The ten of the evaluation of gossipsub (Vyzovitis, Napora, McCormick, Dias, Psaras, "Gossipsub-v1.1 Evaluation
//! Report", Protocol Labs, PL-TechRep-2020-001; the plans are in `libp2p/gossipsub-hardening`), and three more that its
//! threat model names: invalid messages, replays and a flood. Honest nodes are whole nodes, as in [`crate::fleet`]; an
//! attacker is a client of its own (`Behavior`, in the fleet).
//!
//! What differs from there, because the meshes differ. Attackers need certificates here, so there are as many as
//! somebody could get admitted, not thousands for free. Links are bounded, so attackers also take the places that others
//! need. There is no score for being slow and none for an address: nobody is judged for what could be misfortune. What
//! must hold is the same: every record of an honest node reaches every honest node, and soon ([`DELIVERED_WITHIN`]).

mod scene;

use std::fmt;
use std::time::Duration;

use scene::Scene;

/// An attack, by its name in the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attack {
    /// Attackers among everybody; they hear everything and pass nothing on.
    Sybil,
    /// All attackers surround one node.
    EclipseTarget,
    /// Attackers take every free place at every node.
    EclipseNetwork,
    /// Attackers surround those who have something to say.
    EclipsePublishers,
    /// Attackers pass everything on but what one node says, which they promise and do not deliver.
    Censor,
    /// Attackers lose half of what they should pass on.
    Degradation,
    /// The mesh starts, and the attackers start with it.
    ColdBoot,
    /// Attackers are the quickest relays of all, then all fall silent at once.
    CovertFlash,
    /// Attackers are there already when the mesh starts.
    Dawn,
    /// Attackers crowd around a quarter of the nodes, promise there before everybody else, and do not deliver. Unlike those of
    /// the evaluation, they share no memory.
    Colocation,
    /// Attackers send records with bad signatures, and bytes without a meaning.
    Invalid,
    /// Attackers say again and again what others have said.
    Replay,
    /// Attackers announce what nobody has, as fast as they can.
    Flood,
}

impl Attack {
    /// Every attack, in the order of the report.
    pub const ALL: [Attack; 13] = [
        Attack::Sybil,
        Attack::EclipseTarget,
        Attack::EclipseNetwork,
        Attack::EclipsePublishers,
        Attack::Censor,
        Attack::Degradation,
        Attack::ColdBoot,
        Attack::CovertFlash,
        Attack::Dawn,
        Attack::Colocation,
        Attack::Invalid,
        Attack::Replay,
        Attack::Flood,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Attack::Sybil => "sybil",
            Attack::EclipseTarget => "eclipse-target",
            Attack::EclipseNetwork => "eclipse-network",
            Attack::EclipsePublishers => "eclipse-publishers",
            Attack::Censor => "censor",
            Attack::Degradation => "degradation",
            Attack::ColdBoot => "cold-boot",
            Attack::CovertFlash => "covert-flash",
            Attack::Dawn => "attack-at-dawn",
            Attack::Colocation => "colocation",
            Attack::Invalid => "invalid",
            Attack::Replay => "replay",
            Attack::Flood => "flood",
        }
    }
}

/// How large an attack is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Honest nodes; at least six.
    pub honest: usize,
    /// Attackers, each with a certificate.
    pub attackers: usize,
    /// Records that honest nodes publish while the attack lasts.
    pub records: usize,
    /// Links that a node has at most, `neighbors.max`; four of them are for its own choices.
    pub places: usize,
    /// The seed.
    pub seed: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self { honest: 40, attackers: 40, records: 20, places: 32, seed: 1 }
    }
}

/// What came of an attack.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Which.
    pub attack: Attack,
    /// How large.
    pub size: Size,
    /// How often a record should have reached an honest node.
    pub expected: usize,
    /// How often one did, within [`DELIVERED_WITHIN`].
    pub delivered: usize,
    /// How long half of them took.
    pub p50: Duration,
    /// How long all but one in a hundred took.
    pub p99: Duration,
    /// How long the last one took.
    pub max: Duration,
    /// What the honest nodes did about it, and how often.
    pub countered: Vec<(&'static str, u64)>,
}

impl Outcome {
    /// Whether every record reached every honest node in time.
    pub const fn held(&self) -> bool {
        self.delivered == self.expected && self.expected > 0
    }

    /// The head of a table of them.
    pub fn head() -> String {
        format!(
            "{:<19}{:>9}{:>17}{:>8}{:>8}{:>8}  countered by",
            "attack", "evil/good", "delivered", "p50", "p99", "max"
        )
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = format!("{}/{}", self.size.attackers, self.size.honest);
        let delivered = format!("{}/{}", self.delivered, self.expected);
        let ms = |duration: Duration| format!("{} ms", duration.as_millis());
        let countered: Vec<String> = self.countered.iter().map(|(what, count)| format!("{count} {what}")).collect();
        write!(
            f,
            "{:<19}{share:>9}{delivered:>17}{:>8}{:>8}{:>8}  {}",
            self.attack.name(),
            ms(self.p50),
            ms(self.p99),
            ms(self.max),
            countered.join(", ")
        )
    }
}

/// Lets one attack happen.
///
/// # Panics
/// With fewer than six honest nodes.
pub fn run(attack: Attack, size: Size) -> Outcome {
    assert!(size.honest >= 6, "an attack needs somebody to be kept apart");
    Scene::new(attack, size).play()
}

/// Within which time a record must have reached every honest node, whatever the attackers do.
pub const DELIVERED_WITHIN: Duration = Duration::from_secs(10);
