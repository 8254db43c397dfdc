//! What neighbors say to each other to find out what differs.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::sketch::{Cell, Symbol};
use super::tree::{BUCKETS, BUCKETS_PER_GROUP, GROUPS, Hash, bucket_of};
use crate::limits::{SKETCH_CELLS_MAX, SYNC_ITEMS_MAX, SYNC_PARTS_MAX};
use crate::{ItemId, Rejected};

/// One message of a reconciliation. Rounds over the sketch use the first four, full syncs the others.
///
/// ```text
///  A                                  B            A                                  B
///  | Summary                          |            | Groups                           |
///  |--------------------------------->|            |--------------------------------->|
///  |                            Cells |            |                          Buckets |
///  |<---------------------------------|            |<---------------------------------|
///  | MoreCells (until they suffice)   |            | Items (until all are told)       |
///  |--------------------------------->|            |--------------------------------->|
///  |                            Cells |            |             WantItems, and gives |
///  |<---------------------------------|            |<---------------------------------|
///  | Want, and gives                  |            | gives                            |
///  |--------------------------------->|            |--------------------------------->|
///  |                            gives |
///  |<---------------------------------|
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub enum Message {
    /// What the sender holds, in short: said every now and then. Whose root differs answers with its cells.
    Summary {
        /// The sender's root.
        root: [u8; 32],
        /// How many items it holds. Only a hint: how many cells are told at first follows from it.
        items: u32,
        /// Whether the sender has told the receiver no root before, since it was started or the link came up: what the
        /// receiver still waits for in a round or full sync with an earlier life of it will not come.
        fresh: bool,
    },
    /// Coded cells of the sender's sketch.
    Cells {
        /// The sender's root, of the very set that the cells are of.
        root: [u8; 32],
        /// The index of the first cell.
        start: u16,
        /// The cells.
        cells: Vec<Cell>,
    },
    /// Asks for the cells from `start` on. If the set has changed since, the answer begins at zero.
    MoreCells {
        /// The root that the cells until `start` came with.
        root: [u8; 32],
        /// How many cells the sender has.
        start: u16,
    },
    /// Asks for the items with these symbols, ascending.
    Want(Vec<Symbol>),
    /// Begins a full sync: the sketch has failed. The answer is `Buckets`, or `Busy`.
    Groups {
        /// The sender's root.
        root: [u8; 32],
        /// The hashes of all its groups.
        hashes: Vec<Hash>,
    },
    /// The buckets of those groups that differ.
    Buckets {
        /// The sender's root.
        root: [u8; 32],
        /// One bit for each group that differs.
        groups: u32,
        /// All buckets of these groups, in order.
        buckets: Vec<BucketSummary>,
    },
    /// What the sender holds in buckets that differ. The receiver gives what is missing in them, and answers with
    /// `WantItems`, be it empty.
    Items {
        /// The parts of the set that are told, ascending.
        parts: Vec<Part>,
        /// Whether these are the last ones of this sync.
        last: bool,
    },
    /// Asks for these items, ascending, out of those that were listed.
    WantItems(Vec<ItemId>),
    /// The sender serves as many full syncs as it may; ask again later.
    Busy,
}

/// One bucket in short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct BucketSummary {
    /// The hash over its items.
    pub hash: Hash,
    /// How many there are.
    pub items: u32,
}

/// All items that the sender holds in a part of a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Part {
    /// The number of the bucket: the first ten bits of its items.
    pub bucket: u16,
    /// Where the part starts (exclusive); `None`: at the bucket's beginning.
    pub after: Option<ItemId>,
    /// Where it ends (inclusive); `None`: at the bucket's end.
    pub until: Option<ItemId>,
    /// The items, ascending.
    pub items: Vec<ItemId>,
}

impl Part {
    /// Where the part starts and ends: comparable across buckets.
    pub(super) fn bounds(&self) -> ((u16, Option<ItemId>), (u16, Option<ItemId>)) {
        // `None` is below every item, which suits the start; an end without an item is the next bucket's start.
        let end = if self.until.is_some() { (self.bucket, self.until) } else { (self.bucket + 1, None) };
        ((self.bucket, self.after), end)
    }

