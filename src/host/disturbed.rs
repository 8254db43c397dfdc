//! A machine that can be given a wrong clock and a bad disk, on purpose.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use prunella_storage::log::{AnyLog, Found, Log, LogError};
use prunella_storage::{Entry, Faults, FaultyStore, Store, StoreError, Tree};
use quinn::AsyncUdpSocket;

use super::{Host, Process};
use crate::datapath::{DatapathError, Interface, InterfaceSetup, Threads};

/// Another host, seen through faults. It is like the other one until it is told to fail.
#[derive(Clone)]
pub struct Disturbed {
    host: Arc<dyn Host>,
    clock_offset_s: Arc<AtomicI64>,
    disk: Faults,
}

impl Disturbed {
    /// The host behind faults, none of which is in force.
    pub fn over(host: Arc<dyn Host>) -> Self {
        Self { host, clock_offset_s: Arc::default(), disk: Faults::default() }
    }

    /// Sets the wall clock wrong by so many seconds; zero sets it right.
    pub fn set_clock_offset(&self, seconds: i64) {
        self.clock_offset_s.store(seconds, Ordering::Relaxed);
    }

    /// Says how the stores fail that are opened on this host, and the logs, as far as they are written.
    pub fn disk(&self) -> &Faults {
        &self.disk
    }
}

impl Host for Disturbed {
    fn threads(&self) -> Threads {
        self.host.threads()
    }

    fn bind(&self, address: SocketAddr) -> Result<Arc<dyn AsyncUdpSocket>, DatapathError> {
        self.host.bind(address)
    }

    fn bind_several(
        &self,
        address: SocketAddr,
        sockets: usize,
        threads: &Threads,
    ) -> Result<Vec<Arc<dyn AsyncUdpSocket>>, DatapathError> {
        self.host.bind_several(address, sockets, threads)
    }

    fn open_interface(&self, setup: &InterfaceSetup, threads: &Threads) -> io::Result<Vec<Arc<dyn Interface>>> {
        self.host.open_interface(setup, threads)
    }

    fn open_store(&self, directory: &Path) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(FaultyStore::steered(self.host.open_store(directory)?, self.disk.clone())))
    }

    fn prepare_store(&self, directory: &Path, entries: &[(Tree, Entry)]) -> Result<(), StoreError> {
        self.disk.check_write()?;
        self.host.prepare_store(directory, entries)
    }

    fn adopt_store(&self, directory: &Path) -> Result<Arc<dyn Store>, StoreError> {
        Ok(Arc::new(FaultyStore::steered(self.host.adopt_store(directory)?, self.disk.clone())))
    }

    fn open_log(&self, directory: &Path) -> Result<(AnyLog, Found), LogError> {
        Log::open_steered(directory, self.disk.clone())
    }

    fn unix_time(&self) -> Duration {
        let offset = self.clock_offset_s.load(Ordering::Relaxed);
        let (now, by) = (self.host.unix_time(), Duration::from_secs(offset.unsigned_abs()));
        if offset < 0 { now.saturating_sub(by) } else { now.saturating_add(by) }
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        self.host.fill_random(bytes);
    }

    fn process(&self) -> Option<Process> {
        self.host.process()
    }

    fn has_threads(&self) -> bool {
        self.host.has_threads()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Machine;

    #[test]
    fn the_clock_is_wrong_until_it_is_set_right() {
        let host = Disturbed::over(Machine::shared());
        let ahead = |seconds: i64| {
            host.set_clock_offset(seconds);
            host.unix_time().as_secs() as i64 - Machine.unix_time().as_secs() as i64
        };
        for seconds in [3600, -3600, 0] {
            assert!((ahead(seconds) - seconds).abs() <= 1, "{seconds}");
        }
        host.set_clock_offset(i64::MIN);
        assert_eq!(host.unix_time(), Duration::ZERO);
    }
}
