//! What one verified record costs: from the GossipActor's mailbox until it is applied and its commands are performed.
//!
//! `cargo bench --bench gossip`
//!
//! A node knows a thousand others, each with a node record and links to eight neighbors. New versions of links arrive, as
//! they would from a neighbor, already checked. Printed are microseconds per record, of the role alone and through the
//! mailbox of a real actor that has many waiting. Rounds are measured in groups, and the group with the least median is
//! shown with its tenth and ninetieth percentile: other programs on the machine disturb the others. The median of all
//! stands beside it.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up is a failed run")]

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prunella::actors::clock::Clock;
use prunella::actors::directory::Directory;
use prunella::actors::driver::{self, Ground, Newborn, Perform, Start};
use prunella::actors::stats::{Pace, Place};
use prunella_core::gossip::{Gossip, Heard, Input};
use prunella_core::identity::Identity;
use prunella_core::record::{Body, Kind, LinkBody, LinksBody, NodeBody, ProvenRecord, Record, RecordId};
use prunella_core::recording::GossipStart;
use prunella_core::wiring::{Command, Route};
use prunella_core::{Instant as Moment, Label, Machine, PeerId, Verified};
use ractor::{Actor, ActorProcessingErr, ActorRef};

const NODES: usize = 1000;
const ROUND: usize = 1000;
const ROUNDS: usize = 15;
const GROUPS: usize = 10;
const UNIX_MS: u64 = 1_800_000_000_000;

fn main() -> io::Result<()> {
    let nodes: Vec<Identity> =
        (0..NODES).map(|i| Identity::from_secret(blake3::hash(&i.to_le_bytes()).as_bytes())).collect();
    let mut out = io::stdout().lock();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    writeln!(out, "µs per record; load average {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "))?;
    writeln!(out, "{:<38} of {GROUPS} groups the one with the least median    all groups", "")?;
    writeln!(out, "{:<38} {:>9} {:>9} {:>9} {:>24}", "", "p10", "median", "p90", "median")?;
    let (mut role, mut inserts) = (Vec::new(), Vec::new());
    let mut gossip = grown(&nodes);
    for round in 0..GROUPS * ROUNDS {
        let news = news(&nodes, round as u64 + 2);
        let (mut effects, started) = (Vec::new(), Instant::now());
        for input in news {
            let before = Instant::now();
            gossip.handle(input, Moment::from_millis(round as u64), &mut effects);
            inserts.push(before.elapsed());
            effects.clear();
        }
        role.push(started.elapsed() / ROUND as u32);
    }
    show(&mut out, "the role alone, mean of a round", &role)?;
    show(&mut out, "the role alone, each record", &inserts)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    show(&mut out, "mailbox to applied, mean of a round", &runtime.block_on(through_mailbox(&nodes)))
}

/// Rounds through a real GossipActor. It is held up until all of a round waits in its mailbox, as under load: otherwise
/// whoever fills the mailbox is measured, and how the two threads wake each other.
async fn through_mailbox(nodes: &[Identity]) -> Vec<Duration> {
    let (supervisor, _) = Actor::spawn(None, Supervisor, ()).await.unwrap();
    let performed = Arc::new(Performed::default());
    let directory = Arc::new(Directory::default());
    let ground =
        Ground { clock: Clock::start(), directory: Arc::clone(&directory), shell: performed.clone(), recorder: None };
    let place = Place { name: "gossip".to_owned(), parent: None };
    let stats = directory.register.at(&place);
    let machine = grown(nodes);
    // Nothing is recorded, so what it was made of is asked by nobody.
    let made_of = GossipStart { me: nodes[0].peer(), seed: 1, now: Moment::BOOT };
    let start = Start { place, ground, newborn: Newborn { machine, made_of, first: Vec::new() } };
    let actor = driver::spawn(start, supervisor.get_cell()).await.unwrap();
    let mut rounds = Vec::new();
    for round in 0..GROUPS * ROUNDS {
        let news = news(nodes, round as u64 + 2);
        // Links end in the pathfinder, which is away; a service ends in the shell, so the last record is one.
        let last = heard(say(&nodes[0], Kind::Service, "web", Body::Service, round as u64 + 1));
        stats.hindrance.set(Some(Pace::Stalled));
        for input in news.into_iter().chain([last]) {
            directory.deliver(Route::Gossip(input));
        }
        let started = Instant::now();
        stats.hindrance.set(None);
        while performed.services.load(Ordering::Acquire) <= round {
            tokio::task::yield_now().await;
        }
        rounds.push(started.elapsed() / ROUND as u32);
    }
    actor.stop(None);
    rounds
}

