//! Entries of this node's own ledger that are damaged: neighbors are asked for them, and what stood there is put back.
//!
//! The entry after a damaged one names its hash, and so does a head that ends with it, so a neighbor is not believed but
//! checked. Of several in a row only the last one's hash is known; each that comes back names that of the one before it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{Broken, Effect, Entry, Event, Instant, Keeper, Message, PeerId};
use crate::ledger::{Hash, Head};
use crate::planted::{self, PlantedBug};

/// What is damaged, and who is asked for it.
#[derive(Debug, Default)]
pub(super) struct Mending {
    damaged: BTreeSet<u64>,
    /// Those whose hashes are not known.
    unknown: BTreeSet<u64>,
    /// Those that cannot be put back.
    lost: BTreeSet<u64>,
    /// Those that no neighbor gave when it was asked; all of them are asked for again after a rest.
    missed: BTreeSet<u64>,
    /// What does not fit together though it can be read; no neighbor can help there.
    broken: Option<Broken>,
    /// A signed head from which a hash was taken before its root could be checked.
    anchor: Option<Head>,
    asked: Option<Asked>,
    /// Neighbors that were asked for what is wanted next.
    tried: BTreeSet<PeerId>,
    /// Whether one entry alone is asked for: of more, the last did not fit into the answer.
    is_narrow: bool,
    /// Who gave what is being put back.
    writing: Option<(PeerId, BTreeSet<u64>)>,
    /// Nobody is asked before that.
    rest: Option<Instant>,
    /// What was put back with whose help, until the ledger says so.
    mended: BTreeMap<PeerId, Vec<u64>>,
    /// How many were put back.
    pub(super) repaired: u64,
    /// How often something else was given.
    pub(super) others_given: u64,
}

#[derive(Debug)]
struct Asked {
    peer: PeerId,
    last: u64,
    at: Instant,
}

impl Mending {
    /// What was found when the log was read.
    pub(super) fn begin(&mut self, damaged: BTreeSet<u64>, unknown: BTreeSet<u64>, broken: Option<Broken>) {
        (self.damaged, self.unknown, self.broken) = (damaged, unknown, broken);
    }

    pub(super) fn damaged(&self) -> impl ExactSizeIterator<Item = u64> {
        self.damaged.iter().copied()
    }

    /// What is wrong, in words; `None`: nothing.
    pub(super) fn how(&self) -> Option<String> {
        let is_sound = self.damaged.is_empty() && self.broken.is_none();
        (!is_sound).then(|| damage_in_words(&Vec::from_iter(self.damaged()), self.broken))
    }

    /// There is another neighbor, which may have what is missing.
    pub(super) fn meet(&mut self, now: Instant) {
        self.missed.clear();
        self.hurry(now);
    }

    /// Something else can be asked for than a moment ago.
    fn hurry(&mut self, now: Instant) {
        self.rest = self.rest.map(|rest| rest.min(now + ASK_EVERY));
    }

    pub(super) fn part(&mut self, peer: &PeerId) {
        self.tried.remove(peer);
        self.asked.take_if(|asked| asked.peer == *peer);
    }

    /// What is to be asked for next: the last one whose hash is known, and those before it that are damaged as well.
    fn wanted(&self) -> Option<(u64, u64)> {
        let is_wanted = |index: &u64| !self.lost.contains(index) && !self.missed.contains(index);
        let has_hash = |index: &&u64| is_wanted(index) && !self.unknown.contains(index);
        let last = *self.damaged.iter().rev().find(has_hash)?;
        let most = if self.is_narrow { 1 } else { FETCHED_MAX };
        let row = (0..=last).rev().take(most).take_while(|index| self.damaged.contains(index) && is_wanted(index));
        Some((row.min()?, last))
    }
}

