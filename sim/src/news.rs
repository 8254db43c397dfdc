//! What happened, for those who follow a world's story: typed, so that each reader picks and words what matters to it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prunella_core::incident::Incident;
use prunella_core::membership::{Change, Status};
use prunella_core::peer::LinkState;
use prunella_core::record::{Body, Kind, Record, RecordId, SignedRecord};
use prunella_core::wire::codec;
use prunella_core::{Instant, Rejected};

use crate::oracle::Walk;
use crate::world::World;

/// Something worth telling. Nodes are named by their number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum News {
    /// A fault began, or is over.
    Fault { what: String },
    /// A process starts, with so many records from its disk.
    Starts { host: usize, records: usize },
    /// A process that started has caught up: its neighbors have told that they hold the same.
    CaughtUp { host: usize, records: usize },
    /// Roles that had crashed run again.
    RolesRestarted { host: usize },
    /// A node's link to a neighbor is in another state.
    Link { host: usize, peer: usize, state: LinkState },
    /// A route was installed; the nodes on its way, as far as it leads, and those on the way of the copies, if there are.
    Route { host: usize, to: usize, hops: Vec<usize>, copies: Vec<usize> },
    /// A route was withdrawn.
    NoRoute { host: usize, to: usize },
    /// An incident began.
    Raised { host: usize, incident: Incident },
    /// An incident is over.
    Cleared { host: usize, incident: Incident },
    /// Something is tried about an incident.
    Step { host: usize, incident: Incident, step: &'static str },
    /// A node accuses another, or takes that back.
    Accuses { host: usize, subject: usize, accuses: bool },
    /// A node calls a member otherwise than before.
    Member { host: usize, subject: usize, change: Change },
    /// A node has lost the majority, or has it back.
    Quorum { host: usize, has: bool, reachable: usize, known: usize },
    /// A shared key has other values at a node.
    Shared { host: usize, key: String, values: Vec<String> },
    /// A node was asked to write a shared key; why it did not.
    Answered { host: usize, refused: Option<String> },
    /// A node holds a proof against another for the first time; who found it.
    Proof { host: usize, accused: usize, finder: usize },
    /// A node has found that another's ledger is not what it was.
    Ledger { host: usize, owner: usize, fault: &'static str },
    /// Damaged entries of a node's ledger are as they were again, with another's help.
    Repaired { host: usize, by: usize, entries: usize },
    /// A node has noticed that others have seen of its ledger what it does not have.
    RolledBack { host: usize, found: u64, witnessed: u64 },
    /// How ill a node thinks itself to be.
    Health { host: usize, ill: u8 },
    /// A client had no answer for so long, although there was a way.
    Gap { client: usize, server: usize, gap: Duration },
    /// Something of a neighbor's was turned away.
    Rejected { host: usize, from: usize, reason: Rejected },
    /// An oracle says no.
    Failure { what: String },
}

/// What was told so far, and what the watched things were like when they were last looked at.
#[derive(Debug, Default)]
pub(crate) struct Story {
    news: Vec<(Instant, News)>,
    links: BTreeMap<(usize, usize), LinkState>,
    health: BTreeMap<usize, u8>,
    roots: BTreeMap<usize, [u8; 32]>,
    accused: BTreeSet<(usize, usize)>,
    proofs: BTreeSet<(usize, usize)>,
    /// Processes that started and have not caught up.
    behind: BTreeSet<usize>,
}

impl Story {
    /// A new process runs on a host: what the one before it was like says nothing of it.
    fn begin(&mut self, host: usize) {
        self.behind.insert(host);
        self.links.retain(|(at, _), _| *at != host);
        self.accused.retain(|(at, _)| *at != host);
        self.proofs.retain(|(at, _)| *at != host);
        self.roots.remove(&host);
        self.health.remove(&host);
    }
}

impl World {
    /// What happened since this was last asked, one line each, with its time; nothing before the first time. Nodes are
    /// numbers.
    pub fn story(&mut self) -> Vec<String> {
        self.take_news().into_iter().map(|(at, news)| format!("{at} {news:?}")).collect()
    }

    /// The same, typed.
    pub(crate) fn take_news(&mut self) -> Vec<(Instant, News)> {
        std::mem::take(&mut self.story.get_or_insert_default().news)
    }

    /// Something that a reader of the story, and the trace, should know.
    pub(crate) fn spread_news(&mut self, news: News) {
        let now = self.now;
        self.trace.note(format_args!("{now} {news:?}"));
        self.tell_reader(news);
    }

    fn tell_reader(&mut self, news: News) {
        let now = self.now;
        let Some(story) = &mut self.story else { return };
        if let News::Starts { host, .. } = news {
            story.begin(host);
        }
        story.news.push((now, news));
    }

    /// Looks at what a node does not tell by a command. Only a reader wants to know: the trace has its causes.
    pub(crate) fn watch(&mut self, host: usize) {
        if self.story.is_some() {
            self.watch_links(host);
            self.watch_health(host);
            self.watch_records(host);
        }
    }

    fn watch_links(&mut self, host: usize) {
        for peer in self.network.neighbors(host) {
            let state = self.hosts[host].process.as_ref().and_then(|node| node.link(&self.hosts[peer].peer_id()));
            let (Some(report), Some(story)) = (state, &mut self.story) else { continue };
            if story.links.insert((host, peer), report.state) != Some(report.state) {
                self.tell_reader(News::Link { host, peer, state: report.state });
            }
        }
    }

    fn watch_health(&mut self, host: usize) {
        let Some(node) = &self.hosts[host].process else { return };
        let (ill, story) = (node.gossip().ill_health(), self.story.get_or_insert_default());
        if story.health.insert(host, ill).unwrap_or_default() != ill {
            self.tell_reader(News::Health { host, ill });
        }
    }

    /// Whom a node accuses, and whether it has caught up: both can only be otherwise when its records are, or when a
    /// neighbor has said something.
    fn watch_records(&mut self, host: usize) {
        let Some(node) = &self.hosts[host].process else { return };
        let (gossip, story) = (node.gossip(), self.story.get_or_insert_default());
        let (root, me) = (gossip.root(), node.peer_id());
        let mut news = Vec::new();
        if story.roots.insert(host, root) != Some(root) {
            for view in gossip.members() {
                let Some(subject) = self.index.get(&view.peer).copied() else { continue };
                let accuses = view.accusers.contains(&me);
                let was = if accuses {
                    !story.accused.insert((host, subject))
                } else {
                    story.accused.remove(&(host, subject))
                };
                if was != accuses {
                    news.push(News::Accuses { host, subject, accuses });
                }
            }
        }
        if story.behind.contains(&host) {
            let standing = gossip.standing();
            if !standing.neighbors.is_empty() && standing.is_converged() {
                story.behind.remove(&host);
                news.push(News::CaughtUp { host, records: standing.records });
            }
        }
        news.into_iter().for_each(|news| self.tell_reader(news));
    }

    /// A route was installed.
    pub(crate) fn tell_route(&mut self, host: usize, to: usize) {
        let hops = |walk| match walk {
            Some(Walk::Arrives(hops) | Walk::Ends(hops)) => hops,
            None => Vec::new(),
        };
        let (hops, copies) = (hops(self.walk(host, to)), hops(self.walk_of_copies(host, to)));
        self.spread_news(News::Route { host, to, hops, copies });
    }

    /// A node keeps a record: the first proof against somebody is worth telling.
    pub(crate) fn tell_proof(&mut self, host: usize, id: &RecordId, signed: &SignedRecord) {
        if id.kind != Kind::Equivocation || self.story.is_none() {
            return;
        }
        let record = codec::decode::<Record>(&signed.bytes);
        let Ok(Record { body: Body::Equivocation(proof), .. }) = record else { return };
        let (accused, finder) = (self.index.get(&proof.accused()).copied(), self.index.get(&id.origin).copied());
        if let (Some(accused), Some(finder), Some(story)) = (accused, finder, &mut self.story)
            && story.proofs.insert((host, accused))
        {
            self.tell_reader(News::Proof { host, accused, finder });
        }
    }
}

impl News {
    /// What a change of a member's status means, in a few words.
    pub(crate) fn standing(change: &Change) -> String {
        let evidence = change.evidence;
        match change.to {
            Status::Alive => "is alive".to_owned(),
            status => format!("is {}: {} of {} accuse it", status.name(), evidence.accusers, evidence.voting),
        }
    }
}
