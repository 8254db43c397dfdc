//! The records held: the newest of each id, found by id and by item.

use std::collections::BTreeMap;

use crate::limits::{PAST_ITEMS_MAX, RECORDS_MAX, RECORDS_PER_ORIGIN_MAX};
use crate::membership::Testimony;
use crate::planted::{self, PlantedBug};
use crate::record::{Body, Equivocation, Kind, LIFE_BITS, ProvenRecord, Record, RecordId};
use crate::{ItemId, PeerId, Verified};

use super::items::Items;

/// Records by origin, the newest version of each id.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// What each origin says, by kind and key, ascending: few records, so that all of an origin is found at once. None is
    /// empty.
    origins: BTreeMap<PeerId, Vec<Entry>>,
    /// How many there are, of all origins.
    count: usize,
    /// The same records by item.
    items: Items<Verified<ProvenRecord>>,
    /// The newest version that this node is known to have spoken with, under any id: it must exceed it when it speaks
    /// next.
    spoken: u64,
    past: Past,
}

/// One record. Its kind stands beside it, so that whoever searches for another kind does not have to fetch it.
#[derive(Debug)]
struct Entry {
    kind: Kind,
    proven: Verified<ProvenRecord>,
}

/// What became of a record.
#[derive(Debug, PartialEq)]
pub(super) enum Applied {
    /// It was new, or took the place of an older one.
    News {
        /// The record that had to go: the origin's share is full, and keeps the smallest ids, so that all nodes keep
        /// the same ones.
        evicted: Option<Box<Verified<ProvenRecord>>>,
        /// Whether it tells of the same links as the one in whose place it is: only the measurements may be other ones.
        remeasured: bool,
    },
    /// It, or a newer one, was there.
    Known,
    /// The table, or the origin's share of it, is full.
    NoRoom,
    /// What is held says something else under the same id and version: this proves it.
    Contradicts(Box<Equivocation>),
}

