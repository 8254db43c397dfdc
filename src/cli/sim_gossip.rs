//! `prunella sim --gossip`: how gossip spreads among up to a million nodes, on one thread.

use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::failure::Failure;
use super::interruption::Interruption;
use super::output::Output;
use super::progress::Progress;
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
    /// How many messages were sent and have reached whom they reach.
    pub sent: usize,
    /// How many will be.
    pub of: usize,
    /// How many nodes the last one has reached so far; 0 while the mesh is built.
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

/// Runs the preset with this name and seed; it is told of the progress, and says whether the run goes on. `None` if
/// there is no such preset.
pub type SimulateGossip = fn(&str, u64, &mut dyn FnMut(GossipProgress) -> bool) -> Option<GossipSpread>;

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
    let lines: String = presets.iter().map(line).collect();
    output.show_either(&Value::Array(json), &format!("simulated meshes, in virtual time, without a network:\n{lines}"))
}

/// Runs one preset of these.
pub(super) fn run(
    preset: &str,
    presets: &[GossipPreset],
    seed: u64,
    simulate: SimulateGossip,
    output: &mut Output,
) -> Result<(), Failure> {
    let (interruption, mut progress) = (Interruption::listen(), Progress::begin());
    let spread = simulate(preset, seed, &mut |GossipProgress { sent, of, reached, wall }| {
        progress.tell(|| {
            let doing = match reached {
                0 => "building the mesh".to_owned(),
                _ => format!("{sent} of {of} messages, the last one to {reached} nodes"),
            };
            format!("{:.0} s: {doing}", wall.as_secs_f64())
        });
        !interruption.happened()
    });
    progress.clear();
    let Some(spread) = spread else {
        let names: Vec<&str> = presets.iter().map(|preset| preset.name).collect();
        let text = format!(
            "there is no preset {preset:?}; the presets are {}, and --gossip list tells what they are",
            names.join(", ")
        );
        return Err(Failure::new("simulate gossip", Error::new(ErrorKind::InvalidInput, text)));
    };
    let interrupted = interruption.happened();
    let passed = spread.passed;
    show(spread, &format!("prunella sim --gossip {preset} --seed {seed}"), interrupted, output)?;
    match (interrupted, passed) {
        (true, _) => Err(Failure::Interrupted),
        (false, true) => Ok(()),
        (false, false) => Err(Failure::Told),
    }
}

/// Shows what came of a run, and the command that repeats it: to people only if they need it.
fn show(spread: GossipSpread, replay: &str, interrupted: bool, output: &mut Output) -> Result<(), Failure> {
    let GossipSpread { mut text, mut json, passed } = spread;
    json["replay"] = replay.into();
    text.push('\n');
    if !passed && !interrupted {
        text.push_str(&format!("replay: {replay}\n"));
    }
    output.show_either(&json, &text)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// What was written so far.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn end(passed: bool) -> (Result<(), Failure>, String) {
        let simulate: SimulateGossip = |name, seed, goes_on| {
            assert!(goes_on(GossipProgress { sent: 0, of: 1, reached: 0, wall: Duration::ZERO }));
            let json = serde_json::json!({});
            Some(GossipSpread { text: "simulated: 9 nodes".to_owned(), json, passed: name == "good" && seed == 7 })
        };
        let page = Page::default();
        let mut output = Output::to(Box::new(page.clone()), false);
        let ended = run(if passed { "good" } else { "bad" }, &[], 7, simulate, &mut output);
        output.flush().unwrap();
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        (ended, text)
    }

    #[test]
    fn a_run_outside_of_its_bars_fails_and_names_the_command_that_replays_it() {
        let (ended, text) = end(false);
        assert!(matches!(ended, Err(Failure::Told)));
        assert_eq!(text, "simulated: 9 nodes\nreplay: prunella sim --gossip bad --seed 7\n");
        let (ended, text) = end(true);
        assert!(ended.is_ok());
        assert_eq!(text, "simulated: 9 nodes\n");
    }
}
