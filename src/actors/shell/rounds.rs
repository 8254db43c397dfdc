//! Rounds of gossip, as distributed traces tell them: what two neighbors found out and gave each other until both were
//! quiet.
//!
//! They are seen from outside, in what is sent and heard; the machines know nothing of it. Without traces nothing is kept.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prunella_core::gossip::Heard;
use prunella_core::limits::NEIGHBORS_MAX;
use prunella_core::reconcile::Message;
use prunella_core::wire::{Control, codec};
use prunella_core::{Instant, PeerId, TraceContext};

use super::Shell;
use crate::spans::Told;

/// The rounds that are under way, by neighbor.
#[derive(Debug, Default)]
pub struct Rounds {
    under_way: Mutex<BTreeMap<PeerId, Round>>,
}

/// A round with a neighbor.
#[derive(Clone, Debug)]
struct Round {
    /// `None`: it is not among those that are told.
    context: Option<TraceContext>,
    wall: SystemTime,
    began: Instant,
    latest: Instant,
    full: bool,
    messages: u64,
    sent_bytes: u64,
    records: [u64; 2],
}

/// What a message is to a round.
struct Part {
    /// Whether it begins one.
    begins: bool,
    /// Whether it belongs to a full sync.
    full: bool,
    /// Records that it gives.
    records: u64,
}

impl Shell {
    /// A message was sent to a neighbor.
    pub(super) fn note_sent(&self, to: PeerId, control: &Control) {
        let part = match control {
            Control::Reconcile(message) => Part::of(message),
            Control::Give(records) => Part { begins: false, full: false, records: records.len() as u64 },
            _ => return,
        };
        self.note_round(to, &part, |round| {
            round.sent_bytes += codec::encode_message(control).len() as u64;
            round.records[0] += part.records;
        });
    }

    /// A message was heard from a neighbor.
    pub(super) fn note_heard(&self, from: PeerId, message: &Heard) {
        let part = match message {
            Heard::Reconcile(message) => Part::of(message),
            Heard::Give(records) => Part { begins: false, full: false, records: records.len() as u64 },
            _ => return,
        };
        self.note_round(from, &part, |round| round.records[1] += part.records);
    }

    fn note_round(&self, peer: PeerId, part: &Part, change: impl FnOnce(&mut Round)) {
        if self.tracer.endpoint().is_none() {
            return;
        }
        let now = self.clock.now();
        let mut rounds = self.rounds.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if part.begins && rounds.len() < NEIGHBORS_MAX {
            rounds.entry(peer).or_insert_with(|| Round {
                context: self.tracer.choose(),
                wall: UNIX_EPOCH + self.host.unix_time(),
                began: now,
                latest: now,
                full: false,
                messages: 0,
                sent_bytes: 0,
                records: [0; 2],
            });
        }
        let Some(round) = rounds.get_mut(&peer) else { return };
        round.latest = now;
        if round.context.is_some() {
            round.full |= part.full;
            round.messages += 1;
            change(round);
        }
    }

    /// Tells the rounds after which both have been quiet.
    pub(super) fn tell_rounds(&self) {
        let now = self.clock.now();
        let mut rounds = self.rounds.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        rounds.retain(|peer, round| {
            let goes_on = now.since(round.latest) < QUIET_AFTER;
            if let Some(context) = round.context.filter(|_| !goes_on) {
                self.tracer.tell(round.told(*peer, context));
            }
            goes_on
        });
    }
}

impl Part {
    fn of(message: &Message) -> Self {
        let (begins, full) = match message {
            Message::Cells { .. } => (true, false),
            Message::Groups { .. } => (true, true),
            // What both say every now and then: most find that nothing differs.
            Message::Summary { .. } => (false, false),
            Message::Buckets { .. } | Message::Items { .. } | Message::WantItems(_) => (false, true),
            Message::MoreCells { .. } | Message::Want(_) | Message::Busy => (false, false),
        };
        Self { begins, full, records: 0 }
    }
}

impl Round {
    fn told(&self, peer: PeerId, context: TraceContext) -> Told {
        let [sent, heard] = self.records;
        Told::root(context, "gossip round", self.wall, self.wall + self.latest.since(self.began))
            .with("network.protocol.name", "prunella")
            .with("network.peer.address", peer.to_string())
            .with("prunella.gossip.way", if self.full { "full-sync" } else { "sketch" })
            .with_number("prunella.gossip.messages", self.messages)
            .with_number("prunella.gossip.sent_bytes", self.sent_bytes)
            .with_number("prunella.gossip.records_sent", sent)
            .with_number("prunella.gossip.records_heard", heard)
    }
}

/// How long two neighbors say nothing of differences before their round is over.
const QUIET_AFTER: Duration = Duration::from_millis(500);