    fn is_sound(&self) -> bool {
        if usize::from(self.bucket) >= BUCKETS {
            return false;
        }
        let within = |item: &ItemId| bucket_of(item) == usize::from(self.bucket);
        let (start, end) = self.bounds();
        self.after.iter().chain(&self.until).chain(&self.items).all(within)
            && start < end
            && ascending(&self.items)
            && self.items.first().is_none_or(|first| self.after < Some(*first))
            && self.items.last().is_none_or(|last| self.until.is_none_or(|until| *last <= until))
    }
}

impl Message {
    /// Checks the form: everything that can be judged without knowing what was said before.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] for more than a limit allows, [`Rejected::Malformed`] for what no node would say.
    pub fn check(&self) -> Result<(), Rejected> {
        match self {
            Message::Summary { .. } | Message::Busy => Ok(()),
            Message::Cells { start, cells, .. } => {
                within(usize::from(*start) + cells.len(), SKETCH_CELLS_MAX)?;
                sound(!cells.is_empty())
            }
            Message::MoreCells { start, .. } => {
                within(usize::from(*start) + 1, SKETCH_CELLS_MAX)?;
                sound(*start > 0)
            }
            Message::Want(symbols) => {
                within(symbols.len(), SKETCH_CELLS_MAX)?;
                sound(!symbols.is_empty() && ascending(symbols))
            }
            Message::Groups { hashes, .. } => sound(hashes.len() == GROUPS),
            Message::Buckets { groups, buckets, .. } => {
                sound(buckets.len() == groups.count_ones() as usize * BUCKETS_PER_GROUP)
            }
            Message::Items { parts, .. } => {
                within(parts.len(), SYNC_PARTS_MAX)?;
                within(parts.iter().map(|part| part.items.len()).sum(), SYNC_ITEMS_MAX)?;
                sound(parts.iter().all(Part::is_sound))?;
                sound(parts.windows(2).all(|pair| pair[0].bounds().1 <= pair[1].bounds().0))
            }
            Message::WantItems(items) => {
                within(items.len(), SYNC_ITEMS_MAX)?;
                sound(ascending(items))
            }
        }
    }
}

fn ascending<T: Ord>(list: &[T]) -> bool {
    list.windows(2).all(|pair| pair[0] < pair[1])
}

fn within(count: usize, max: usize) -> Result<(), Rejected> {
    if count <= max { Ok(()) } else { Err(Rejected::OverLimit) }
}

