//! Whole nodes by the hundred: what they cost, how soon they can talk, and whom they remove.
//!
//! `cargo bench -p prunella-sim --bench fleet -- [PART ...] [nodes=N] [seed=N] [trouble=NAME]` prints what was measured beside the bar.
//! Parts: `steady`, `grids`, `cold`, `healthy`, `foca`; without any, all of them. `nodes` sets the size of `steady`,
//! `healthy` and `foca`; `trouble=NAME` keeps one of their troubles (`light-hog`, `heavy-hog`, `flip-flop`, `loss`).
//! Figures are of simulated nodes and links, and the same for the same seed; wall times are not.
#![allow(clippy::print_stdout, reason = "a bench prints")]

mod measure;
mod ours;
mod swim;
mod trouble;

use std::time::Instant;

use measure::Row;
use trouble::Trouble;

/// What to run.
struct Options {
    parts: Vec<String>,
    nodes: usize,
    sides: Vec<usize>,
    seed: u64,
    troubles: Vec<Trouble>,
}

fn main() {
    let options = options();
    println!("simulated nodes and links; seed {}", options.seed);
    println!("bytes: payload alone, and with IP/UDP (28 a packet) and QUIC (30 a packet) headers");
    println!("a signature is checked once for all nodes together: bytes are measured here, not processor time");
    let began = Instant::now();
    let wanted = |part: &str| options.parts.is_empty() || options.parts.iter().any(|asked| asked == part);
    let Options { nodes, seed, ref troubles, .. } = options;
    if wanted("cold") {
        show(|| ours::cold_start(seed));
    }
    if wanted("grids") {
        options.sides.iter().for_each(|side| show(|| ours::grid(*side, seed)));
    }
    if wanted("steady") {
        show(|| ours::steady(nodes, seed));
    }
    if wanted("healthy") {
        troubles.iter().for_each(|trouble| show(|| ours::healthy(nodes, *trouble, seed)));
    }
    if wanted("foca") {
        for wide in [false, true] {
            show(|| swim::steady(nodes, wide, seed));
            troubles.iter().for_each(|trouble| show(|| swim::healthy(nodes, wide, *trouble, seed)));
        }
    }
    println!("all in {:.0} s", began.elapsed().as_secs_f64());
}

fn show(part: impl FnOnce() -> Vec<Row>) {
    let began = Instant::now();
    let rows = part();
    for row in rows {
        println!("{:<58} | {:<64} | {}", row.what, row.measured, row.bar);
    }
    println!("{:<58} | {:.1} s", "  wall time", began.elapsed().as_secs_f64());
}

fn options() -> Options {
    let mut options = Options {
        parts: Vec::new(),
        nodes: 1000,
        sides: vec![7, 10, 20, 32],
        seed: 1,
        troubles: trouble::ALL.to_vec(),
    };
    for argument in std::env::args().skip(1).filter(|argument| !argument.starts_with("--")) {
        let number = |text: &str| text.parse().unwrap_or_else(|_| panic!("not a number: {text}"));
        match argument.split_once('=') {
            Some(("nodes", nodes)) => options.nodes = number(nodes),
            Some(("seed", seed)) => options.seed = number(seed) as u64,
            Some(("sides", sides)) => options.sides = sides.split(',').map(number).collect(),
            Some(("trouble", name)) => options.troubles.retain(|trouble| trouble.argument() == name),
            _ => options.parts.push(argument),
        }
    }
    options
}
