//! The faults in force: each ends by itself, when it is cleared, when another takes its place, and with the node.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prunella_core::limits::FAULTS_MAX;
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::chaos::InForce;

/// Every fault in force, by what it strikes.
#[derive(Debug, Default)]
pub(super) struct FaultsInForce(Arc<Mutex<Running>>);

#[derive(Debug, Default)]
struct Running {
    faults: BTreeMap<String, Fault>,
    begun: u64,
}

/// Mends what a fault broke, when dropped.
struct Fault {
    number: u64,
    does: String,
    ends: Instant,
    timer: AbortHandle,
    mend: Option<Box<dyn FnOnce() + Send>>,
}

impl FaultsInForce {
    /// Puts a fault in force: `begin` breaks something and gives what mends it again. What struck the same subject before
    /// is mended first. `false`, with nothing broken, if there are too many.
    pub(super) fn begin<M>(&self, subject: &str, does: &str, lasts: Duration, begin: impl FnOnce() -> M) -> bool
    where
        M: FnOnce() + Send + 'static,
    {
        let mut running = lock(&self.0);
        running.faults.remove(subject);
        if running.faults.len() >= FAULTS_MAX {
            return false;
        }
        running.begun += 1;
        let number = running.begun;
        let mend = begin();
        let (all, struck) = (Arc::downgrade(&self.0), subject.to_owned());
        let timer = tokio::spawn(async move {
            sleep(lasts).await;
            let Some(all) = all.upgrade() else { return };
            let mut running = lock(&all);
            if running.faults.get(&struck).is_some_and(|fault| fault.number == number) {
                running.faults.remove(&struck);
                tracing::info!(fault = struck, "the fault ended by itself");
            }
        });
        let (does, ends, timer) = (does.to_owned(), Instant::now() + lasts, timer.abort_handle());
        tracing::warn!(fault = subject, does, seconds = lasts.as_secs_f64(), "a fault on purpose is in force");
        running.faults.insert(subject.to_owned(), Fault { number, does, ends, timer, mend: Some(Box::new(mend)) });
        true
    }

    /// Ends every fault.
    pub(super) fn clear(&self) {
        lock(&self.0).faults.clear();
    }

    /// Ends the fault that strikes this; false if none does.
    pub(super) fn end(&self, subject: &str) -> bool {
        lock(&self.0).faults.remove(subject).is_some()
    }

    /// What is in force.
    pub(super) fn list(&self) -> Vec<InForce> {
        let (running, now) = (lock(&self.0), Instant::now());
        let told = running.faults.iter().map(|(subject, fault)| InForce {
            subject: subject.clone(),
            does: fault.does.clone(),
            left_ms: fault.ends.saturating_duration_since(now).as_millis() as u64,
        });
        told.collect()
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        self.timer.abort();
        if let Some(mend) = self.mend.take() {
            mend();
        }
    }
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fault").field("does", &self.does).finish_non_exhaustive()
    }
}

fn lock(running: &Mutex<Running>) -> MutexGuard<'_, Running> {
    // Nothing that holds the lock leaves it half changed.
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI32, Ordering};

    use super::*;

    /// A thing that faults break and mend: the number of faults that strike it.
    fn thing() -> (Arc<AtomicI32>, impl Fn() -> Box<dyn FnOnce() + Send> + Clone) {
        let struck = Arc::<AtomicI32>::default();
        let shared = Arc::clone(&struck);
        let begin = move || {
            let shared = Arc::clone(&shared);
            shared.fetch_add(1, Ordering::Relaxed);
            Box::new(move || _ = shared.fetch_sub(1, Ordering::Relaxed)) as Box<dyn FnOnce() + Send>
        };
        (struck, begin)
    }

    #[tokio::test(start_paused = true)]
    async fn a_fault_ends_by_itself() {
        let (struck, begin) = thing();
        let faults = FaultsInForce::default();
        assert!(faults.begin("clock", "is late", Duration::from_secs(5), begin));
        assert_eq!(faults.list()[0].left_ms, 5000);
        sleep(Duration::from_millis(4990)).await;
        assert_eq!(struck.load(Ordering::Relaxed), 1);
        sleep(Duration::from_millis(20)).await;
        assert_eq!((struck.load(Ordering::Relaxed), faults.list()), (0, vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn another_takes_the_place_of_the_one_before_and_keeps_its_own_time() {
        let (struck, begin) = thing();
        let faults = FaultsInForce::default();
        faults.begin("clock", "is late", Duration::from_secs(1), begin.clone());
        faults.begin("clock", "is early", Duration::from_secs(9), begin);
        sleep(Duration::from_secs(5)).await;
        assert_eq!((struck.load(Ordering::Relaxed), faults.list().len()), (1, 1));
        assert_eq!(faults.list()[0].does, "is early");
        faults.clear();
        assert_eq!(struck.load(Ordering::Relaxed), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_are_refused_and_all_end_with_their_owner() {
        let (struck, begin) = thing();
        let faults = FaultsInForce::default();
        for number in 0..FAULTS_MAX {
            assert!(faults.begin(&number.to_string(), "", Duration::from_secs(1), begin.clone()));
        }
        assert!(!faults.begin("one more", "", Duration::from_secs(1), begin));
        drop(faults);
        assert_eq!(struck.load(Ordering::Relaxed), 0);
    }
}
