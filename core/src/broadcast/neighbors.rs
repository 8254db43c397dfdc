//! The neighbors of one node: packed, because a simulated million of nodes holds ten million of them.

use std::time::Duration;

use crate::Rejected;
use crate::limits::NEIGHBORS_MAX;

/// Neighbors ordered by name. Nothing but [`remove`](Self::remove) leaves them without an eager one.
#[derive(Clone, Debug)]
pub(super) struct Neighbors<P>(Vec<Neighbor<P>>);

#[derive(Clone, Copy, Debug)]
struct Neighbor<P> {
    peer: P,
    rtt_us: u32,
    eager: bool,
    /// How often it was asked and has not delivered, or gave up this node as its last; nothing fresh has come since.
    unkept: u8,
}

impl<P: Copy + Ord> Neighbors<P> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn insert(&mut self, peer: P, rtt: Duration) -> Result<(), Rejected> {
        let neighbor = Neighbor { peer, rtt_us: micros(rtt), eager: true, unkept: 0 };
        match self.place(peer) {
            Ok(at) => self.0[at] = neighbor,
            Err(_) if self.0.len() >= NEIGHBORS_MAX => return Err(Rejected::OverLimit),
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, neighbor);
            }
        }
        Ok(())
    }

    /// Whether it was eager, so that another should take its place; `None` if it was no neighbor.
    pub(super) fn remove(&mut self, peer: P) -> Option<bool> {
        let at = self.place(peer).ok()?;
        Some(self.0.remove(at).eager)
    }

    pub(super) fn contains(&self, peer: P) -> bool {
        self.place(peer).is_ok()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (P, bool)> {
        self.0.iter().map(|neighbor| (neighbor.peer, neighbor.eager))
    }

    pub(super) fn set_rtt(&mut self, peer: P, rtt: Duration) {
        if let Some(neighbor) = self.find(peer) {
            neighbor.rtt_us = micros(rtt);
        }
    }

    pub(super) fn make_eager(&mut self, peer: P) {
        if let Some(neighbor) = self.find(peer) {
            neighbor.eager = true;
        }
    }

    /// Whether it is a lazy neighbor now: the last eager one stays what it is.
    pub(super) fn make_lazy(&mut self, peer: P) -> bool {
        let Ok(at) = self.place(peer) else { return false };
        let others = self.0.iter().filter(|neighbor| neighbor.eager && neighbor.peer != peer).count();
        if others > 0 {
            self.0[at].eager = false;
        }
        others > 0
    }

    /// It delivered something fresh, which makes it eager and clears its name.
    pub(super) fn delivered(&mut self, peer: P) {
        if let Some(neighbor) = self.find(peer) {
            neighbor.eager = true;
            neighbor.unkept = 0;
        }
    }

    /// It did not do what was hoped for: others come first from now on.
    pub(super) fn disappointed(&mut self, peer: P) {
        if let Some(neighbor) = self.find(peer) {
            neighbor.unkept = neighbor.unkept.saturating_add(1);
        }
    }

    /// How often it disappointed since it last delivered.
    pub(super) fn unkept(&self, peer: P) -> u8 {
        self.place(peer).map_or(u8::MAX, |at| self.0[at].unkept)
    }

    /// The lazy neighbor that disappointed least, and of those the nearest, other than `other`.
    pub(super) fn best_lazy(&self, other: P) -> Option<P> {
        let lazy = self.0.iter().filter(|neighbor| !neighbor.eager && neighbor.peer != other);
        lazy.min_by_key(|neighbor| (neighbor.unkept, neighbor.rtt_us)).map(|neighbor| neighbor.peer)
    }

    /// How long a push may still be under way when its announcement is here: in proportion to the slowest eager link.
    pub(super) fn patience(&self) -> Duration {
        let slowest = self.0.iter().filter(|neighbor| neighbor.eager).map(|neighbor| neighbor.rtt_us).max();
        in_percent(slowest.unwrap_or_default(), PATIENCE_PERCENT)
    }

    /// How long the answer to a graft may take.
    pub(super) fn answer_time(&self, peer: P) -> Duration {
        let rtt_us = self.place(peer).map_or(0, |at| self.0[at].rtt_us);
        in_percent(rtt_us, ANSWER_PERCENT)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.0.capacity() * size_of::<Neighbor<P>>()
    }

    fn place(&self, peer: P) -> Result<usize, usize> {
        self.0.binary_search_by(|neighbor| neighbor.peer.cmp(&peer))
    }

    fn find(&mut self, peer: P) -> Option<&mut Neighbor<P>> {
        let at = self.place(peer).ok()?;
        self.0.get_mut(at)
    }
}

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn in_percent(rtt_us: u32, percent: u64) -> Duration {
    Duration::from_micros(u64::from(rtt_us) * percent / 100).min(PATIENCE_MAX)
}

/// Of the slowest eager neighbor's round trip: how far an announcement may be ahead of the push. With less, the tree
/// follows every message's origin, and pays for it with copies.
const PATIENCE_PERCENT: u64 = 300;
/// Of a neighbor's round trip: how long an answer may take.
const ANSWER_PERCENT: u64 = 150;
/// Nobody waits longer than this, whatever a round trip is said to take.
const PATIENCE_MAX: Duration = Duration::from_secs(1);
