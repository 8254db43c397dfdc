//! What the shell does so that damaged entries of ledgers come back: it gives, keeps and puts back entries.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prunella_core::PeerId;
use prunella_core::ledger::{Entry, Input, Message, Task};
use prunella_core::wire::Control;
use prunella_core::wiring::Route;

use super::Shell;
use super::ledger_copies::readable;
use crate::host::unblocked;

impl Shell {
    /// Performs what the ledger asks for because of copies and damage.
    pub(super) fn do_mending(&self, task: Task) {
        match task {
            Task::Give { to, ledger, first, count } => self.give_entries(to, ledger, first, count),
            Task::Copy { entries } => self.copy_entries(entries),
            Task::DropCopies { ledger } => {
                let table = Arc::clone(&self.ledger);
                self.in_background(move || {
                    if let Err(error) = table.copies.forget(&ledger) {
                        tracing::warn!(ledger = %ledger.short(), %error, "copies of a ledger were not removed");
                    }
                    None
                });
            }
            Task::Mend { entries } => self.mend_entries(entries),
            Task::TellRepaired { entries, by, left } => {
                self.ledger.repaired.fetch_add(entries.len() as u64, Ordering::Relaxed);
                let name = self.known.name(&by);
                tracing::info!(?entries, by = %by.short(), name, left, "damaged entries of the ledger are as they were again");
            }
            Task::TellOtherGiven { by, index } => {
                self.ledger.others_given.fetch_add(1, Ordering::Relaxed);
                let name = self.known.name(&by);
                tracing::warn!(
                    peer = %by.short(),
                    name,
                    index,
                    "a neighbor gave back something else than this entry of the ledger: it is not used"
                );
            }
            other => unreachable!("BUG: this is no task about copies or damage: {other:?}"),
        }
    }

    fn give_entries(&self, to: PeerId, ledger: PeerId, first: u64, count: u64) {
        let (table, links) = (Arc::clone(&self.ledger), self.links().clone());
        let is_own = ledger == self.credentials.peer();
        self.in_background(move || {
            let (first, entries) = if is_own {
                readable(first, count, |index| Some(table.entry(index).ok()?.encode()))
            } else {
                table.copies.read(&ledger, first, count)
            };
            let control = Control::Ledger(Message::Entries { ledger, first, entries });
            // Who is gone meanwhile asks again.
            if let Err(error) = links.send(to, &control) {
                tracing::debug!(peer = %to.short(), %error, "entries of a ledger were not sent");
            }
            None
        });
    }

    fn copy_entries(&self, entries: Vec<Entry>) {
        let table = Arc::clone(&self.ledger);
        let Some(ledger) = entries.first().map(|entry| entry.ledger) else { return };
        self.in_background(move || match table.copies.append(&entries) {
            Ok(copied) => Some(Input::Copied(copied)),
            Err(reason) => {
                tracing::warn!(ledger = %ledger.short(), reason, "copies of a ledger cannot be written; trying again later");
                Some(Input::CopyFailed { ledger })
            }
        });
    }

    fn mend_entries(&self, entries: Vec<Entry>) {
        let (table, life) = (Arc::clone(&self.ledger), self.ledger.life());
        self.in_background(move || table.mend(life, &entries));
    }

    /// Does what blocks, and tells the actor what came of it, if that is the same one still.
    fn in_background(&self, work: impl FnOnce() -> Option<Input> + Send + 'static) {
        let (table, directory) = (Arc::clone(&self.ledger), Arc::clone(&self.directory));
        let (life, host) = (table.life(), Arc::clone(&self.host));
        tokio::spawn(async move {
            match unblocked(&*host, work).await {
                Ok(Some(input)) if table.life() == life => directory.deliver(Route::Ledger(input)),
                Ok(_) => {}
                Err(error) => tracing::error!(%error, "the ledger's files were not looked at"),
            }
        });
    }
}
