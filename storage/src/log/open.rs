//! How a log is opened: what a crash left is cut off, what is damaged is named.

use std::io;

use super::error::{Damaged, How, LogError};
use super::files::Files;
use super::frame::HEADER_BYTES;
use super::segment::{Scanned, Segment, Slot, State, scan};
use super::{BEGIN, Found, Log, NOTE};
use crate::limits::LOG_GAP_ENTRIES_MAX;

/// What the note says.
enum Note {
    /// There is none: nothing was ever acknowledged, or a crash came before it was durable.
    None,
    /// So many entries were acknowledged.
    Acknowledged(u64),
    /// It is not what was written.
    Damaged,
}

pub(super) fn open<F: Files>(files: F, segment_bytes: u64) -> Result<(Log<F>, Found), LogError> {
    let mut log = Log { files, segments: Vec::new(), segment_bytes, dirty: false, noted: false };
    let mut found = Found::default();
    let note = read_note(&log.files)?;
    log.noted = !matches!(note, Note::None);
    let acknowledged = if let Note::Acknowledged(count) = note { count } else { 0 };
    let mut firsts: Vec<u64> = log.files.list()?.iter().filter_map(|name| Segment::first_of(name)).collect();
    firsts.sort_unstable();
    for (i, first) in firsts.iter().enumerate() {
        let next = firsts.get(i + 1).copied();
        read_segment(&mut log, *first, next, acknowledged, &mut found)?;
    }
    found.damaged.extend(damaged(&log.segments));
    found.note_lost = matches!(note, Note::Damaged);
    let name = log.segments.last().map_or_else(|| Segment::name_of(0), |segment| segment.name.clone());
    if acknowledged > log.len() {
        found.damaged.push(Damaged { segment: name, first: log.len(), until: acknowledged, how: How::Missing });
    }
    if found.note_lost || acknowledged > log.len() {
        // It was told, and what is appended next is to be noted again.
        log.note()?;
        log.files.sync_data(NOTE)?;
    } else if log.noted && !found.damaged.is_empty() {
        // Without the note, what is damaged in the last batch would be taken for torn after a power cut, and cut off.
        log.files.sync_data(NOTE)?;
        log.files.sync_names()?;
    }
    Ok((log, found))
}

fn read_segment<F: Files>(
    log: &mut Log<F>,
    first: u64,
    next: Option<u64>,
    acknowledged: u64,
    found: &mut Found,
) -> Result<(), LogError> {
    let name = Segment::name_of(first);
    let bytes = log.files.read(&name)?;
    let before = log.segments.last();
    if first.saturating_sub(before.map_or(0, Segment::until)) > LOG_GAP_ENTRIES_MAX {
        found.damaged.push(Damaged { segment: name, first, until: first, how: How::Opening });
        return Ok(());
    }
    // The chain leads over from the file before, unless that one, or its last header, is damaged or missing.
    let previous = match before {
        None if first == 0 => Some(BEGIN),
        None => None,
        Some(before) if before.until() == first => before.last_check(),
        Some(_) => None,
    };
    let is_last = next.is_none();
    let mut scanned = scan(&name, first..next.unwrap_or(u64::MAX), previous, &bytes);
    if is_last && first >= acknowledged && !scanned.opened && scanned.segment.slots.is_empty() {
        // A crash while it was begun; nothing was ever in it.
        found.torn_bytes += bytes.len() as u64;
        log.files.remove(&name)?;
        return Ok(log.files.sync_names()?);
    }
    if is_last {
        found.torn_bytes += cut_off(&mut log.files, &mut scanned, acknowledged)?;
    }
    let Scanned { segment, opened, .. } = scanned;
    if !opened {
        found.damaged.push(Damaged { segment: name, first, until: first, how: How::Opening });
    }
    bridge(log, &segment);
    log.segments.push(segment);
    Ok(())
}

/// Cuts off what a crash left of a batch that was not acknowledged; how many bytes.
fn cut_off<F: Files>(files: &mut F, scanned: &mut Scanned, acknowledged: u64) -> Result<u64, LogError> {
    let segment = &mut scanned.segment;
    let batch = segment.slots.iter().rev().find_map(|slot| Some(slot.header()?.batch));
    // All before the last batch was durable before that was begun.
    let durable = acknowledged.max(batch.unwrap_or(segment.first)).max(segment.first);
    let torn = (durable..segment.until()).find(|index| {
        let slot = &segment.slots[(index - segment.first) as usize];
        slot.damage().is_some()
    });
    let mut cut = 0;
    if let Some(torn) = torn {
        let at = (torn - segment.first) as usize;
        let end = segment.slots[at].at;
        cut += segment.end - end;
        segment.slots.truncate(at);
        segment.end = end;
    }
    if segment.rest > 0 && segment.until() < acknowledged {
        // It is not torn but damaged, and may be put in its place again, if it is one entry.
        let lost = (acknowledged - segment.until()).min((segment.rest / HEADER_BYTES as u64).max(1));
        let state = if lost == 1 { State::Header } else { State::Lost };
        let slot = Slot { at: segment.end, bytes: segment.rest, state };
        segment.slots.extend((0..lost).map(|_| slot));
        segment.end += segment.rest;
    } else {
        cut += std::mem::take(&mut segment.rest);
    }
    if cut > 0 {
        files.truncate(&segment.name, segment.end)?;
        files.sync_data(&segment.name)?;
    }
    Ok(cut)
}

/// Entries between the end of one file and the beginning of the next are lost: their places are kept.
fn bridge<F: Files>(log: &mut Log<F>, next: &Segment) {
    if log.segments.is_empty() && next.first > 0 {
        let name = Segment::name_of(0);
        log.segments.push(Segment { name, first: 0, previous: None, slots: Vec::new(), end: 0, rest: 0 });
    }
    if let Some(before) = log.segments.last_mut() {
        let lost = next.first.saturating_sub(before.until());
        // One that is behind the last one that was found: its header is damaged, and its place is known.
        let is_there = lost == 1 && before.rest > 0;
        let (bytes, state) = if is_there { (before.rest, State::Header) } else { (0, State::Lost) };
        let slot = Slot { at: before.end, bytes, state };
        before.slots.extend((0..lost).map(|_| slot));
    }
}

/// Names the entries that are damaged, neighbors of one kind together.
pub(super) fn damaged(segments: &[Segment]) -> Vec<Damaged> {
    let mut damaged: Vec<Damaged> = Vec::new();
    for segment in segments {
        for (index, slot) in (segment.first..).zip(&segment.slots) {
            let Some(how) = slot.damage() else { continue };
            let same = |last: &&mut Damaged| last.until == index && last.how == how && last.segment == segment.name;
            match damaged.last_mut().filter(same) {
                Some(last) => last.until += 1,
                None => {
                    let segment = segment.name.clone();
                    damaged.push(Damaged { segment, first: index, until: index + 1, how });
                }
            }
        }
    }
    damaged
}

fn read_note<F: Files>(files: &F) -> Result<Note, LogError> {
    let bytes = match files.read(NOTE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Note::None),
        read => read?,
    };
    let halves = bytes.split_first_chunk().and_then(|(count, rest)| Some((count, *rest.first_chunk()?)));
    // A crash can leave it empty, or without its end.
    let Some((count, complement)) = halves else {
        return Ok(if bytes.len() < 16 { Note::None } else { Note::Damaged });
    };
    let (count, complement) = (u64::from_be_bytes(*count), u64::from_be_bytes(complement));
    Ok(if complement == !count { Note::Acknowledged(count) } else { Note::Damaged })
}
