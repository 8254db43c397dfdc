//! What the datapath counts.

use std::sync::atomic::{AtomicU64, Ordering};

use prunella_core::{Label, LinkId, PeerId, Rejected};

/// What a port has counted since it was bound, apart from what each link counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// QUIC packets received for the link endpoint.
    pub quic_received: u64,
    /// QUIC packets dropped because the link endpoint did not take them in time, or because they were too long.
    pub quic_dropped: u64,
    /// Frames from an address that belongs to no link.
    pub unknown_source: u64,
    /// Frames turned away, by reason, on all links: in the order of [`Rejected::ALL`].
    pub rejected: [u64; Rejected::ALL.len()],
    /// Datagrams of sources that are shut out.
    pub shut_out: u64,
    /// Datagrams of sources that sent more than they may; only the kernel's program counts so finely.
    pub over_rate: u64,
    /// Frames passed on to another node.
    pub forwarded: u64,
    /// Those among them that the kernel's program passed on.
    pub forwarded_in_kernel: u64,
    /// Frames that could not be passed on because their label leads to no usable link.
    pub no_link: u64,
    /// Session packets dropped because there is no usable route to their destination.
    pub no_route: u64,
    /// Frames dropped because the socket's send buffer was full while forwarding or replying.
    pub send_full: u64,
    /// Sends that the operating system refused for any other reason.
    pub send_failed: u64,
    /// Datagrams lost on purpose, see [`Impairment`](super::Impairment).
    pub faulted: u64,
    /// Datagrams held back on purpose.
    pub held: u64,
    /// Datagrams that went twice on purpose.
    pub doubled: u64,
    /// Probes answered.
    pub probes_answered: u64,
    /// Path errors sent.
    pub path_errors_sent: u64,
    /// Frames sent on the path of a lane of its own, beside the route.
    pub spread: u64,
    /// Frames sent on a second path as well, because the first one was in doubt.
    pub copies_sent: u64,
    /// Frames that were not, because the budget for copies was used up.
    pub copies_over_budget: u64,
    /// Frames that came for this node on a second path as well. Sessions take each packet once.
    pub copies_received: u64,
    /// Events that found their queue full.
    pub events_dropped: u64,
    /// Session packets that took the slow way because a batch mixed several sessions.
    pub spilled: u64,
    /// Datagrams that another reader than the session endpoint's driver took.
    pub read_aside: u64,
    /// Messages of session packets that another reader took and the session endpoint did not, in time.
    pub aside_full: u64,
}

impl Counters {
    /// How many frames were turned away for `reason`, on all links.
    pub fn rejected_for(&self, reason: Rejected) -> u64 {
        self.rejected[index(reason)]
    }

    #[cfg(feature = "ebpf")]
    pub(super) fn add_rejected(&mut self, reason: Rejected, count: u64) {
        self.rejected[index(reason)] += count;
    }
}

/// One link and what it has carried since it was installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkStats {
    /// The link.
    pub id: LinkId,
    /// The neighbor at its other end.
    pub peer: PeerId,
    /// This node's label for it.
    pub label: Label,
    /// Whether data may be sent over it.
    pub usable: bool,
    /// Whether the neighbor may use this node as a relay.
    pub may_relay: bool,
    /// Frames sent.
    pub frames_sent: u64,
    /// Bytes of frames sent, headers included.
    pub bytes_sent: u64,
    /// Authentic frames received.
    pub frames_received: u64,
    /// Bytes of authentic frames received, headers included.
    pub bytes_received: u64,
    /// Frames received here and passed on to another node.
    pub forwarded: u64,
    /// Frames that came or went and are no probes of the link itself, nor their echoes; those sent at once count as one.
    pub carried: u64,
    /// Frames turned away, by reason: in the order of [`Rejected::ALL`].
    pub rejected: [u64; Rejected::ALL.len()],
    /// Time since the last authentic frame, in milliseconds; `None` before the first.
    pub silent_ms: Option<u64>,
}

impl LinkStats {
    /// How many frames were turned away for `reason`.
    pub fn rejected_for(&self, reason: Rejected) -> u64 {
        self.rejected[index(reason)]
    }

    #[cfg(feature = "ebpf")]
    pub(super) fn add_rejected(&mut self, reason: Rejected, count: u64) {
        self.rejected[index(reason)] += count;
    }
}

/// One number that only grows. Relaxed: a reader may see several numbers of different moments.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One number per reason.
#[derive(Debug, Default)]
pub(super) struct Rejections([Count; Rejected::ALL.len()]);

impl Rejections {
    pub(super) fn add(&self, reason: Rejected) {
        self.0[index(reason)].add(1);
    }

    pub(super) fn read(&self) -> [u64; Rejected::ALL.len()] {
        std::array::from_fn(|i| self.0[i].read())
    }
}

/// The live form of [`Counters`].
#[derive(Debug, Default)]
pub(super) struct PortCounts {
    pub(super) quic_received: Count,
    pub(super) quic_dropped: Count,
    pub(super) unknown_source: Count,
    pub(super) rejected: Rejections,
    pub(super) shut_out: Count,
    pub(super) forwarded: Count,
    pub(super) no_link: Count,
    pub(super) no_route: Count,
    pub(super) send_full: Count,
    pub(super) probes_answered: Count,
    pub(super) path_errors_sent: Count,
    pub(super) spread: Count,
    pub(super) copies_sent: Count,
    pub(super) copies_over_budget: Count,
    pub(super) copies_received: Count,
    pub(super) events_dropped: Count,
    pub(super) spilled: Count,
    pub(super) read_aside: Count,
    pub(super) aside_full: Count,
}

/// The live form of what a link counts in [`LinkStats`].
#[derive(Debug, Default)]
pub(super) struct LinkCounts {
    pub(super) frames_sent: Count,
    pub(super) bytes_sent: Count,
    pub(super) frames_received: Count,
    pub(super) bytes_received: Count,
    pub(super) forwarded: Count,
    pub(super) carried: Count,
    pub(super) rejected: Rejections,
}

fn index(reason: Rejected) -> usize {
    Rejected::ALL.iter().position(|&r| r == reason).expect("BUG: ALL lists every reason")
}
