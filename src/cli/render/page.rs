//! Text for a terminal, line by line; what came from other nodes cannot command the terminal.

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

/// The text with everything replaced that could move a cursor, reverse the writing or end a line.
pub(in crate::cli) fn harmless(text: &str) -> String {
    let harms = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if harms(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_command_the_terminal() {
        let mut page = Page::default();
        page.line("a\u{1b}[2Jb\nc\u{202e}d  ");
        assert_eq!(page.into_text(), "a\u{fffd}[2Jb\u{fffd}c\u{fffd}d\n");
    }
}
