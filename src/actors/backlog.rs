//! What is to be kept and is not on disk yet. It outlives the actor that writes it, so that killing that one loses nothing,
//! and it knows who waits to hear that what was asked for is durable.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prunella_core::limits::STORE_BACKLOG_MAX;
use prunella_storage::limits::BATCH_ENTRIES_MAX;
use prunella_storage::{Batch, Store, StoreError};
use tokio::sync::oneshot;

/// Changes on their way to the store, in the order in which they were made.
#[derive(Debug, Default)]
pub struct Backlog {
    waiting: Mutex<Waiting>,
    /// Held while something is written: a writer that was killed may still be at it when the next one begins.
    writing: Mutex<()>,
}

/// Why what was asked for is not durable. It is in memory, and is written as soon as that works again.
pub type NotKept = String;

#[derive(Debug, Default)]
struct Waiting {
    entries: VecDeque<Entry>,
    /// Why a change was not taken since the backlog was last written out.
    refused: Option<NotKept>,
}

#[derive(Debug)]
enum Entry {
    Change(Arc<Batch>),
    /// Somebody waits until everything before this is durable.
    Asked(oneshot::Sender<Result<(), NotKept>>),
}

impl Backlog {
    /// Adds changes; false if there are [`STORE_BACKLOG_MAX`] entries already, or no store would take these: then they are
    /// lost at the node's end, and whoever asks is told so.
    pub fn push(&self, batch: Batch) -> bool {
        match batch.check() {
            Ok(()) => self.add(Entry::Change(Arc::new(batch))),
            Err(error) => {
                tracing::error!(%error, "a change is too large to be kept");
                self.lock().refused = Some(error.to_string());
                false
            }
        }
    }

    /// Tells, once, when everything that was added so far is durable, or why it is not.
    pub fn durable(&self) -> oneshot::Receiver<Result<(), NotKept>> {
        let (tell, told) = oneshot::channel();
        // Without room the sender is dropped: whoever waits hears that nobody knows.
        self.add(Entry::Asked(tell));
        told
    }

    /// How much waits.
    pub fn len(&self) -> usize {
        self.lock().entries.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lock().entries.is_empty()
    }

