//! The machine itself, through its operating system.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prunella_storage::{SledStore, Store, StoreError};
use quinn::AsyncUdpSocket;

use super::Host;
use crate::datapath::{DatapathError, bind_udp};

/// The machine that this process runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine;

impl Machine {
    /// The machine as a node wants it.
    pub fn shared() -> Arc<dyn Host> {
        Arc::new(Self)
    }
}

impl Host for Machine {
    fn bind(&self, address: SocketAddr) -> Result<Arc<dyn AsyncUdpSocket>, DatapathError> {
        bind_udp(address)
    }

    fn open_store(&self, directory: &Path) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(SledStore::open(directory)?))
    }

    fn unix_time(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("BUG: the operating system gives random bytes after boot");
    }
}
