//! [`Membership`]: how everybody stands, and the clocks that change it.

use std::collections::{BTreeMap, BTreeSet};

use super::Testimony;
use super::case::{Case, Judgment};
use super::listing::Listing;
use super::roster::{
    ACCUSED, ACCUSES, BETWEEN, DOUBTED, GONE, LEARNED, LISTED, LISTED_BACK, MUTUAL, RECORD, REFUTED, Roster, SLOT_MASK,
    Slot,
};
use super::verdict::{Level, Tally, Thresholds};
use super::{Change, Evidence, Status};
use crate::{Instant, PeerId, Rejected};

/// The status of every member.
///
/// Feed it everything that is known of one moment, then [`wake`](Self::wake) it: members are judged when time moves on,
/// by the records then held, so that the order of arrival within a moment cannot matter.
///
/// A record costs one search per neighbor that it lists, and a count over the neighbors of each member about whom it says
/// something new; a renewed record that says what the last one said has nobody judged.
///
/// A member with eight neighbors takes 101 bytes, its share of every container included (measured with 100,000 members by
/// `a_member_takes_at_most_128_bytes_with_its_neighbors_and_its_share_of_every_container`). A case is added for each member
/// that is down, about to be, or was lately.
#[derive(Debug)]
pub struct Membership {
    listing: Listing,
    cases: BTreeMap<Slot, (Case, Option<Instant>)>,
    /// When to look at whose case again.
    timers: BTreeSet<(Instant, Slot)>,
    /// Members that only others in between keep from being removed.
    waiting: BTreeSet<Slot>,
    /// The moment whose news are not judged yet.
    unjudged: Option<Instant>,
    /// With the moment of each.
    changes: Vec<(Instant, Change)>,
}

impl Membership {
    /// Nobody known yet. The seed is for the roster's index and has no influence on any verdict.
    pub fn new(seed: u64) -> Self {
        Self {
            listing: Listing::new(seed),
            cases: BTreeMap::new(),
            timers: BTreeSet::new(),
            waiting: BTreeSet::new(),
            unjudged: None,
            changes: Vec::new(),
        }
    }

    /// An origin's links record was applied, or, while it is held, its judgments were; what this node says itself counts
    /// like any other's word. `version` is that of the judgments; 0 if there are none. Whoever holds the records has
    /// compared versions: what is told last counts.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] if it lists too many neighbors or there is no room for one more member. Nothing has
    /// changed then.
    pub fn told(&mut self, origin: PeerId, version: u64, body: &Testimony, now: Instant) -> Result<(), Rejected> {
        self.advance(now);
        self.listing.take_in(origin, version, body)
    }

    /// An origin's links record expired or was withdrawn. A member that fell silent so is down at once, and back with
    /// its next record.
    pub fn forgotten(&mut self, origin: &PeerId, now: Instant) {
        self.advance(now);
        let Some(slot) = self.listing.roster.slot(origin).filter(|slot| self.listing.roster.has(*slot, RECORD)) else {
            return;
        };
        self.listing.take_back(slot);
        if !self.listing.roster.is_member(slot) {
            self.drop_member(slot);
        } else if self.listing.roster.status_at(slot) != Status::Down {
            self.cases.entry(slot).or_default().0.fall_silent(now);
        }
    }

    /// A node made itself known by a node record; a later one may name another region.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] if there is no room for one more member.
    pub fn learned(&mut self, peer: PeerId, region: &str, now: Instant) -> Result<(), Rejected> {
        self.advance(now);
        let slot = self.listing.roster.enter(peer)?;
        self.listing.roster.set(slot, LEARNED, true);
        self.listing.roster.set_region(slot, region);
        Ok(())
    }

    /// A node's own record expired or was withdrawn. Without a links record either, it is no member any more.
    pub fn lost(&mut self, peer: &PeerId, now: Instant) {
        self.advance(now);
        let Some(slot) = self.listing.roster.member(peer) else { return };
        self.listing.roster.set(slot, LEARNED, false);
        if !self.listing.roster.is_member(slot) {
            self.drop_member(slot);
        }
    }

    /// Judges what was said up to `now`, and whose time has come; returns what changed since the last call.
    pub fn wake(&mut self, now: Instant) -> Vec<Change> {
        let due: Vec<_> = self.timers.range(..=(now, Slot::MAX)).copied().collect();
        for timer in due {
            self.timers.remove(&timer);
            self.listing.touched.insert(timer.1);
        }
        self.listing.fade(now);
        self.settle(now);
        let mut changes = std::mem::take(&mut self.changes);
        // By moment already; within one, by name rather than by slot, which is an accident of arrival.
        changes.sort_by_key(|(at, change)| (*at, change.peer));
        changes.into_iter().map(|(_, change)| change).collect()
    }

