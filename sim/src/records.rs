//! What was truly signed, and what each node may hold: the oracles about records.
//!
//! The registry keeps every record that anybody signed with its own key, honest or not. Whatever an honest node holds
//! must be one of them, whoever brought it: so a check that the core forgets is noticed here, without checking a
//! signature twice.

use std::collections::{BTreeMap, BTreeSet};

use prunella_core::limits::{CLOCK_SKEW_MAX, RECORDS_MAX, RECORDS_PER_ORIGIN_MAX};
use prunella_core::record::{Record, RecordId, SignedRecord};
use prunella_core::wire::{Control, codec};
use prunella_core::{PeerId, Rejected};

use crate::host::{SKEW_MS_MAX, true_unix_ms};
use crate::lie::{Taken, Utterance};
use crate::news::News;
use crate::world::World;

/// Every record that was truly signed, and how far each node has come.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    signed: BTreeMap<(RecordId, u64), Vec<Record>>,
    /// The newest version under each id that an honest origin has told to anybody.
    told: BTreeMap<RecordId, u64>,
    /// By host: the newest version under each id that it has held since its gossip role began.
    held: Vec<BTreeMap<RecordId, u64>>,
}

impl Registry {
    pub(crate) fn new(hosts: usize) -> Self {
        Self { held: vec![BTreeMap::new(); hosts], ..Self::default() }
    }

    /// Somebody signs a record of its own.
    pub(crate) fn sign(&mut self, record: &Record) {
        let known = self.signed.entry((record.id.clone(), record.version)).or_default();
        if !known.contains(record) {
            known.push(record.clone());
        }
    }

    /// What is wrong with a record that an honest node is about to sign; `None`: nothing.
    fn complaint(&self, record: &Record) -> Option<String> {
        let key = (record.id.clone(), record.version);
        if self.signed.get(&key).is_some_and(|known| !known.contains(record)) {
            return Some(format!("says two different things with version {}", record.version));
        }
        let told = self.told.get(&record.id).copied().filter(|told| *told > record.version)?;
        Some(format!("goes back to version {} behind {told}, which it has told", record.version))
    }

    fn is_genuine(&self, record: &Record) -> bool {
        self.signed.get(&(record.id.clone(), record.version)).is_some_and(|known| known.contains(record))
    }

    /// A node's gossip role begins anew, with what its store has said to be safe. What it says of the rest may be behind
    /// what it has told, until somebody tells it: it cannot know better.
    pub(crate) fn begin(&mut self, host: usize, origin: &PeerId, safe: impl Fn(&RecordId, u64) -> bool) {
        self.held[host].clear();
        self.told.retain(|id, version| id.origin != *origin || safe(id, *version));
    }

    /// A node drops a record because it has expired.
    pub(crate) fn forget(&mut self, host: usize, id: &RecordId) {
        self.held[host].remove(id);
    }

    /// Somebody has been told these records: from now on their origin may not go back behind them.
    pub(crate) fn note_told(&mut self, records: Vec<Record>) {
        for record in records {
            let told = self.told.entry(record.id).or_default();
            *told = record.version.max(*told);
        }
    }
}

/// The records that a message carries.
fn records_of(control: &Control) -> &[SignedRecord] {
    match control {
        Control::Push(records) | Control::Give(records) => records,
        _ => &[],
    }
}

impl World {
    /// A node keeps a record: if it is its own, it has just signed it; if not, it must be genuine. Tells its version.
    pub(crate) fn on_kept(&mut self, host: usize, signed: &SignedRecord) -> Option<u64> {
        let Ok(record) = codec::decode::<Record>(&signed.bytes) else {
            self.fail(format!("node {host} keeps what does not decode"));
            return None;
        };
        if record.id.origin == self.hosts[host].peer_id() {
            self.on_signed(host, &record);
        }
        self.check_held(host, &record);
        Some(record.version)
    }

    /// A node has signed a record of its own.
    fn on_signed(&mut self, host: usize, record: &Record) {
        if !self.is_liar(host) && !self.registry.is_genuine(record) {
            let excused = self.hosts[host].disk.was_damaged();
            if let Some(complaint) = self.registry.complaint(record).filter(|_| !excused) {
                self.fail(format!("node {host} {complaint}, under {}", named(&record.id)));
            }
        }
        self.registry.sign(record);
    }

    /// A node is about to tell of its own records; returns them. Those that are not kept through a restart are first seen
    /// here.
    pub(crate) fn note_said(&mut self, host: usize, control: &Control) -> Vec<Record> {
        let origin = self.hosts[host].peer_id();
        // An encoded record begins with its origin: only a node's own need to be decoded.
        let own = records_of(control).iter().filter(|signed| signed.bytes.starts_with(origin.as_bytes()));
        let own: Vec<Record> = own.filter_map(|signed| codec::decode(&signed.bytes).ok()).collect();
        own.iter().for_each(|record| self.on_signed(host, record));
        own
    }

    /// A node's gossip role is about to begin anew.
    pub(crate) fn begin_records(&mut self, host: usize) {
        let (now, state) = (self.now, &self.hosts[host]);
        let safe = |id: &RecordId, version: u64| {
            let held = state.acknowledged.get(id);
            held.is_some_and(|(kept, done)| *kept >= version && *done <= now)
        };
        self.registry.begin(host, &state.peer_id(), safe);
    }

