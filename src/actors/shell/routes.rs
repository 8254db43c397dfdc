//! Which destinations have a route, and who waits for one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::limits::LANES_MAX;
use tokio::sync::Notify;

/// Destinations with a route in the datapath.
#[derive(Debug, Default)]
pub struct Routes {
    installed: Mutex<BTreeMap<PeerId, Installed>>,
    changed: Notify,
    /// How often a route took another path.
    switches: AtomicU64,
}

/// What the datapath uses for one destination.
#[derive(Debug)]
struct Installed {
    /// The path of the route.
    path: u32,
    /// The lanes with a path of their own.
    lanes: BTreeMap<u8, Using>,
}

/// A path that is used, and whether copies go on another as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Using {
    pub(super) path: u32,
    pub(super) hedged: bool,
}

impl Routes {
    /// Notes that a destination has this route now, and returns the lanes whose packets begin to take a path by it that they
    /// did not take before: what is under way on the old one may be lost. When copies end, there is nothing to tell.
    pub(super) fn installed(&self, destination: PeerId, route: Using) -> Vec<u8> {
        let Using { path, hedged } = route;
        let mut all = self.lock();
        let Some(known) = all.get_mut(&destination) else {
            all.insert(destination, Installed { path, lanes: BTreeMap::new() });
            drop(all);
            self.changed.notify_waiters();
            return Vec::new();
        };
        let before = std::mem::replace(&mut known.path, path);
        if before != path {
            self.switches.fetch_add(1, Ordering::Relaxed);
        }
        let follows = |lane: &u8| !known.lanes.contains_key(lane);
        if hedged || before != path { (0..LANES_MAX as u8).filter(follows).collect() } else { Vec::new() }
    }

    /// Notes which lanes have a path of their own now, and returns those whose packets begin to take another.
    pub(super) fn spread(&self, destination: PeerId, lanes: BTreeMap<u8, Using>) -> Vec<u8> {
        let mut all = self.lock();
        let Some(known) = all.get_mut(&destination) else { return Vec::new() };
        let before = std::mem::replace(&mut known.lanes, lanes);
        let route = Using { path: known.path, hedged: false };
        let moved = |lane: &u8| {
            let of = |lanes: &BTreeMap<u8, Using>| lanes.get(lane).copied().unwrap_or(route);
            let (before, now) = (of(&before), of(&known.lanes));
            before.path != now.path || (now.hedged && !before.hedged)
        };
        (0..LANES_MAX as u8).filter(moved).collect()
    }

    pub(super) fn withdrawn(&self, destination: PeerId) {
        self.lock().remove(&destination);
    }

    /// How often a destination's route took another path than before.
    pub fn switches(&self) -> u64 {
        self.switches.load(Ordering::Relaxed)
    }

    /// Every destination with a route, in ascending order.
    pub fn all(&self) -> Vec<PeerId> {
        self.lock().keys().copied().collect()
    }

    /// How many destinations have one.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is a route to `destination`.
    pub fn has(&self, destination: &PeerId) -> bool {
        self.lock().contains_key(destination)
    }

    /// Waits until there is a route to `destination`; false if there is none in time.
    pub async fn wait_for(&self, destination: &PeerId, patience: Duration) -> bool {
        let wait = async {
            loop {
                let changed = self.changed.notified();
                tokio::pin!(changed);
                // Registered before the look, so that an installation in between is not missed.
                changed.as_mut().enable();
                if self.has(destination) {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(patience, wait).await.is_ok()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PeerId, Installed>> {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn over(path: u32) -> Using {
        Using { path, hedged: false }
    }

    #[test]
    fn a_lane_is_told_when_its_own_packets_take_another_path_and_no_sooner() {
        let (routes, destination) = (Routes::default(), PeerId::from_public_key([1; 32]));
        let all: Vec<u8> = (0..LANES_MAX as u8).collect();
        let doubted = |path| Using { path, hedged: true };
        assert_eq!(routes.installed(destination, over(1)), [0; 0], "there was none before");
        assert_eq!(routes.spread(destination, [(1, over(2))].into()), [1]);
        assert_eq!(routes.spread(destination, [(1, doubted(2))].into()), [1], "copies begin");
        assert_eq!(routes.spread(destination, [(1, over(2))].into()), [0; 0], "copies end");
        assert_eq!(routes.installed(destination, doubted(1)), [&all[..1], &all[2..]].concat(), "lane 1 has its own");
        assert_eq!(routes.installed(destination, over(2)), [&all[..1], &all[2..]].concat());
        assert_eq!(
            routes.spread(destination, BTreeMap::new()),
            [0; 0],
            "it follows the route, to the path that it is on"
        );
        assert_eq!(routes.installed(destination, over(3)), all);
        assert_eq!(routes.switches(), 2, "lanes and copies are none");
        routes.withdrawn(destination);
        assert_eq!(routes.spread(destination, [(1, over(2))].into()), [0; 0]);
    }

    #[tokio::test]
    async fn a_waiter_hears_of_the_installation() {
        let routes = Arc::new(Routes::default());
        let destination = PeerId::from_public_key([1; 32]);
        let waiter = Arc::clone(&routes);
        let waiting = tokio::spawn(async move { waiter.wait_for(&destination, Duration::from_secs(5)).await });
        tokio::task::yield_now().await;
        routes.installed(destination, over(1));
        assert!(waiting.await.unwrap());
        routes.withdrawn(destination);
        assert!(!routes.wait_for(&destination, Duration::from_millis(1)).await);
    }
}
