//! The machine itself, through its operating system.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prunella_storage::{Entry, SledStore, Store, StoreError, Tree};
use quinn::AsyncUdpSocket;

use super::process::{Process, processor_time, resident_bytes, this_process};
use super::{Host, Usage};
use crate::datapath::{DatapathError, Interface, InterfaceSetup, Threads, bind_several_udp, bind_udp, open_interface};

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
    /// Threads of their own, which all nodes of the process share.
    fn threads(&self) -> Threads {
        static THREADS: OnceLock<Option<Threads>> = OnceLock::new();
        let start = || {
            let refused =
                |error: &io::Error| tracing::warn!(%error, "the datapath gets no threads and shares those of actors");
            Threads::start(Threads::fitting()).inspect_err(refused).ok()
        };
        THREADS.get_or_init(start).clone().unwrap_or_else(Threads::current)
    }

    fn bind(&self, address: SocketAddr) -> Result<Arc<dyn AsyncUdpSocket>, DatapathError> {
        bind_udp(address)
    }

    fn bind_several(
        &self,
        address: SocketAddr,
        sockets: usize,
        threads: &Threads,
    ) -> Result<Vec<Arc<dyn AsyncUdpSocket>>, DatapathError> {
        bind_several_udp(address, sockets, threads)
    }

    fn open_interface(&self, setup: &InterfaceSetup, threads: &Threads) -> io::Result<Vec<Arc<dyn Interface>>> {
        open_interface(setup, threads)
    }

    fn open_store(&self, directory: &Path) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(SledStore::open(directory)?))
    }

    fn prepare_store(&self, directory: &Path, entries: &[(Tree, Entry)]) -> Result<(), StoreError> {
        SledStore::prepare(directory, entries)
    }

    fn adopt_store(&self, directory: &Path) -> Result<Arc<dyn Store>, StoreError> {
        let (store, aside) = SledStore::adopt(directory)?;
        if let Some(aside) = aside {
            tracing::warn!(aside = %aside.display(), "the store that failed was set aside");
        }
        Ok(Arc::new(store))
    }

    fn unix_time(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn usage(&self) -> Option<Usage> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let status = fs::read_to_string("/proc/self/status").ok()?;
        // One of them is open for the question itself.
        let descriptors = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as u64;
        Some(Usage { processor: processor_time(&stat)?, memory: resident_bytes(&status)?, descriptors })
    }

    fn process(&self) -> Option<Process> {
        this_process()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("BUG: the operating system gives random bytes after boot");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn an_open_file_is_counted() {
        let before = Machine.usage().unwrap();
        assert!(before.memory > 0);
        let files: Vec<_> = (0..500).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        // Other tests open and close files of this process at the same time, but not so many.
        assert!(Machine.usage().unwrap().descriptors >= before.descriptors + 400);
        drop(files);
    }
}
