//! What the role hears, and what it asks for.

use serde::{Deserialize, Serialize};

#[cfg(doc)]
use super::CLOCK_EVERY;
use super::{Heard, Loaded};
use crate::ledger::{self, SignedHead};
use crate::membership::Change;
use crate::membership::quorum::{PartitionEvent, Quorum};
use crate::peer::LinkReport;
use crate::record::{Digest, LinkBody, Matter, NodeBody, ProvenRecord, RecordId};
use crate::reputation::TrustReport;
use crate::shared::{Refused, Value};
use crate::wire::Control;
use crate::{PeerId, Rejected, Verified};

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// What the wall clock says; given at the start and every [`CLOCK_EVERY`], so that a clock that jumps is noticed.
    Clock {
        /// Milliseconds since the Unix epoch.
        unix_ms: u64,
    },
    /// What the store held; given once, before anything else.
    Loaded(Loaded),
    /// A neighbor's message, checked.
    Heard {
        /// Who sent it.
        from: PeerId,
        /// What it says.
        message: Heard,
    },
    /// Something that a neighbor sent was turned away.
    Rejected {
        /// Who sent it.
        from: PeerId,
        /// Why.
        reason: Rejected,
    },
    /// How a neighbor's link is.
    LinkReported(LinkReport),
    /// The two have parted on purpose: the neighbor is none any more, and nothing is wrong with it.
    PeerForgotten {
        /// Which.
        peer: PeerId,
    },
    /// What this node says of itself.
    Announce(NodeBody),
    /// This node exposes a service, or takes it back.
    SetService {
        /// The service's name.
        name: String,
        /// Whether it is exposed.
        exposed: bool,
    },
    /// This node hands on what the authority of the mesh, or an issuer, has said.
    SetStatement {
        /// What it is about: statements with one subject take each other's place.
        subject: String,
        /// The statement with its proof.
        statement: Vec<u8>,
    },
    /// A node is a member no more, or again.
    Expelled {
        /// Which.
        peer: PeerId,
        /// Whether it is out.
        expelled: bool,
    },
    /// This node writes a shared key; answered by [`Effect::SharedAnswered`].
    SetShared {
        /// The key.
        key: String,
        /// Its value; `None` removes it.
        value: Option<String>,
        /// What the answer names.
        ticket: u64,
    },
    /// How much of the mesh can be reached; until it is first told, a node is its whole mesh.
    QuorumChanged(Quorum),
    /// A restarted role wants to hear everything again.
    ResyncRequested,
    /// The newest head of this node's ledger, to be told to everybody.
    SetLedgerHead(SignedHead),
    /// In this mesh what matters for trust counts only with a second signature; given at the start, if at all, and again when
    /// this node's own words need other ones.
    EndorsementsRequired,
    /// This node's certified key has signed what was asked for by [`Effect::EndorsementWanted`].
    SetEndorsement {
        /// What it is about.
        matter: Matter,
        /// What was signed.
        digest: Digest,
        /// The signature with its certificates.
        endorsement: Vec<u8>,
    },
    /// What came as [`Effect::EndorsementHeard`] proves itself.
    Endorsed {
        /// Who has signed.
        origin: PeerId,
        /// What it is about.
        matter: Matter,
        /// What was signed.
        digest: Digest,
    },
    /// This node has found that the ledger of another is not what it was; told once for each fault.
    LedgerFault {
        /// Whose ledger.
        ledger: PeerId,
        /// What was found.
        fault: ledger::Fault,
    },
    /// This node takes on less from now on, or everything again: others are to prefer paths around it.
    LoadChanged {
        /// Whether it sheds load.
        sheds: bool,
    },
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// Send a message to a neighbor; nothing comes back.
    Send {
        /// Whom.
        to: PeerId,
        /// What.
        control: Control,
    },
    /// Keep a record for a later life of the role, and if its kind outlives processes also for a later process; nothing
    /// comes back.
    Persist(Verified<ProvenRecord>),
    /// Forget a record that is not held any more.
    Forget {
        /// Under which id.
        id: RecordId,
    },
    /// A node said something new about itself; `None`: nothing is known any more.
    NodeChanged {
        /// Which node.
        peer: PeerId,
        /// What it says.
        body: Option<NodeBody>,
    },
    /// A node's links changed; empty: none are known.
    LinksChanged {
        /// Whose.
        origin: PeerId,
        /// All of them.
        links: Vec<LinkBody>,
        /// Whether they lead to the same neighbors as before: only the measurements may be other ones.
        remeasured: bool,
    },
    /// A service appeared or went away.
    ServiceChanged {
        /// Who exposes it.
        provider: PeerId,
        /// The service's name.
        name: String,
        /// Whether it is exposed.
        exposed: bool,
    },
    /// Somebody hands on a statement of the authority; whether it is one, others can tell.
    StatementHeard {
        /// The statement with its proof.
        statement: Vec<u8>,
    },
    /// What this node says now needs its second signature; comes back as [`Input::SetEndorsement`].
    EndorsementWanted {
        /// What it is about.
        matter: Matter,
        /// What is to be signed.
        digest: Digest,
    },
    /// A node tells its second signature of something; whether it is one, others can tell: [`Input::Endorsed`].
    EndorsementHeard {
        /// Who tells it.
        origin: PeerId,
        /// What it is about.
        matter: Matter,
        /// The signature with its certificates.
        endorsement: Vec<u8>,
    },
    /// A node says another head of its ledger, or an earlier self of this one has; whether it continues what was there before,
    /// others can tell.
    LedgerHeadHeard {
        /// The head.
        head: SignedHead,
        /// The version of the record that says so.
        version: u64,
    },
    /// A node is believed no more, or again, for what it did and this node saw.
    TrustChanged(TrustReport),
    /// How far this node believes another has changed; nothing comes back.
    ReputationChanged {
        /// Whom.
        peer: PeerId,
        /// How far now, in thousandths.
        permille: u16,
    },
    /// The mesh has come to another verdict about a member.
    MemberChanged(Change),
    /// This node is cut off from the majority, or is back.
    PartitionChanged {
        /// Which.
        event: PartitionEvent,
        /// How it stands.
        quorum: Quorum,
    },
    /// A shared key has other values now.
    SharedChanged {
        /// The key.
        key: String,
        /// All of its values, the newest first; empty: it has none any more.
        values: Vec<Value>,
    },
    /// What became of an [`Input::SetShared`]: it is written, signed and on its way, or it was refused.
    SharedAnswered {
        /// Which.
        ticket: u64,
        /// Why it was refused; nothing has changed then.
        refused: Option<Refused>,
    },
    /// Tell me how all links are: sent once, when what the store held was taken in.
    ReportsWanted,
}
