//! SWIM as the crate `foca` has it, over the same network and under the same trouble.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::Duration;

use foca::{Config, Foca, Identity, Member, NoCustomBroadcast, Notification, PostcardCodec, Runtime, Timer};
use prunella_core::Instant;
use prunella_sim::fleet::{Network, plane};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::measure::{Row, Spread};
use crate::trouble::{Trouble, drawn};

const SECOND: Duration = Duration::from_secs(1);
const IP_UDP_BYTES: u64 = 28;

/// A node's address, and how often it had to come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Name {
    address: SocketAddr,
    bump: u16,
}

impl Identity for Name {
    type Addr = SocketAddr;

    fn renew(&self) -> Option<Self> {
        Some(Self { bump: self.bump.wrapping_add(1), ..self.clone() })
    }

    fn addr(&self) -> SocketAddr {
        self.address
    }

    fn win_addr_conflict(&self, adversary: &Self) -> bool {
        self.bump > adversary.bump
    }
}

fn name(host: usize) -> Name {
    let [_, _, high, low] = (host as u32).to_be_bytes();
    Name { address: SocketAddr::from((Ipv4Addr::new(10, 0, high, low), 4600)), bump: 0 }
}

fn host_of(name: &Name) -> usize {
    let SocketAddr::V4(address) = name.address else { unreachable!("BUG: all names are of version 4") };
    let [_, _, high, low] = address.ip().octets();
    usize::from(u16::from_be_bytes([high, low]))
}

/// What one call asks for.
#[derive(Default)]
struct Asked {
    packets: Vec<(usize, Vec<u8>)>,
    timers: Vec<(Duration, Timer<Name>)>,
    down: Vec<usize>,
}

impl Runtime<Name> for &mut Asked {
    fn notify(&mut self, notification: Notification<'_, Name>) {
        if let Notification::MemberDown(member) = notification {
            self.down.push(host_of(member));
        }
    }

    fn send_to(&mut self, to: Name, data: &[u8]) {
        self.packets.push((host_of(&to), data.to_vec()));
    }

    fn submit_after(&mut self, event: Timer<Name>, after: Duration) {
        self.timers.push((after, event));
    }
}

enum Event {
    Packet(Vec<u8>),
    Timer(Timer<Name>),
}

type Node = Foca<Name, PostcardCodec, ChaCha8Rng, NoCustomBroadcast>;

/// Nodes that all know each other from the beginning.
struct Swarm {
    now: Instant,
    network: Network,
    nodes: Vec<Node>,
    order: BinaryHeap<Reverse<(Instant, u64)>>,
    events: BTreeMap<u64, (usize, Event)>,
    pushed: u64,
    sent: Vec<(u64, u64)>,
    received: Vec<(u64, u64)>,
    down: BTreeMap<(usize, usize), Instant>,
}

impl Swarm {
    fn new(count: usize, wide: bool, seed: u64) -> Self {
        let size = NonZeroU32::new(count as u32).expect("BUG: nobody measures no nodes");
        let config = if wide { Config::new_wan(size) } else { Config::new_lan(size) };
        let node = |host: usize| {
            Foca::new(name(host), config.clone(), ChaCha8Rng::seed_from_u64(seed << 32 | host as u64), PostcardCodec)
        };
        let mut swarm = Self {
            now: Instant::BOOT,
            network: Network::new(count, plane(count, seed), seed),
            nodes: (0..count).map(node).collect(),
            order: BinaryHeap::new(),
            events: BTreeMap::new(),
            pushed: 0,
            sent: vec![(0, 0); count],
            received: vec![(0, 0); count],
            down: BTreeMap::new(),
        };
        for host in 0..count {
            // Not all at one moment, or their timers would stay in step.
            swarm.now = Instant::BOOT + SECOND * 5 * host as u32 / count as u32;
            let mut asked = Asked::default();
            let others = (0..count).filter(|other| *other != host).map(|other| Member::alive(name(other)));
            let _ = swarm.nodes[host].apply_many(others, false, &mut asked);
            swarm.settle(host, asked);
        }
        swarm
    }

    fn push(&mut self, at: Instant, host: usize, event: Event) {
        self.pushed += 1;
        self.order.push(Reverse((at, self.pushed)));
        self.events.insert(self.pushed, (host, event));
    }

    fn settle(&mut self, host: usize, asked: Asked) {
        for (to, data) in asked.packets {
            let bytes = data.len() as u64;
            self.sent[host] = (self.sent[host].0 + bytes, self.sent[host].1 + 1);
            if let Some(takes) = self.network.carry(host, to, self.now) {
                self.received[to] = (self.received[to].0 + bytes, self.received[to].1 + 1);
                self.push(self.now + takes, to, Event::Packet(data));
            }
        }
        for (after, timer) in asked.timers {
            self.push(self.now + after, host, Event::Timer(timer));
        }
        for about in asked.down {
            self.down.entry((host, about)).or_insert(self.now);
        }
    }

