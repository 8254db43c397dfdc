//! What is counted of each actor. The counts belong to the actor's name and outlive its restarts.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use prunella_core::Instant;
use tokio::sync::watch;

use super::insight::Insight;
use super::tally::Spread;

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
    /// Its last failures, the newest last.
    failures: Mutex<VecDeque<Failed>>,
    /// When it began its life, in nanoseconds of the node's clock.
    born: AtomicU64,
    /// Of a supervisor, what it does when a child fails.
    pub strategy: OnceLock<&'static str>,
    /// What can be seen of it.
    pub insight: Insight,
    /// What holds the actor up on purpose.
    pub hindrance: Hindrance,
}

/// A failure of an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// When, by the node's clock.
    pub at: Instant,
    /// Why.
    pub reason: String,
}

impl Stats {
    /// Begins a new life: an empty mailbox, whose counter is returned, and an actor that runs and that nothing holds up.
    pub fn begin(&self, now: Instant) -> Arc<AtomicU64> {
        self.hindrance.set(None);
        self.insight.handling.rest();
        self.born.store(now.as_nanos(), Ordering::Relaxed);
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
    pub fn failed(&self, reason: &str, at: Instant) {
        self.running.store(false, Ordering::Relaxed);
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.len() == FAILURES_KEPT {
            failures.pop_front();
        }
        failures.push_back(Failed { at, reason: reason.to_owned() });
    }

    /// Its last failures, the newest first.
    pub fn failures(&self) -> Vec<Failed> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).iter().rev().cloned().collect()
    }

    /// Why the actor failed last.
    pub fn last_failure(&self) -> Option<String> {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.back().map(|failed| failed.reason.clone())
    }

    /// What was counted of all of its lives.
    pub fn totals(&self) -> Totals {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Totals {
            handled: count(&self.handled),
            dropped: count(&self.dropped),
            restarts: count(&self.restarts),
            handling: self.insight.handling.spread(),
        }
    }

    /// When its life began.
    pub fn born(&self) -> Instant {
        Instant::from_nanos(self.born.load(Ordering::Relaxed))
    }
}

/// What was counted of one actor or of several.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Messages handled.
    pub handled: u64,
    /// Messages dropped.
    pub dropped: u64,
    /// Restarts.
    pub restarts: u64,
    /// How many messages took how long.
    pub handling: Spread,
}

impl Totals {
    /// Takes in what was counted of another.
    pub fn add(&mut self, other: &Totals) {
        self.handled += other.handled;
        self.dropped += other.dropped;
        self.restarts += other.restarts;
        self.handling.add(&other.handling);
    }
}

/// How many failures of an actor are remembered with their reasons.
const FAILURES_KEPT: usize = 8;

/// Holds an actor up before each message, on purpose. While nothing does, asking costs one relaxed load.
#[derive(Debug, Default)]
pub struct Hindrance {
    any: AtomicBool,
    pace: watch::Sender<Option<Pace>>,
}

/// How slow an actor is on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It handles nothing.
    Stalled,
    /// Each message takes so much longer.
    Slow(Duration),
}

impl Hindrance {
    /// Holds the actor up from its next message on, or no longer.
    pub fn set(&self, pace: Option<Pace>) {
        self.any.store(pace.is_some(), Ordering::Relaxed);
        self.pace.send_replace(pace);
    }

    /// How it is held up.
    pub fn pace(&self) -> Option<Pace> {
        *self.pace.borrow()
    }

    /// Waits as long as a message has to wait now.
    pub async fn pass(&self) {
        if !self.any.load(Ordering::Relaxed) {
            return;
        }
        let mut pace = self.pace.subscribe();
        let now = *pace.borrow_and_update();
        match now {
            None => {}
            // The sender lives as long as this borrow of it.
            Some(Pace::Stalled) => _ = pace.wait_for(|pace| *pace != Some(Pace::Stalled)).await,
            Some(Pace::Slow(by)) => tokio::select! {
                () = tokio::time::sleep(by) => {}
                _ = pace.changed() => {}
            },
        }
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
    /// What was counted of those that are forgotten: a sum over all never gets smaller.
    gone: Mutex<Totals>,
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
        let forgotten = self.actors.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let Some((_, stats)) = forgotten {
            self.gone.lock().unwrap_or_else(PoisonError::into_inner).add(&stats.totals());
        }
    }

    /// What was counted of those that are forgotten: PeerActors of earlier neighbors.
    pub fn gone(&self) -> Totals {
        self.gone.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Every actor, ordered by name.
    pub fn all(&self) -> Vec<(Place, Arc<Stats>)> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_actor_waits_and_a_stalled_one_waits_until_it_is_let_go() {
        let hindrance = Arc::<Hindrance>::default();
        let since = tokio::time::Instant::now();
        hindrance.pass().await;
        assert!(since.elapsed().is_zero());
        hindrance.set(Some(Pace::Slow(Duration::from_millis(50))));
        hindrance.pass().await;
        assert_eq!(since.elapsed(), Duration::from_millis(50));

        hindrance.set(Some(Pace::Stalled));
        let stalled = tokio::spawn({
            let hindrance = Arc::clone(&hindrance);
            async move { hindrance.pass().await }
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert!(!stalled.is_finished());
        hindrance.set(None);
        stalled.await.unwrap();
    }

    #[test]
    fn what_was_counted_of_a_forgotten_actor_stays_in_the_sum() {
        let register = Register::default();
        let place = |name: &str| Place { name: name.to_owned(), parent: None };
        for (name, handled) in [("peer/a", 3), ("peer/b", 4)] {
            register.at(&place(name)).handled.store(handled, Ordering::Relaxed);
            register.forget(name);
        }
        register.forget("peer/b");
        assert_eq!((register.gone().handled, register.all().len()), (7, 0));
    }

    #[test]
    fn a_new_life_is_not_held_up() {
        let stats = Stats::default();
        stats.hindrance.set(Some(Pace::Stalled));
        stats.begin(Instant::BOOT);
        assert!(!stats.hindrance.any.load(Ordering::Relaxed));
    }
}