/// A role that knows everybody.
fn grown(nodes: &[Identity]) -> Gossip {
    let mut gossip = Gossip::new(Identity::from_secret(&[1; 32]), 1, Moment::BOOT);
    let mut effects = Vec::new();
    let node = |me: &Identity| say(me, Kind::Node, "", Body::Node(NodeBody::default()), 1);
    let records = nodes.iter().map(node).chain((0..nodes.len()).map(|i| links(nodes, i, 1)));
    gossip.handle(Input::Clock { unix_ms: UNIX_MS }, Moment::BOOT, &mut effects);
    for record in records {
        gossip.handle(heard(record), Moment::BOOT, &mut effects);
        effects.clear();
    }
    gossip
}

fn news(nodes: &[Identity], version: u64) -> Vec<Input> {
    (0..ROUND).map(|i| heard(links(nodes, i % nodes.len(), version))).collect()
}

fn heard(record: Verified<ProvenRecord>) -> Input {
    Input::Heard { from: PeerId::from_public_key([7; 32]), message: Heard::Push(vec![record]) }
}

fn links(nodes: &[Identity], i: usize, version: u64) -> Verified<ProvenRecord> {
    let link = |step: usize| LinkBody {
        neighbor: nodes[(i + step) % nodes.len()].peer(),
        label: Label(step as u16),
        rtt_us: 1000 + version as u32,
        loss_permille: 0,
    };
    let links = (1..=4).chain(NODES - 4..NODES).map(link).collect();
    say(&nodes[i], Kind::Links, "", Body::Links(LinksBody { links }), version)
}

fn say(me: &Identity, kind: Kind, key: &str, body: Body, version: u64) -> Verified<ProvenRecord> {
    let id = RecordId { origin: me.peer(), kind, key: key.to_owned() };
    Record { id, version, issued_ms: UNIX_MS, expires_ms: UNIX_MS + 3_600_000, body }.sign(me)
}

/// Counts the services that it is told of.
#[derive(Default)]
struct Performed {
    services: AtomicUsize,
}

impl Perform for Performed {
    fn perform(&self, command: Command) {
        if matches!(command, Command::ServiceChanged { .. }) {
            self.services.fetch_add(1, Ordering::Release);
        }
    }
}

struct Supervisor;

impl Actor for Supervisor {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
        Ok(())
    }
}

/// Prints the spread of the group of rounds with the least median, which other programs disturbed least, and the median
/// of all.
fn show(out: &mut impl Write, what: &str, times: &[Duration]) -> io::Result<()> {
    let sorted = |times: &[Duration]| {
        let mut sorted = times.to_vec();
        sorted.sort_unstable();
        sorted
    };
    let us = |times: &[Duration], percent: usize| times[(times.len() - 1) * percent / 100].as_nanos() as f64 / 1000.0;
    let groups = times.chunks(times.len() / GROUPS).map(sorted);
    let quiet = groups.min_by_key(|group| group[(group.len() - 1) / 2]).unwrap_or_default();
    let [p10, median, p90] = [10, 50, 90].map(|percent| us(&quiet, percent));
    let all = us(&sorted(times), 50);
    writeln!(out, "{what:<38} {p10:>9.2} {median:>9.2} {p90:>9.2} {all:>24.2}")
}