impl Held {
    /// Every record, ordered by id.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Verified<ProvenRecord>> {
        self.origins.values().flatten().map(|entry| &entry.proven)
    }

    pub(super) const fn len(&self) -> usize {
        self.count
    }

    pub(super) fn get(&self, id: &RecordId) -> Option<&Verified<ProvenRecord>> {
        find(self.origins.get(&id.origin)?, id.kind, &id.key)
    }

    /// The record with this item; `None` if it never was here, or a newer one took its place.
    pub(super) fn signed(&self, item: &ItemId) -> Option<&Verified<ProvenRecord>> {
        self.items.get(item)
    }

    /// Whether this node holds the item, or held it until lately: in both cases it need not be asked for.
    pub(super) fn knows(&self, item: &ItemId) -> bool {
        self.items.contains(item) || self.past.contains(item)
    }

    /// Every record held of one origin.
    pub(super) fn of_origin(&self, origin: &PeerId) -> impl Iterator<Item = &Record> {
        self.origins.get(origin).into_iter().flatten().map(|entry| &entry.proven.record)
    }

    /// All that an origin says of its neighbors, and the version of its judgments, 0 if there are none; `None` without a
    /// links record.
    pub(super) fn testimony(&self, origin: &PeerId) -> Option<(u64, Testimony)> {
        let records = self.origins.get(origin)?;
        let under = |kind| find(records, kind, "").map(|proven| (proven.record.version, &proven.record.body));
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

    /// Takes a record in if it is newer than what is held; `note` hears of it before it is stored. Of two proofs with one
    /// version, which prove nothing against whoever told both, the smaller item stays: so all nodes keep the same one.
    pub(super) fn apply(
        &mut self,
        proven: Verified<ProvenRecord>,
        note: impl FnOnce(&Verified<ProvenRecord>, Option<ItemId>),
    ) -> Applied {
        let (item, id) = (proven.item, &proven.record.id);
        let records = self.origins.get_mut(&id.origin).map(Vec::as_mut_slice).unwrap_or_default();
        let at = match place(records, id.kind, &id.key) {
            Ok(at) => at,
            Err(at) => return self.insert(at, proven, note),
        };
        let held = &mut records[at].proven;
        if let Some(proof) = contradiction(held, &proven) {
            return Applied::Contradicts(Box::new(proof));
        }
        let replaced = held.item;
        if is_old(held, &proven) {
            self.past.insert_unless(item, replaced);
            return Applied::Known;
        }
        note(&proven, Some(replaced));
        self.items.remove(&replaced);
        self.items.insert(item, proven.clone());
        self.past.insert(replaced);
        let remeasured = matches!(
            (&held.record.body, &proven.record.body),
            (Body::Links(before), Body::Links(now)) if now.has_neighbors_of(before)
        );
        *held = proven;
        Applied::News { evicted: None, remeasured }
    }

    /// Takes in a record whose id is new, at its place among those of its origin.
    fn insert(
        &mut self,
        at: usize,
        proven: Verified<ProvenRecord>,
        note: impl FnOnce(&Verified<ProvenRecord>, Option<ItemId>),
    ) -> Applied {
        let (item, id) = (proven.item, proven.record.id.clone());
        let share = self.origins.get(&id.origin).map_or(0, Vec::len);
        let mut evicted = None;
        if share >= RECORDS_PER_ORIGIN_MAX {
            if at == share {
                self.past.insert(item);
                return Applied::NoRoom;
            }
            evicted = self.largest_of(&id.origin).and_then(|largest| self.remove(&largest)).map(Box::new);
        } else if self.count >= RECORDS_MAX {
            return Applied::NoRoom;
        }
        note(&proven, None);
        self.items.insert(item, proven.clone());
        self.origins.entry(id.origin).or_default().insert(at, Entry { kind: id.kind, proven });
        self.count += 1;
        Applied::News { evicted, remeasured: false }
    }

    fn largest_of(&self, origin: &PeerId) -> Option<RecordId> {
        self.origins.get(origin)?.last().map(|entry| entry.proven.record.id.clone())
    }

    fn remove(&mut self, id: &RecordId) -> Option<Verified<ProvenRecord>> {
        let records = self.origins.get_mut(&id.origin)?;
        let gone = records.remove(place(records, id.kind, &id.key).ok()?).proven;
        if records.is_empty() {
            self.origins.remove(&id.origin);
        }
        self.count -= 1;
        self.items.remove(&gone.item);
        self.past.insert(gone.item);
        Some(gone)
    }

    /// Drops what has expired and returns it.
    pub(super) fn expire(&mut self, unix_ms: u64) -> Vec<Verified<ProvenRecord>> {
        let ended = self.iter().filter(|proven| proven.record.expires_ms <= unix_ms);
        let ended: Vec<RecordId> = ended.map(|proven| proven.record.id.clone()).collect();
        ended.iter().filter_map(|id| self.remove(id)).collect()
    }

    /// Drops all that `origin` has said and returns it.
    pub(super) fn drop_origin(&mut self, origin: &PeerId) -> Vec<Verified<ProvenRecord>> {
        let gone = self.origins.remove(origin).unwrap_or_default();
        self.count -= gone.len();
        for Entry { proven, .. } in &gone {
            self.items.remove(&proven.item);
            self.past.insert(proven.item);
        }
        gone.into_iter().map(|entry| entry.proven).collect()
    }
}

/// Where a record stands among those of its origin, or would stand.
fn place(records: &[Entry], kind: Kind, key: &str) -> Result<usize, usize> {
    let order = |entry: &Entry| entry.kind.cmp(&kind).then_with(|| entry.proven.record.id.key.as_str().cmp(key));
    records.binary_search_by(order)
}

fn find<'a>(records: &'a [Entry], kind: Kind, key: &str) -> Option<&'a Verified<ProvenRecord>> {
    place(records, kind, key).ok().map(|at| &records[at].proven)
}

/// The proof that the two contradict each other: they have one id and one version, but say different things.
fn contradiction(held: &ProvenRecord, proven: &ProvenRecord) -> Option<Equivocation> {
    let differ = held.record.version == proven.record.version && held.item != proven.item;
    differ.then(|| Equivocation::of(held, proven)).flatten()
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
    young: Items<()>,
    old: Items<()>,
}

impl Past {
    fn contains(&self, item: &ItemId) -> bool {
        self.young.contains(item) || self.old.contains(item)
    }

