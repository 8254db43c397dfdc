//! Session packets that do not fit the form in which a batch is handed over.
//!
//! The session endpoint takes, per buffer, packets of one source and one length. A batch that was merged on the way may
//! mix sources: the first one's packets stay in the buffer, the others' are copied here, grouped, and handed over next.
//! Once a source has packets here, its later ones follow them, so that no source sees its packets reordered.

use std::collections::VecDeque;
use std::io::IoSliceMut;

use quinn_udp::{EcnCodepoint, RecvMeta};

use super::SessionName;

/// The groups that wait to be handed over. The reader receives nothing new before they are gone.
#[derive(Default)]
pub(super) struct Spill {
    groups: VecDeque<Group>,
    /// Buffers that were used before, so that steady traffic allocates nothing.
    spare: Vec<Vec<u8>>,
}

struct Group {
    source: SessionName,
    ecn: Option<EcnCodepoint>,
    stride: usize,
    bytes: Vec<u8>,
}

impl Spill {
    /// Whether packets of a session wait here.
    pub(super) fn holds(&self, source: SessionName) -> bool {
        self.groups.iter().any(|group| group.source == source)
    }

    /// Copies a packet in; `false` if there is no room for it.
    pub(super) fn take(&mut self, packet: &[u8], source: SessionName, ecn: Option<EcnCodepoint>) -> bool {
        let newest = self.groups.iter_mut().rev().find(|group| group.source == source);
        if let Some(group) = newest
            && group.fits(packet, ecn)
        {
            group.bytes.extend_from_slice(packet);
            return true;
        }
        if self.groups.len() >= GROUPS_MAX {
            return false;
        }
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(packet);
        self.groups.push_back(Group { source, ecn, stride: packet.len(), bytes });
        true
    }

    /// Moves groups to the buffers, one to each, and returns how many.
    pub(super) fn hand_over(&mut self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        let count = self.groups.len().min(buffers.len()).min(metas.len());
        for ((group, buffer), meta) in self.groups.drain(..count).zip(buffers).zip(metas) {
            let Group { source, ecn, stride, bytes } = group;
            // An endpoint with smaller buffers than the module's documentation asks for gets what fits, in whole packets.
            let len = if bytes.len() <= buffer.len() { bytes.len() } else { buffer.len() / stride * stride };
            buffer[..len].copy_from_slice(&bytes[..len]);
            *meta = RecvMeta { addr: source.address(), len, stride, ecn, dst_ip: None };
            self.spare.push(bytes);
        }
        count
    }
}

impl Group {
    fn fits(&self, packet: &[u8], ecn: Option<EcnCodepoint>) -> bool {
        self.ecn == ecn
            && self.bytes.len().is_multiple_of(self.stride)
            && packet.len() <= self.stride
            && self.bytes.len() + packet.len() <= GROUP_BYTES_MAX
    }
}

/// Most groups that wait; the packets of more are dropped. More sources than this in one batch are hostile.
const GROUPS_MAX: usize = 64;
/// Most bytes in a group: the session endpoint's buffers hold 64 packets of [`SESSION_RECEIVE_BYTES`](super::SESSION_RECEIVE_BYTES).
const GROUP_BYTES_MAX: usize = 60_000;
