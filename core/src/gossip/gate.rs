//! The gate: from what a neighbor sends to what the role may hear.
//!
//! It hears the bytes of one neighbor's messages, in order, and lets through what is within the rate, well-formed and
//! proven; everything else is turned away by name and counted. Invariant: nothing reaches the role without it.
//!
//! It knows nothing of reputation: what a distrusted neighbor says is judged like anybody's, and then ignored by the role.
//! Otherwise its faults would not be seen any more, and be forgiven while it goes on committing them. What the judging
//! costs is bounded by the rate and by [`BAD_SIGNATURES_PER_PUSH_MAX`](crate::limits::BAD_SIGNATURES_PER_PUSH_MAX).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ledger;
use crate::limits::{BROADCAST_IDS_MAX, PUSH_RECORDS_MAX, REPLAYS_REMEMBERED_MAX};
use crate::reconcile;
use crate::record::{self, Known, ProvenRecord, SignedRecord, VerifiedCache};
use crate::wire::{Control, codec};
use crate::{Instant, ItemId, Label, Rejected, TokenBucket, Verified};

/// A neighbor's message, checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Heard {
    /// Records whose origins signed them, along the tree.
    Push(Vec<Verified<ProvenRecord>>),
    /// Records whose origins signed them, because they were missing here.
    Give(Vec<Verified<ProvenRecord>>),
    /// Items that the neighbor holds.
    Announced(Vec<ItemId>),
    /// Items that the neighbor wants, and pushes from now on.
    Grafted(Vec<ItemId>),
    /// The neighbor wants no more pushes.
    Pruned,
    /// A part of finding out what differs.
    Reconcile(reconcile::Message),
}

impl Heard {
    /// Checks what its type does not say: records in it are [`Verified`], everything else only has to be possible.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`] if it holds more than a message may, and what [`reconcile::Message::check`] says.
    pub(crate) fn check(&self) -> Result<(), Rejected> {
        let at_most = |most, found: usize| if found <= most { Ok(()) } else { Err(Rejected::OverLimit) };
        match self {
            Heard::Push(records) | Heard::Give(records) => at_most(PUSH_RECORDS_MAX, records.len()),
            Heard::Announced(items) | Heard::Grafted(items) => at_most(BROADCAST_IDS_MAX, items.len()),
            Heard::Pruned => Ok(()),
            Heard::Reconcile(message) => message.check(),
        }
    }
}

/// What neighbors say to each other when one of them wants to part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Parting {
    /// It asks whether the two may part.
    Asked,
    /// It was asked, and needs the link.
    Declined,
}

/// What a gate lets through.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Said {
    /// The neighbor's greeting: the first message on every link, and only that.
    Hello {
        /// Drawn at random when its process started.
        incarnation: u64,
        /// Its label for this link.
        label: Label,
    },
    /// About the link itself: not for the role.
    Parting(Parting),
    /// About a ledger, checked: for the keeper of this node's.
    Ledger(ledger::Message),
    /// A message for the role.
    Message {
        /// What it says, without what was bad in it.
        message: Heard,
        /// Why parts of it were turned away; they are counted already.
        bad: Vec<Rejected>,
    },
}

/// When something is heard, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the node's own time.
    pub now: Instant,
    /// By the wall clock, in milliseconds since the Unix epoch.
    pub unix_ms: u64,
}

/// What stands between one neighbor's link and the role.
#[derive(Debug)]
pub struct Gate {
    bucket: TokenBucket,
    greeted: bool,
    recent: Recent,
    counts: [u64; Rejected::ALL.len()],
}

impl Gate {
    /// The gate of a link on which nothing was said yet, for so many messages per second.
    pub fn new(messages_per_second: u32, now: Instant) -> Self {
        Self {
            bucket: TokenBucket::full(messages_per_second, now),
            greeted: false,
            recent: Recent::new(now),
            counts: [0; Rejected::ALL.len()],
        }
    }

    /// The gate of a link whose two ends have greeted each other by other means.
    pub fn greeted(messages_per_second: u32, now: Instant) -> Self {
        Self { greeted: true, ..Self::new(messages_per_second, now) }
    }

    /// Takes one message as it came, with its version byte.
    ///
    /// # Errors
    /// Why the whole message was turned away: [`Rejected::Flood`] says nothing about the message itself,
    /// [`Rejected::UnknownSender`] is anything before the greeting. It is counted already.
    pub fn read(&mut self, bytes: &[u8], at: Moment, known: &mut impl Known) -> Result<Said, Rejected> {
        let said = self.admit(at.now).and_then(|()| codec::decode_message(bytes)).and_then(|c| self.hear(c, at, known));
        if let Err(reason) = said {
            self.refuse(reason);
        }
        said
    }

    /// Counts what was turned away elsewhere: by the framing below, or by the role when a sketch turned out a lie.
    pub fn refuse(&mut self, reason: Rejected) {
        self.counts[reason as usize] += 1;
    }

    /// How often something of this neighbor's was turned away for this reason.
    pub fn count(&self, reason: Rejected) -> u64 {
        self.counts[reason as usize]
    }