    /// Safety: a process that has just started holds everything that its store had said to be safe and that still holds.
    pub(crate) fn check_memory(&mut self, host: usize) {
        let state = &self.hosts[host];
        let Some(node) = state.process.as_ref().filter(|_| !self.is_liar(host)) else { return };
        let held: BTreeMap<&RecordId, u64> = node.gossip().records().map(|r| (&r.id, r.version)).collect();
        let unix_ms = state.unix_ms(self.now);
        let holds = |id: &RecordId, version: u64| {
            let known = self.registry.signed.get(&(id.clone(), version)).and_then(|known| known.first());
            known.is_some_and(|record| record.check_time(unix_ms).is_ok())
        };
        // Who was proven to lie is not believed any more, whatever the disk holds.
        let honest = |id: &RecordId| self.index.get(&id.origin).is_none_or(|origin| !self.is_liar(*origin));
        let forgotten = state.acknowledged.iter().find(|(id, (version, done))| {
            honest(id) && *done <= state.killed && held.get(id).is_none_or(|held| held < version) && holds(id, *version)
        });
        if let Some((id, (version, _))) = forgotten {
            let id = named(id);
            self.fail(format!("node {host} had flushed version {version} of {id}, and has forgotten it"));
        }
    }

    /// Safety: what an honest node holds was truly signed, and no version goes back within one life.
    fn check_held(&mut self, host: usize, record: &Record) {
        if self.is_liar(host) {
            return;
        }
        if !self.registry.is_genuine(record) {
            let id = named(&record.id);
            return self.fail(format!("node {host} holds a record that its origin never signed: {id}"));
        }
        let newest = self.registry.held[host].entry(record.id.clone()).or_default();
        let before = *newest;
        *newest = before.max(record.version);
        if record.version < before {
            let id = named(&record.id);
            self.fail(format!("node {host} goes back from version {before} to {} of {id}", record.version));
        }
    }

    /// Safety: all that a node holds, and how much. Asked every simulated second.
    pub(crate) fn check_records(&mut self, host: usize) {
        let Some(node) = self.hosts[host].process.as_ref().filter(|_| !self.is_liar(host)) else { return };
        let records: Vec<Record> = node.gossip().records().cloned().collect();
        let mut per_origin: BTreeMap<PeerId, usize> = BTreeMap::new();
        // What is not kept through a restart is dropped without a word, and may come again.
        let held: BTreeSet<&RecordId> = records.iter().map(|record| &record.id).collect();
        self.registry.held[host].retain(|id, _| held.contains(id));
        let me = self.hosts[host].peer_id();
        for record in &records {
            if record.id.origin == me {
                self.on_signed(host, record);
            }
            *per_origin.entry(record.id.origin).or_default() += 1;
            self.check_held(host, record);
        }
        let most = per_origin.values().max().copied().unwrap_or_default();
        if records.len() > RECORDS_MAX || most > RECORDS_PER_ORIGIN_MAX {
            self.fail(format!("node {host} holds {} records, {most} of them of one origin", records.len()));
        }
    }

    /// Safety: what an honest node says is taken, and what a liar says is turned away by name.
    pub(crate) fn judge_taken(&mut self, from: usize, to: usize, said: &Utterance, taken: &Taken) {
        let reasons = taken.reasons();
        for reason in &reasons {
            self.hosts[to].reject(*reason);
            self.spread_news(News::Rejected { host: to, from, reason: *reason });
        }
        // Honest nodes may repeat themselves.
        let reasons: Vec<Rejected> = reasons.into_iter().filter(|reason| *reason != Rejected::Replayed).collect();
        if self.is_liar(to) {
            return;
        }
        let on_time = self.hosts[to].is_on_time();
        if let Some(wrong) = said.lie.and_then(|lie| lie.got_through(taken, on_time)) {
            return self.fail(format!("node {to} {wrong} of node {from}"));
        }
        if said.lie.is_some() || (self.is_liar(from) && *taken == Taken::TooFast) {
            return;
        }
        let stale = reasons.iter().filter(|reason| [Rejected::Stale, Rejected::Future].contains(reason)).count();
        if stale == reasons.len() && (!on_time || stale <= self.stale_by_true_time(&said.bytes)) {
            return;
        }
        let reason = reasons[0];
        self.fail(format!("an honest node's message was rejected: {reason}, from node {from} to node {to}"));
    }

    /// How many records in a message are rightly stale: their origin's clock was wrong, or they were long under way.
    fn stale_by_true_time(&self, bytes: &[u8]) -> usize {
        let Ok(control) = codec::decode_message::<Control>(bytes) else { return 0 };
        let (now_ms, skew) = (true_unix_ms(self.now), 2 * SKEW_MS_MAX as u64);
        let stale = |signed: &&SignedRecord| {
            codec::decode::<Record>(&signed.bytes).is_ok_and(|record| {
                record.expires_ms <= now_ms + skew || record.issued_ms + skew > now_ms + CLOCK_SKEW_MS_MAX
            })
        };
        records_of(&control).iter().filter(stale).count()
    }
}

fn named(id: &RecordId) -> String {
    format!("{:?} {:?} of {}", id.kind, id.key, id.origin.short()).to_lowercase()
}

const CLOCK_SKEW_MS_MAX: u64 = CLOCK_SKEW_MAX.as_millis() as u64;
