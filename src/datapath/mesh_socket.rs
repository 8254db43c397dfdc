//! The socket under the session endpoint: sends frames, and reads the UDP socket for everybody.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::{AsyncUdpSocket, UdpPoller};
use quinn_udp::{RecvMeta, Transmit};

use super::port::{Port, lock};
use super::session_address;

/// See [`Port::mesh_socket`].
#[derive(Debug)]
pub(super) struct MeshSocket(pub(super) Arc<Port>);

impl AsyncUdpSocket for MeshSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.0.udp.poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.0.send_session(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        lock(&self.0.reader).poll(&self.0, cx, buffers, metas)
    }

    /// An IPv6 address, or the endpoint would refuse to dial IPv6 addresses.
    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(session_address(self.0.me))
    }

    fn max_transmit_segments(&self) -> usize {
        self.0.udp.send_segments_max()
    }

    fn max_receive_segments(&self) -> usize {
        self.0.udp.receive_segments_max()
    }

    fn may_fragment(&self) -> bool {
        self.0.udp.may_fragment()
    }
}
