//! Single probes that somebody waits for: the hops of a trace.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prunella_core::{Label, LinkId};
use tokio::sync::oneshot;

use super::Shell;

/// Who waits for which probe.
#[derive(Debug, Default)]
pub struct Traces {
    waiting: Mutex<BTreeMap<u32, oneshot::Sender<Duration>>>,
}

impl Traces {
    /// Tells whoever waits for this path's probe; false if nobody does.
    pub(super) fn answer(&self, path: u32, rtt: Duration) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
        // Whoever waited may have given up just now; the answer was theirs all the same.
        waiting.map(|waiting| waiting.send(rtt)).is_some()
    }

    fn wait(&self, path: u32) -> oneshot::Receiver<Duration> {
        let (tell, told) = oneshot::channel();
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(path, tell);
        told
    }

    fn forget(&self, path: u32) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&path);
    }
}

impl Shell {
    /// The round trip over these labels; `None` if the probe does not come back in time.
    pub async fn probe_once(&self, first: LinkId, labels: &[Label], patience: Duration) -> Option<Duration> {
        // Paths are numbered from a random start; so are these, and a clash costs one lost probe.
        let path = self.host.random_u64() as u32 | 1;
        let told = self.traces.wait(path);
        self.port.send_probe(first, labels, path, 0);
        let rtt = tokio::time::timeout(patience, told).await;
        self.traces.forget(path);
        rtt.ok()?.ok()
    }
}
