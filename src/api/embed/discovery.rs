//! How an embedder names neighbors that it knows of from elsewhere: a directory, a cloud's inventory, a list.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::limits::NEIGHBORS_MAX;
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::actors::shell::Shell;

/// A node that could be a neighbor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Who must answer there: a candidate is dialed, never trusted.
    pub peer: PeerId,
    /// Where it may be dialed (UDP), at most `limits::ADDRESSES_MAX` of them.
    pub addresses: Vec<SocketAddr>,
}

/// The answer of a [`DiscoveryService`], under way.
pub type Discovering<'a> = Pin<Box<dyn Future<Output = Vec<Candidate>> + Send + 'a>>;

/// Finds nodes that could be neighbors. It is asked every 10 seconds and given up after as long; of what it answers, as
/// many are heard as a node can have neighbors (`limits::NEIGHBORS_MAX`).
pub trait DiscoveryService: Send + Sync + 'static {
    /// Who can be dialed now, and where; nobody if that cannot be found out.
    fn discover(&self) -> Discovering<'_>;
}

/// Always the same candidates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticDiscovery {
    candidates: Vec<Candidate>,
}

impl StaticDiscovery {
    /// A discovery that answers with these.
    pub fn new(candidates: impl IntoIterator<Item = Candidate>) -> Self {
        Self { candidates: candidates.into_iter().collect() }
    }
}

impl DiscoveryService for StaticDiscovery {
    fn discover(&self) -> Discovering<'_> {
        Box::pin(std::future::ready(self.candidates.clone()))
    }
}

/// Asks the service again and again, and puts whom it finds onto the roster, until the node is gone.
pub(super) async fn discover(shell: Weak<Shell>, service: Arc<dyn DiscoveryService>) {
    let mut ticks = interval(ASK_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(candidates) = timeout(ASK_EVERY, service.discover()).await else {
            tracing::warn!(patience = ?ASK_EVERY, "a discovery service did not answer in time");
            continue;
        };
        let Some(shell) = shell.upgrade() else { return };
        for candidate in candidates.into_iter().take(NEIGHBORS_MAX) {
            shell.roster.add(candidate.peer, candidate.addresses);
        }
    }
}

/// How often a service is asked, and how long it may take.
const ASK_EVERY: Duration = Duration::from_secs(10);
