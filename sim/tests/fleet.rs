//! Whole nodes by the dozen: what the bench `fleet` measures, small enough for every run.

use std::time::Duration;

use prunella_core::membership::Status;
use prunella_sim::fleet::{Fleet, Latency, Network, grid, plane};

const SECOND: Duration = Duration::from_secs(1);

fn grid_fleet(side: usize) -> Fleet {
    let latency = Latency::Uniform(Duration::from_millis(1));
    let mut fleet = Fleet::new(side * side, Network::new(side * side, latency, 1), 1);
    fleet.link(&grid(side));
    fleet.boot(Duration::ZERO);
    fleet
}

fn chosen_fleet(nodes: usize, seed: u64) -> Fleet {
    let mut fleet = Fleet::new(nodes, Network::new(nodes, plane(nodes, seed), seed), seed);
    fleet.link_by_choice(5);
    fleet.boot(SECOND);
    fleet
}

#[test]
fn a_cold_grid_of_49_talks_within_two_seconds() {
    let mut fleet = grid_fleet(7);
    fleet.run_for(2 * SECOND);
    let pairs = (0..49).flat_map(|a| (0..49).map(move |b| (a, b))).filter(|(a, b)| a != b);
    let talk = pairs.filter(|(a, b)| fleet.can_talk(*a, *b)).count();
    assert!(talk * 100 >= 49 * 48 * 95, "{talk} of {}", 49 * 48);
}

#[test]
fn a_wanted_route_leads_there_by_the_labels_of_the_relays() {
    let mut fleet = grid_fleet(3);
    fleet.run_for(2 * SECOND);
    assert!(!fleet.route_leads(0, 8), "nobody wanted it");
    fleet.want(0, 8);
    fleet.run_for(SECOND);
    assert!(fleet.route_leads(0, 8));
    fleet.kill(4, fleet.now());
    fleet.run_for(SECOND);
    assert!(fleet.route_leads(0, 8), "there is a way around");
}

#[test]
fn the_same_seed_costs_the_same_bytes() {
    let run = |seed| {
        let mut fleet = chosen_fleet(16, seed);
        fleet.run_for(20 * SECOND);
        let traffic: Vec<_> = (0..16).map(|host| *fleet.traffic(host)).collect();
        (traffic, fleet.events())
    };
    assert_eq!(run(3), run(3));
    assert_ne!(run(3), run(4));
}

/// Starves six of 60, kills one, and tells whom anybody held for down.
#[test]
fn starved_processes_get_no_healthy_node_removed_and_the_dead_one_is() {
    let mut fleet = chosen_fleet(60, 1);
    fleet.run_for(6 * SECOND);
    let begin = fleet.now();
    for host in [3, 13, 23, 33, 43, 53] {
        fleet.network_mut().hog(host, (begin, begin + 20 * SECOND), SECOND / 2);
    }
    fleet.kill(8, begin + SECOND);
    fleet.run_for(20 * SECOND);
    let mut down: Vec<usize> =
        fleet.verdicts().iter().filter(|verdict| verdict.status == Status::Down).map(|verdict| verdict.about).collect();
    down.sort_unstable();
    down.dedup();
    assert_eq!(down, [8]);
}
