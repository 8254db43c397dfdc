//! A mesh of the healing roles alone: links are entries of a table, and round trips are what the places of nodes say.

use std::collections::VecDeque;
use std::collections::btree_map::Entry;

use super::*;
use crate::executor::Executor;
use crate::incident::IncidentKind;
use crate::latency::LatencySummary;
use crate::monitor::{self, Monitor, RTT_LIMIT};
use crate::peer::LinkState;
use crate::planner::Planner;
use crate::wire::Control;
use crate::wiring::{Command, Route, Wire};
use crate::{Label, LinkId};

const EVERY: Duration = Duration::from_secs(60);

fn id(i: usize) -> PeerId {
    PeerId::from_public_key(*blake3::hash(&i.to_le_bytes()).as_bytes())
}

struct Host {
    monitor: Monitor,
    planner: Planner,
    executor: Executor,
    rebalancer: Rebalancer,
    proposed: Vec<Instant>,
    steps: Vec<(&'static str, PeerId)>,
}

/// What happened to a link: between whom, and how many seconds old it was; 0 if it is new.
type Turn = (Instant, usize, usize, u64);

struct World {
    now: Instant,
    rng: Rng,
    hosts: Vec<Host>,
    /// The round trip between two, in microseconds.
    rtt: fn(usize, usize) -> u32,
    jitter_percent: u32,
    /// How long each link has been there, by its ends in order.
    links: BTreeMap<(usize, usize), u64>,
    turns: Vec<Turn>,
    carrying: BTreeSet<(usize, usize)>,
    /// Links that are made and never carry a round trip.
    dead: BTreeSet<(usize, usize)>,
}

const TARGET: usize = 4;

fn config(i: usize) -> Config {
    Config { me: id(i), target: TARGET, every: EVERY, configured: BTreeSet::new() }
}

fn key(a: usize, b: usize) -> (usize, usize) {
    (a.min(b), a.max(b))
}

impl World {
    /// A ring, and random links until everybody has enough.
    fn new(nodes: usize, seed: u64, rtt: fn(usize, usize) -> u32) -> Self {
        let mut rng = Rng::from_seed(seed);
        let mut order: Vec<usize> = (0..nodes).collect();
        order.sort_by_key(|i| id(*i));
        let mut links: BTreeMap<_, u64> = (0..nodes).map(|i| (key(order[i], order[(i + 1) % nodes]), 0)).collect();
        let degree = |links: &BTreeMap<_, u64>, i| links.keys().filter(|(a, b)| *a == i || *b == i).count();
        for i in 0..nodes {
            while degree(&links, i) < TARGET + 1 {
                let other = rng.below(nodes);
                if other != i {
                    links.insert(key(i, other), 0);
                }
            }
        }
        let host = |i: usize| Host {
            monitor: Monitor::new(
                monitor::Config { me: id(i), neighbors_target: TARGET, rtt_limit: RTT_LIMIT },
                1,
                [],
                Instant::BOOT,
            ),
            planner: Planner::default(),
            executor: Executor::default(),
            rebalancer: Rebalancer::new(config(i), seed + i as u64, Instant::BOOT),
            proposed: Vec::new(),
            steps: Vec::new(),
        };
        let hosts = (0..nodes).map(host).collect();
        let (turns, carrying, dead) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        let now = Instant::BOOT;
        let mut world = Self { now, rng, hosts, rtt, jitter_percent: 10, links, turns, carrying, dead };
        world.tell_nodes();
        world
    }

    fn tell_nodes(&mut self) {
        for to in 0..self.hosts.len() {
            for peer in 0..self.hosts.len() {
                let body = NodeBody { addresses: vec!["192.0.2.1:1".parse().unwrap()], ..NodeBody::default() };
                let body = Some(body);
                self.deliver(to, Route::Rebalancer(Input::NodeLearned { peer: id(peer), body }));
                let learned = monitor::Input::NodeLearned { peer: id(peer), known: true, region: String::new() };
                self.deliver(to, Route::Monitor(learned));
            }
        }
    }

    fn index(&self, peer: PeerId) -> usize {
        (0..self.hosts.len()).find(|i| id(*i) == peer).unwrap()
    }

