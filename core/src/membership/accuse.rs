//! What this node says about its neighbors: whom it accuses, and which accusations of itself it refutes.
//!
//! It hears how its own links are, what others say of this node, and verdicts; whoever publishes its judgments asks it
//! for [`accused`](Accusations::accused) and [`refuted`](Accusations::refuted), when
//! [`take_changed`](Accusations::take_changed) says so. Invariant: it accuses only a neighbor with which it had a link,
//! and refutes only an accuser with which it has a link that works.
//!
//! An accuser that is refuted doubts itself first (its [`Health`] worsens), and says it again with a new version only if
//! the neighbor is still silent after another, longer while: by then the refutation may be from before its end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Health, Status, Testimony};
use crate::limits::{ACCUSATION_RETENTION, ACCUSE_AFTER, LINKS_PER_NODE_MAX, NEIGHBORS_MAX};
use crate::record::Refuted;
use crate::{Instant, PeerId};

/// The accusations and refutations of one node.
#[derive(Debug)]
pub struct Accusations {
    me: PeerId,
    health: Health,
    neighbors: BTreeMap<PeerId, Neighbor>,
    /// Who accuses this node, and in which version of its judgments.
    accusers: BTreeMap<PeerId, u64>,
    changed: bool,
}

/// A neighbor with which there was a link.
#[derive(Clone, Debug)]
struct Neighbor {
    link: Link,
    /// Since when it is down, as far as the verdict goes.
    down: Option<Instant>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Link {
    Works,
    /// Silent, but not for long enough, or this node is not well enough, to say anything.
    Silent {
        since: Instant,
    },
    Accused(Accusation),
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Accusation {
    /// The first version of this node's judgments that says it; `None` until it is published.
    version: Option<u64>,
    /// When it was refuted; it is stated again after a while.
    refuted: Option<Instant>,
}

impl Accusations {
    /// For the node `me`, in perfect health and without neighbors.
    pub fn new(me: PeerId, now: Instant) -> Self {
        let (neighbors, accusers) = (BTreeMap::new(), BTreeMap::new());
        Self { me, health: Health::new(now), neighbors, accusers, changed: false }
    }

    /// There is a link to a neighbor. Its handshake was a round trip: from now on silence counts, though too few probes may
    /// have returned for the link to work. Otherwise a neighbor that ends soon after this node has begun, or has met it
    /// again after many failed dials, would have an observer that never accuses it.
    pub fn met(&mut self, peer: PeerId, now: Instant) {
        if !self.neighbors.contains_key(&peer) {
            self.insert(peer, Link::Silent { since: now });
        }
    }

    /// How the link to a neighbor is: whether frames may be sent over it. A link that works withdraws an accusation at
    /// once. A neighbor with which there never was a link that worked is passed over.
    pub fn link(&mut self, peer: PeerId, usable: bool, now: Instant) {
        if usable {
            let Some(neighbor) = self.neighbors.get_mut(&peer) else { return self.insert(peer, Link::Works) };
            let was = std::mem::replace(&mut neighbor.link, Link::Works);
            neighbor.down = None;
            self.changed |= matches!(was, Link::Accused(_));
            self.changed |= was != Link::Works && self.accusers.contains_key(&peer);
            return;
        }
        let links = self.neighbors.len();
        let Some(neighbor) = self.neighbors.get_mut(&peer).filter(|neighbor| neighbor.link == Link::Works) else {
            return;
        };
        neighbor.link = Link::Silent { since: now };
        self.changed |= self.accusers.contains_key(&peer);
        self.health.fell_silent(peer, links, now);
    }

    /// The neighbor is not one any more, on purpose: nothing is said about it.
    pub fn dropped(&mut self, peer: &PeerId) {
        if let Some(neighbor) = self.neighbors.remove(peer) {
            self.changed |= matches!(neighbor.link, Link::Accused(_));
            self.changed |= neighbor.link == Link::Works && self.accusers.contains_key(peer);
        }
    }

    /// Another node's links record was applied, or its judgments, whose version it is; 0 if there are none.
    pub fn told(&mut self, origin: PeerId, version: u64, body: &Testimony, now: Instant) {
        if origin == self.me {
            return;
        }
        let works = self.works(&origin);
        if body.accused.binary_search(&self.me).is_ok() {
            // Only a neighbor's word counts, and only of neighbors can there be round trips.
            if self.neighbors.contains_key(&origin) && self.accusers.insert(origin, version) != Some(version) {
                self.changed |= works;
            }
        } else if self.accusers.remove(&origin).is_some() {
            self.changed |= works;
        }
        let about_me = body.refuted.iter().find(|refuted| refuted.accuser == self.me);
        let Some(Neighbor { link: Link::Accused(accusation), .. }) = self.neighbors.get_mut(&origin) else { return };
        let meant = |stated: u64| about_me.is_some_and(|refuted| refuted.version >= stated);
        if accusation.refuted.is_none() && accusation.version.is_some_and(meant) {
            accusation.refuted = Some(now);
            self.health.refuted(now);
        }
    }

    /// Another node's links record expired or was withdrawn.
    pub fn forgotten(&mut self, origin: &PeerId) {
        if self.accusers.remove(origin).is_some() {
            self.changed |= self.works(origin);
        }
    }

    /// The mesh came to a verdict about a member.
    pub fn judged(&mut self, peer: &PeerId, status: Status, now: Instant) {
        if let Some(neighbor) = self.neighbors.get_mut(peer) {
            neighbor.down = if status == Status::Down { Some(neighbor.down.unwrap_or(now)) } else { None };
        }
    }

    /// This node's judgments were published in this version, with what was to be said then.
    pub fn published(&mut self, version: u64) {
        for neighbor in self.neighbors.values_mut() {
            if let Link::Accused(accusation) = &mut neighbor.link {
                accusation.version.get_or_insert(version);
            }
        }
    }

    /// Its time has come, which was `due` (the last [`deadline`](Self::deadline), or any other timer of this node: the
    /// more of them it hears of, the better it knows its health).
    pub fn wake(&mut self, due: Instant, now: Instant) {
        self.health.woke(due, now);
        self.neighbors.retain(|_, neighbor| {
            let over = neighbor.down.is_some_and(|down| now >= down + ACCUSATION_RETENTION);
            let keep = neighbor.link == Link::Works || !over;
            self.changed |= !keep && matches!(neighbor.link, Link::Accused(_));
            keep
        });
        if !self.health.may_accuse() || self.is_cut_off() {
            return;
        }
        let patience = self.patience();
        for neighbor in self.neighbors.values_mut() {
            match &neighbor.link {
                Link::Silent { since } if now >= *since + patience => {}
                Link::Accused(Accusation { refuted: Some(at), .. }) if now >= *at + patience => {}
                _ => continue,
            }
            neighbor.link = Link::Accused(Accusation { version: None, refuted: None });
            self.changed = true;
        }
    }

    /// When to wake it again.
    pub fn deadline(&self) -> Option<Instant> {
        let (speaks, patience) = (self.health.may_accuse() && !self.is_cut_off(), self.patience());
        let next = |neighbor: &Neighbor| {
            let said = match &neighbor.link {
                Link::Works => return None,
                Link::Silent { since } => Some(*since),
                Link::Accused(accusation) => accusation.refuted,
            };
            let said = said.filter(|_| speaks).map(|at| at + patience);
            let over = neighbor.down.map(|down| down + ACCUSATION_RETENTION);
            [said, over].into_iter().flatten().min()
        };
        self.neighbors.values().filter_map(next).chain(self.health.deadline()).min()
    }

    /// Neighbors to be listed as accused, ascending.
    pub fn accused(&self) -> impl Iterator<Item = PeerId> {
        self.neighbors.iter().filter(|(_, n)| matches!(n.link, Link::Accused(_))).map(|(peer, _)| *peer)
    }

    /// Accusations of this node to be refuted, ascending: those of neighbors with which it has round trips.
    pub fn refuted(&self) -> impl Iterator<Item = Refuted> {
        let wrong = self.accusers.iter().filter(|(accuser, _)| self.works(accuser));
        wrong.map(|(accuser, version)| Refuted { accuser: *accuser, version: *version })
    }

    /// Whether new judgments are to be published; asking answers it.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether an accusation waits for a version: it is new, or said again after a refutation.
    pub fn is_unsaid(&self) -> bool {
        let waits = |n: &Neighbor| matches!(&n.link, Link::Accused(accusation) if accusation.version.is_none());
        self.neighbors.values().any(waits)
    }

    /// How far this node trusts its own senses.
    pub const fn health(&self) -> &Health {
        &self.health
    }

    fn insert(&mut self, peer: PeerId, link: Link) {
        // Beyond the limit a neighbor could not be listed either.
        if peer != self.me && self.neighbors.len() < NEIGHBORS_MAX {
            self.neighbors.insert(peer, Neighbor { link, down: None });
        }
    }

    pub(super) fn works(&self, peer: &PeerId) -> bool {
        self.neighbors.get(peer).is_some_and(|neighbor| neighbor.link == Link::Works)
    }

    /// None of several links works: then it is this node that is cut off, and nobody would hear it anyway.
    fn is_cut_off(&self) -> bool {
        self.neighbors.len() > 1 && self.neighbors.values().all(|neighbor| neighbor.link != Link::Works)
    }

    fn patience(&self) -> Duration {
        ACCUSE_AFTER * self.health.multiplier()
    }
}

const _: () = assert!(NEIGHBORS_MAX <= LINKS_PER_NODE_MAX, "all accused and all refuted fit into a record");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::health::SCORE_MAX;

    fn peer(n: u8) -> PeerId {
        PeerId::from_public_key([n; 32])
    }

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    /// Node 0 with working links to 1 to `links`.
    fn linked(links: u8) -> Accusations {
        let mut own = Accusations::new(peer(0), at(0));
        (1..=links).for_each(|n| own.link(peer(n), true, at(0)));
        own
    }

    fn says(accused: &[u8], refuted: &[(u8, u64)]) -> Testimony {
        Testimony {
            links: Vec::new(),
            accused: accused.iter().map(|n| peer(*n)).collect(),
            refuted: refuted.iter().map(|(n, version)| Refuted { accuser: peer(*n), version: *version }).collect(),
            ..Testimony::default()
        }
    }

    fn accused(own: &Accusations) -> Vec<PeerId> {
        own.accused().collect()
    }

    /// Wakes in time for everything up to `until`.
    fn run(own: &mut Accusations, until: Instant) {
        while let Some(due) = own.deadline().filter(|due| *due <= until) {
            own.wake(due, due);
        }
    }

    #[test]
    fn a_silent_neighbor_is_accused_after_a_while_and_cleared_at_once() {
        let mut own = linked(3);
        own.link(peer(2), false, at(1000));
        assert_eq!(own.deadline(), Some(at(4000)));
        run(&mut own, at(3999));
        assert!(accused(&own).is_empty() && !own.take_changed());
        run(&mut own, at(4000));
        assert_eq!(accused(&own), [peer(2)]);
        assert!(own.take_changed() && !own.take_changed());
        own.link(peer(2), true, at(4001));
        assert!(accused(&own).is_empty() && own.take_changed());
    }

    #[test]
    fn who_never_had_a_link_is_not_accused() {
        let mut own = linked(2);
        own.link(peer(9), false, at(0));
        run(&mut own, at(60_000));
        assert!(accused(&own).is_empty());
    }

    #[test]
    fn who_was_met_and_never_worked_is_accused_like_anybody_else() {
        let mut own = linked(2);
        own.met(peer(9), at(1000));
        own.link(peer(9), false, at(1000));
        own.met(peer(9), at(2000));
        run(&mut own, at(3999));
        assert!(accused(&own).is_empty());
        run(&mut own, at(4000));
        assert_eq!(accused(&own), [peer(9)]);
        own.link(peer(9), true, at(5000));
        own.met(peer(9), at(5001));
        assert!(accused(&own).is_empty() && own.works(&peer(9)));
    }

    #[test]
    fn repeated_reports_of_silence_do_not_put_the_accusation_off() {
        let mut own = linked(3);
        (0..4).for_each(|i| own.link(peer(1), false, at(i * 1000)));
        run(&mut own, at(3000));
        assert_eq!(accused(&own), [peer(1)]);
    }

    #[test]
    fn a_node_that_wakes_late_takes_longer_and_then_accuses_nobody() {
        let mut own = linked(3);
        own.link(peer(1), false, at(500));
        own.wake(at(3000), at(3500));
        assert!(accused(&own).is_empty(), "in perfect health it would have been accused at 3.5 s");
        own.wake(at(4000), at(9000));
        assert_eq!(own.health().score(), SCORE_MAX);
        own.wake(at(70_000), at(90_000));
        assert!(accused(&own).is_empty(), "however long the silence");
        run(&mut own, at(120_000));
        assert_eq!(accused(&own), [peer(1)], "it is well again");
    }

    #[test]
    fn a_node_that_is_cut_off_from_all_accuses_nobody() {
        let mut own = linked(3);
        for n in 1..=3 {
            own.link(peer(n), false, at(u64::from(n) * 5000));
            run(&mut own, at(u64::from(n) * 5000 + 3000));
        }
        assert_eq!(accused(&own), [peer(1), peer(2)], "one after the other, while the third works");
        run(&mut own, at(60_000));
        assert_eq!(accused(&own), [peer(1), peer(2)]);
        own.link(peer(1), true, at(61_000));
        run(&mut own, at(61_000));
        assert_eq!(accused(&own), [peer(2), peer(3)]);
    }

    #[test]
    fn the_only_neighbor_may_be_accused() {
        let mut own = linked(1);
        own.link(peer(1), false, at(0));
        run(&mut own, at(3000));
        assert_eq!(accused(&own), [peer(1)]);
    }

    #[test]
    fn an_accusation_is_refuted_while_round_trips_show_that_it_is_wrong() {
        let mut own = linked(2);
        own.told(peer(1), 7, &says(&[0], &[]), at(0));
        assert!(own.take_changed());
        assert_eq!(own.refuted().collect::<Vec<_>>(), [Refuted { accuser: peer(1), version: 7 }]);
        own.told(peer(1), 7, &says(&[0], &[]), at(0));
        assert!(!own.take_changed(), "it was answered already");
        own.told(peer(1), 8, &says(&[0], &[]), at(0));
        assert!(own.take_changed(), "a new version is a new accusation");
        own.link(peer(1), false, at(1));
        assert!(own.take_changed() && own.refuted().next().is_none());
        own.link(peer(1), true, at(2));
        assert!(own.take_changed() && own.refuted().next().is_some());
        own.told(peer(1), 9, &says(&[], &[]), at(3));
        assert!(own.take_changed() && own.refuted().next().is_none());
    }

    #[test]
    fn accusations_by_strangers_and_expired_ones_are_not_answered() {
        let mut own = linked(1);
        own.told(peer(9), 1, &says(&[0], &[]), at(0));
        assert!(!own.take_changed() && own.refuted().next().is_none());
        own.told(peer(1), 1, &says(&[0], &[]), at(0));
        own.forgotten(&peer(1));
        assert!(own.refuted().next().is_none());
    }

    #[test]
    fn a_refuted_accuser_doubts_itself_and_says_it_again_later_with_a_new_version() {
        let mut own = linked(3);
        own.link(peer(1), false, at(0));
        run(&mut own, at(3000));
        own.published(5);
        assert!(own.take_changed());
        own.told(peer(1), 1, &says(&[], &[(0, 4)]), at(3000));
        assert_eq!(own.health().score(), 0, "an older version is not what was said");
        own.told(peer(1), 2, &says(&[], &[(0, 5)]), at(3000));
        own.told(peer(1), 3, &says(&[], &[(0, 5)]), at(3001));
        assert_eq!(own.health().score(), 1, "one refutation counts once");
        assert!(!own.take_changed());
        run(&mut own, at(5999));
        assert!(!own.take_changed());
        run(&mut own, at(6000));
        assert!(own.take_changed(), "still silent: the same again, which the refutation does not cover");
        assert_eq!(accused(&own), [peer(1)]);
        own.published(6);
        own.told(peer(1), 4, &says(&[], &[(0, 5)]), at(6001));
        assert_eq!(own.health().score(), 0, "that was the former accusation");
    }

    #[test]
    fn an_accusation_is_dropped_some_time_after_the_verdict() {
        let mut own = linked(2);
        own.link(peer(1), false, at(0));
        run(&mut own, at(3000));
        own.judged(&peer(1), Status::Down, at(10_000));
        own.judged(&peer(1), Status::Down, at(20_000));
        run(&mut own, at(609_999));
        assert_eq!(accused(&own), [peer(1)]);
        own.take_changed();
        run(&mut own, at(610_000));
        assert!(accused(&own).is_empty() && own.take_changed());
        assert_eq!(own.deadline(), None);
    }

    #[test]
    fn a_neighbor_given_up_on_purpose_is_not_accused() {
        let mut own = linked(2);
        own.link(peer(1), false, at(0));
        own.dropped(&peer(1));
        run(&mut own, at(60_000));
        assert!(accused(&own).is_empty() && !own.take_changed());
    }
}
