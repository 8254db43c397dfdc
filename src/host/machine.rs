//! The machine itself, through its operating system.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prunella_storage::{Entry, SledStore, Store, StoreError, Tree};
use quinn::AsyncUdpSocket;

use super::{Host, Usage};
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

    fn fill_random(&self, bytes: &mut [u8]) {
        getrandom::fill(bytes).expect("BUG: the operating system gives random bytes after boot");
    }
}

/// User and system time, the 14th and 15th fields of proc(5)'s `stat`, in ticks of 10 ms. The second field, a name in
/// parentheses, may hold anything.
fn processor_time(stat: &str) -> Option<Duration> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut ticks = after_name.split_whitespace().skip(11).map(str::parse::<u64>);
    let (user, system) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some(Duration::from_millis((user + system) * 10))
}

/// `VmRSS` of proc(5)'s `status`, which is in units of 1024 bytes.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_uses_is_read_whatever_its_name() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 1 0 100 1000 200";
        assert_eq!(processor_time(stat), Some(Duration::from_millis(120)));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!((processor_time("12 (a"), resident_bytes("Name: x")), (None, None));
    }

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
