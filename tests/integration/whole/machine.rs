//! A machine in memory: the host of one node in a simulated world.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prunella::datapath::DatapathError;
use prunella::host::Host;
use prunella_core::rng::Rng;
use prunella_storage::{MemoryStore, Store, StoreError};
use quinn::AsyncUdpSocket;

use super::network::Network;
use super::trace::Trace;

/// One machine: an address on the network, a disk that outlives the node, a clock and randomness out of the seed.
pub(crate) struct Machine {
    pub(crate) ip: IpAddr,
    network: Arc<Network>,
    trace: Arc<Trace>,
    disk: Mutex<BTreeMap<PathBuf, Arc<MemoryStore>>>,
    rng: Mutex<Rng>,
    /// By how many seconds the wall clock is wrong.
    skew: AtomicI64,
}

impl Machine {
    pub(crate) fn new(ip: IpAddr, seed: u64, network: Arc<Network>, trace: Arc<Trace>) -> Arc<Self> {
        let (disk, rng, skew) = (Mutex::default(), Mutex::new(Rng::from_seed(seed)), AtomicI64::new(0));
        Arc::new(Self { ip, network, trace, disk, rng, skew })
    }

    /// Sets the wall clock forward, or back, by so many seconds.
    pub(crate) fn set_clock(&self, seconds: i64) {
        self.skew.fetch_add(seconds, Ordering::Relaxed);
    }

    /// What would be found on the disk after a crash now.
    pub(crate) fn image(&self) -> BTreeMap<PathBuf, Arc<MemoryStore>> {
        let disk = self.disk.lock().unwrap();
        disk.iter().map(|(path, store)| (path.clone(), Arc::new(store.crash()))).collect()
    }

    /// Puts a disk in the place of the one that is there.
    pub(crate) fn replace_disk(&self, image: BTreeMap<PathBuf, Arc<MemoryStore>>) {
        *self.disk.lock().unwrap() = image;
    }
}

impl Host for Machine {
    fn bind(&self, address: SocketAddr) -> Result<Arc<dyn AsyncUdpSocket>, DatapathError> {
        self.network.bind(self.ip, address).map_err(|source| DatapathError::Bind { address, source })
    }

    /// A handle of its own on the store, since a node waits until it is the last that holds the handle.
    fn open_store(&self, directory: &Path) -> Result<Arc<dyn Store>, StoreError> {
        let store = self.disk.lock().unwrap().entry(directory.to_owned()).or_default().clone();
        Ok(Arc::new(store))
    }

    fn unix_time(&self) -> Duration {
        let seconds = BIRTH.as_secs().strict_add_signed(self.skew.load(Ordering::Relaxed));
        Duration::from_secs(seconds) + self.trace.elapsed()
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        let mut rng = self.rng.lock().unwrap();
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&rng.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }

    /// A second thread would run in real time.
    fn has_threads(&self) -> bool {
        false
    }
}

/// When every world begins, since the Unix epoch: New Year's Day of 2026.
const BIRTH: Duration = Duration::from_secs(1_767_225_600);
