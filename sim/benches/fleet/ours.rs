//! The measures on the nodes that ship.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use prunella_core::Instant;
use prunella_core::limits::PATH_LABELS_MAX;
use prunella_core::membership::Status;
use prunella_sim::fleet::{Fleet, Latency, Network, grid as square, plane};

use crate::measure::{Row, Spread, bytes};
use crate::trouble::{Trouble, drawn};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// How soon a grid of 49 nodes that all boot at once can talk.
pub(crate) fn cold_start(seed: u64) -> Vec<Row> {
    let side = 7;
    let mut fleet = grid_fleet(side, seed);
    let nodes = side * side;
    let far = |a: usize, b: usize| (a % side).abs_diff(b % side) + (a / side).abs_diff(b / side);
    let pairs: Vec<(usize, usize)> =
        (0..nodes).flat_map(|a| (0..nodes).map(move |b| (a, b))).filter(|(a, b)| a != b).collect();
    let out_of_reach = pairs.iter().filter(|(a, b)| far(*a, *b) > PATH_LABELS_MAX + 1).count();
    let mut measured = "not within 10 s".to_owned();
    for step in 1..=200u32 {
        fleet.run_for(MS * 50);
        let talk = pairs.iter().filter(|(a, b)| fleet.can_talk(*a, *b)).count();
        if talk * 100 >= pairs.len() * 95 {
            measured = format!("{:.2} s ({talk} of {} pairs)", f64::from(step) * 0.05, pairs.len());
            break;
        }
    }
    vec![
        Row::new("cold start of a 7 x 7 grid: 95 % of pairs can talk", measured, "2 s"),
        Row::new("  pairs farther apart than 8 relays", format!("{out_of_reach} of {}", pairs.len()), ""),
    ]
}

/// What a grid costs in its first minute, and at rest.
pub(crate) fn grid(side: usize, seed: u64) -> Vec<Row> {
    let mut fleet = grid_fleet(side, seed);
    let (nodes, minute) = (side * side, SECOND * 60);
    let hosts: Vec<usize> = (0..nodes).collect();
    let bar = match nodes {
        49 => "750 mean",
        100 => "1012 mean",
        400 => "1508 mean",
        1024 => "2149 mean",
        _ => "",
    };
    fleet.run_for(minute);
    let mut rows = bytes(&format!("grid of {nodes}, first 60 s"), &fleet, &hosts, minute, bar);
    let converged = fleet.run_until_converged(minute * 2);
    rows.push(Row::new(format!("grid of {nodes}: converged by"), format!("{:?}", converged.map(|_| fleet.now())), ""));
    fleet.run_for(minute);
    fleet.forget_traffic();
    fleet.run_for(minute);
    rows.extend(bytes(&format!("grid of {nodes}, 60 s at rest"), &fleet, &hosts, minute, bar));
    rows.push(turned_away(&fleet));
    rows
}

/// What a quiet mesh costs when ten of its nodes crash at once, and how soon all know.
pub(crate) fn steady(nodes: usize, seed: u64) -> Vec<Row> {
    let (mut fleet, mut rows) = formed(nodes, seed);
    fleet.forget_traffic();
    let crash = fleet.now() + SECOND * 10;
    let dead = drawn(nodes, 10.min(nodes / 10), seed);
    dead.iter().for_each(|host| fleet.kill(*host, crash));
    let (before, during) = (fleet.verdicts().len(), SECOND * 100);
    fleet.run_for(during);
    let living: Vec<usize> = (0..nodes).filter(|host| !dead.contains(host)).collect();
    let what = format!("{nodes} nodes, {} crash", dead.len());
    rows.extend(bytes(&what, &fleet, &living, during, "700 mean"));
    let removed = removed(&fleet, before);
    let known: Vec<f64> = living
        .iter()
        .flat_map(|by| dead.iter().map(|about| removed.get(&(*by, *about)).map(|at| at.since(crash).as_secs_f64())))
        .flatten()
        .collect();
    let of = living.len() * dead.len();
    if !known.is_empty() {
        let spread = Spread::of(known.clone());
        let measured = format!("{} of {of}; mean {:.1} s, last {:.1} s", known.len(), spread.mean, spread.max);
        rows.push(Row::new(format!("{what}: verdicts on the dead"), measured, "all"));
    }
    let wrong: BTreeSet<usize> =
        removed.keys().map(|(_, about)| *about).filter(|about| !dead.contains(about)).collect();
    rows.push(Row::new(format!("{what}: healthy removed"), wrong.len().to_string(), "0"));
    rows.push(turned_away(&fleet));
    rows
}

