//! Who is a member and who is removed: the oracles about membership and shared values.

use std::collections::BTreeSet;
use std::time::Duration;

use prunella_core::limits::{PAIR_FADES_AFTER, STABILITY_WAIT_MAX, SUSPICION_HOLD};
use prunella_core::membership::verdict::Thresholds;
use prunella_core::membership::{Change, Status};
use prunella_core::node::Node;

use crate::disk::Damage;
use crate::fault::Fault;
use crate::news::News;
use crate::progress::{Phase, Progress};
use crate::world::World;

impl World {
    /// Safety: nobody removes a node that is well. Whoever is in trouble itself, or cannot hear of the subject over
    /// nodes and wires that are well, may be wrong about it.
    pub(crate) fn on_member_changed(&mut self, host: usize, change: &Change) {
        let Some(subject) = self.index.get(&change.peer).copied() else { return };
        self.spread_news(News::Member { host, subject, change: *change });
        if change.to != Status::Down || self.is_liar(host) || self.may_be_framed(subject) {
            return;
        }
        let troubled = self.troubled();
        let well = |node: usize| !troubled.contains(&node) && !self.is_liar(node);
        if well(host) && well(subject) && self.network.hops(host, subject, well) < usize::MAX {
            let evidence = change.evidence;
            self.fail(format!("node {host} removes node {subject}, which is well: {evidence:?}"));
        }
    }

    /// Whether liars alone are enough of a node's observers to remove it, or to silence the others.
    fn may_be_framed(&self, subject: usize) -> bool {
        let neighbors = self.network.neighbors(subject);
        let liars = neighbors.iter().filter(|neighbor| self.is_liar(**neighbor)).count();
        self.is_liar(subject) || liars >= neighbors.len().min(2)
    }

    /// Nodes with which something is wrong, or was until shortly ago: so shortly that not everybody may know that it is
    /// over.
    fn troubled(&self) -> BTreeSet<usize> {
        let lately = |at| self.now.since(at) < LATELY;
        let starting = self.hosts.iter().enumerate().filter(|(_, host)| {
            host.process.is_none() || !host.is_on_time() || lately(host.resumed) || lately(host.clock_set)
        });
        let mut troubled: BTreeSet<usize> = starting.map(|(node, _)| node).collect();
        let wires = self.network.wires();
        for report in self.faults.iter().filter(|report| report.ended.is_none_or(lately)) {
            troubled.extend(report.fault.nodes(&wires));
        }
        troubled
    }

    /// Liveness: an honest node that does not call another one alive.
    pub(crate) fn ill_repute(&self) -> Option<String> {
        let honest = || (0..self.hosts.len()).filter(|node| !self.is_liar(*node));
        for viewer in honest() {
            let gossip = self.hosts[viewer].process.as_ref()?.gossip();
            for subject in honest().filter(|subject| !self.may_be_framed(*subject)) {
                let status = gossip.status(&self.hosts[subject].peer_id());
                if status != Some(Status::Alive) {
                    let status = status.map_or("nobody", Status::name);
                    return Some(format!("node {viewer} calls node {subject} {status}"));
                }
            }
        }
        None
    }

    /// Liveness: two honest nodes with different shared values.
    pub(crate) fn other_values(&self) -> Option<String> {
        let processes = self.hosts.iter().enumerate().filter_map(|(node, host)| Some((node, host.process.as_ref()?)));
        let mut honest = processes.filter(|(node, _)| !self.is_liar(*node));
        let values = |node: &Node| -> Vec<_> {
            let list = node.gossip().shared().list();
            list.map(|(key, values)| (key.to_owned(), values.to_vec())).collect()
        };
        let (first, theirs) = honest.next().map(|(node, process)| (node, values(process)))?;
        let (other, held) = honest.map(|(node, process)| (node, values(process))).find(|(_, held)| *held != theirs)?;
        let differs = theirs.iter().chain(&held).find(|entry| !(theirs.contains(entry) && held.contains(entry)))?;
        Some(format!("nodes {first} and {other} have different values of {:?}", differs.0))
    }

