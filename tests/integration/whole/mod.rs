//! Whole nodes in one thread and in virtual time: actors, QUIC and TLS as they ship, over a network in memory, from a seed.
//!
//! A seed draws a mesh and what goes wrong in it. Nothing of the traffic may be lost, everything must heal in time, and
//! the same seed must be the same run, to the last datagram. What is drawn in secret (keys, what TLS makes of them) is
//! not part of a trace, and nothing in a trace depends on it.

mod faults;
mod gray;
mod machine;
mod network;
mod ramp;
mod rebalancing;
mod trace;
mod traffic;
mod world;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use prunella::host::WallClock;
use prunella::security::{Algorithm, join_client, quinn_client, server_name};
use prunella_core::rng::Rng;
use tokio::runtime::Builder;
use tokio::time::timeout;

use faults::Fault;
use network::Wire;
use trace::Event;
use traffic::{Stubborn, Traffic};
use world::World;

/// A run of a seed.
struct Run {
    events: Vec<Event>,
    outcome: Result<Told, String>,
}

/// What is told of a run that went well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    virtual_time: Duration,
    answered: u64,
    /// Requests that somebody asked until they were answered.
    repeated: u64,
    gap: Duration,
    healed_after_max: Duration,
}

fn run(seed: u64) -> Run {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut rng = Rng::from_seed(seed);
        let mut world = World::found(&mut rng).await;
        let outcome = timeout(RUN_MAX, live(&mut world, &mut rng)).await;
        let outcome = outcome.unwrap_or_else(|_| Err(format!("it is not over after {RUN_MAX:?}")));
        if let Err(reason) = &outcome {
            world.trace.tell(format!("failed: {reason}"));
        }
        Run { events: world.trace.take(), outcome }
    })
}

async fn live(world: &mut World, rng: &mut Rng) -> Result<Told, String> {
    let mut healed_after_max = world.heal(FORMATION_MAX).await?;
    world.trace.tell("the mesh is whole");
    // Neighbors in no topology that is drawn.
    let talkers = [1, 1 + world.nodes.len() / 2];
    let traffic = Traffic::start(world.nodes[talkers[0]].handle(), world.nodes[talkers[1]].peer).await?;
    for _ in 0..FAULTS {
        healed_after_max = healed_after_max.max(suffer(world, &talkers, rng).await?);
    }
    let traffic = traffic.finish().await?;
    // And once more with somebody who may be gone.
    let stubborn = Stubborn::start(world.nodes[talkers[0]].handle().clone(), world.nodes[talkers[1]].peer);
    for _ in 0..FAULTS_OF_ANYBODY {
        healed_after_max = healed_after_max.max(suffer(world, &talkers[..1], rng).await?);
    }
    let repeated = stubborn.finish().await?;
    world.ping_all().await?;
    world.stop().await?;
    if traffic.gap > GAP_MAX {
        return Err(format!("for {:?} nothing was answered", traffic.gap));
    }
    let virtual_time = world.trace.elapsed();
    Ok(Told { virtual_time, answered: traffic.answered, repeated, gap: traffic.gap, healed_after_max })
}

/// Has something go wrong after a while, and waits until everything is well again; how long that took.
async fn suffer(world: &mut World, spared: &[usize], rng: &mut Rng) -> Result<Duration, String> {
    world.pass(Duration::from_millis(500 + rng.below(1000) as u64)).await;
    Fault::draw(world, spared, rng).happen(world).await?;
    world.heal(HEALING_MAX).await
}

/// What a run tells. A failure is the test's, and says how to see it again.
fn report(seed: u64, run: &Run, took: Duration) -> String {
    match &run.outcome {
        Ok(told) => {
            let (events, hash) = (run.events.len(), trace::hash(&run.events));
            format!("seed {seed}: {told:?}, {events} events, trace {hash}, in {took:?}")
        }
        Err(reason) => {
            panic!("seed {seed} failed: {reason}\n{}replay it with\n  {SEEDS}={seed} {REPLAY}", story(&run.events))
        }
    }
}

