//! Everybody who is known, packed: identity, region, status, and who lists whom.
//!
//! A member takes [`MEMBER_BYTES`] bytes, its list of neighbors four bytes each (rounded up to four neighbors), the index
//! five to eleven. Nothing grows by doubling but the index, so that little room is ever unused.

use serde::Serialize;

use super::Status;
use super::index::Index;
use super::lists::{List, Lists};
use crate::limits::{MEMBERS_MAX, REGIONS_MAX};
use crate::{PeerId, Rejected};

/// Where a member's entry lies: 20 bits, so that twelve of a cell are left for other things.
pub(super) type Slot = u32;
pub(super) const SLOT_BITS: u32 = 20;
pub(super) const SLOT_MASK: u32 = (1 << SLOT_BITS) - 1;

/// In a neighbor list's cell: the list's owner accuses the neighbor.
pub(super) const ACCUSES: u32 = 1 << SLOT_BITS;
/// The two observe each other: both records list the other, or did until shortly ago.
pub(super) const MUTUAL: u32 = 1 << (SLOT_BITS + 1);
/// The neighbor accuses the owner.
pub(super) const ACCUSED: u32 = 1 << (SLOT_BITS + 2);
/// The owner's record refutes the neighbor's accusation.
pub(super) const REFUTED: u32 = 1 << (SLOT_BITS + 3);
/// The owner's record lists the neighbor now.
pub(super) const LISTED: u32 = 1 << (SLOT_BITS + 4);
/// The neighbor's record lists the owner now.
pub(super) const LISTED_BACK: u32 = 1 << (SLOT_BITS + 5);

/// In a member's flags: its two lowest bits are its status. It made itself known by a node record.
pub(super) const LEARNED: u8 = 1 << 2;
/// Its links record is held.
pub(super) const RECORD: u8 = 1 << 3;
/// So many observers accuse it that its own accusations have no voice.
pub(super) const DOUBTED: u8 = 1 << 4;
/// Its accusers are between the watermarks.
pub(super) const BETWEEN: u8 = 1 << 5;
/// Down for so long that it is not counted any more.
pub(super) const GONE: u8 = 1 << 6;
/// The slot is in use.
const TAKEN: u8 = 1 << 7;

/// Everybody who is known.
///
/// Somebody whom only another one's links record lists has an entry as well, for that record's sake; it is not a member,
/// is not counted, and goes with the last record that lists it.
#[derive(Debug)]
pub struct Roster {
    members: Vec<Member>,
    index: Index,
    lists: Lists,
    free: Vec<Slot>,
    /// The first is the nameless one. One without members makes room for the next new name.
    regions: Vec<Region>,
    counts: Counts,
}

#[derive(Clone, Debug)]
struct Member {
    id: PeerId,
    version: u64,
    /// How many lists it stands in.
    listed: u32,
    list: List,
    region: u16,
    flags: u8,
}

#[derive(Clone, Debug)]
struct Region {
    name: String,
    members: u32,
}

/// How many members there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Members that are alive.
    pub alive: usize,
    /// Suspects.
    pub suspect: usize,
    /// Members that are down, but not yet for so long that they are not expected back.
    pub down: usize,
}

impl Counts {
    /// All that a quorum is counted of.
    pub const fn known(&self) -> usize {
        self.alive + self.suspect + self.down
    }

    fn of(&mut self, status: Status) -> &mut usize {
        match status {
            Status::Alive => &mut self.alive,
            Status::Suspect => &mut self.suspect,
            Status::Down => &mut self.down,
        }
    }
}

impl Roster {
    /// Nobody yet. The seed keys the index, so that nobody can choose identities that make it slow.
    pub fn new(seed: u64) -> Self {
        Self {
            members: Vec::new(),
            index: Index::new(seed),
            lists: Lists::new(),
            free: Vec::new(),
            regions: vec![Region { name: String::new(), members: 0 }],
            counts: Counts::default(),
        }
    }

    /// How many members there are, by status.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// A member's status; `None` for somebody unknown. Takes constant time on average.
    pub fn status(&self, peer: &PeerId) -> Option<Status> {
        self.member(peer).map(|slot| self.status_at(slot))
    }

    /// The region that a member named; empty for none.
    pub fn region(&self, peer: &PeerId) -> Option<&str> {
        self.member(peer).map(|slot| self.regions[usize::from(self.at(slot).region)].name.as_str())
    }

    /// Whom a member's links record lists, working or not, in no particular order.
    pub fn neighbors(&self, peer: &PeerId) -> impl Iterator<Item = PeerId> {
        let list = self.member(peer).map_or(&[][..], |slot| self.list(slot));
        list.iter().filter(|cell| **cell & LISTED != 0).map(|cell| self.at(cell & SLOT_MASK).id)
    }

