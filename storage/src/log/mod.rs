//! An append-only log in files, for what is written once and must be there as it was, or be named as damaged.
//!
//! A batch of entries is written and made durable by one call; what was acknowledged survives a crash and a power cut.
//! At the next start what a crash left of the last batch is cut off, and every other entry that is not what was written
//! is named. It is not cut off: others may still have it, and give it back ([`Log::repair`]).
//!
//! What tells a torn tail from damage: a batch is only begun when the one before it is durable. So whatever is wrong
//! before the last batch is damage. Of the last one, a note tells whether it was acknowledged; it costs no flush of its own,
//! and after a power cut it may be behind the truth, but never ahead of it.

mod error;
mod faulty;
mod files;
mod frame;
mod open;
mod segment;
mod snapshot;
mod steered;

use std::path::Path;

pub use error::{Damaged, How, LogError};
pub use faulty::FaultyFiles;
pub use files::{Disk, Files};
pub use snapshot::Snapshot;
pub use steered::SteeredFiles;

use crate::limits::{LOG_BATCH_BYTES_MAX, LOG_ENTRY_BYTES_MAX};
use frame::{Check, HEADER_BYTES, Header, OPENING_BYTES, Opening};
use segment::{Segment, Slot, State};

/// A log. Every call blocks; asynchronous callers give it a thread of its own.
#[derive(Debug)]
pub struct Log<F = Disk> {
    files: F,
    segments: Vec<Segment>,
    /// How long a file may be before another one is begun, in bytes.
    segment_bytes: u64,
    /// Whether the last file may hold what a batch that failed left behind.
    dirty: bool,
    /// Whether there is a note of what was acknowledged.
    noted: bool,
}

/// What was found when a log was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Every part that is not what was written, in order.
    pub damaged: Vec<Damaged>,
    /// Bytes of a batch that was never acknowledged, which were cut off.
    pub torn_bytes: u64,
    /// Whether the note of what was acknowledged cannot be read, so that the end of the log could not be checked against it.
    /// No entry is lost by that, and a crash while it was written can do it as well as a disk.
    pub note_lost: bool,
}

impl Log<Disk> {
    /// Opens the log in this directory, or begins one.
    ///
    /// # Errors
    /// [`LogError::Locked`] and [`LogError::Io`]. Damage is no error: it is told.
    pub fn open(path: &Path) -> Result<(Self, Found), LogError> {
        Self::open_in(Disk::open(path)?, crate::limits::LOG_SEGMENT_BYTES)
    }
}

impl Log<Box<dyn Files>> {
    /// As [`Log::open`], for whoever may have other files than those of a disk.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_any(path: &Path) -> Result<(Self, Found), LogError> {
        Self::open_in(Box::new(Disk::open(path)?), crate::limits::LOG_SEGMENT_BYTES)
    }

    /// As [`Log::open_any`], on a disk that fails as the handle says.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_steered(path: &Path, faults: crate::Faults) -> Result<(Self, Found), LogError> {
        let files = SteeredFiles::over(Disk::open(path)?, faults);
        Self::open_in(Box::new(files), crate::limits::LOG_SEGMENT_BYTES)
    }
}

/// A log in files of any kind.
pub type AnyLog = Log<Box<dyn Files>>;

impl Log<Snapshot> {
    /// Looks at the log in this directory, and changes nothing about it. What is torn is told, and not cut off. Nothing is to
    /// be appended or repaired: that would only seem so.
    ///
    /// # Errors
    /// [`LogError::Io`]; there is no log in a directory that is not there.
    pub fn look(path: &Path) -> Result<(Self, Found), LogError> {
        Self::open_in(Snapshot::of(path), crate::limits::LOG_SEGMENT_BYTES)
    }
}

impl<F: Files> Log<F> {
    /// Opens the log in these files, or begins one; a file that is longer than `segment_bytes` is followed by another.
    ///
    /// # Errors
    /// [`LogError::Io`]. Damage is no error: it is told.
    pub fn open_in(files: F, segment_bytes: u64) -> Result<(Self, Found), LogError> {
        open::open(files, segment_bytes)
    }

