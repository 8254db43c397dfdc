//! Shared values in the gossip role: what others wrote, what this node writes, and when it may.
//!
//! They are governed state: a part of the mesh without a quorum reads them and neither writes nor renews them, so that
//! no part can bring back what the other one has removed.

use std::collections::BTreeSet;
use std::time::Duration;

use super::publish::{is_ahead, written_ms};
use super::{Effect, Gossip};
use crate::membership::quorum::Quorum;
use crate::record::{Body, Kind, Record, RecordId};
use crate::shared::{Changed, Refused, Shared, Write};
use crate::{Instant, PeerId, Rejected};

/// What the role keeps for shared values.
#[derive(Debug, Default)]
pub(super) struct SharedState {
    values: Shared,
    /// Keys that this process wrote; what an older one wrote it only upholds.
    wrote: BTreeSet<String>,
    quorum: Quorum,
    rejected: u64,
}

impl Gossip {
    /// The shared keys and their values.
    pub fn shared(&self) -> &Shared {
        &self.shared.values
    }

    /// How many of other nodes' writes found no room ([`Rejected::OverLimit`]). Their records are held and passed on all
    /// the same, and tried again whenever they are renewed.
    pub fn shared_rejected(&self) -> u64 {
        self.shared.rejected
    }

    pub(super) fn set_quorum(&mut self, quorum: Quorum) {
        self.shared.quorum = quorum;
    }

    /// Writes or removes a key as this node, and answers the ticket.
    pub(super) fn set_shared(
        &mut self,
        key: String,
        value: Option<String>,
        ticket: u64,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let refused = self.write_shared(key, value, now, effects).err();
        effects.push(Effect::SharedAnswered { ticket, refused });
    }

    fn write_shared(
        &mut self,
        key: String,
        value: Option<String>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> Result<(), Refused> {
        let (me, unix_ms) = (self.signer.peer(), self.clock.unix_ms(now));
        let write = match value {
            Some(value) => self.shared.values.put(me, &key, value, unix_ms)?,
            None => self.shared.values.remove(me, &key, unix_ms)?,
        };
        let Quorum { has_quorum, reachable, known } = self.shared.quorum;
        if !has_quorum {
            return Err(Refused::NoQuorum { reachable, known });
        }
        self.shared.wrote.insert(key.clone());
        self.say_shared(&key, write, now, effects);
        Ok(())
    }

    fn say_shared(&mut self, key: &str, write: Write, now: Instant, effects: &mut Vec<Effect>) {
        self.say(self.own_id(Kind::Shared, key), Body::Shared(write), now, effects);
    }

    /// Takes in a record that is held by now, whoever said it.
    pub(super) fn note_shared(&mut self, record: &Record, effects: &mut Vec<Effect>) {
        let Body::Shared(write) = &record.body else { return };
        match self.shared.values.apply(record.id.origin, &record.id.key, write, record.version) {
            Ok(changed) => self.tell_shared(&record.id.key, changed, effects),
            Err(Rejected::OverLimit) => self.shared.rejected += 1,
            Err(other) => unreachable!("BUG: a checked write is only ever over a limit, not {other}"),
        }
    }

    /// Forgets a record that has expired.
    pub(super) fn forget_shared(&mut self, id: &RecordId, effects: &mut Vec<Effect>) {
        if id.kind == Kind::Shared {
            if id.origin == self.signer.peer() {
                self.shared.wrote.remove(&id.key);
            }
            let changed = self.shared.values.forget(&id.origin, &id.key);
            self.tell_shared(&id.key, changed, effects);
        }
    }

    /// Whether an older self of this node wrote, with a later clock, what this process has written differently since.
    /// What this process never wrote it takes over instead: an older self's word holds.
    pub(super) fn contradicts_my_write(&self, record: &Record) -> bool {
        let key = &record.id.key;
        let mine = self.shared.values.said(&self.signer.peer(), key).filter(|_| self.shared.wrote.contains(key));
        mine.is_some_and(|mine| Body::Shared(mine.clone()) != record.body)
    }

    /// Writes again what this process wrote, so that it stands against what an older self did.
    pub(super) fn rewrite_shared(&mut self, record: &Record, now: Instant, effects: &mut Vec<Effect>) {
        let (Body::Shared(older), key) = (&record.body, &record.id.key) else { return };
        let (me, unix_ms) = (self.signer.peer(), self.clock.unix_ms(now));
        if let Some(write) = self.shared.values.rewrite(me, key, older, unix_ms) {
            self.say_shared(key, write, now, effects);
        }
    }

    /// Renews what this node wrote and still matters, long before it expires, and when it was issued ahead of time.
    pub(super) fn renew_shared(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if !self.shared.quorum.has_quorum {
            return;
        }
        let (me, unix_ms) = (self.signer.peer(), self.clock.unix_ms(now));
        for (key, write) in self.aging_shared(&me, unix_ms) {
            self.say_shared(&key, write, now, effects);
        }
    }

    fn aging_shared(&self, me: &PeerId, unix_ms: u64) -> Vec<(String, Write)> {
        let half = |life: Duration| life.as_millis() as u64 / 2;
        let own = self.held.of_origin(me);
        let ages = |r: &Record| r.expires_ms < unix_ms + half(Duration::from_millis(r.expires_ms - r.issued_ms));
        // A write whose own counter is ahead cannot be issued any earlier than that: it comes into force when it is due.
        let early = |r: &Record| is_ahead(r.issued_ms, unix_ms) && !is_ahead(written_ms(&r.id, &r.body), unix_ms);
        own.filter(|r| ages(r) || early(r))
            .filter(|r| r.id.kind == Kind::Shared && self.shared.values.upholds(me, &r.id.key))
            .filter_map(|r| Some((r.id.key.clone(), self.shared.values.said(me, &r.id.key)?.clone())))
            .collect()
    }

    /// Tells every key and its values again.
    pub(super) fn resync_shared(&self, effects: &mut Vec<Effect>) {
        let all = self.shared.values.list();
        effects.extend(all.map(|(key, values)| Effect::SharedChanged { key: key.to_owned(), values: values.to_vec() }));
    }

    fn tell_shared(&self, key: &str, changed: Changed, effects: &mut Vec<Effect>) {
        if changed == Changed::Values {
            let values = self.shared.values.get(key).to_vec();
            effects.push(Effect::SharedChanged { key: key.to_owned(), values });
        }
    }
}

#[cfg(test)]
mod tests;
