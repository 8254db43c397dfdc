//! The records held: the newest of each id, found by id and by item.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::limits::{PAST_ITEMS_MAX, RECORDS_MAX, RECORDS_PER_ORIGIN_MAX};
use crate::record::{LIFE_BITS, ProvenRecord, RecordId};
use crate::{ItemId, PeerId, Verified};

/// Records by id, the newest version of each.
#[derive(Debug, Default)]
pub(super) struct Held {
    records: BTreeMap<RecordId, Verified<ProvenRecord>>,
    items: BTreeMap<ItemId, RecordId>,
    per_origin: BTreeMap<PeerId, usize>,
    /// The highest version that this node must exceed when it next speaks under an id of its own.
    floors: BTreeMap<RecordId, u64>,
    past: Past,
}

/// What became of a record.
#[derive(Debug, PartialEq)]
pub(super) enum Applied {
    /// It was new or newer, and took the place of an older one.
    News {
        /// The item that is no longer held.
        replaced: Option<ItemId>,
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

    /// The version with which this node next speaks under `id`, in the life tagged `life`: past all that it, or an
    /// older self, has said. Lives of one node never say the same version, even when its clock has jumped back, because
    /// their tags differ: two different statements under one version would convict it of equivocation.
    pub(super) fn next_version(&self, id: &RecordId, unix_ms: u64, life: u16) -> u64 {
        let said = self.records.get(id).map_or(0, |proven| proven.record.version);
        let floor = self.floors.get(id).copied().unwrap_or(0).max(said);
        let version = |ms: u64| ms << LIFE_BITS | u64::from(life);
        if version(unix_ms) > floor { version(unix_ms) } else { version((floor >> LIFE_BITS).saturating_add(1)) }
    }

    /// Remembers that somebody holds `version` under this node's own `id`.
    pub(super) fn overrule(&mut self, id: &RecordId, version: u64) {
        let floor = self.floors.entry(id.clone()).or_default();
        *floor = version.max(*floor);
    }

    /// The record that `proven` contradicts: the same origin, id and version, but not the same statement.
    pub(super) fn contradicted(&self, proven: &ProvenRecord) -> Option<&Verified<ProvenRecord>> {
        let held = self.records.get(&proven.record.id)?;
        (held.record.version == proven.record.version && held.item != proven.item).then_some(held)
    }

    /// Takes a record in if it is newer than what is held. Of two with one version the smaller item stays, so that all
    /// nodes keep the same one until the proof of it has spread.
    pub(super) fn apply(&mut self, proven: Verified<ProvenRecord>) -> Applied {
        let id = &proven.record.id;
        let rank = |p: &ProvenRecord| (p.record.version, std::cmp::Reverse(p.item));
        let replaced = match self.records.get(id) {
            Some(held) if rank(held) >= rank(&proven) => {
                self.past.insert_unless(proven.item, held.item);
                return Applied::Known;
            }
            Some(held) => Some(held.item),
            None if !self.has_room(id.origin) => return Applied::NoRoom,
            None => {
                *self.per_origin.entry(id.origin).or_default() += 1;
                None
            }
        };
        if let Some(item) = replaced {
            self.items.remove(&item);
            self.past.insert(item);
        }
        self.items.insert(proven.item, id.clone());
        self.records.insert(id.clone(), proven);
        Applied::News { replaced }
    }

    fn has_room(&self, origin: PeerId) -> bool {
        let share = self.per_origin.get(&origin).copied().unwrap_or(0);
        share < RECORDS_PER_ORIGIN_MAX && self.records.len() < RECORDS_MAX
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
        let mut dropped = Vec::with_capacity(ended.len());
        for id in ended {
            let Some(proven) = self.records.remove(&id) else { continue };
            self.items.remove(&proven.item);
            self.past.insert(proven.item);
            if let Some(count) = self.per_origin.get_mut(&id.origin) {
                *count -= 1;
            }
            dropped.push(proven);
        }
        self.per_origin.retain(|_, count| *count > 0);
        dropped
    }
}

/// Items that were held until lately, oldest first: neighbors may still announce them.
#[derive(Debug, Default)]
struct Past {
    order: VecDeque<ItemId>,
    items: BTreeSet<ItemId>,
}

impl Past {
    fn contains(&self, item: &ItemId) -> bool {
        self.items.contains(item)
    }

    fn insert(&mut self, item: ItemId) {
        if !self.items.insert(item) {
            return;
        }
        self.order.push_back(item);
        if self.order.len() > PAST_ITEMS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.items.remove(&oldest);
        }
    }

    fn insert_unless(&mut self, item: ItemId, held: ItemId) {
        if item != held {
            self.insert(item);
        }
    }
}