/// What the nodes told, and what was done to them.
fn story(events: &[Event]) -> String {
    events.iter().filter(|event| event.is_told()).map(|event| format!("  {event}\n")).collect()
}

#[test]
fn whole_nodes_heal_and_lose_nothing_whatever_the_seed() {
    let asked = std::env::var(SEEDS).ok();
    let seeds = asked.map_or(1..=ORDINARY_SEEDS, |seeds| {
        parse(&seeds).unwrap_or_else(|| panic!("{SEEDS} is a seed, or FIRST-LAST: {seeds:?}"))
    });
    let is_alone = seeds.start() == seeds.end();
    for seed in seeds {
        let started = std::time::Instant::now();
        let run = run(seed);
        if let (true, Ok(file)) = (is_alone, std::env::var(TRACE)) {
            std::fs::write(file, run.events.iter().map(|event| format!("{event}\n")).collect::<String>()).unwrap();
        }
        let report = report(seed, &run, started.elapsed());
        println!("{}{report}", if is_alone { story(&run.events) } else { String::new() });
    }
}

#[test]
fn whole_nodes_run_the_same_to_the_last_datagram_from_the_same_seed() {
    let (one, two) = (run(1), run(1));
    if let Some(difference) = trace::difference(&one.events, &two.events) {
        panic!("two runs of one seed differ: {difference}");
    }
    assert!(one.events.len() > 1000, "something happened");
    assert!(one.outcome.is_ok(), "{:?}", one.outcome);
}

/// The farewell of a dial that was given up, when nothing of the dial itself had arrived: quinn-proto does not forget such
/// a connection soon, and it holds the socket.
#[test]
fn a_farewell_without_a_greeting_keeps_no_port() {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::found(&mut Rng::from_seed(4)).await;
        world.heal(FORMATION_MAX).await.unwrap();
        let (stranger, there) = (IpAddr::from([10, 0, 0, 99]), world.nodes[1].machine.ip);
        let socket = world.network.bind(stranger, SocketAddr::new(stranger, 0)).unwrap();
        let runtime = Arc::new(quinn::TokioRuntime);
        let endpoint = quinn::Endpoint::new_with_abstract_socket(Default::default(), None, socket, runtime).unwrap();
        let time = Arc::new(WallClock(world.nodes[1].machine.clone()));
        let named = ([0; 32], Algorithm::Ed25519);
        let tls = quinn_client(join_client(named, Some("whole.test"), world.nodes[1].peer, time));
        let address = world.nodes[1].handle().local_addr().unwrap();

        world.network.change(stranger, there, |wire| wire.cut = true);
        let dialing = endpoint.connect_with(tls, address, &server_name(&world.nodes[1].peer)).unwrap();
        world.pass(Duration::from_millis(100)).await;
        world.network.change(stranger, there, |wire| *wire = Wire { cut: false, loss_permille: 0, ..*wire });
        drop(dialing);
        world.pass(Duration::from_millis(500)).await;
        world.nodes[1].stop().await.unwrap();
        world.nodes[1].start().await.unwrap();
        world.stop().await.unwrap();
    });
}

/// A machine that was asleep, or whose clock was wrong: the node's own timers did not notice.
#[test]
fn a_clock_that_is_set_forward_lets_no_certificate_expire() {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::found(&mut Rng::from_seed(4)).await;
        world.heal(FORMATION_MAX).await.unwrap();
        let before = world.nodes[1].certificate_expires().await;
        world.nodes.iter().for_each(|node| node.machine.set_clock(15 * 3600));
        world.pass(Duration::from_secs(15)).await;
        for node in &world.nodes {
            let expires = node.certificate_expires().await;
            assert!(expires >= before + 15 * 3600, "{}: {expires} after {before}", node.name);
        }
        world.stop().await.unwrap();
    });
}

