//! The socket under the link endpoint: sends to UDP, receives from the ring that the reader fills.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{RecvMeta, Transmit};

use super::port::Port;

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
        self.0.quic.poll_take(cx, buffers, metas).map(Ok)
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
