//! Everything written under one key, and what follows from it.

use std::collections::BTreeMap;

use crdts::{CmRDT, CvRDT, Dot, VClock};

use super::{Value, Write};
use crate::limits::SHARED_WRITERS_MAX;
use crate::{PeerId, Rejected};

/// The newest write of every origin under one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Entry {
    writes: BTreeMap<PeerId, Said>,
    /// What was superseded by a write that is gone by now, as long as the superseded one is still here.
    past: VClock<PeerId>,
    values: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Said {
    version: u64,
    write: Write,
}

/// What taking in a write did.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Taken {
    /// Whether the values are others now.
    pub(super) changed: bool,
    /// Whose write had to make room.
    pub(super) evicted: Option<PeerId>,
}

impl Entry {
    pub(super) fn values(&self) -> &[Value] {
        &self.values
    }

    pub(super) fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    pub(super) fn said(&self, origin: &PeerId) -> Option<&Write> {
        self.writes.get(origin).map(|said| &said.write)
    }

    /// Takes in what `origin` wrote, unless the same or something newer by it is here.
    pub(super) fn apply(&mut self, origin: PeerId, version: u64, write: &Write) -> Result<Taken, Rejected> {
        let said = Said { version, write: write.clone() };
        if self.writes.get(&origin).is_some_and(|held| *held >= said) {
            return Ok(Taken::default());
        }
        self.writes.insert(origin, said);
        let evicted = (self.writes.len() > SHARED_WRITERS_MAX).then(|| self.least()).flatten();
        if evicted == Some(origin) {
            let missed = !self.is_superseded(&origin);
            self.writes.remove(&origin);
            return if missed { Err(Rejected::OverLimit) } else { Ok(Taken { changed: false, evicted }) };
        }
        let forgotten = evicted.is_some_and(|least| self.forget(&least));
        Ok(Taken { changed: self.resolve() || forgotten, evicted })
    }

    /// Forgets what `origin` wrote. What it superseded stays superseded. True if the values are others now.
    pub(super) fn forget(&mut self, origin: &PeerId) -> bool {
        let Some(gone) = self.writes.remove(origin) else { return false };
        for (other, said) in &self.writes {
            let counter = said.write.counter_of(other);
            if gone.write.has_seen(other, counter) {
                self.past.apply(Dot::new(*other, counter));
            }
        }
        self.past.dots.remove(origin);
        self.resolve()
    }

    /// What `me` would write now: a clock that covers everything seen here, and what `also` had seen.
    pub(super) fn next(&self, me: PeerId, value: Option<String>, unix_ms: u64, also: Option<&Write>) -> Write {
        let (mut clock, mut floor) = (VClock::new(), 0);
        for write in self.writes.values().map(|said| &said.write).chain(also) {
            clock.merge(write.vclock());
            floor = write.floor.max(floor);
        }
        let newest = clock.iter().map(|dot| dot.counter).max().unwrap_or(0).max(floor);
        clock.apply(Dot::new(me, unix_ms.max(newest.saturating_add(1))));
        Write::new(clock, floor, value)
    }

    /// Whether what `me` wrote still matters to anybody, so that it must not expire.
    pub(super) fn upholds(&self, me: &PeerId) -> bool {
        let Some(own) = self.said(me).filter(|_| !self.is_superseded(me)) else { return false };
        let removes =
            |(other, said): (&PeerId, &Said)| other != me && own.has_seen(other, said.write.counter_of(other));
        own.value.is_some() || self.writes.iter().any(removes)
    }

    /// Whether somebody else had seen what `origin` wrote.
    ///
    /// A clock's own entry is its greatest ([`Write::check`]), so nobody has seen what is newer than itself: writes
    /// cannot supersede each other in a circle, and the newest one always survives, whatever clocks claim.
    fn is_superseded(&self, origin: &PeerId) -> bool {
        let Some(said) = self.writes.get(origin) else { return false };
        let counter = said.write.counter_of(origin);
        let seen = |(other, by): (&PeerId, &Said)| other != origin && by.write.has_seen(origin, counter);
        self.past.get(origin) >= counter || self.writes.iter().any(seen)
    }

    /// Whose write is missed least: the oldest one of those that were superseded, or else the oldest.
    fn least(&self) -> Option<PeerId> {
        let worth =
            |(origin, said): (&PeerId, &Said)| (!self.is_superseded(origin), said.write.counter_of(origin), *origin);
        self.writes.iter().map(worth).min().map(|(.., origin)| origin)
    }

    /// Works out the values anew; true if they are others now.
    fn resolve(&mut self) -> bool {
        let mut found: BTreeMap<&str, Value> = BTreeMap::new();
        for (origin, said) in self.writes.iter().filter(|(origin, _)| !self.is_superseded(origin)) {
            let Some(text) = &said.write.value else { continue };
            let value =
                found.entry(text).or_insert_with(|| Value { value: text.clone(), writers: vec![], written_ms: 0 });
            value.writers.push(*origin);
            value.written_ms = value.written_ms.max(said.write.counter_of(origin));
        }
        let mut values: Vec<Value> = found.into_values().collect();
        // Stable: equally old ones stay ordered by their text.
        values.sort_by_key(|value| std::cmp::Reverse(value.written_ms));
        let changed = values != self.values;
        self.values = values;
        changed
    }
}
