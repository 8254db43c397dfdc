//! The socket under the link endpoint: sends to UDP, receives from the ring that the reader fills.

use std::collections::VecDeque;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{RecvMeta, Transmit};

use prunella_core::limits::LINK_PACKET_QUEUE_MAX;

use super::port::{Port, lock};

/// See [`Port::link_socket`].
#[derive(Debug)]
pub(super) struct LinkSocket(pub(super) Arc<Port>);

impl AsyncUdpSocket for LinkSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.0.udp.poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.udp.send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.0.ring.poll_take(cx, buffers, metas).map(Ok)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.0.udp.local_addr())
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.udp.send_segments_max()
    }

    /// The ring holds single packets: control traffic is not worth the memory of large buffers.
    fn max_receive_segments(&self) -> usize {
        1
    }

    fn may_fragment(&self) -> bool {
        self.0.udp.may_fragment()
    }
}

/// QUIC packets between the reader of the socket and the link endpoint. When it is full, the newest packet is dropped, as
/// a full socket buffer would do.
#[derive(Debug, Default)]
pub(super) struct Ring(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    packets: VecDeque<(RecvMeta, Vec<u8>)>,
    /// Buffers that were used before, so that steady traffic allocates nothing.
    spare: Vec<Vec<u8>>,
    reader: Option<Waker>,
}

impl Ring {
    /// Copies one packet in; `false` if it was dropped. The endpoint is woken by [`Ring::wake`].
    pub(super) fn push(&self, packet: &[u8], meta: &RecvMeta) -> bool {
        let mut waiting = lock(&self.0);
        if packet.len() > PACKET_BYTES_MAX || waiting.packets.len() >= LINK_PACKET_QUEUE_MAX {
            return false;
        }
        let mut bytes = waiting.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(packet);
        let (len, stride) = (packet.len(), packet.len());
        waiting.packets.push_back((RecvMeta { len, stride, ..*meta }, bytes));
        true
    }

    pub(super) fn wake(&self) {
        let reader = lock(&self.0).reader.take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    fn poll_take(&self, cx: &Context<'_>, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> Poll<usize> {
        let mut waiting = lock(&self.0);
        let mut taken = 0;
        while taken < buffers.len().min(metas.len()) {
            let Some((meta, bytes)) = waiting.packets.pop_front() else { break };
            if let Some(room) = buffers[taken].get_mut(..bytes.len()) {
                room.copy_from_slice(&bytes);
                metas[taken] = meta;
                taken += 1;
            }
            if waiting.spare.len() < SPARE_MAX {
                waiting.spare.push(bytes);
            }
        }
        if taken > 0 {
            return Poll::Ready(taken);
        }
        waiting.reader = Some(cx.waker().clone());
        Poll::Pending
    }
}

/// Longest QUIC packet that is passed on, in bytes: more than any Ethernet carries.
const PACKET_BYTES_MAX: usize = 2048;
/// Most unused buffers kept.
const SPARE_MAX: usize = 64;
