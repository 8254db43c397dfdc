//! The deterministic simulator: many nodes, one thread, one seed.
//!
//! It is a second shell around [`prunella_core`]: the roles, the wiring, the signatures, the messages and the frames are
//! those of the program that ships; time, randomness, disks and the network are invented. So the same seed gives the
//! same run to the last event ([`Report::trace_hash`]), and a failure replays from its seed.
//!
//! A run draws a world from its seed ([`Config::swarm`]: size, shape, weather, faults, liars), lets the mesh form, makes
//! it suffer ([`Fault`]s, lost and copied packets, clocks that jump, nodes that lie), stops all that, and demands that
//! the mesh heals. Between the roles of each node messages interleave as the seed says. The oracles:
//!
//! - always: no installed route loops, is too long, or leads to the wrong node; a link that is reported as up has
//!   answered lately; nothing that an honest node sends is rejected, and every lie is, by name; nobody holds a record that
//!   its origin never signed, or goes back to an older one; nobody says two things with one version, or goes back
//!   behind what it has told, not even over a restart; nothing is allowed without a rule; nobody is accused whose ledger is
//!   as it was; every table and queue is within its limit; a pair of nodes between which a way exists is never silent for long; no node is removed while
//!   it is well;
//! - in the end: all honest nodes hold the same records and the same shared values, every wanted destination within
//!   reach has a route that leads there, every link is up, every node is a member in good standing, and no incident is
//!   open; a node that dies then is removed by all others, and a member again when it is back.
//!
//! [`scenario`] plays what a script asks for, and tells what came of it.
//!
//! [`scale`] is another simulation: only how gossip spreads, but among up to a million nodes.
//!
//! [`Bug`] plants a bug in the shell, and `prunella_core::planted` one in the core, so that the tests can see that the
//! oracles fail when they should.

pub mod attack;
mod churn;
mod config;
mod connections;
mod disk;
mod event;
mod fault;
pub mod fleet;
mod forge;
mod frames;
mod host;
mod ledger;
mod lie;
mod life;
mod members;
mod mix;
mod network;
mod news;
mod oracle;
mod progress;
mod records;
mod report;
mod rules;
mod sampling;
pub mod scale;
pub mod scenario;
mod shell;
mod topology;
mod trace;
mod traffic;
mod weather;
mod world;

use std::time::Duration;

pub use config::{Bug, Config};
pub use disk::Damage;
pub use fault::{Fault, FaultReport};
pub use mix::Mix;
pub use oracle::Walk;
pub use progress::{Phase, Progress};
pub use report::{Failure, Report, Summary};
pub use topology::Topology;
pub use weather::{Reach, Spread, Weather};
pub use world::World;

/// Which seeds to run, and how large and how long their worlds are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many seeds.
    pub seeds: u64,
    /// The first of them; the others follow it.
    pub first_seed: u64,
    /// How many nodes a world has at most; at least three.
    pub nodes: usize,
    /// For how long faults are drawn, in seconds of simulated time.
    pub seconds: u64,
    /// A bug to plant in every world.
    pub bug: Option<Bug>,
}

impl Options {
    /// The world of one seed.
    pub fn config(&self, seed: u64) -> Config {
        Config { bug: self.bug, ..Config::swarm(seed, self.nodes, Duration::from_secs(self.seconds)) }
    }

    /// Runs one seed; it is broken off when `goes_on`, which is asked at least every simulated second, says no.
    ///
    /// # Panics
    /// If fewer than three nodes are asked for, or more than 65,535.
    pub fn run(&self, seed: u64, goes_on: &mut dyn FnMut() -> bool) -> Report {
        self.run_watched(seed, &mut |_| goes_on())
    }

    /// As [`Options::run`], and tells how far the run has come.
    ///
    /// # Panics
    /// As [`Options::run`].
    pub fn run_watched(&self, seed: u64, goes_on: &mut dyn FnMut(Progress) -> bool) -> Report {
        let replay = format!("prunella sim --seed {seed} --nodes {} --seconds {}", self.nodes, self.seconds);
        Report { replay: Some(replay), ..World::new(seed, self.config(seed)).run_watched(goes_on) }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self { seeds: 20, first_seed: 1, nodes: 8, seconds: 30, bug: None }
    }
}

/// Runs every seed, and hands each report to `told` as soon as it is there.
///
/// # Panics
/// As [`Options::run`].
pub fn run_each(options: &Options, mut told: impl FnMut(&Report)) -> Summary {
    let run = |i: u64| {
        let report = options.run(options.first_seed.wrapping_add(i), &mut || true);
        told(&report);
        report
    };
    Summary { reports: (0..options.seeds).map(run).collect() }
}

/// Runs every seed.
///
/// # Panics
/// As [`Options::run`].
pub fn run(options: &Options) -> Summary {
    run_each(options, |_| {})
}
