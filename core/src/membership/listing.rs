//! Who lists whom: takes a links record apart and keeps both ends of every pair of neighbors in step.
//!
//! Each end's cell mirrors what the other end says, so that the voices about a node are counted from its own list alone.

use std::collections::{BTreeMap, BTreeSet};

use super::roster::{ACCUSED, ACCUSES, MUTUAL, RECORD, REFUTED, Roster, SLOT_MASK, Slot};
use crate::limits::{CLOCK_SKEW_MAX, LINKS_PER_NODE_MAX};
use crate::record::LinksBody;
use crate::{PeerId, Rejected};

/// The links records that are held, as pairs of neighbors in the roster.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) roster: Roster,
    /// By who refutes, then the accuser: up to which version of the accuser's record. There are few.
    refutations: BTreeMap<(Slot, Slot), u64>,
    /// Members about whom something different is said than when they were last judged.
    pub(super) touched: BTreeSet<Slot>,
    /// Cells of the list that is being taken in, and of the one that it replaces; kept for their room.
    new: Vec<u32>,
    old: Vec<u32>,
}

impl Listing {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            roster: Roster::new(seed),
            refutations: BTreeMap::new(),
            touched: BTreeSet::new(),
            new: Vec::with_capacity(LINKS_PER_NODE_MAX),
            old: Vec::with_capacity(LINKS_PER_NODE_MAX),
        }
    }

    /// Takes in a record; the slot of its origin.
    pub(super) fn take_in(&mut self, origin: PeerId, version: u64, body: &LinksBody) -> Result<Slot, Rejected> {
        if body.links.len() + body.accused.len() > LINKS_PER_NODE_MAX {
            return Err(Rejected::OverLimit);
        }
        let owner = self.roster.enter(origin)?;
        let renewed = self.roster.has(owner, RECORD);
        if renewed && version <= self.roster.version(owner) {
            return Err(Rejected::Stale);
        }
        self.roster.set_version(owner, version);
        if self.roster.set(owner, RECORD, true) {
            self.touched.insert(owner);
        }
        self.read(owner, body);
        self.read_refutations(owner, version, body);
        self.relist(owner);
        Ok(owner)
    }

    /// Takes back what an origin's record said.
    pub(super) fn take_back(&mut self, owner: Slot) {
        self.roster.set(owner, RECORD, false);
        self.roster.set_version(owner, 0);
        self.touched.insert(owner);
        self.new.clear();
        self.forget_refutations(owner);
        self.relist(owner);
    }

    /// Writes the cells for `body` to `self.new`: ascending, each neighbor once. Whom there is no room to enter is left
    /// out; it cannot be a member either.
    fn read(&mut self, owner: Slot, body: &LinksBody) {
        self.new.clear();
        let links = body.links.iter().map(|link| (link.neighbor, 0));
        for (neighbor, flag) in links.chain(body.accused.iter().map(|peer| (*peer, ACCUSES))) {
            match self.roster.enter(neighbor) {
                Ok(slot) if slot != owner => self.new.push(slot | flag),
                _ => {}
            }
        }
        self.new.sort_unstable_by_key(|cell| cell & SLOT_MASK);
        // Who is listed twice, as working and as accused, is accused.
        self.new.dedup_by(|next, kept| {
            let same = *next & SLOT_MASK == *kept & SLOT_MASK;
            if same {
                *kept |= *next;
            }
            same
        });
    }

    fn read_refutations(&mut self, owner: Slot, version: u64, body: &LinksBody) {
        self.forget_refutations(owner);
        // What its origin could not have seen yet is not refuted, or a node could refute its own end in advance.
        let seen = version.saturating_add(CLOCK_SKEW_MAX.as_millis() as u64);
        for refuted in body.refuted.iter().take(LINKS_PER_NODE_MAX).filter(|refuted| refuted.version <= seen) {
            let Some(accuser) = self.roster.slot(&refuted.accuser) else { continue };
            if self.new.binary_search_by_key(&accuser, |cell| cell & SLOT_MASK).is_ok() {
                self.refutations.insert((owner, accuser), refuted.version);
            }
        }
    }

    fn forget_refutations(&mut self, owner: Slot) {
        let stale: Vec<_> = self.refutations.range((owner, 0)..=(owner, SLOT_MASK)).map(|(pair, _)| *pair).collect();
        for pair in stale {
            self.refutations.remove(&pair);
        }
    }

    /// Replaces the owner's list by `self.new`.
    fn relist(&mut self, owner: Slot) {
        let (mut new, mut old) = (std::mem::take(&mut self.new), std::mem::take(&mut self.old));
        old.clear();
        old.extend_from_slice(self.roster.list(owner));
        for cell in &mut new {
            let other = *cell & SLOT_MASK;
            *cell = self.meet(owner, *cell);
            if old.binary_search_by_key(&other, |cell| cell & SLOT_MASK).is_err() {
                self.roster.count_listing(other, true);
            }
        }
        if new != old {
            self.roster.set_list(owner, &new);
            self.touched.insert(owner);
        }
        for cell in &old {
            let other = *cell & SLOT_MASK;
            if new.binary_search_by_key(&other, |cell| cell & SLOT_MASK).is_err() {
                self.part(owner, other);
            }
        }
        (self.new, self.old) = (new, old);
    }

    /// Brings both ends' cells in step; returns the owner's.
    fn meet(&mut self, owner: Slot, cell: u32) -> u32 {
        let other = cell & SLOT_MASK;
        let (by_owner, by_other) = (self.refutes(owner, other), self.refutes(other, owner));
        let Some(back) = self.roster.cell_mut(other, owner) else { return cell };
        let was = *back;
        *back = mirror(was & (SLOT_MASK | ACCUSES), cell & ACCUSES != 0, by_other);
        if *back != was {
            self.touched.insert(other);
        }
        mirror(cell, was & ACCUSES != 0, by_owner)
    }

    /// The owner lists `other` no more.
    fn part(&mut self, owner: Slot, other: Slot) {
        self.roster.count_listing(other, false);
        if let Some(back) = self.roster.cell_mut(other, owner) {
            *back &= SLOT_MASK | ACCUSES;
            self.touched.insert(other);
        }
        if !self.roster.is_member(other) {
            self.roster.leave_if_unused(other);
        }
    }

    /// Whether the owner's record refutes what the accuser's record says now.
    fn refutes(&self, owner: Slot, accuser: Slot) -> bool {
        self.refutations.get(&(owner, accuser)).is_some_and(|version| *version >= self.roster.version(accuser))
    }
}

/// A cell of a pair in which both list each other.
fn mirror(cell: u32, accused: bool, refuted: bool) -> u32 {
    let accused_by = if accused { ACCUSED } else { 0 };
    let refutes = if accused && refuted { REFUTED } else { 0 };
    cell | MUTUAL | accused_by | refutes
}
