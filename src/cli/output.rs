//! Standard output: locked once, buffered, and never assumed to have a reader.

use std::io::{self, BufWriter, IsTerminal, Write};

use serde::Serialize;

use super::failure::Failure;
use super::render;
use crate::api::Response;

/// Where a command's results go.
pub(super) struct Output {
    writer: BufWriter<Box<dyn Write>>,
    json: bool,
    /// Whether JSON is one line each.
    compact: bool,
    is_terminal: bool,
    /// What is collected to be shown at once.
    page: Option<String>,
}

impl Output {
    /// Standard output.
    pub(super) fn stdout(json: bool) -> Self {
        let stdout = io::stdout();
        let is_terminal = stdout.is_terminal();
        Self { writer: BufWriter::new(Box::new(stdout.lock())), json, compact: false, is_terminal, page: None }
    }

    /// Anything else that can be written to.
    pub(super) fn to(writer: Box<dyn Write>, json: bool) -> Self {
        Self { writer: BufWriter::new(writer), json, compact: false, is_terminal: false, page: None }
    }

    /// Whether JSON was asked for.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Asks for JSON, or for text; tells what was asked for before.
    pub(super) fn set_json(&mut self, json: bool) -> bool {
        std::mem::replace(&mut self.json, json)
    }

    /// Asks for JSON of one line each, or of several; tells what was asked for before.
    pub(super) fn set_compact(&mut self, compact: bool) -> bool {
        std::mem::replace(&mut self.compact, compact)
    }

    /// Whether a person is likely to read along.
    pub(super) fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Shows a node's response in the form that was asked for.
    pub(super) fn show(&mut self, response: &Response) -> Result<(), Failure> {
        let shown = if self.json { self.as_json(response) } else { render::text(response, unix_ms_now()) };
        self.write(&shown)
    }

    /// Shows a result that is no response: as JSON, or as the text for people.
    pub(super) fn show_either(&mut self, value: &impl Serialize, text: &str) -> Result<(), Failure> {
        let shown = if self.json { self.as_json(value) } else { text.to_owned() };
        self.write(&shown)
    }

    fn as_json(&self, value: &impl Serialize) -> String {
        if self.compact { render::json_line(value) } else { render::json(value) }
    }

    /// Writes text as it is.
    pub(super) fn write(&mut self, text: &str) -> Result<(), Failure> {
        match &mut self.page {
            Some(page) => {
                page.push_str(text);
                Ok(())
            }
            None => self.writer.write_all(text.as_bytes()).map_err(Failure::Unwritten),
        }
    }

    /// Collects what is written from now on, until it is taken. Whoever makes something visible before its end wants it to
    /// be seen as it comes: nothing is collected any more.
    pub(super) fn collect(&mut self) {
        self.page = Some(String::new());
    }

    /// What was collected.
    pub(super) fn collected(&mut self) -> String {
        self.page.take().unwrap_or_default()
    }

    /// Makes everything that was written visible.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        if let Some(page) = self.page.take() {
            self.write(&page)?;
        }
        self.writer.flush().map_err(Failure::Unwritten)
    }
}

/// The time, in milliseconds since the Unix epoch.
pub(super) fn unix_ms_now() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