    /// Every member and its status, in no particular order.
    pub fn members(&self) -> impl Iterator<Item = (PeerId, Status)> {
        let slots = 0..self.members.len() as Slot;
        slots.filter(|slot| self.is_member(*slot)).map(|slot| (self.at(slot).id, self.status_at(slot)))
    }

    /// One more than the highest slot in use.
    pub(super) fn slots(&self) -> usize {
        self.members.len()
    }

    pub(super) fn slot(&self, peer: &PeerId) -> Option<Slot> {
        self.index.find(peer, |slot| &self.members[slot as usize].id)
    }

    pub(super) fn member(&self, peer: &PeerId) -> Option<Slot> {
        self.slot(peer).filter(|slot| self.is_member(*slot))
    }

    /// The peer's slot, a new one if it has none.
    pub(super) fn enter(&mut self, peer: PeerId) -> Result<Slot, Rejected> {
        if let Some(slot) = self.slot(&peer) {
            return Ok(slot);
        }
        let member = Member { id: peer, version: 0, listed: 0, list: List::default(), region: 0, flags: TAKEN };
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None if self.members.len() >= MEMBERS_MAX => return Err(Rejected::OverLimit),
            None => {
                grow(&mut self.members, 1);
                self.members.push(member.clone());
                self.members.len() as Slot - 1
            }
        };
        self.members[slot as usize] = member;
        self.regions[0].members += 1;
        let Self { index, members, .. } = self;
        index.insert(&peer, slot, |slot| &members[slot as usize].id);
        Ok(slot)
    }

    /// Gives up the slot of somebody who is no member and whom nobody lists.
    pub(super) fn leave_if_unused(&mut self, slot: Slot) {
        if self.is_member(slot) || self.at(slot).listed > 0 || !self.has(slot, TAKEN) {
            return;
        }
        self.set_region(slot, "");
        self.regions[0].members -= 1;
        let peer = self.at(slot).id;
        let Self { index, members, .. } = self;
        index.remove(&peer, slot, |slot| &members[slot as usize].id);
        self.members[slot as usize].flags = 0;
        self.free.push(slot);
    }

    pub(super) fn id(&self, slot: Slot) -> PeerId {
        self.at(slot).id
    }

    pub(super) fn version(&self, slot: Slot) -> u64 {
        self.at(slot).version
    }

    pub(super) fn set_version(&mut self, slot: Slot, version: u64) {
        self.members[slot as usize].version = version;
    }

    /// Enters a region's name; beyond the limit it counts as nameless.
    pub(super) fn set_region(&mut self, slot: Slot, name: &str) {
        let old = usize::from(self.at(slot).region);
        self.regions[old].members = self.regions[old].members.saturating_sub(1);
        let known = self.regions.iter().position(|region| region.name == name);
        let number = known.unwrap_or_else(|| self.new_region(name));
        self.regions[number].members += 1;
        self.members[slot as usize].region = number as u16;
    }

    fn new_region(&mut self, name: &str) -> usize {
        let region = Region { name: name.to_owned(), members: 0 };
        if let Some(unused) = self.regions.iter().skip(1).position(|region| region.members == 0) {
            self.regions[unused + 1] = region;
            unused + 1
        } else if self.regions.len() < REGIONS_MAX {
            self.regions.push(region);
            self.regions.len() - 1
        } else {
            0
        }
    }

    pub(super) fn status_at(&self, slot: Slot) -> Status {
        match self.at(slot).flags & STATUS {
            0 => Status::Alive,
            1 => Status::Suspect,
            _ => Status::Down,
        }
    }

    pub(super) fn set_status(&mut self, slot: Slot, status: Status) {
        self.flag(slot, |flags| flags & !STATUS | status as u8);
    }

    pub(super) fn has(&self, slot: Slot, flag: u8) -> bool {
        self.at(slot).flags & flag != 0
    }

    /// Sets or clears a flag; true if that changed it.
    pub(super) fn set(&mut self, slot: Slot, flag: u8, on: bool) -> bool {
        let was = self.has(slot, flag);
        self.flag(slot, |flags| if on { flags | flag } else { flags & !flag });
        was != on
    }

    pub(super) fn is_member(&self, slot: Slot) -> bool {
        self.has(slot, LEARNED | RECORD)
    }

    /// The cells of whom the slot's record lists, or listed until shortly ago, ascending by slot.
    pub(super) fn list(&self, slot: Slot) -> &[u32] {
        self.lists.get(self.at(slot).list)
    }

    pub(super) fn set_list(&mut self, slot: Slot, cells: &[u32]) {
        self.lists.set(&mut self.members[slot as usize].list, cells);
    }

    /// The cell for `neighbor` in the owner's list.
    pub(super) fn cell_mut(&mut self, owner: Slot, neighbor: Slot) -> Option<&mut u32> {
        let cells = self.lists.get_mut(self.members[owner as usize].list);
        let found = cells.binary_search_by_key(&neighbor, |cell| cell & SLOT_MASK).ok()?;
        Some(&mut cells[found])
    }

    /// Counts one list more, or one less, that the slot stands in.
    pub(super) fn count_listing(&mut self, slot: Slot, more: bool) {
        let listed = &mut self.members[slot as usize].listed;
        *listed = if more { *listed + 1 } else { *listed - 1 };
    }

    fn at(&self, slot: Slot) -> &Member {
        &self.members[slot as usize]
    }

    /// Changes flags and keeps the counts right.
    fn flag(&mut self, slot: Slot, change: impl FnOnce(u8) -> u8) {
        if let Some(status) = self.counted_as(slot) {
            *self.counts.of(status) -= 1;
        }
        let flags = &mut self.members[slot as usize].flags;
        *flags = change(*flags);
        if let Some(status) = self.counted_as(slot) {
            *self.counts.of(status) += 1;
        }
    }

    fn counted_as(&self, slot: Slot) -> Option<Status> {
        (self.is_member(slot) && !self.has(slot, GONE)).then(|| self.status_at(slot))
    }
}

