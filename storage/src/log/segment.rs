//! One file of a log: where each entry lies in it, and what of it is not what was written.

use std::ops::Range;

use super::error::How;
use super::frame::{Check, HEADER_BYTES, Header, MARK, OPENING_BYTES, Opening};

/// A file of a log.
#[derive(Debug)]
pub(super) struct Segment {
    /// Its name.
    pub(super) name: String,
    /// The number of its first entry.
    pub(super) first: u64,
    /// The check of the header before its first one, as far as it is known.
    pub(super) previous: Option<Check>,
    /// Its entries, in order.
    pub(super) slots: Vec<Slot>,
    /// Where the next entry begins.
    pub(super) end: u64,
    /// Bytes behind it that are no entry.
    pub(super) rest: u64,
}

/// Where an entry lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Where its header begins.
    pub(super) at: u64,
    /// How many bytes there are up to the next header.
    pub(super) bytes: u64,
    pub(super) state: State,
}

/// What is there.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// The entry, as it was written.
    Whole(Header),
    /// Something else, behind the header that was written.
    Entry(Header),
    /// No header, or not the one that was written.
    Header,
    /// Nothing: the entry shares its place with others that cannot be told apart.
    Lost,
}

/// What a file holds.
pub(super) struct Scanned {
    pub(super) segment: Segment,
    /// Whether the opening is what was written.
    pub(super) opened: bool,
}

impl Slot {
    pub(super) fn header(&self) -> Option<Header> {
        match self.state {
            State::Whole(header) | State::Entry(header) => Some(header),
            State::Header | State::Lost => None,
        }
    }

    pub(super) fn damage(&self) -> Option<How> {
        match self.state {
            State::Whole(_) => None,
            State::Entry(_) => Some(How::Entry),
            State::Header => Some(How::Header),
            State::Lost => Some(How::Missing),
        }
    }
}

impl Segment {
    pub(super) fn name_of(first: u64) -> String {
        format!("{first:016x}.log")
    }

    /// The first entry of the file with this name, if it is one of a log.
    pub(super) fn first_of(name: &str) -> Option<u64> {
        let first = u64::from_str_radix(name.strip_suffix(".log")?, 16).ok()?;
        (Self::name_of(first) == name).then_some(first)
    }

    /// The number of the entry behind its last.
    pub(super) fn until(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    /// Whether its end is damaged: what was written there could be taken for a part of what was damaged.
    pub(super) fn is_sealed(&self) -> bool {
        self.slots.last().is_some_and(|slot| slot.damage().is_some())
    }

    /// The check of the last header, as far as it is known.
    pub(super) fn last_check(&self) -> Option<Check> {
        match self.slots.last() {
            None => self.previous,
            Some(slot) => slot.header().map(|header| header.check()),
        }
    }
}

/// Finds the entries of a file with those from `numbers.start` to before `numbers.end` at most, `previous` being the check
/// of the header before the first.
pub(super) fn scan(name: &str, numbers: Range<u64>, previous: Option<Check>, bytes: &[u8]) -> Scanned {
    let first = numbers.start;
    let opening = Opening::decode(bytes).filter(|opening| opening.first == first);
    let previous = previous.or(opening.map(|opening| opening.previous));
    let mut segment =
        Segment { name: name.to_owned(), first, previous, slots: Vec::new(), end: OPENING_BYTES as u64, rest: 0 };
    while let Some(next) = next_header(bytes, &segment, numbers.end) {
        let Next { at, header } = next;
        push_gap(&mut segment, at, header.index);
        let end = at + header.frame_bytes();
        let Some(entry) = bytes.get(at + HEADER_BYTES..end) else { break };
        let state = if header.fits(entry) { State::Whole(header) } else { State::Entry(header) };
        segment.slots.push(Slot { at: at as u64, bytes: (end - at) as u64, state });
        segment.end = end as u64;
    }
    segment.rest = (bytes.len() as u64).saturating_sub(segment.end);
    Scanned { opened: opening.is_some(), segment }
}

/// A header that was found.
struct Next {
    at: usize,
    header: Header,
}

/// The next header: where it should be, or, if there is none that continues the one before it, wherever a later one is.
fn next_header(bytes: &[u8], segment: &Segment, until: u64) -> Option<Next> {
    let (start, index) = (segment.end as usize, segment.until());
    if let Some(header) = bytes.get(start..).and_then(Header::decode) {
        let continues = segment.last_check().is_none_or(|check| check == header.previous);
        if continues && header.index == index && index < until {
            return Some(Next { at: start, header });
        }
    }
    later_header(bytes, start, index + 1..until)
}

/// The header with which it goes on behind a damaged one. An entry may hold what looks like one, whether somebody meant it
/// to or not: but it cannot know what was written after it. So that one counts from which whole entries lead the furthest.
fn later_header(bytes: &[u8], start: usize, numbers: Range<u64>) -> Option<Next> {
    let rest = bytes.get(start..)?;
    let marks = rest.windows(MARK.len()).enumerate().filter(|(_, window)| *window == MARK);
    let (mut best, mut walked) = (None, 0);
    for at in marks.map(|(at, _)| start + at) {
        // What lies on a way that was walked leads no further.
        let Some(header) = (at >= walked).then(|| Header::decode(&bytes[at..])).flatten() else { continue };
        // Each entry in between takes a header at least, unless it lost a part of it.
        let most = ((at - start) / HEADER_BYTES).max(1) as u64;
        let is_possible = numbers.contains(&header.index) && header.index - numbers.start < most;
        let reach = if is_possible { walk(bytes, at, header) } else { at };
        if reach == at {
            continue;
        }
        walked = walked.max(reach);
        if best.as_ref().is_none_or(|(furthest, _)| reach > *furthest) {
            best = Some((reach, Next { at, header }));
        }
        if reach == bytes.len() {
            break;
        }
    }
    best.map(|(_, next)| next)
}

/// How far whole entries lead that continue each other.
fn walk(bytes: &[u8], mut at: usize, mut header: Header) -> usize {
    loop {
        let end = at + header.frame_bytes();
        if !bytes.get(at + HEADER_BYTES..end).is_some_and(|entry| header.fits(entry)) {
            return at;
        }
        at = end;
        match Header::decode(&bytes[at..]) {
            Some(next) if next.previous == header.check() && next.index == header.index + 1 => header = next,
            _ => return at,
        }
    }
}

/// The entries between what was found last and what was found next, none of which has a header.
fn push_gap(segment: &mut Segment, at: usize, index: u64) {
    let (start, bytes) = (segment.end, at as u64 - segment.end);
    match index - segment.until() {
        0 => return,
        1 => segment.slots.push(Slot { at: start, bytes, state: State::Header }),
        lost => {
            let slot = Slot { at: start, bytes: 0, state: State::Lost };
            segment.slots.extend((0..lost).map(|_| slot));
        }
    }
    segment.end = at as u64;
}
