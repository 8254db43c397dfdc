//! The oracles: what must always hold, and what must hold again when the faults have stopped.

use std::collections::BTreeSet;
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::incident::{Evidence, Incident, IncidentKind};
use prunella_core::limits::PATH_LABELS_MAX;
use prunella_core::node::Role;
use prunella_core::pathfinder::Way;
use prunella_core::peer::LinkState;
use prunella_core::record::RecordId;

use crate::config::LINK_PROBING;
use crate::world::World;

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Walk {
    /// To its destination: all nodes on the way, both ends included.
    Arrives(Vec<usize>),
    /// To a node that has no usable link with the next label, or no such label.
    Ends(Vec<usize>),
}

impl World {
    /// Follows the route installed at one node for another, through the label tables of the relays as they are now;
    /// `None` if no route is installed.
    pub fn walk(&self, from: usize, to: usize) -> Option<Walk> {
        let way = self.hosts[from].routes.get(&self.hosts[to].peer_id())?;
        Some(self.follow(from, to, way).unwrap_or_else(|(walk, _)| walk))
    }

    /// As [`World::walk`], for the copies that are sent while the route is in doubt.
    pub fn walk_of_copies(&self, from: usize, to: usize) -> Option<Walk> {
        let way = self.hosts[from].hedges.get(&self.hosts[to].peer_id())?;
        Some(self.follow(from, to, way).unwrap_or_else(|(walk, _)| walk))
    }

    /// Safety: no installed route loops, is too long, or leads to the wrong node. Asked whenever a route or a label
    /// table has changed; nothing else can make a difference.
    pub(crate) fn check_routes(&mut self) {
        let mut wrong = Vec::new();
        for (from, host) in self.hosts.iter().enumerate() {
            for (destination, way) in host.routes.iter().chain(&host.hedges) {
                let to = self.index[destination];
                if let Err((walk, why)) = self.follow(from, to, way) {
                    wrong.push(format!("the route from node {from} to node {to} {why}: {walk:?}"));
                }
            }
        }
        wrong.into_iter().for_each(|what| self.fail(what));
    }

    fn follow(&self, from: usize, to: usize, way: &Way) -> Result<Walk, (Walk, &'static str)> {
        let mut hops = vec![from];
        if way.labels.len() > PATH_LABELS_MAX {
            return Err((Walk::Ends(hops), "is too long"));
        }
        let mut link = Some(way.first);
        for label in way.labels.iter().map(Some).chain([None]) {
            let at = hops[hops.len() - 1];
            let Some(next) = link.and_then(|id| self.hosts[at].links.get(&id)).map(|l| l.peer) else {
                return Ok(Walk::Ends(hops));
            };
            let seen = hops.contains(&next);
            hops.push(next);
            if seen {
                return Err((Walk::Ends(hops), "loops"));
            }
            link = label.and_then(|label| self.hosts[next].usable_link(*label));
            if label.is_some() && link.is_none() {
                return Ok(Walk::Ends(hops));
            }
        }
        let arrived = hops.last() == Some(&to);
        if arrived { Ok(Walk::Arrives(hops)) } else { Err((Walk::Ends(hops), "leads elsewhere")) }
    }

    /// Safety: a link that is reported as up has answered lately, and has not been asked in vain since. Asked after
    /// everything that a node hears.
    pub(crate) fn check_links(&mut self, host: usize) {
        let state = &self.hosts[host];
        let Some(node) = &state.process else { return };
        let mut wrong = None;
        for (id, link) in &state.links {
            let peer = self.hosts[link.peer].peer_id();
            // What a role said last that has crashed and not started again is nobody's report: no one reads it, the next
            // one asks afresh. That roles start again is demanded elsewhere.
            if !node.runs(Role::Peer(peer)) {
                continue;
            }
            let report = node.link(&peer);
            let up = report.as_ref().is_some_and(|r| r.state == LinkState::Up && r.link.is_some_and(|(l, _)| l == *id));
            // Nobody can be blamed for the answers that arrived while the process was held still.
            let silence = self.now.since(link.answered.max(state.resumed));
            let in_vain = link.asked.map_or(Duration::ZERO, |asked| self.now.since(asked.max(state.resumed)));
            // A node that is far away may take longer.
            let slack = report.map_or(Duration::ZERO, |report| report.rtt * 2);
            if up && (silence > SILENCE_MAX.max(slack) || in_vain > LINK_PROBING.late_after.max(slack)) {
                wrong = Some((link.peer, silence));
            }
        }
        if let Some((peer, silence)) = wrong {
            let ms = silence.as_millis();
            self.fail(format!("node {host} reports its link to node {peer} as up after {ms} ms of silence"));
        }
    }

