//! What the observers of one node make of it: thresholds and the count of voices.
//!
//! After Rapid's multi-process cut detection (Suresh et al., "Stable and Consistent Membership at Scale with Rapid",
//! USENIX ATC 2018, section 4.2): K observers, a low watermark L and a high watermark H. Rapid chooses K = 10, H = 9,
//! L = 3 once, for rings that it lays itself. Here a node's neighbors are its observers, so K differs from node to
//! node, and H and L follow from it.

/// How many accusers it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// From this many accusers on, a node is suspect: about a third of the observers, at least one (L).
    pub low: usize,
    /// From this many on, it may be removed: more than two thirds, and at least two if there are two (H).
    pub high: usize,
}

impl Thresholds {
    /// For a node with `observers` observers, `voting` of which have a voice.
    ///
    /// Both watermarks are shares of those with a voice, or a node whose neighbors crashed together with it could never
    /// be removed: Rapid lets suspects accuse each other implicitly for that reason; here they abstain, which takes
    /// fewer assumptions. The least number of two counts all observers: the last neighbor standing convicts nobody.
    pub fn of(observers: usize, voting: usize) -> Self {
        let low = ((voting + 1) / 3).max(1);
        let high = (voting * 2 / 3 + 1).max(observers.min(2));
        Self { low, high }
    }
}

/// The voices about one node, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Mutual neighbors: each one's last record lists the other.
    pub observers: usize,
    /// Observers with a voice: neither down nor themselves accused by so many that they are in doubt.
    pub voting: usize,
    /// Of those, the ones that accuse the node and are not refuted by it.
    pub accusers: usize,
    /// Of those, the ones that report a working link to it.
    pub witnesses: usize,
}

/// How serious the accusations are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Fewer than L accuse.
    Sound,
    /// At least L, fewer than H: wait, more may follow or these may be wrong.
    Between,
    /// At least H.
    Convictable,
}

impl Tally {
    /// The watermarks for these observers.
    pub fn thresholds(&self) -> Thresholds {
        Thresholds::of(self.observers, self.voting)
    }

    /// How serious it is.
    pub fn level(&self) -> Level {
        let Thresholds { low, high } = self.thresholds();
        match self.accusers {
            accusers if accusers >= high => Level::Convictable,
            accusers if accusers >= low => Level::Between,
            _ => Level::Sound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watermarks_are_a_third_and_more_than_two_thirds() {
        let of = |k| {
            let Thresholds { low, high } = Thresholds::of(k, k);
            (low, high)
        };
        assert_eq!([1, 2, 3, 4, 5, 6, 8, 10].map(of), [(1, 1), (1, 2), (1, 3), (1, 3), (2, 4), (2, 5), (3, 6), (3, 7)]);
        for k in 2..=64 {
            let (low, high) = of(k);
            assert!(low < high && high <= k && high * 3 > k * 2, "{k}");
        }
    }

    #[test]
    fn one_of_several_observers_convicts_nobody_even_if_the_others_have_no_voice() {
        let tally = Tally { observers: 8, voting: 1, accusers: 1, witnesses: 0 };
        assert_eq!(tally.level(), Level::Between);
        let tally = Tally { observers: 1, voting: 1, accusers: 1, witnesses: 0 };
        assert_eq!(tally.level(), Level::Convictable);
    }

    #[test]
    fn without_voices_nobody_is_suspect() {
        assert_eq!(Tally { observers: 5, ..Tally::default() }.level(), Level::Sound);
        assert_eq!(Tally::default().level(), Level::Sound);
    }
}
