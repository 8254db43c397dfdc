//! The records held: the newest of each id, found by id and by item.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits::{PAST_ITEMS_MAX, RECORDS_MAX, RECORDS_PER_ORIGIN_MAX};
use crate::membership::Testimony;
use crate::planted::{self, PlantedBug};
use crate::record::{Body, Kind, LIFE_BITS, ProvenRecord, Record, RecordId};
use crate::{ItemId, PeerId, Verified};

/// Records by id, the newest version of each.
#[derive(Debug, Default)]
pub(super) struct Held {
    records: BTreeMap<RecordId, Verified<ProvenRecord>>,
    items: BTreeMap<ItemId, RecordId>,
    per_origin: BTreeMap<PeerId, usize>,
    /// The newest version that this node is known to have spoken with, under any id: it must exceed it when it speaks
    /// next.
    spoken: u64,
    past: Past,
}

/// What became of a record.
#[derive(Debug, PartialEq)]
pub(super) enum Applied {
    /// It was new, or took the place of an older one.
    News {
        /// The record that had to go: the origin's share is full, and keeps the smallest ids, so that all nodes keep
        /// the same ones.
        evicted: Option<Box<Verified<ProvenRecord>>>,
    },
    /// It, or a newer one, was there.
    Known,
    /// The table, or the origin's share of it, is full.
    NoRoom,
}

impl Held {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Verified<ProvenRecord>> {
        self.records.values()
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn get(&self, id: &RecordId) -> Option<&Verified<ProvenRecord>> {
        self.records.get(id)
    }

    /// The record with this item; `None` if it never was here, or a newer one took its place.
    pub(super) fn signed(&self, item: &ItemId) -> Option<&Verified<ProvenRecord>> {
        self.items.get(item).and_then(|id| self.records.get(id))
    }

    /// Whether this node holds the item, or held it until lately: in both cases it need not be asked for.
    pub(super) fn knows(&self, item: &ItemId) -> bool {
        self.items.contains_key(item) || self.past.contains(item)
    }

    /// Every record held of one origin.
    pub(super) fn of_origin(&self, origin: PeerId) -> impl Iterator<Item = &Record> {
        let first = RecordId { origin, kind: Kind::Node, key: String::new() };
        let of_origin = self.records.range(first..).take_while(move |(id, _)| id.origin == origin);
        of_origin.map(|(_, proven)| &*proven.record)
    }

    /// All that an origin says of its neighbors, and the version of its judgments, 0 if there are none; `None` without a
    /// links record.
    pub(super) fn testimony(&self, origin: &PeerId) -> Option<(u64, Testimony)> {
        let under = |kind| {
            let id = RecordId { origin: *origin, kind, key: String::new() };
            self.get(&id).map(|proven| (proven.record.version, &proven.record.body))
        };
        let Some((_, Body::Links(links))) = under(Kind::Links) else { return None };
        Some(match under(Kind::Judgments) {
            Some((version, Body::Judgments(judgments))) => (version, Testimony::of(links, Some(judgments))),
            _ => (0, Testimony::of(links, None)),
        })
    }

    /// The version with which this node next speaks, in the life tagged `life`: past all that it, or an older self, has
    /// said. Lives of one node never say the same version, even when its clock has jumped back, because their tags
    /// differ: two different statements under one version would convict it of equivocation.
    pub(super) fn next_version(&self, unix_ms: u64, life: u16) -> u64 {
        unix_ms.max((self.spoken >> LIFE_BITS) + 1) << LIFE_BITS | u64::from(life)
    }

    /// Remembers that this node has spoken with `version`.
    pub(super) fn speak(&mut self, version: u64) {
        self.spoken = self.spoken.max(version);
    }

    /// The record that `proven` contradicts: the same origin, id and version, but not the same statement.
    pub(super) fn contradicted(&self, proven: &ProvenRecord) -> Option<&Verified<ProvenRecord>> {
        let held = self.records.get(&proven.record.id)?;
        (held.record.version == proven.record.version && held.item != proven.item).then_some(held)
    }

