//! What a machine knows, as text for people: its fields, indented, up to a bound.

use std::fmt::{Debug, Write};

use prunella_core::limits::SNAPSHOT_BYTES_MAX;

use super::tap::Bounded;

/// A machine as text; `false` if it is only the beginning. Secrets say of themselves that they are some.
pub fn snapshot(machine: &dyn Debug) -> (String, bool) {
    let mut text = Bounded { text: String::new(), most: SNAPSHOT_BYTES_MAX };
    let whole = write!(text, "{machine:#?}").is_ok();
    (text.text, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_cut_off_before_it_is_made() {
        assert_eq!(snapshot(&Some(1)), ("Some(\n    1,\n)".to_owned(), true));
        let (text, whole) = snapshot(&vec![7u64; 1_000_000]);
        assert!(!whole && text.len() == SNAPSHOT_BYTES_MAX, "{}", text.len());
    }
}
