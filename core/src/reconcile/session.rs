//! What a node remembers of its reconciliation with one neighbor.

use std::collections::BTreeMap;

use super::Message;
use super::sketch::{Cell, Symbol};
use crate::limits::{
    RECONCILE_GREETINGS_MAX, RECONCILE_PATIENCE, RECONCILE_TIMEOUT, SKETCH_CELLS_PER_SECOND, SYNC_LIFE_MAX, SYNC_PAUSE,
    SYNC_PAUSE_SLACK, SYNC_RETRY,
};
use crate::{Instant, ItemId};

/// The state shared with one neighbor: bounded, whatever it says.
#[derive(Clone, Debug, Default)]
pub(super) struct Session {
    /// The root that the neighbor told last.
    pub(super) theirs: Option<[u8; 32]>,
    /// Our root that it was told last.
    pub(super) ours: Option<[u8; 32]>,
    /// Whether a greeting of ours may cross with one of theirs.
    pub(super) greeted: bool,
    /// When we greeted it, as far as it may still answer with cells.
    pub(super) unanswered: Vec<Instant>,
    /// Cells of theirs, while more are on their way.
    pub(super) fetch: Option<Fetch>,
    /// How many items it may ask for by their symbols: as many as it was told cells.
    pub(super) cells_told: usize,
    /// What differed, and was given or asked for, at the end of the last round: when that was.
    pub(super) under_way: BTreeMap<Symbol, Instant>,
    /// Rounds since the roots were last equal.
    pub(super) rounds: u32,
    /// How many cells it may still be told now.
    pub(super) allowance: Allowance,
    /// The full sync that we asked for.
    pub(super) syncing: Option<Syncing>,
    /// When we last asked for one.
    pub(super) asked_at: Option<Instant>,
    /// The full sync that the neighbor asked for.
    pub(super) serving: Option<Serving>,
    /// When it last asked for one.
    pub(super) served_at: Option<Instant>,
    /// The last full sync that came to its end.
    pub(super) synced: Option<Synced>,
}

/// Cells that came, though too few.
#[derive(Clone, Debug)]
pub(super) struct Fetch {
    pub(super) root: [u8; 32],
    pub(super) cells: Vec<Cell>,
    pub(super) asked_at: Instant,
}

/// A full sync at the side that began it.
#[derive(Clone, Debug)]
pub(super) struct Syncing {
    /// Our root when it began.
    pub(super) root: [u8; 32],
    pub(super) life: Life,
    /// Whether the answer to `Groups` has come.
    pub(super) compared: bool,
    /// The buckets that differ and were not told yet, the next one last, and how many items the neighbor has there.
    pub(super) pending: Vec<(u16, u32)>,
    /// Up to where the next bucket was told already.
    pub(super) after: Option<ItemId>,
    /// Items in the listing that is not answered yet.
    pub(super) listed: usize,
}

/// A full sync at the side that answers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Serving {
    pub(super) life: Life,
    /// Up to where the neighbor has listed what it holds: it cannot go back.
    pub(super) reached: (u16, Option<ItemId>),
}

/// Two sets that were compared in full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Synced {
    pub(super) ours: [u8; 32],
    pub(super) theirs: [u8; 32],
    pub(super) at: Instant,
}

/// How long something has been going on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Life {
    began: Instant,
    heard: Instant,
}

impl Life {
    pub(super) fn begin(now: Instant) -> Self {
        Self { began: now, heard: now }
    }

    pub(super) fn hear(&mut self, now: Instant) {
        self.heard = now;
    }

    fn is_over(&self, now: Instant) -> bool {
        now.since(self.heard) > RECONCILE_TIMEOUT || now.since(self.began) > SYNC_LIFE_MAX
    }
}

