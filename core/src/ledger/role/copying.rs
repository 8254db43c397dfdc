//! Copies of what neighbors wrote: a witness asks for the entries that a head stands for which it has seen, and gives them
//! back to whoever wrote them.
//!
//! One neighbor is asked at a time, for a bounded piece, so that a long ledger costs its links no more than a short one.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use super::watching::ASKS_MAX;
use super::{Copied, Effect, Entry, Instant, Keeper, Message, PeerId};
use crate::ledger::Hash;
use crate::limits::{LEDGER_COPIES_MAX, LEDGER_COPY_ENTRIES_MAX, LEDGER_FETCH_MAX};

/// What there is of copies, and what is being asked for.
#[derive(Debug)]
pub(super) struct Copying {
    held: BTreeMap<PeerId, Held>,
    asked: Option<Asked>,
    /// Whose entries are being written.
    writing: Option<PeerId>,
    /// Nothing is asked for before that.
    free: Instant,
    /// Who was asked last: the next one in order is the next.
    turn: Option<PeerId>,
    /// Who did not give what its head stands for: that head's size, and how often.
    missed: BTreeMap<PeerId, (u64, u32)>,
    /// When a neighbor was last given entries of a ledger.
    given: BTreeMap<(PeerId, PeerId), Instant>,
    /// How often a neighbor gave something else than its head stands for.
    pub(super) others_given: u64,
}

/// How far copies go.
#[derive(Clone, Copy, Debug)]
struct Held {
    until: u64,
    last: Hash,
}

#[derive(Debug)]
struct Asked {
    peer: PeerId,
    first: u64,
    at: Instant,
}

impl Copying {
    /// Nothing is asked for at first: others have more urgent things to say then.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            held: BTreeMap::new(),
            asked: None,
            writing: None,
            free: now + BEGINS_AFTER,
            turn: None,
            missed: BTreeMap::new(),
            given: BTreeMap::new(),
            others_given: 0,
        }
    }

    pub(super) fn held(&self) -> impl ExactSizeIterator<Item = (PeerId, u64)> {
        self.held.iter().map(|(ledger, held)| (*ledger, held.until))
    }

    pub(super) fn part(&mut self, peer: &PeerId) {
        self.asked.take_if(|asked| asked.peer == *peer);
        self.missed.remove(peer);
        self.given.retain(|(to, _), _| to != peer);
    }

    fn until(&self, ledger: &PeerId) -> u64 {
        self.held.get(ledger).map_or(0, |held| held.until)
    }

    /// Somebody gave nothing, or something else, where there should have been entries up to `size`.
    fn miss(&mut self, peer: PeerId, size: u64) {
        let times = self.missed.get(&peer).filter(|(of, _)| *of == size).map_or(0, |(_, times)| *times);
        self.missed.insert(peer, (size, times + 1));
    }
}

impl Keeper {
    /// The size of a neighbor's ledger that was seen, if there are entries of it that are not copied yet, and could be.
    fn copy_wanted(&self, ledger: &PeerId) -> Option<u64> {
        let size = self.witness.proven(ledger)?.head.size;
        let is_missed = self.copying.missed.get(ledger).is_some_and(|missed| *missed >= (size, ASKS_MAX));
        (size > self.copying.until(ledger) && !is_missed).then_some(size)
    }

    /// Asks the next neighbor for entries, unless somebody was asked a moment ago.
    pub(super) fn copy(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if let Some(Asked { peer, .. }) = self.copying.asked.take_if(|asked| asked.at <= now) {
            let size = self.witness.proven(&peer).map_or(0, |proven| proven.head.size);
            self.copying.miss(peer, size);
        }
        if self.copying.asked.is_some() || self.copying.writing.is_some() || self.copying.free > now {
            return;
        }
        let wanted = |peer: &PeerId| Some((*peer, self.copy_wanted(peer)?));
        let after = |peer: &&PeerId| self.copying.turn.is_none_or(|turn| **peer > turn);
        let next = self.neighbors.iter().filter(after).find_map(wanted);
        let Some((peer, size)) = next.or_else(|| self.neighbors.iter().find_map(wanted)) else { return };
        let first = self.copying.until(&peer).max(size.saturating_sub(LEDGER_COPY_ENTRIES_MAX));
        let count = (size - first).min(LEDGER_FETCH_MAX);
        self.copying.turn = Some(peer);
        self.copying.free = now + COPY_EVERY;
        self.copying.asked = Some(Asked { peer, first, at: now + ANSWERED_WITHIN });
        effects.push(Effect::Send { to: peer, message: Message::Fetch { ledger: peer, first, count } });
    }

