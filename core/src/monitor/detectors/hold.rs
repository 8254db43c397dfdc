//! Hysteresis by counting: so many in a row one way, so many the other.
//!
//! A single sample is noise. The two counts differ because a wrong alarm and a slow all-clear do not cost the same.

/// A condition that must hold for a while before it counts, and must be absent for a while before it is over.
#[derive(Clone, Copy, Debug)]
pub struct Hold {
    on: u32,
    off: u32,
    raised: bool,
    streak: u32,
}

impl Hold {
    /// Counts after `on` samples in a row, and is over after `off` without.
    pub const fn new(on: u32, off: u32) -> Self {
        Self { on, off, raised: false, streak: 0 }
    }

    /// Takes one sample; tells the change, if it is one.
    pub fn observe(&mut self, wrong: bool) -> Option<bool> {
        if wrong == self.raised {
            self.streak = 0;
            return None;
        }
        self.streak += 1;
        if self.streak < if wrong { self.on } else { self.off } {
            return None;
        }
        self.streak = 0;
        self.raised = wrong;
        Some(wrong)
    }

    /// Whether it counts now.
    pub const fn is_raised(&self) -> bool {
        self.raised
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn changes_alternate_and_each_was_preceded_by_enough_of_the_same(
            samples in proptest::collection::vec(any::<bool>(), 0..200), on in 1u32..6, off in 1u32..6,
        ) {
            let (mut hold, mut last) = (Hold::new(on, off), false);
            for (at, sample) in samples.iter().enumerate() {
                if let Some(raised) = hold.observe(*sample) {
                    prop_assert_ne!(raised, last);
                    let needed = if raised { on } else { off } as usize;
                    prop_assert!(samples[at + 1 - needed..=at].iter().all(|s| *s == raised));
                    last = raised;
                }
                prop_assert_eq!(hold.is_raised(), last);
            }
        }
    }
}
