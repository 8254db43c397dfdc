//! What it costs that an actor can be looked at: messages through the mailbox of a real actor whose messages are counted and
//! timed, as all are; one of which nothing can be seen; and one that somebody looks on (`prunella trace --actor`).
//!
//! `cargo bench --bench introspection`
//!
//! Three GossipActors get the same messages in the same rounds, in turn, so that other programs on the machine disturb all
//! of them. Each round waits in the mailbox before it is handled. Printed are microseconds per message, and the difference
//! to the actor of which nothing can be seen, round by round. Records are what a busy actor handles; the time of day, of
//! which the role makes next to nothing, is the cheapest message there is, and shows the cost itself.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up is a failed run")]

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use prunella::actors::clock::Clock;
use prunella::actors::directory::Directory;
use prunella::actors::driver::{self, Ground, Newborn, Perform, Start};
use prunella::actors::stats::{Pace, Place, Stats};
use prunella_core::gossip::{Gossip, Heard, Input};
use prunella_core::identity::Identity;
use prunella_core::record::{Body, Kind, NodeBody, ProvenRecord, Record, RecordId};
use prunella_core::recording::GossipStart;
use prunella_core::wiring::{Command, Route};
use prunella_core::{Instant as Moment, PeerId, Verified};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};

/// Messages of a round: fewer than a mailbox holds.
const ROUND: usize = 2000;
const ROUNDS: usize = 200;
const NODES: usize = 200;
/// Messages of a slice of a steady flood, and how long it lasts: a hundred thousand a second.
const SLICE: usize = 2000;
const SLICE_MS: u64 = 20;
const SLICES: usize = 150;
const UNIX_MS: u64 = 1_800_000_000_000;

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    writeln!(out, "load average {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "))?;
    writeln!(out, "{:<34} {:>28}    {:>28}", "", "µs per message", "more than unseen, in %")?;
    let quantiles = format!("{:>9} {:>9} {:>9}", "p10", "median", "p90");
    writeln!(out, "{:<34} {quantiles}   {quantiles}", "")?;
    let nodes: Vec<Identity> =
        (0..NODES).map(|i| Identity::from_secret(blake3::hash(&i.to_le_bytes()).as_bytes())).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    for (what, is_record) in [("records", true), ("the time of day", false)] {
        let (times, shown) = runtime.block_on(measure(&nodes, is_record));
        show(&mut out, what, &times)?;
        writeln!(
            out,
            "{:<34} {shown} messages were shown, {} were not",
            "",
            ROUND * ROUNDS - shown.min(ROUND * ROUNDS)
        )?;
    }
    let (times, shown) = runtime.block_on(pace(&nodes));
    writeln!(out, "records at {} a second, as the actor itself counts its time", SLICE * 1000 / SLICE_MS as usize)?;
    show_paced(&mut out, &times)?;
    writeln!(out, "{:<34} {shown:?} messages were shown and were not", "")
}

/// Times of slices of a steady flood through the actor as all are, and the one that is looked on, per message, as each
/// actor counts its own handling, which has in it what it cost to show a message; and how many were shown and were not.
async fn pace(nodes: &[Identity]) -> ([Vec<Duration>; 2], (usize, u64)) {
    let (supervisor, _) = Actor::spawn(None, Supervisor, ()).await.unwrap();
    let rigs = [Rig::start(supervisor.get_cell(), true).await, Rig::start(supervisor.get_cell(), true).await];
    let mut looking = rigs[1].stats.insight.tap.open(None, Moment::BOOT).unwrap();
    let (mut times, mut shown): ([Vec<Duration>; 2], usize) = Default::default();
    for slice in 0..SLICES {
        let messages: Vec<Input> = (0..SLICE).map(|i| record(nodes, slice * SLICE + i)).collect();
        for turn in 0..2 {
            let which = (slice + turn) % 2;
            times[which].push(rigs[which].paced(messages.clone()).await);
            while tokio::time::timeout(Duration::from_micros(1), looking.next()).await.is_ok() {
                shown += 1;
            }
        }
    }
    let missed = looking.missed();
    rigs.iter().for_each(|rig| rig.actor.stop(None));
    (times, (shown, missed))
}

/// Times of rounds through the actor of which nothing can be seen, the one as all are, and the one that is looked on; and
/// how many messages the onlooker was shown.
async fn measure(nodes: &[Identity], is_record: bool) -> ([Vec<Duration>; 3], usize) {
    let (supervisor, _) = Actor::spawn(None, Supervisor, ()).await.unwrap();
    let mut rigs = Vec::new();
    for is_seen in [false, true, true] {
        rigs.push(Rig::start(supervisor.get_cell(), is_seen).await);
    }
    let mut looking = rigs[2].stats.insight.tap.open(None, Moment::BOOT).unwrap();
    let shown = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&shown);
    let onlooker = tokio::spawn(async move {
        while looking.next().await.is_some() {
            counted.fetch_add(1, Ordering::Relaxed);
        }
    });
    let mut times: [Vec<Duration>; 3] = Default::default();
    for round in 0..ROUNDS {
        let messages = messages(nodes, round, is_record);
        for turn in 0..rigs.len() {
            let which = (round + turn) % rigs.len();
            times[which].push(rigs[which].round(messages.clone(), &nodes[0], round).await / ROUND as u32);
        }
    }
    onlooker.abort();
    rigs.iter().for_each(|rig| rig.actor.stop(None));
    (times, shown.load(Ordering::Relaxed))
}