    /// How many entries there are, those included that are damaged.
    pub fn len(&self) -> u64 {
        self.segments.last().map_or(0, Segment::until)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The files, for a test that has its own.
    pub fn files(&self) -> &F {
        &self.files
    }

    /// Appends entries; when it returns `Ok`, all of them survive a crash and a power cut. An empty batch is no change.
    ///
    /// # Errors
    /// [`LogError::OverLimit`], with nothing changed, and [`LogError::Io`], after which the log is as it was: none of the
    /// batch counts, and it, or another one, may be tried again. Only when the process ends before that, any number of the
    /// batch's first entries may be there at the next start.
    pub fn append<E: AsRef<[u8]>>(&mut self, entries: &[E]) -> Result<(), LogError> {
        check_batch(entries)?;
        if entries.is_empty() {
            return Ok(());
        }
        self.clean()?;
        if self.segments.last().is_none_or(|segment| segment.end >= self.segment_bytes || segment.is_sealed()) {
            self.begin_segment()?;
        }
        let segment = self.segments.last().expect("BUG: a segment was begun a moment ago");
        let (batch, mut previous) = (segment.until(), segment.last_check().unwrap_or(UNKNOWN));
        let (mut bytes, mut slots) = (Vec::new(), Vec::with_capacity(entries.len()));
        for (index, entry) in (batch..).zip(entries) {
            let header = Header::of(entry.as_ref(), index, batch, previous);
            previous = header.check();
            let at = segment.end + bytes.len() as u64;
            slots.push(Slot { at, bytes: header.frame_bytes() as u64, state: State::Whole(header) });
            bytes.extend(header.encode());
            bytes.extend(entry.as_ref());
        }
        self.dirty = true;
        self.files.write_at(&segment.name, segment.end, &bytes)?;
        self.files.sync_data(&segment.name)?;
        self.dirty = false;
        let segment = self.segments.last_mut().expect("BUG: it was there a moment ago");
        segment.end += bytes.len() as u64;
        segment.slots.extend(slots);
        // Should the note be lost, only the check at the next start is weaker.
        let _ = self.note();
        Ok(())
    }

    /// An entry, as it was written: that is checked whenever it is read.
    ///
    /// # Errors
    /// [`LogError::NoEntry`], [`LogError::Damaged`] and [`LogError::Io`].
    pub fn read(&self, index: u64) -> Result<Vec<u8>, LogError> {
        let (segment, slot) = self.find(index)?;
        let damaged =
            |how| LogError::Damaged(Damaged { segment: segment.name.clone(), first: index, until: index + 1, how });
        let State::Whole(header) = slot.state else {
            return Err(damaged(slot.damage().expect("BUG: what is not whole is damaged")));
        };
        let at = slot.at + HEADER_BYTES as u64;
        let entry = match self.files.read_at(&segment.name, at, header.length as usize) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Err(damaged(How::Missing)),
            read => read?,
        };
        if header.fits(&entry) { Ok(entry) } else { Err(damaged(How::Entry)) }
    }

    /// Puts an entry that is damaged, and that somebody else had, back in its place. What is whole stays as it is.
    ///
    /// What was written is known by its hash in the header before it, or, if that is damaged, by what the next header says
    /// of it. Only if the last header of all is damaged, nothing but the length tells: then the caller must know better.
    ///
    /// # Errors
    /// [`LogError::OtherEntry`] if it is not what stood there, [`LogError::Damaged`] if its place is not known,
    /// [`LogError::NoEntry`] and [`LogError::Io`].
    pub fn repair(&mut self, index: u64, entry: &[u8]) -> Result<(), LogError> {
        if self.read(index).is_ok() {
            return Ok(());
        }
        let (segment, slot) = self.find(index)?;
        let header = match slot.state {
            State::Whole(header) | State::Entry(header) => Some(header).filter(|header| header.fits(entry)),
            State::Header => self.lost_header(segment, slot, index, entry),
            State::Lost => {
                let name = segment.name.clone();
                let damaged = Damaged { segment: name, first: index, until: index + 1, how: How::Missing };
                return Err(LogError::Damaged(damaged));
            }
        };
        let header = header.ok_or(LogError::OtherEntry { index })?;
        let (name, at) = (segment.name.clone(), slot.at);
        self.files.write_at(&name, at, &[&header.encode()[..], entry].concat())?;
        self.files.sync_data(&name)?;
        self.slot_mut(index).expect("BUG: it was found a moment ago").state = State::Whole(header);
        Ok(())
    }

    /// Writes the openings of files again that are not what was written: what stood there follows from the file's place, so
    /// nobody else is needed. Returns how many; those of which that is not known stay as they are.
    ///
    /// # Errors
    /// [`LogError::Io`], after which it may be tried again.
    pub fn mend_openings(&mut self) -> Result<usize, LogError> {
        let mut mended = 0;
        for Segment { name, first, previous, .. } in &self.segments {
            let Some(previous) = *previous else { continue };
            let bytes = Opening { first: *first, previous }.encode();
            // A file that is missing, or shorter, has more wrong with it than this.
            if self.files.read_at(name, 0, OPENING_BYTES).is_ok_and(|found| found != bytes) {
                self.files.write_at(name, 0, &bytes)?;
                self.files.sync_data(name)?;
                mended += 1;
            }
        }
        Ok(mended)
    }

