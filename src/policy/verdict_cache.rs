//! Verdicts that are remembered, for as long as nothing they rest on has changed.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwapOption;
use prunella_core::PeerId;
use prunella_core::limits::{SERVICE_NAME_BYTES_MAX, VERDICTS_REMEMBERED_MAX};

use super::engine::Verdict;
use super::request::{ActionName, Request};

/// A table with one place for each verdict, chosen by a keyed hash of its request: nobody from outside can aim at a
/// place. Reading takes no lock and allocates nothing.
pub(super) struct VerdictCache {
    places: Box<[ArcSwapOption<Remembered>]>,
    hasher: RandomState,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// The generations of the facts that a verdict rests on: about who asked, and about this node.
pub(super) type Generations = [u64; 2];

/// A verdict and what it was about.
struct Remembered {
    from: PeerId,
    action: ActionName,
    about: Option<Box<str>>,
    generations: Generations,
    verdict: Arc<Verdict>,
}

impl VerdictCache {
    /// Nothing is remembered.
    pub(super) fn empty() -> Self {
        let places = (0..VERDICTS_REMEMBERED_MAX).map(|_| ArcSwapOption::empty()).collect();
        Self { places, hasher: RandomState::new(), hits: AtomicU64::new(0), misses: AtomicU64::new(0) }
    }

    /// The verdict on this request, if it was made under these generations.
    pub(super) fn recall(&self, request: &Request<'_>, generations: Generations) -> Option<Arc<Verdict>> {
        let place = self.place(request).load();
        let known = place.as_ref().filter(|known| {
            known.generations == generations
                && known.from == request.from
                && known.action == request.action.name()
                && known.about.as_deref() == request.action.about()
        });
        let counted = if known.is_some() { &self.hits } else { &self.misses };
        counted.fetch_add(1, Ordering::Relaxed);
        known.map(|known| Arc::clone(&known.verdict))
    }

    /// How often a verdict was there, and how often it was not.
    pub(super) fn recalled(&self) -> [u64; 2] {
        [&self.hits, &self.misses].map(|count| count.load(Ordering::Relaxed))
    }

    /// Remembers a verdict; whatever had its place is forgotten. What is about a name too long to be anything's is not
    /// worth a place.
    pub(super) fn remember(&self, request: &Request<'_>, generations: Generations, verdict: &Arc<Verdict>) {
        let about = request.action.about();
        if about.is_some_and(|name| name.len() > SERVICE_NAME_BYTES_MAX) {
            return;
        }
        self.place(request).store(Some(Arc::new(Remembered {
            from: request.from,
            action: request.action.name(),
            about: about.map(Box::from),
            generations,
            verdict: Arc::clone(verdict),
        })));
    }

    fn place(&self, request: &Request<'_>) -> &ArcSwapOption<Remembered> {
        &self.places[self.hasher.hash_one(request) as usize % VERDICTS_REMEMBERED_MAX]
    }
}
