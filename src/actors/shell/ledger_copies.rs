//! Copies of what neighbors wrote into their ledgers, in files: the newest entries of each, in two halves of which the
//! older one goes when the newer one is full.
//!
//! Each half is a log of its own, named by the number of its first entry. It is opened for each call and let go again: a
//! copy is written and read seldom, and a log that is open costs memory for each entry.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prunella_core::PeerId;
use prunella_core::ledger::{Copied, Entry};
use prunella_core::limits::{LEDGER_COPIES_MAX, LEDGER_COPY_BYTES_MAX, LEDGER_GIVE_BYTES_MAX};
use prunella_storage::log::{AnyLog, Log};

use crate::host::Host;

/// The copies that a node keeps of the ledgers of others. Every call blocks.
pub(super) struct LedgerCopies {
    host: Arc<dyn Host>,
    place: PathBuf,
    /// One at a time, for what is done to the files is not one step.
    turn: Mutex<()>,
}

/// One half of the copies of a ledger.
struct Half {
    first: u64,
    place: PathBuf,
}

impl LedgerCopies {
    /// Those in this directory.
    pub(super) fn new(host: Arc<dyn Host>, place: PathBuf) -> Self {
        Self { host, place, turn: Mutex::default() }
    }

    /// What there is of each ledger; what cannot be read is not told, and is copied again.
    pub(super) fn standing(&self) -> Vec<Copied> {
        let _turn = self.turn();
        let Ok(directory) = fs::read_dir(&self.place) else { return Vec::new() };
        let names = directory.filter_map(|found| found.ok()?.file_name().into_string().ok()?.parse::<PeerId>().ok());
        let mut standing: Vec<Copied> = names.filter_map(|ledger| self.newest(&ledger)).collect();
        standing.sort_by_key(|copied| copied.ledger);
        for surplus in standing.drain(LEDGER_COPIES_MAX.min(standing.len())..) {
            let _ = self.remove(&surplus.ledger);
        }
        standing
    }

    /// Appends entries of one ledger that follow each other; what there is of it then.
    ///
    /// # Errors
    /// The reason, if they are not durable.
    pub(super) fn append(&self, entries: &[Entry]) -> Result<Copied, String> {
        let _turn = self.turn();
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else { return Err("nothing".to_owned()) };
        let ledger = first.ledger;
        let mut halves = self.halves(&ledger);
        let mut log = match halves.last() {
            Some(half) => Some(self.open(&half.place)?),
            None => None,
        };
        let until = halves.last().zip(log.as_ref()).map_or(0, |(half, log)| half.first + log.len());
        if until > first.index {
            // It begins before the end of what there is: that is another history, or cannot be read.
            (log, halves) = (None, Vec::new());
            self.remove(&ledger).map_err(|error| error.to_string())?;
        }
        let is_full = |half: &Half| size(&half.place) >= LEDGER_COPY_BYTES_MAX / 2;
        let follows = until == first.index && !halves.last().is_none_or(is_full);
        let mut log = match log.filter(|_| follows) {
            Some(log) => log,
            None => {
                let place = self.place_of(&ledger).join(format!("{:016x}", first.index));
                let log = self.open(&place)?;
                halves.push(Half { first: first.index, place });
                log
            }
        };
        let bytes: Vec<Vec<u8>> = entries.iter().map(Entry::encode).collect();
        log.append(&bytes).map_err(|error| error.to_string())?;
        for old in &halves[..halves.len().saturating_sub(2)] {
            fs::remove_dir_all(&old.place).map_err(|error| error.to_string())?;
        }
        Ok(Copied { ledger, until: last.index + 1, last: last.hash() })
    }

