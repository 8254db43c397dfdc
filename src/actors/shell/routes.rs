//! Which destinations have a route, and who waits for one.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prunella_core::PeerId;
use tokio::sync::Notify;

/// Destinations with a route in the datapath.
#[derive(Debug, Default)]
pub struct Routes {
    /// By destination, the path's number.
    installed: Mutex<BTreeMap<PeerId, u32>>,
    changed: Notify,
}

impl Routes {
    /// Notes that a destination has a route now, and returns the path of the one before.
    pub(super) fn installed(&self, destination: PeerId, path: u32) -> Option<u32> {
        let before = self.installed.lock().unwrap_or_else(PoisonError::into_inner).insert(destination, path);
        self.changed.notify_waiters();
        before
    }

    pub(super) fn withdrawn(&self, destination: PeerId) {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner).remove(&destination);
    }

    /// Every destination with a route, in ascending order.
    pub fn all(&self) -> Vec<PeerId> {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// Whether there is a route to `destination`.
    pub fn has(&self, destination: &PeerId) -> bool {
        self.installed.lock().unwrap_or_else(PoisonError::into_inner).contains_key(destination)
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
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_waiter_hears_of_the_installation() {
        let routes = Arc::new(Routes::default());
        let destination = PeerId::from_public_key([1; 32]);
        let waiter = Arc::clone(&routes);
        let waiting = tokio::spawn(async move { waiter.wait_for(&destination, Duration::from_secs(5)).await });
        tokio::task::yield_now().await;
        routes.installed(destination, 1);
        assert!(waiting.await.unwrap());
        routes.withdrawn(destination);
        assert!(!routes.wait_for(&destination, Duration::from_millis(1)).await);
    }
}