impl Session {
    /// Forgets what went silent.
    pub(super) fn expire(&mut self, now: Instant) {
        self.unanswered.retain(|at| now.since(*at) <= RECONCILE_TIMEOUT);
        self.fetch.take_if(|fetch| now.since(fetch.asked_at) > RECONCILE_TIMEOUT);
        self.syncing.take_if(|syncing| syncing.life.is_over(now));
        self.serving.take_if(|serving| serving.life.is_over(now));
    }

    /// Whether a round or a full sync is going on.
    pub(super) fn is_engaged(&self) -> bool {
        self.fetch.is_some() || self.syncing.is_some() || self.serving.is_some()
    }

    /// Whether it may be greeted now.
    pub(super) fn may_greet(&self) -> bool {
        !self.is_engaged() && self.unanswered.len() < RECONCILE_GREETINGS_MAX
    }

    /// Greets: what to tell the neighbor of our `root`, and of how many items it is.
    pub(super) fn greet(&mut self, root: [u8; 32], items: usize, now: Instant) -> Message {
        let fresh = self.ours.replace(root).is_none();
        self.greeted = true;
        self.unanswered.push(now);
        Message::Summary { root, items: u32::try_from(items).unwrap_or(u32::MAX), fresh }
    }

    /// The neighbor knows nothing of what was going on: no answer will come, and nothing given before counts as given.
    /// What bounds how often it may ask for something stays.
    pub(super) fn start_over(&mut self) {
        (self.fetch, self.syncing, self.serving) = (None, None, None);
        self.cells_told = 0;
        self.under_way.clear();
    }

    /// Notes that cells answer a greeting of ours; `false` if there is none.
    pub(super) fn take_answer(&mut self) -> bool {
        let any = !self.unanswered.is_empty();
        if any {
            self.unanswered.remove(0);
        }
        any
    }

    /// Notes that both sides hold the same.
    pub(super) fn settle(&mut self) {
        self.rounds = 0;
        self.under_way.clear();
    }

    /// Whether the items with this symbol are not under way already, or for too long.
    pub(super) fn is_due(&self, symbol: &Symbol, now: Instant) -> bool {
        self.under_way.get(symbol).is_none_or(|at| now.since(*at) >= RECONCILE_PATIENCE)
    }

    /// Whether the sets with these roots were compared in full not long ago: what differs is refused by one side.
    pub(super) fn is_synced(&self, ours: [u8; 32], theirs: [u8; 32], now: Instant) -> bool {
        self.synced
            .is_some_and(|synced| synced.ours == ours && synced.theirs == theirs && now.since(synced.at) < SYNC_RETRY)
    }

    /// Whether enough time has passed since we last began a full sync.
    pub(super) fn may_ask(&self, now: Instant) -> bool {
        self.asked_at.is_none_or(|at| now.since(at) >= SYNC_PAUSE)
    }

    /// Whether enough time has passed since the neighbor last began one.
    pub(super) fn may_be_asked(&self, now: Instant) -> bool {
        self.served_at.is_none_or(|at| now.since(at) >= SYNC_PAUSE - SYNC_PAUSE_SLACK)
    }
}

/// A token bucket for cells: [`SKETCH_CELLS_PER_SECOND`], with as much burst.
#[derive(Clone, Debug)]
pub(super) struct Allowance {
    left: u64,
    at: Instant,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { left: u64::from(SKETCH_CELLS_PER_SECOND), at: Instant::BOOT }
    }
}

impl Allowance {
    /// Takes `cells` out; `false` if there are not as many.
    pub(super) fn take(&mut self, cells: usize, now: Instant) -> bool {
        let rate = u128::from(SKETCH_CELLS_PER_SECOND);
        let refill = now.since(self.at).as_nanos() * rate / 1_000_000_000;
        // What is not yet a whole cell stays in the time that is still to be counted.
        if refill > 0 {
            self.left = (u128::from(self.left) + refill).min(rate) as u64;
            self.at = now;
        }
        let enough = self.left >= cells as u64;
        if enough {
            self.left -= cells as u64;
        }
        enough
    }
}
