//! What a simulated mesh must bear, and whether the oracles notice when it does not.

use std::collections::BTreeSet;
use std::time::Duration;

use prunella_core::record::{Kind, Record};
use prunella_core::wiring::Route;
use prunella_core::{Instant, gossip};
use prunella_sim::{Config, Damage, Fault, Mix, Options, Phase, Walk, Weather, World};

/// A mesh that has formed, in which only what the test injects goes wrong.
fn formed(seed: u64) -> World {
    let mut world = World::new(seed, Config { weather: Weather::CALM, mix: Mix::NOTHING, ..Config::default() });
    assert!(world.run_until_healed().is_some(), "{:?}", world.unhealed());
    world
}

/// Lets time pass until `holds`, and tells how long it took.
fn wait(world: &mut World, at_most: Duration, holds: impl Fn(&World) -> bool) -> Duration {
    let began = world.now();
    while !holds(world) {
        assert!(world.now().since(began) < at_most, "it does not hold after {at_most:?}: {:?}", world.unhealed());
        world.run_for(MS);
    }
    world.now().since(began)
}

fn relays(world: &World, from: usize, to: usize) -> Vec<usize> {
    match world.walk(from, to) {
        Some(Walk::Arrives(hops)) => hops[1..hops.len() - 1].to_vec(),
        _ => Vec::new(),
    }
}

fn arrives(world: &World, from: usize, to: usize) -> bool {
    matches!(world.walk(from, to), Some(Walk::Arrives(_)))
}

#[test]
fn the_same_seed_gives_the_same_run_to_the_last_event() {
    let options = Options { nodes: 6, seconds: 5, ..Options::default() };
    let run = |seed| options.run(seed, &mut || true);
    let first = run(7);
    assert!(first.events > 5_000, "{first}");
    assert_eq!(first, run(7));
    assert_ne!(first.trace_hash, run(8).trace_hash);
}

#[test]
fn twenty_meshes_bear_mixed_faults_and_heal() {
    let mut kinds = BTreeSet::new();
    for seed in 1..=20 {
        let stormy = Duration::from_secs(10);
        let report = World::new(seed, Config { nodes: 4, stormy, ..Config::default() }).run(&mut || true);
        assert!(report.passed(), "{report}");
        kinds.extend(report.faults.iter().map(|fault| fault.fault.name()));
    }
    assert!(kinds.len() >= 12, "{kinds:?}");
}

#[test]
fn a_run_that_is_not_to_go_on_is_broken_off_at_once_in_every_phase() {
    let options = Options { nodes: 4, seconds: 3, ..Options::default() };
    let mourns = (1..100).find(|seed| options.config(*seed).mourning).expect("a quarter of all worlds mourn");
    for phase in [Phase::Forming, Phase::Storm, Phase::Healing, Phase::Mourning] {
        let mut asked_again = false;
        let report = options.run_watched(mourns, &mut |progress| {
            assert!(!asked_again, "{progress:?} after the end");
            asked_again = progress.phase == phase;
            !asked_again
        });
        assert!(asked_again && report.broken_off && report.passed(), "{phase}: {report}");
        assert!(report.to_string().contains("broken off"), "{report}");
    }
    assert!(!options.run(mourns, &mut || true).broken_off);
}

#[test]
fn a_one_way_cut_is_noticed_by_both_ends() {
    let mut world = formed(3);
    let fault = world.inject(Fault::CutOneWay { from: 0, to: 1 });
    let noticed = wait(&mut world, 600 * MS, |world| !world.is_up(0, 1) && !world.is_up(1, 0));
    assert!(noticed > Duration::ZERO);
    world.heal(fault);
    assert!(world.run_until_healed().is_some(), "{:?}", world.unhealed());
    assert!(world.failures().is_empty(), "{:?}", world.failures());
}

#[test]
fn a_killed_relay_is_left_within_300_milliseconds() {
    let mut moved = 0;
    for seed in 1..=5 {
        let mut world = formed(seed);
        let pair = world.wanted().iter().copied().find(|(from, to)| !relays(&world, *from, *to).is_empty());
        let Some((from, to)) = pair else { continue };
        let relay = relays(&world, from, to)[0];
        world.inject(Fault::Kill { node: relay, damage: Damage::None });
        assert!(!arrives(&world, from, to));
        wait(&mut world, 300 * MS, |world| arrives(world, from, to));
        assert!(!relays(&world, from, to).contains(&relay));
        moved += 1;
    }
    assert!(moved >= 3, "too few seeds have a route with a relay: {moved}");
}

#[test]
fn a_restarted_node_catches_up() {
    let mut world = formed(4);
    let fault = world.inject(Fault::Kill { node: 2, damage: Damage::None });
    world.run_for(Duration::from_secs(1));
    let input = gossip::Input::SetService { name: "db".to_owned(), exposed: true };
    world.tell(5, Route::Gossip(input));
    world.run_for(Duration::from_secs(1));
    assert!(world.node(2).is_none());
    world.heal(fault);
    let knows =
        |world: &World| world.node(2).is_some_and(|node| node.gossip().records().any(|record| record.id.key == "db"));
    assert!(!knows(&world), "nobody told it yet");
    wait(&mut world, Duration::from_secs(10), knows);
    assert!(world.run_until_healed().is_some(), "{:?}", world.unhealed());
}

#[test]
fn a_restarted_node_remembers_what_its_disk_held() {
    let mut world = formed(4);
    // What was learned last is still on its way to the disk.
    world.run_for(Duration::from_secs(1));
    // Links are told anew by then; what nodes say of themselves is not.
    let durable = |record: &&Record| record.id.kind == Kind::Node;
    let records = |world: &World| world.node(2).map_or(0, |node| node.gossip().records().filter(durable).count());
    let before = records(&world);
    let fault = world.inject(Fault::Kill { node: 2, damage: Damage::None });
    world.heal(fault);
    assert!(before >= 8);
    assert_eq!(records(&world), before);
}

#[test]
fn a_paused_node_accuses_nobody() {
    let mut world = formed(5);
    let fault = world.inject(Fault::Pause { node: 1 });
    world.run_for(1500 * MS);
    world.heal(fault);
    world.run_for(MS);
    let neighbors = world.neighbors(1);
    assert!(neighbors.iter().all(|neighbor| world.is_up(1, *neighbor)), "it was itself that was late");
    assert!(world.run_until_healed().is_some(), "{:?}", world.unhealed());
}

#[test]
fn two_sides_of_a_partition_find_together_again() {
    let mut world = formed(6);
    let fault = world.inject(Fault::Partition { side: BTreeSet::from([0, 1, 2]) });
    world.run_for(Duration::from_secs(12));
    assert!(!world.unhealed().is_empty());
    world.heal(fault);
    assert!(world.run_until_healed().is_some(), "{:?}", world.unhealed());
    assert!(world.now() > Instant::from_millis(12_000));
}

#[test]
fn an_ended_link_is_established_once_and_not_again_and_again() {
    let mut world = formed(1);
    let established = |world: &World| {
        let peer = world.node(1).map(|node| node.peer_id());
        peer.and_then(|peer| world.node(0)?.link(&peer)).map_or(0, |report| report.established)
    };
    let before = established(&world);
    let fault = world.inject(Fault::Cut { a: 0, b: 1 });
    world.run_for(Duration::from_secs(8));
    world.heal(fault);
    assert!(world.run_until_healed().is_some(), "{:?}", world.unhealed());
    let more = established(&world) - before;
    assert!((1..=3).contains(&more), "{more}");
}

const MS: Duration = Duration::from_millis(1);
