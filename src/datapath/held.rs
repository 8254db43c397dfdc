//! Datagrams that a fault holds back, until they are due.

use std::collections::BTreeMap;
use std::io::IoSliceMut;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Waker};

use prunella_core::limits::FAULT_QUEUE_MAX;
use quinn::AsyncUdpSocket;
use quinn_udp::{EcnCodepoint, RecvMeta, Transmit};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::faults::{Direction, Faults};
use super::port::lock;

/// A datagram with what belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Datagram {
    /// Whither, or whence.
    pub(super) address: SocketAddr,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) dst_ip: Option<IpAddr>,
    pub(super) bytes: Vec<u8>,
}

/// The datagrams held back in both directions, [`FAULT_QUEUE_MAX`] at most; beyond them a datagram is lost.
#[derive(Debug, Default)]
pub(super) struct Held {
    waiting: Mutex<Waiting>,
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Waiting {
    sent: Queue,
    received: Queue,
    /// Tells datagrams apart that are due at the same time, in the order in which they came.
    next: u64,
    reader: Option<Waker>,
    pumped: bool,
}

/// In the order in which they are due.
type Queue = BTreeMap<(Instant, u64), Datagram>;

impl Held {
    /// Holds a datagram back until `due`; `false` if there are too many already.
    pub(super) fn push(&self, direction: Direction, due: Instant, datagram: Datagram) -> bool {
        let mut waiting = lock(&self.waiting);
        if waiting.sent.len() + waiting.received.len() >= FAULT_QUEUE_MAX {
            return false;
        }
        let key = (due, waiting.next);
        waiting.next += 1;
        match direction {
            Direction::Sent => waiting.sent.insert(key, datagram),
            Direction::Received => waiting.received.insert(key, datagram),
        };
        drop(waiting);
        self.changed.notify_one();
        true
    }

    /// Loses whatever is held back.
    pub(super) fn clear(&self) {
        let mut waiting = lock(&self.waiting);
        waiting.sent.clear();
        waiting.received.clear();
    }

    /// Hands over received datagrams that are due; their reader is woken when there are more.
    pub(super) fn hand_over(&self, cx: &Context<'_>, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        let (mut waiting, now) = (lock(&self.waiting), Instant::now());
        waiting.reader = Some(cx.waker().clone());
        let mut handed = 0;
        while handed < buffers.len().min(metas.len()) {
            let Some(first) = waiting.received.first_entry().filter(|first| first.key().0 <= now) else { break };
            let Datagram { address, ecn, dst_ip, bytes } = first.remove();
            if let Some(room) = buffers[handed].get_mut(..bytes.len()) {
                room.copy_from_slice(&bytes);
                let (len, stride) = (bytes.len(), bytes.len());
                metas[handed] = RecvMeta { addr: address, len, stride, ecn, dst_ip };
                handed += 1;
            }
        }
        handed
    }

    /// Makes sure that what is due leaves, or wakes the reader. Call it within a tokio runtime.
    pub(super) fn start(&self, faults: &Arc<Faults>, socket: &Arc<dyn AsyncUdpSocket>) {
        if !std::mem::replace(&mut lock(&self.waiting).pumped, true) {
            tokio::spawn(pump(Arc::downgrade(faults), Arc::clone(socket), Arc::clone(&self.changed)));
        }
    }

    /// Takes out what is to be sent by now, and says when the next datagram of either direction is due.
    fn take_due(&self) -> (Vec<Datagram>, Option<Instant>) {
        let (mut waiting, now) = (lock(&self.waiting), Instant::now());
        let mut due = Vec::new();
        while let Some(first) = waiting.sent.first_entry().filter(|first| first.key().0 <= now) {
            due.push(first.remove());
        }
        let to_read = waiting.received.keys().next().map(|(at, _)| *at);
        if to_read.is_some_and(|at| at <= now)
            && let Some(reader) = waiting.reader.take()
        {
            reader.wake();
        }
        let to_send = waiting.sent.keys().next().map(|(at, _)| *at);
        // What is due to be read was told to the reader; it takes it in its own time.
        (due, [to_send, to_read.filter(|at| *at > now)].into_iter().flatten().min())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// Sends what is due and wakes the reader for what it may read, for as long as the faults' owner lives.
async fn pump(faults: Weak<Faults>, socket: Arc<dyn AsyncUdpSocket>, changed: Arc<Notify>) {
    while let Some(faults) = faults.upgrade() {
        let (due, next) = faults.held.take_due();
        drop(faults);
        for Datagram { address: destination, ecn, bytes, .. } in due {
            // A full send buffer loses it, as a full queue of a bad link would.
            let _ = socket.try_send(&Transmit { destination, ecn, contents: &bytes, segment_size: None, src_ip: None });
        }
        match next {
            Some(next) => tokio::select! {
                () = sleep_until(next) => {}
                () = changed.notified() => {}
            },
            None => changed.notified().await,
        }
    }
}
