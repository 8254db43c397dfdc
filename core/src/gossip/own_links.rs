//! This node's links and judgments as they are, and as they were last told: what must be told, and when.
//!
//! Whatever is told of links costs every node of the mesh a record, so less is told than happens. Of a node that starts,
//! the links come up within a few round trips and are told together. A link that carried frames and is gone is told at
//! once. A link at rest that is gone is told as if it were up for [`LINGERS`]: either it is back by then, or its end is
//! accused by then, which says the same in fewer bytes. No path that is in use, or kept warm, leads over a link at rest,
//! and whoever tries one meanwhile is told by the relay that the path is broken. When many links are gone at once, it is
//! not a neighbor that has ended but the mesh that falls apart, or this node's own wire that is cut: who counts whom it
//! can reach has to know soon, so that is told at once, too.
//!
//! The link to a neighbor that loses most of its packets comes and goes with the few that get through, and each time both
//! ends would tell the mesh. One that ends while its neighbor is accused is told again once it has held for
//! [`PROVES_ITSELF`], or once the accusation is withdrawn.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::limits::{ACCUSE_AFTER, LINKS_PER_NODE_MAX};
use crate::peer::LinkReport;
use crate::record::{JudgmentsBody, LinkBody, LinksBody, Refuted};
use crate::{Instant, Label, PeerId};

use super::pace::Pace;

/// What this node has to say of its neighbors.
#[derive(Debug, Default)]
pub(super) struct OwnLinks {
    now: BTreeMap<PeerId, LinkBody>,
    /// Links at rest that went down a moment ago, and until when they are told as if they were up.
    lingering: BTreeMap<PeerId, (LinkBody, Instant)>,
    /// Neighbors that are accused and whose links have ended since: once up again, until when they are told as if down.
    relapsed: BTreeMap<PeerId, Option<Instant>>,
    /// Links that went down a moment ago, and until when that is so.
    ended: BTreeMap<PeerId, Instant>,
    /// Until when a link that is gone is told at once, because many are.
    hasty_until: Instant,
    accused: Vec<PeerId>,
    refuted: Vec<Refuted>,
    /// Neighbors, of now or before, that are believed no more.
    distrusted: Vec<PeerId>,
    /// An accusation must be said again, though it is the same.
    restated: bool,
    /// When they may be told for the first time.
    begins: Instant,
    links_told: Option<LinksBody>,
    judgments_told: JudgmentsBody,
    /// When they are told again; set while they differ from what was told.
    due: Option<Instant>,
    /// Whether this node sheds load: its links are told as farther than they are.
    sheds: bool,
    /// How often anything is told.
    pace: Pace,
    /// How often something is told of each neighbor of which something was told lately.
    pace_of: BTreeMap<PeerId, Pace>,
}

/// Bodies that take the place of what was told.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Told {
    pub(super) links: Option<LinksBody>,
    pub(super) judgments: Option<JudgmentsBody>,
}

impl OwnLinks {
    /// Nothing to say, and nothing said before `begins`.
    pub(super) fn new(begins: Instant) -> Self {
        Self { begins, ..Self::default() }
    }

    /// Takes a report into account.
    pub(super) fn update(&mut self, report: &LinkReport, now: Instant) {
        match report.link.filter(|_| report.state.is_usable()) {
            Some((_, label)) => {
                let rtt_us = u32::try_from(report.rtt.as_micros()).unwrap_or(u32::MAX);
                let link = LinkBody { neighbor: report.peer, label, rtt_us, loss_permille: report.loss_permille };
                self.now.insert(report.peer, link);
                if let Some(until) = self.relapsed.get_mut(&report.peer) {
                    until.get_or_insert(now + PROVES_ITSELF);
                }
                self.lingering.remove(&report.peer);
                self.ended.remove(&report.peer);
            }
            None => self.end(report, now),
        }
        if self.links_told.is_none() {
            self.due.get_or_insert((now + GATHER).max(self.begins + GATHER));
        } else if self.due.is_none() && self.has_other_metrics() {
            self.due = Some(now + METRICS_EVERY);
        }
    }

    /// Whether the link to this neighbor is up.
    pub(super) fn has(&self, peer: &PeerId) -> bool {
        self.now.contains_key(peer)
    }

    /// This node takes on less, or everything again: who has another way should not send over its links.
    pub(super) fn shed(&mut self, sheds: bool, now: Instant) {
        self.sheds = sheds;
        if self.links_told.is_some() && self.has_other_metrics() {
            self.due = Some(now);
        }
    }

