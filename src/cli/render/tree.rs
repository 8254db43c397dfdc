//! The branches that are drawn before each entry of a tree.

/// For entries in depth-first order, each given by its depth, the branches to draw before each.
pub(super) fn branches(depths: &[usize]) -> Vec<String> {
    (0..depths.len())
        .map(|entry| {
            let depth = depths[entry];
            let trunk = (1..depth).map(|level| if continues(depths, entry, level) { "│  " } else { "   " });
            let twig = (depth > 0).then(|| if continues(depths, entry, depth) { "├─ " } else { "└─ " });
            trunk.chain(twig).collect()
        })
        .collect()
}

/// Whether an entry at `level` follows after `entry` and below the same parent.
fn continues(depths: &[usize], entry: usize, level: usize) -> bool {
    depths[entry + 1..].iter().find(|depth| **depth <= level) == Some(&level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_end_at_the_last_child() {
        let drawn = branches(&[0, 1, 2, 2, 1, 2, 3]);
        assert_eq!(drawn, ["", "├─ ", "│  ├─ ", "│  └─ ", "└─ ", "   └─ ", "      └─ "]);
        assert!(branches(&[]).is_empty());
    }
}
