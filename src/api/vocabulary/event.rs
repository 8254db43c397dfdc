//! What has happened, and where to go on.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::actors::event_log::Event;

/// A place in a node's sequence of events, written `RUN-NUMBER`. A node that is started anew begins another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(into = "String", try_from = "String")]
pub struct Cursor {
    /// Which run of the node, in 16 hexadecimal digits.
    pub run: u64,
    /// The number of the last event that was read; 0: none was.
    pub number: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{}", self.run, self.number)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no place among events: those that a node answers with look like {EXAMPLE}");
        let (run, number) = text.split_once('-').ok_or_else(wrong)?;
        let run = u64::from_str_radix(run, 16).ok().filter(|_| run.len() == 16).ok_or_else(wrong)?;
        Ok(Self { run, number: number.parse().map_err(|_| wrong())? })
    }
}

impl From<Cursor> for String {
    fn from(cursor: Cursor) -> Self {
        cursor.to_string()
    }
}

impl TryFrom<String> for Cursor {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// What has happened since.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventsInfo {
    /// Oldest first.
    pub events: Vec<EventInfo>,
    /// Where to go on.
    pub cursor: Cursor,
    /// Whether something that happened since is not told any more: the node was started anew, or had to forget it. Whoever
    /// keeps a picture of the mesh asks for all of it again.
    pub missed: bool,
    /// Whether there is more already.
    pub more: bool,
}

/// Something that has happened, as this node heard of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventInfo {
    /// Where to go on after it.
    pub cursor: Cursor,
    /// When, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

const EXAMPLE: &str = "00f3a1c2d4e5b697-1234";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_read_as_it_is_written_and_nothing_else() {
        let cursor = Cursor { run: 0xf3, number: u64::MAX };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert!(EXAMPLE.parse::<Cursor>().is_ok());
        for wrong in
            ["", "-", "f3-1", "00000000000000f3-", "00000000000000f3--1", "00000000000000f3-99999999999999999999"]
        {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
