//! The trace: one hash over everything that happened, in order.

use std::fmt::{self, Write};

/// Hashes text as it is written, so that no trace needs to be kept.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hasher: blake3::Hasher,
    noted: u64,
}

impl Trace {
    /// Adds one thing that happened.
    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.noted += 1;
        self.write_fmt(what).and_then(|()| self.write_char('\n')).expect("BUG: writing to a hash cannot fail");
    }

    /// How much was added.
    pub(crate) fn noted(&self) -> u64 {
        self.noted
    }

    /// The hash over all of it, as 64 hexadecimal digits.
    pub(crate) fn hash(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

impl Write for Trace {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.hasher.update(text.as_bytes());
        Ok(())
    }
}