    /// A neighbor has left on purpose: that is told like any other change, and is no sign of anything.
    pub(super) fn part(&mut self, peer: &PeerId) {
        self.now.remove(peer);
        self.lingering.remove(peer);
        self.ended.remove(peer);
    }

    fn end(&mut self, report: &LinkReport, now: Instant) {
        let Some(link) = self.now.remove(&report.peer) else { return };
        self.ended.retain(|_, until| *until > now);
        self.ended.insert(report.peer, now + LINGERS);
        if self.accused.binary_search(&report.peer).is_ok() {
            self.relapsed.insert(report.peer, None);
        } else if report.carries_until.max(self.hasty_until) <= now {
            self.lingering.insert(report.peer, (link, now + LINGERS));
        }
        // Without any link nobody hears it, but this node itself has to know at once that it is alone.
        let few = if self.now.is_empty() { 0 } else { ((self.now.len() + self.ended.len()) / 4).max(1) };
        if self.ended.len() > few {
            self.lingering.clear();
            self.hasty_until = now + LINGERS;
        }
    }

    /// Takes over whom this node accuses and contradicts; `restated`: some of it must be said again in any case.
    pub(super) fn judge(&mut self, accused: Vec<PeerId>, refuted: Vec<Refuted>, restated: bool) {
        self.lingering.retain(|peer, _| accused.binary_search(peer).is_err());
        self.relapsed.retain(|peer, _| accused.binary_search(peer).is_ok());
        (self.accused, self.refuted) = (accused, refuted);
        self.restated = restated;
    }

    /// Takes over which neighbors, of now or before, this node believes no more.
    pub(super) fn distrust(&mut self, distrusted: impl Iterator<Item = PeerId>) {
        self.distrusted = distrusted.take(LINKS_PER_NODE_MAX).collect();
    }

    /// Whether it is time to tell something; to be asked after every change.
    pub(super) fn is_time(&mut self, now: Instant) -> bool {
        let Some(free) = self.links_told.as_ref().and_then(|_| self.free_at()) else { return false };
        if free > now {
            self.due = Some(self.due.map_or(free, |due| due.min(free)));
        }
        free <= now
    }

    /// When something that is not as it was told may be told; `None` if there is nothing. Whom this node believes no more is
    /// told at once: others may be dealing with it, and that it takes several faults each time bounds how often. News of a neighbor that is slowed
    /// waits for those of all others. A neighbor that is not never waits for one that is: its link may be the only way
    /// left, and what it costs is bounded by its own pace.
    fn free_at(&self) -> Option<Instant> {
        if self.distrusted.iter().any(|peer| !self.judgments_told.distrusted.contains(peer)) {
            return Some(Instant::BOOT);
        }
        let least = self.pace.spoke() + Pace::MIN;
        let free = |peer: PeerId| match self.pace_of.get(&peer) {
            Some(pace) if pace.is_slowed() => pace.free().max(self.pace.free()),
            Some(pace) => pace.free().max(least),
            None => least,
        };
        self.other_links().into_iter().chain(self.other_judgments()).map(free).min()
    }

