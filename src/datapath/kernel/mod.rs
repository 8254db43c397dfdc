//! The kernel's half of the datapath: a packet program (XDP) that drops what is for nobody and passes on what is for others.
//!
//! User space decides what the program may do, and hears what it did: [`Port::attach_kernel`] loads it; from then on every
//! change of a link is written into its maps **before** the reader of the socket sees it, and what it has counted is part of
//! what the port counts. What the program is not sure of comes up through the socket as ever. It is gone with the process,
//! however that ends. Without the feature `ebpf` there is no program, and the port does everything itself.

#[cfg(feature = "ebpf")]
mod abilities;
#[cfg(not(feature = "ebpf"))]
mod absent;
#[cfg(feature = "ebpf")]
mod addresses;
#[cfg(feature = "ebpf")]
mod clock;
#[cfg(feature = "ebpf")]
mod loaded;
#[cfg(feature = "ebpf")]
mod maps;
#[cfg(feature = "ebpf")]
mod observer;
#[cfg(feature = "ebpf")]
mod picture;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prunella_core::Tag;
use prunella_core::limits::SHUT_OUT_ADDRESSES_MAX;

use super::counters::{Counters, LinkStats};
use super::event::Event;
use super::port::{Port, lock};
use super::tables::{Tables, canonical};

#[cfg(not(feature = "ebpf"))]
pub(super) use absent::Kernel;
#[cfg(feature = "ebpf")]
pub(super) use loaded::Kernel;

/// Where the program was attached, and what an operator should know about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// The interfaces that it is attached to, each with how: in the driver, or in the kernel's generic part.
    pub interfaces: Vec<(String, AttachMode)>,
    /// What is less than was asked for: an interface that could not be had, or one over which the kernel will not forward.
    pub shortcomings: Vec<String>,
}

/// Where on its way a packet meets the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachMode {
    /// In the interface's driver, before the kernel has made a buffer of its own for it.
    Native,
    /// In the part of the kernel that is the same for all interfaces: slower, and works everywhere.
    Generic,
}

/// Why nothing is forwarded in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KernelError {
    /// This program was built without the feature `ebpf`.
    #[error("this program was built without the feature `ebpf`")]
    NotBuilt,
    /// There is one already, and there can only be one: its sequence numbers go on.
    #[error("a program is attached already")]
    AttachedAlready,
    /// The kernel does not take the program: no privilege, or too old.
    #[error("the kernel does not take the program: {0}")]
    Refused(String),
    /// No interface can be had.
    #[error("no interface can be had: {0}")]
    NoInterface(String),
}

impl Port {
    /// Loads the kernel's packet program and attaches it to these interfaces; it stays until the port is dropped. Call it once,
    /// within the network namespace of the socket.
    ///
    /// # Errors
    /// [`KernelError`] if nothing is forwarded in the kernel. The port goes on in user space, as without this call.
    pub fn attach_kernel(&self, interfaces: &[String]) -> Result<Attached, KernelError> {
        let _writing = lock(&self.writing);
        if self.kernel.get().is_some() {
            return Err(KernelError::AttachedAlready);
        }
        self.load_kernel(interfaces).inspect_err(|error| _ = self.kernel_refused.set(error.clone()))
    }

    fn load_kernel(&self, interfaces: &[String]) -> Result<Attached, KernelError> {
        let kernel = Kernel::load(self.udp.local_addr())?;
        kernel.mirror(&self.tables.load(), self.udp.is_impaired()).map_err(KernelError::Refused)?;
        let attached = kernel.attach(interfaces)?;
        // Nobody else sets it while this holds the lock.
        let _ = self.kernel.set(kernel);
        Ok(attached)
    }

    /// Drops all datagrams from these addresses, the first [`SHUT_OUT_ADDRESSES_MAX`] of them, in place of those that were
    /// named before. Links to them stay and hear nothing.
    pub fn shut_out(&self, addresses: &BTreeSet<SocketAddr>) {
        let addresses: BTreeSet<_> =
            addresses.iter().map(|address| canonical(*address)).take(SHUT_OUT_ADDRESSES_MAX).collect();
        if self.tables.load().shut_out != addresses {
            self.change_links(|tables| tables.shut_out = addresses);
        }
    }

