//! From peer id to slot: a hash table of four bytes a cell.
//!
//! Linear probing with backward-shift deletion (Knuth, The Art of Computer Programming 3, 6.4, algorithms L and R). The
//! hash is SipHash under a key of this node's own, so nobody can choose identities that fall on one cell; nothing is
//! ever listed in the table's order, so the key changes no verdict.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::roster::{SLOT_BITS, SLOT_MASK, Slot};
use crate::PeerId;
use crate::rng::Rng;

/// The table: which slot a peer's entry lies in.
#[derive(Debug)]
pub(super) struct Index {
    /// A slot, and above it the hash's first twelve bits, which spare most looks at the entry itself.
    cells: Vec<u32>,
    used: usize,
    key: (u64, u64),
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::from_seed(seed);
        Self { cells: vec![EMPTY; CELLS_MIN], used: 0, key: (rng.next_u64(), rng.next_u64()) }
    }

    /// The peer's slot; `id_of` tells whose a slot is.
    pub(super) fn find<'a>(&self, peer: &PeerId, id_of: impl Fn(Slot) -> &'a PeerId) -> Option<Slot> {
        let hash = self.hash(peer);
        let mut at = self.home(hash);
        loop {
            let cell = self.cells[at];
            if cell == EMPTY {
                return None;
            }
            if cell & !SLOT_MASK == fingerprint(hash) && id_of(cell & SLOT_MASK) == peer {
                return Some(cell & SLOT_MASK);
            }
            at = self.after(at);
        }
    }

    /// Adds a peer that is not there yet.
    pub(super) fn insert<'a>(&mut self, peer: &PeerId, slot: Slot, id_of: impl Fn(Slot) -> &'a PeerId) {
        if (self.used + 1) * 4 > self.cells.len() * 3 {
            let doubled = vec![EMPTY; self.cells.len() * 2];
            let old = std::mem::replace(&mut self.cells, doubled);
            for cell in old.into_iter().filter(|cell| *cell != EMPTY) {
                self.place(self.hash(id_of(cell & SLOT_MASK)), cell & SLOT_MASK);
            }
        }
        self.place(self.hash(peer), slot);
        self.used += 1;
    }

    /// Takes out a peer that is there, and moves up whoever had to step aside for it.
    pub(super) fn remove<'a>(&mut self, peer: &PeerId, slot: Slot, id_of: impl Fn(Slot) -> &'a PeerId) {
        let mut hole = self.home(self.hash(peer));
        while self.cells[hole] & SLOT_MASK != slot || self.cells[hole] == EMPTY {
            assert_ne!(self.cells[hole], EMPTY, "BUG: who is taken out is in the table");
            hole = self.after(hole);
        }
        self.used -= 1;
        let mask = self.cells.len() - 1;
        let mut at = self.after(hole);
        while self.cells[at] != EMPTY {
            let home = self.home(self.hash(id_of(self.cells[at] & SLOT_MASK)));
            // It may fill the hole unless its home lies behind the hole.
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.cells[hole] = self.cells[at];
                hole = at;
            }
            at = self.after(at);
        }
        self.cells[hole] = EMPTY;
    }

    fn place(&mut self, hash: u64, slot: Slot) {
        let mut at = self.home(hash);
        while self.cells[at] != EMPTY {
            at = self.after(at);
        }
        self.cells[at] = fingerprint(hash) | slot;
    }

    fn home(&self, hash: u64) -> usize {
        hash as usize & (self.cells.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.cells.len() - 1)
    }

    fn hash(&self, peer: &PeerId) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.key.0, self.key.1);
        hasher.write(peer.as_bytes());
        hasher.finish()
    }
}

fn fingerprint(hash: u64) -> u32 {
    ((hash >> 52) as u32) << SLOT_BITS
}

/// No slot: its slot part lies beyond every real one.
const EMPTY: u32 = u32::MAX;
/// Cells of an empty table; always a power of two.
const CELLS_MIN: usize = 16;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn peer(n: usize) -> PeerId {
        PeerId::from_public_key(std::array::from_fn(|i| (n >> (8 * (i % 4))) as u8))
    }

    #[test]
    fn the_index_agrees_with_a_map_whatever_comes_and_goes() {
        let mut rng = Rng::from_seed(7);
        let peers: Vec<PeerId> = (0..300).map(peer).collect();
        let id_of = |slot: Slot| &peers[slot as usize];
        let (mut index, mut map) = (Index::new(1), BTreeMap::new());
        for _ in 0..20_000 {
            let slot = rng.below(peers.len()) as Slot;
            let peer = &peers[slot as usize];
            if map.remove(peer).is_some() {
                index.remove(peer, slot, id_of);
            } else {
                map.insert(*peer, slot);
                index.insert(peer, slot, id_of);
            }
            let asked = peers[rng.below(peers.len())];
            assert_eq!(index.find(&asked, id_of), map.get(&asked).copied());
        }
    }
}
