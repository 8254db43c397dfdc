//! A sketch of a set, in which only the difference of two sets costs anything: a rateless invertible Bloom lookup table
//! (Yang, Gilad, Alizadeh, Practical Rateless Set Reconciliation, SIGCOMM 2024).
//!
//! A set stands for an endless sequence of coded cells. Item by item, cell `i` takes it in with probability `1/(1+i/2)`,
//! at indices that follow from the item alone; a cell is the XOR of what it took in. Subtracting two sketches cell by
//! cell leaves the sketch of the difference, and a prefix of it, somewhat longer than the difference is large, gives the
//! difference back: a cell that holds one item names it, and taking that item out of its other cells leaves more such
//! cells ("peeling").
//!
//! Unlike the paper's, a cell has no count. That it holds a single item shows in its checksum, and in that this item
//! belongs into that cell; on which side the item is, in whether this node has it. The checksum is short, so that a cell
//! is. A chance match (one in 2^16, times the probability that the item belongs there) can cost further cells, or a full
//! sync, but makes no wrong difference: what is found twice cancels out, peeling counts only if every cell is empty in the
//! end, and then the cells are those of the items found.
//!
//! A sketch proves nothing: two items with the same symbol cancel out, so whoever can make items can hide one (finding
//! such a pair takes about 2^32 hashes). Items whose indices leave out nearly all cells are cheaper to find and make a
//! difference undecodable. Therefore the fingerprint ([`super::tree`]) has the last word.
//!
//! The indices are drawn with `f64`, but only through conversions and operations that IEEE 754 rounds exactly: every
//! platform draws the same.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ItemId;
use crate::limits::{SKETCH_CELLS_FIRST, SKETCH_CELLS_MAX};

/// What a sketch knows of an item: its first 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode)]
pub struct Symbol(pub [u8; 8]);

impl Symbol {
    /// The symbol of `item`.
    pub fn of(item: &ItemId) -> Self {
        Self(std::array::from_fn(|i| item.0[i]))
    }
}

/// One coded cell: the XOR of symbols, and of their checksums. 10 bytes on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Cell {
    symbol: [u8; 8],
    check: [u8; 2],
}

impl Cell {
    const EMPTY: Cell = Cell { symbol: [0; 8], check: [0; 2] };

    fn toggle(&mut self, other: &Cell) {
        self.symbol = (u64::from_ne_bytes(self.symbol) ^ u64::from_ne_bytes(other.symbol)).to_ne_bytes();
        self.check = (u16::from_ne_bytes(self.check) ^ u16::from_ne_bytes(other.check)).to_ne_bytes();
    }

    /// Whether one symbol alone would look like this.
    fn is_pure(&self) -> bool {
        *self != Cell::EMPTY && *self == Coded::new(Symbol(self.symbol)).cell
    }

    /// The symbol that is alone in this cell, which has the index `at`.
    fn single(&self, at: usize) -> Option<Coded> {
        let coded = Coded::new(Symbol(self.symbol));
        (*self != Cell::EMPTY && *self == coded.cell && coded.belongs(at)).then_some(coded)
    }
}

/// The first [`SKETCH_CELLS_MAX`] coded cells of a set, kept up to date as it changes.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    cells: Vec<Cell>,
}

impl Sketch {
    pub(super) fn new() -> Self {
        Self { cells: vec![Cell::EMPTY; SKETCH_CELLS_MAX] }
    }

    /// Puts `symbol` in, or takes it out: that is the same.
    pub(super) fn toggle(&mut self, symbol: Symbol) {
        Coded::new(symbol).toggle(&mut self.cells, |_, _| ());
    }

    /// Takes one symbol out and puts another in. Where a symbol goes next is only known when it is known where it goes
    /// first, which is what a processor waits for: of two at once it waits for both together.
    pub(super) fn replace(&mut self, gone: Symbol, new: Symbol) {
        let (gone, new) = (Coded::new(gone), Coded::new(new));
        for (one, other) in gone.indices().zip(new.indices()) {
            if one.min(other) >= self.cells.len() {
                return;
            }
            for (index, coded) in [(one, &gone), (other, &new)] {
                if let Some(cell) = self.cells.get_mut(index) {
                    cell.toggle(&coded.cell);
                }
            }
        }
    }

    /// The cells from `start` to before `end`.
    pub(super) fn cells(&self, start: usize, end: usize) -> &[Cell] {
        &self.cells[start..end]
    }

    /// The symbols that are in one of two sets only, ascending: this one, and the one whose first coded cells are
    /// `theirs`. `None` if those are too few to tell, or no set's at all. At most as many symbols as cells.
    pub(super) fn difference(&self, theirs: &[Cell]) -> Option<Vec<Symbol>> {
        let mut cells = theirs.to_vec();
        for (cell, own) in cells.iter_mut().zip(&self.cells) {
            cell.toggle(own);
        }
        peel(cells)
    }
}

