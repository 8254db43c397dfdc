//! What can be wrong, and how bad that is.

use serde::{Deserialize, Serialize};

use super::{Quantity, Subject};
use crate::PeerId;
use crate::ledger::Fault;

/// What can be wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum IncidentKind {
    /// The link to a neighbor does not carry round trips.
    LinkDown {
        /// The neighbor.
        peer: PeerId,
    },
    /// The link to a neighbor loses notably more than it used to.
    LinkLossy {
        /// The neighbor.
        peer: PeerId,
    },
    /// The link to a neighbor takes notably longer than it used to.
    LinkSlow {
        /// The neighbor.
        peer: PeerId,
    },
    /// A neighbor is heard but does not hear: the link carries nothing in one direction.
    LinkOneWay {
        /// The neighbor.
        peer: PeerId,
    },
    /// Traffic had to move to another path.
    PathSwitched {
        /// The destination.
        destination: PeerId,
    },
    /// No path to an active destination works.
    PathLost {
        /// The destination.
        destination: PeerId,
    },
    /// Probes to a destination return, what is sent to it does not arrive.
    PayloadLost {
        /// The destination.
        destination: PeerId,
    },
    /// The traffic to a destination moves from path to path again and again.
    PathChurn {
        /// The destination.
        destination: PeerId,
    },
    /// A link grows slower or lossier so steadily that it will break its promise soon.
    BreachAhead {
        /// The neighbor.
        peer: PeerId,
    },
    /// A learned detector finds a link unusual.
    LinkUnusual {
        /// The neighbor.
        peer: PeerId,
    },
    /// Fewer links are up than the configuration asks for.
    FewNeighbors,
    /// A node that is no neighbor is notably nearer than a neighbor: nothing is broken, an exchange would be better.
    FarNeighbor {
        /// The neighbor that is far away.
        far: PeerId,
        /// The node that is nearer.
        near: PeerId,
    },
    /// A node does not answer anybody: the cause of what is wrong with its links and with the paths through it.
    NodeUnreachable {
        /// Which.
        peer: PeerId,
    },
    /// Traffic does not pass a node that is no neighbor.
    RelayFailing {
        /// Which.
        peer: PeerId,
    },
    /// No node of a region answers.
    RegionUnreachable {
        /// Its name.
        region: String,
    },
    /// Every link of this node is lost: it is this node that is cut off.
    CutOff,
    /// An actor failed.
    ActorFailed {
        /// Its name.
        actor: String,
    },
    /// An actor handles nothing while messages wait for it.
    ActorStuck {
        /// Its name.
        actor: String,
    },
    /// An actor handles messages more slowly than they come, so that they wait for long.
    ActorSlow {
        /// Its name.
        actor: String,
    },
    /// The store takes notably longer to write than it used to, or does not come back at all.
    StoreSlow,
    /// The store cannot be written.
    StoreFailing,
    /// This process uses more and more of something that is finite.
    Leak {
        /// Of what.
        of: Quantity,
    },
    /// This process does not get the processor for long enough to do its work in time.
    Starved,
    /// The wall clock was set while the node ran.
    ClockJumped,
    /// Frames from a neighbor are turned away in numbers.
    Refusals {
        /// The neighbor.
        peer: PeerId,
    },
    /// A node does what no node may do: by proof, or by what it sent to this one. Being slow or lossy is nothing of that.
    Misbehaving {
        /// Which.
        peer: PeerId,
    },
    /// This node's certificate expires soon.
    CertificateExpiring,
    /// Entries of this node's ledger are not what was written; neighbors are asked for them.
    LedgerDamaged,
    /// Others have seen of this node's ledger what it does not have: its disk was set back, or somebody else has its key.
    LedgerSetBack,
    /// The ledger of another node is not what it was.
    LedgerBroken {
        /// Whose.
        peer: PeerId,
        /// In which way.
        fault: Fault,
    },
}