    /// As [`Port::change`], for what the kernel's program has to know. It knows it first: of a new link it has then seen
    /// everything that user space will not.
    pub(super) fn change_links(&self, change: impl FnOnce(&mut Tables)) {
        let _writing = lock(&self.writing);
        let mut tables = Tables::clone(&self.tables.load());
        change(&mut tables);
        self.mirror(&tables);
        self.tables.store(Arc::new(tables));
    }

    /// Writes what has changed beside the tables into the program's maps.
    pub(super) fn tell_kernel(&self) {
        let _writing = lock(&self.writing);
        self.mirror(&self.tables.load());
    }

    fn mirror(&self, tables: &Tables) {
        let Some(kernel) = self.kernel.get() else { return };
        if let Err(reason) = kernel.mirror(tables, self.udp.is_impaired()) {
            kernel.detach();
            self.emit(Event::KernelLeft { reason });
        }
    }

    pub(super) fn add_kernel_counts(&self, counters: &mut Counters) {
        if let Some(kernel) = self.kernel.get() {
            kernel.add_to_counters(counters);
        }
    }

    pub(super) fn add_kernel_stats(&self, stats: &mut [LinkStats]) {
        if let Some(kernel) = self.kernel.get() {
            kernel.add_to_stats(stats);
        }
    }

    /// What there is of the kernel's half.
    pub fn kernel_state(&self) -> KernelState {
        match (self.kernel.get().map(Kernel::attached), self.kernel_refused.get()) {
            (Some(Some(attached)), _) => KernelState::Attached(attached),
            (Some(None), _) => KernelState::Left,
            (None, Some(error)) => KernelState::Refused(error.clone()),
            (None, None) => KernelState::Unwanted,
        }
    }

    /// What the kernel has seen of each neighbor's datagrams. Empty where it does not observe links.
    pub fn observed(&self) -> Vec<Observed> {
        self.kernel.get().map(Kernel::observed).unwrap_or_default()
    }

    /// The nodes to which programs of this host send over TCP, by the overlay interface, of those to which something was sent
    /// anew (RFC 9293, section 3.8.1): how many segments. Empty where the kernel does not observe links.
    pub fn sent_anew(&self) -> Vec<(Tag, u64)> {
        self.kernel.get().map(Kernel::sent_anew).unwrap_or_default()
    }

    /// The sources without a link that the program has seen, with how many datagrams of each it let pass and dropped; those
    /// that are shut out among them. Empty without a program.
    pub fn guarded_sources(&self) -> Vec<GuardedSource> {
        self.kernel.get().map(Kernel::sources).unwrap_or_default()
    }
}

/// What there is of the half of the datapath that is in the kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KernelState {
    /// Nobody asked for it.
    Unwanted,
    /// It was asked for and cannot be had.
    Refused(KernelError),
    /// It could not be told of a change and was detached.
    Left,
    /// It is there.
    Attached(Attached),
}

/// What the kernel has seen of a neighbor's datagrams, on the interfaces that a program is attached to. Nothing of it is
/// authenticated; it is for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observed {
    /// Where the neighbor is.
    pub neighbor: SocketAddr,
    /// Probes of the link that came back.
    pub echoes: u64,
    /// How long they were away: a moving mean, without the time that they or their echoes waited for this process.
    pub rtt: Duration,
    /// The least of it.
    pub rtt_least: Duration,
    /// Datagrams of the neighbor that this host's kernel dropped: a firewall, a full socket.
    pub dropped_in: u64,
    /// Datagrams for it that this host's kernel dropped: a firewall, a full queue, no way.
    pub dropped_out: u64,
}

/// A source that the program has watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardedSource {
    /// Its address; the port is 0 if it stands for all of them.
    pub source: SocketAddr,
    /// Whether it is shut out.
    pub shut_out: bool,
    /// Datagrams that went up to user space.
    pub passed: u64,
    /// Datagrams dropped.
    pub dropped: u64,
}