/// How many cells are known after the next answer, if `known` of them do not suffice: half as many again.
pub(super) fn next_end(known: usize) -> usize {
    (known + (known / 2).max(SKETCH_CELLS_FIRST / 2)).min(SKETCH_CELLS_MAX)
}

/// How many cells to tell at first, if the sets differ by at least `difference` items.
pub(super) fn first_end(difference: usize) -> usize {
    (difference + difference / 2).clamp(SKETCH_CELLS_FIRST, SKETCH_CELLS_MAX)
}

/// A symbol as the sketch sees it: its cell, and the seed of its indices.
struct Coded {
    cell: Cell,
    seed: u64,
}

impl Coded {
    /// Mixes with the finalizer of SplitMix64 (Steele, Lea, Flood, Fast Splittable Pseudorandom Number Generators, 2014),
    /// so that checksums of symbols do not add up as the symbols do.
    fn new(symbol: Symbol) -> Self {
        let mut z = u64::from_be_bytes(symbol.0).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        Self { cell: Cell { symbol: symbol.0, check: (z as u16).to_be_bytes() }, seed: z }
    }

    /// Puts the symbol into its cells, or takes it out, and tells `each` of the index and the new content.
    fn toggle(&self, cells: &mut [Cell], mut each: impl FnMut(usize, &Cell)) {
        for index in self.indices() {
            let Some(cell) = cells.get_mut(index) else { return };
            cell.toggle(&self.cell);
            each(index, cell);
        }
    }

    /// Whether the symbol is in the cell with this index.
    fn belongs(&self, at: usize) -> bool {
        self.indices().find(|index| *index >= at) == Some(at)
    }

    /// The indices of the cells that the symbol is in, ascending, without end.
    fn indices(&self) -> impl Iterator<Item = usize> {
        let (mut index, mut state) = (0usize, self.seed | 1);
        std::iter::repeat_with(move || {
            let at = index;
            // A multiplicative generator (multiplier: Steele and Vigna, Computationally easy, spectrally good
            // multipliers, 2022), and the paper's inverse transform of its upper 52 bits. All but a multiplication of it
            // does not wait for the index, so a processor works several steps ahead.
            state = state.wrapping_mul(0xda94_2042_e4dd_58b5);
            let stretch = (1u64 << 26) as f64 / (((state >> 12) + 1) as i64 as f64).sqrt();
            index = index.saturating_add(((index as f64 + 1.5) * (stretch - 1.0)) as usize).saturating_add(1);
            at
        })
    }
}

