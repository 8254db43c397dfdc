//! As much of a list as fits an answer: what grows with the mesh is told in pages.

use prunella_core::limits::CONTROL_LINE_BYTES_MAX;
use serde::Serialize;

/// As many of `items` as fit an answer, one at least, and whether there are more.
pub(super) fn page<T: Serialize>(items: impl IntoIterator<Item = T>) -> (Vec<T>, bool) {
    page_beside(&(), items)
}

/// The same, of an answer that tells something else besides.
pub(super) fn page_beside<T: Serialize>(
    besides: &impl Serialize,
    items: impl IntoIterator<Item = T>,
) -> (Vec<T>, bool) {
    let mut room = PAGE_BYTES_MAX.saturating_sub(bytes(besides));
    let mut told = Vec::new();
    for item in items {
        let bytes = bytes(&item) + 1;
        if bytes > room && !told.is_empty() {
            return (told, true);
        }
        room = room.saturating_sub(bytes);
        told.push(item);
    }
    (told, false)
}

/// How long it is as JSON.
pub(super) fn bytes(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).expect("BUG: every response has a JSON form").len()
}

/// Bytes of JSON that the items of an answer may have, with room for its frame.
pub(super) const PAGE_BYTES_MAX: usize = CONTROL_LINE_BYTES_MAX / 8 * 7;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_what_fits_and_one_item_at_least() {
        assert_eq!(page::<u8>([]), (Vec::new(), false));
        let long = "x".repeat(PAGE_BYTES_MAX);
        assert_eq!(page([&long, &long]), (vec![&long], true));
        assert_eq!(page([&long]), (vec![&long], false));
        // Two quotes and a comma each.
        let half = "x".repeat(PAGE_BYTES_MAX / 2 - 3);
        // Null, where there is nothing besides, has four bytes.
        assert_eq!(page([&half[2..], &half[2..], ""]), (vec![&half[2..], &half[2..]], true));
        assert_eq!(page_beside(&long, [&half[..], ""]), (vec![&half[..]], true));
    }
}
