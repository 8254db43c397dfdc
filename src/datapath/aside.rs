//! Readers beside the session endpoint's driver, where there are processors for them.
//!
//! Each has a socket of its own, bound to the node's address. The kernel deals the senders out among the sockets
//! (`SO_REUSEPORT`), so all that one sends from one address comes to the same reader, in its order. What is for others, for
//! the overlay interface or for the port itself is dealt with by whoever reads it. Session packets are handed over to the
//! session endpoint, whose driver is one task.

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::mem;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use prunella_core::limits::{ASIDE_BYTES_MAX, ASIDE_MESSAGES_MAX};
use quinn::AsyncUdpSocket;
use quinn_udp::{BATCH_SIZE, RecvMeta};
use tokio::task::JoinSet;

use super::port::{Port, lock};
use super::reader::{Reader, TURN};
use super::ring::{Ring, Room};

/// The sockets beside the first, and what comes there for the session endpoint.
#[derive(Debug)]
pub(super) struct Asides {
    /// Until their readers take them.
    sockets: Mutex<Vec<Arc<dyn AsyncUdpSocket>>>,
    pub(super) sessions: Ring,
}

impl Asides {
    /// `None` if there are no such sockets.
    pub(super) fn of(sockets: Vec<Arc<dyn AsyncUdpSocket>>) -> Option<Self> {
        let room = Room { messages: ASIDE_MESSAGES_MAX, bytes: ASIDE_BYTES_MAX, longest: MESSAGE_BYTES };
        let sessions = Ring::with(room);
        (!sockets.is_empty()).then(|| Self { sockets: Mutex::new(sockets), sessions })
    }
}

impl Port {
    /// Starts to read the sockets beside the first, each in a task of its own, until that ends: why. Its socket is closed
    /// then, and the kernel gives what would have come there to the others.
    ///
    /// Until it is called, what comes to those sockets waits there. Call it once.
    pub fn start_readers(self: &Arc<Self>) -> JoinSet<io::Error> {
        let sockets = self.asides.as_ref().map(|asides| mem::take(&mut *lock(&asides.sockets)));
        let mut readers = JoinSet::new();
        for (number, socket) in sockets.into_iter().flatten().enumerate() {
            readers.spawn_on(read(self.clone(), socket, number + 1), self.threads().of(number + 1));
        }
        readers
    }
}

/// Reads a socket until it fails.
async fn read(port: Arc<Port>, socket: Arc<dyn AsyncUdpSocket>, number: usize) -> io::Error {
    let mut reader = Reader::new(number);
    let mut memory = vec![0; BATCH_SIZE * MESSAGE_BYTES];
    let mut chunks = memory.chunks_mut(MESSAGE_BYTES);
    let mut buffers: [IoSliceMut<'_>; BATCH_SIZE] =
        std::array::from_fn(|_| IoSliceMut::new(chunks.next().expect("BUG: there are as many chunks")));
    poll_fn(|cx| poll(&mut reader, &port, &*socket, cx, &mut buffers)).await
}

/// Reads what is there, up to a bounded amount of work.
fn poll(
    reader: &mut Reader,
    port: &Port,
    socket: &dyn AsyncUdpSocket,
    cx: &mut Context<'_>,
    buffers: &mut [IoSliceMut<'_>; BATCH_SIZE],
) -> Poll<io::Error> {
    let mut metas = [RecvMeta::default(); BATCH_SIZE];
    let until = port.clock() + TURN.as_nanos() as u64;
    while port.clock() < until {
        let received = match ready!(port.udp.poll_recv_at(socket, cx, buffers, &mut metas)) {
            Ok(received) => received,
            Err(error) => return Poll::Ready(error),
        };
        let datagrams = metas[..received].iter().map(|meta| meta.len.div_ceil(meta.stride.max(1)) as u64);
        port.counts.read_aside.add(datagrams.sum());
        let kept = reader.sort_batch(port, &mut buffers[..received], &mut metas[..received]);
        hand_over(reader, port, kept, (buffers, &mut metas));
    }
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// Gives the session endpoint what a batch held for it: the first messages, and what was spilled.
fn hand_over(
    reader: &mut Reader,
    port: &Port,
    mut kept: usize,
    (buffers, metas): (&mut [IoSliceMut<'_>], &mut [RecvMeta]),
) {
    let Some(asides) = &port.asides else { return };
    let is_news = kept > 0;
    while kept > 0 {
        for (buffer, meta) in buffers.iter().zip(&*metas).take(kept) {
            if !asides.sessions.push(&buffer[..meta.len], *meta) {
                port.counts.aside_full.add(1);
            }
        }
        kept = reader.hand_over_spilled(buffers, metas);
    }
    if is_news {
        asides.sessions.wake();
    }
}

/// The longest message that a socket hands over: segments that were joined on the way, in bytes.
const MESSAGE_BYTES: usize = 65_536;