    /// Writes out what waits, all of it with one flush, and tells who waits for it. It blocks. Gives how many changes.
    ///
    /// # Errors
    /// [`StoreError`] if the store fails: then all changes wait on, and whoever asked is told why.
    pub fn write(&self, store: &dyn Store) -> Result<usize, StoreError> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let (changes, count) = {
            let waiting = self.lock();
            let change = |entry: &Entry| if let Entry::Change(batch) = entry { Some(Arc::clone(batch)) } else { None };
            (waiting.entries.iter().filter_map(change).collect::<Vec<_>>(), waiting.entries.len())
        };
        let written = keep(store, &changes);
        let mut waiting = self.lock();
        let done: Vec<Entry> = waiting.entries.drain(..count).collect();
        let verdict = match &written {
            Err(error) => Err(error.to_string()),
            Ok(()) => waiting.refused.clone().map_or(Ok(()), Err),
        };
        let mut unwritten = Vec::new();
        for entry in done {
            match entry {
                // Whoever asked may have stopped waiting.
                Entry::Asked(tell) => _ = tell.send(verdict.clone()),
                Entry::Change(_) if written.is_ok() => {}
                change => unwritten.push(change),
            }
        }
        for change in unwritten.into_iter().rev() {
            waiting.entries.push_front(change);
        }
        if written.is_ok() {
            waiting.refused = None;
        }
        written.map(|()| changes.len())
    }

    fn add(&self, entry: Entry) -> bool {
        let mut waiting = self.lock();
        let has_room = waiting.entries.len() < STORE_BACKLOG_MAX;
        if has_room {
            waiting.entries.push_back(entry);
        } else if matches!(entry, Entry::Change(_)) {
            waiting.refused = Some("more changes wait for the store than there is room for".to_owned());
        }
        has_room
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn keep(store: &dyn Store, changes: &[Arc<Batch>]) -> Result<(), StoreError> {
    if changes.is_empty() {
        return Ok(());
    }
    // As few calls as may be, for a slow disk; what was to take effect together still does.
    let mut together = Batch::new();
    for batch in changes {
        if together.len() + batch.len() > BATCH_ENTRIES_MAX {
            store.apply(&together)?;
            together = Batch::new();
        }
        together.append(batch);
    }
    store.apply(&together)?;
    store.flush()
}

#[cfg(test)]
mod tests {
    use prunella_storage::{FaultyStore, MemoryStore, Moment, Tree};

    use super::*;

    fn put(key: &str) -> Batch {
        let mut batch = Batch::new();
        batch.put(Tree::Meta, key, "v");
        batch
    }

    fn kept(store: &FaultyStore<MemoryStore>) -> usize {
        store.inner().crash().scan(Tree::Meta).unwrap().len()
    }

    #[test]
    fn whoever_waits_is_told_when_all_before_is_durable_and_not_earlier() {
        let (backlog, store) = (Backlog::default(), FaultyStore::new(MemoryStore::new()));
        assert!(backlog.push(put("a")) && backlog.push(put("b")));
        let mut told = backlog.durable();
        assert!(told.try_recv().is_err() && !backlog.is_empty());
        assert_eq!(backlog.write(&store).unwrap(), 2);
        assert_eq!(told.try_recv(), Ok(Ok(())));
        assert!(backlog.is_empty());
        assert_eq!(kept(&store), 2);
    }

    #[test]
    fn while_the_store_fails_nothing_is_called_durable_and_nothing_is_lost() {
        let (backlog, store) = (Backlog::default(), FaultyStore::new(MemoryStore::new()));
        backlog.push(put("a"));
        let mut told = backlog.durable();
        // Each call of a write fails in turn: the one that changes, and the one that makes it durable.
        for call in 1..=2 {
            store.faults().fail_at(call, Moment::Before);
            assert!(backlog.write(&store).is_err());
            let reason = told.try_recv().unwrap().unwrap_err();
            assert!(reason.contains("on purpose"), "{reason}");
            assert_eq!(kept(&store), 0);
            told = backlog.durable();
        }
        store.faults().heal();
        backlog.push(put("b"));
        assert_eq!(backlog.write(&store).unwrap(), 2);
        assert_eq!((told.try_recv(), kept(&store)), (Ok(Ok(())), 2));
    }

    #[test]
    fn what_found_no_room_is_called_durable_by_nobody() {
        let (backlog, store) = (Backlog::default(), FaultyStore::new(MemoryStore::new()));
        while backlog.push(put("a")) {}
        assert!(matches!(backlog.durable().try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert_eq!(backlog.write(&store).unwrap(), STORE_BACKLOG_MAX);
        backlog.push(put("b"));
        let mut told = backlog.durable();
        backlog.write(&store).unwrap();
        assert_eq!(told.try_recv(), Ok(Ok(())), "there is room again");
    }

    #[test]
    fn what_no_store_takes_holds_up_nothing_else() {
        let (backlog, store) = (Backlog::default(), FaultyStore::new(MemoryStore::new()));
        let mut large = Batch::new();
        large.put(Tree::Meta, "large", vec![0; prunella_storage::limits::VALUE_BYTES_MAX + 1]);
        assert!(!backlog.push(large));
        let mut told = backlog.durable();
        assert!(backlog.push(put("a")));
        assert_eq!(backlog.write(&store).unwrap(), 1);
        assert!(told.try_recv().unwrap().unwrap_err().contains("over the limit"));
        assert_eq!(kept(&store), 1);
    }

    #[test]
    fn many_changes_cost_few_calls() {
        let (backlog, store) = (Backlog::default(), FaultyStore::new(MemoryStore::new()));
        (0..300).for_each(|i| assert!(backlog.push(put(&i.to_string()))));
        store.faults().heal();
        assert_eq!(backlog.write(&store).unwrap(), 300);
        assert_eq!((store.faults().calls(), kept(&store)), (3, 300), "two batches and a flush");
    }
}
