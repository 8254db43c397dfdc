//! `prunella sim --scenario`: plays a script of what goes wrong when, and prints the story of it.

use std::fs;
use std::path::Path;

use super::failure::Failure;
use super::output::Output;
use crate::api::{Error, ErrorKind};

/// A story that was played to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioStory {
    /// For people.
    pub text: String,
    /// Its lines, for programs.
    pub lines: Vec<String>,
    /// What did not hold; empty if all was as it must be.
    pub failures: Vec<String>,
}

/// Plays a script; the error names the line that was not understood, and what was expected.
pub type PlayScenario = fn(&str) -> Result<ScenarioStory, String>;

/// Plays the script in a file.
pub(super) fn run(file: &Path, play: PlayScenario, output: &mut Output) -> Result<(), Failure> {
    let refused = |what: String| {
        let error = Error::new(ErrorKind::InvalidInput, format!("{}: {what}", file.display()));
        Failure::new("play a scenario", error)
    };
    let script = fs::read_to_string(file).map_err(|error| refused(error.to_string()))?;
    let story = play(&script).map_err(refused)?;
    let json = serde_json::json!({ "story": story.lines, "failures": story.failures });
    output.show_either(&json, &story.text)?;
    if story.failures.is_empty() { Ok(()) } else { Err(Failure::Told) }
}