    /// When to wake it; `None` while nothing has to be told.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = self.lingering.values().map(|(_, until)| until).chain(self.relapsed.values().flatten());
        waits.copied().chain(self.due).min()
    }

    /// Whether its time has come: something is to be told now.
    pub(super) fn wake(&mut self, now: Instant) -> bool {
        self.lingering.retain(|_, (_, until)| *until > now);
        self.relapsed.retain(|_, until| until.is_none_or(|until| until > now));
        self.due.is_some_and(|at| at <= now) || self.is_time(now)
    }

    /// What is to be told: nothing, if all that differed is as it was.
    pub(super) fn tell(&mut self, now: Instant) -> Told {
        let (links, judgments) = (self.other_links(), self.other_judgments());
        let tells_links = self.links_told.is_none() || !links.is_empty() || self.has_other_metrics();
        let told = Told {
            links: tells_links.then(|| self.tell_links()),
            judgments: (!judgments.is_empty()).then(|| self.tell_judgments()),
        };
        self.due = None;
        if told != Told::default() {
            self.pace.note(now);
            self.note_of_each(links.into_iter().chain(judgments).collect(), now);
        }
        told
    }

    fn note_of_each(&mut self, neighbors: BTreeSet<PeerId>, now: Instant) {
        self.pace_of.retain(|_, pace| !pace.is_calm(now));
        for peer in neighbors {
            if self.pace_of.len() < LINKS_PER_NODE_MAX || self.pace_of.contains_key(&peer) {
                self.pace_of.entry(peer).or_default().note(now);
            }
        }
    }

    /// The links as they are, which are told now in any case.
    pub(super) fn tell_links(&mut self) -> LinksBody {
        let links: Vec<LinkBody> = self.listed().take(LINKS_PER_NODE_MAX).map(|link| self.as_told(link)).collect();
        let mut body = LinksBody { links };
        body.links.sort_unstable_by_key(|link| link.neighbor);
        self.links_told.insert(body).clone()
    }

    /// The judgments as they are, which are told now in any case.
    pub(super) fn tell_judgments(&mut self) -> JudgmentsBody {
        self.restated = false;
        self.judgments_told = self.judgments();
        self.judgments_told.clone()
    }

    /// The links as last told.
    pub(super) fn links_told(&self) -> LinksBody {
        self.links_told.clone().unwrap_or_default()
    }

    /// The judgments as last told.
    pub(super) const fn judgments_told(&self) -> &JudgmentsBody {
        &self.judgments_told
    }

    fn listed(&self) -> impl Iterator<Item = &LinkBody> {
        let up = self.now.values().filter(|link| self.is_proven(&link.neighbor));
        up.chain(self.lingering.values().map(|(link, _)| link))
    }

    /// A link with what it costs others: the way over a node that sheds load counts as far.
    fn as_told(&self, link: &LinkBody) -> LinkBody {
        let more = if self.sheds { SHED_DISTANCE.as_micros() as u32 } else { 0 };
        LinkBody { rtt_us: link.rtt_us.saturating_add(more), ..*link }
    }

    /// Whether the link to a neighbor is up and may be told.
    fn is_proven(&self, peer: &PeerId) -> bool {
        self.now.contains_key(peer) && !self.relapsed.contains_key(peer)
    }

    fn judgments(&self) -> JudgmentsBody {
        let accused = self.accused.iter().copied().take(LINKS_PER_NODE_MAX);
        let (failing, silent) = accused.partition(|peer| self.is_proven(peer));
        let refuted = self.refuted.iter().copied().take(LINKS_PER_NODE_MAX).collect();
        JudgmentsBody { silent, failing, refuted, distrusted: self.distrusted.clone() }
    }

    /// Neighbors of which the judgments say something else than was told, and those of which it is to be said again; some
    /// of them twice.
    fn other_judgments(&self) -> Vec<PeerId> {
        let (told, now) = (&self.judgments_told, self.judgments());
        let restated = self.restated.then_some(&self.accused).into_iter().flatten();
        let silent = difference(&told.silent, &now.silent);
        let failing = difference(&told.failing, &now.failing);
        let refuted = difference(&told.refuted, &now.refuted).map(|refuted| &refuted.accuser);
        let distrusted = difference(&told.distrusted, &now.distrusted);
        silent.chain(failing).chain(refuted).chain(distrusted).chain(restated).copied().collect()
    }

    /// Neighbors to which the links are up, or under other labels, than was told. Of links to silent neighbors the
    /// judgments tell.
    fn other_links(&self) -> Vec<PeerId> {
        let is_silent = |peer: &PeerId| !self.is_proven(peer) && self.accused.binary_search(peer).is_ok();
        let told = self.links_told.iter().flat_map(|told| &told.links).filter(move |link| !is_silent(&link.neighbor));
        let told: BTreeMap<PeerId, Label> = told.map(|link| (link.neighbor, link.label)).collect();
        let now: BTreeMap<PeerId, Label> =
            self.listed().take(LINKS_PER_NODE_MAX).map(|link| (link.neighbor, link.label)).collect();
        let is_other = |peer: &&PeerId| told.get(peer) != now.get(peer);
        told.keys().chain(now.keys()).filter(is_other).copied().collect()
    }

    fn has_other_metrics(&self) -> bool {
        let told = self.links_told.iter().flat_map(|told| &told.links);
        let both = told.filter_map(|link| Some((self.as_told(self.now.get(&link.neighbor)?), link)));
        both.into_iter().any(|(now, told)| differs_notably(&now, told))
    }
}