/// Whom a mesh removes that has trouble with some of its hosts.
pub(crate) fn healthy(nodes: usize, trouble: Trouble, seed: u64) -> Vec<Row> {
    let (mut fleet, _) = formed(nodes, seed);
    let (begin, before) = (fleet.now(), fleet.verdicts().len());
    fleet.forget_traffic();
    let concerned = trouble.plan(fleet.network_mut(), nodes, begin, seed);
    fleet.run_for(trouble.lasts());
    let mut by: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    for (observer, about) in removed(&fleet, before).into_keys() {
        if !concerned.contains(&observer) {
            by.entry(about).or_default().insert(observer);
        }
    }
    let first = fleet.verdicts()[before..].iter().find(|v| v.status == Status::Down && concerned.contains(&v.about));
    let wrong: Vec<usize> = by.keys().copied().filter(|about| !concerned.contains(about)).collect();
    let right = concerned.iter().filter(|about| by.contains_key(about)).count();
    let by_all =
        concerned.iter().filter(|about| by.get(about).is_some_and(|by| by.len() + concerned.len() >= nodes)).count();
    let first = first.map_or("never".to_owned(), |verdict| format!("{:.1} s", verdict.at.since(begin).as_secs_f64()));
    let name = format!("{nodes} nodes, {}", trouble.name());
    let hosts: Vec<usize> = (0..nodes).collect();
    let sent = Spread::of(
        hosts.iter().map(|h| fleet.traffic(*h).sent.wire() as f64 / trouble.lasts().as_secs_f64()).collect(),
    );
    let isolated: Vec<usize> =
        (0..nodes).filter(|host| !concerned.contains(host) && fleet.quarantined_by(*host) > 0).collect();
    vec![
        Row::new(format!("{name}: healthy removed"), format!("{} {wrong:?}", wrong.len()), "0"),
        Row::new(format!("{name}: healthy quarantined"), format!("{} {isolated:?}", isolated.len()), "0"),
        Row::new(
            format!("{name}: those concerned removed"),
            format!("{right} of {}, by all others {by_all}; the first after {first}", concerned.len()),
            if trouble.is_fault() { "all" } else { "" },
        ),
        Row::new(format!("{name}: sent with headers, B/s per node"), sent.to_string(), ""),
        turned_away(&fleet),
    ]
}

fn grid_fleet(side: usize, seed: u64) -> Fleet {
    let nodes = side * side;
    let mut fleet = Fleet::new(nodes, Network::new(nodes, Latency::Uniform(MS), seed), seed);
    fleet.link(&square(side));
    fleet.boot(Duration::ZERO);
    fleet
}

/// A mesh on a plane that has formed and is quiet: its nodes choose five neighbors each.
fn formed(nodes: usize, seed: u64) -> (Fleet, Vec<Row>) {
    let mut fleet = Fleet::new(nodes, Network::new(nodes, plane(nodes, seed), seed), seed);
    fleet.link_by_choice(5);
    fleet.boot(FORMING);
    fleet.run_for(FORMING);
    let converged = fleet.run_until_converged(SECOND * 120);
    let degree = (0..nodes).map(|host| fleet.degree(host)).sum::<usize>() as f64 / nodes as f64;
    let measured = format!("degree {degree:.1}; booted within {FORMING:?}; converged {converged:?} after that");
    fleet.run_for(SECOND * 60);
    (fleet, vec![Row::new(format!("{nodes} nodes formed"), measured, "")])
}

/// Within which time the nodes of a mesh boot that is measured when it is quiet: one round of probes at rest, so that
/// they are not in step.
const FORMING: Duration = Duration::from_secs(5);

/// Who held whom for down, and since when.
fn removed(fleet: &Fleet, before: usize) -> BTreeMap<(usize, usize), Instant> {
    let mut removed = BTreeMap::new();
    for verdict in fleet.verdicts()[before..].iter().filter(|verdict| verdict.status == Status::Down) {
        removed.entry((verdict.by, verdict.about)).or_insert(verdict.at);
    }
    removed
}

fn turned_away(fleet: &Fleet) -> Row {
    Row::new("  turned away by the gates, all nodes", format!("{:?}; events {}", fleet.rejected(), fleet.events()), "")
}
