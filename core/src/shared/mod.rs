//! State that several nodes write: a small map of keys to values, the same on every node.
//!
//! A multi-value register per key (Shapiro et al., A comprehensive study of Convergent and Commutative Replicated Data
//! Types, 2011). Every node publishes its own newest [`Write`] under a key as a record of its own; the value is a
//! function of all of them, whatever their order of arrival. A write supersedes what its writer had seen; writes that did
//! not see each other stand side by side until somebody writes again. A removal is a write without a value. Invariant:
//! what was superseded is no value again, not even when what superseded it has expired.
//!
//! Clocks are those of the crate `crdts`. Its register (`MVReg`) is not used, only tested against: it keeps no origins,
//! so an expired write cannot be taken out of it; it compares whole clocks, so none may ever be cut short; and of two
//! values under equal clocks the last to arrive stays, which a liar can use to keep nodes from ever agreeing.

mod entry;
mod refused;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::{RECORD_KEY_BYTES_MAX, SHARED_KEYS_MAX, SHARED_KEYS_PER_ORIGIN_MAX, SHARED_VALUE_BYTES_MAX};
use crate::{PeerId, Rejected};
use entry::Entry;
pub use refused::Refused;
pub use write::{Seen, Write};

/// One value under a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Value {
    /// The value.
    pub value: String,
    /// Who wrote it and answers for it, ascending.
    pub writers: Vec<PeerId>,
    /// When it was last written, in milliseconds since the Unix epoch by the writer's clock.
    pub written_ms: u64,
}

/// Whether something changed for those who read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// The key's values are others now.
    Values,
    /// They are as they were.
    Nothing,
}

/// All shared keys, as far as this node knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shared {
    entries: BTreeMap<String, Entry>,
    /// How many keys each origin has written.
    per_origin: BTreeMap<PeerId, usize>,
}

impl Shared {
    /// Takes in what `origin` wrote under `key`, in its record's version. Of each origin the newest version counts, so
    /// order and repetition do not matter. The caller has checked the record.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] if there are too many keys, too many of this origin, or too many newer writers under the
    /// key; nothing has changed then.
    pub fn apply(&mut self, origin: PeerId, key: &str, write: &Write, version: u64) -> Result<Changed, Rejected> {
        let known = self.entries.get(key).is_some_and(|entry| entry.said(&origin).is_some());
        if !known && self.room(&origin, key).is_err() {
            return Err(Rejected::OverLimit);
        }
        let taken = self.entries.entry(key.to_owned()).or_default().apply(origin, version, write)?;
        if !known {
            *self.per_origin.entry(origin).or_default() += 1;
        }
        if let Some(evicted) = taken.evicted {
            self.uncount(&evicted);
        }
        Ok(changed(taken.changed))
    }

    /// Forgets what `origin` wrote under `key`: its record has expired. What it superseded stays superseded.
    pub fn forget(&mut self, origin: &PeerId, key: &str) -> Changed {
        let Some(entry) = self.entries.get_mut(key).filter(|entry| entry.said(origin).is_some()) else {
            return Changed::Nothing;
        };
        let values = entry.forget(origin);
        if entry.is_empty() {
            self.entries.remove(key);
        }
        self.uncount(origin);
        changed(values)
    }

    /// What `me` has to publish so that `key` has this value: it supersedes every write known here. Nothing changes
    /// until that comes back through [`Shared::apply`]. Writing the value that is there again keeps it when its writer
    /// is gone for good.
    ///
    /// # Errors
    /// [`Refused`], for everything but the quorum.
    pub fn put(&self, me: PeerId, key: &str, value: String, unix_ms: u64) -> Result<Write, Refused> {
        if !is_key(key) {
            return Err(Refused::BadKey);
        }
        if value.len() > SHARED_VALUE_BYTES_MAX {
            return Err(Refused::LongValue { bytes: value.len() });
        }
        self.next(me, key, Some(value), unix_ms)
    }

    /// What `me` has to publish so that `key` has no value.
    ///
    /// # Errors
    /// As [`Shared::put`], and [`Refused::NoSuchKey`] if it has none.
    pub fn remove(&self, me: PeerId, key: &str, unix_ms: u64) -> Result<Write, Refused> {
        if self.get(key).is_empty() {
            return Err(if is_key(key) { Refused::NoSuchKey } else { Refused::BadKey });
        }
        self.next(me, key, None, unix_ms)
    }

    /// What `me` has to publish so that what it wrote under `key` stands against `older`, which it wrote there in a
    /// former life that it does not remember; `None` if it wrote nothing since.
    pub fn rewrite(&self, me: PeerId, key: &str, older: &Write, unix_ms: u64) -> Option<Write> {
        let entry = self.entries.get(key)?;
        let value = entry.said(&me)?.value.clone();
        Some(entry.next(me, value, unix_ms, Some(older)))
    }

    /// The values of `key`, the newest first; empty if it has none. More than one were written without knowing of each
    /// other. A removal that was concurrent with a write loses: the value stays.
    pub fn get(&self, key: &str) -> &[Value] {
        self.entries.get(key).map_or(&[], Entry::values)
    }

    /// Whether `key` has several values.
    pub fn is_conflict(&self, key: &str) -> bool {
        self.get(key).len() > 1
    }

    /// Every key that has a value, ascending, with its values.
    pub fn list(&self) -> impl Iterator<Item = (&str, &[Value])> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry.values())).filter(|(_, values)| !values.is_empty())
    }

    /// What `origin` wrote under `key`, in the newest version known.
    pub fn said(&self, origin: &PeerId, key: &str) -> Option<&Write> {
        self.entries.get(key).and_then(|entry| entry.said(origin))
    }

    /// Whether `me` must renew what it wrote under `key`: it is a value, or the removal of something that others still
    /// hold. What was superseded is never renewed.
    pub fn upholds(&self, me: &PeerId, key: &str) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.upholds(me))
    }

    fn next(&self, me: PeerId, key: &str, value: Option<String>, unix_ms: u64) -> Result<Write, Refused> {
        if self.said(&me, key).is_none() {
            self.room(&me, key)?;
        }
        let fresh = Entry::default();
        Ok(self.entries.get(key).unwrap_or(&fresh).next(me, value, unix_ms, None))
    }

    /// Whether `origin` may write under a key that it has not written yet.
    fn room(&self, origin: &PeerId, key: &str) -> Result<(), Refused> {
        if self.per_origin.get(origin).is_some_and(|keys| *keys >= SHARED_KEYS_PER_ORIGIN_MAX) {
            return Err(Refused::TooManyOwnKeys);
        }
        let full = self.entries.len() >= SHARED_KEYS_MAX && !self.entries.contains_key(key);
        if full { Err(Refused::TooManyKeys) } else { Ok(()) }
    }

    fn uncount(&mut self, origin: &PeerId) {
        if let Some(keys) = self.per_origin.get_mut(origin) {
            *keys -= 1;
            if *keys == 0 {
                self.per_origin.remove(origin);
            }
        }
    }
}

/// Whether `key` can be a shared key: 1 to [`RECORD_KEY_BYTES_MAX`] letters, digits, or any of `. _ - / :`.
pub fn is_key(key: &str) -> bool {
    (1..=RECORD_KEY_BYTES_MAX).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/:".contains(&b))
}

fn changed(values: bool) -> Changed {
    if values { Changed::Values } else { Changed::Nothing }
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod tests;