/// At a thousand times the pace of time, half of a certificate's life is 43 seconds. All nodes renew again and again, new
/// links and sessions are made all the while, and not one handshake fails; links that exist notice nothing.
#[test]
fn no_handshake_fails_while_certificates_rotate_at_a_thousand_times_the_pace() {
    let rotations = std::env::var(ROTATIONS).map_or(ORDINARY_ROTATIONS, |rotations| rotations.parse().unwrap());
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::found(&mut Rng::from_seed(4)).await;
        world.heal(FORMATION_MAX).await.unwrap();
        let (mut clock, mut expires) = (0, vec![0; world.nodes.len()]);
        let (mut renewed, mut refused) = (vec![0u32; world.nodes.len()], 0);
        while renewed.iter().min() < Some(&rotations) {
            // Nobody tells this story, and it holds every datagram.
            drop(world.trace.take());
            clock += CLOCK_STEP;
            world.nodes.iter().for_each(|node| node.machine.set_clock(CLOCK_STEP as i64));
            world.pass(Duration::from_millis(CLOCK_STEP)).await;
            world.ping_all().await.unwrap();
            for (number, node) in world.nodes.iter().enumerate() {
                let now = node.certificate_expires().await;
                renewed[number] += u32::from(now > expires[number]);
                expires[number] = now;
            }
            // Whoever starts again makes new links and sessions, with the certificates of the moment.
            let restarted = 1 + (clock / CLOCK_STEP) as usize % (world.nodes.len() - 1);
            refused += world.nodes[restarted].refused_handshakes().await;
            world.nodes[restarted].stop().await.unwrap();
            world.nodes[restarted].start().await.unwrap();
            world.heal(FORMATION_MAX).await.unwrap();
        }
        for node in &world.nodes {
            refused += node.refused_handshakes().await;
        }
        println!("{renewed:?} rotations within {clock} s at a thousand times the pace: {refused} handshakes refused");
        assert_eq!(refused, 0);
        world.stop().await.unwrap();
    });
}

fn parse(seeds: &str) -> Option<RangeInclusive<u64>> {
    match seeds.split_once('-') {
        Some((first, last)) => Some(first.parse().ok()?..=last.parse().ok()?),
        None => seeds.parse().ok().map(|seed| seed..=seed),
    }
}

/// The environment variable that says which seeds to run.
const SEEDS: &str = "PRUNELLA_WHOLE_SEEDS";
/// The environment variable that says to which file the whole trace of a seed alone is written.
const TRACE: &str = "PRUNELLA_WHOLE_TRACE";
/// What runs them.
const REPLAY: &str = "cargo test --test integration whole_nodes_heal -- --nocapture";
/// The environment variable that says how often every certificate is renewed at least, in the test of rotations.
const ROTATIONS: &str = "PRUNELLA_ROTATIONS";
/// How often when nothing else is said.
const ORDINARY_ROTATIONS: u32 = 2;
/// By how many seconds clocks are set forward in as many milliseconds.
const CLOCK_STEP: u64 = 10_000;
/// How many seeds run when nothing else is said.
const ORDINARY_SEEDS: u64 = 3;
/// How many things go wrong in a run.
const FAULTS: usize = 4;
/// How many more, when whoever answers may be stopped as well.
const FAULTS_OF_ANYBODY: usize = 2;
/// How long the mesh may take to form.
const FORMATION_MAX: Duration = Duration::from_secs(20);
/// How long everything may take to be well again after a fault is over.
const HEALING_MAX: Duration = Duration::from_secs(30);
/// How long requests may go unanswered: a fault that is noticed by silence, and what was lost sent again.
const GAP_MAX: Duration = Duration::from_secs(3);
/// When a run is given up, in its own time.
const RUN_MAX: Duration = Duration::from_secs(900);