/// Makes room for `more` items by an eighth of what is there: at most an eighth is ever unused, and an item is still
/// moved only eight times on average.
pub(super) fn grow<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() < more {
        items.reserve_exact((items.len() / 8).max(more));
    }
}

/// Where a member's status stands among its flags.
const STATUS: u8 = 0b11;
/// What one member takes without its list and its share of the index, in bytes.
pub const MEMBER_BYTES: usize = 56;

const _: () = assert!(size_of::<Member>() == MEMBER_BYTES, "the roster stays packed");
const _: () = assert!(MEMBERS_MAX < SLOT_MASK as usize, "every slot fits its bits, and none looks like an empty cell");
const _: () = assert!(REGIONS_MAX <= u16::MAX as usize, "a region's number fits its field");

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u32) -> PeerId {
        PeerId::from_public_key(std::array::from_fn(|i| (n >> (8 * (i % 4))) as u8))
    }

    #[test]
    fn counts_follow_every_change_of_a_member() {
        let mut roster = Roster::new(1);
        let slot = roster.enter(peer(1)).unwrap();
        assert_eq!(roster.counts(), Counts::default(), "who is only listed is no member");
        roster.set(slot, LEARNED, true);
        roster.set_status(slot, Status::Suspect);
        assert_eq!(roster.counts(), Counts { suspect: 1, ..Counts::default() });
        roster.set_status(slot, Status::Down);
        assert_eq!(roster.counts(), Counts { down: 1, ..Counts::default() });
        roster.set(slot, GONE, true);
        assert_eq!(roster.counts().known(), 0);
    }

    #[test]
    fn a_slot_is_given_up_when_nobody_needs_it_and_used_again() {
        let mut roster = Roster::new(1);
        let slot = roster.enter(peer(1)).unwrap();
        roster.set(slot, RECORD, true);
        roster.leave_if_unused(slot);
        assert_eq!(roster.slot(&peer(1)), Some(slot));
        roster.set(slot, RECORD, false);
        roster.leave_if_unused(slot);
        assert_eq!(roster.slot(&peer(1)), None);
        assert_eq!(roster.enter(peer(2)), Ok(slot));
    }

    #[test]
    fn a_roster_takes_no_more_than_its_limit() {
        let mut roster = Roster::new(1);
        for n in 0..MEMBERS_MAX as u32 {
            roster.enter(peer(n)).unwrap();
        }
        assert_eq!(roster.enter(peer(u32::MAX)), Err(Rejected::OverLimit));
        assert!(roster.enter(peer(0)).is_ok(), "who is there already may stay");
    }

    #[test]
    fn names_of_regions_are_kept_once_and_bounded() {
        let mut roster = Roster::new(1);
        for n in 0..2 * REGIONS_MAX as u32 {
            let slot = roster.enter(peer(n)).unwrap();
            roster.set(slot, LEARNED, true);
            roster.set_region(slot, &format!("r{}", n / 2));
        }
        assert_eq!(roster.region(&peer(3)), Some("r1"));
        assert_eq!(roster.region(&peer(2 * REGIONS_MAX as u32 - 1)), Some(""), "one name too many");
        assert_eq!(roster.regions.len(), REGIONS_MAX);
        for (n, name) in [(0, "early"), (1, "moved"), (5, "late")] {
            let slot = roster.enter(peer(n)).unwrap();
            roster.set_region(slot, name);
        }
        let of = |n| roster.region(&peer(n)).unwrap();
        assert_eq!([of(0), of(1), of(5)], ["", "moved", ""], "only a name that nobody bears any more makes room");
    }
}
