//! What is written into this node's ledger, and when its head is told.

use std::time::Duration;

use super::mending::damage_event;
use super::{Effect, Entry, Event, Instant, Keeper, Waiting};
use crate::ledger::{EventKind, Read};
use crate::limits::{LEDGER_BATCH_MAX, LEDGER_ENTRIES_MAX, LEDGER_PENDING_MAX};

impl Keeper {
    pub(super) fn load(&mut self, entries: &[Option<Entry>], now: Instant, effects: &mut Vec<Effect>) {
        if std::mem::replace(&mut self.loaded, true) {
            return;
        }
        let Read { damaged, broken, unknown } = self.ledger.read(entries);
        self.is_known = unknown.is_empty();
        self.telling.adopt(self.ledger.size(), now);
        effects.push(Effect::ResyncWanted);
        if !damaged.is_empty() || broken.is_some() {
            let numbers: Vec<u64> = damaged.iter().copied().collect();
            let event = damage_event(&numbers, broken);
            effects.push(Effect::Damaged { entries: numbers, broken });
            // As long as it is damaged one entry says so, not one for each start.
            let told = event.told(&self.ledger.owner());
            let is_told = |entry: &Entry| (entry.kind, &entry.subject) == (told.kind, &told.subject);
            let since = entries.iter().rev().flatten().take_while(|entry| entry.kind != EventKind::Repaired);
            if !since.into_iter().any(is_told) {
                self.append(event, None, now, effects);
            }
        }
        self.mending.begin(damaged, unknown, broken);
        if let Some(heard) = self.own_heard.take() {
            self.on_own_head(heard, now, effects);
        }
        self.append_early(now, effects);
    }

    /// Writes down what waited for it to be known what it follows.
    pub(super) fn append_early(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.is_ready() {
            for (event, ticket) in std::mem::take(&mut self.early) {
                self.append(event, ticket, now, effects);
            }
        }
    }

    pub(super) fn append(&mut self, event: Event, ticket: Option<u64>, now: Instant, effects: &mut Vec<Effect>) {
        let full = self.ledger.size() + self.pending.len() as u64 >= LEDGER_ENTRIES_MAX;
        if full || self.waiting() >= LEDGER_PENDING_MAX {
            return effects.push(Effect::Refused { event, ticket });
        }
        if !self.is_ready() {
            return self.early.push((event, ticket));
        }
        let (unix_ms, at) = self.clock;
        let unix_ms = unix_ms + now.since(at).as_millis() as u64;
        let entry = self.ledger.next_after(self.pending.last().map(|last| &last.entry), &event, unix_ms);
        self.pending.push(Waiting { entry, ticket });
        self.telling.note(&event, self.ledger.size() == 0, now);
        self.write(effects);
    }

    /// Writes what waits, unless something is being written, or is to be tried again later.
    pub(super) fn write(&mut self, effects: &mut Vec<Effect>) {
        if self.writing == 0 && self.retry_at.is_none() && !self.pending.is_empty() {
            self.writing = self.pending.len().min(LEDGER_BATCH_MAX);
            let batch = &self.pending[..self.writing];
            let entries = batch.iter().map(|waiting| waiting.entry.clone()).collect();
            let tickets = batch.iter().filter_map(|waiting| waiting.ticket).collect();
            effects.push(Effect::Write { entries, tickets });
        }
    }

    pub(super) fn on_stored(&mut self, size: u64, effects: &mut Vec<Effect>) {
        let stored = self.writing;
        if size < self.ledger.size() + stored as u64 {
            // It is about what an earlier life of this role had written.
            return;
        }
        for Waiting { entry, .. } in self.pending.drain(..stored) {
            self.ledger.push(&entry).expect("BUG: what was made for its place fits it");
        }
        self.writing = 0;
        self.write(effects);
    }

    /// Publishes the head, if it is time.
    pub(super) fn publish(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.publish_at().is_none_or(|at| at > now) {
            return;
        }
        let Some(head) = self.sign_head() else { return };
        self.telling.tell(head.head.size, self.pending.is_empty(), now);
        self.seen.begin(head.clone());
        effects.push(Effect::Publish(head));
    }

    pub(super) fn publish_at(&self) -> Option<Instant> {
        self.telling.deadline(self.ledger.size()).filter(|_| self.is_known)
    }
}

/// When what could not be written is tried again.
pub(super) const WRITE_AGAIN_AFTER: Duration = Duration::from_secs(1);