    /// A node dies. All others must remove it, and take it back when it has come back.
    pub(crate) fn mourn(&mut self, goes_on: &mut dyn FnMut(Progress) -> bool) {
        let Some(dead) = self.draw_dead() else { return };
        let began = self.now;
        let fault = self.inject(Fault::Kill { node: dead, damage: Damage::None });
        while let Some(viewer) = self.believer(dead) {
            if self.now.since(began) >= MOURNING_MAX {
                return self.fail(format!("node {viewer} has not removed node {dead}, which is dead"));
            }
            if !self.goes_on(Phase::Mourning, began, goes_on) {
                return;
            }
            self.run_for(Duration::from_secs(1));
        }
        self.heal(fault);
        if self.failures().is_empty() && self.heal_watched(Phase::Mourning, goes_on).is_none() && !self.broken_off {
            self.fail_unhealed("the mesh did not take back who had died");
        }
    }

    /// Somebody whom at least two honest nodes observe, enough to remove it whatever liars say, and without whom the others
    /// are whole.
    fn draw_dead(&mut self) -> Option<usize> {
        let liars: BTreeSet<usize> = (0..self.hosts.len()).filter(|node| self.is_liar(*node)).collect();
        let candidates: Vec<usize> = (0..self.hosts.len())
            .filter(|node| !liars.contains(node))
            .filter(|node| {
                let observers = self.network.neighbors(*node);
                let high = Thresholds::of(observers.len(), observers.len()).high;
                observers.difference(&liars).count() >= high.max(2)
            })
            .filter(|node| self.network.is_whole_without(&liars.iter().copied().chain([*node]).collect()))
            .collect();
        self.rng.pick(&candidates).copied()
    }

    /// An honest node that has not removed another one.
    fn believer(&self, dead: usize) -> Option<usize> {
        let peer = self.hosts[dead].peer_id();
        let believes = |node: &usize| {
            let process = self.hosts[*node].process.as_ref();
            process.is_some_and(|process| process.gossip().status(&peer) != Some(Status::Down))
        };
        (0..self.hosts.len()).filter(|node| *node != dead && !self.is_liar(*node)).find(believes)
    }
}

impl Fault {
    /// The nodes that it touches, at the ends of these wires.
    fn nodes(&self, wires: &[(usize, usize)]) -> BTreeSet<usize> {
        match self {
            Fault::Pause { node }
            | Fault::Kill { node, .. }
            | Fault::FailWrite { node }
            | Fault::Crash { node, .. }
            | Fault::Jump { node, .. } => BTreeSet::from([*node]),
            Fault::Clog { from, to } => BTreeSet::from([*from, *to]),
            cut => cut.cuts(wires).into_iter().flat_map(|(from, to)| [from, to]).collect(),
        }
    }
}

/// How long after its end a fault may still be behind what somebody believes: accusations are taken back at once, but
/// what was said while it lasted may reach those behind a mended wire a little later.
const LATELY: Duration = Duration::from_secs(20);
/// How long it may take until all have removed a node that has died. An observer that has forgotten the link, because its
/// gossip was restarted and the link not yet up again, accuses nobody; it counts as an observer until the pair has faded.
/// After that, as after the accusation of the sickest observer, which comes earlier, the accusations stand for a while,
/// others in between may delay the removal, and news has to travel.
const MOURNING_MAX: Duration = Duration::from_secs(
    PAIR_FADES_AFTER.as_secs() + SUSPICION_HOLD.as_secs() + STABILITY_WAIT_MAX.as_secs() + NEWS_TRAVELS.as_secs(),
);
/// How long it may take until a change is noticed, told and has reached everybody, in calm weather.
const NEWS_TRAVELS: Duration = Duration::from_secs(10);
