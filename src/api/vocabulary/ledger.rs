//! A node's ledger as its surfaces tell of it.

use prunella_core::PeerId;
use prunella_core::ledger::{Cosignature, Entry, Head, Inclusion, SignedHead};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a node's ledger stands, and its newest entries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerInfo {
    /// What is durable of it.
    #[schemars(with = "serde_json::Value")]
    pub head: Head,
    /// Whether something can be written into it now.
    pub ready: bool,
    /// Events that are not durable yet.
    pub waiting: usize,
    /// Events that were not written down because too much waited, or the ledger was full.
    pub refused: u64,
    /// Whether others have seen of it what it does not have: its disk was set back.
    pub rolled_back: bool,
    /// What is wrong with its files, if anything is.
    pub trouble: Option<String>,
    /// What this node found wrong with ledgers of others, ordered by node.
    pub findings: Vec<LedgerFinding>,
    /// How many other ledgers this node watches.
    pub watching: usize,
    /// Those, ordered by node, at most a hundred.
    pub watched: Vec<WatchedLedger>,
    /// The numbers of its entries that are damaged, at most a hundred; neighbors are asked for them.
    pub damaged: Vec<u64>,
    /// How many damaged entries were put back with the help of neighbors since the actor started.
    pub repaired: u64,
    /// How often a neighbor gave something else than it was asked for; that changed nothing.
    pub others_given: u64,
    /// The ledgers of which this node keeps copies of the newest entries, ordered by node, at most a hundred.
    pub copies: Vec<CopiedLedger>,
    /// The entries that were asked for, the newest last.
    #[schemars(with = "serde_json::Value")]
    pub entries: Vec<Entry>,
}

/// Copies of what a neighbor wrote, for it to have back what its disk loses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CopiedLedger {
    /// Whose ledger.
    pub peer: PeerId,
    /// That node's name.
    pub name: String,
    /// The number behind that of the newest entry.
    pub until: u64,
}

/// A node's ledger for a glance at the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerGlance {
    /// How many entries are durable; `None` while the actor is being restarted.
    #[schemars(with = "serde_json::Value")]
    pub entries: Option<u64>,
    /// What is wrong with it, if anything is.
    pub trouble: Option<String>,
}

/// The ledger of another node is not what it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerFinding {
    /// Whose.
    pub peer: PeerId,
    /// That node's name.
    pub name: String,
    /// What was found: truncated, rewritten, forked or replayed.
    pub fault: String,
}

/// The newest head of another node's ledger that continues all that this node heard before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WatchedLedger {
    /// That node's name.
    pub name: String,
    /// The head, as that node signed it.
    #[serde(flatten)]
    #[schemars(with = "serde_json::Value")]
    pub head: SignedHead,
}

/// One place of a ledger: an entry, or why it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum LedgerLine {
    /// What stands there.
    Entry(#[schemars(with = "serde_json::Value")] Box<Entry>),
    /// Nothing that can be read.
    Damaged {
        /// Its number.
        index: u64,
        /// How it shows.
        damaged: String,
    },
}

/// What came of walking a ledger from its first entry to its last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerReport {
    /// Where the files are.
    pub place: String,
    /// How many entries there are.
    #[schemars(with = "serde_json::Value")]
    pub entries: u64,
    /// What they come to; `None` for an empty ledger, of which nobody knows whose it is.
    #[schemars(with = "serde_json::Value")]
    pub head: Option<Head>,
    /// Everything that is wrong, in the order of the entries, at most a hundred.
    pub problems: Vec<LedgerProblem>,
    /// How much more is wrong.
    pub more_problems: u64,
    /// Bytes at the end that were never acknowledged: what a crash left there.
    pub torn_bytes: u64,
    /// What was damaged once and repaired, as the ledger tells, the newest hundred.
    #[serde(default)]
    pub repairs: Vec<LedgerRepair>,
}

/// What was damaged was repaired.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerRepair {
    /// Which entry tells of it.
    pub index: u64,
    /// What was damaged.
    pub what: String,
    /// With whose help.
    pub by: String,
}

/// Something that is wrong with a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerProblem {
    /// With which entry, if it is with one.
    pub index: Option<u64>,
    /// What.
    pub reason: String,
}

/// That a node has written an entry, for somebody who has nothing else; docs/ledger.md says how to check it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LedgerProofInfo {
    /// What was written.
    #[schemars(with = "serde_json::Value")]
    pub entry: Entry,
    /// That it is under the root.
    #[schemars(with = "serde_json::Value")]
    pub inclusion: Inclusion,
    /// That the node has signed the root.
    #[schemars(with = "serde_json::Value")]
    pub head: SignedHead,
    /// Who else has signed that it has seen this head.
    #[serde(default)]
    #[schemars(with = "serde_json::Value")]
    pub seen: Vec<Cosignature>,
}
