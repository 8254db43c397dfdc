//! Gray failures, injected one after another into running meshes: each must be told as an incident of the right kind
//! about the right thing within seven seconds, and end when the fault does.
//!
//! Traffic flows from [`NEAR`] to [`FAR`], which are no neighbors, over the one or the other of two relays.

#![allow(clippy::print_stdout, reason = "the table is what the test is run for by hand")]

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prunella::Request;
use prunella::api::chaos::{LinkImpairment, Order};
use prunella::api::vocabulary::IncidentInfo;
use rustix::process::Signal;
use tokio::time::{Instant, interval, sleep};

use super::echo::{Echo, echo_server};
use super::mesh::{Mesh, PATIENCE, Plan, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_gray_case_on_whole_nodes_is_told_within_seven_seconds() {
    println!("load before: {}", load());
    let lateness = Lateness::default();
    let suffering =
        async { tokio::join!(suffer(links(), &lateness), suffer(paths(), &lateness), suffer(hosts(), &lateness)) };
    let (links, paths, hosts) = tokio::select! {
        told = suffering => told,
        () = lateness.measure() => unreachable!("it goes on"),
    };
    let told = [links, paths, hosts].concat();
    let table: String = told.iter().map(|outcome| format!("{outcome}\n")).collect();
    println!("{table}load after: {}", load());
    assert!(told.iter().all(|outcome| outcome.found.is_some()), "not all were found:\n{table}");
}

/// Something that is wrong without anything being down, and what is to be told of it.
struct Case {
    name: &'static str,
    fault: Fault,
    sights: Vec<Sight>,
    /// What will do if none of those comes: it says less, but names the same.
    second_best: Vec<Sight>,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
struct Fault {
    /// What is done once.
    once: Vec<Act>,
    /// What is done again and again until the case is over, each with the time until the next.
    again: Vec<(Act, Duration)>,
}

/// Something that is done to a node.
#[derive(Clone, Debug)]
enum Act {
    /// A fault on purpose.
    Order(usize, Order),
    /// Its process stands still.
    Pause(usize),
    /// Its process goes on.
    Resume(usize),
}

/// An incident by which a case is told.
#[derive(Clone, Debug)]
struct Sight {
    /// Who tells it.
    by: usize,
    kind: &'static str,
    about: String,
    /// What its evidence must say.
    saying: &'static str,
}

/// What became of a case.
#[derive(Clone, Debug)]
struct Outcome {
    name: &'static str,
    tries: u32,
    found: Option<(Duration, IncidentInfo)>,
    /// What was told instead.
    instead: Vec<String>,
}

/// How often the host kept this process waiting for long; it does no better by the nodes.
#[derive(Debug, Default)]
struct Lateness {
    absences: AtomicU64,
}

impl Lateness {
    async fn measure(&self) {
        loop {
            let asleep = Instant::now();
            sleep(Duration::from_millis(10)).await;
            if asleep.elapsed() >= ABSENT {
                self.absences.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn absences(&self) -> u64 {
        self.absences.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, tries, found, instead, .. } = self;
        match found {
            Some((after, told)) => {
                let IncidentInfo { kind, subject, evidence, .. } = told;
                write!(f, "{name:22} {:5.2} s  {kind} {subject}: {evidence}", after.as_secs_f64())?;
            }
            None => write!(f, "{name:22} not found; told: {instead:#?}")?,
        }
        if *tries > 1 { write!(f, " (try {tries}: starved)") } else { Ok(()) }
    }
}

/// Runs a mesh and has it suffer from one case after the other.
async fn suffer(cases: Cases, lateness: &Lateness) -> Vec<Outcome> {
    let config = "[certificate]\nvalidity_hours = 1\n".parse().unwrap();
    let mesh = Mesh::found(Plan { config, ..Plan::diamond() }).await;
    mesh.nodes[FAR].expose("echo", echo_server().await).await;
    let echo = Echo::start(mesh.nodes[NEAR].forward("echo").await).await;
    let mut outcomes = Vec::new();
    let living = async {
        for case in cases {
            let outcome = mesh.suffer(case, &echo, lateness).await;
            println!("{outcome}");
            outcomes.push(outcome);
        }
    };
    tokio::select! {
        () = living => {}
        () = write(&mesh) => {}
    }
    echo.finish().await;
    outcomes
}

/// Gives one node something to write, at a steady pace.
async fn write(mesh: &Mesh) {
    let mut ticks = interval(WRITE_EVERY);
    for count in 0_u64.. {
        ticks.tick().await;
        let set = Request::SharedSet { key: "count".to_owned(), value: count.to_string() };
        // A store that is slow on purpose may not say in time that it is kept.
        drop(mesh.nodes[FAR].ask(&set).await);
    }
}

impl Mesh {
    /// Injects a case, waits until it is told, and ends it. If the host kept its processes waiting for so long that they
    /// rightly accused nobody, it is tried again.
    async fn suffer(&self, planned: fn(usize) -> Case, echo: &Echo, lateness: &Lateness) -> Outcome {
        let mut tries = 0;
        loop {
            tries += 1;
            self.well(echo).await;
            let relay = self.paths(NEAR, FAR, 2).await[0];
            let case = planned(relay);
            let (before, absences) = (self.newest().await, lateness.absences());
            let began = Instant::now();
            let found = tokio::select! {
                () = self.inject(&case.fault) => unreachable!("it goes on until it is told"),
                found = self.told(&case, &before, began) => found,
            };
            self.mend().await;
            let instead: Vec<String> = self.told_since(&before).await;
            let is_starved = lateness.absences() > absences || instead.iter().any(|told| told.contains(": starved "));
            if found.is_some() || tries == TRIES_MAX || !is_starved {
                self.well(echo).await;
                return Outcome { name: case.name, tries, found, instead };
            }
        }
    }

    async fn inject(&self, fault: &Fault) {
        for act in &fault.once {
            self.act(act).await;
        }
        loop {
            for (act, pause) in &fault.again {
                self.act(act).await;
                sleep(*pause).await;
            }
            if fault.again.is_empty() {
                std::future::pending::<()>().await;
            }
        }
    }

    async fn act(&self, act: &Act) {
        match act {
            Act::Order(node, order) => self.nodes[*node].done(&Request::Chaos(order.clone())).await,
            Act::Pause(node) => self.nodes[*node].signal(Signal::STOP),
            Act::Resume(node) => self.nodes[*node].signal(Signal::CONT),
        }
    }

    /// The first of the sights that is told, or else of the second best, and how long after the case began.
    async fn told(
        &self,
        case: &Case,
        before: &BTreeMap<usize, u64>,
        began: Instant,
    ) -> Option<(Duration, IncidentInfo)> {
        let mut second_best = None;
        while began.elapsed() < FOUND_WITHIN {
            if let Some(told) = self.seen(&case.sights, before, began).await {
                return Some(told);
            }
            if second_best.is_none() {
                second_best = self.seen(&case.second_best, before, began).await;
            }
            sleep(Duration::from_millis(20)).await;
        }
        second_best
    }

    /// The first of these that was told in time, and when that was seen.
    async fn seen(
        &self,
        sights: &[Sight],
        before: &BTreeMap<usize, u64>,
        began: Instant,
    ) -> Option<(Duration, IncidentInfo)> {
        for sight in sights {
            let told = self.incidents(sight.by).await;
            let is_it = |told: &IncidentInfo| {
                told.id > before[&sight.by]
                    && (told.kind.as_str(), &told.subject) == (sight.kind, &sight.about)
                    && told.evidence.contains(sight.saying)
            };
            let after = began.elapsed();
            if let Some(told) = told.into_iter().find(is_it).filter(|_| after < FOUND_WITHIN) {
                return Some((after, told));
            }
        }
        None
    }

    /// Ends every fault.
    async fn mend(&self) {
        for node in &self.nodes {
            node.signal(Signal::CONT);
        }
        for node in &self.nodes {
            until(&format!("no fault at {}", node.name), PATIENCE, async || {
                let asked = node.ask(&Request::Chaos(Order::Clear)).await;
                asked.map(drop).map_err(|error| error.to_string())
            })
            .await;
        }
    }

    /// Waits until nothing is wrong any more and traffic flows.
    async fn well(&self, echo: &Echo) {
        self.whole().await;
        until("all incidents over", 2 * PATIENCE, async || {
            for node in &self.nodes {
                let open = node.incidents().await?.into_iter().find(|told| told.lasted_ms.is_none());
                if let Some(open) = open {
                    return Err(format!("{}: {} {}: {}", node.name, open.kind, open.subject, open.evidence));
                }
            }
            Ok(())
        })
        .await;
        echo.goes_on().await;
    }

    /// What a node tells. Its surfaces may fall with an actor that is restarted, and are asked again.
    async fn incidents(&self, node: usize) -> Vec<IncidentInfo> {
        let node = &self.nodes[node];
        until(&format!("what {} tells", node.name), PATIENCE, async || node.incidents().await).await
    }

    /// The number of each node's newest incident.
    async fn newest(&self) -> BTreeMap<usize, u64> {
        let mut newest = BTreeMap::new();
        for number in 0..self.nodes.len() {
            let told = self.incidents(number).await;
            newest.insert(number, told.iter().map(|told| told.id).max().unwrap_or_default());
        }
        newest
    }

    async fn told_since(&self, before: &BTreeMap<usize, u64>) -> Vec<String> {
        let mut all = Vec::new();
        for (number, node) in self.nodes.iter().enumerate() {
            let told = self.incidents(number).await.into_iter().filter(|told| told.id > before[&number]);
            all.extend(told.map(|told| format!("{}: {} {}: {}", node.name, told.kind, told.subject, told.evidence)));
        }
        all
    }
}

// --- The cases ---

/// What goes wrong, given the relay that the traffic takes.
type Cases = Vec<fn(usize) -> Case>;

/// Cases of the link to the relay. A path that was found gray is avoided for a minute: the case comes last.
fn links() -> Cases {
    vec![
        |relay| Case::one_way("one way, sent", relay, (true, false), sight(NEAR, "link-one-way", name(relay))),
        |relay| Case::one_way("one way, received", relay, (false, true), sight(relay, "link-one-way", name(NEAR))),
        |relay| Case::cut("partial partition", relay, (true, true), sight(NEAR, "link-down", name(relay))),
        |relay| {
            let lossy = LinkImpairment { drop_permille: 300, ..LinkImpairment::default() };
            Case::impaired("30 % loss", relay, lossy, &["link-lossy"])
        },
        |relay| {
            let slow = LinkImpairment { delay_ms: 50, ..LinkImpairment::default() };
            Case::impaired("latency + 100 ms", relay, slow, &["link-slow"])
        },
        |relay| {
            let uneven = LinkImpairment { jitter_ms: 200, ..LinkImpairment::default() };
            Case::impaired("jitter to 400 ms", relay, uneven, &["link-slow"])
        },
        |relay| {
            let narrow = LinkImpairment { bytes_per_second: 2000, ..LinkImpairment::default() };
            Case::impaired(
                "throttled to 2 kB/s",
                relay,
                narrow,
                &["link-slow", "link-lossy", "link-down", "link-one-way"],
            )
        },
        |relay| {
            let doubled = LinkImpairment { duplicate_permille: 1000, ..LinkImpairment::default() };
            Case::impaired("doubled frames", relay, doubled, &["refusals"])
        },
        |relay| Case::gray("gray link, sent", vec![impair(NEAR, relay, (true, false), GRAY)]),
    ]
}

/// Cases of paths and relays.
fn paths() -> Cases {
    vec![
        |relay| {
            let cuts =
                [relay, other(relay)].map(|relay| Order::impair(name(relay), BOTH, LinkImpairment::CUT, FLAP_MS));
            let again = cuts.map(|cut| (Act::Order(NEAR, cut), FLAP_EVERY)).to_vec();
            let mut case = Case::again("flapping links", again, sight(NEAR, "path-churn", name(FAR)));
            case.sights.push(sight(FAR, "path-churn", name(NEAR)));
            // Where probes are late anyway, copies on the other path spare traffic the change.
            case.second_best =
                [relay, other(relay)].into_iter().flat_map(|relay| ends(relay, &["link-lossy"])).collect();
            case
        },
        |relay| Case::once("paused neighbor", vec![Act::Pause(relay)], sight(NEAR, "link-down", name(relay))),
        |relay| {
            let cuts = [NEAR, FAR].map(|end| impair(relay, end, BOTH, LinkImpairment::CUT)).to_vec();
            Case::once("relay cut off", cuts, sight(relay, "cut-off", HOST))
        },
        |relay| Case::gray("gray link, received", vec![impair(FAR, relay, (false, true), GRAY)]),
    ]
}

/// Cases of a node's own parts, and of its host.
fn hosts() -> Cases {
    vec![
        |_| Case::stalled("stalled pathfinder", NEAR, "pathfinder"),
        |_| Case::stalled("stalled gossip", NEAR, "gossip"),
        |_| Case::stalled("stalled writer", FAR, "knowledge"),
        |_| {
            let slow = Order::Actor { actor: "pathfinder".to_owned(), each_ms: Some(300), for_ms: FOR_MS };
            Case::once("slow pathfinder", vec![Act::Order(NEAR, slow)], sight(NEAR, "actor-slow", "pathfinder"))
        },
        |_| {
            let slow = Order::Disk { slow_ms: Some(400), stopped: false, for_ms: FOR_MS };
            Case::once("slow disk", vec![Act::Order(FAR, slow)], sight(FAR, "store-slow", "store"))
        },
        |_| {
            let ahead = Order::Clock { offset_s: 120, for_ms: FOR_MS };
            Case::once("clock set forward", vec![Act::Order(NEAR, ahead)], sight(NEAR, "clock-jumped", HOST))
        },
        |_| {
            let behind = Order::Clock { offset_s: -120, for_ms: FOR_MS };
            Case::once("clock set back", vec![Act::Order(FAR, behind)], sight(FAR, "clock-jumped", HOST))
        },
        |relay| {
            let again = vec![(Act::Pause(other(relay)), STANDS_STILL), (Act::Resume(other(relay)), RUNS)];
            Case::again("starved process", again, sight(other(relay), "starved", HOST))
        },
        |relay| Case::gray("gray relay", [NEAR, FAR].map(|end| impair(relay, end, (true, false), GRAY)).to_vec()),
        // The one that could issue another certificate does not answer.
        |_| {
            let ahead = Order::Clock { offset_s: 3000, for_ms: FOR_MS };
            let once = vec![Act::Pause(NEAR), Act::Order(FAR, ahead)];
            Case::once("certificate runs out", once, sight(FAR, "certificate-expiring", "certificate"))
        },
    ]
}

impl Case {
    fn of(name: &'static str, fault: Fault, sights: Vec<Sight>) -> Self {
        Self { name, fault, sights, second_best: Vec::new() }
    }

    fn once(name: &'static str, once: Vec<Act>, sight: Sight) -> Self {
        Self::of(name, Fault { once, again: Vec::new() }, vec![sight])
    }

    fn again(name: &'static str, again: Vec<(Act, Duration)>, sight: Sight) -> Self {
        Self::of(name, Fault { once: Vec::new(), again }, vec![sight])
    }

    fn cut(name: &'static str, relay: usize, ways: (bool, bool), sight: Sight) -> Self {
        Self::once(name, vec![impair(NEAR, relay, ways, LinkImpairment::CUT)], sight)
    }

    /// The link is cut in one direction. A process that was just kept waiting doubts for so long what it did not hear that
    /// its neighbor gives the link up first.
    fn one_way(name: &'static str, relay: usize, ways: (bool, bool), best: Sight) -> Self {
        Self { second_best: ends(relay, &["link-down"]), ..Self::cut(name, relay, ways, best) }
    }

    /// The link is impaired in both directions, and one of its ends tells one of these kinds.
    fn impaired(name: &'static str, relay: usize, impairment: LinkImpairment, kinds: &[&'static str]) -> Self {
        let once = vec![impair(NEAR, relay, BOTH, impairment)];
        Self::of(name, Fault { once, again: Vec::new() }, ends(relay, kinds))
    }

    /// Payload is lost and probes are not: the near end leaves the path, for its own reason or for the other end's, or says
    /// at least what is lost.
    fn gray(name: &'static str, once: Vec<Act>) -> Self {
        let saying = |saying| Sight { saying, ..sight(NEAR, "path-switched", self::name(FAR)) };
        let sights = ["unacknowledged: ", "unanswered: "].map(saying).to_vec();
        let second_best = vec![sight(NEAR, "payload-lost", self::name(FAR))];
        Self { second_best, ..Self::of(name, Fault { once, again: Vec::new() }, sights) }
    }

    fn stalled(name: &'static str, node: usize, actor: &str) -> Self {
        let stall = Order::Actor { actor: actor.to_owned(), each_ms: None, for_ms: FOR_MS };
        Self::once(name, vec![Act::Order(node, stall)], sight(node, "actor-stuck", actor))
    }
}

fn sight(by: usize, kind: &'static str, about: impl Into<String>) -> Sight {
    Sight { by, kind, about: about.into(), saying: "" }
}

/// One of these kinds, told by either end of the link to the relay about the other.
fn ends(relay: usize, kinds: &[&'static str]) -> Vec<Sight> {
    let ends = [(NEAR, relay), (relay, NEAR)];
    kinds.iter().flat_map(|kind| ends.map(|(by, about)| sight(by, kind, name(about)))).collect()
}

fn impair(node: usize, neighbor: usize, ways: (bool, bool), impairment: LinkImpairment) -> Act {
    Act::Order(node, Order::impair(name(neighbor), ways, impairment, FOR_MS))
}

fn name(node: usize) -> String {
    format!("n{node}")
}

/// The relay that the traffic does not take.
const fn other(relay: usize) -> usize {
    4 - relay
}

/// The load average, and what else runs.
fn load() -> String {
    std::fs::read_to_string("/proc/loadavg").unwrap().trim().to_owned()
}

/// The ends of the traffic in [`Plan::diamond`]; 1 and 3 are the relays.
const NEAR: usize = 0;
const FAR: usize = 2;
/// How fast each case must be told.
const FOUND_WITHIN: Duration = Duration::from_secs(7);
/// How often a case is tried on a host that was starved meanwhile.
const TRIES_MAX: u32 = 2;
/// A process that was woken so much later than it wanted to be doubts itself for a second and more, as nodes do.
const ABSENT: Duration = Duration::from_millis(200);
/// How long faults last that nobody ends, in milliseconds.
const FOR_MS: u64 = 60_000;
/// Between two writes: often enough for a store's latency to be known.
const WRITE_EVERY: Duration = Duration::from_millis(250);
const BOTH: (bool, bool) = (true, true);
const GRAY: LinkImpairment = LinkImpairment { gray: true, drop_permille: 0, ..LinkImpairment::CUT };
/// Each of two links is cut for so long, in turn with the other.
const FLAP_MS: u64 = 300;
const FLAP_EVERY: Duration = Duration::from_millis(550);
/// A starved process stands still for so long, and then runs for so long.
const STANDS_STILL: Duration = Duration::from_millis(235);
const RUNS: Duration = Duration::from_millis(8);
/// How the machine that a node runs on is called.
const HOST: &str = "this node";