    /// Takes a record in if it is newer than what is held; `note` hears of it before it is stored. Of two with one version
    /// the smaller item stays, so that all nodes keep the same one until the proof of it has spread.
    pub(super) fn apply(
        &mut self,
        proven: Verified<ProvenRecord>,
        note: impl FnOnce(&Verified<ProvenRecord>, Option<ItemId>),
    ) -> Applied {
        let item = proven.item;
        if let Some(held) = self.records.get_mut(&proven.record.id) {
            let replaced = held.item;
            if is_old(held, &proven) {
                self.past.insert_unless(item, replaced);
                return Applied::Known;
            }
            note(&proven, Some(replaced));
            let id = self.items.remove(&replaced).unwrap_or_else(|| proven.record.id.clone());
            self.past.insert(replaced);
            self.items.insert(item, id);
            *held = proven;
            return Applied::News { evicted: None };
        }
        let mut evicted = None;
        let id = &proven.record.id;
        if self.share(&id.origin) >= RECORDS_PER_ORIGIN_MAX {
            let Some(largest) = self.largest_of(id).filter(|largest| id < largest) else {
                self.past.insert(item);
                return Applied::NoRoom;
            };
            evicted = self.remove(&largest).map(Box::new);
        } else if self.records.len() >= RECORDS_MAX {
            return Applied::NoRoom;
        }
        note(&proven, None);
        *self.per_origin.entry(id.origin).or_default() += 1;
        self.items.insert(item, id.clone());
        self.records.insert(id.clone(), proven);
        Applied::News { evicted }
    }

    fn share(&self, origin: &PeerId) -> usize {
        self.per_origin.get(origin).copied().unwrap_or_default()
    }

    /// The largest id held of the same origin.
    fn largest_of(&self, id: &RecordId) -> Option<RecordId> {
        let of_origin = self.records.range(id..).take_while(|(held, _)| held.origin == id.origin);
        of_origin.map(|(held, _)| held).last().cloned()
    }

    fn remove(&mut self, id: &RecordId) -> Option<Verified<ProvenRecord>> {
        let gone = self.records.remove(id)?;
        self.items.remove(&gone.item);
        self.past.insert(gone.item);
        if let Some(count) = self.per_origin.get_mut(&id.origin) {
            *count -= 1;
        }
        Some(gone)
    }

    /// Drops what has expired and returns it.
    pub(super) fn expire(&mut self, unix_ms: u64) -> Vec<Verified<ProvenRecord>> {
        self.drop_where(|proven| proven.record.expires_ms <= unix_ms)
    }

    /// Drops all that `origin` has said and returns it.
    pub(super) fn drop_origin(&mut self, origin: &PeerId) -> Vec<Verified<ProvenRecord>> {
        self.drop_where(|proven| proven.record.id.origin == *origin)
    }

    fn drop_where(&mut self, gone: impl Fn(&ProvenRecord) -> bool) -> Vec<Verified<ProvenRecord>> {
        let ended: Vec<RecordId> = self.records.values().filter(|p| gone(p)).map(|p| p.record.id.clone()).collect();
        let dropped = ended.iter().filter_map(|id| self.remove(id)).collect();
        self.per_origin.retain(|_, count| *count > 0);
        dropped
    }
}

/// Whether what is held is as new as `proven`, or newer.
fn is_old(held: &ProvenRecord, proven: &ProvenRecord) -> bool {
    let rank = |p: &ProvenRecord| (p.record.version, std::cmp::Reverse(p.item));
    rank(held) >= rank(proven) && (held.item == proven.item || !planted::is(PlantedBug::VersionUncompared))
}

/// Items that were held until lately: neighbors may still announce them. Two generations, so that none has to be
/// searched to make room: when the younger one is full, the older one goes as a whole.
#[derive(Debug, Default)]
struct Past {
    young: BTreeSet<ItemId>,
    old: BTreeSet<ItemId>,
}

impl Past {
    fn contains(&self, item: &ItemId) -> bool {
        self.young.contains(item) || self.old.contains(item)
    }

    fn insert(&mut self, item: ItemId) {
        if self.young.len() >= PAST_ITEMS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(item);
    }

    fn insert_unless(&mut self, item: ItemId, held: ItemId) {
        if item != held {
            self.insert(item);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_held_lately_is_known_and_what_is_long_gone_makes_room() {
        let mut past = Past::default();
        let item = |n: usize| ItemId::of(&n.to_le_bytes());
        for n in 0..3 * PAST_ITEMS_MAX {
            past.insert(item(n));
            assert!(past.young.len() + past.old.len() <= PAST_ITEMS_MAX);
        }
        let newest = 3 * PAST_ITEMS_MAX - PAST_ITEMS_MAX / 2..3 * PAST_ITEMS_MAX;
        assert!(newest.clone().all(|n| past.contains(&item(n))));
        assert!(!past.contains(&item(0)));
    }
}