    /// So many entries of a ledger from `first` on, as their bytes, as [`readable`] has them.
    pub(super) fn read(&self, ledger: &PeerId, first: u64, count: u64) -> (u64, Vec<Vec<u8>>) {
        let _turn = self.turn();
        let look = |half: Half| Some((half.first, Log::look(&half.place).ok()?.0));
        let halves: Vec<_> = self.halves(ledger).into_iter().filter_map(look).collect();
        readable(first, count, |index| {
            let (begin, log) = halves.iter().rev().find(|(begin, _)| *begin <= index)?;
            let bytes = log.read(index - begin).ok()?;
            Entry::decode(&bytes).is_ok_and(|entry| entry.index == index && entry.ledger == *ledger).then_some(bytes)
        })
    }

    /// Forgets a ledger.
    ///
    /// # Errors
    /// Those of the operating system.
    pub(super) fn forget(&self, ledger: &PeerId) -> io::Result<()> {
        let _turn = self.turn();
        self.remove(ledger)
    }

    fn remove(&self, ledger: &PeerId) -> io::Result<()> {
        match fs::remove_dir_all(self.place_of(ledger)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }

    /// How far the copies of a ledger go; `None` if that cannot be read.
    fn newest(&self, ledger: &PeerId) -> Option<Copied> {
        let half = self.halves(ledger).pop()?;
        let (log, _) = Log::look(&half.place).ok()?;
        let last = log.len().checked_sub(1)?;
        let entry = Entry::decode(&log.read(last).ok()?).ok()?;
        let is_it = entry.ledger == *ledger && entry.index == half.first + last;
        is_it.then(|| Copied { ledger: *ledger, until: entry.index + 1, last: entry.hash() })
    }

    /// The halves of a ledger's copies, the newest last.
    fn halves(&self, ledger: &PeerId) -> Vec<Half> {
        let Ok(directory) = fs::read_dir(self.place_of(ledger)) else { return Vec::new() };
        let half = |found: io::Result<fs::DirEntry>| {
            let found = found.ok()?;
            let first = u64::from_str_radix(found.file_name().to_str()?, 16).ok()?;
            Some(Half { first, place: found.path() })
        };
        let mut halves: Vec<Half> = directory.filter_map(half).collect();
        halves.sort_by_key(|half| half.first);
        halves
    }

    fn open(&self, place: &Path) -> Result<AnyLog, String> {
        self.host.open_log(place).map(|(log, _)| log).map_err(|error| error.to_string())
    }

    fn place_of(&self, ledger: &PeerId) -> PathBuf {
        self.place.join(ledger.to_string())
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many entries from `first` on that follow each other, as far as they can be read and fit into one answer: from the
/// first one that can be read, with its number.
pub(super) fn readable(first: u64, count: u64, read: impl Fn(u64) -> Option<Vec<u8>>) -> (u64, Vec<Vec<u8>>) {
    let mut room = LEDGER_GIVE_BYTES_MAX;
    let mut begin = first;
    let mut entries = Vec::new();
    for index in first..first.saturating_add(count) {
        match read(index) {
            Some(bytes) if bytes.len() <= room => {
                room -= bytes.len();
                entries.push(bytes);
            }
            None if entries.is_empty() => begin = index + 1,
            _ => break,
        }
    }
    (if entries.is_empty() { first } else { begin }, entries)
}

/// Bytes of all files in a directory.
fn size(place: &Path) -> u64 {
    let Ok(directory) = fs::read_dir(place) else { return 0 };
    directory.filter_map(|found| Some(found.ok()?.metadata().ok()?.len())).sum()
}

#[cfg(test)]
mod tests {
    use prunella_core::identity::Identity;
    use prunella_core::ledger::{Event, Ledger};

    use super::*;
    use crate::host::Machine;

    fn written(count: u64, text: usize) -> Vec<Entry> {
        let mut ledger = Ledger::new(Identity::from_secret(&[1; 32]).peer());
        let entry = |i: u64| {
            let entry = ledger.next(&Event::Started { version: format!("{i} {}", "x".repeat(text)) }, i);
            ledger.push(&entry).unwrap();
            entry
        };
        (0..count).map(entry).collect()
    }

    fn copies() -> (tempfile::TempDir, LedgerCopies) {
        let home = tempfile::tempdir().unwrap();
        let copies = LedgerCopies::new(Machine::shared(), home.path().join("copies"));
        (home, copies)
    }

    fn read(copies: &LedgerCopies, first: u64, count: u64) -> (u64, Vec<Entry>) {
        let owner = Identity::from_secret(&[1; 32]).peer();
        let (first, bytes) = copies.read(&owner, first, count);
        (first, bytes.iter().map(|bytes| Entry::decode(bytes).unwrap()).collect())
    }

    #[test]
    fn what_was_copied_is_there_again_and_the_newest_is_told() {
        let (home, copies) = copies();
        let entries = written(20, 10);
        assert_eq!((copies.standing(), read(&copies, 0, 9)), (vec![], (0, vec![])));
        copies.append(&entries[3..9]).unwrap();
        let told = copies.append(&entries[9..20]).unwrap();
        assert_eq!((told.until, told.last), (20, entries[19].hash()));
        let again = LedgerCopies::new(Machine::shared(), home.path().join("copies"));
        assert_eq!(again.standing(), [told]);
        assert_eq!(read(&again, 5, 10), (5, entries[5..15].to_vec()));
        assert_eq!(read(&again, 0, 10), (3, entries[3..10].to_vec()), "what there is of it");
        assert_eq!(read(&again, 18, 10), (18, entries[18..].to_vec()));
        again.forget(&told.ledger).unwrap();
        assert_eq!(again.standing(), []);
    }

    #[test]
    fn the_newest_are_kept_within_their_bytes() {
        let (home, copies) = copies();
        let entries = written(1400, 3000);
        for batch in entries.chunks(20) {
            copies.append(batch).unwrap();
        }
        let of = home.path().join("copies").join(entries[0].ledger.to_string());
        let halves: Vec<PathBuf> = fs::read_dir(of).unwrap().map(|found| found.unwrap().path()).collect();
        let bytes: u64 = halves.iter().map(|half| size(half)).sum();
        let (most, batch) = (LEDGER_COPY_BYTES_MAX, 20 * 4000);
        assert!(halves.len() == 2 && bytes > most / 2 && bytes < most + 2 * batch, "{bytes} in {halves:?}");
        assert_eq!(copies.standing()[0].until, 1400);
        assert_eq!(read(&copies, 1398, 9).1, entries[1398..]);
        let oldest = (0..1400).find(|index| read(&copies, *index, 1).1.len() == 1).unwrap();
        assert!(
            oldest > 0
                && (oldest..1400).step_by(7).all(|index| read(&copies, index, 1).1 == entries[index as usize..][..1])
        );
    }

    #[test]
    fn a_gap_begins_anew_behind_it_and_another_history_in_the_place_of_the_first() {
        let (_home, copies) = copies();
        let entries = written(40, 10);
        copies.append(&entries[..5]).unwrap();
        copies.append(&entries[8..20]).unwrap();
        assert_eq!(read(&copies, 2, 10), (2, entries[2..5].to_vec()));
        assert_eq!(read(&copies, 6, 10), (8, entries[8..16].to_vec()));
        copies.append(&entries[15..40]).unwrap();
        assert_eq!(read(&copies, 0, 30).0, 15);
        assert_eq!(copies.standing()[0].until, 40);
    }

    #[test]
    fn one_flipped_bit_of_a_copy_is_noticed_and_that_entry_is_not_given() {
        let (home, copies) = copies();
        let entries = written(10, 10);
        copies.append(&entries).unwrap();
        let file = home
            .path()
            .join("copies")
            .join(entries[0].ledger.to_string())
            .join("0000000000000000/0000000000000000.log");
        let mut bytes = fs::read(&file).unwrap();
        let at = bytes.windows(2).position(|window| window == b"4 ").unwrap();
        bytes[at] ^= 1;
        fs::write(&file, &bytes).unwrap();
        assert_eq!(read(&copies, 0, 10), (0, entries[..4].to_vec()));
        assert_eq!(read(&copies, 4, 6), (5, entries[5..].to_vec()));
        assert_eq!(read(&copies, 4, 1), (4, vec![]));
    }
}