    /// When to wake it again; `None` if only news can change anything.
    pub fn deadline(&self) -> Option<Instant> {
        let timer = self.timers.first().map(|(at, _)| *at);
        [timer, self.listing.deadline(), self.unjudged].into_iter().flatten().min()
    }

    /// Everybody who is known, with status and region.
    pub const fn roster(&self) -> &Roster {
        &self.listing.roster
    }

    /// The voices about a member as they were at the last waking; `None` for somebody unknown.
    pub fn tally(&self, peer: &PeerId) -> Option<Tally> {
        self.roster().member(peer).map(|slot| self.count(slot))
    }

    /// Who observes a member: its neighbors, as both ends say or did until shortly ago.
    pub(super) fn observers(&self, peer: &PeerId) -> impl Iterator<Item = PeerId> {
        let cells = self.roster().member(peer).map_or(&[][..], |slot| self.roster().list(slot));
        cells.iter().filter(|cell| **cell & MUTUAL != 0).map(|cell| self.roster().id(cell & SLOT_MASK))
    }

    /// Whether a member has a voice about others: it is neither down nor in doubt itself.
    pub(super) fn is_heard(&self, peer: &PeerId) -> bool {
        self.roster().member(peer).is_some_and(|slot| self.has_voice(slot))
    }

    /// Who accuses a member at present, in ascending order; those without a voice and those refuted are left out.
    pub fn accusers(&self, peer: &PeerId) -> Vec<PeerId> {
        let roster = self.roster();
        let cells = roster.member(peer).map_or(&[][..], |slot| roster.list(slot));
        let accusers = cells.iter().filter(|cell| accuses(**cell) && self.has_voice(**cell & SLOT_MASK));
        let mut accusers: Vec<PeerId> = accusers.map(|cell| roster.id(cell & SLOT_MASK)).collect();
        accusers.sort_unstable();
        accusers
    }

    /// How many members `from` reaches over links that both ends report and neither doubts, itself included: what a
    /// [`PartitionDetector`](super::PartitionDetector) wants to know. Looks at every link once.
    pub fn reachable(&self, from: &PeerId) -> usize {
        let roster = self.roster();
        let Some(start) = roster.member(from) else { return 0 };
        let mut seen = vec![false; roster.slots()];
        seen[start as usize] = true;
        let (mut open, mut reached) = (vec![start], 0);
        while let Some(slot) = open.pop() {
            reached += 1;
            for cell in roster.list(slot).iter().filter(|cell| works(**cell)) {
                let next = cell & SLOT_MASK;
                if !std::mem::replace(&mut seen[next as usize], true) {
                    open.push(next);
                }
            }
        }
        reached
    }

    /// Time moves on to `now`: judges what an earlier moment brought.
    fn advance(&mut self, now: Instant) {
        match self.unjudged {
            Some(earlier) if earlier < now => self.settle(earlier),
            _ => {}
        }
        self.unjudged = Some(now);
    }

    /// Judges everybody about whom something changed, and then those for whom that changes something.
    fn settle(&mut self, now: Instant) {
        self.unjudged = None;
        self.listing.settle(now);
        let mut subjects = std::mem::take(&mut self.listing.touched);
        while !subjects.is_empty() {
            self.refresh_doubts(&mut subjects);
            // Every voice is counted before the first status changes, or the result would depend on the order.
            let mut tallies = Vec::with_capacity(subjects.len());
            let mut cleared = false;
            for slot in subjects {
                if !self.roster().is_member(slot) {
                    continue;
                }
                let tally = self.count(slot);
                let between = tally.level() == Level::Between && self.roster().status_at(slot) != Status::Down;
                cleared |= self.listing.roster.set(slot, BETWEEN, between) && !between;
                tallies.push((slot, tally));
            }
            if cleared {
                let judged: BTreeSet<Slot> = tallies.iter().map(|(slot, _)| *slot).collect();
                tallies.extend(self.waiting.difference(&judged).map(|slot| (*slot, self.count(*slot))));
            }
            let blocked = |(slot, tally): &(Slot, Tally)| tally.level() == Level::Convictable && self.is_blocked(*slot);
            let blocked: Vec<bool> = tallies.iter().map(blocked).collect();
            subjects = BTreeSet::new();
            for ((slot, tally), blocked) in tallies.into_iter().zip(blocked) {
                if self.judge(slot, &tally, blocked, now) {
                    subjects.extend(self.roster().list(slot).iter().map(|cell| cell & SLOT_MASK));
                    subjects.extend(&self.waiting);
                }
            }
        }
    }

