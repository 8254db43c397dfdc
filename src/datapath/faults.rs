//! Faults on purpose: a port that pretends not to hear or not to speak.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::ArcSwap;

use super::tables::canonical;

/// What to lose between this node and one address. QUIC and frames are lost alike.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Lose everything that is sent there.
    pub drop_sent: bool,
    /// Lose everything that comes from there.
    pub drop_received: bool,
}

/// The faults in force. While there are none, asking costs one relaxed load.
#[derive(Debug, Default)]
pub(super) struct Faults {
    any: AtomicBool,
    by_address: ArcSwap<HashMap<SocketAddr, Fault>>,
}

impl Faults {
    pub(super) fn set(&self, address: SocketAddr, fault: Fault) {
        self.by_address.rcu(|faults| {
            let mut faults = HashMap::clone(faults);
            faults.insert(canonical(address), fault);
            faults
        });
        self.any.store(true, Ordering::Relaxed);
    }

    pub(super) fn clear(&self) {
        self.any.store(false, Ordering::Relaxed);
        self.by_address.store(HashMap::new().into());
    }

    pub(super) fn drops_sent(&self, to: SocketAddr) -> bool {
        self.any() && self.of(to).drop_sent
    }

    pub(super) fn drops_received(&self, from: SocketAddr) -> bool {
        self.any() && self.of(from).drop_received
    }

    fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    fn of(&self, address: SocketAddr) -> Fault {
        self.by_address.load().get(&canonical(address)).copied().unwrap_or_default()
    }
}