    /// Before a message is looked at.
    fn admit(&mut self, now: Instant) -> Result<(), Rejected> {
        if self.bucket.take(now) { Ok(()) } else { Err(Rejected::Flood) }
    }

    fn hear(&mut self, control: Control, at: Moment, known: &mut impl Known) -> Result<Said, Rejected> {
        match control {
            Control::Hello { incarnation, label } if !self.greeted => {
                self.greeted = true;
                Ok(Said::Hello { incarnation, label })
            }
            _ if !self.greeted => Err(Rejected::UnknownSender),
            Control::Part => Ok(Said::Parting(Parting::Asked)),
            Control::Stay => Ok(Said::Parting(Parting::Declined)),
            Control::Ledger(message) => message.check().map(|()| Said::Ledger(message)),
            control => {
                let (mut message, mut bad) = check(control, at.unix_ms, known)?;
                if let Heard::Push(records) | Heard::Give(records) = &mut message {
                    let sent = records.len();
                    records.retain(|record| self.recent.is_news(record.item, at.now));
                    bad.extend(std::iter::repeat_n(Rejected::Replayed, sent - records.len()));
                }
                bad.iter().for_each(|reason| self.refuse(*reason));
                Ok(Said::Message { message, bad })
            }
        }
    }
}

/// Checks a message outside of any link, at the wall-clock time `unix_ms`. Bad records within a push are left out and
/// named; the good ones still count.
///
/// # Errors
/// [`Rejected::OverLimit`] if it holds more than a message may, what [`reconcile::Message::check`] says, and
/// [`Rejected::Malformed`] for a greeting.
pub fn verify(control: Control, unix_ms: u64) -> Result<(Heard, Vec<Rejected>), Rejected> {
    check(control, unix_ms, &mut VerifiedCache::with_room_for(0))
}

/// One line per message: what it may hold, and what must be true of it.
fn check(control: Control, unix_ms: u64, known: &mut impl Known) -> Result<(Heard, Vec<Rejected>), Rejected> {
    let whole = |heard| Ok((heard, Vec::new()));
    match control {
        Control::Push(records) => check_records(records, unix_ms, known).map(|(good, bad)| (Heard::Push(good), bad)),
        Control::Give(records) => check_records(records, unix_ms, known).map(|(good, bad)| (Heard::Give(good), bad)),
        Control::Announce(items) => whole(Heard::Announced(at_most(BROADCAST_IDS_MAX, items)?)),
        Control::Graft(items) => whole(Heard::Grafted(at_most(BROADCAST_IDS_MAX, items)?)),
        Control::Prune => whole(Heard::Pruned),
        Control::Reconcile(message) => {
            // A list out of order, or of items that cannot be where they are said to be, is a lie and no accident.
            let lie = |reason| if reason == Rejected::Malformed { Rejected::Inconsistent } else { reason };
            message.check().map_err(lie)?;
            whole(Heard::Reconcile(message))
        }
        // One greeting opens a link; another one has no meaning. And what is about the link, or a ledger, is not for the role.
        Control::Hello { .. } | Control::Part | Control::Stay | Control::Ledger(_) => Err(Rejected::Malformed),
    }
}

fn check_records(
    records: Vec<SignedRecord>,
    unix_ms: u64,
    known: &mut impl Known,
) -> Result<(Vec<Verified<ProvenRecord>>, Vec<Rejected>), Rejected> {
    Ok(record::verify_all(at_most(PUSH_RECORDS_MAX, records)?, unix_ms, known))
}

fn at_most<T>(most: usize, items: Vec<T>) -> Result<Vec<T>, Rejected> {
    if items.len() <= most { Ok(items) } else { Err(Rejected::OverLimit) }
}

/// What one neighbor said within the last one to three [`REPLAY_WINDOW`]s, in two generations of bounded size.
#[derive(Debug)]
struct Recent {
    young: BTreeMap<ItemId, u8>,
    old: BTreeMap<ItemId, u8>,
    since: Instant,
}

impl Recent {
    fn new(now: Instant) -> Self {
        Self { young: BTreeMap::new(), old: BTreeMap::new(), since: now }
    }

    /// Whether a neighbor in good faith can say this now: gossip repeats itself, but not over and over.
    fn is_news(&mut self, item: ItemId, now: Instant) -> bool {
        if now.since(self.since) >= REPLAY_WINDOW || self.young.len() >= REPLAYS_REMEMBERED_MAX / 2 {
            if now.since(self.since) >= REPLAY_WINDOW * 2 {
                self.young.clear();
            }
            self.old = std::mem::take(&mut self.young);
            self.since = now;
        }
        let copies = self.young.entry(item).or_insert_with(|| self.old.get(&item).copied().unwrap_or(0));
        *copies = copies.saturating_add(1);
        *copies <= COPIES_MAX
    }
}

/// How soon the same record from the same neighbor is a replay. Short: after a role has been restarted, it must be able
/// to hear everything again.
const REPLAY_WINDOW: Duration = Duration::from_secs(1);
/// How often the same record may come from the same neighbor within the window: pushed, and as the answer to a pull.
const COPIES_MAX: u8 = 2;

#[cfg(test)]
mod tests;
