//! What is counted of each actor. The counts belong to the actor's name and outlive its restarts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

/// The counts of one actor.
#[derive(Debug, Default)]
pub struct Stats {
    /// Messages waiting. Each life of the actor has a counter of its own, so that what was cast to an earlier life
    /// cannot unbalance it.
    mailbox: ArcSwap<AtomicU64>,
    /// Messages handled.
    pub handled: AtomicU64,
    /// Messages dropped because the mailbox was full or the actor was away.
    pub dropped: AtomicU64,
    /// Restarts.
    pub restarts: AtomicU64,
    /// Whether it runs now.
    pub running: AtomicBool,
    /// Whether its next failure was asked for, so that it does not count against its supervisor's patience.
    pub induced: AtomicBool,
    last_failure: Mutex<Option<String>>,
}

impl Stats {
    /// Begins a new life: an empty mailbox, whose counter is returned, and an actor that runs.
    pub fn begin(&self) -> Arc<AtomicU64> {
        let waiting = Arc::<AtomicU64>::default();
        self.mailbox.store(Arc::clone(&waiting));
        self.running.store(true, Ordering::Relaxed);
        waiting
    }

    /// Messages waiting.
    pub fn waiting(&self) -> u64 {
        self.mailbox.load().load(Ordering::Relaxed)
    }

    /// Writes down why the actor failed.
    pub fn failed(&self, reason: &str) {
        self.running.store(false, Ordering::Relaxed);
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(reason.to_owned());
    }

    /// Why the actor failed last.
    pub fn last_failure(&self) -> Option<String> {
        self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An actor's place in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its name, unique within the node.
    pub name: String,
    /// Its supervisor's name; `None` for the root.
    pub parent: Option<String>,
}

/// Every actor of a node by name.
#[derive(Debug, Default)]
pub struct Register {
    actors: Mutex<BTreeMap<String, (Place, Arc<Stats>)>>,
}

impl Register {
    /// The counts of the actor at this place, made when it is first seen.
    pub fn at(&self, place: &Place) -> Arc<Stats> {
        let mut actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, stats) = actors.entry(place.name.clone()).or_insert_with(|| (place.clone(), Arc::default()));
        Arc::clone(stats)
    }

    /// The counts of the actor with this name.
    pub fn named(&self, name: &str) -> Option<Arc<Stats>> {
        let actors = self.actors.lock().unwrap_or_else(PoisonError::into_inner);
        actors.get(name).map(|(_, stats)| Arc::clone(stats))
    }

    /// Forgets an actor that will not come back.
    pub fn forget(&self, name: &str) {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
    }

    /// Every actor, ordered by name.
    pub fn all(&self) -> Vec<(Place, Arc<Stats>)> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