    fn neighbors(&self, i: usize) -> Vec<usize> {
        let other = |&(a, b): &(usize, usize)| (a == i).then_some(b).or((b == i).then_some(a));
        self.links.keys().filter_map(other).collect()
    }

    /// Lets a route and everything that follows from it happen.
    fn deliver(&mut self, at: usize, route: Route) {
        let mut open = VecDeque::from([(at, route)]);
        while let Some((at, route)) = open.pop_front() {
            let (now, mut routes) = (self.now, Vec::new());
            let host = &mut self.hosts[at];
            match route {
                Route::Monitor(input) => run(&mut host.monitor, Some(input), now, &mut routes),
                Route::Planner(input) => run(&mut host.planner, Some(input), now, &mut routes),
                Route::Executor(input) => run(&mut host.executor, Some(input), now, &mut routes),
                Route::Rebalancer(input) => run(&mut host.rebalancer, Some(input), now, &mut routes),
                Route::Shell(command) => {
                    self.perform(at, command, &mut open);
                }
                _ => {}
            }
            open.extend(routes.into_iter().map(|route| (at, route)));
        }
    }

    fn wake(&mut self) {
        for at in 0..self.hosts.len() {
            let (now, mut routes) = (self.now, Vec::new());
            let host = &mut self.hosts[at];
            let due = |deadline: Option<Instant>| deadline.is_some_and(|at| at <= now);
            if due(host.monitor.deadline()) {
                run(&mut host.monitor, None, now, &mut routes);
            }
            if due(host.planner.deadline()) {
                run(&mut host.planner, None, now, &mut routes);
            }
            if due(host.executor.deadline()) {
                run(&mut host.executor, None, now, &mut routes);
            }
            if due(host.rebalancer.deadline()) {
                run(&mut host.rebalancer, None, now, &mut routes);
            }
            routes.into_iter().for_each(|route| self.deliver(at, route));
        }
    }

    fn perform(&mut self, at: usize, command: Command, open: &mut VecDeque<(usize, Route)>) {
        match command {
            Command::AddNeighbor { peer } => {
                let peer = self.index(peer);
                if let Entry::Vacant(link) = self.links.entry(key(at, peer)) {
                    link.insert(0);
                    self.turns.push((self.now, at, peer, 0));
                }
            }
            Command::AskToPart { peer } => {
                let other = self.index(peer);
                if self.links.contains_key(&key(at, other)) {
                    open.push_back((other, Route::Rebalancer(Input::PartingAsked { peer: id(at) })));
                }
            }
            Command::LetGo { peer } => {
                let other = self.index(peer);
                let seconds = self.links.remove(&key(at, other)).unwrap();
                self.turns.push((self.now, at, other, seconds.max(1)));
                for (end, peer) in [(at, id(other)), (other, id(at))] {
                    open.push_back((end, Route::Rebalancer(Input::PeerForgotten { peer })));
                    open.push_back((end, Route::Monitor(monitor::Input::PeerForgotten { peer })));
                }
            }
            Command::SendControl { to, control: Control::Stay } => {
                let other = self.index(to);
                open.push_back((other, Route::Rebalancer(Input::PartingDeclined { peer: id(at) })));
            }
            Command::OpenIncident(incident) if matches!(incident.kind, IncidentKind::FarNeighbor { .. }) => {
                self.hosts[at].proposed.push(self.now);
            }
            Command::TellStep { step: Step::AddNeighbor { peer }, .. } => self.hosts[at].steps.push(("add", peer)),
            Command::TellStep { step: Step::DropNeighbor { peer }, .. } => self.hosts[at].steps.push(("drop", peer)),
            _ => {}
        }
    }

