//! The trace: one hash over everything that happened, in order.

use std::fmt::{self, Write};

/// Hashes what is written, so that no trace needs to be kept.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    hasher: blake3::Hasher,
    /// What was not hashed yet: hashing a few bytes at a time costs more than what happened.
    text: String,
    noted: u64,
}

impl Trace {
    /// Adds one thing that happened.
    pub(crate) fn note(&mut self, what: fmt::Arguments<'_>) {
        self.noted += 1;
        self.text.write_fmt(what).and_then(|()| self.text.write_char('\n')).expect("BUG: a string takes any text");
        if self.text.len() >= CHUNK {
            self.hasher.update(self.text.as_bytes());
            self.text.clear();
        }
    }

    /// Adds one thing that happened, with bytes that belong to it.
    pub(crate) fn note_bytes(&mut self, what: fmt::Arguments<'_>, bytes: &[u8]) {
        self.note(what);
        self.hasher.update(self.text.as_bytes());
        self.text.clear();
        self.hasher.update(bytes);
    }

    /// How much was added.
    pub(crate) fn noted(&self) -> u64 {
        self.noted
    }

    /// The hash over all of it, as 64 hexadecimal digits.
    pub(crate) fn hash(&self) -> String {
        self.hasher.clone().update(self.text.as_bytes()).finalize().to_hex().to_string()
    }
}

/// How much text is gathered before it is hashed, in bytes.
const CHUNK: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_noted_counts_and_so_does_its_order() {
        let hash = |notes: &[&str]| {
            let mut trace = Trace::default();
            for note in notes {
                trace.note(format_args!("{note}"));
                trace.note_bytes(format_args!("{note}"), note.as_bytes());
            }
            (trace.hash(), trace.noted())
        };
        assert_eq!(hash(&["a", "b"]), hash(&["a", "b"]));
        assert_ne!(hash(&["a", "b"]).0, hash(&["b", "a"]).0);
        assert_eq!(hash(&["a", "b"]).1, 4);
    }
}