/// What is in one of two, but not in both.
fn difference<'a, T: PartialEq>(a: &'a [T], b: &'a [T]) -> impl Iterator<Item = &'a T> {
    a.iter().filter(|x| !b.contains(x)).chain(b.iter().filter(|x| !a.contains(x)))
}

/// Whether routes could change by it: a quarter of the round trip (and 200 microseconds), or two percent of loss.
fn differs_notably(a: &LinkBody, b: &LinkBody) -> bool {
    let rtt = a.rtt_us.abs_diff(b.rtt_us);
    (rtt > 200 && rtt > b.rtt_us / 4) || a.loss_permille.abs_diff(b.loss_permille) > 20
}

/// How long a link at rest that is gone is told as if it were up: until its end is accused, if this node is well.
const LINGERS: Duration = ACCUSE_AFTER.saturating_add(Duration::from_secs(1));
/// How long a link that ended while its neighbor was accused must be up to be told again: longer than one that loses four
/// of five packets mostly is, which are a few seconds.
const PROVES_ITSELF: Duration = Duration::from_secs(10);
/// How long the links of a node that starts are gathered before they are told for the first time.
const GATHER: Duration = Duration::from_millis(100);
/// By how much farther the links of a node are told that sheds load: more than any other way within a continent is.
const SHED_DISTANCE: Duration = Duration::from_millis(100);
/// Least time between two records that differ in measurements only.
const METRICS_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::LinkState;
    use crate::{Label, LinkId};

    fn peer(n: u8) -> PeerId {
        PeerId::from_public_key([n; 32])
    }

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn report(n: u8, state: LinkState, carries_until: Instant) -> LinkReport {
        LinkReport {
            peer: peer(n),
            link: Some((LinkId(1), Label(n.into()))),
            state,
            rtt: Duration::from_millis(1),
            loss_permille: 0,
            probes_returned: 0,
            probes_lost: 0,
            heard: None,
            established: 1,
            probed_every: Duration::ZERO,
            carries_until,
            failing: false,
            latency: Default::default(),
        }
    }

    /// Links to 1 to 3, at rest, and told at 1 s.
    fn own() -> OwnLinks {
        let mut own = OwnLinks::default();
        (1..=3).for_each(|n| own.update(&report(n, LinkState::Up, at(0)), at(0)));
        own.tell(at(1000));
        own
    }

    fn neighbors(links: Option<LinksBody>) -> Vec<PeerId> {
        links.expect("links are told").links.iter().map(|link| link.neighbor).collect()
    }

    #[test]
    fn the_links_of_a_node_that_starts_are_told_together() {
        let mut own = OwnLinks::default();
        for n in 1..=3 {
            own.update(&report(n, LinkState::Up, at(0)), at(10 * u64::from(n)));
            assert!(!own.is_time(at(10 * u64::from(n))));
        }
        assert_eq!(own.deadline(), Some(at(110)));
        assert!(own.wake(at(110)));
        assert_eq!(neighbors(own.tell(at(110)).links), [1, 2, 3].map(peer));
        assert_eq!((own.deadline(), own.is_time(at(111))), (None, false));
    }

    #[test]
    fn a_link_that_carries_is_told_at_once_when_it_is_gone() {
        let mut own = own();
        own.update(&report(2, LinkState::Down, at(20_001)), at(20_000));
        assert!(own.is_time(at(20_000)));
        assert_eq!(neighbors(own.tell(at(20_000)).links), [1, 3].map(peer));
    }

    #[test]
    fn a_link_at_rest_that_is_gone_is_told_by_the_accusation_alone() {
        let mut own = own();
        own.update(&report(2, LinkState::Down, at(20_000)), at(20_000));
        assert!(!own.is_time(at(20_000)));
        own.judge(vec![peer(2)], vec![], true);
        assert!(own.is_time(at(23_000)));
        let told = own.tell(at(23_000));
        assert_eq!(told.links, None);
        assert_eq!(told.judgments.map(|body| body.silent), Some(vec![peer(2)]));
        assert_eq!((own.deadline(), own.wake(at(60_000))), (None, false));
    }

    #[test]
    fn it_is_told_after_a_while_if_nobody_is_accused_and_never_if_it_is_back() {
        let (mut lost, mut back) = (own(), own());
        for own in [&mut lost, &mut back] {
            own.update(&report(2, LinkState::Down, at(0)), at(20_000));
            assert_eq!(own.deadline(), Some(at(24_000)));
        }
        back.update(&report(2, LinkState::Up, at(0)), at(22_000));
        assert!(!back.is_time(at(22_000)) && back.deadline().is_none());
        assert!(lost.wake(at(24_000)));
        assert_eq!(neighbors(lost.tell(at(24_000)).links), [1, 3].map(peer));
    }

    #[test]
    fn who_parts_is_told_at_once_and_is_no_sign_of_anything() {
        let mut own = own();
        own.part(&peer(2));
        assert!(own.is_time(at(20_000)));
        assert_eq!(neighbors(own.tell(at(20_000)).links), [1, 3].map(peer));
        own.update(&report(3, LinkState::Down, at(0)), at(40_000));
        own.tell(at(40_000));
        assert_eq!(own.hasty_until, Instant::BOOT, "the mesh does not fall apart");
    }

    #[test]
    fn whom_it_believes_no_more_a_node_tells_at_once_whatever_it_told_just_before() {
        let mut own = own();
        for (ms, state) in [(20_000, LinkState::Down), (20_100, LinkState::Up), (20_700, LinkState::Down)] {
            own.update(&report(2, state, at(1_000_000)), at(ms));
            own.tell(at(ms));
        }
        own.update(&report(3, LinkState::Down, at(1_000_000)), at(20_701));
        assert!(!own.is_time(at(20_701)), "a link that is gone waits for a moment");
        own.distrust([peer(2)].into_iter());
        assert!(own.is_time(at(20_701)));
        assert_eq!(own.tell(at(20_701)).judgments.map(|body| body.distrusted), Some(vec![peer(2)]));
        own.distrust([].into_iter());
        assert!(!own.is_time(at(20_702)), "that it is believed again is as urgent as anything else");
    }

    #[test]
    fn when_an_accusation_ends_without_a_link_the_links_are_told_again() {
        let mut own = own();
        own.update(&report(2, LinkState::Down, at(0)), at(20_000));
        own.judge(vec![peer(2)], vec![], true);
        own.tell(at(23_000));
        own.judge(vec![], vec![], false);
        let told = own.tell(at(700_000));
        assert_eq!(told.judgments, Some(JudgmentsBody::default()));
        assert_eq!(neighbors(told.links), [1, 3].map(peer), "or the old record would hold again");
    }

    #[test]
    fn who_fails_keeps_its_link_and_is_accused() {
        let mut own = own();
        own.judge(vec![peer(2)], vec![], true);
        let told = own.tell(at(23_000));
        assert_eq!((told.links, told.judgments.map(|body| body.failing)), (None, Some(vec![peer(2)])));
        own.update(&report(2, LinkState::Down, at(0)), at(30_000));
        assert_eq!(own.tell(at(30_000)).judgments.map(|body| body.silent), Some(vec![peer(2)]));
    }

    #[test]
    fn a_link_that_comes_and_goes_while_its_neighbor_is_accused_is_told_once_it_holds() {
        let mut own = own();
        own.update(&report(2, LinkState::Down, at(0)), at(20_000));
        own.judge(vec![peer(2)], vec![], true);
        assert_eq!(own.tell(at(23_000)).judgments.map(|body| body.silent), Some(vec![peer(2)]));
        // Its first return may be that of a node that was restarted, and is told at once.
        own.update(&report(2, LinkState::Up, at(0)), at(30_000));
        assert_eq!(own.tell(at(30_000)).judgments.map(|body| body.failing), Some(vec![peer(2)]));
        own.update(&report(2, LinkState::Down, at(0)), at(32_000));
        assert_eq!(own.tell(at(32_000)).judgments.map(|body| body.silent), Some(vec![peer(2)]));
        for round in 4..8 {
            own.update(&report(2, LinkState::Up, at(0)), at(round * 10_000));
            assert!(!own.wake(at(round * 10_000)));
            assert_eq!(own.deadline(), Some(at((round + 1) * 10_000)));
            own.update(&report(2, LinkState::Down, at(0)), at(round * 10_000 + 9_999));
            assert!(!own.wake(at(round * 10_000 + 9_999)) && own.deadline().is_none());
        }
        own.update(&report(2, LinkState::Up, at(0)), at(90_000));
        assert!(!own.wake(at(99_999)) && own.wake(at(100_000)));
        assert_eq!(own.tell(at(100_000)).judgments.map(|body| body.failing), Some(vec![peer(2)]));
    }

    #[test]
    fn a_link_is_told_at_once_when_its_neighbor_is_not_accused_any_more() {
        let mut own = own();
        own.judge(vec![peer(2)], vec![], true);
        own.tell(at(20_000));
        own.update(&report(2, LinkState::Down, at(0)), at(30_000));
        own.tell(at(30_000));
        own.update(&report(2, LinkState::Up, at(0)), at(40_000));
        assert!(!own.is_time(at(41_000)));
        own.judge(vec![], vec![], false);
        assert!(own.is_time(at(41_000)));
        let told = own.tell(at(41_000));
        assert_eq!((told.links, told.judgments), (None, Some(JudgmentsBody::default())), "the links are as last told");
    }

    #[test]
    fn a_link_that_is_back_does_not_wait_for_another_that_comes_and_goes() {
        let mut own = own();
        let flap = |own: &mut OwnLinks, state, ms: u64| {
            own.update(&report(2, state, at(1_000_000)), at(ms));
            own.is_time(at(ms)).then(|| own.tell(at(ms)))
        };
        own.update(&report(3, LinkState::Down, at(1_000_000)), at(19_000));
        own.tell(at(19_000));
        for round in 0..8 {
            let state = if round % 2 == 0 { LinkState::Down } else { LinkState::Up };
            let told = flap(&mut own, state, 20_000 + round * 1500);
            assert!(told.is_some(), "it is told as seldom as it may be");
        }
        // The last news of 2 were those of 30.5 s.
        assert_eq!(flap(&mut own, LinkState::Down, 31_000), None);
        own.update(&report(3, LinkState::Up, at(1_000_000)), at(31_000));
        assert!(own.is_time(at(31_000)), "it is the first news of 3 in a long while");
        assert_eq!(neighbors(own.tell(at(31_000)).links), [1, 3].map(peer));
        assert_eq!(flap(&mut own, LinkState::Up, 31_200), None, "2 has to wait again");
        assert_eq!(own.deadline(), Some(at(32_500)));
    }

    #[test]
    fn the_last_link_is_missed_at_once() {
        let mut own = OwnLinks::default();
        own.update(&report(1, LinkState::Up, at(0)), at(0));
        own.tell(at(1000));
        own.update(&report(1, LinkState::Down, at(0)), at(20_000));
        assert!(own.is_time(at(20_000)));
        assert!(neighbors(own.tell(at(20_000)).links).is_empty());
    }

    #[test]
    fn links_that_carried_count_when_many_are_gone() {
        let mut own = own();
        own.update(&report(1, LinkState::Down, at(20_001)), at(20_000));
        own.tell(at(20_000));
        own.update(&report(2, LinkState::Down, at(0)), at(20_500));
        assert!(own.is_time(at(20_500)));
        assert_eq!(neighbors(own.tell(at(20_500)).links), [peer(3)]);
    }

    #[test]
    fn more_than_a_quarter_of_the_links_is_missed_at_once_and_what_follows_too() {
        let mut own = OwnLinks::default();
        (1..=8).for_each(|n| own.update(&report(n, LinkState::Up, at(0)), at(0)));
        own.tell(at(1000));
        for n in 1..=3 {
            own.update(&report(n, LinkState::Down, at(0)), at(20_000));
            assert_eq!(own.is_time(at(20_000)), n == 3);
        }
        assert_eq!(neighbors(own.tell(at(20_000)).links), [4, 5, 6, 7, 8].map(peer));
        own.update(&report(4, LinkState::Down, at(0)), at(23_000));
        assert!(own.is_time(at(23_000)));
        own.tell(at(23_000));
        own.update(&report(5, LinkState::Down, at(0)), at(40_000));
        assert!(!own.is_time(at(40_000)), "it is one neighbor again");
    }

    #[test]
    fn who_sheds_load_tells_at_once_that_its_links_are_far_and_takes_it_back() {
        let mut own = own();
        let told = |own: &mut OwnLinks, ms| -> Vec<u32> {
            assert!(own.wake(at(ms)), "at {ms} ms");
            own.tell(at(ms)).links.expect("links are told").links.iter().map(|link| link.rtt_us).collect()
        };
        own.shed(true, at(20_000));
        assert_eq!(told(&mut own, 20_000), [101_000; 3]);
        own.shed(true, at(21_000));
        assert_eq!(own.deadline(), None, "that is told already");
        own.shed(false, at(22_000));
        assert_eq!(told(&mut own, 22_000), [1000; 3]);
    }
}