    fn report(&mut self, from: usize, to: usize) -> LinkReport {
        let seconds = self.links[&key(from, to)];
        let mean_us = (self.rtt)(from, to);
        let spread = (mean_us * self.jitter_percent / 100).max(1) as usize;
        let rtt_us = mean_us - spread as u32 + self.rng.below(2 * spread) as u32;
        let is_dead = self.dead.contains(&key(from, to));
        let carries = self.carrying.contains(&key(from, to));
        LinkReport {
            peer: id(to),
            link: Some((LinkId(1), Label(1))),
            state: if is_dead { LinkState::Down } else { LinkState::Up },
            rtt: Duration::from_micros(rtt_us.into()),
            loss_permille: 0,
            probes_returned: seconds,
            probes_lost: 0,
            heard: None,
            established: u64::from(!is_dead),
            probed_every: Duration::from_secs(5),
            carries_until: if carries { self.now + Duration::from_secs(2) } else { Instant::BOOT },
            failing: false,
            latency: LatencySummary { current_us: rtt_us, mean_us, count: 5 * seconds, ..Default::default() },
        }
    }

    /// A second in the life of everybody.
    fn second(&mut self) {
        self.now = self.now + Duration::from_secs(1);
        self.links.values_mut().for_each(|seconds| *seconds += 1);
        let links: Vec<(usize, usize)> = self.links.keys().copied().collect();
        for (a, b) in links {
            for (from, to) in [(a, b), (b, a)] {
                if self.links.contains_key(&key(a, b)) {
                    let report = self.report(from, to);
                    self.deliver(from, Route::Rebalancer(Input::LinkReported(report.clone())));
                    self.deliver(from, Route::Monitor(monitor::Input::LinkReported(report)));
                }
            }
        }
        if self.now.as_millis().is_multiple_of(10_000) {
            self.gossip();
        }
        self.wake();
    }

    fn gossip(&mut self) {
        for origin in 0..self.hosts.len() {
            let link = |neighbor: usize| LinkBody {
                neighbor: id(neighbor),
                label: Label(1),
                rtt_us: (self.rtt)(origin, neighbor),
                loss_permille: 0,
            };
            let links: Vec<LinkBody> = self.neighbors(origin).into_iter().map(link).collect();
            for to in 0..self.hosts.len() {
                let learned = Input::LinksLearned { origin: id(origin), links: links.clone() };
                self.deliver(to, Route::Rebalancer(learned));
            }
        }
    }

    fn run(&mut self, periods: u64) {
        for _ in 0..periods * EVERY.as_secs() {
            self.second();
        }
    }

    fn is_whole(&self) -> bool {
        let (mut seen, mut open) = (BTreeSet::from([0]), vec![0]);
        while let Some(at) = open.pop() {
            open.extend(self.neighbors(at).into_iter().filter(|next| seen.insert(*next)));
        }
        seen.len() == self.hosts.len()
    }

