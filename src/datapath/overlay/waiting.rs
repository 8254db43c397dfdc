//! Packets of the interface that wait to be sent, in the order in which they leave.

use std::io;
use std::ops::Range;
use std::task::{Context, Poll};

use prunella_core::limits::{OUTWARD_BYTES_MAX, OUTWARD_PACKETS_MAX};
use prunella_core::overlay::{FairQueue, Flow, OFFLOAD_BYTES, Packet, ecn};

use super::super::port::Port;
use super::{Interface, Overlay};

/// The packets of one queue of the interface.
pub(super) struct Waiting {
    order: FairQueue,
    /// A slot for each; its pages are the machine's only once a packet was long enough.
    bytes: Box<[u8]>,
    lengths: Box<[usize]>,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self {
            order: FairQueue::new(OUTWARD_PACKETS_MAX, OUTWARD_BYTES_MAX),
            bytes: vec![0; OUTWARD_PACKETS_MAX * SLOT_BYTES].into(),
            lengths: vec![0; OUTWARD_PACKETS_MAX].into(),
        }
    }

    /// Takes all that the interface has, as long as there is room, and says which packet is next: the short ones that
    /// stand in it behind long ones have to be seen to be preferred. It stays where it is until [`Waiting::release`].
    pub(super) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        interface: &dyn Interface,
        (port, overlay): (&Port, &Overlay),
    ) -> Poll<io::Result<usize>> {
        let is_empty = self.fill(cx, interface, |flow| overlay.flows.hash(flow), port.clock())?;
        let (bytes, lengths) = (&mut self.bytes, &self.lengths);
        let mark = |slot| bytes[place(slot)][..lengths[slot]].get_mut(OFFLOAD_BYTES..).is_some_and(ecn::mark);
        let next = self.order.pop(port.clock(), mark);
        overlay.counts.dropped_waiting.add(self.order.take_dropped());
        match next {
            Some(slot) => Poll::Ready(Ok(slot)),
            None => {
                // All that waited was dropped, and the interface may have more.
                if !is_empty {
                    cx.waker().wake_by_ref();
                }
                Poll::Pending
            }
        }
    }

    /// Takes what the interface has; whether that was all. No more than there are slots at a time: while what is too much is
    /// dropped there is always room, and whoever fills the interface as fast as it is read would keep anything from leaving.
    fn fill(
        &mut self,
        cx: &mut Context<'_>,
        interface: &dyn Interface,
        name: impl Fn(&Flow) -> u64,
        now: u64,
    ) -> io::Result<bool> {
        for _ in 0..OUTWARD_PACKETS_MAX {
            let Some(slot) = self.order.room() else { break };
            let Poll::Ready(length) = interface.poll_recv(cx, &mut self.bytes[place(slot)]) else { return Ok(true) };
            let length = length?;
            self.lengths[slot] = length;
            // Whatever is no packet of a flow is one of a flow of such, and turned away in its turn.
            let packet = self.bytes[place(slot)][..length].get(OFFLOAD_BYTES..).map(Packet::parse);
            let flow = packet.and_then(Result::ok).map_or(0, |packet| name(&packet.flow));
            self.order.push(flow, length, now);
        }
        Ok(false)
    }

    /// A packet, behind what is left to do on it.
    pub(super) fn packet(&self, slot: usize) -> &[u8] {
        &self.bytes[place(slot)][..self.lengths[slot]]
    }

    /// A packet has left.
    pub(super) fn release(&mut self, slot: usize) {
        self.order.release(slot);
    }
}

const fn place(slot: usize) -> Range<usize> {
    slot * SLOT_BYTES..(slot + 1) * SLOT_BYTES
}

/// The longest packet that an interface hands over, behind what is left to do on it, in bytes.
const SLOT_BYTES: usize = OFFLOAD_BYTES + 65_535;

#[cfg(test)]
mod tests {
    use std::net::IpAddr;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Waker;

    use prunella_core::overlay::Prefix;

    use super::*;

    /// An interface that is filled faster than anybody reads.
    #[derive(Debug, Default)]
    struct Endless {
        read: AtomicUsize,
    }

    impl Interface for Endless {
        fn poll_recv(&self, _: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
            let read = self.read.fetch_add(1, Ordering::Relaxed);
            assert!(read < 100 * OUTWARD_PACKETS_MAX, "nothing would ever leave");
            Poll::Ready(Ok(buffer.len()))
        }

        fn try_send(&self, _: &[u8]) -> io::Result<()> {
            Ok(())
        }

        fn set_route(&self, _: &Prefix, _: Option<IpAddr>, _: bool) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn an_interface_that_is_never_empty_keeps_nothing_from_leaving() {
        let (interface, mut waiting) = (Endless::default(), Waiting::new());
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(!waiting.fill(&mut cx, &interface, |_| 0, 0).unwrap());
            let slot = waiting.order.pop(0, |_| false).unwrap();
            assert_eq!(waiting.packet(slot).len(), SLOT_BYTES);
            waiting.release(slot);
        }
    }
}