/// A GossipActor with nothing around it.
struct Rig {
    directory: Arc<Directory>,
    performed: Arc<Performed>,
    stats: Arc<Stats>,
    actor: ActorCell,
}

impl Rig {
    async fn start(supervisor: ActorCell, is_seen: bool) -> Self {
        let (performed, directory) = (Arc::new(Performed::default()), Arc::new(Directory::default()));
        let (clock, shell) = (Clock::start(), performed.clone());
        let ground = Ground { clock, directory: Arc::clone(&directory), shell, recorder: None };
        let place = Place { name: "gossip".to_owned(), parent: None };
        let stats = directory.register.at(&place);
        let me = Identity::from_secret(&[1; 32]);
        // Nothing is recorded, so what it was made of is asked by nobody.
        let made_of = GossipStart { me: me.peer(), seed: 1, now: Moment::BOOT };
        let machine = Gossip::new(me, 1, Moment::BOOT);
        let first = vec![Input::Clock { unix_ms: UNIX_MS }];
        let start = Start { place, ground, newborn: Newborn { machine, made_of, first } };
        let actor = if is_seen {
            driver::spawn(start, supervisor).await.unwrap()
        } else {
            driver::spawn_unseen(start, supervisor).await.unwrap()
        };
        Self { directory, performed, stats, actor }
    }

    /// How long the actor was busy with each of these, which come one hundred every millisecond.
    async fn paced(&self, messages: Vec<Input>) -> Duration {
        let handling = &self.stats.insight.handling;
        let (busy, handled, count) = (handling.busy(), handling.spread().count(), messages.len() as u64);
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        let mut messages = messages.into_iter();
        while messages.len() > 0 {
            tick.tick().await;
            messages
                .by_ref()
                .take(SLICE / SLICE_MS as usize)
                .for_each(|input| self.directory.deliver(Route::Gossip(input)));
        }
        while handling.spread().count() < handled + count {
            tokio::task::yield_now().await;
        }
        (handling.busy() - busy) / (handling.spread().count() - handled) as u32
    }

    /// How long it takes to handle these, which wait until all of them are there.
    async fn round(&self, messages: Vec<Input>, by: &Identity, round: usize) -> Duration {
        // A service ends in the shell, so the last record is one.
        let last = heard(say(by, Kind::Service, "web", Body::Service, round as u64 + 1));
        self.stats.hindrance.set(Some(Pace::Stalled));
        for input in messages.into_iter().chain([last]) {
            self.directory.deliver(Route::Gossip(input));
        }
        let started = Instant::now();
        self.stats.hindrance.set(None);
        while self.performed.services.load(Ordering::Acquire) <= round {
            tokio::task::yield_now().await;
        }
        started.elapsed()
    }
}

fn messages(nodes: &[Identity], round: usize, is_record: bool) -> Vec<Input> {
    let clock = |i: usize| Input::Clock { unix_ms: UNIX_MS + i as u64 };
    (0..ROUND).map(|i| if is_record { record(nodes, round * ROUND + i) } else { clock(i) }).collect()
}

/// A record that is news, whoever has heard those with smaller numbers.
fn record(nodes: &[Identity], number: usize) -> Input {
    let (me, version) = (&nodes[number % nodes.len()], number as u64 + 1);
    let body = NodeBody { name: format!("n{version}"), ..NodeBody::default() };
    heard(say(me, Kind::Node, "", Body::Node(body), version))
}

fn heard(record: Verified<ProvenRecord>) -> Input {
    Input::Heard { from: PeerId::from_public_key([7; 32]), message: Heard::Push(vec![record]) }
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

fn show(out: &mut impl Write, what: &str, times: &[Vec<Duration>; 3]) -> io::Result<()> {
    let us = |time: &Duration| time.as_nanos() as f64 / 1000.0;
    for (who, of) in ["unseen", "as all actors are", "with somebody who looks on"].iter().zip(times) {
        let [p10, median, p90] = quantiles(of.iter().map(us));
        write!(out, "{:<34} {p10:>9.3} {median:>9.3} {p90:>9.3}", format!("{what}, {who}"))?;
        let more = of.iter().zip(&times[0]).map(|(of, unseen)| 100.0 * (us(of) / us(unseen) - 1.0));
        let [p10, median, p90] = quantiles(more);
        writeln!(out, "   {p10:>9.1} {median:>9.1} {p90:>9.1}")?;
    }
    Ok(())
}

fn show_paced(out: &mut impl Write, times: &[Vec<Duration>; 2]) -> io::Result<()> {
    let us = |time: &Duration| time.as_nanos() as f64 / 1000.0;
    for (who, of) in ["as all actors are", "with somebody who looks on"].iter().zip(times) {
        let [p10, median, p90] = quantiles(of.iter().map(us));
        write!(out, "{:<34} {p10:>9.3} {median:>9.3} {p90:>9.3}", format!("paced, {who}"))?;
        let more = of.iter().zip(&times[0]).map(|(of, alone)| 100.0 * (us(of) / us(alone) - 1.0));
        let [p10, median, p90] = quantiles(more);
        writeln!(out, "   {p10:>9.1} {median:>9.1} {p90:>9.1}")?;
    }
    Ok(())
}

fn quantiles(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    [10, 50, 90].map(|percent| sorted[(sorted.len() - 1) * percent / 100])
}
