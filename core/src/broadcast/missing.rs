//! Messages that were announced and have not come: who announced them, and when to ask whom.

use crate::Instant;
use crate::limits::MISSING_PER_NEIGHBOR_MAX;

use super::GRAFT_MARGIN;
use super::neighbors::Neighbors;

/// Entries ordered by message. Every neighbor has its own share, so that a flood by one crowds out only its own.
#[derive(Clone, Debug)]
pub(super) struct Missing<P, M>(Vec<Entry<P, M>>);

#[derive(Clone, Debug)]
struct Entry<P, M> {
    message: M,
    since: Instant,
    due: Instant,
    /// Who announced it, in that order, and how often each was asked.
    announcers: Vec<(P, u8)>,
}

impl<P: Copy + Ord, M: Copy + Ord> Missing<P, M> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Notes who has these messages, each of them once. Of a message that nobody has announced before, `by` is asked when
    /// `due`; whether older announcements of the same neighbor had to make room.
    pub(super) fn announced(&mut self, messages: &[M], by: P, now: Instant, due: Instant) -> bool {
        let mut fresh: Vec<M> = messages.to_vec();
        fresh.sort_unstable();
        fresh.dedup();
        fresh.retain(|message| !self.place(*message).is_ok_and(|at| self.0[at].is_announced_by(by)));
        let crowded = self.make_room(by, fresh.len());
        for message in fresh {
            match self.place(message) {
                Ok(at) => self.0[at].announcers.push((by, 0)),
                Err(at) => {
                    let announcers = Vec::from([(by, 0)]);
                    self.0.insert(at, Entry { message, since: now, due, announcers });
                }
            }
        }
        crowded
    }

    /// The message came, or is not wanted any more; who has announced it.
    pub(super) fn remove(&mut self, message: M) -> Vec<P> {
        let Ok(at) = self.place(message) else { return Vec::new() };
        let announcers = self.0.remove(at).announcers;
        self.give_back();
        announcers.into_iter().map(|(peer, _)| peer).collect()
    }

    /// A neighbor is gone. Whoever else announced what it was asked for is asked now.
    pub(super) fn forget_announcer(&mut self, peer: P, now: Instant) {
        for entry in &mut self.0 {
            let asked = |(announcer, times): &(P, u8)| *announcer == peer && *times > 0;
            if entry.announcers.iter().any(asked) {
                entry.due = entry.due.min(now);
            }
            entry.announcers.retain(|(announcer, _)| *announcer != peer);
        }
        self.drop_orphans();
    }

    /// Whom to ask for what now. Everybody is asked once before anybody is asked again; of those, who disappointed least
    /// comes first. An entry of which everybody was asked often enough is given up.
    pub(super) fn take_due(&mut self, now: Instant, neighbors: &mut Neighbors<P>) -> Vec<(P, M)> {
        let mut asks = Vec::new();
        for entry in self.0.iter_mut().filter(|entry| entry.due <= now) {
            let least = |(peer, times): &&mut (P, u8)| (*times, neighbors.unkept(*peer));
            match entry.announcers.iter_mut().min_by_key(least) {
                Some((peer, times)) if *times < GRAFT_ROUNDS => {
                    *times += 1;
                    neighbors.disappointed(*peer);
                    neighbors.make_eager(*peer);
                    entry.due = now + neighbors.answer_time(*peer) + GRAFT_MARGIN;
                    asks.push((*peer, entry.message));
                }
                _ => entry.announcers.clear(),
            }
        }
        self.drop_orphans();
        asks
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.0.iter().map(|entry| entry.due).min()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        let announcers: usize = self.0.iter().map(|entry| entry.announcers.capacity()).sum();
        self.0.capacity() * size_of::<Entry<P, M>>() + announcers * size_of::<(P, u8)>()
    }

    /// Takes so many of a neighbor's oldest announcements back that there is room for `more` in its share; whether any had
    /// to go. One pass over the table, however many come at once: a flood must not cost more than it says.
    fn make_room(&mut self, by: P, more: usize) -> bool {
        if self.0.len() + more <= MISSING_PER_NEIGHBOR_MAX {
            return false;
        }
        let share = self.0.iter().filter(|entry| entry.is_announced_by(by));
        let mut oldest: Vec<(Instant, M)> = share.map(|entry| (entry.since, entry.message)).collect();
        let excess = (oldest.len() + more).saturating_sub(MISSING_PER_NEIGHBOR_MAX).min(oldest.len());
        if excess == 0 {
            return false;
        }
        oldest.sort_unstable();
        oldest.truncate(excess);
        for (_, message) in oldest {
            if let Ok(at) = self.place(message) {
                self.0[at].announcers.retain(|(peer, _)| *peer != by);
            }
        }
        self.drop_orphans();
        true
    }

    fn drop_orphans(&mut self) {
        self.0.retain(|entry| !entry.announcers.is_empty());
        self.give_back();
    }

    /// A node at rest misses nothing, and keeps no memory for it.
    fn give_back(&mut self) {
        if self.0.is_empty() {
            self.0 = Vec::new();
        }
    }

    fn place(&self, message: M) -> Result<usize, usize> {
        self.0.binary_search_by(|entry| entry.message.cmp(&message))
    }
}

impl<P: Copy + Ord, M> Entry<P, M> {
    fn is_announced_by(&self, peer: P) -> bool {
        self.announcers.iter().any(|(announcer, _)| *announcer == peer)
    }
}

/// How often each announcer is asked before a message is given up: anti-entropy will bring it.
const GRAFT_ROUNDS: u8 = 2;
