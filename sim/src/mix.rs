//! Which faults a world suffers, and how often.

use std::time::Duration;

use prunella_core::rng::Rng;

/// The kinds of faults that are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Cut,
    CutOneWay,
    Clog,
    Partition,
    Split,
    Pause,
    Kill,
    KillTorn,
    KillCorrupt,
    LoseDisk,
    FailWrite,
    Crash,
    Jump,
}

/// How often each kind of fault is drawn, relative to the others, and the time between two faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mix {
    weights: [u8; KINDS.len()],
    every: Duration,
}

impl Mix {
    /// No faults.
    pub const NOTHING: Mix = Mix { weights: [0; KINDS.len()], every: Duration::from_secs(1) };

    /// Every kind, the plain ones most often.
    pub const EVERYTHING: Mix =
        Mix { weights: [6, 4, 2, 2, 2, 2, 4, 1, 1, 1, 1, 3, 1], every: Duration::from_millis(2500) };

    /// Draws a mix: each kind is left out of half of all mixes.
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let mut weights = [0; KINDS.len()];
        for weight in &mut weights {
            *weight = if rng.below(2) == 0 { 0 } else { 1 + rng.below(8) as u8 };
        }
        Self { weights, every: Duration::from_millis(800 + rng.below(4000) as u64) }
    }

    /// The time between two faults, on average.
    pub(crate) fn every(&self) -> Duration {
        self.every
    }

    /// Draws the kind of the next fault; `None` if there are none.
    pub(crate) fn pick(&self, rng: &mut Rng) -> Option<Kind> {
        let all = self.weights.iter().map(|weight| usize::from(*weight)).sum();
        let mut left = if all == 0 { return None } else { rng.below(all) };
        KINDS.iter().zip(self.weights).find_map(|(kind, weight)| match left.checked_sub(usize::from(weight)) {
            Some(less) => {
                left = less;
                None
            }
            None => Some(*kind),
        })
    }
}

const KINDS: [Kind; 13] = [
    Kind::Cut,
    Kind::CutOneWay,
    Kind::Clog,
    Kind::Partition,
    Kind::Split,
    Kind::Pause,
    Kind::Kill,
    Kind::KillTorn,
    Kind::KillCorrupt,
    Kind::LoseDisk,
    Kind::FailWrite,
    Kind::Crash,
    Kind::Jump,
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn kinds_are_drawn_as_often_as_their_weights_say() {
        let mut rng = Rng::from_seed(1);
        let mut drawn: BTreeMap<Kind, usize> = BTreeMap::new();
        for _ in 0..30_000 {
            *drawn.entry(Mix::EVERYTHING.pick(&mut rng).expect("there are some")).or_default() += 1;
        }
        assert_eq!(drawn.len(), KINDS.len());
        assert!((5500..6500).contains(&drawn[&Kind::Cut]) && (900..1100).contains(&drawn[&Kind::Jump]), "{drawn:?}");
        assert_eq!(Mix::NOTHING.pick(&mut rng), None);
    }

    #[test]
    fn each_kind_is_missing_from_about_half_of_all_mixes() {
        let mut rng = Rng::from_seed(1);
        let mixes: Vec<Mix> = (0..200).map(|_| Mix::draw(&mut rng)).collect();
        for (place, kind) in KINDS.iter().enumerate() {
            let missing = mixes.iter().filter(|mix| mix.weights[place] == 0).count();
            assert!((70..130).contains(&missing), "{kind:?}: {missing}");
        }
    }
}