    fn far_links(&self, i: usize) -> usize {
        self.neighbors(i).into_iter().filter(|other| (self.rtt)(i, *other) > 10_000).count()
    }
}

fn run<M: Machine<Effect: Wire>>(role: &mut M, input: Option<M::Input>, now: Instant, routes: &mut Vec<Route>) {
    let mut effects = Vec::new();
    match input {
        Some(input) => role.handle(input, now, &mut effects),
        None => role.wake(now, &mut effects),
    }
    effects.into_iter().for_each(|effect| effect.wire(routes));
}

/// Two sites, 80 ms apart; within a site it takes 1 to 2 ms.
fn two_sites(a: usize, b: usize) -> u32 {
    if a % 2 == b % 2 { 1_000 + ((a * 7 + b * 7) % 10) as u32 * 100 } else { 80_000 }
}

/// Everybody is as far from everybody.
fn flat(_: usize, _: usize) -> u32 {
    40_000
}

fn in_ring(world: &World, a: usize, b: usize) -> bool {
    let mut order: Vec<usize> = (0..world.hosts.len()).collect();
    order.sort_by_key(|i| id(*i));
    let at = |i| order.iter().position(|other| *other == i).unwrap();
    let apart = at(a).abs_diff(at(b));
    apart == 1 || apart == order.len() - 1
}

#[test]
fn near_neighbors_take_over_a_fifth_stays_far_and_then_it_rests() {
    for seed in 0..3 {
        let mut world = World::new(20, seed, two_sites);
        let far_before: usize = (0..20).map(|i| world.far_links(i)).sum();
        world.run(60);
        let far: usize = (0..20).map(|i| world.far_links(i)).sum();
        let changes = world.turns.len();
        let links: Vec<_> = world.links.keys().copied().collect();
        world.run(20);
        println!(
            "seed {seed}: {far_before} far ends before, {far} after, {changes} changes, then {}",
            world.turns.len() - changes
        );
        assert!(far * 10 < far_before * 8, "{far} of {far_before} are left");
        assert!((0..20).all(|i| world.far_links(i) >= 1), "a fifth stays");
        assert_eq!(world.links.keys().copied().collect::<Vec<_>>(), links, "seed {seed}");
        assert_eq!(world.turns.len(), changes, "seed {seed}: nobody is tried in vain");
    }
}

#[test]
fn where_all_are_alike_nobody_moves_whatever_the_jitter() {
    let mut world = World::new(12, 1, flat);
    world.jitter_percent = 40;
    let before: Vec<_> = world.links.keys().copied().collect();
    world.run(20);
    assert_eq!(world.links.keys().copied().collect::<Vec<_>>(), before, "whoever was tried is left again");
    let tried = world.turns.len();
    assert!(tried <= 12 * 2 * 8, "a few are tried: {tried}");
    world.run(4);
    assert_eq!(world.turns.len(), tried, "and then nobody any more");
}

#[test]
fn at_rest_everything_that_holds_goes_on_holding() {
    for seed in 0..4 {
        let mut world = World::new(16, seed, two_sites);
        let carried =
            *world.links.keys().find(|(a, b)| !in_ring(&world, *a, *b) && two_sites(*a, *b) > 10_000).unwrap();
        world.carrying.insert(carried);
        for _ in 0..30 * EVERY.as_secs() {
            world.second();
            assert!(world.is_whole());
            let few = (0..16).find(|i| world.neighbors(*i).len() < TARGET);
            assert_eq!(few, None, "seed {seed}, {}", world.now);
        }
        assert!(world.links.contains_key(&carried), "a path in use leads over it");
        let ring = |(_, a, b, age): &&Turn| *age > 0 && in_ring(&world, *a, *b);
        assert_eq!(world.turns.iter().filter(ring).count(), 0, "the ring stays");
        for host in &world.hosts {
            assert!(host.proposed.windows(2).all(|pair| pair[1].since(pair[0]) >= EVERY), "{:?}", host.proposed);
        }
        for i in 0..16 {
            let gone: Vec<Instant> =
                world.turns.iter().filter(|(_, a, _, age)| *a == i && *age >= 90).map(|t| t.0).collect();
            assert!(gone.windows(2).all(|pair| pair[1].since(pair[0]) >= EVERY), "{gone:?}");
        }
    }
}

#[test]
fn who_turns_out_to_be_dead_is_left_and_nobody_else() {
    let mut world = World::new(12, 1, two_sites);
    let before = world.links.clone();
    world.dead =
        (0..12).flat_map(|a| (0..12).map(move |b| key(a, b))).filter(|link| !before.contains_key(link)).collect();
    world.run(10);
    let dropped: Vec<&Turn> =
        world.turns.iter().filter(|(_, a, b, age)| *age > 0 && before.contains_key(&key(*a, *b))).collect();
    assert_eq!(dropped, Vec::<&Turn>::new(), "no neighbor is left for somebody who does not answer");
    assert!(world.hosts.iter().any(|host| host.steps.iter().any(|(name, _)| *name == "drop")), "it is taken back");
}

/// A role that looks after a period, with neighbors 1 (far) and others, and what it asks for.
struct Alone {
    role: Rebalancer,
    now: Instant,
}

impl Alone {
    /// A node in the middle of the ring, whose neighbors cost this much; all others tell of links of 1 ms between each
    /// other.
    fn new(config: Config, neighbors: &[(usize, u32)], nodes: usize) -> Self {
        let mut alone = Self { role: Rebalancer::new(config, 1, Instant::BOOT), now: Instant::BOOT };
        for i in 0..nodes {
            let addresses = vec!["192.0.2.1:1".parse().unwrap()];
            let body = Some(NodeBody { addresses, ..NodeBody::default() });
            alone.hear(Input::NodeLearned { peer: id(i), body });
            let link = |j| LinkBody { neighbor: id(j), label: Label(1), rtt_us: 1_000, loss_permille: 0 };
            alone
                .hear(Input::LinksLearned { origin: id(i), links: (0..nodes).filter(|j| *j != i).map(link).collect() });
        }
        neighbors.iter().for_each(|(peer, us)| drop(alone.hear(linked(*peer, *us))));
        alone
    }

