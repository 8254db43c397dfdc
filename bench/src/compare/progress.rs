//! What the user sees while it runs, on standard error.

use std::fmt::Arguments;
use std::io::Write;

/// Says a line.
pub(crate) fn say(line: Arguments<'_>) {
    // Nobody may be listening.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}
