//! What the program's maps are to hold, worked out from the tables.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;

use prunella_core::LinkId;
use prunella_core::frame::REPLAY_WINDOW;
use prunella_ebpf_common::{LINKS_MAX, LinkValue, SHUT_OUT_MAX, SourceValue, label_key, source_key};

use crate::datapath::tables::{Link, Tables, canonical};

/// What the maps hold of the tables. It holds keys, so it cannot be printed.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Picture {
    pub(super) sources: BTreeMap<[u8; 20], [u8; 40]>,
    pub(super) links: BTreeMap<[u8; 2], [u8; 40]>,
    pub(super) shut_out: BTreeSet<[u8; 20]>,
}

impl Picture {
    /// The picture of these tables. While datagrams are to be lost on purpose no label leads anywhere: user space loses them.
    pub(super) fn of(tables: &Tables, slots: &Slots, is_impaired: bool) -> Self {
        let mut picture = Self::default();
        // The newest link of a source, and of a label, comes last and stays.
        for link in tables.links() {
            let Some(slot) = slots.of(link.id) else { continue };
            let key = source_key(canonical(link.remote));
            let several = picture.sources.contains_key(&key);
            let value = SourceValue {
                key: link.receive_key.to_bytes(),
                seen_elsewhere: slot.seen_elsewhere,
                slot: slot.index,
                label: link.label.0,
                may_relay: link.state.may_relay.load(Ordering::Relaxed),
                several,
            };
            picture.sources.insert(key, value.to_bytes());
            if !is_impaired && leads_anywhere(link) {
                let value =
                    LinkValue { key: link.send_key.to_bytes(), remote: canonical(link.remote), slot: slot.index };
                picture.links.insert(label_key(link.label.0), value.to_bytes());
            }
        }
        picture.shut_out = tables.shut_out.iter().copied().map(source_key).take(SHUT_OUT_MAX).collect();
        picture
    }
}

/// Whether the program may send on a link: not to an address that means something on one interface only, which it would
/// have to know.
fn leads_anywhere(link: &Link) -> bool {
    let is_scoped = match canonical(link.remote) {
        SocketAddr::V4(_) => false,
        SocketAddr::V6(v6) => v6.ip().is_unicast_link_local() || v6.scope_id() != 0,
    };
    link.is_usable() && !is_scoped && !matches!(link.remote.ip(), IpAddr::V4(v4) if v4.is_multicast())
}

/// Where the program keeps what it knows of each link.
pub(super) struct Slots {
    taken: BTreeMap<LinkId, Slot>,
    /// The one that was given back longest ago comes first: a processor may still be at work with it.
    free: VecDeque<u32>,
    /// Whether frames may have come on links before there was a program.
    is_late: bool,
}

/// The place of one link.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) index: u32,
    /// Per space of sequence numbers: user space may have accepted numbers up to here.
    pub(super) seen_elsewhere: [u64; 2],
}

impl Slots {
    /// All places are free. Links that it is told of at first carried frames before.
    pub(super) fn new() -> Self {
        Self { taken: BTreeMap::new(), free: (0..LINKS_MAX as u32).collect(), is_late: true }
    }

    pub(super) fn of(&self, link: LinkId) -> Option<&Slot> {
        self.taken.get(&link)
    }

    /// Gives each link a place, and takes back those of links that are gone. The new ones have to be cleared.
    ///
    /// # Errors
    /// If there are more links than places.
    pub(super) fn assign(&mut self, tables: &Tables) -> Result<Vec<u32>, String> {
        let gone: Vec<_> = self.taken.keys().filter(|link| tables.link(**link).is_none()).copied().collect();
        for link in gone {
            self.free.extend(self.taken.remove(&link).map(|slot| slot.index));
        }
        let mut fresh = Vec::new();
        for link in tables.links() {
            if self.taken.contains_key(&link.id) {
                continue;
            }
            let index = self.free.pop_front().ok_or_else(|| format!("there are more than {LINKS_MAX} links"))?;
            // What is being read in this very moment is soon behind the window's length.
            let slack = if self.is_late { REPLAY_WINDOW } else { 0 };
            let seen_elsewhere = link.state.window.newest().map(|newest| newest + slack);
            self.taken.insert(link.id, Slot { index, seen_elsewhere });
            fresh.push(index);
        }
        self.is_late = false;
        Ok(fresh)
    }
}