fn sound(is: bool) -> Result<(), Rejected> {
    if is { Ok(()) } else { Err(Rejected::Malformed) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CONTROL_MESSAGE_BYTES_MAX;
    use crate::wire::codec::{decode_message, encode_message};
    use proptest::prelude::*;

    const ROOT: [u8; 32] = [7; 32];

    fn item(bucket: u16, low: u8) -> ItemId {
        let top = (bucket << 6).to_be_bytes();
        ItemId(std::array::from_fn(|i| if i < 2 { top[i] } else { low }))
    }

    fn part(bucket: u16, items: &[u8]) -> Part {
        let items = items.iter().map(|low| item(bucket, *low)).collect();
        Part { bucket, after: None, until: None, items }
    }

    fn items(parts: Vec<Part>) -> Message {
        Message::Items { parts, last: true }
    }

    #[test]
    fn every_bad_form_has_its_name() {
        let cell = Cell::default();
        let empty = BucketSummary { hash: [0; 16], items: 0 };
        let max = SKETCH_CELLS_MAX;
        let (malformed, over) = (Err(Rejected::Malformed), Err(Rejected::OverLimit));
        let cells = |start: usize, count| Message::Cells { root: ROOT, start: start as u16, cells: vec![cell; count] };
        let more = |start: usize| Message::MoreCells { root: ROOT, start: start as u16 };
        let symbols = |count: usize| (0..count).map(|n| Symbol((n as u64).to_be_bytes())).collect::<Vec<_>>();
        let ids = |count: usize| (0..count).map(|n| ItemId((n as u128).to_be_bytes())).collect::<Vec<_>>();
        let split = |after, until, held: &[u8]| Part { after, until, ..part(5, held) };
        let at = |low| Some(item(5, low));
        for (message, expected) in [
            (Message::Summary { root: ROOT, items: u32::MAX, fresh: true }, Ok(())),
            (cells(0, 1), Ok(())),
            (cells(0, max), Ok(())),
            (cells(0, 0), malformed),
            (cells(0, max + 1), over),
            (cells(max, 1), over),
            (cells(65_535, 1), over),
            (more(1), Ok(())),
            (more(0), malformed),
            (more(max), over),
            (Message::Want(symbols(max)), Ok(())),
            (Message::Want(symbols(max + 1)), over),
            (Message::Want(vec![]), malformed),
            (Message::Want(vec![Symbol([1; 8]); 2]), malformed),
            (Message::Groups { root: ROOT, hashes: vec![[0; 16]; 32] }, Ok(())),
            (Message::Groups { root: ROOT, hashes: vec![[0; 16]; 31] }, malformed),
            (Message::Buckets { root: ROOT, groups: 0, buckets: vec![] }, Ok(())),
            (Message::Buckets { root: ROOT, groups: 5, buckets: vec![empty; 64] }, Ok(())),
            (Message::Buckets { root: ROOT, groups: 5, buckets: vec![empty; 63] }, malformed),
            (items(vec![]), Ok(())),
            (items(vec![part(5, &[1, 2]), part(6, &[])]), Ok(())),
            (items(vec![split(None, at(3), &[3]), split(at(3), None, &[4])]), Ok(())),
            (items(vec![part(5, &[2, 1])]), malformed),
            (items(vec![part(5, &[1, 1])]), malformed),
            (items(vec![part(6, &[]), part(5, &[])]), malformed),
            (items(vec![part(5, &[]), part(5, &[])]), malformed),
            (items(vec![part(1024, &[])]), malformed),
            (items(vec![part(65_535, &[])]), malformed),
            (items(vec![Part { bucket: 5, ..part(6, &[1]) }]), malformed),
            (items(vec![split(at(3), None, &[3])]), malformed),
            (items(vec![split(None, at(3), &[4])]), malformed),
            (items(vec![split(at(3), at(3), &[])]), malformed),
            (items(vec![split(at(3), at(2), &[])]), malformed),
            (items(vec![split(None, at(3), &[]), split(at(2), None, &[])]), malformed),
            (items(vec![Part { items: ids(SYNC_ITEMS_MAX + 1), ..part(0, &[]) }]), over),
            (items(vec![part(0, &[]); SYNC_PARTS_MAX + 1]), over),
            (Message::WantItems(ids(SYNC_ITEMS_MAX)), Ok(())),
            (Message::WantItems(ids(SYNC_ITEMS_MAX + 1)), over),
            (Message::WantItems(vec![item(1, 1); 2]), malformed),
            (Message::Busy, Ok(())),
        ] {
            assert_eq!(message.check(), expected, "{message:?}");
        }
    }

    #[test]
    fn the_longest_messages_fit() {
        let all = |count: usize| (0..count).map(|n| ItemId([n as u8; 16])).collect::<Vec<_>>();
        let widest = Part { bucket: 1023, after: Some(item(0, 0)), until: Some(item(0, 0)), items: all(2) };
        for message in [
            Message::Cells { root: ROOT, start: 0, cells: vec![Cell::default(); SKETCH_CELLS_MAX] },
            Message::Want(vec![Symbol([1; 8]); SKETCH_CELLS_MAX]),
            Message::Buckets {
                root: ROOT,
                groups: u32::MAX,
                buckets: vec![BucketSummary { hash: [1; 16], items: u32::MAX }; BUCKETS],
            },
            items(vec![widest; SYNC_PARTS_MAX]),
            Message::WantItems(all(SYNC_ITEMS_MAX)),
        ] {
            let bytes = encode_message(&message);
            assert!(bytes.len() < CONTROL_MESSAGE_BYTES_MAX, "{} bytes", bytes.len());
            assert!(decode_message(&bytes) == Ok(message), "what was encoded decodes");
        }
    }

    #[test]
    fn a_cell_is_ten_bytes_on_the_wire() {
        let length = |cells| encode_message(&Message::Cells { root: ROOT, start: 0, cells }).len();
        assert_eq!(length(vec![Cell::default(); 11]) - length(vec![Cell::default(); 1]), 100);
    }

    proptest! {
        #[test]
        fn garbage_is_rejected_or_checked_but_never_panics(bytes: Vec<u8>) {
            if let Ok(message) = decode_message::<Message>(&bytes) {
                let _ = message.check();
            }
        }
    }
}