    /// Liveness: what does not hold (yet), of all that must hold when nothing is wrong any more. Empty: all is well.
    pub fn unhealed(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        match self.hosts.iter().position(|host| host.process.as_ref().is_none_or(|node| !node.runs(Role::Shell))) {
            Some(node) => wrong.push(format!("node {node} does not run")),
            None => wrong.extend(self.disagreement().or_else(|| self.other_values()).or_else(|| self.ill_repute())),
        }
        for (from, to) in self.wanted.iter().copied().filter(|(from, to)| self.is_within_reach(*from, *to)) {
            match self.walk(from, to) {
                Some(Walk::Arrives(_)) => {}
                Some(Walk::Ends(hops)) => wrong.push(format!("the route from {from} to {to} ends: {hops:?}")),
                None => wrong.push(format!("there is no route from {from} to {to}")),
            }
        }
        for (a, b) in self.network.wires() {
            if !(self.is_up(a, b) && self.is_up(b, a)) {
                wrong.push(format!("the link between {a} and {b} is not up"));
            }
        }
        for (node, host) in self.hosts.iter().enumerate() {
            for incident in host.journal.open.values().filter(|incident| !self.is_excused(node, incident)) {
                let subject = self.subject(&incident.kind.subject().to_string());
                wrong.push(format!(
                    "node {node}: {} {subject} since {} is open",
                    incident.kind.name(),
                    incident.opened
                ));
            }
        }
        wrong
    }

    /// Two honest nodes that do not hold the same of all that honest nodes have said.
    fn disagreement(&self) -> Option<String> {
        let liars: BTreeSet<PeerId> = self.liars.iter().map(|liar| self.hosts[liar.host].peer_id()).collect();
        let mut first: Option<(usize, Vec<(&RecordId, u64)>)> = None;
        for (node, host) in self.hosts.iter().enumerate().filter(|(node, _)| !self.is_liar(*node)) {
            let records = host.process.iter().flat_map(|process| process.gossip().records());
            let honest = records.filter(|record| !liars.contains(&record.id.origin));
            let held: Vec<(&RecordId, u64)> = honest.map(|record| (&record.id, record.version)).collect();
            match &first {
                None => first = Some((node, held)),
                Some((other, theirs)) if *theirs != held => {
                    let differs = |(id, version): &&(&RecordId, u64)| {
                        !held.contains(&(*id, *version)) || !theirs.contains(&(*id, *version))
                    };
                    let (id, version) = theirs.iter().chain(&held).find(differs)?;
                    let (origin, key) = (self.index[&id.origin], &id.key);
                    let what = format!("{:?} {key:?} of {origin} in version {version}", id.kind).to_lowercase();
                    return Some(format!("nodes {other} and {node} hold different records: {what}"));
                }
                Some(_) => {}
            }
        }
        None
    }

    /// Whether an honest node must find a way to another: a path may have only so many relays, and whatever a proven
    /// liar says of its links is not believed.
    fn is_within_reach(&self, from: usize, to: usize) -> bool {
        let honest = |host: usize| !self.is_liar(host);
        honest(from) && honest(to) && self.network.hops(from, to, honest) <= HOPS_MAX
    }

    /// Whether an incident may stay open: nobody owes a way to what is out of reach, and who cannot reach two nodes behind
    /// one relay may well suspect the relay.
    fn is_excused(&self, node: usize, incident: &Incident) -> bool {
        let is_beyond = |incident: &Incident| match &incident.kind {
            IncidentKind::PathLost { destination } => !self.is_within_reach(node, self.index[destination]),
            _ => false,
        };
        let mut following = self.hosts[node].journal.following(incident.id).peekable();
        let stands_for_others = matches!(incident.evidence, Evidence::Explains { .. }) && following.peek().is_some();
        // What nobody has a copy of stays damaged, and what is missing stays missing.
        let is_lasting = match &incident.kind {
            IncidentKind::LedgerDamaged => self.hosts[node].ledger.is_damaged(),
            IncidentKind::LedgerSetBack => self.hosts[node].ledger.is_broken,
            IncidentKind::LedgerBroken { peer, .. } => self.hosts[self.index[peer]].ledger.is_broken,
            _ => false,
        };
        let is_about_a_liar = self.is_about_a_liar(&incident.kind) || is_lasting;
        self.is_liar(node) || is_about_a_liar || is_beyond(incident) || (stands_for_others && following.all(is_beyond))
    }

    /// A liar stays one, and nobody is quarantined here; that an honest node misbehaves, nobody may say.
    fn is_about_a_liar(&self, kind: &IncidentKind) -> bool {
        let IncidentKind::Misbehaving { peer } = kind else { return false };
        self.index.get(peer).is_some_and(|node| self.is_liar(*node))
    }

    /// Whether a node reports its link to another as up.
    pub fn is_up(&self, node: usize, neighbor: usize) -> bool {
        let peer = self.hosts[neighbor].peer_id();
        let report = self.hosts[node].process.as_ref().and_then(|process| process.link(&peer));
        report.is_some_and(|report| report.state == LinkState::Up)
    }
}

/// The longest silence of a link that is up: at rest, a probe is sent at the latest one jittered interval after the last
/// answer, and is late soon after.
const SILENCE_MAX: Duration =
    Duration::from_nanos((LINK_PROBING.idle_interval.as_nanos() * 11 / 10 + LINK_PROBING.late_after.as_nanos()) as u64);
/// Most links of a path.
const HOPS_MAX: usize = PATH_LABELS_MAX + 1;
