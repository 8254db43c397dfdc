//! What a node counts of itself that belongs to no actor: how its store does, how late its runtime is, how renewals of its
//! certificate ended, how much its files take. Read at a scrape and by `prunella vitals`; it outlives every actor.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prunella_core::Instant;
use prunella_storage::{Store, Tree};

use super::Shell;
use super::link_peaks::LinkPeaks;
use crate::actors::tally::Durations;
use crate::host::unblocked;

/// What a node counts of itself.
#[derive(Debug, Default)]
pub struct Tallies {
    /// How long the store took for what was written.
    pub store_writes: Durations,
    /// How often the store failed.
    pub store_failures: AtomicU64,
    /// How late the runtime wakes who waits for a time.
    pub lateness: Lateness,
    /// What each link carried in its busiest second.
    pub link_peaks: LinkPeaks,
    /// How renewals of the certificate ended.
    pub renewals: Renewals,
    /// When the store was last written, and what was wrong with it last.
    pub store_health: StoreHealth,
    /// Entries of each tree of the store, and bytes of their keys and values, as they were last weighed, and when.
    trees: Mutex<Option<(Instant, TreeSizes)>>,
    /// Bytes of the store on disk, and of the ledger and its copies; 0 before they were weighed.
    sizes: [AtomicU64; 2],
}

/// Entries and bytes of each tree, in the order of [`Tree::ALL`]; `None` for one that could not be read.
pub type TreeSizes = [Option<(u64, u64)>; Tree::ALL.len()];

/// When the store was last written, and what was wrong with it last.
#[derive(Debug, Default)]
pub struct StoreHealth(Mutex<StoreTold>);

/// What is known of the store's writes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreTold {
    /// When something was durable last.
    pub wrote: Option<Instant>,
    /// How long that took.
    pub took: Duration,
    /// The longest that any took.
    pub longest: Duration,
    /// When it failed last, and why.
    pub failed: Option<(Instant, String)>,
}

impl StoreTold {
    /// Whether the last attempt failed.
    pub fn fails(&self) -> bool {
        self.failed.as_ref().is_some_and(|(at, _)| self.wrote.is_none_or(|wrote| wrote < *at))
    }
}

