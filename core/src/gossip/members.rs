//! Who belongs to the mesh and is well, and whether this node is with the majority of them.

use std::time::Duration;

use serde::Serialize;

use super::learn::Subject;
use super::{Effect, Gossip};
use crate::membership::quorum::{PartitionEvent, Quorum};
use crate::membership::roster::Counts;
use crate::membership::{Accusations, Ballot, Membership, PartitionDetector, Status, Testimony, Votes};
use crate::peer::LinkReport;
use crate::record::{Body, Kind, NodeBody, RecordId};
use crate::{Instant, PeerId};

/// What the role knows of members: what records say of them, and what this node says of its neighbors.
#[derive(Debug)]
pub(super) struct Members {
    me: PeerId,
    membership: Membership,
    accusations: Accusations,
    ballot: Ballot,
    partition: PartitionDetector,
    /// When it was last judged what is said of members.
    judged: Option<Instant>,
    /// When it is counted who can be reached; set while that may have changed.
    count_at: Option<Instant>,
    /// When votes are counted, because somebody has proven to have one, or because a node that starts waits no longer.
    vote_at: Option<Instant>,
    /// Whether votes are counted at all: until all is known that a neighbor knows, those of a few could be taken for all.
    is_informed: bool,
}

/// One member, as this node sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MemberView {
    /// Who.
    pub peer: PeerId,
    /// What the mesh makes of it.
    pub status: Status,
    /// Where it stands, as it says.
    pub region: String,
    /// Who accuses it at present.
    pub accusers: Vec<PeerId>,
    /// Which of its neighbors, of now or before, believe it no more.
    pub distrusted_by: Vec<PeerId>,
    /// How far this node believes it, 0.0 to 1.0.
    pub score: f64,
}

/// How the mesh stands, as this node sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Standing {
    /// Every member, in ascending order.
    pub members: Vec<MemberView>,
    /// How many of them there are, by status.
    pub counts: Counts,
    /// Whether this node is with the majority.
    pub quorum: Quorum,
    /// How ill this node thinks itself: 0 for well, 8 at most.
    pub ill_health: u8,
    /// Records held.
    pub records: usize,
    /// The hash over them.
    pub root: [u8; 32],
    /// Neighbors with a usable link, and whether each has told that it holds the same records.
    pub neighbors: Vec<(PeerId, bool)>,
}

impl Standing {
    /// Whether every neighbor holds the same records.
    pub fn is_converged(&self) -> bool {
        self.neighbors.iter().all(|(_, in_sync)| *in_sync)
    }
}

impl Members {
    pub(super) fn new(me: PeerId, seed: u64, now: Instant) -> Self {
        Self {
            me,
            membership: Membership::new(seed),
            accusations: Accusations::new(me, now),
            ballot: Ballot::default(),
            partition: PartitionDetector::new(),
            judged: None,
            count_at: None,
            vote_at: Some(now + INFORMED_WITHIN),
            is_informed: false,
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        // Under load every record would have a waking of its own: news that follow upon each other are judged together.
        let rested = self.judged.map_or(Instant::BOOT, |at| at + JUDGE_EVERY);
        let judge = self.membership.deadline().map(|at| at.max(rested));
        let due = [judge, self.accusations.deadline(), self.partition.deadline(), self.count_at, self.vote_at];
        due.into_iter().flatten().min()
    }

    pub(super) fn status(&self, peer: &PeerId) -> Option<Status> {
        self.membership.roster().status(peer)
    }

    pub(super) const fn quorum(&self) -> Quorum {
        self.partition.quorum()
    }

    /// Whether this node may believe what it sees of others.
    pub(super) fn is_well(&self) -> bool {
        self.accusations.health().may_accuse()
    }

    /// A record with this id is held from now on, or no longer.
    pub(super) fn note(&mut self, id: &RecordId, subject: &Subject<'_>, now: Instant) {
        match subject {
            Subject::Neighbors(Some((version, testimony))) => {
                if id.kind == Kind::Judgments && id.origin == self.me {
                    self.accusations.published(*version);
                }
                self.on_told(id.origin, *version, testimony, now);
            }
            Subject::Neighbors(None) if id.kind == Kind::Links => self.on_links_gone(&id.origin, now),
            Subject::Else(record) if id.kind == Kind::Node => {
                let body = record.and_then(|r| if let Body::Node(body) = &r.body { Some(body) } else { None });
                self.on_node(id.origin, body, now);
            }
            Subject::Else(record) if id.kind == Kind::Place => {
                // The key is a peer id: the proof was checked against it.
                let Ok(host) = id.key.parse() else { return };
                let holds = record.is_some_and(|record| matches!(record.body, Body::Place(_)));
                self.ballot.placed(id.origin, host, holds);
                if self.is_informed {
                    self.vote_at = Some(now);
                }
            }
            Subject::Neighbors(None) | Subject::Else(_) => {}
        }
    }

    fn on_told(&mut self, origin: PeerId, version: u64, testimony: &Testimony, now: Instant) {
        // The tables have room for every record that may be held.
        let _ = self.membership.told(origin, version, testimony, now);
        self.ballot.told(origin, &testimony.distrusted);
        if origin != self.me {
            self.accusations.told(origin, version, testimony, now);
        }
        self.count_at.get_or_insert(now + COUNT_DELAY);
    }

    fn on_links_gone(&mut self, origin: &PeerId, now: Instant) {
        self.membership.forgotten(origin, now);
        self.ballot.forgotten(origin);
        self.accusations.forgotten(origin);
        self.count_at.get_or_insert(now + COUNT_DELAY);
    }

    fn on_node(&mut self, peer: PeerId, body: Option<&NodeBody>, now: Instant) {
        match body {
            Some(body) => {
                let _ = self.membership.learned(peer, &body.region, now);
            }
            None => self.membership.lost(&peer, now),
        }
        self.count_at.get_or_insert(now + COUNT_DELAY);
    }

    pub(super) fn on_link(&mut self, report: &LinkReport, now: Instant) {
        if report.state.is_usable() {
            self.accusations.met(report.peer, now);
        }
        self.accusations.link(report.peer, report.state.is_usable() && !report.failing, now);
    }

    pub(super) fn on_parted(&mut self, peer: &PeerId) {
        self.accusations.dropped(peer);
    }

    /// This node holds what a neighbor holds: from now on votes are counted.
    pub(super) fn inform(&mut self, now: Instant) {
        if !self.is_informed {
            self.vote_at = Some(now);
        }
    }

    fn count(&mut self, now: Instant) -> Option<PartitionEvent> {
        self.count_at = None;
        let reachable = self.membership.reachable(&self.me);
        self.partition.update(reachable, self.membership.roster().counts().known(), now)
    }
}

impl Gossip {
    /// What the mesh makes of a member; `None` for somebody unknown.
    pub fn status(&self, peer: &PeerId) -> Option<Status> {
        self.members.status(peer)
    }

