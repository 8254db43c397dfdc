//! The records held, and the hash over them.

use std::collections::BTreeMap;
use std::ops::Bound;

use crate::limits::{RECORDS_MAX, RECORDS_PER_ORIGIN_MAX};
use crate::planted::{self, PlantedBug};
use crate::record::{Kind, ProvenRecord, Record, RecordId, SignedRecord};
use crate::wire::codec;
use crate::wire::control::Digest;
use crate::{PeerId, Verified};

/// Records by id, the newest version of each.
#[derive(Debug, Default)]
pub(super) struct Held {
    records: BTreeMap<RecordId, Verified<ProvenRecord>>,
    per_origin: BTreeMap<PeerId, usize>,
    /// The newest version that this node is known to have spoken with, under any id: it must exceed it when it speaks next.
    spoken: u64,
    root: [u8; 32],
}

/// What became of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// It was new or newer.
    News,
    /// It was new, and took the place of this one: its origin's share is full, and keeps the smallest ids, so that
    /// all nodes keep the same ones.
    Instead(RecordId),
    /// It, or a newer one, was there.
    Known,
    /// The table, or the origin's share of it, is full.
    NoRoom,
}

impl Held {
    pub(super) fn root(&self) -> [u8; 32] {
        self.root
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Verified<ProvenRecord>> {
        self.records.values()
    }

    pub(super) fn get(&self, id: &RecordId) -> Option<&Verified<ProvenRecord>> {
        self.records.get(id)
    }

    /// Every record held of one origin.
    pub(super) fn of_origin(&self, origin: PeerId) -> impl Iterator<Item = &Record> {
        let first = RecordId { origin, kind: Kind::Node, key: String::new() };
        let of_origin = self.records.range(first..).take_while(move |(id, _)| id.origin == origin);
        of_origin.map(|(_, proven)| &proven.record)
    }

    pub(super) fn signed(&self, id: &RecordId) -> Option<SignedRecord> {
        self.records.get(id).map(|proven| proven.signed.clone())
    }

    /// The version with which this node next speaks: past all that it, or an older self, has said.
    pub(super) fn next_version(&self, unix_ms: u64) -> u64 {
        unix_ms.max(self.spoken.saturating_add(1))
    }

    /// Remembers that this node has spoken with `version`.
    pub(super) fn speak(&mut self, version: u64) {
        self.spoken = self.spoken.max(version);
    }

    pub(super) fn apply(&mut self, proven: Verified<ProvenRecord>) -> Applied {
        let id = &proven.record.id;
        let mut applied = Applied::News;
        match self.records.get(id) {
            Some(held)
                if held.record.version >= proven.record.version && !planted::is(PlantedBug::VersionUncompared) =>
            {
                return Applied::Known;
            }
            Some(held) => mix(&mut self.root, id, held.record.version),
            None => {
                let count = self.per_origin.get(&id.origin).copied().unwrap_or_default();
                if count >= RECORDS_PER_ORIGIN_MAX {
                    let Some(largest) = self.largest_of(id).filter(|largest| id < largest) else {
                        return Applied::NoRoom;
                    };
                    self.remove(&largest);
                    applied = Applied::Instead(largest);
                } else if self.records.len() >= RECORDS_MAX {
                    return Applied::NoRoom;
                }
                *self.per_origin.entry(id.origin).or_default() += 1;
            }
        }
        mix(&mut self.root, id, proven.record.version);
        self.records.insert(id.clone(), proven);
        applied
    }

    /// The largest id held of the same origin.
    fn largest_of(&self, id: &RecordId) -> Option<RecordId> {
        let of_origin = self.records.range(id..).take_while(|(held, _)| held.origin == id.origin);
        of_origin.map(|(held, _)| held).last().cloned()
    }

    fn remove(&mut self, id: &RecordId) {
        let Some(gone) = self.records.remove(id) else { return };
        mix(&mut self.root, id, gone.record.version);
        if let Some(count) = self.per_origin.get_mut(&id.origin) {
            *count -= 1;
        }
    }

    /// Drops what has expired and returns its ids.
    pub(super) fn expire(&mut self, unix_ms: u64) -> Vec<RecordId> {
        let ended: Vec<RecordId> =
            self.records.values().filter(|p| p.record.expires_ms <= unix_ms).map(|p| p.record.id.clone()).collect();
        ended.iter().for_each(|id| self.remove(id));
        self.per_origin.retain(|_, count| *count > 0);
        ended
    }

    /// Everything held, in parts of at most `entries_max` entries that together cover every id.
    pub(super) fn digests(&self, entries_max: usize) -> Vec<Digest> {
        let all: Vec<(RecordId, u64)> = self.records.iter().map(|(id, p)| (id.clone(), p.record.version)).collect();
        let mut digests: Vec<Digest> = all
            .chunks(entries_max)
            .map(|part| Digest { after: None, until: part.last().map(|(id, _)| id.clone()), entries: part.to_vec() })
            .collect();
        if digests.is_empty() {
            digests.push(Digest { after: None, until: None, entries: Vec::new() });
        }
        for i in 1..digests.len() {
            digests[i].after = digests[i - 1].until.clone();
        }
        if let Some(last) = digests.last_mut() {
            last.until = None;
        }
        digests
    }

    /// What is newer here, and which ids are newer there, within the part that the digest covers.
    pub(super) fn compare(&self, digest: &Digest) -> (Vec<SignedRecord>, Vec<RecordId>) {
        let theirs: BTreeMap<&RecordId, u64> = digest.entries.iter().map(|(id, version)| (id, *version)).collect();
        let after = digest.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let until = digest.until.as_ref().map_or(Bound::Unbounded, Bound::Included);
        let newer_here = self
            .records
            .range((after, until))
            .filter(|(id, proven)| theirs.get(id).is_none_or(|version| *version < proven.record.version))
            .map(|(_, proven)| proven.signed.clone())
            .collect();
        let newer_there = theirs
            .into_iter()
            .filter(|(id, version)| self.records.get(id).is_none_or(|held| held.record.version < *version))
            .map(|(id, _)| id.clone())
            .collect();
        (newer_here, newer_there)
    }
}

/// Adds an entry to the root, or takes it out again: XOR over the hashes of (id, version), so the order of arrival does
/// not matter. It finds differences between honest nodes; it is no commitment.
fn mix(root: &mut [u8; 32], id: &RecordId, version: u64) {
    let hash = blake3::hash(&codec::encode(&(id, version)));
    for (r, h) in root.iter_mut().zip(hash.as_bytes()) {
        *r ^= h;
    }
}