    fn hear(&mut self, input: Input) -> Vec<Effect> {
        let mut effects = Vec::new();
        self.role.handle(input, self.now, &mut effects);
        effects.retain(|effect| *effect != Effect::ResyncWanted);
        effects
    }

    fn pass(&mut self, time: Duration) -> Vec<Effect> {
        let (until, mut effects) = (self.now + time, Vec::new());
        while let Some(at) = self.role.deadline().filter(|at| *at <= until) {
            self.now = at.max(self.now);
            self.role.wake(self.now, &mut effects);
        }
        self.now = until;
        effects
    }

    fn proposal(&mut self) -> Option<Pair> {
        self.pass(EVERY * 13 / 10)
            .into_iter()
            .find_map(|e| if let Effect::Propose(pair) = e { Some(pair) } else { None })
    }
}

fn linked(peer: usize, us: u32) -> Input {
    Input::LinkReported(LinkReport {
        peer: id(peer),
        link: Some((LinkId(1), Label(1))),
        state: LinkState::Up,
        rtt: Duration::from_micros(us.into()),
        loss_permille: 0,
        probes_returned: 0,
        probes_lost: 0,
        heard: None,
        established: 1,
        probed_every: Duration::ZERO,
        carries_until: Instant::BOOT,
        failing: false,
        latency: LatencySummary { mean_us: us, count: 10, ..Default::default() },
    })
}

/// Who stands this many places after 0 in the ring of `nodes`.
fn after(places: usize, nodes: usize) -> usize {
    let mut order: Vec<usize> = (0..nodes).collect();
    order.sort_by_key(|i| id(*i));
    let at = order.iter().position(|i| *i == 0).unwrap();
    order[(at + places) % nodes]
}

/// Node 0 of ten, with five neighbors that are not next in the ring: four at 80 ms, one at 1 ms.
fn typical(config: Config) -> Alone {
    let neighbors: Vec<(usize, u32)> = (2..7).map(|i| (after(i, 10), if i == 2 { 1_000 } else { 80_000 })).collect();
    Alone::new(config, &neighbors, 10)
}

#[test]
fn the_farthest_is_exchanged_for_the_nearest_and_told_step_by_step() {
    let mut alone = typical(config(0));
    let Pair { far, near, far_us, near_us } = alone.proposal().unwrap();
    assert!(far_us > 40_000 && near_us < 3_000, "{far_us} {near_us}");
    let (add, part) = (Step::AddNeighbor { peer: near }, Step::DropNeighbor { peer: far });
    let wanted = |step: &Step| Input::StepWanted { incident: 7, step: step.clone() };
    assert!(matches!(&alone.hear(wanted(&part))[..], [Effect::StepRefused { .. }]), "not before the other is there");
    assert_eq!(alone.hear(wanted(&add)), [Effect::Add { peer: near }]);
    let near_is = (0..10).find(|i| id(*i) == near).unwrap();
    assert_eq!(alone.hear(linked(near_is, 1_000)), [Effect::StepDone { incident: 7, step: add }]);
    assert_eq!(alone.hear(wanted(&part)), [Effect::AskToPart { peer: far }]);
    assert_eq!(alone.hear(Input::PeerForgotten { peer: far }), []);
    assert_eq!(alone.pass(Duration::from_secs(10)), [Effect::Ended { far, near }]);
}

#[test]
fn a_node_that_turns_out_to_be_far_is_taken_back() {
    let mut alone = typical(config(0));
    let Pair { far, near, .. } = alone.proposal().unwrap();
    let (add, back) = (Step::AddNeighbor { peer: near }, Step::DropNeighbor { peer: near });
    alone.hear(Input::StepWanted { incident: 7, step: add.clone() });
    let near_is = (0..10).find(|i| id(*i) == near).unwrap();
    assert_eq!(alone.hear(linked(near_is, 70_000)), [Effect::StepFailed { incident: 7, step: add }]);
    let undone = alone.hear(Input::StepWanted { incident: 7, step: back });
    assert_eq!(undone, [Effect::AskToPart { peer: near }, Effect::Ended { far, near }]);
    alone.hear(Input::PeerForgotten { peer: near });
    assert_ne!(alone.proposal().map(|pair| pair.near), Some(near), "it is remembered how far it is");
}

#[test]
fn who_leaves_before_it_is_asked_has_made_room_for_the_nearer_one() {
    let mut alone = typical(config(0));
    let Pair { far, near, .. } = alone.proposal().unwrap();
    alone.hear(Input::StepWanted { incident: 7, step: Step::AddNeighbor { peer: near } });
    assert_eq!(alone.hear(Input::PeerForgotten { peer: far }), []);
    let near_is = (0..10).find(|i| id(*i) == near).unwrap();
    assert_eq!(alone.hear(linked(near_is, 1_000)), [Effect::Ended { far, near }]);
}

#[test]
fn what_is_lost_by_it_brings_the_old_neighbor_back() {
    let mut alone = typical(config(0));
    let Pair { far, near, .. } = alone.proposal().unwrap();
    let (add, part) = (Step::AddNeighbor { peer: near }, Step::DropNeighbor { peer: far });
    let wanted = |step: Step| Input::StepWanted { incident: 7, step };
    alone.hear(wanted(add));
    let near_is = (0..10).find(|i| id(*i) == near).unwrap();
    alone.hear(linked(near_is, 1_000));
    alone.hear(wanted(part.clone()));
    alone.hear(Input::PeerForgotten { peer: far });
    let lost = PathReport { destination: id(9), change: PathChange::Lost };
    assert_eq!(alone.hear(Input::PathReported(lost)), [Effect::StepFailed { incident: 7, step: part }]);
    assert_eq!(alone.hear(wanted(Step::AddNeighbor { peer: far })), [Effect::Add { peer: far }]);
    assert_eq!(alone.hear(wanted(Step::DropNeighbor { peer: near })), [], "not before the old one is there");
    let far_is = (0..10).find(|i| id(*i) == far).unwrap();
    assert_eq!(alone.hear(linked(far_is, 80_000)), [Effect::AskToPart { peer: near }, Effect::Ended { far, near }]);
}

#[test]
fn who_is_needed_is_not_let_go_and_nobody_twice_in_a_period() {
    let mut alone = typical(config(0));
    alone.hear(linked(after(1, 10), 80_000));
    alone.hear(linked(after(9, 10), 80_000));
    alone.pass(Duration::from_secs(100));
    let asked = |alone: &mut Alone, place| alone.hear(Input::PartingAsked { peer: id(after(place, 10)) });
    for ring in [1, 9] {
        assert_eq!(asked(&mut alone, ring), [Effect::Decline { peer: id(after(ring, 10)) }], "the ring stays");
    }
    assert_eq!(asked(&mut alone, 2), [Effect::LetGo { peer: id(after(2, 10)) }]);
    alone.hear(Input::PeerForgotten { peer: id(after(2, 10)) });
    assert!(matches!(asked(&mut alone, 3)[..], [Effect::Decline { .. }]), "one in a period");
}

#[test]
fn nothing_moves_that_the_operator_fixed() {
    let configured = (0..10).map(id).collect();
    assert_eq!(typical(Config { configured, ..config(0) }).proposal(), None);
    let mut off = typical(Config { every: Duration::ZERO, ..config(0) });
    assert_eq!(off.proposal(), None);
    assert!(matches!(off.hear(Input::PartingAsked { peer: id(after(3, 10)) })[..], [Effect::Decline { .. }]));
}

#[test]
fn with_as_few_links_as_wanted_or_fewer_nothing_is_proposed_below_and_nobody_let_go() {
    let mut alone = typical(Config { target: 6, ..config(0) });
    assert_eq!(alone.proposal(), None);
    let mut alone = typical(Config { target: 5, ..config(0) });
    assert!(matches!(alone.hear(Input::PartingAsked { peer: id(after(3, 10)) })[..], [Effect::Decline { .. }]));
}

#[test]
fn regions_are_what_latencies_show_and_contradictions_are_told() {
    let mut alone = Alone::new(config(0), &[(2, 1_000), (4, 1_500), (1, 80_000)], 0);
    for (peer, region) in [(0, ""), (2, "east"), (4, "east"), (1, "west"), (3, "east"), (5, "west")] {
        let addresses = vec!["192.0.2.1:1".parse().unwrap()];
        let body = Some(NodeBody { addresses, region: region.to_owned(), ..NodeBody::default() });
        alone.hear(Input::NodeLearned { peer: id(peer), body });
    }
    let link = |j| LinkBody { neighbor: id(j), label: Label(1), rtt_us: 900, loss_permille: 0 };
    alone.hear(Input::LinksLearned { origin: id(1), links: vec![link(3), link(5)] });
    let Regions { clusters, mut hints } = alone.role.regions();
    let sorted = |members: &[usize]| {
        let mut members: Vec<PeerId> = members.iter().map(|i| id(*i)).collect();
        members.sort_unstable();
        members
    };
    let told: Vec<_> = clusters.iter().map(|c| (c.members.clone(), c.region.clone(), c.inside_us)).collect();
    assert!(told.contains(&(sorted(&[0, 2, 4]), Some("east".to_owned()), Some(1_500))), "{told:?}");
    assert!(told.contains(&(sorted(&[1, 3, 5]), Some("west".to_owned()), Some(900))), "{told:?}");
    hints.sort_by_key(|hint| hint.named.clone());
    let hint =
        |peer, named: &str, measured: &str| Hint { peer: id(peer), named: named.into(), measured: measured.into() };
    assert_eq!(hints, [hint(0, "", "east"), hint(3, "east", "west")]);
}

proptest::proptest! {
    #[test]
    fn whatever_is_heard_few_are_left_and_never_the_needed(
        script in proptest::collection::vec((0usize..7, 0usize..10, 0u32..100), 1..200),
    ) {
        let mut alone = typical(config(0));
        let mut parted: Vec<Instant> = Vec::new();
        let mut proposed: Vec<Instant> = Vec::new();
        for (what, peer, number) in script {
            let (near, far) = (id(peer), id(number as usize % 10));
            let effects = match what {
                0 => alone.hear(linked(peer, number * 1_000)),
                1 => alone.hear(Input::PeerForgotten { peer: near }),
                2 => alone.hear(Input::StepWanted { incident: 1, step: Step::AddNeighbor { peer: near } }),
                3 => alone.hear(Input::StepWanted { incident: 1, step: Step::DropNeighbor { peer: far } }),
                4 => alone.hear(Input::PartingAsked { peer: near }),
                5 => alone.hear(Input::PartingDeclined { peer: near }),
                _ => alone.pass(Duration::from_secs(u64::from(number))),
            };
            for effect in effects {
                match effect {
                    Effect::LetGo { peer } => {
                        proptest::prop_assert!(peer != id(after(1, 10)) && peer != id(after(9, 10)));
                        proptest::prop_assert!(alone.role.view.usable() > TARGET);
                        if !alone.role.view.is_on_trial(&peer, alone.now) {
                            parted.push(alone.now);
                        }
                    }
                    Effect::Propose(_) => proposed.push(alone.now),
                    Effect::AskToPart { peer } => {
                        proptest::prop_assert!(peer != id(after(1, 10)) && peer != id(after(9, 10)));
                    }
                    _ => {}
                }
            }
        }
        proptest::prop_assert!(parted.windows(2).all(|pair| pair[1].since(pair[0]) >= EVERY));
        // A wake that is late is one wake; the next look is a whole period after it.
        proptest::prop_assert!(proposed.len() <= 1 + (alone.now.as_millis() / EVERY.as_millis() as u64) as usize);
    }
}
