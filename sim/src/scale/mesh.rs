//! The mesh: every node's tree machine, and what happens to it.

use std::time::Duration;

use prunella_core::Instant;
use prunella_core::broadcast::{Broadcast, Effect};
use prunella_core::rng::Rng;

use super::links::Links;
use super::options::Options;
use super::overlay::Overlay;
use super::queue::{Event, Kind, NO_MESSAGE, Queue};
use super::report::Counters;

/// All nodes and everything between them.
#[derive(Debug)]
pub(super) struct Mesh {
    nodes: Vec<Node>,
    /// Apart from the nodes, so that asking it of an addressee touches no other memory of that node.
    crashed: Vec<bool>,
    overlay: Overlay,
    links: Links,
    /// When the last packet on each link arrives: what is sent later arrives later, as on one stream.
    arrivals: Vec<u64>,
    queue: Queue,
    rng: Rng,
    now: u64,
    effects: Vec<Effect<u32, u32>>,
    counters: Counters,
}

#[derive(Debug)]
struct Node {
    broadcast: Broadcast<u32, u32>,
    /// One bit for each message that it holds.
    held: u64,
    /// For when its next wake is in the queue.
    wake_at: u64,
    /// How many hops the last message took to it.
    hops: u8,
}

impl Mesh {
    /// A mesh at rest: all links are up, and every neighbor is eager. `None` as soon as `goes_on` says no.
    pub(super) fn new(options: &Options, goes_on: &mut dyn FnMut() -> bool) -> Option<Self> {
        let links = Links::new(options);
        let mut rng = Rng::from_seed(options.seed);
        let overlay = Overlay::choose(options, &links, &mut rng, goes_on)?;
        let node = |own| {
            let mut broadcast = Broadcast::new();
            for peer in overlay.of(own) {
                broadcast.neighbor_up(*peer, links.rtt(own, *peer)).expect("BUG: the overlay has too many links");
            }
            Node { broadcast, held: 0, wake_at: u64::MAX, hops: 0 }
        };
        let nodes = (0..options.nodes as u32).map(node).collect();
        let arrivals = vec![0; overlay.len()];
        Some(Self {
            nodes,
            crashed: vec![false; options.nodes],
            overlay,
            links,
            arrivals,
            queue: Queue::default(),
            rng,
            now: 0,
            effects: Vec::new(),
            counters: Counters::default(),
        })
    }

    /// Sends a message from a node drawn at random, until nothing happens any more. `None` as soon as `goes_on`, which
    /// is asked now and then and told how many nodes the message has reached, says no.
    pub(super) fn send(&mut self, message: u8, goes_on: &mut dyn FnMut(usize) -> bool) -> Option<Counters> {
        self.counters = Counters::default();
        self.queue.rewind();
        let began = self.now;
        let origin = loop {
            let node = self.rng.below(self.nodes.len()) as u32;
            if !self.crashed[node as usize] {
                break node;
            }
        };
        let node = &mut self.nodes[origin as usize];
        (node.held, node.hops) = (node.held | 1 << message, 0);
        node.broadcast.originate(u32::from(message), Instant::from_nanos(began), &mut self.effects);
        self.perform(origin);
        let mut events = 0_u32;
        while let Some(event) = self.queue.pop() {
            self.now = self.now.max(event.at);
            self.happen(event, began);
            events += 1;
            if events.is_multiple_of(EVENTS_PER_LOOK) && !goes_on(self.counters.reached() + 1) {
                return None;
            }
        }
        Some(std::mem::take(&mut self.counters))
    }

    /// Crashes so many nodes. Their neighbors notice after a while; until then they send to nobody.
    pub(super) fn crash(&mut self, count: usize) {
        let mut left = count;
        while left > 0 {
            let node = self.rng.below(self.nodes.len());
            if std::mem::replace(&mut self.crashed[node], true) {
                continue;
            }
            left -= 1;
            for peer in self.overlay.of(node as u32) {
                self.queue.push(self.now + NOTICED_AFTER, *peer, node as u32, NO_MESSAGE, Kind::Down);
            }
        }
    }