    /// Finds out who is in doubt now, and adds those whose observers' voices that concerns.
    fn refresh_doubts(&mut self, subjects: &mut BTreeSet<Slot>) {
        let mut concerned = Vec::new();
        for slot in subjects.iter() {
            let mutual = self.roster().list(*slot).iter().filter(|cell| **cell & MUTUAL != 0);
            let (mut observers, mut accusers) = (0, 0);
            for cell in mutual {
                observers += 1;
                accusers += usize::from(accuses(*cell));
            }
            // Two at least, if there are two: no single liar takes another's voice.
            let enough = Thresholds::of(observers, observers).low.max(observers.min(2));
            let doubted = observers > 0 && accusers >= enough;
            if self.listing.roster.set(*slot, DOUBTED, doubted) {
                concerned.extend(self.roster().list(*slot).iter().map(|cell| cell & SLOT_MASK));
            }
        }
        subjects.extend(concerned);
    }

    /// Looks at one member again; true if whether it has a voice changed by it.
    fn judge(&mut self, slot: Slot, tally: &Tally, blocked: bool, now: Instant) -> bool {
        let (was, record) = (self.roster().status_at(slot), self.roster().has(slot, RECORD));
        let (mut case, timer) = self.cases.remove(&slot).unwrap_or_default();
        let judgment = case.judge(was, tally, record, blocked, now);
        if let Some(at) = timer {
            self.timers.remove(&(at, slot));
        }
        if let Some(at) = judgment.due {
            self.timers.insert((at, slot));
        }
        if !case.is_closed() || judgment.due.is_some() {
            self.cases.insert(slot, (case, judgment.due));
        }
        if judgment.waits {
            self.waiting.insert(slot)
        } else {
            self.waiting.remove(&slot)
        };
        self.listing.roster.set(slot, GONE, judgment.gone);
        if judgment.status == was {
            return false;
        }
        self.listing.roster.set_status(slot, judgment.status);
        self.listing.roster.set(slot, BETWEEN, judgment.status == Status::Suspect && tally.level() == Level::Between);
        self.tell(slot, was, &judgment, tally, now);
        was == Status::Down || judgment.status == Status::Down
    }

    fn tell(&mut self, slot: Slot, from: Status, judgment: &Judgment, tally: &Tally, now: Instant) {
        let Thresholds { low, high } = tally.thresholds();
        let Tally { accusers, voting, .. } = *tally;
        let evidence = Evidence { reason: judgment.reason, accusers, voting, low, high };
        self.changes.push((now, Change { peer: self.roster().id(slot), from, to: judgment.status, evidence }));
    }

    /// Whether another node that one of the member's observers observes as well is between the watermarks.
    fn is_blocked(&self, slot: Slot) -> bool {
        let roster = self.roster();
        let pairs = |slot: Slot| roster.list(slot).iter().filter(|cell| **cell & MUTUAL != 0).map(|c| c & SLOT_MASK);
        pairs(slot).any(|observer| pairs(observer).any(|other| other != slot && roster.has(other, BETWEEN)))
    }

    fn count(&self, slot: Slot) -> Tally {
        let mut tally = Tally::default();
        for cell in self.roster().list(slot).iter().filter(|cell| **cell & MUTUAL != 0) {
            tally.observers += 1;
            if self.has_voice(cell & SLOT_MASK) {
                tally.voting += 1;
                tally.accusers += usize::from(accuses(*cell));
                tally.witnesses += usize::from(cell & (LISTED_BACK | ACCUSED) == LISTED_BACK);
            }
        }
        tally
    }

    fn has_voice(&self, slot: Slot) -> bool {
        !self.roster().has(slot, DOUBTED) && self.roster().status_at(slot) != Status::Down
    }

    /// Somebody is no member any more: its case is closed, its slot goes with the last list that it stands in.
    fn drop_member(&mut self, slot: Slot) {
        if let Some((_, Some(at))) = self.cases.remove(&slot) {
            self.timers.remove(&(at, slot));
        }
        self.waiting.remove(&slot);
        self.listing.touched.remove(&slot);
        for flag in [BETWEEN, GONE, DOUBTED] {
            self.listing.roster.set(slot, flag, false);
        }
        self.listing.roster.set_status(slot, Status::Alive);
        self.listing.roster.leave_if_unused(slot);
    }
}

/// Whether a cell says that the neighbor's accusation of the list's owner stands.
const fn accuses(cell: u32) -> bool {
    cell & (MUTUAL | ACCUSED | REFUTED) == MUTUAL | ACCUSED
}

/// Whether both ends report the link as working.
const fn works(cell: u32) -> bool {
    cell & (LISTED | LISTED_BACK | ACCUSES | ACCUSED) == LISTED | LISTED_BACK
}