    fn run_for(&mut self, duration: Duration) {
        let until = self.now + duration;
        while self.order.peek().is_some_and(|Reverse((at, _))| *at <= until) {
            let Some(Reverse((at, number))) = self.order.pop() else { break };
            let Some((host, event)) = self.events.remove(&number) else { continue };
            self.now = at;
            if self.network.is_dead(host, at) {
                continue;
            }
            if let Some(held) = self.network.held_until(host, at) {
                self.push(held, host, event);
                continue;
            }
            let mut asked = Asked::default();
            // What is refused is old news or is sent by a node held for down: that is part of the protocol.
            let _ = match event {
                Event::Packet(data) => self.nodes[host].handle_data(&data, &mut asked),
                Event::Timer(timer) => self.nodes[host].handle_timer(timer, &mut asked),
            };
            self.settle(host, asked);
        }
        self.now = until;
    }

    fn forget(&mut self) {
        self.sent.fill((0, 0));
        self.received.fill((0, 0));
        self.down.clear();
    }
}

fn title(nodes: usize, wide: bool) -> String {
    format!("foca {}, {nodes} nodes", if wide { "new_wan" } else { "new_lan" })
}

/// What it costs when ten nodes crash, and how soon all know.
pub(crate) fn steady(nodes: usize, wide: bool, seed: u64) -> Vec<Row> {
    let mut swarm = Swarm::new(nodes, wide, seed);
    swarm.run_for(SECOND * 60);
    swarm.forget();
    let crash = swarm.now + SECOND * 10;
    let dead = drawn(nodes, 10.min(nodes / 10), seed);
    dead.iter().for_each(|host| swarm.network.condition_mut(*host).dead_from = Some(crash));
    let during = SECOND * 100;
    swarm.run_for(during);
    let living: Vec<usize> = (0..nodes).filter(|host| !dead.contains(host)).collect();
    let what = format!("{}, {} crash", title(nodes, wide), dead.len());
    let mut rows = Vec::new();
    for (name, counts) in [("sent", &swarm.sent), ("received", &swarm.received)] {
        let of = |headers: u64| {
            let bytes = |host: &usize| (counts[*host].0 + counts[*host].1 * headers) as f64 / during.as_secs_f64();
            Spread::of(living.iter().map(bytes).collect()).to_string()
        };
        rows.push(Row::new(format!("{what}: {name}, payload, B/s per node"), of(0), ""));
        rows.push(Row::new(format!("{what}: {name}, with headers, B/s per node"), of(IP_UDP_BYTES), ""));
    }
    let known: Vec<f64> = living
        .iter()
        .flat_map(|by| dead.iter().filter_map(|about| swarm.down.get(&(*by, *about))))
        .map(|at| at.since(crash).as_secs_f64())
        .collect();
    let of = living.len() * dead.len();
    let last = known.iter().copied().fold(0.0, f64::max);
    let mean = known.iter().sum::<f64>() / known.len().max(1) as f64;
    let measured = format!("{} of {of}; mean {mean:.1} s, last {last:.1} s", known.len());
    rows.push(Row::new(format!("{what}: verdicts on the dead"), measured, ""));
    let wrong: BTreeSet<usize> =
        swarm.down.keys().map(|(_, about)| *about).filter(|about| !dead.contains(about)).collect();
    rows.push(Row::new(format!("{what}: healthy removed"), wrong.len().to_string(), ""));
    rows
}

/// Whom it removes under trouble.
pub(crate) fn healthy(nodes: usize, wide: bool, trouble: Trouble, seed: u64) -> Vec<Row> {
    let mut swarm = Swarm::new(nodes, wide, seed);
    swarm.run_for(SECOND * 60);
    swarm.forget();
    let begin = swarm.now;
    let concerned = trouble.plan(&mut swarm.network, nodes, begin, seed);
    swarm.run_for(trouble.lasts());
    let about: BTreeSet<usize> =
        swarm.down.keys().filter(|(by, _)| !concerned.contains(by)).map(|(_, about)| *about).collect();
    let right = about.iter().filter(|about| concerned.contains(about)).count();
    let name = format!("{}, {}", title(nodes, wide), trouble.name());
    vec![
        Row::new(format!("{name}: healthy removed"), (about.len() - right).to_string(), ""),
        Row::new(format!("{name}: those concerned removed"), format!("{right} of {}", concerned.len()), ""),
    ]
}