impl Keeper {
    /// Asks the next neighbor for what is damaged, unless somebody was asked a moment ago.
    pub(super) fn mend(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let mending = &mut self.mending;
        if mending.asked.as_ref().is_some_and(|asked| asked.at <= now) {
            mending.asked = None;
        }
        if mending.asked.is_some() || mending.writing.is_some() || mending.rest.is_some_and(|rest| rest > now) {
            return;
        }
        mending.rest = None;
        while let Some((first, last)) = mending.wanted() {
            let Some(peer) = self.neighbors.iter().copied().find(|peer| !mending.tried.contains(peer)) else {
                // No neighbor has it; others may be there later, and something else may be had.
                mending.missed.extend(first..=last);
                mending.tried.clear();
                continue;
            };
            mending.tried.insert(peer);
            mending.asked = Some(Asked { peer, last, at: now + ANSWERED_WITHIN });
            mending.rest = Some(now + ASK_EVERY);
            let message = Message::Fetch { ledger: self.ledger.owner(), first, count: last - first + 1 };
            effects.push(Effect::Send { to: peer, message });
            return;
        }
        if !std::mem::take(&mut mending.missed).is_empty() {
            mending.rest = Some(now + REST);
        }
        self.tell_mended(now, effects);
    }

    pub(super) fn mend_at(&self) -> Option<Instant> {
        let Mending { asked, writing, rest, .. } = &self.mending;
        let answer = asked.as_ref().map(|asked| asked.at);
        // While something is written, what comes of it is waited for.
        answer.or_else(|| rest.filter(|_| writing.is_none() && self.mending.wanted().is_some()))
    }

    /// A neighbor gives what it was asked for, or what it says that this was.
    pub(super) fn on_given_back(&mut self, from: PeerId, given: &[Vec<u8>], now: Instant, effects: &mut Vec<Effect>) {
        let Some(Asked { last, .. }) = self.mending.asked.take_if(|asked| asked.peer == from) else { return };
        let entries: Vec<Entry> = given.iter().filter_map(|bytes| Entry::decode(bytes).ok()).collect();
        let mut learned = BTreeMap::new();
        let mut whole = Vec::new();
        for entry in entries.iter().rev().filter(|entry| self.mending.damaged.contains(&entry.index)) {
            let is_known = !self.mending.unknown.contains(&entry.index);
            let known = self.ledger.tree().leaf(entry.index).filter(|_| is_known);
            let Some(hash) = learned.get(&entry.index).copied().or(known) else { continue };
            if entry.hash() != hash && !planted::is(PlantedBug::CopyUnchecked) {
                self.mending.others_given += 1;
                effects.push(Effect::OtherGiven { by: from, index: entry.index });
                break;
            }
            let before = entry.index.checked_sub(1).filter(|before| self.mending.unknown.contains(before));
            learned.extend(before.map(|before| (before, entry.previous)));
            whole.push(entry.clone());
        }
        // The answer has as many as fit, the first ones: without the last nothing is known of them.
        self.mending.is_narrow = whole.is_empty() && entries.last().is_some_and(|entry| entry.index < last);
        if self.mending.is_narrow {
            self.mending.tried.remove(&from);
        }
        if whole.is_empty() {
            return;
        }
        whole.reverse();
        if whole.last().is_some_and(|entry| entry.index + 1 == self.ledger.size()) {
            self.ledger.is_as_late_as(whole.last().map_or(0, |entry| entry.unix_ms));
        }
        self.mending.writing = Some((from, whole.iter().map(|entry| entry.index).collect()));
        effects.push(Effect::Mend { entries: whole });
        self.learn(learned, now);
        self.settle(now, effects);
    }

    /// Entries were put back, or could not be.
    pub(super) fn on_mended(&mut self, entries: &[u64], lost: &[u64], now: Instant, effects: &mut Vec<Effect>) {
        let Some((by, _)) = self.mending.writing.take() else { return };
        let mending = &mut self.mending;
        let entries: Vec<u64> = entries.iter().copied().filter(|index| mending.damaged.remove(index)).collect();
        mending.lost.extend(lost.iter().filter(|index| mending.damaged.contains(index)));
        if entries.is_empty() {
            // A disk that takes nothing now may do so later.
            mending.tried.clear();
            mending.rest = Some(now + REST);
            return;
        }
        mending.tried.clear();
        mending.repaired += entries.len() as u64;
        mending.mended.entry(by).or_default().extend(&entries);
        let (left, is_sound) = (mending.damaged.len(), mending.how().is_none());
        effects.push(Effect::Repaired { entries, by, left, is_sound });
        if mending.wanted().is_none() {
            self.tell_mended(now, effects);
        }
    }