    fn insert(&mut self, item: ItemId) {
        if self.young.len() >= PAST_ITEMS_MAX / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(item, ());
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
    use crate::identity::Identity;

    const UNIX_MS: u64 = 1_800_000_000_000;

    fn said(me: &Identity, kind: Kind, key: &str, body: Body, version: u64) -> Verified<ProvenRecord> {
        let id = RecordId { origin: me.peer(), kind, key: key.to_owned() };
        Record { id, version, issued_ms: UNIX_MS, expires_ms: UNIX_MS + 60_000, body }.sign(me)
    }

    fn services(me: &Identity, names: impl Iterator<Item = usize>) -> impl Iterator<Item = Verified<ProvenRecord>> {
        names.map(|n| said(me, Kind::Service, &format!("s{n:04}"), Body::Service, 1))
    }

    #[test]
    fn of_two_proofs_under_one_version_all_nodes_keep_the_same_one() {
        let (me, liar) = (Identity::from_secret(&[1; 32]), Identity::from_secret(&[2; 32]));
        let lies = |version| {
            let [a, b] = [Body::Service, Body::Withdrawn].map(|body| said(&liar, Kind::Service, "web", body, version));
            Body::Equivocation(Box::new(Equivocation::of(&a, &b).expect("it said two things at once")))
        };
        let key = liar.peer().to_string();
        let proofs = [1, 2].map(|lie| said(&me, Kind::Equivocation, &key, lies(lie), 7));
        let kept = [proofs.to_vec(), proofs.iter().rev().cloned().collect()].map(|order: Vec<_>| {
            let mut held = Held::default();
            order.into_iter().for_each(|proven| drop(held.apply(proven, |_, _| {})));
            assert_eq!(held.len(), 1);
            held.iter().next().map(|proven| proven.item)
        });
        assert_eq!(kept[0], kept[1]);
    }

    #[test]
    fn two_statements_under_one_version_are_a_proof_and_change_nothing() {
        let me = Identity::from_secret(&[1; 32]);
        let mut held = Held::default();
        let [a, b] = [Body::Service, Body::Withdrawn].map(|body| said(&me, Kind::Service, "web", body, 7));
        assert_eq!(held.apply(a.clone(), |_, _| {}), Applied::News { evicted: None, remeasured: false });
        let Applied::Contradicts(proof) = held.apply(b, |_, _| panic!("it is not taken in")) else {
            panic!("they contradict each other")
        };
        assert_eq!(proof.accused(), me.peer());
        assert_eq!(held.iter().map(|proven| proven.item).collect::<Vec<_>>(), [a.item]);
    }

    #[test]
    fn an_origin_keeps_its_smallest_ids_in_whatever_order_they_come() {
        let me = Identity::from_secret(&[1; 32]);
        let most = RECORDS_PER_ORIGIN_MAX;
        for order in [(0..most + 3).collect::<Vec<_>>(), (0..most + 3).rev().collect()] {
            let mut held = Held::default();
            for proven in services(&me, order.into_iter()) {
                held.apply(proven, |_, _| {});
            }
            let kept: Vec<_> = held.iter().map(|proven| proven.record.id.key.clone()).collect();
            assert_eq!(kept, (0..most).map(|n| format!("s{n:04}")).collect::<Vec<_>>());
            assert_eq!((held.len(), held.items.len()), (most, most));
        }
    }

    #[test]
    fn what_is_dropped_is_gone_from_every_table() {
        let (me, other) = (Identity::from_secret(&[1; 32]), Identity::from_secret(&[2; 32]));
        let mut held = Held::default();
        for proven in services(&me, 0..5).chain(services(&other, 0..3)) {
            held.apply(proven, |_, _| {});
        }
        assert_eq!(held.drop_origin(&me.peer()).len(), 5);
        assert_eq!((held.len(), held.items.len(), held.of_origin(&me.peer()).count()), (3, 3, 0));
        assert_eq!(held.expire(UNIX_MS + 60_000).len(), 3);
        assert_eq!((held.len(), held.items.len(), held.origins.len()), (0, 0, 0));
    }

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