    pub(super) fn copy_at(&self) -> Option<Instant> {
        if let Some(asked) = &self.copying.asked {
            return Some(asked.at);
        }
        let is_free =
            self.copying.writing.is_none() && self.neighbors.iter().any(|peer| self.copy_wanted(peer).is_some());
        is_free.then_some(self.copying.free)
    }

    /// A neighbor gives entries of its own ledger. They have to follow what there is, and to lead to its head.
    pub(super) fn on_given(&mut self, from: PeerId, given: &[Vec<u8>], now: Instant, effects: &mut Vec<Effect>) {
        let Some(Asked { first, .. }) = self.copying.asked.take_if(|asked| asked.peer == from) else { return };
        let Some(head) = self.witness.proven(&from).map(|proven| proven.head) else { return };
        let mut entries: Vec<Entry> = given.iter().filter_map(|bytes| Entry::decode(bytes).ok()).collect();
        entries.retain(|entry| entry.index < head.size);
        let (Some(begin), Some(end)) = (entries.first(), entries.last()) else {
            return self.copying.miss(from, head.size);
        };
        let follows = |pair: &[Entry]| pair[1].previous == pair[0].hash();
        let leads_there = end.index + 1 < head.size || end.hash() == head.last;
        if begin.index < first || !entries.windows(2).all(follows) || !leads_there {
            self.copying.others_given += 1;
            return self.copying.miss(from, head.size);
        }
        let held = self.copying.held.get(&from).filter(|held| held.until == begin.index);
        if held.is_some_and(|held| held.last != begin.previous) {
            // It is another history than the one that was copied, and this life of the role has seen nothing else of it.
            self.copying.held.remove(&from);
            return effects.push(Effect::DropCopies { ledger: from });
        }
        if !self.make_room_for(&from, effects) {
            return self.copying.miss(from, head.size);
        }
        self.copying.missed.remove(&from);
        self.copying.writing = Some(from);
        self.copying.free = self.copying.free.max(now);
        effects.push(Effect::Copy { entries });
    }

    /// Whether there is room for copies of a ledger; another one, of no neighbor's, may have to go.
    fn make_room_for(&mut self, ledger: &PeerId, effects: &mut Vec<Effect>) -> bool {
        let held = &mut self.copying.held;
        if held.len() < LEDGER_COPIES_MAX || held.contains_key(ledger) {
            return true;
        }
        let Some(other) = held.keys().copied().find(|other| !self.neighbors.contains(other)) else { return false };
        held.remove(&other);
        effects.push(Effect::DropCopies { ledger: other });
        true
    }

    pub(super) fn on_copied(&mut self, copied: Copied) {
        let Copied { ledger, until, last } = copied;
        self.copying.writing.take_if(|writing| *writing == ledger);
        if self.copying.held.len() < LEDGER_COPIES_MAX || self.copying.held.contains_key(&ledger) {
            self.copying.held.insert(ledger, Held { until, last });
        }
    }

    /// A disk that takes nothing now may do so later.
    pub(super) fn on_copy_failed(&mut self, ledger: &PeerId, now: Instant) {
        self.copying.writing.take_if(|writing| writing == ledger);
        self.copying.free = now + AFTER_FAILURE;
    }

    /// A neighbor asks for entries: this node's own, which it copies, or its own, which this node has copies of.
    pub(super) fn give(
        &mut self,
        to: PeerId,
        ledger: PeerId,
        numbers: Range<u64>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let first = numbers.start;
        let is_own = ledger == self.ledger.owner();
        let most = if is_own { self.ledger.size() } else { self.copying.until(&ledger) };
        if !self.neighbors.contains(&to) || !(is_own || ledger == to) {
            return;
        }
        let given = self.copying.given.get(&(to, ledger));
        if given.is_some_and(|given| now.since(*given) < GIVE_EVERY) {
            return;
        }
        self.copying.given.insert((to, ledger), now);
        if first < most {
            let count = numbers.end.min(most) - first;
            effects.push(Effect::Give { to, ledger, first, count });
        } else {
            let message = Message::Entries { ledger, first, entries: Vec::new() };
            effects.push(Effect::Send { to, message });
        }
    }
}

/// For how long a node asks for nothing after its start.
const BEGINS_AFTER: Duration = Duration::from_secs(5);
/// Time between two questions.
const COPY_EVERY: Duration = Duration::from_secs(1);
/// When somebody else is asked, if one does not answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// When copies are asked for again, if they could not be written.
const AFTER_FAILURE: Duration = Duration::from_secs(60);
/// Time between two answers to one neighbor about one ledger: who asks more often is not answered.
const GIVE_EVERY: Duration = Duration::from_millis(500);
