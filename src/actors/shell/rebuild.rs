//! A new store for one that fails: who wants it, and what this node holds in memory of what belongs into it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prunella_core::Verified;
use prunella_core::record::ProvenRecord;
use prunella_core::wire::codec;
use prunella_storage::{Batch, Change, Entry, Tree};
use ractor::rpc::CallResult;

use super::Shell;
use crate::host::unblocked;
use crate::messages::{GossipQuery, Mail};

/// The incident for which a plan wants a new store, until the one writer sees to it.
#[derive(Debug, Default)]
pub struct RebuildWanted(Mutex<Option<u64>>);

impl RebuildWanted {
    /// A plan for this incident wants it.
    pub(super) fn set(&self, incident: u64) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(incident);
    }

    /// For which incident it is wanted; asked once.
    pub fn take(&self) -> Option<u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Shell {
    /// Puts a new store in the place of the one that fails, with all that can still be read of that and all that this
    /// node holds in memory. What waits for the store is not in it yet. For the one writer alone.
    ///
    /// # Errors
    /// The reason, if nothing was changed.
    pub async fn rebuild_store(&self) -> Result<(), String> {
        let memory = self.memory().await?;
        let vault = Arc::clone(&self.store);
        let rebuilt = unblocked(&*self.host, move || vault.rebuild(memory)).await;
        let entries = rebuilt.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
        tracing::warn!(entries, "the store was rebuilt");
        Ok(())
    }

    /// What the store should hold, as far as roles and tables hold it. Without gossip's records, a node's own highest
    /// versions among them, there is no new store.
    async fn memory(&self) -> Result<Vec<(Tree, Entry)>, String> {
        let gossip = self.directory.gossip().ok_or("gossip is being restarted")?;
        let asked = gossip.call(|reply| Mail::Query(GossipQuery::Lasting(reply)), Some(ASK_PATIENCE)).await;
        let Ok(CallResult::Success(records)) = asked else { return Err("gossip does not answer".to_owned()) };
        let record = |proven: &Verified<ProvenRecord>| {
            (Tree::Records, (codec::encode(&proven.record.id), codec::encode(&proven.signed)))
        };
        let mut memory: Vec<(Tree, Entry)> = records.iter().map(record).collect();
        memory.extend(puts(&self.journal.everything()));
        memory.extend(self.policy_to_keep());
        Ok(memory)
    }
}

fn puts(batch: &Batch) -> impl Iterator<Item = (Tree, Entry)> {
    batch.changes().iter().filter_map(|change| match change {
        Change::Put { tree, key, value } => Some((*tree, (key.clone(), value.clone()))),
        Change::Delete { .. } => None,
    })
}

/// How long gossip gets to say what it holds.
const ASK_PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_rebuilt_once_for_each_time_it_is_wanted() {
        let wanted = RebuildWanted::default();
        assert_eq!(wanted.take(), None);
        wanted.set(7);
        assert_eq!((wanted.take(), wanted.take()), (Some(7), None));
    }
}
