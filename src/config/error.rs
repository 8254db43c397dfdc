//! What can be wrong with a configuration file: the place, the key, and what to do about it, on one line.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a configuration file cannot be used. Nothing was started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read ({source}); check the path and its permissions", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{place}: not TOML: {reason}")]
    Syntax {
        /// Where.
        place: Place,
        /// What the parser said.
        reason: String,
    },
    /// There is no such key.
    #[error("{place}: unknown key `{key}`; {}", advice(.nearest))]
    UnknownKey {
        /// Where.
        place: Place,
        /// The key, with its sections.
        key: String,
        /// The key that was probably meant.
        nearest: Option<String>,
    },
    /// The value has the wrong type or form.
    #[error("{place}: `{key}` is wrong: {reason}")]
    WrongValue {
        /// Where.
        place: Place,
        /// The key, with its sections.
        key: String,
        /// What is wrong.
        reason: String,
    },
    /// The value is not one of those allowed.
    #[error("{place}: `{key}` is {found}; it must be {allowed}")]
    OutOfRange {
        /// Where.
        place: Place,
        /// The key, with its sections.
        key: String,
        /// The value.
        found: String,
        /// What is allowed.
        allowed: String,
    },
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
}

impl Place {
    /// The place of the byte `offset` in `text`.
    pub(super) fn at(file: &Path, text: &str, offset: usize) -> Self {
        let before = &text[..text.floor_char_boundary(offset)];
        let line_start = before.rfind('\n').map_or(0, |end| end + 1);
        Self {
            file: file.to_path_buf(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

fn advice(nearest: &Option<String>) -> String {
    match nearest {
        Some(key) => format!("did you mean `{key}`?"),
        None => "remove it, or look it up in config/default.toml".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "a\nä = 1\n";
        let place = Place::at(Path::new("f"), text, text.find('=').unwrap());
        assert_eq!(place.to_string(), "f:2:3");
        assert_eq!(Place::at(Path::new("f"), text, 999).line, 3);
    }
}
