//! Which known key was probably meant by an unknown one.

/// The known key nearest to `unknown`, if one is near enough; both are written with their sections (`probe.late_after_ms`).
///
/// The right name in the wrong section counts as near. Of equally near keys the first wins.
pub(super) fn nearest(unknown: &str, known: &[String]) -> Option<String> {
    let name = last(unknown);
    let allowed = 1 + name.chars().count() / 4;
    let score = |key: &String| (distance(last(key), name), sections(key) != sections(unknown));
    let best = known.iter().min_by_key(|key| score(key))?;
    (score(best).0 <= allowed).then(|| best.clone())
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}

fn sections(key: &str) -> &str {
    key.rsplit_once('.').map_or("", |(sections, _)| sections)
}

/// Insertions, deletions and replacements that turn `a` into `b` (Levenshtein 1966).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("listen", "listen"), 0);
        assert_eq!(distance("lisen", "listen"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }

    #[test]
    fn the_same_section_wins_and_the_far_is_not_suggested() {
        let known = ["a.count".to_owned(), "b.count".to_owned(), "name".to_owned()];
        assert_eq!(nearest("b.cuont", &known).as_deref(), Some("b.count"));
        assert_eq!(nearest("b.cuomt", &known), None, "three edits are too many for a short name");
        assert_eq!(nearest("b.cont", &known).as_deref(), Some("b.count"));
        assert_eq!(nearest("count", &known).as_deref(), Some("a.count"));
        assert_eq!(nearest("everything", &known), None);
    }
}