    /// Writes down what was put back with whose help, as soon as nothing more is to be had now.
    fn tell_mended(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        for (by, entries) in std::mem::take(&mut self.mending.mended) {
            let event = Event::Repaired { what: entries_in_words(&entries), by: by.to_string() };
            self.append(event, None, now, effects);
        }
    }

    /// A head that this node has signed names the hash of the entry that was its last.
    pub(super) fn learn_from(&mut self, head: &Head, now: Instant) {
        let Some(last) = head.size.checked_sub(1).filter(|last| self.mending.unknown.contains(last)) else { return };
        if self.mending.unknown.first().is_some_and(|first| *first < last) {
            // Its root can be checked only when those before it are known as well.
            self.mending.anchor = Some(*head);
        } else {
            let mut with_it = self.ledger.clone();
            with_it.learn(&BTreeMap::from([(last, head.last)]));
            if with_it.tree().root_at(head.size) != Some(head.root) {
                return;
            }
        }
        if head.size == self.ledger.size() {
            self.ledger.is_as_late_as(head.unix_ms);
        }
        self.learn(BTreeMap::from([(last, head.last)]), now);
    }

    fn learn(&mut self, hashes: BTreeMap<u64, Hash>, now: Instant) {
        if !hashes.is_empty() {
            self.ledger.learn(&hashes);
            self.mending.unknown.retain(|index| !hashes.contains_key(index));
            self.mending.hurry(now);
        }
    }

    /// If all hashes are known again, the ledger goes on.
    pub(super) fn settle(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if !self.loaded || self.is_known || !self.mending.unknown.is_empty() {
            return;
        }
        if self.mending.anchor.is_some_and(|head| self.ledger.tree().root_at(head.size) != Some(head.root)) {
            // Somebody else has this node's key: what follows on that nobody could prove.
            return;
        }
        self.is_known = true;
        if let Some(heard) = self.own_heard.take() {
            self.on_own_head(heard, now, effects);
        }
        self.append_early(now, effects);
    }
}

/// What the ledger says of damage to itself.
pub(super) fn damage_event(damaged: &[u64], broken: Option<Broken>) -> Event {
    let [what, damage] = damage_told(damaged, broken);
    Event::Damaged { what, damage }
}

/// What is damaged, and how, in one line.
pub(in crate::ledger) fn damage_in_words(damaged: &[u64], broken: Option<Broken>) -> String {
    damage_told(damaged, broken).join(": ")
}

/// What is damaged, and how that shows.
fn damage_told(damaged: &[u64], broken: Option<Broken>) -> [String; 2] {
    let what = if damaged.is_empty() { "the chain of this ledger".to_owned() } else { entries_in_words(damaged) };
    [what, broken.map_or_else(|| "not what was written".to_owned(), |broken| broken.to_string())]
}

fn entries_in_words(entries: &[u64]) -> String {
    let mut numbers: Vec<String> = entries.iter().take(NAMED_MAX).map(u64::to_string).collect();
    if entries.len() > NAMED_MAX {
        numbers.push(format!("{} more", entries.len() - NAMED_MAX));
    }
    format!("entries of this ledger: {}", numbers.join(", "))
}

/// How many damaged entries are named in one entry.
const NAMED_MAX: usize = 12;
/// How many damaged entries are asked for at once.
const FETCHED_MAX: usize = 16;
/// Time between two questions.
const ASK_EVERY: Duration = Duration::from_secs(1);
/// When the next neighbor is asked, if one does not answer.
const ANSWERED_WITHIN: Duration = Duration::from_secs(5);
/// When all are asked again, if nobody had it.
const REST: Duration = Duration::from_secs(60);