    /// The entries that are not what was written, as far as that showed when the log was opened and was not repaired since.
    pub fn damaged(&self) -> Vec<Damaged> {
        open::damaged(&self.segments)
    }

    /// The header that an entry must have had, if the entry fits its place and what its neighbors say.
    fn lost_header(&self, segment: &Segment, slot: &Slot, index: u64, entry: &[u8]) -> Option<Header> {
        if (entry.len() + HEADER_BYTES) as u64 != slot.bytes {
            return None;
        }
        let before = index.checked_sub(1).and_then(|before| self.find(before).ok()?.1.header());
        let after = self.find(index + 1).ok().and_then(|(_, slot)| slot.header());
        let previous = before.map(|header| header.check()).or(segment.previous.filter(|_| segment.first == index));
        let previous = previous.unwrap_or(UNKNOWN);
        let Some(after) = after else { return Some(Header::of(entry, index, index, previous)) };
        // Together with which others it was written is not known, but there are only these possibilities.
        let batches = [Some(index), before.map(|header| header.batch), Some(after.batch)].into_iter().flatten();
        let headers = batches.map(|batch| Header::of(entry, index, batch, previous));
        headers.into_iter().find(|header| header.check() == after.previous)
    }

    /// Removes what a batch that failed may have left behind, so that it can never be taken for a later one.
    fn clean(&mut self) -> Result<(), LogError> {
        if let Some(segment) = self.segments.last().filter(|_| self.dirty) {
            self.files.truncate(&segment.name, segment.end)?;
            self.files.sync_data(&segment.name)?;
        }
        self.dirty = false;
        Ok(())
    }

    fn begin_segment(&mut self) -> Result<(), LogError> {
        let first = self.len();
        let previous = self.segments.last().map_or(Some(BEGIN), Segment::last_check).unwrap_or(UNKNOWN);
        let name = Segment::name_of(first);
        self.files.create(&name)?;
        self.files.write_at(&name, 0, &Opening { first, previous }.encode())?;
        self.files.sync_data(&name)?;
        self.files.sync_names()?;
        let end = OPENING_BYTES as u64;
        self.segments.push(Segment { name, first, previous: Some(previous), slots: Vec::new(), end, rest: 0 });
        Ok(())
    }

    /// Notes how many entries were acknowledged.
    fn note(&mut self) -> Result<(), LogError> {
        let count = self.len();
        if !self.noted {
            self.files.create(NOTE)?;
            self.noted = true;
        }
        let bytes = [count.to_be_bytes(), (!count).to_be_bytes()].concat();
        Ok(self.files.write_at(NOTE, 0, &bytes)?)
    }

    fn find(&self, index: u64) -> Result<(&Segment, &Slot), LogError> {
        let at = self.segments.partition_point(|segment| segment.first <= index).wrapping_sub(1);
        let found = self.segments.get(at).and_then(|segment| {
            let slot = segment.slots.get((index - segment.first) as usize)?;
            Some((segment, slot))
        });
        found.ok_or(LogError::NoEntry { index, entries: self.len() })
    }

    fn slot_mut(&mut self, index: u64) -> Option<&mut Slot> {
        let at = self.segments.partition_point(|segment| segment.first <= index).checked_sub(1)?;
        let segment = &mut self.segments[at];
        segment.slots.get_mut((index - segment.first) as usize)
    }
}

fn check_batch<E: AsRef<[u8]>>(entries: &[E]) -> Result<(), LogError> {
    let longest = entries.iter().map(|entry| entry.as_ref().len()).max().unwrap_or(0);
    let all: usize = entries.iter().map(|entry| entry.as_ref().len() + HEADER_BYTES).sum();
    for (what, size, max) in
        [("bytes in an entry", longest, LOG_ENTRY_BYTES_MAX), ("bytes in a batch", all, LOG_BATCH_BYTES_MAX)]
    {
        if size > max {
            return Err(LogError::OverLimit { what, size, max });
        }
    }
    Ok(())
}

/// How many entries were acknowledged.
const NOTE: &str = "acknowledged";
/// What stands for the check of the header before the first one.
const BEGIN: Check = [0; 16];
/// What stands for the check of a header that is damaged.
const UNKNOWN: Check = [0xff; 16];

#[cfg(test)]
mod tests;
