//! Session packets become frames.

use std::cell::RefCell;
use std::io;

use quinn_udp::Transmit;

use prunella_core::frame::{HEADER_BYTES, Header, Kind, stamp};

use super::SessionName;
use super::port::Port;
use super::tables::{Destination, Link, Tables, Way};
use super::underlay::SEND_BYTES_MAX;

thread_local! {
    /// Where frames are put together: one per thread, since the connections of an endpoint send from several.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; SEND_BYTES_MAX].into());
}

impl Port {
    /// Sends what the session endpoint wants to send. Without a usable route it is dropped, as on a broken wire.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if the socket's send buffer is full.
    pub(super) fn send_session(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let now = self.clock();
        let tables = self.tables.load();
        let Some(session) = SessionName::of(transmit.destination) else {
            self.counts.no_route.add(1);
            return Ok(());
        };
        let SessionName { peer: tag, lane } = session;
        let known = tables.destinations.get(&tag);
        if let Some(destination) = known {
            destination.touch(now);
        }
        if known.is_none_or(|destination| destination.installed.is_none()) {
            self.want_route(tag, now);
        }
        match known.and_then(|destination| tables.way(destination, lane)) {
            Some((link, way)) => {
                link.carry();
                self.send_framed(link, way, (Kind::Data, lane), transmit)?;
                if let Some(destination) = known {
                    destination.count_sent(lane, transmit.contents.len());
                    if destination.lane(lane).is_some_and(|ways| ways.own == way) {
                        self.counts.spread.add(segments(transmit) as u64);
                    }
                    self.send_copies(&tables, destination, (lane, way), transmit);
                }
                Ok(())
            }
            None => {
                self.counts.no_route.add(segments(transmit) as u64);
                self.want_route(tag, now);
                Ok(())
            }
        }
    }

    /// While the way in use is in doubt, the same packets leave on another one too, as far as the budget for copies
    /// reaches. The session at the other end takes each packet once, whichever comes first (RFC 9000, section 12.3).
    fn send_copies(
        &self,
        tables: &Tables,
        destination: &Destination,
        (lane, first): (u8, Way),
        transmit: &Transmit<'_>,
    ) {
        let Some((link, way)) = tables.second_way(destination, lane, first) else { return };
        let count = segments(transmit) as u64;
        if !destination.may_copy(transmit.contents.len()) {
            self.counts.copies_over_budget.add(count);
            return;
        }
        // A copy that the socket cannot take now is not missed: its original has left.
        if self.send_framed(link, way, (Kind::Copy, lane), transmit).is_ok() {
            self.counts.copies_sent.add(count);
        }
    }

    fn send_framed(&self, link: &Link, way: Way, (kind, lane): (Kind, u8), transmit: &Transmit<'_>) -> io::Result<()> {
        let (count, stride) = (segments(transmit), stride(transmit));
        let length = transmit.contents.len() + count * HEADER_BYTES;
        if length > SEND_BYTES_MAX {
            self.udp.failed.add(1);
            return Ok(());
        }
        let sequence = link.sequences(count);
        let header = Header { kind, lane, labels: way.labels, source: self.me, path: way.path, sequence }.encode();
        SCRATCH.with_borrow_mut(|scratch| {
            let frames = scratch[..length].chunks_mut(stride + HEADER_BYTES).zip(transmit.contents.chunks(stride));
            for ((frame, packet), sequence) in frames.zip(sequence..) {
                frame[..HEADER_BYTES].copy_from_slice(&header);
                frame[HEADER_BYTES..].copy_from_slice(packet);
                stamp(frame, sequence, &link.send_key);
            }
            self.udp.send(&Transmit {
                destination: link.remote,
                ecn: transmit.ecn,
                contents: &scratch[..length],
                segment_size: (count > 1).then_some(stride + HEADER_BYTES),
                src_ip: None,
            })
        })?;
        link.state.counts.frames_sent.add(count as u64);
        link.state.counts.bytes_sent.add(length as u64);
        Ok(())
    }
}

fn stride(transmit: &Transmit<'_>) -> usize {
    transmit.segment_size.unwrap_or(transmit.contents.len()).max(1)
}

fn segments(transmit: &Transmit<'_>) -> usize {
    transmit.contents.len().div_ceil(stride(transmit))
}