/// Takes single symbols out of `cells` until nothing is left; `None` if something is.
fn peel(mut cells: Vec<Cell>) -> Option<Vec<Symbol>> {
    let mut found = Vec::new();
    let mut pure: Vec<usize> = (0..cells.len()).rev().filter(|&i| cells[i].is_pure()).collect();
    while let Some(index) = pure.pop() {
        let Some(coded) = cells[index].single(index) else { continue };
        // A difference has no more symbols than the cells that it is peeled from. A symbol in a cell where it does not
        // belong would go in and out of the others for ever.
        if found.len() == cells.len() {
            return None;
        }
        coded.toggle(&mut cells, |i, cell| {
            if cell.is_pure() {
                pure.push(i);
            }
        });
        found.push(Symbol(coded.cell.symbol));
    }
    found.sort_unstable();
    let odd = found.chunk_by(|a, b| a == b).filter(|same| same.len() % 2 == 1).map(|same| same[0]).collect();
    cells.iter().all(|cell| *cell == Cell::EMPTY).then_some(odd)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Rng;

    fn symbol(rng: &mut Rng) -> Symbol {
        Symbol(rng.next_u64().to_be_bytes())
    }

    #[test]
    fn a_symbol_is_in_cell_i_with_the_density_of_the_paper() {
        let mut rng = Rng::from_seed(1);
        let mut hits = [0u32; 200];
        let draws = 50_000;
        for _ in 0..draws {
            let mut cells = [Cell::EMPTY; 200];
            Coded::new(symbol(&mut rng)).toggle(&mut cells, |i, _| hits[i] += 1);
        }
        for (i, hits) in hits.iter().enumerate() {
            let expected = f64::from(draws) / (1.0 + i as f64 / 2.0);
            // The paper's transform is itself a few percent off at the first indices.
            let deviation = (f64::from(*hits) - expected).abs();
            assert!(deviation < 5.0 * expected.sqrt() + 0.05 * expected, "cell {i}: {hits} of {expected}");
        }
    }

    #[test]
    fn the_indices_of_a_symbol_are_the_same_everywhere() {
        let mut cells = [Cell::EMPTY; 256];
        let mut indices = Vec::new();
        Coded::new(Symbol(*b"prunella")).toggle(&mut cells, |i, _| indices.push(i));
        assert_eq!(indices, INDICES);
    }

    /// Told to every implementation that wants to speak with this one.
    const INDICES: &[usize] = &[0, 2, 3, 5, 8, 12, 14, 30, 39, 62, 81];

    #[test]
    fn no_symbol_looks_like_an_empty_cell() {
        assert_ne!(Coded::new(Symbol([0; 8])).cell, Cell::EMPTY);
        assert!(Coded::new(Symbol([0; 8])).cell.is_pure());
        assert!(!Cell::EMPTY.is_pure());
    }

    #[test]
    fn a_difference_is_found_exactly_or_not_at_all() {
        let mut rng = Rng::from_seed(2);
        for size in [0, 1, 2, 3, 10, 40, 300, 1400] {
            let (mut ours, mut theirs) = (Sketch::new(), Sketch::new());
            for _ in 0..500 {
                let both = symbol(&mut rng);
                ours.toggle(both);
                theirs.toggle(both);
            }
            let mut expected: Vec<_> = (0..size).map(|_| symbol(&mut rng)).collect();
            for (i, one) in expected.iter().enumerate() {
                if i % 3 == 0 { ours.toggle(*one) } else { theirs.toggle(*one) }
            }
            expected.sort_unstable();
            let mut end = SKETCH_CELLS_FIRST;
            let found = loop {
                if let Some(found) = ours.difference(theirs.cells(0, end)) {
                    break found;
                }
                assert!(end < SKETCH_CELLS_MAX, "{size} differences fit");
                end = next_end(end);
            };
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn to_replace_is_to_take_out_and_to_put_in() {
        let mut rng = Rng::from_seed(5);
        let (mut at_once, mut by_turns) = (Sketch::new(), Sketch::new());
        for _ in 0..1000 {
            let (gone, new) = (symbol(&mut rng), symbol(&mut rng));
            at_once.replace(gone, new);
            by_turns.toggle(gone);
            by_turns.toggle(new);
        }
        assert_eq!(at_once.cells, by_turns.cells);
    }

    #[test]
    fn random_cells_are_no_difference() {
        let mut rng = Rng::from_seed(3);
        let random =
            |rng: &mut Rng| Cell { symbol: rng.next_u64().to_be_bytes(), check: (rng.next_u64() as u16).to_be_bytes() };
        for _ in 0..200 {
            let cells: Vec<_> = (0..100).map(|_| random(&mut rng)).collect();
            assert_eq!(Sketch::new().difference(&cells), None);
        }
    }

    #[test]
    fn a_chance_match_of_a_checksum_makes_no_wrong_difference() {
        let mut rng = Rng::from_seed(4);
        let mut matches = 0;
        // Three symbols of which one cell holds two that look like a single other one.
        while matches < 20 {
            let (a, b) = (Coded::new(symbol(&mut rng)), Coded::new(symbol(&mut rng)));
            let mut sum = a.cell;
            sum.toggle(&b.cell);
            if sum.single(0).is_none() {
                continue;
            }
            matches += 1;
            let mut cells = vec![Cell::EMPTY; 64];
            let third = Coded::new(symbol(&mut rng));
            let mut expected: Vec<_> = [&a, &b, &third].map(|coded| Symbol(coded.cell.symbol)).into();
            [a, b, third].iter().for_each(|coded| coded.toggle(&mut cells, |_, _| ()));
            expected.sort_unstable();
            let found = peel(cells);
            assert!(found.is_none() || found == Some(expected), "{found:?}");
        }
    }

    #[test]
    fn a_symbol_in_a_foreign_cell_is_no_difference() {
        let lone = Coded::new(Symbol([7; 8])).cell;
        let mut cells = vec![Cell::EMPTY; 64];
        let mut elsewhere = (0..64).collect::<Vec<_>>();
        Coded::new(Symbol([7; 8])).toggle(&mut cells, |i, _| elsewhere.retain(|j| *j != i));
        for index in elsewhere {
            let mut cells = vec![Cell::EMPTY; 64];
            cells[index] = lone;
            assert_eq!(peel(cells), None);
        }
    }

    #[test]
    fn the_next_end_grows_until_the_sketch_is_told() {
        let mut known = SKETCH_CELLS_FIRST;
        let mut answers = 1;
        while known < SKETCH_CELLS_MAX {
            assert!(next_end(known) > known);
            known = next_end(known);
            answers += 1;
        }
        assert!(answers <= 16, "{answers} answers for a whole sketch");
    }
}
