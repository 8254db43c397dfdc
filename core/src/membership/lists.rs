//! Everybody's list of neighbors in one slab of four-byte cells.
//!
//! A list has room for a multiple of [`STEP`] cells. Room that is given back waits in a chain for lists of its size, the
//! chain's links standing in the free cells themselves, so that the slab needs nothing beside it.

use super::roster::grow;
use crate::limits::LINKS_PER_NODE_MAX;

/// Where a list lies in the slab.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct List {
    at: u32,
    len: u8,
    /// Steps of room.
    room: u8,
}

/// The slab.
#[derive(Debug)]
pub(super) struct Lists {
    cells: Vec<u32>,
    /// The first free room of each size.
    free: [u32; ROOMS],
}

impl Lists {
    pub(super) fn new() -> Self {
        Self { cells: Vec::new(), free: [NONE; ROOMS] }
    }

    pub(super) fn get(&self, list: List) -> &[u32] {
        &self.cells[list.at as usize..list.at as usize + usize::from(list.len)]
    }

    pub(super) fn get_mut(&mut self, list: List) -> &mut [u32] {
        &mut self.cells[list.at as usize..list.at as usize + usize::from(list.len)]
    }

    /// Makes `list` hold `items`, at most [`CELLS_MAX`] of them.
    pub(super) fn set(&mut self, list: &mut List, items: &[u32]) {
        let room = items.len().div_ceil(STEP);
        if room != usize::from(list.room) {
            self.give_back(*list);
            *list = List { at: self.take(room), len: 0, room: room as u8 };
        }
        list.len = items.len() as u8;
        self.get_mut(*list).copy_from_slice(items);
    }

    fn take(&mut self, room: usize) -> u32 {
        if room == 0 {
            return 0;
        }
        let at = self.free[room];
        if at != NONE {
            self.free[room] = self.cells[at as usize];
            return at;
        }
        let at = self.cells.len();
        grow(&mut self.cells, room * STEP);
        self.cells.resize(at + room * STEP, 0);
        at as u32
    }

    fn give_back(&mut self, list: List) {
        if list.room > 0 {
            self.cells[list.at as usize] = self.free[usize::from(list.room)];
            self.free[usize::from(list.room)] = list.at;
        }
    }
}

/// The longest list: as many neighbors as a record may list, and as many that it listed until shortly ago.
pub(super) const CELLS_MAX: usize = 2 * LINKS_PER_NODE_MAX;
/// Cells by which the room of lists differs.
const STEP: usize = 4;
/// Sizes of room, the empty one included.
const ROOMS: usize = CELLS_MAX.div_ceil(STEP) + 1;
const _: () = assert!(CELLS_MAX <= u8::MAX as usize, "a list's length fits its field");
/// The end of a chain.
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    #[test]
    fn lists_keep_what_they_hold_while_others_change() {
        let mut rng = Rng::from_seed(3);
        let (mut lists, mut held) = (Lists::new(), vec![(List::default(), Vec::new()); 50]);
        for round in 0..5000u32 {
            let at = rng.below(held.len());
            let items: Vec<u32> = (0..rng.below(CELLS_MAX + 1) as u32).map(|i| round * 1000 + i).collect();
            lists.set(&mut held[at].0, &items);
            held[at].1 = items;
            assert!(held.iter().all(|(list, items)| lists.get(*list) == items), "round {round}");
        }
    }

    #[test]
    fn room_that_was_given_back_is_used_again() {
        let (mut lists, mut list) = (Lists::new(), List::default());
        for _ in 0..100 {
            lists.set(&mut list, &[1; 8]);
            lists.set(&mut list, &[1; 16]);
            lists.set(&mut list, &[]);
        }
        assert_eq!(lists.cells.len(), 24);
    }
}
