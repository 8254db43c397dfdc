//! What users of the mesh would notice: requests that follow the installed routes, and how long they fail.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prunella_core::Instant;

use crate::churn::SERVICE;
use crate::event::Event;
use crate::frames::word;
use crate::news::News;
use crate::rules::lets_connect;
use crate::world::World;

/// Two nodes of which one asks and the other answers.
#[derive(Clone, Debug)]
pub(crate) struct Pair {
    client: usize,
    server: usize,
    /// When the last answer came; `None` until the first since the two could reach each other.
    last: Option<Instant>,
    /// Whether a way between them exists at all; otherwise silence is nobody's fault.
    reachable: bool,
}

impl Pair {
    pub(crate) fn new(client: usize, server: usize) -> Self {
        Self { client, server, last: None, reachable: true }
    }

    pub(crate) fn ends(&self) -> (usize, usize) {
        (self.client, self.server)
    }
}

impl World {
    /// Every client asks its server once more.
    pub(crate) fn on_requests(&mut self) {
        self.queue.push(self.now + REQUEST_EVERY, Event::Requests);
        for number in 0..self.pairs.len() {
            let Pair { client, server, .. } = self.pairs[number];
            if self.hosts[client].is_running() {
                self.send_data(client, server, &payload(REQUEST, number));
            }
        }
    }

    /// A request is answered; an answer counts.
    pub(crate) fn on_data(&mut self, at: usize, bytes: &[u8]) {
        let (what, number) = (word(bytes, 0), word(bytes, 8) as usize);
        let Pair { client, server, .. } = self.pairs[number];
        let expected = if what == REQUEST { server } else { client };
        if at != expected {
            return self.fail(format!("data for node {expected} arrived at node {at}"));
        }
        if what == REQUEST {
            self.judge_request(client, server);
            self.send_data(server, client, &payload(ANSWER, number));
        } else {
            self.on_answer(number);
        }
    }

    /// The gate of the server decides by the document in force. Safety: it allows nothing without a rule that says so. A
    /// refusal is an answer, too.
    fn judge_request(&mut self, client: usize, server: usize) {
        let (who, host) = (self.hosts[client].peer_id(), &self.hosts[server]);
        let Some(in_force) = host.policy.as_ref().filter(|document| lets_connect(document, &who, SERVICE)) else {
            return;
        };
        // A policy role that has not taken the newest rules yet, or has crashed over them, still enforces the ones before.
        let written = host.written.iter().any(|document| lets_connect(document, &who, SERVICE));
        if !written || !host.written.contains(in_force) {
            let text = format!("node {server} allows node {client} to connect, and no rule says so: {in_force:?}");
            self.fail(text);
        }
    }

    fn on_answer(&mut self, number: usize) {
        let now = self.now;
        let pair = &mut self.pairs[number];
        if !pair.reachable {
            return;
        }
        if let Some(last) = pair.last.replace(now) {
            self.note_gap(number, now.since(last));
        }
    }

    fn note_gap(&mut self, number: usize, gap: Duration) {
        self.longest_gap = self.longest_gap.max(gap);
        if gap >= GAP_TOLD {
            let Pair { client, server, .. } = self.pairs[number];
            self.spread_news(News::Gap { client, server, gap });
        }
        if let Some(fault) = self.faults.last_mut() {
            fault.longest_gap = fault.longest_gap.max(gap);
        }
        if gap > GAP_MAX {
            let Pair { client, server, .. } = self.pairs[number];
            self.fail(format!("node {client} had no answer from node {server} for {} ms", gap.as_millis()));
        }
    }

    /// Asks again which pairs could reach each other at all, because a fault began or ended. Nobody owes a liar a way: as
    /// soon as there is a proof against it, all that it says of its links is dropped, whoever that cuts off.
    pub(crate) fn judge_reachability(&mut self) {
        let adjacent = self.working_links();
        let liars: BTreeSet<usize> = self.liars.iter().map(|liar| liar.host).collect();
        for pair in &mut self.pairs {
            // Whoever lives in another time believes nobody, and is believed by nobody.
            let on_time =
                |host: usize| self.hosts[host].is_on_time() && self.hosts[host].clock_set + SETTLES < self.now;
            let (client, server) = pair.ends();
            let owed = [client, server].iter().all(|end| on_time(*end) && !liars.contains(end));
            let reachable = owed && reaches(&adjacent, client, server);
            if reachable != pair.reachable {
                (pair.reachable, pair.last) = (reachable, None);
            }
        }
    }

    /// Links that both ends use and over which packets pass both ways, by host.
    fn working_links(&self) -> BTreeMap<usize, BTreeSet<usize>> {
        let mut adjacent: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        for (host, state) in
            self.hosts.iter().enumerate().filter(|(at, h)| h.is_running() && h.is_on_time() && !self.is_liar(*at))
        {
            for link in state.links.values().filter(|link| link.usable) {
                let peer = &self.hosts[link.peer];
                let mutual = peer.is_on_time() && peer.link_of(link.conn).is_some_and(|id| peer.links[&id].usable);
                if mutual && peer.is_running() && self.network.passes_both(host, link.peer) {
                    adjacent.entry(host).or_default().insert(link.peer);
                }
            }
        }
        adjacent
    }
}

fn reaches(adjacent: &BTreeMap<usize, BTreeSet<usize>>, from: usize, to: usize) -> bool {
    let (mut seen, mut edge) = (BTreeSet::from([from]), vec![from]);
    while let Some(host) = edge.pop() {
        edge.extend(adjacent.get(&host).into_iter().flatten().filter(|next| seen.insert(**next)));
    }
    from != to && seen.contains(&to)
}

fn payload(what: u64, number: usize) -> Vec<u8> {
    [what.to_be_bytes(), (number as u64).to_be_bytes()].concat()
}

const REQUEST: u64 = 1;
const ANSWER: u64 = 2;
/// Time between two requests of a pair.
const REQUEST_EVERY: Duration = Duration::from_millis(5);
/// How long a host needs to catch up after its wall clock was set right.
const SETTLES: Duration = Duration::from_secs(5);
/// A silence that somebody who talks would notice.
const GAP_TOLD: Duration = Duration::from_millis(30);
/// The longest silence that a pair may suffer while a way between the two exists.
const GAP_MAX: Duration = Duration::from_secs(2);
