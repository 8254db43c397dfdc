//! What this node lets others do: the policy in force, what it is decided on, and the streams that it let in.
//!
//! ```text
//!   file, statements ──> documents: compiled, offered ──> PolicyActor: which one ──> Shell::enforce
//!                                                                                        │ swaps
//!   gate (each stream) ──────────────────── decides by ──> InForce: engine, limits <─────┘
//!   standing (facts), enforce ── changed ──> reconsider: relays and open streams are judged again
//! ```
//!
//! Nothing here is on a frame's way: relays are judged when something changes, and the datapath reads one bit for each.

mod documents;
mod flows;
mod gate;
mod reconsider;
mod standing;
mod streams;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use prunella_core::PeerId;
use prunella_core::policy::{Document, Source};
use prunella_core::wire::admission::Refusal;
use tokio::sync::Notify;

pub use documents::NotRead;
pub use flows::{JudgedFlow, keep_judging_flows};
pub use gate::PolicyGate;
pub use reconsider::keep_judging;

use self::flows::JudgedFlows;
use self::standing::Standing;
use self::streams::Streams;
use crate::actors::clock::Clock;
use crate::policy::{Engine, Limits, PolicyFile};

/// What decides at this node.
pub struct Policing {
    in_force: ArcSwap<InForce>,
    /// Documents that compile, and about which the PolicyActor has not decided yet.
    compiled: Mutex<VecDeque<Arc<InForce>>>,
    /// The last document that was refused, until a newer one is in force.
    refused: Mutex<Option<RefusedDocument>>,
    standing: Standing,
    streams: Arc<Streams>,
    /// Flows of IP packets that were judged last.
    flows: JudgedFlows,
    /// How often a host was not admitted, by reason.
    refusals: [AtomicU64; Refusal::ALL.len()],
    /// The mesh has been told another policy.
    told: Notify,
}

/// The policy in force.
#[derive(Debug)]
pub struct InForce {
    /// Decides.
    pub engine: Engine,
    /// The limits that stand beside the rules.
    pub limits: Limits,
    /// The document that it was compiled from.
    pub document: Document,
}

/// A document that was refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedDocument {
    /// Its version.
    pub version: u64,
    /// Where it came from.
    pub source: Source,
    /// Where in it, and why.
    pub reason: String,
}

/// What is counted at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Count {
    Allowed,
    Denied,
    Quarantined,
    NotListed,
    Connections,
    Rate,
    Quota,
    Tables,
    Ended,
    Documents,
}

impl Count {
    const ALL: [(Count, &'static str); 10] = [
        (Count::Allowed, "policy_allowed"),
        (Count::Denied, "policy_denied"),
        (Count::Quarantined, "policy_denied_quarantined"),
        (Count::NotListed, "policy_limit_peers"),
        (Count::Connections, "policy_limit_connections"),
        (Count::Rate, "policy_limit_rate"),
        (Count::Quota, "policy_limit_quota"),
        (Count::Tables, "policy_limit_tables"),
        (Count::Ended, "policy_streams_ended"),
        (Count::Documents, "policy_documents_refused"),
    ];
}

/// Counters, one for each [`Count`].
#[derive(Debug, Default)]
struct Counters([AtomicU64; Count::ALL.len()]);

impl Counters {
    fn add(&self, count: Count) {
        self.0[count as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl Policing {
    /// Denies everything to everybody until a document is enforced.
    pub(super) fn new(me: PeerId, clock: Clock) -> Self {
        let nothing = Document::new(0, Source::File, "", Vec::new());
        let (engine, limits) = (Engine::new(PolicyFile::default(), me), Limits::default());
        Self {
            in_force: ArcSwap::from_pointee(InForce { engine, limits, document: nothing }),
            compiled: Mutex::default(),
            refused: Mutex::default(),
            standing: Standing::default(),
            streams: Arc::new(Streams::new(clock)),
            flows: JudgedFlows::default(),
            refusals: Default::default(),
            told: Notify::new(),
        }
    }

    /// What decides now.
    pub fn in_force(&self) -> Arc<InForce> {
        self.in_force.load_full()
    }

    /// The last document that was refused, if nothing newer is in force.
    pub fn refused(&self) -> Option<RefusedDocument> {
        lock(&self.refused).clone()
    }

    /// How many streams are watched.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// What was counted, by name.
    pub fn counters(&self) -> BTreeMap<String, u64> {
        let count = |(count, name): &(Count, &str)| {
            ((*name).to_owned(), self.streams.counters.0[*count as usize].load(Ordering::Relaxed))
        };
        let refused = Refusal::ALL
            .iter()
            .zip(&self.refusals)
            .map(|((_, name), counted)| (format!("admission_refused_{name}"), counted.load(Ordering::Relaxed)));
        Count::ALL.iter().map(count).chain(refused).collect()
    }

    /// A host was not admitted.
    pub fn count_refusal(&self, refusal: Refusal) {
        let counted = Refusal::ALL.iter().zip(&self.refusals).find(|((one, _), _)| *one == refusal);
        if let Some((_, counted)) = counted {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
