//! What a search minimizes: two sums, of which the second only decides when the first is equal.

use std::ops::{Add, Sub};

/// Two quantities compared in order; added and subtracted part by part, so that shortest paths work as on numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Weight {
    /// What matters.
    pub(super) first: i64,
    /// What decides between equals.
    pub(super) second: i64,
}

impl Weight {
    /// A weight of two parts.
    pub(super) const fn new(first: i64, second: i64) -> Self {
        Self { first, second }
    }

    /// The weight of the same amount taken back.
    pub(super) const fn negated(self) -> Self {
        Self { first: -self.first, second: -self.second }
    }
}

impl Add for Weight {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { first: self.first + other.first, second: self.second + other.second }
    }
}

impl Sub for Weight {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { first: self.first - other.first, second: self.second - other.second }
    }
}
