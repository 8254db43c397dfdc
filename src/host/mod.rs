//! What a node takes from the machine that it runs on: sockets, a disk, the wall clock, randomness.
//!
//! Everything else that a node knows of the world comes over its sockets, and its other clock is the runtime's. So a node
//! that is given another host runs in another world: over a network in memory, from a seed, in virtual time.
//!
//! Keys, certificates and what TLS draws come from the operating system whatever the host is: nobody may be able to
//! predict them by mistake.

mod connections;
mod disturbed;
mod machine;
mod process;
mod scheduling;
mod vault;
mod wall_clock;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use prunella_storage::log::{AnyLog, Found, Log, LogError};
use prunella_storage::{Entry, Store, StoreError, Tree};
use quinn::AsyncUdpSocket;
use tokio::task::JoinError;

use crate::datapath::{DatapathError, Interface, InterfaceSetup, Threads};

pub use connections::next_connection;
pub use disturbed::Disturbed;
pub use machine::Machine;
pub use process::Process;
pub(crate) use scheduling::be_nice;
pub use vault::Vault;
pub use wall_clock::WallClock;

/// What a process uses of its machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Processor time since it began, on all processors.
    pub processor: Duration,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Open file descriptors.
    pub descriptors: u64,
}

/// A machine on which a node can run.
pub trait Host: Send + Sync + 'static {
    /// Threads for the packets of a node; by default none of their own. Called within the node's runtime.
    fn threads(&self) -> Threads {
        Threads::current()
    }

    /// A socket bound to `address`; if its port is 0, the host chooses. Called within the node's runtime.
    ///
    /// # Errors
    /// If the address cannot be bound.
    fn bind(&self, address: SocketAddr) -> Result<Arc<dyn AsyncUdpSocket>, DatapathError>;

    /// As [`bind`](Self::bind), as many sockets as asked for that share the address, each to be read by the thread of its number;
    /// one where the host deals nobody out.
    ///
    /// # Errors
    /// If the address cannot be bound.
    fn bind_several(
        &self,
        address: SocketAddr,
        _sockets: usize,
        _threads: &Threads,
    ) -> Result<Vec<Arc<dyn AsyncUdpSocket>>, DatapathError> {
        Ok(vec![self.bind(address)?])
    }

    /// An overlay interface of the machine: its queues, each to be read by the thread of its number.
    ///
    /// # Errors
    /// If it cannot be made here.
    fn open_interface(&self, _setup: &InterfaceSetup, _threads: &Threads) -> io::Result<Vec<Arc<dyn Interface>>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// The store in `directory`; an empty one if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be opened.
    fn open_store(&self, directory: &Path) -> Result<Arc<dyn Store>, StoreError>;

    /// Fills a store beside the one in `directory`, to take its place; that one may be open and is not touched.
    ///
    /// # Errors
    /// [`StoreError`] if there is no room for it, or the host has no way to do this.
    fn prepare_store(&self, directory: &Path, _entries: &[(Tree, Entry)]) -> Result<(), StoreError> {
        Err(no_other_store(directory))
    }

    /// Puts the store that was prepared in the place of the one in `directory`, which nobody holds any more, and sets that
    /// aside.
    ///
    /// # Errors
    /// [`StoreError`] if that is not possible; then the next call of [`open_store`](Self::open_store) finds one of the two.
    fn adopt_store(&self, directory: &Path) -> Result<Arc<dyn Store>, StoreError> {
        Err(no_other_store(directory))
    }

    /// The log in `directory`; an empty one if there is none.
    ///
    /// # Errors
    /// [`LogError`] if it cannot be opened. Damage is no error: it is told.
    fn open_log(&self, directory: &Path) -> Result<(AnyLog, Found), LogError> {
        Log::open_any(directory)
    }

    /// The time since the Unix epoch, as the wall clock has it; it may jump.
    fn unix_time(&self) -> Duration;

    /// Fills `bytes` at random. Never used for keys.
    fn fill_random(&self, bytes: &mut [u8]);

    /// Whether work that blocks is done on threads of its own; if not, it is done where it is wanted.
    fn has_threads(&self) -> bool {
        true
    }

    /// What this process uses of the machine; `None` where nobody knows.
    fn usage(&self) -> Option<Usage> {
        None
    }

    /// What the operating system knows of this process; `None` where nobody knows.
    fn process(&self) -> Option<Process> {
        None
    }

    /// A random number.
    fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_random(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

fn no_other_store(directory: &Path) -> StoreError {
    StoreError::Io { path: directory.to_owned(), source: io::ErrorKind::Unsupported.into() }
}

/// Does work that may block: on a thread for that, unless the host has no other thread than this one.
///
/// # Errors
/// [`JoinError`] if the work panicked, on a thread of its own.
pub async fn unblocked<T: Send + 'static>(
    host: &dyn Host,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    if host.has_threads() { tokio::task::spawn_blocking(work).await } else { Ok(work()) }
}
