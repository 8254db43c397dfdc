//! Text for a terminal, line by line; what came from other nodes cannot command the terminal.

use crate::api::harmless;

/// Lines of text.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    /// Adds a line; control characters in it are replaced.
    pub(super) fn line(&mut self, line: &str) {
        self.text.push_str(harmless(line.trim_end()).as_str());
        self.text.push('\n');
    }

    /// All lines, each with its end.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_line() {
        let mut page = Page::default();
        page.line("a\u{1b}[2Jb\nc  ");
        assert_eq!(page.into_text(), "a\u{fffd}[2Jb\u{fffd}c\n");
    }
}
