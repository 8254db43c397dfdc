//! Scenarios: a short script of what goes wrong when, and the story that the simulator makes of it.
//!
//! ```text
//! # A link in use is cut, and traffic goes on over the other path.
//! nodes a b c
//! link a-c 1ms
//! link a-b b-c 2ms
//! traffic a>c
//! tell routes incidents traffic
//! at 2s cut a-c for 10s
//! end 20s
//! ```
//!
//! A script is read line by line ([`Scenario::parse`]); words are separated by blanks, and `#` begins a comment.
//!
//! | line | what it says |
//! | --- | --- |
//! | `nodes NAME ...` | who there is, 3 to 26 of them; first of all |
//! | `link A-B ... TIME` | wires, and how long a packet takes, give or take a tenth |
//! | `mesh TIME` | a wire between every two nodes |
//! | `traffic A>B ...` | who keeps asking whom, every 5 ms, and is answered |
//! | `tell TOPIC ...` | what the story is about ([`Topic`]); all of it, if nothing is said |
//! | `seed NUMBER` | what chance is drawn from; 1, if nothing is said |
//! | `at TIME DEED [for TIME] [every TIME times NUMBER]` | what happens, how long it lasts, and how often |
//! | `end TIME` | when the story is over; the last line |
//!
//! The deeds: `cut A-B`, `cut A>B` (one way), `clog A>B`, `partition NODE ...`, `pause NODE`, `kill NODE` (`for`: it is
//! started again then, from its disk), `lose-disk NODE`, `kill-torn NODE`, `kill-corrupt NODE` (the same, and worse),
//! `forge-ledger NODE` (the same, with another history in its ledger),
//! `fail-write NODE`, `crash NODE ROLE`, `jump NODE forward|back TIME` (its wall clock), `set NODE KEY VALUE`,
//! `remove NODE KEY`, `equivocate NODE`, `flood A>B`.
//!
//! The mesh forms before the story: its time zero is ten seconds after the first boot. A story depends on the script
//! alone, and is the same on every machine.

mod parse;
mod stage;
mod tale;

use std::fmt;
use std::time::Duration;

use crate::fault::Fault;

pub use tale::{Story, Topic};

/// A script that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    nodes: Vec<String>,
    wires: Vec<(usize, usize, Duration)>,
    traffic: Vec<(usize, usize)>,
    topics: Vec<Topic>,
    seed: u64,
    acts: Vec<Act>,
    end: Duration,
}

/// Something that happens in a story.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Act {
    at: Duration,
    deed: Deed,
    /// The deed as the script words it.
    words: String,
    lasts: Option<Duration>,
    /// How long after its beginning it begins again, and how often it happens in all.
    every: Duration,
    times: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Deed {
    Fault(Fault),
    Write { node: usize, key: String, value: Option<String> },
    Equivocate { node: usize },
    Flood { from: usize, to: usize },
}

/// A line of a script that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it, and what was expected.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.what)
    }
}

impl std::error::Error for Mistake {}

/// A file's two parts: the script, and behind the first line of four dashes the transcript that it had.
pub fn split(text: &str) -> (&str, &str) {
    let mut from = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_end() == RULE {
            return (&text[..from], &text[from + line.len()..]);
        }
        from += line.len();
    }
    (text, "")
}

/// The file that holds a script and its transcript.
pub fn join(script: &str, transcript: &str) -> String {
    format!("{}\n\n{RULE}\n{transcript}", script.trim_end())
}

/// What stands between a script and its transcript.
const RULE: &str = "----";

#[cfg(test)]
mod tests;
