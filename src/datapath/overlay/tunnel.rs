//! Tunnels: what is needed to send packets to a node and to take packets from it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};

use prunella_core::frame::ReplayWindow;
use prunella_core::limits::TUNNELS_MAX;
use prunella_core::{PeerId, Tag};

use super::keys::{Opener, Sealer, TunnelSecret};

/// A tunnel as its session made it.
pub struct TunnelInstall {
    /// The node at the other end, as its certificate proved.
    pub peer: PeerId,
    /// This end's number for the tunnel, from [`Overlay::reserve`](super::Overlay::reserve).
    pub local_key: u16,
    /// The other end's.
    pub remote_key: u16,
    /// What the keys follow from of what this node sends.
    pub send: TunnelSecret,
    /// What the keys follow from of what the other end sends.
    pub receive: TunnelSecret,
}

/// What went through a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelStats {
    /// Packets sent.
    pub sent: u64,
    /// Bytes of their frames.
    pub sent_bytes: u64,
    /// Packets received.
    pub received: u64,
    /// Bytes of them.
    pub received_bytes: u64,
    /// The longest packet that the way carries whole, as far as is known, in bytes.
    pub longest: u16,
}

/// A tunnel to a node, both directions.
pub struct Tunnel {
    pub(super) peer: PeerId,
    pub(super) tag: Tag,
    pub(super) local_key: u16,
    pub(super) remote_key: u16,
    pub(super) sealer: Sealer,
    pub(super) opener: Opener,
    pub(super) window: ReplayWindow,
    /// The longest packet that the way carries whole, in bytes, and whether longer ones are known not to.
    pub(super) longest: AtomicU16,
    pub(super) is_settled: AtomicBool,
    /// The path on which packets leave: another number means another way.
    pub(super) path: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) sent_bytes: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) received_bytes: AtomicU64,
    /// The length of the last probe that came through, to be taken.
    pub(super) answered: AtomicU16,
}

impl Tunnel {
    pub(super) fn new(install: TunnelInstall, longest: u16) -> Self {
        let TunnelInstall { peer, local_key, remote_key, send, receive } = install;
        let zero = || AtomicU64::new(0);
        Self {
            peer,
            tag: peer.tag(),
            local_key,
            remote_key,
            sealer: Sealer::new(send),
            opener: Opener::new(receive),
            window: ReplayWindow::new(),
            longest: AtomicU16::new(longest),
            is_settled: AtomicBool::new(false),
            path: zero(),
            sent: zero(),
            sent_bytes: zero(),
            received: zero(),
            received_bytes: zero(),
            answered: AtomicU16::new(0),
        }
    }

    /// The node at the other end.
    pub const fn peer(&self) -> PeerId {
        self.peer
    }

    /// What went through it so far.
    pub fn stats(&self) -> TunnelStats {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        TunnelStats {
            sent: read(&self.sent),
            sent_bytes: read(&self.sent_bytes),
            received: read(&self.received),
            received_bytes: read(&self.received_bytes),
            longest: self.longest.load(Ordering::Relaxed),
        }
    }

    /// Packets that went either way so far.
    pub fn exchanged(&self) -> u64 {
        self.sent.load(Ordering::Relaxed) + self.received.load(Ordering::Relaxed)
    }

    /// The number of the path on which packets leave.
    pub fn path(&self) -> u64 {
        self.path.load(Ordering::Relaxed)
    }

    /// From now on packets of so many bytes leave whole; `is_settled` if longer ones are known not to come through.
    pub fn set_longest(&self, longest: u16, is_settled: bool) {
        self.longest.store(longest, Ordering::Relaxed);
        self.is_settled.store(is_settled, Ordering::Relaxed);
    }

    /// The length of a probe that came through since this was asked last.
    pub fn take_answered(&self) -> Option<u16> {
        Some(self.answered.swap(0, Ordering::Relaxed)).filter(|length| *length > 0)
    }

    /// Goes over to the next key for what is sent, if this one was used; false if there is none any more.
    pub fn rekey(&self) -> bool {
        let (is_used, epoch) = self.sealer.is_used();
        !is_used || self.sealer.advance(epoch)
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("peer", &self.peer).field("local_key", &self.local_key).finish_non_exhaustive()
    }
}

/// All tunnels: a value, as the tables of links are.
#[derive(Clone, Debug, Default)]
pub(super) struct Tunnels {
    /// The one on which is sent: the newest.
    by_tag: HashMap<Tag, Arc<Tunnel>>,
    by_key: HashMap<u16, Arc<Tunnel>>,
}

impl Tunnels {
    pub(super) fn to(&self, tag: Tag) -> Option<&Arc<Tunnel>> {
        self.by_tag.get(&tag)
    }

    pub(super) fn with_key(&self, key: u16) -> Option<&Arc<Tunnel>> {
        self.by_key.get(&key)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Tunnel>> {
        self.by_key.values()
    }

    /// Enters one from which packets are taken; false if there are too many.
    pub(super) fn put(&mut self, tunnel: Arc<Tunnel>) -> bool {
        if self.by_key.len() >= TUNNELS_MAX {
            return false;
        }
        self.by_key.insert(tunnel.local_key, tunnel);
        true
    }

    /// Sends on it from now on.
    pub(super) fn send_on(&mut self, tunnel: Arc<Tunnel>) {
        self.by_tag.insert(tunnel.tag, tunnel);
    }

    pub(super) fn drop(&mut self, tunnel: &Arc<Tunnel>) {
        // A later one may have its number.
        if self.by_key.get(&tunnel.local_key).is_some_and(|known| Arc::ptr_eq(known, tunnel)) {
            self.by_key.remove(&tunnel.local_key);
        }
        if self.by_tag.get(&tunnel.tag).is_some_and(|newest| Arc::ptr_eq(newest, tunnel)) {
            self.by_tag.remove(&tunnel.tag);
            // An older one may be left.
            let rest = self.by_key.values().find(|left| left.tag == tunnel.tag).cloned();
            self.by_tag.extend(rest.map(|left| (left.tag, left)));
        }
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn whoever_leaves_takes_nobody_elses_number_along() {
        let tunnel = |first: u8| {
            let secret = || Zeroizing::new([first; super::super::TUNNEL_SECRET_BYTES]);
            let peer = PeerId::from_public_key([first; 32]);
            let install = TunnelInstall { peer, local_key: 7, remote_key: 8, send: secret(), receive: secret() };
            Arc::new(Tunnel::new(install, 1300))
        };
        let (earlier, later) = (tunnel(1), tunnel(2));
        let mut tunnels = Tunnels::default();
        assert!(tunnels.put(earlier.clone()) && tunnels.put(later.clone()));
        tunnels.send_on(later.clone());
        tunnels.drop(&earlier);
        assert!(Arc::ptr_eq(tunnels.with_key(7).unwrap(), &later));
        tunnels.drop(&later);
        assert!(tunnels.with_key(7).is_none() && tunnels.to(later.tag).is_none());
    }
}