    /// How much simulated time has passed.
    pub(super) fn passed(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    /// How many nodes live.
    pub(super) fn living(&self) -> usize {
        self.crashed.iter().filter(|crashed| !**crashed).count()
    }

    /// What the tree machines take up in memory, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.nodes.iter().map(|node| node.broadcast.bytes()).sum()
    }

    /// How many links there are, each direction by itself.
    pub(super) fn links(&self) -> usize {
        self.overlay.len()
    }

    fn happen(&mut self, event: Event, began: u64) {
        let Event { at, to, from, message, kind, .. } = event;
        let now = Instant::from_nanos(at);
        let Self { nodes, counters, effects, .. } = self;
        if self.crashed[to as usize] {
            return;
        }
        let node = &mut nodes[to as usize];
        let held = node.held;
        let holds = |message: &u32| held >> message & 1 == 1;
        let name = u32::from(message);
        let answer = match kind {
            Kind::Push { hops } => {
                let fresh = !holds(&name);
                if fresh {
                    (node.held, node.hops) = (held | 1 << message, hops);
                    counters.delivered(Duration::from_nanos(at - began), hops);
                }
                node.broadcast.received(from, name, fresh, now, effects);
                Ok(())
            }
            Kind::Announce => node.broadcast.announced(from, &[name], holds, now),
            Kind::Graft if message == NO_MESSAGE => node.broadcast.grafted(from, &[], holds, effects),
            Kind::Graft => node.broadcast.grafted(from, &[name], holds, effects),
            Kind::Prune => node.broadcast.pruned(from, now, effects),
            Kind::Down => {
                node.broadcast.neighbor_down(from, now, effects);
                Ok(())
            }
            Kind::Wake if node.wake_at == at => {
                node.wake_at = u64::MAX;
                node.broadcast.wake(now, effects);
                Ok(())
            }
            Kind::Wake => return,
        };
        counters.rejected += u64::from(answer.is_err());
        self.perform(to);
    }

    /// Sends what a node wants sent, and sees to its next wake.
    fn perform(&mut self, own: u32) {
        let hops = self.nodes[own as usize].hops.saturating_add(1);
        let mut effects = std::mem::take(&mut self.effects);
        for effect in effects.drain(..) {
            match effect {
                Effect::Push { to, messages } => self.send_each(own, to, &messages, Kind::Push { hops }),
                Effect::Announce { to, messages } => self.send_each(own, to, &messages, Kind::Announce),
                Effect::Graft { to, messages } if messages.is_empty() => {
                    self.transmit(own, to, NO_MESSAGE, Kind::Graft);
                }
                Effect::Graft { to, messages } => self.send_each(own, to, &messages, Kind::Graft),
                Effect::Prune { to } => self.transmit(own, to, NO_MESSAGE, Kind::Prune),
            }
        }
        self.effects = effects;
        let node = &mut self.nodes[own as usize];
        if let Some(at) = node.broadcast.deadline().map(Instant::as_nanos)
            && at < node.wake_at
        {
            node.wake_at = at;
            self.queue.push(at.max(self.now), own, own, NO_MESSAGE, Kind::Wake);
        }
    }

    fn send_each(&mut self, from: u32, to: u32, messages: &[u32], kind: Kind) {
        for message in messages {
            self.transmit(from, to, *message as u8, kind);
        }
    }

    fn transmit(&mut self, from: u32, to: u32, message: u8, kind: Kind) {
        let (at, packets) = self.links.carry(from, to, self.now, &mut self.rng);
        self.counters.sent(kind, packets);
        if let Some(link) = self.overlay.link(from, to)
            && !self.crashed[to as usize]
        {
            let at = at.max(self.arrivals[link] + 1);
            self.arrivals[link] = at;
            self.queue.push(at, to, from, message, kind);
        }
    }
}

/// Silence after which a link is down, in nanoseconds: what nodes use unless they are told otherwise.
const NOTICED_AFTER: u64 = 1_000_000_000;
/// How many events there are between two looks at whether the run goes on: a few milliseconds.
const EVENTS_PER_LOOK: u32 = 1 << 14;