impl IncidentKind {
    /// The kind's name.
    pub const fn name(&self) -> &'static str {
        match self {
            IncidentKind::LinkDown { .. } => "link-down",
            IncidentKind::LinkLossy { .. } => "link-lossy",
            IncidentKind::LinkSlow { .. } => "link-slow",
            IncidentKind::LinkOneWay { .. } => "link-one-way",
            IncidentKind::PathSwitched { .. } => "path-switched",
            IncidentKind::PathLost { .. } => "path-lost",
            IncidentKind::PayloadLost { .. } => "payload-lost",
            IncidentKind::PathChurn { .. } => "path-churn",
            IncidentKind::BreachAhead { .. } => "breach-ahead",
            IncidentKind::LinkUnusual { .. } => "link-unusual",
            IncidentKind::FewNeighbors => "few-neighbors",
            IncidentKind::FarNeighbor { .. } => "far-neighbor",
            IncidentKind::NodeUnreachable { .. } => "node-unreachable",
            IncidentKind::RelayFailing { .. } => "relay-failing",
            IncidentKind::RegionUnreachable { .. } => "region-unreachable",
            IncidentKind::CutOff => "cut-off",
            IncidentKind::ActorFailed { .. } => "actor-failed",
            IncidentKind::ActorStuck { .. } => "actor-stuck",
            IncidentKind::ActorSlow { .. } => "actor-slow",
            IncidentKind::StoreSlow => "store-slow",
            IncidentKind::StoreFailing => "store-failing",
            IncidentKind::Leak { .. } => "leak",
            IncidentKind::Starved => "starved",
            IncidentKind::ClockJumped => "clock-jumped",
            IncidentKind::Refusals { .. } => "refusals",
            IncidentKind::Misbehaving { .. } => "misbehaving",
            IncidentKind::CertificateExpiring => "certificate-expiring",
            IncidentKind::LedgerDamaged => "ledger-damaged",
            IncidentKind::LedgerSetBack => "ledger-set-back",
            IncidentKind::LedgerBroken { .. } => "ledger-broken",
        }
    }

    /// The destination to which no path works, if that is what is wrong.
    pub const fn lost_destination(&self) -> Option<PeerId> {
        if let IncidentKind::PathLost { destination } = self { Some(*destination) } else { None }
    }

    /// Whom or what it concerns.
    pub fn subject(&self) -> Subject {
        match self {
            IncidentKind::LinkDown { peer }
            | IncidentKind::LinkLossy { peer }
            | IncidentKind::LinkSlow { peer }
            | IncidentKind::LinkOneWay { peer }
            | IncidentKind::BreachAhead { peer }
            | IncidentKind::LinkUnusual { peer }
            | IncidentKind::Refusals { peer } => Subject::Link(*peer),
            IncidentKind::PathSwitched { destination }
            | IncidentKind::PathLost { destination }
            | IncidentKind::PayloadLost { destination }
            | IncidentKind::PathChurn { destination } => Subject::Path(*destination),
            IncidentKind::NodeUnreachable { peer }
            | IncidentKind::Misbehaving { peer }
            | IncidentKind::LedgerBroken { peer, .. } => Subject::Peer(*peer),
            IncidentKind::LedgerDamaged | IncidentKind::LedgerSetBack => Subject::Ledger,
            IncidentKind::RelayFailing { peer } => Subject::Relay(*peer),
            IncidentKind::RegionUnreachable { region } => Subject::Region(region.clone()),
            IncidentKind::ActorFailed { actor }
            | IncidentKind::ActorStuck { actor }
            | IncidentKind::ActorSlow { actor } => Subject::Actor(actor.clone()),
            IncidentKind::StoreSlow | IncidentKind::StoreFailing => Subject::Store,
            IncidentKind::CertificateExpiring => Subject::Certificate,
            // It is about a choice of this node's own, whatever becomes of the two.
            IncidentKind::FewNeighbors
            | IncidentKind::FarNeighbor { .. }
            | IncidentKind::CutOff
            | IncidentKind::Leak { .. }
            | IncidentKind::Starved
            | IncidentKind::ClockJumped => Subject::Host,
        }
    }

    /// How bad it is, as far as the kind says.
    pub const fn severity(&self) -> Severity {
        match self {
            IncidentKind::PathSwitched { .. }
            | IncidentKind::BreachAhead { .. }
            | IncidentKind::LinkUnusual { .. }
            | IncidentKind::FarNeighbor { .. } => Severity::Notice,
            IncidentKind::PathLost { .. }
            | IncidentKind::PayloadLost { .. }
            | IncidentKind::RegionUnreachable { .. }
            | IncidentKind::CutOff => Severity::Critical,
            IncidentKind::LinkDown { .. }
            | IncidentKind::LinkOneWay { .. }
            | IncidentKind::NodeUnreachable { .. }
            | IncidentKind::Misbehaving { .. }
            | IncidentKind::RelayFailing { .. }
            | IncidentKind::ActorFailed { .. }
            | IncidentKind::ActorStuck { .. }
            | IncidentKind::StoreSlow
            | IncidentKind::StoreFailing
            | IncidentKind::Leak { .. }
            | IncidentKind::Starved
            | IncidentKind::CertificateExpiring
            | IncidentKind::LedgerDamaged
            | IncidentKind::LedgerSetBack
            | IncidentKind::LedgerBroken { .. } => Severity::Major,
            _ => Severity::Minor,
        }
    }
}

/// How bad it is, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Worth knowing; users notice nothing.
    Notice,
    /// Something works worse than it should, or spare parts are used up.
    Minor,
    /// Something does not work; users may notice.
    Major,
    /// Traffic does not arrive.
    Critical,
}

impl Severity {
    /// The severity's name.
    pub const fn name(self) -> &'static str {
        match self {
            Severity::Notice => "notice",
            Severity::Minor => "minor",
            Severity::Major => "major",
            Severity::Critical => "critical",
        }
    }
}
