//! The simulator's ordinary budget: 200 small worlds, and every seed that ever failed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use prunella_sim::{Options, Report};

#[test]
fn two_hundred_small_worlds_bear_what_their_seeds_draw() {
    let options = Options { nodes: 6, seconds: 3, ..Options::default() };
    demand((1..=200).map(|seed| (seed, options)).collect());
}

#[test]
fn every_seed_that_ever_failed_passes() {
    let worlds: Vec<(u64, Options)> =
        include_str!("seeds.txt").lines().filter(|line| line.starts_with("--")).map(world).collect();
    assert!(!worlds.is_empty());
    demand(worlds);
}

/// Runs every world, on as many threads as there are processors: each world has only one.
fn demand(worlds: Vec<(u64, Options)>) {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::<Report>::new()));
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((seed, options)) = worlds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = options.run(*seed, &mut || true);
                    if !report.passed() {
                        failed.lock().unwrap_or_else(PoisonError::into_inner).push(report);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().unwrap_or_else(PoisonError::into_inner);
    failed.sort_by_key(|report| report.seed);
    let told: Vec<String> = failed.iter().map(Report::to_string).collect();
    assert!(failed.is_empty(), "{} of {} worlds failed:\n{}", failed.len(), worlds.len(), told.join("\n"));
}

/// A line of `seeds.txt`: options as `prunella sim` takes them.
fn world(line: &str) -> (u64, Options) {
    let (mut seed, mut options) = (None, Options::default());
    let words: Vec<&str> = line.split_whitespace().collect();
    for option in words.chunks(2) {
        let [name, value] = option else { panic!("an option without a value: {line}") };
        let value: u64 = value.parse().unwrap_or_else(|_| panic!("not a number: {line}"));
        match *name {
            "--seed" => seed = Some(value),
            "--nodes" => options.nodes = value as usize,
            "--seconds" => options.seconds = value,
            _ => panic!("an unknown option: {line}"),
        }
    }
    (seed.unwrap_or_else(|| panic!("no seed: {line}")), options)
}
