//! Zero trust as a type.

use std::ops::Deref;

use serde::Serialize;

/// Something from another node that was checked. Only this crate makes one, and only after the check; so a role that
/// takes `Verified<T>` cannot be handed a mere claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verified<T>(T);

impl<T> Verified<T> {
    /// Marks `value` as checked. Callers must have checked it.
    pub(crate) fn vouch(value: T) -> Self {
        Self(value)
    }

    /// The checked value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> Deref for Verified<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
