//! Messages between who reads a socket and the endpoint that they are for.

use std::collections::VecDeque;
use std::fmt;
use std::io::IoSliceMut;
use std::sync::Mutex;
use std::task::{Context, Poll, Waker};

use quinn_udp::RecvMeta;

use super::port::lock;

/// A bounded queue of messages. When it is full, the newest is dropped, as a full socket buffer would do.
pub(super) struct Ring {
    room: Room,
    waiting: Mutex<Waiting>,
}

/// What a ring has room for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Most messages that wait.
    pub(super) messages: usize,
    /// Most bytes of them.
    pub(super) bytes: usize,
    /// The longest message, in bytes.
    pub(super) longest: usize,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<(RecvMeta, Vec<u8>)>,
    bytes: usize,
    /// Buffers that were used before, so that steady traffic allocates nothing.
    spare: Vec<Vec<u8>>,
    reader: Option<Waker>,
}

impl Ring {
    pub(super) fn with(room: Room) -> Self {
        Self { room, waiting: Mutex::default() }
    }

    /// Copies one message in; `false` if it was dropped. The endpoint is woken by [`Ring::wake`].
    pub(super) fn push(&self, bytes: &[u8], meta: RecvMeta) -> bool {
        let (room, mut waiting) = (self.room, lock(&self.waiting));
        let is_full = waiting.messages.len() >= room.messages || waiting.bytes + bytes.len() > room.bytes;
        if is_full || bytes.len() > room.longest {
            return false;
        }
        let mut copy = waiting.spare.pop().unwrap_or_default();
        copy.clear();
        copy.extend_from_slice(bytes);
        waiting.bytes += copy.len();
        waiting.messages.push_back((meta, copy));
        true
    }

    /// Wakes whoever found nothing here.
    pub(super) fn wake(&self) {
        let reader = lock(&self.waiting).reader.take();
        if let Some(reader) = reader {
            reader.wake();
        }
    }

    /// Moves messages to the buffers, one to each, and returns how many. What does not fit its buffer is lost.
    pub(super) fn poll_take(
        &self,
        cx: &Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<usize> {
        let mut waiting = lock(&self.waiting);
        let mut taken = 0;
        while taken < buffers.len().min(metas.len()) {
            let Some((meta, bytes)) = waiting.messages.pop_front() else { break };
            waiting.bytes -= bytes.len();
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

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring").field("room", &self.room).finish_non_exhaustive()
    }
}

/// Most unused buffers kept.
const SPARE_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn take(ring: &Ring, most: usize) -> Vec<usize> {
        let mut memory = vec![[0; 100]; most];
        let mut buffers: Vec<IoSliceMut<'_>> = memory.iter_mut().map(|bytes| IoSliceMut::new(bytes)).collect();
        let mut metas = vec![RecvMeta::default(); most];
        match ring.poll_take(&Context::from_waker(Waker::noop()), &mut buffers, &mut metas) {
            Poll::Ready(count) => metas[..count].iter().map(|meta| meta.len).collect(),
            Poll::Pending => Vec::new(),
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_dropped_and_what_was_taken_makes_room() {
        let ring = Ring::with(Room { messages: 3, bytes: 100, longest: 60 });
        let push = |bytes: usize| ring.push(&[7; 100][..bytes], RecvMeta { len: bytes, ..RecvMeta::default() });
        assert!(!push(61), "too long");
        assert!(push(60) && push(30) && !push(11), "too many bytes");
        assert!(push(10) && !push(0), "too many messages");
        assert_eq!(take(&ring, 2), [60, 30]);
        assert!(push(60) && push(30) && !push(1));
        assert_eq!(take(&ring, 9), [10, 60, 30]);
        assert!(take(&ring, 1).is_empty());
    }

    #[test]
    fn what_does_not_fit_its_buffer_is_lost_and_nothing_else() {
        let ring = Ring::with(Room { messages: 9, bytes: 1000, longest: 200 });
        for len in [90, 101, 80] {
            assert!(ring.push(&[7; 101][..len], RecvMeta { len, ..RecvMeta::default() }));
        }
        assert_eq!(take(&ring, 9), [90, 80]);
    }
}
