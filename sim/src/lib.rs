//! The deterministic simulator: many nodes, one thread, one seed.
//!
//! It is a second shell around [`prunella_core`]: the roles, the wiring, the signatures, the messages and the frames are
//! those of the program that ships; time, randomness, disks and the network are invented. So the same seed gives the
//! same run to the last event ([`Report::trace_hash`]), and a failure replays from its seed.
//!
//! A run forms a mesh (a ring and some chords), makes it suffer [`Fault`]s drawn from the seed, stops them, and demands
//! that the mesh heals. The oracles:
//!
//! - always: no installed route loops, is too long, or leads to the wrong node; a link that is reported as up has
//!   answered lately; nothing that an honest node sends is rejected; a pair of nodes between which a way exists is never
//!   silent for long;
//! - in the end: all nodes hold the same records, every wanted destination has a route that leads there, every link is
//!   up, and no incident is open.
//!
//! [`Bug`] plants a bug, so that the tests can see that the oracles fail when they should.

mod config;
mod connections;
mod event;
mod fault;
pub mod fleet;
mod frames;
mod host;
mod network;
mod oracle;
mod report;
pub mod scale;
mod trace;
mod traffic;
mod world;

use std::time::Duration;

pub use config::{Bug, Config};
pub use fault::{Fault, FaultReport};
pub use oracle::Walk;
pub use report::{Failure, Report, Summary};
pub use world::World;

/// Which seeds to run, and how large and how long their worlds are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many seeds.
    pub seeds: u64,
    /// The first of them; the others follow it.
    pub first_seed: u64,
    /// How many nodes each world has; at least three.
    pub nodes: usize,
    /// For how long faults are drawn, in seconds of simulated time.
    pub seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        let config = Config::default();
        Self { seeds: 20, first_seed: 1, nodes: config.nodes, seconds: config.stormy.as_secs() }
    }
}

/// Runs every seed, and hands each report to `told` as soon as it is there.
///
/// # Panics
/// If `options` asks for fewer than three nodes or more than 65,535.
pub fn run_each(options: &Options, mut told: impl FnMut(&Report)) -> Summary {
    let config = Config {
        nodes: options.nodes,
        chords: options.nodes / 2,
        stormy: Duration::from_secs(options.seconds),
        ..Config::default()
    };
    let run = |i: u64| {
        let report = World::new(options.first_seed.wrapping_add(i), config.clone()).run();
        told(&report);
        report
    };
    Summary { reports: (0..options.seeds).map(run).collect() }
}

/// Runs every seed.
///
/// # Panics
/// As [`run_each`].
pub fn run(options: &Options) -> Summary {
    run_each(options, |_| {})
}
