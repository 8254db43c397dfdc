//! `prunella sim --gossip`: how gossip spreads among up to a million nodes, on one thread.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;
use super::output::Output;
use crate::api::{Error, ErrorKind};

/// A mesh that has a name, and what gossip has to come up to in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GossipPreset {
    /// By which it is asked for.
    pub name: &'static str,
    /// What it is, in a few words.
    pub what: &'static str,
    /// The bar for the mean time to reach all nodes; `None`: there is none.
    pub mean_max: Option<Duration>,
    /// The bar for the longest time to reach all nodes; `None`: there is none.
    pub all_max: Option<Duration>,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GossipProgress {
    /// How many messages were sent; 0 when the mesh was just built.
    pub sent: usize,
    /// How many will be.
    pub of: usize,
    /// How many nodes the last one reached.
    pub reached: usize,
    /// Real time since the run began.
    pub wall: Duration,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct GossipSpread {
    /// For people.
    pub text: String,
    /// For programs.
    pub json: Value,
    /// Whether all nodes were reached, within the preset's bars.
    pub passed: bool,
}

/// Runs the preset with this name and seed, and tells of its progress; `None` if there is no such preset.
pub type SimulateGossip = fn(&str, u64, &mut dyn FnMut(GossipProgress)) -> Option<GossipSpread>;

/// Lists the presets.
pub(super) fn list(presets: &[GossipPreset], output: &mut Output) -> Result<(), Failure> {
    let bar =
        |name, most: Option<Duration>| most.map_or(String::new(), |most| format!(", {name} {} ms", most.as_millis()));
    let line = |preset: &GossipPreset| {
        let bars = [bar("mean at most", preset.mean_max), bar("all within", preset.all_max)].concat();
        format!("{:<12}  {}{bars}\n", preset.name, preset.what)
    };
    let json: Vec<Value> = presets
        .iter()
        .map(|preset| {
            let ms = |most: Option<Duration>| most.map(|most| most.as_millis() as u64);
            let (mean, all) = (ms(preset.mean_max), ms(preset.all_max));
            serde_json::json!({ "name": preset.name, "what": preset.what, "mean_max_ms": mean, "all_max_ms": all })
        })
        .collect();
    output.show_either(&Value::Array(json), &presets.iter().map(line).collect::<String>())
}

/// Runs one preset.
pub(super) fn run(preset: &str, seed: u64, simulate: SimulateGossip, output: &mut Output) -> Result<(), Failure> {
    let watched = io::stderr().is_terminal();
    let mut told = |progress: GossipProgress| {
        if watched {
            let GossipProgress { sent, of, reached, wall } = progress;
            let seconds = wall.as_secs_f64();
            // Progress is for the eye; whether it arrives makes no difference.
            let _ = write!(
                io::stderr().lock(),
                "\r\x1b[K{seconds:.1} s: {sent} of {of} messages, the last to {reached} nodes"
            );
        }
    };
    let spread = simulate(preset, seed, &mut told);
    if watched {
        let _ = write!(io::stderr().lock(), "\r\x1b[K");
    }
    let Some(spread) = spread else {
        let error =
            Error::new(ErrorKind::InvalidInput, format!("there is no preset {preset:?}; --gossip list lists them"));
        return Err(Failure::new("simulate gossip", error));
    };
    output.show_either(&spread.json, &format!("{}\n", spread.text))?;
    if spread.passed { Ok(()) } else { Err(Failure::Told) }
}
