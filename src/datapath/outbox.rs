//! Runs of frames on their way to the next hop, sent with as few system calls as they allow.

use std::sync::Arc;

use quinn_udp::EcnCodepoint;

use super::port::Port;
use super::tables::Link;
use super::underlay::SEND_BYTES_MAX;

/// Frames of equal length for one link, lying one after the other; only the last may be shorter.
#[derive(Clone, Copy)]
pub(super) struct Run<'a> {
    pub(super) link: &'a Arc<Link>,
    pub(super) bytes: &'a [u8],
    /// The length of each frame but the last, in bytes.
    pub(super) stride: usize,
    /// As it was received: a relay neither sets nor clears congestion marks.
    pub(super) ecn: Option<EcnCodepoint>,
}

/// Joins runs for the same link into one send. A batch leaves nothing behind: call [`Outbox::flush`] at its end.
pub(super) struct Outbox {
    joined: Box<[u8]>,
    filled: usize,
    /// Link, stride and congestion mark of what is joined; `None` while nothing is.
    head: Option<(Arc<Link>, usize, Option<EcnCodepoint>)>,
}

impl Outbox {
    pub(super) fn new() -> Self {
        Self { joined: vec![0; SEND_BYTES_MAX].into(), filled: 0, head: None }
    }

    /// Takes a run. A long one, or the only one of its batch, leaves from where it lies; others are joined.
    pub(super) fn push(&mut self, port: &Port, run: Run<'_>, alone: bool) {
        let most = run.stride * port.udp.send_segments_max().min(SEND_BYTES_MAX / run.stride);
        if alone || run.bytes.len() >= LONG_RUN_BYTES.min(most) {
            self.flush(port);
            for bytes in run.bytes.chunks(most) {
                port.send_run(Run { bytes, ..run });
            }
            return;
        }
        if !self.takes(&run, most) {
            self.flush(port);
        }
        self.joined[self.filled..self.filled + run.bytes.len()].copy_from_slice(run.bytes);
        self.filled += run.bytes.len();
        self.head.get_or_insert_with(|| (run.link.clone(), run.stride, run.ecn));
    }

    /// Sends what is left.
    pub(super) fn flush(&mut self, port: &Port) {
        if let Some((link, stride, ecn)) = self.head.take() {
            port.send_run(Run { link: &link, bytes: &self.joined[..self.filled], stride, ecn });
        }
        self.filled = 0;
    }

    fn takes(&self, run: &Run<'_>, most: usize) -> bool {
        let Some((link, stride, ecn)) = &self.head else { return true };
        let ends_even = self.filled.is_multiple_of(*stride);
        let fits_stride = run.stride == *stride || (run.stride == run.bytes.len() && run.stride < *stride);
        Arc::ptr_eq(link, run.link)
            && *ecn == run.ecn
            && ends_even
            && fits_stride
            && self.filled + run.bytes.len() <= most.max(*stride)
    }
}

/// From this length on, joining would cost more than the system call that it saves, in bytes.
const LONG_RUN_BYTES: usize = 32 * 1024;