impl StoreHealth {
    /// What was handed over is durable.
    pub fn wrote(&self, took: Duration, now: Instant) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (told.wrote, told.took, told.longest) = (Some(now), took, told.longest.max(took));
    }

    /// The store has failed.
    pub fn failed(&self, reason: &str, now: Instant) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).failed = Some((now, reason.to_owned()));
    }

    /// What is known.
    pub fn read(&self) -> StoreTold {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Tallies {
    /// What each tree of the store holds, and when that was found; `None` before it was.
    pub fn trees(&self) -> Option<(Instant, TreeSizes)> {
        *self.trees.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Bytes on disk: of the store, and of the ledger with its copies.
    pub fn sizes(&self) -> [u64; 2] {
        [0, 1].map(|i| self.sizes[i].load(Ordering::Relaxed))
    }
}

/// How late the runtime wakes who waits for a time: the last time that was looked, and at most within the last minute.
#[derive(Debug, Default)]
pub struct Lateness(Mutex<Seconds>);

#[derive(Debug)]
struct Seconds {
    last: Duration,
    /// The longest of each second, and which second that was.
    longest: [(u64, Duration); SECONDS],
}

impl Default for Seconds {
    fn default() -> Self {
        Self { last: Duration::ZERO, longest: [(0, Duration::ZERO); SECONDS] }
    }
}

impl Lateness {
    /// Somebody was woken so late.
    pub fn note(&self, late: Duration, now: Instant) {
        let mut seconds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seconds.last = late;
        let second = second(now);
        let place = &mut seconds.longest[second as usize % SECONDS];
        let before = if place.0 == second { place.1 } else { Duration::ZERO };
        *place = (second, before.max(late));
    }

    /// The last one, and the longest of the last minute.
    pub fn read(&self, now: Instant) -> [Duration; 2] {
        let seconds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let oldest = second(now).saturating_sub(SECONDS as u64 - 1);
        let fresh = seconds.longest.iter().filter(|(at, _)| *at >= oldest);
        [seconds.last, fresh.map(|(_, late)| *late).max().unwrap_or_default()]
    }
}

pub(super) fn second(now: Instant) -> u64 {
    now.as_nanos() / 1_000_000_000
}

/// How renewals of the certificate ended.
#[derive(Debug, Default)]
pub struct Renewals {
    succeeded: AtomicU64,
    failed: AtomicU64,
    last_unix: AtomicU64,
}

impl Renewals {
    /// One has ended.
    pub fn note(&self, is_renewed: bool, unix: u64) {
        if is_renewed {
            self.succeeded.fetch_add(1, Ordering::Relaxed);
            self.last_unix.store(unix, Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many have succeeded and failed since the node started, and when the last one succeeded, in seconds since the
    /// Unix epoch.
    pub fn read(&self) -> (u64, u64, Option<u64>) {
        let [succeeded, failed, last] =
            [&self.succeeded, &self.failed, &self.last_unix].map(|count| count.load(Ordering::Relaxed));
        (succeeded, failed, (last > 0).then_some(last))
    }
}

/// Weighs the node's files again and again. A disk that hangs holds up this and nobody who asks for the numbers.
pub async fn keep_weighing(shell: Arc<Shell>) {
    loop {
        let (store, ledger) = (shell.config.store.directory.clone(), shell.ledger.place().to_owned());
        let (copies, opened) = (shell.ledger.copies_place(), Arc::clone(&shell.store));
        let weigh = move || {
            let sizes = [weight(&store, DEPTH_MAX), weight(&ledger, DEPTH_MAX) + weight(&copies, DEPTH_MAX)];
            (sizes, Tree::ALL.map(|tree| tree_size(&*opened, tree)))
        };
        // That it panics is as good as that it finds nothing.
        if let Ok((sizes, trees)) = unblocked(&*shell.host, weigh).await {
            let found = (shell.clock.now(), trees);
            *shell.tallies.trees.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
            sizes.iter().zip(&shell.tallies.sizes).for_each(|(size, place)| place.store(*size, Ordering::Relaxed));
        }
        tokio::time::sleep(WEIGHED_EVERY).await;
    }
}

/// Bytes of the files in a directory; what cannot be read weighs nothing.
fn weight(directory: &Path, depth: usize) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().take(FILES_MAX);
    let sizes = entries.filter_map(|entry| {
        let about = entry.metadata().ok()?;
        Some(if about.is_dir() && depth > 0 { weight(&entry.path(), depth - 1) } else { about.len() })
    });
    sizes.sum()
}

/// Entries of a tree, and bytes of their keys and values.
fn tree_size(store: &dyn Store, tree: Tree) -> Option<(u64, u64)> {
    let entries = store.scan(tree).ok()?;
    let bytes: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
    Some((entries.len() as u64, bytes as u64))
}

/// A minute, for which the longest lateness is remembered.
pub(super) const SECONDS: usize = 60;
/// How often files are weighed.
const WEIGHED_EVERY: Duration = Duration::from_secs(30);
/// How deep directories are looked into, and how many files of one are weighed.
const DEPTH_MAX: usize = 3;
const FILES_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_lateness_is_remembered_for_a_minute() {
        let (lateness, at) = (Lateness::default(), |s: u64| Instant::from_millis(s * 1000));
        let ms = Duration::from_millis;
        lateness.note(ms(70), at(5));
        lateness.note(ms(2), at(5));
        lateness.note(ms(30), at(40));
        assert_eq!(lateness.read(at(41)), [ms(30), ms(70)]);
        assert_eq!(lateness.read(at(64)), [ms(30), ms(70)]);
        assert_eq!(lateness.read(at(65)), [ms(30), ms(30)]);
        lateness.note(ms(1), at(125));
        assert_eq!(lateness.read(at(125)), [ms(1), ms(1)]);
    }

    #[test]
    fn files_are_weighed_with_those_in_directories() {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join("blobs")).unwrap();
        fs::write(home.path().join("db"), [0; 100]).unwrap();
        fs::write(home.path().join("blobs/one"), [0; 11]).unwrap();
        assert_eq!(weight(home.path(), DEPTH_MAX), 111);
        assert_eq!(weight(&home.path().join("gone"), DEPTH_MAX), 0);
    }

    #[test]
    fn a_store_fails_until_it_is_written_again() {
        let (health, at) = (StoreHealth::default(), |ms: u64| Instant::from_millis(ms));
        assert!(!health.read().fails());
        health.failed("no space left on device", at(5));
        assert!(health.read().fails());
        health.wrote(Duration::from_millis(9), at(7));
        health.wrote(Duration::from_millis(1), at(8));
        let told = health.read();
        assert!(!told.fails());
        assert_eq!((told.took, told.longest), (Duration::from_millis(1), Duration::from_millis(9)));
        assert_eq!(told.failed, Some((at(5), "no space left on device".to_owned())));
    }

    #[test]
    fn how_renewals_ended_is_remembered() {
        let renewals = Renewals::default();
        renewals.note(false, 5);
        assert_eq!(renewals.read(), (0, 1, None));
        renewals.note(true, 7);
        renewals.note(false, 9);
        assert_eq!(renewals.read(), (1, 2, Some(7)));
    }
}