    /// Every member, in ascending order.
    pub fn members(&self) -> Vec<MemberView> {
        let membership = &self.members.membership;
        let mut views: Vec<MemberView> = membership
            .roster()
            .members()
            .map(|(peer, status)| MemberView {
                peer,
                status,
                region: membership.roster().region(&peer).unwrap_or_default().to_owned(),
                accusers: membership.accusers(&peer),
                distrusted_by: self.members.ballot.against(&peer),
                score: self.score(&peer).sum,
            })
            .collect();
        views.sort_unstable_by_key(|view| view.peer);
        views
    }

    /// Whether this node is with the majority.
    pub const fn quorum(&self) -> Quorum {
        self.members.quorum()
    }

    /// How ill this node thinks itself: 0 for well, 8 at most.
    pub const fn ill_health(&self) -> u8 {
        self.members.accusations.health().score()
    }

    /// How the mesh stands, as this node sees it.
    pub fn standing(&self) -> Standing {
        Standing {
            members: self.members(),
            counts: self.members.membership.roster().counts(),
            quorum: self.quorum(),
            ill_health: self.ill_health(),
            records: self.held.len(),
            root: self.root(),
            neighbors: self.repair.neighbors(),
        }
    }

    /// Looks at what is due at `now`; `due` is when this node meant to wake, by which it knows how late it is itself.
    pub(super) fn judge_members(&mut self, due: Option<Instant>, now: Instant, effects: &mut Vec<Effect>) {
        let members = &mut self.members;
        members.accusations.wake(due.unwrap_or(now), now);
        members.judged = Some(now);
        for change in members.membership.wake(now) {
            members.accusations.judged(&change.peer, change.to, now);
            members.count_at.get_or_insert(now + COUNT_DELAY);
            effects.push(Effect::MemberChanged(change));
        }
        if members.vote_at.is_some_and(|at| at <= now) {
            (members.vote_at, members.is_informed) = (None, true);
        }
        let counts = members.is_informed.then(|| members.ballot.count(&members.membership));
        let verdicts: Vec<(PeerId, Option<Votes>)> = counts.unwrap_or_default();
        let counted = if members.count_at.is_some_and(|at| at <= now) { members.count(now) } else { None };
        let held = members.partition.wake(now);
        for event in counted.into_iter().chain(held) {
            effects.push(Effect::PartitionChanged { event, quorum: members.partition.quorum() });
        }
        for (peer, votes) in verdicts {
            self.outvote(peer, votes, now, effects);
        }
        self.judge_neighbors();
        self.publish_links_soon(now, effects);
    }

    /// Takes over whom this node accuses and contradicts, if that has changed.
    pub(super) fn judge_neighbors(&mut self) {
        let accusations = &mut self.members.accusations;
        if accusations.take_changed() {
            let (accused, refuted) = (accusations.accused().collect(), accusations.refuted().collect());
            self.own_links.judge(accused, refuted, accusations.is_unsaid());
        }
    }
}

/// How long a node that starts counts no votes at most, while its neighbors have records that it has not.
const INFORMED_WITHIN: Duration = Duration::from_secs(10);
/// Least time between two judgments; a verdict takes seconds, so a few milliseconds are nothing to it.
const JUDGE_EVERY: Duration = Duration::from_millis(5);
/// How long changes are gathered before it is counted again who can be reached.
const COUNT_DELAY: Duration = Duration::from_millis(200);
