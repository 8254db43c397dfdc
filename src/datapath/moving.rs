//! Neighbors whose frames come from another address than before: a host in another network, a router that has forgotten.
//!
//! ```text
//! a link's probe from an address without a link: authentic, newer than all before
//!         └─> it is answered there, and asked there whether it is there (a probe with a cookie)
//! the answer to that, from there: authentic, newer than all before, with the cookie
//!         └─> the link leads there
//! ```
//!
//! So traffic follows a neighbor within a round trip of its first probe, and nobody draws it to an address by bringing frames
//! from there that were captured elsewhere: what was sent to the address has to come back, as QUIC has it (RFC 9000, section
//! 8.2). QUIC itself notices a move when it next sends something, and only that of whoever dialed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use prunella_core::frame::{Frame, Kind, Labels, PROBE_BYTES};

use super::event::Event;
use super::port::Port;
use super::tables::{Link, Tables, canonical, reachable_from};

impl Port {
    /// Takes a frame from an address without a link, if it is a neighbor's that has moved there; otherwise nobody knows who
    /// sent it.
    pub(super) fn take_moved(&self, tables: &Tables, segment: &mut [u8], from: SocketAddr, now: u64) -> bool {
        let length = segment.len() as u64;
        let Ok(frame) = Frame::parse(segment) else { return false };
        let mut named = tables.links().filter(|link| link.tag == frame.source()).peekable();
        let is_probe = frame.is_link_probe() && frame.next_label().is_none();
        // Only what is marked as a neighbor's takes from what may be looked at.
        if !is_probe || named.peek().is_none() || !self.wanderers.allows(now) {
            return false;
        }
        let authentic = |link: &&Arc<Link>| frame.verify(&link.receive_key).is_ok();
        let Some(link) = named.filter(authentic).last() else { return false };
        if !link.state.window.is_newest(frame.sequence()) || link.state.window.accept(frame.sequence()).is_err() {
            return false;
        }
        link.state.counts.frames_received.add(1);
        link.state.counts.bytes_received.add(length);
        link.state.heard_at.store(now, Ordering::Relaxed);
        let there = Link { remote: reachable_from(self.local_addr(), from), ..Link::clone(link) };
        let cookie = link.send_key.cookie(canonical(from));
        match frame.kind() {
            Kind::Probe if link.state.moves.allows(now) => {
                if let Err(reason) = self.answer_probe(&there, &frame, now) {
                    self.counts.rejected.add(reason);
                }
                let mut payload = [0; PROBE_BYTES];
                payload[..8].copy_from_slice(&cookie.to_be_bytes());
                payload[8..].copy_from_slice(&now.to_be_bytes());
                self.send_own(&there, Kind::Probe, Labels::NONE, 0, &payload);
            }
            Kind::Echo if frame.payload()[..8] == cookie.to_be_bytes() => self.lead(there),
            _ => {}
        }
        true
    }

    /// Has a link lead somewhere else.
    fn lead(&self, there: Link) {
        let (link, remote) = (there.id, canonical(there.remote));
        self.change_links(|tables| {
            if tables.link(link).is_some() {
                tables.put_link(there);
            }
        });
        self.emit(Event::LinkMoved { link, remote });
    }
}
