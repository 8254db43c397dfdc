//! Who lists whom: takes a links record apart and keeps both ends of every pair of neighbors in step.
//!
//! Each end's cell mirrors what the other end says, so that the voices about a node are counted from its own list alone.
//!
//! A pair stays a pair for [`PAIR_FADES_AFTER`] once an end no longer lists the other. For a link that fell silent is
//! listed neither as working nor as accused at first: were its observer not counted meanwhile, the first of eight to
//! accuse would be all observers that there are, and a node that hears nobody any more, and so lists nobody, would have
//! none. Nor can a node escape its accusers by dropping them from its list.

use std::collections::{BTreeMap, BTreeSet};

use super::Testimony;
use super::lists::CELLS_MAX;
use super::roster::{ACCUSED, ACCUSES, LISTED, LISTED_BACK, MUTUAL, RECORD, REFUTED, Roster, SLOT_MASK, Slot};
use crate::limits::{CLOCK_SKEW_MAX, LINKS_PER_NODE_MAX, PAIR_FADES_AFTER};
use crate::record::LIFE_BITS;
use crate::{Instant, PeerId, Rejected};

/// The links records that are held, as pairs of neighbors in the roster.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) roster: Roster,
    /// By who refutes, then the accuser: up to which version of the accuser's record. There are few.
    refutations: BTreeMap<(Slot, Slot), u64>,
    /// Pairs (the lower slot first) about which something different is said than at the last look: whether they are
    /// pairs is settled when a moment is over, for an old record and a new one may meet within it.
    unsettled: BTreeSet<(Slot, Slot)>,
    /// Pairs of which an end does not list the other any more: when they are none any more.
    fading: BTreeMap<(Slot, Slot), Instant>,
    /// The same, by time.
    fade_at: BTreeSet<(Instant, (Slot, Slot))>,
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
            unsettled: BTreeSet::new(),
            fading: BTreeMap::new(),
            fade_at: BTreeSet::new(),
            touched: BTreeSet::new(),
            new: Vec::with_capacity(CELLS_MAX),
            old: Vec::with_capacity(CELLS_MAX),
        }
    }

    /// Takes in what an origin says now.
    pub(super) fn take_in(&mut self, origin: PeerId, version: u64, body: &Testimony) -> Result<(), Rejected> {
        if body.links.len() + body.accused.len() > LINKS_PER_NODE_MAX {
            return Err(Rejected::OverLimit);
        }
        let owner = self.roster.enter(origin)?;
        self.roster.set_version(owner, version);
        if self.roster.set(owner, RECORD, true) {
            self.touched.insert(owner);
        }
        self.read(owner, body);
        let refuted = self.read_refutations(owner, version, body);
        if refuted || !self.is_as_listed(owner) {
            self.relist(owner, true);
        }
        Ok(())
    }

    /// Whether `self.new` is what the owner's list says already, and nobody is accused in it: most records that take the
    /// place of another one tell of other measurements only.
    fn is_as_listed(&self, owner: Slot) -> bool {
        let said = |cell: &u32| cell & (SLOT_MASK | LISTED | ACCUSES);
        let accuses = self.new.iter().any(|cell| cell & ACCUSES != 0);
        !accuses && self.roster.list(owner).iter().map(said).eq(self.new.iter().copied())
    }

    /// Takes back what an origin's record said.
    pub(super) fn take_back(&mut self, owner: Slot) {
        self.roster.set(owner, RECORD, false);
        self.roster.set_version(owner, 0);
        self.touched.insert(owner);
        self.new.clear();
        self.forget_refutations(owner);
        self.relist(owner, false);
    }

    /// Writes the cells for `body` to `self.new`: ascending, each neighbor once. Whom there is no room to enter is left
    /// out; it cannot be a member either.
    fn read(&mut self, owner: Slot, body: &Testimony) {
        self.new.clear();
        let links = body.links.iter().map(|link| (link.neighbor, LISTED));
        for (neighbor, flag) in links.chain(body.accused.iter().map(|peer| (*peer, LISTED | ACCUSES))) {
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

    /// Takes in whom the owner refutes; whether it refutes anybody, or did.
    fn read_refutations(&mut self, owner: Slot, version: u64, body: &Testimony) -> bool {
        let did = self.forget_refutations(owner);
        // What its origin could not have seen yet is not refuted, or a node could refute its own end in advance.
        let seen = version.saturating_add((CLOCK_SKEW_MAX.as_millis() as u64) << LIFE_BITS);
        for refuted in body.refuted.iter().take(LINKS_PER_NODE_MAX).filter(|refuted| refuted.version <= seen) {
            let Some(accuser) = self.roster.slot(&refuted.accuser) else { continue };
            if find(&self.new, accuser).is_some() {
                self.refutations.insert((owner, accuser), refuted.version);
            }
        }
        did || !body.refuted.is_empty()
    }

    /// Whether there were any.
    fn forget_refutations(&mut self, owner: Slot) -> bool {
        let stale: Vec<_> = self.refutations.range((owner, 0)..=(owner, SLOT_MASK)).map(|(pair, _)| *pair).collect();
        for pair in &stale {
            self.refutations.remove(pair);
        }
        !stale.is_empty()
    }

    /// When the next pair fades.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.fade_at.first().map(|(at, _)| *at)
    }

    /// Parts the pairs whose time has come.
    pub(super) fn fade(&mut self, now: Instant) {
        while let Some((_, (one, other))) = self.fade_at.first().copied().filter(|(at, _)| *at <= now) {
            self.keep_until((one, other), None);
            self.change_cell(one, other, |cell| cell & !MUTUAL);
            self.change_cell(other, one, |cell| cell & !MUTUAL);
        }
    }

    /// Settles who is a pair, by the records that are held at the end of the moment `now`.
    pub(super) fn settle(&mut self, now: Instant) {
        for (one, other) in std::mem::take(&mut self.unsettled) {
            let cell = self.roster.cell_mut(one, other).map_or(0, |cell| *cell);
            if cell & (LISTED | LISTED_BACK) == LISTED | LISTED_BACK {
                self.keep_until((one, other), None);
                self.change_cell(one, other, |cell| cell | MUTUAL);
                self.change_cell(other, one, |cell| cell | MUTUAL);
            } else if cell & MUTUAL != 0 {
                self.keep_until((one, other), Some(now + PAIR_FADES_AFTER));
            }
        }
    }

    /// Replaces the owner's list by `self.new`. Pairs of which it lists the other end no more stay for now, if they may.
    fn relist(&mut self, owner: Slot, pairs_stay: bool) {
        let (mut new, mut old) = (std::mem::take(&mut self.new), std::mem::take(&mut self.old));
        old.clear();
        old.extend_from_slice(self.roster.list(owner));
        for cell in &mut new {
            match find(&old, *cell) {
                Some(found) => *cell |= old[found] & MUTUAL,
                None => self.roster.count_listing(*cell & SLOT_MASK, true),
            }
            *cell = self.meet(owner, *cell);
        }
        let listed = new.len();
        for cell in &old {
            if find(&new[..listed], *cell).is_some() {
                continue;
            }
            let stays = pairs_stay && cell & MUTUAL != 0 && new.len() < CELLS_MAX;
            let cell = self.meet(owner, cell & if stays { SLOT_MASK | MUTUAL } else { SLOT_MASK });
            if stays {
                new.push(cell);
            } else {
                self.part(owner, cell & SLOT_MASK);
            }
        }
        new.sort_unstable_by_key(|cell| cell & SLOT_MASK);
        if new != old {
            self.roster.set_list(owner, &new);
            self.touched.insert(owner);
        }
        (self.new, self.old) = (new, old);
    }

    /// Brings both ends' cells in step; returns the owner's.
    fn meet(&mut self, owner: Slot, cell: u32) -> u32 {
        let other = cell & SLOT_MASK;
        let back = self.roster.cell_mut(other, owner).map_or(0, |cell| *cell);
        let (by_owner, by_other) = (self.refutes(owner, other), self.refutes(other, owner));
        self.change_cell(other, owner, |back| mirror(back, cell, by_other));
        let pair = (owner.min(other), owner.max(other));
        if (cell & back & LISTED != 0) != (cell & MUTUAL != 0) || self.fading.contains_key(&pair) {
            self.unsettled.insert(pair);
        }
        mirror(cell, back, by_owner)
    }

    /// The owner's list holds `other` no more, not even as a pair.
    fn part(&mut self, owner: Slot, other: Slot) {
        self.keep_until((owner.min(other), owner.max(other)), None);
        self.change_cell(other, owner, |cell| cell & !MUTUAL);
        self.roster.count_listing(other, false);
        self.roster.leave_if_unused(other);
    }

    /// Remembers when a pair fades, at the first time it is told; `None` if it does not.
    fn keep_until(&mut self, pair: (Slot, Slot), fades: Option<Instant>) {
        match fades {
            Some(at) if !self.fading.contains_key(&pair) => {
                self.fading.insert(pair, at);
                self.fade_at.insert((at, pair));
            }
            Some(_) => {}
            None => {
                if let Some(at) = self.fading.remove(&pair) {
                    self.fade_at.remove(&(at, pair));
                }
            }
        }
    }

    /// Changes a cell if it is there; takes it out of its list when neither its record nor a pair needs it any more.
    fn change_cell(&mut self, owner: Slot, neighbor: Slot, change: impl FnOnce(u32) -> u32) {
        let Some(cell) = self.roster.cell_mut(owner, neighbor) else { return };
        let was = *cell;
        *cell = change(was);
        let is = *cell;
        if is != was {
            self.touched.insert(owner);
        }
        if is & (LISTED | MUTUAL) == 0 {
            let others = self.roster.list(owner).iter().filter(|cell| **cell & SLOT_MASK != neighbor);
            let left: Vec<u32> = others.copied().collect();
            self.roster.set_list(owner, &left);
            self.roster.count_listing(neighbor, false);
            self.roster.leave_if_unused(neighbor);
        }
    }

    /// Whether the owner's record refutes what the accuser's record says now.
    fn refutes(&self, owner: Slot, accuser: Slot) -> bool {
        self.refutations.get(&(owner, accuser)).is_some_and(|version| *version >= self.roster.version(accuser))
    }
}

/// `cell` in step with the other end's cell.
fn mirror(cell: u32, back: u32, refuted: bool) -> u32 {
    let flag = |on: bool, flag: u32| if on { flag } else { 0 };
    let accused = back & ACCUSES != 0;
    cell & (SLOT_MASK | LISTED | ACCUSES | MUTUAL)
        | flag(back & LISTED != 0, LISTED_BACK)
        | flag(accused, ACCUSED)
        | flag(accused && refuted, REFUTED)
}

/// Where the neighbor of `cell` stands in a list.
fn find(list: &[u32], cell: u32) -> Option<usize> {
    list.binary_search_by_key(&(cell & SLOT_MASK), |cell| cell & SLOT_MASK).ok()
}
