//! Why a file was refused: the place, the line, and a caret under it, as compilers do it.

use std::fmt;

use serde::Serialize;

/// Why a policy file was refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{file}:{line}:{column}: {reason}")]
pub struct Refused {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong, on one line.
    pub reason: String,
    /// The line itself, shortened if it is very long; blanks stand for tabs and other control characters.
    pub text: String,
    /// Where in `text` the caret stands, in characters from 0.
    pub caret: usize,
}

impl Refused {
    /// The reason, the place, the line and a caret under the column, over several lines.
    pub fn picture(&self) -> impl fmt::Display {
        let number = self.line.to_string();
        let blank = " ".repeat(number.len());
        let before = " ".repeat(self.caret);
        format!(
            "error: {}\n{blank}--> {}:{}:{}\n{blank} |\n{number} | {}\n{blank} | {before}^",
            self.reason, self.file, self.line, self.column, self.text
        )
    }
}

/// A text and the file that it came from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    /// The file's name.
    pub(super) file: &'a str,
    /// What it holds.
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// A refusal at the byte `offset`.
    pub(super) fn refuse(&self, offset: usize, reason: impl Into<String>) -> Refused {
        let text = self.text;
        let offset = text.floor_char_boundary(offset.min(text.len()));
        let start = text[..offset].rfind('\n').map_or(0, |end| end + 1);
        let line = text[start..].split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let column = text[start..offset].chars().count();
        let shift = column.saturating_sub(LINE_CHARACTERS_MAX / 2);
        let reason = reason.into();
        let shown = line.chars().skip(shift).take(LINE_CHARACTERS_MAX);
        let shown: String = shown.map(|c| if c.is_control() { ' ' } else { c }).collect();
        Refused {
            file: self.file.to_owned(),
            line: self.line(offset),
            column: column + 1,
            reason: reason.split_whitespace().collect::<Vec<_>>().join(" "),
            // The place may be behind a carriage return that is not shown.
            caret: (column - shift).min(shown.chars().count()),
            text: shown,
        }
    }

    /// The line of the byte `offset`, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset.min(self.text.len())].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// The byte offset of a line and a column, both from 1, the column in characters.
    pub(super) fn offset(&self, line: usize, column: usize) -> usize {
        let start: usize = self.text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
        let rest = &self.text[start..];
        start + rest.char_indices().nth(column.saturating_sub(1)).map_or(rest.len(), |(at, _)| at)
    }

    /// Where `key` is written in the table that begins at `offset`; `offset` itself if it is not found.
    pub(super) fn key(&self, offset: usize, key: &str) -> usize {
        let mut at = offset;
        for (number, line) in self.text[self.text.floor_char_boundary(offset)..].split_inclusive('\n').enumerate() {
            let indent = line.len() - line.trim_start_matches([' ', '\t', '-']).len();
            let rest = &line[indent..];
            if number > 0 && rest.starts_with('[') {
                break;
            }
            if rest.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ':'])) {
                return at + indent;
            }
            at += line.len();
        }
        offset
    }
}

/// How much of a line a refusal shows.
const LINE_CHARACTERS_MAX: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_points_at_the_character() {
        let source = Source { file: "p", text: "one\n\tzwö = 1\nthree" };
        let refused = source.refuse(source.text.find('=').unwrap(), "it\nis wrong");
        assert_eq!(refused.to_string(), "p:2:6: it is wrong");
        assert_eq!(refused.picture().to_string(), "error: it is wrong\n --> p:2:6\n  |\n2 |  zwö = 1\n  |      ^");
        assert_eq!(source.offset(2, 6), source.text.find('=').unwrap());
    }

    #[test]
    fn a_carriage_return_ends_no_line_and_is_not_shown_at_the_end_of_one() {
        let source = Source { file: "p", text: "a\rb = c\r\nd" };
        let refused = source.refuse(4, "no");
        assert_eq!((refused.line, refused.column, refused.text.as_str(), refused.caret), (1, 5, "a b = c", 4));
        let refused = source.refuse(8, "no");
        assert_eq!((refused.line, refused.column, refused.text.as_str(), refused.caret), (1, 9, "a b = c", 7));
    }

    #[test]
    fn no_place_is_too_far_for_a_refusal() {
        let text = "x".repeat(10_000);
        let source = Source { file: "p", text: &text };
        let refused = source.refuse(9_000, "no");
        assert_eq!((refused.column, refused.text.chars().count(), refused.caret), (9_001, 160, 80));
        assert_eq!(source.refuse(usize::MAX, "no").column, 10_001);
        assert_eq!(Source { file: "p", text: "" }.refuse(7, "no").to_string(), "p:1:1: no");
    }
}
