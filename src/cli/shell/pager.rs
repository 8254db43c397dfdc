//! What is longer than the screen goes through the user's pager.

use std::env;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use ratatui::crossterm::terminal;

/// Shows a text page by page, if it is longer than the screen and there is a pager; otherwise the text is given back.
pub(super) fn show(text: String) -> Option<String> {
    let rows = terminal::size().map_or(usize::MAX, |(_, rows)| usize::from(rows));
    if text.lines().count() < rows || page(&text).is_err() { Some(text) } else { None }
}

/// Runs the pager as other programs do, by the user's shell, and waits until it is left.
fn page(text: &str) -> io::Result<()> {
    let wanted = env::var("PAGER").ok().filter(|pager| !pager.trim().is_empty());
    let pager = wanted.unwrap_or_else(|| DEFAULT.to_owned());
    let mut child = Command::new("sh").args(["-c", &pager]).stdin(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // Whoever leaves the pager has seen enough.
        let _ = input.write_all(text.as_bytes());
    }
    match child.wait()?.code() {
        // As shells say that there is no such program, or that it cannot be run: then nothing was shown.
        Some(126 | 127) => Err(io::ErrorKind::NotFound.into()),
        _ => Ok(()),
    }
}

/// Leaves at once what fits the screen, keeps what it showed on it.
const DEFAULT: &str = "less -FRX";
