//! The ledger's files, and what is to be written into them: held here until it is durable, whoever fails meanwhile.
//! Copies of others' ledgers lie beside it (`ledger_copies`), and what is damaged is put back (`ledger_mending`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prunella_core::ledger::{Adopted, Entry, Event, Finding, Input, Keeper, Task};
use prunella_core::limits::LEDGER_PENDING_MAX;
use prunella_core::recording::KeeperStart;
use prunella_core::wiring::Route;
use prunella_storage::log::{AnyLog, Damaged, How, LogError};
use tokio::sync::oneshot;

use super::Shell;
use super::ledger_copies::LedgerCopies;
use crate::actors::directory::Directory;
use crate::actors::driver::Newborn;
use crate::host::{Host, unblocked};

/// The ledger of one node: its files and what waits for them.
pub struct LedgerTable {
    host: Arc<dyn Host>,
    place: PathBuf,
    /// The files. Whoever holds the lock may block: nobody takes it on an asynchronous thread.
    files: Mutex<Files>,
    waiting: Mutex<Waiting>,
    /// Which life of the LedgerActor it is: what an earlier one wanted written is not written any more.
    life: AtomicU64,
    /// What neighbors wrote into theirs.
    pub(super) copies: LedgerCopies,
    /// What of the files is not what was written.
    damage: Mutex<Option<String>>,
    /// What else is wrong with what they hold, and stays so.
    told: Mutex<Option<String>>,
    /// Why the files cannot be read or written, as long as they cannot.
    failing: Mutex<Option<String>>,
    refused: AtomicU64,
    /// Damaged entries that were put back, and entries of neighbors that were not what stood there.
    pub(super) repaired: AtomicU64,
    pub(super) others_given: AtomicU64,
}

#[derive(Default)]
struct Files {
    log: Option<AnyLog>,
}

/// What is not durable yet.
#[derive(Default)]
struct Waiting {
    last_ticket: u64,
    events: BTreeMap<u64, Event>,
    /// Who wants to hear that it is durable.
    callers: BTreeMap<u64, oneshot::Sender<()>>,
    /// Whether the actor hears of what comes: between its start and its opening all of it waits here.
    is_open: bool,
}

/// How the ledger is, as far as its files tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerHealth {
    /// Why the files cannot be used, or what is wrong with them.
    pub trouble: Option<String>,
    /// Events that were not written down because too much waited, or the ledger was full.
    pub refused: u64,
}

impl LedgerTable {
    /// The ledger in this directory, which is opened when the actor starts.
    pub fn new(host: Arc<dyn Host>, place: PathBuf) -> Self {
        let copies = place.with_file_name(COPIES_NAME);
        Self {
            copies: LedgerCopies::new(Arc::clone(&host), copies),
            host,
            place,
            files: Mutex::default(),
            waiting: Mutex::default(),
            life: AtomicU64::new(0),
            damage: Mutex::default(),
            told: Mutex::default(),
            failing: Mutex::default(),
            refused: AtomicU64::new(0),
            repaired: AtomicU64::new(0),
            others_given: AtomicU64::new(0),
        }
    }

    /// Where it is.
    pub fn place(&self) -> &std::path::Path {
        &self.place
    }

    /// How it is.
    pub fn health(&self) -> LedgerHealth {
        let wrong = [&self.failing, &self.damage, &self.told].map(|wrong| lock(wrong).clone());
        let wrong: Vec<String> = wrong.into_iter().flatten().collect();
        let trouble = (!wrong.is_empty()).then(|| wrong.join("; "));
        LedgerHealth { trouble, refused: self.refused.load(Ordering::Relaxed) }
    }

    /// Where the copies of others' entries are.
    pub fn copies_place(&self) -> PathBuf {
        self.place.with_file_name(COPIES_NAME)
    }

    /// What is counted, by name.
    pub fn counters(&self) -> [(&'static str, u64); 2] {
        [("ledger_entries_repaired", &self.repaired), ("ledger_entries_not_believed", &self.others_given)]
            .map(|(name, count)| (name, count.load(Ordering::Relaxed)))
    }

    /// An entry as it is on disk. It blocks.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn entry(&self, index: u64) -> Result<Entry, String> {
        let files = self.files();
        let log = files.log.as_ref().ok_or("the ledger's files are not open")?;
        let bytes = log.read(index).map_err(|error| error.to_string())?;
        Entry::decode(&bytes).map_err(|reason| format!("entry {index} is {reason}"))
    }

    /// Reads everything, for the life of an actor that begins. It blocks.
    fn read(&self) -> Result<Vec<Option<Entry>>, LogError> {
        let mut files = self.files();
        self.life.fetch_add(1, Ordering::Relaxed);
        if files.log.is_none() {
            let (mut log, found) = self.host.open_log(&self.place)?;
            let damaged = in_words(&found.damaged);
            if let Some(damaged) = &damaged {
                tracing::error!(dir = %self.place.display(), damaged, "the ledger is damaged: see docs/operations.md");
            }
            *lock(&self.damage) = damaged;
            self.mend_openings(&mut log, found.damaged);
            if found.torn_bytes > 0 {
                tracing::info!(
                    bytes = found.torn_bytes,
                    "the end of the ledger that was never acknowledged was cut off"
                );
            }
            files.log = Some(log);
        }
        let log = files.log.as_ref().expect("BUG: it was opened a moment ago");
        let read = |index| match log.read(index) {
            Ok(bytes) => Ok(Entry::decode(&bytes).ok()),
            Err(LogError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        };
        (0..log.len()).map(read).collect()
    }

    /// Appends entries that were made in this life of the actor; how many there are then. What they tell of is durable with
    /// them. It blocks.
    fn append(&self, life: u64, entries: &[Entry], tickets: &[u64]) -> Result<u64, String> {
        let mut files = self.files();
        if self.life() != life {
            return Err("the actor has been restarted since".to_owned());
        }
        let log = files.log.as_mut().ok_or("the ledger's files are not open")?;
        if entries.first().is_some_and(|first| first.index != log.len()) {
            return Err(format!("the log has {} entries already", log.len()));
        }
        let bytes: Vec<Vec<u8>> = entries.iter().map(Entry::encode).collect();
        log.append(&bytes).map_err(|error| error.to_string())?;
        if lock(&self.failing).take().is_some() {
            tracing::info!("the ledger can be written again");
        }
        let mut waiting = self.waiting();
        for ticket in tickets {
            waiting.events.remove(ticket);
            // Who gave up waiting hears nothing.
            let _ = waiting.callers.remove(ticket).map(|caller| caller.send(()));
        }
        Ok(log.len())
    }

    /// What a file begins with needs nobody else's help; `found` is everything that is damaged.
    fn mend_openings(&self, log: &mut AnyLog, mut found: Vec<Damaged>) {
        let of_files = found.iter().filter(|damaged| damaged.how == How::Opening).count();
        match log.mend_openings() {
            Ok(0) => {}
            Ok(mended) => {
                tracing::info!(mended, "what files of the ledger begin with is as it was again");
                found.retain(|damaged| damaged.how != How::Opening || mended < of_files);
                *lock(&self.damage) = in_words(&found);
            }
            Err(error) => tracing::warn!(%error, "the ledger's files cannot be mended"),
        }
    }

    /// Puts entries back, if the actor is the same still that had others asked for them. It blocks.
    pub(super) fn mend(&self, life: u64, entries: &[Entry]) -> Option<Input> {
        let mut files = self.files();
        let log = files.log.as_mut().filter(|_| self.life() == life)?;
        let (mut mended, mut refused) = (Vec::new(), Vec::new());
        for entry in entries {
            match log.repair(entry.index, &entry.encode()) {
                Ok(()) => mended.push(entry.index),
                Err(LogError::Io(error)) => {
                    tracing::warn!(index = entry.index, %error, "a damaged entry cannot be written; trying again later");
                }
                Err(error) => {
                    tracing::error!(index = entry.index, %error, "a damaged entry cannot be put back");
                    refused.push(entry.index);
                }
            }
        }
        *lock(&self.damage) = in_words(&log.damaged());
        Some(Input::Mended { entries: mended, refused })
    }

    /// Takes an event, and hands it to the actor if that is there; `None` if too much waits.
    fn take(&self, event: Event, directory: &Directory, caller: Option<oneshot::Sender<()>>) -> Option<u64> {
        let mut waiting = self.waiting();
        if waiting.events.len() >= LEDGER_PENDING_MAX {
            return None;
        }
        waiting.last_ticket += 1;
        let ticket = waiting.last_ticket;
        waiting.events.insert(ticket, event.clone());
        waiting.callers.extend(caller.map(|caller| (ticket, caller)));
        // Under the lock, so that the actor hears of everything in the order of the tickets.
        if waiting.is_open {
            directory.deliver(Route::Ledger(Input::Append { event, ticket }));
        }
        Some(ticket)
    }

    /// The actor is there: it hears of everything that waits, and from now on of everything that comes.
    fn open(&self, directory: &Directory) {
        let mut waiting = self.waiting();
        for (ticket, event) in &waiting.events {
            directory.deliver(Route::Ledger(Input::Append { event: event.clone(), ticket: *ticket }));
        }
        waiting.is_open = true;
    }

    fn close(&self) {
        self.waiting().is_open = false;
    }

    fn forget(&self, ticket: u64) {
        let mut waiting = self.waiting();
        waiting.events.remove(&ticket);
        waiting.callers.remove(&ticket);
    }

    pub(super) fn life(&self) -> u64 {
        self.life.load(Ordering::Relaxed)
    }

    /// Notes why the files cannot be used; true if that is news.
    fn fails(&self, reason: &str) -> bool {
        let mut failing = lock(&self.failing);
        let is_news = failing.as_deref() != Some(reason);
        *failing = Some(reason.to_owned());
        is_news
    }

    /// Lets go of the files: another node of this process may have them. It blocks.
    pub fn shut(&self) {
        let mut files = self.files();
        self.life.fetch_add(1, Ordering::Relaxed);
        files.log = None;
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        lock(&self.files)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

/// What is damaged, if anything is.
fn in_words(damaged: &[Damaged]) -> Option<String> {
    let words: Vec<String> = damaged.iter().map(ToString::to_string).collect();
    (!words.is_empty()).then(|| words.join("; "))
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds the lock leaves it half changed.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shell {
    /// A LedgerActor's machine: it knows what the files hold. What waits to be written it hears of when
    /// [`Shell::open_ledger`] is called. Files that cannot be read are tried again and again, and the node goes on.
    ///
    /// # Errors
    /// The reason, if the files could not even be looked at.
    pub async fn keeper(self: &Arc<Self>) -> Result<Newborn<Keeper>, String> {
        self.ledger.close();
        let table = Arc::clone(&self.ledger);
        let read = move || (table.read(), table.copies.standing());
        let (read, copies) = unblocked(&*self.host, read).await.map_err(|error| error.to_string())?;
        let entries = match read {
            Ok(entries) => Some(entries),
            Err(error) => {
                self.tell_unreadable(&error);
                tokio::spawn(read_later(Arc::downgrade(self), self.ledger.life()));
                None
            }
        };
        let (me, now) = (self.credentials.peer(), self.clock.now());
        let first = Adopted { entries, waiting: BTreeMap::new(), copies }.first(self.unix_ms());
        let machine = Keeper::new(self.credentials.identity().clone(), now);
        Ok(Newborn { machine, made_of: KeeperStart { me, now }, first })
    }

    /// The LedgerActor can be told now.
    pub fn open_ledger(&self) {
        self.ledger.open(&self.directory);
    }

    /// Writes something down, as soon as that is possible. What waits is written by a later life of the actor, if this one
    /// fails; what is too much is told and counted.
    pub fn write_down(&self, event: Event) {
        if self.ledger.take(event.clone(), &self.directory, None).is_none() {
            self.refuse_event(&event);
        }
    }

    /// Writes something down, and waits until it is durable, for a while.
    ///
    /// # Errors
    /// The reason, if it is not known to be durable. It is written as soon as that is possible, if not too much waits.
    pub async fn write_down_durably(&self, event: Event) -> Result<(), String> {
        let (tell, told) = oneshot::channel();
        if self.ledger.take(event.clone(), &self.directory, Some(tell)).is_none() {
            self.refuse_event(&event);
            return Err("too much waits to be written down".to_owned());
        }
        match tokio::time::timeout(DURABLE_PATIENCE, told).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("it was refused".to_owned()),
            Err(_) => Err("the ledger did not say in time that it is written".to_owned()),
        }
    }

    /// Performs what the ledger asks for.
    pub(super) fn do_ledger(&self, task: Task) {
        match task {
            Task::WriteDown(event) => self.write_down(event),
            Task::Write { entries, tickets } => self.write_ledger(entries, tickets),
            Task::TellFound(finding) => self.tell_finding(&finding),
            Task::TellRolledBack { found, witnessed } => {
                let witnessed = witnessed.head.size;
                let text =
                    format!("others have seen {witnessed} entries that are not these {found}: the disk was set back");
                tracing::error!(
                    found,
                    witnessed,
                    "this node's ledger was set back: others have seen what it does not have"
                );
                *lock(&self.ledger.told) = Some(text);
            }
            Task::TellDamaged { entries, broken } => {
                let broken = broken.map(|broken| broken.to_string());
                tracing::error!(?entries, broken, "entries of this node's ledger are not what was written");
                if let Some(broken) = broken {
                    *lock(&self.ledger.told) = Some(broken);
                }
            }
            Task::TellRefused { event, ticket } => {
                ticket.into_iter().for_each(|ticket| self.ledger.forget(ticket));
                self.refuse_event(&event);
            }
            task => self.do_mending(task),
        }
    }

    fn write_ledger(&self, entries: Vec<Entry>, tickets: Vec<u64>) {
        let (life, table, directory) = (self.ledger.life(), Arc::clone(&self.ledger), Arc::clone(&self.directory));
        tokio::spawn(async move {
            let writer = Arc::clone(&table);
            let written = unblocked(&*table.host, move || writer.append(life, &entries, &tickets)).await;
            let input = match written.unwrap_or_else(|error| Err(error.to_string())) {
                Ok(size) => Input::Stored { size },
                Err(_) if table.life() != life => return,
                Err(reason) => {
                    if table.fails(&reason) {
                        tracing::error!(reason, "the ledger cannot be written; trying again");
                    }
                    Input::StoreFailed
                }
            };
            if table.life() == life {
                directory.deliver(Route::Ledger(input));
            }
        });
    }

    fn tell_finding(&self, finding: &Finding) {
        let ledger = finding.known.head.ledger;
        tracing::error!(
            peer = %ledger.short(),
            name = self.known.name(&ledger),
            fault = finding.fault.name(),
            is_proof = finding.check().is_ok(),
            known = %finding.known.head,
            heard = %finding.heard.head,
            "the ledger of another node is not what it was"
        );
    }

    fn tell_unreadable(&self, error: &LogError) {
        if self.ledger.fails(&error.to_string()) {
            let dir = self.ledger.place.display();
            tracing::error!(%error, %dir, "the ledger cannot be opened; the node goes on, and it is tried again");
        }
    }

    fn refuse_event(&self, event: &Event) {
        if self.ledger.refused.fetch_add(1, Ordering::Relaxed) == 0 {
            tracing::error!(
                ?event,
                "an event was not written down: the ledger is full, or too much waits to be written"
            );
        }
    }
}

/// Tries to read the files until they can be read, or another life of the actor does.
async fn read_later(shell: std::sync::Weak<Shell>, mut life: u64) {
    loop {
        tokio::time::sleep(READ_AGAIN_AFTER).await;
        let Some(shell) = shell.upgrade() else { return };
        if shell.ledger.life() != life {
            return;
        }
        let table = Arc::clone(&shell.ledger);
        let read = unblocked(&*shell.host, move || (table.read(), table.life())).await;
        let Ok((read, this_life)) = read else { return };
        life = this_life;
        match read {
            Ok(entries) => {
                tracing::info!(entries = entries.len(), "the ledger can be read again");
                *lock(&shell.ledger.failing) = None;
                return shell.directory.deliver(Route::Ledger(Input::Loaded { entries }));
            }
            Err(error) => shell.tell_unreadable(&error),
        }
    }
}

/// The directory of copies of others' ledgers, beside this node's own.
const COPIES_NAME: &str = "ledger-copies";
/// How long somebody waits to hear that something is written down.
const DURABLE_PATIENCE: Duration = Duration::from_secs(2);
/// When files that cannot be read are tried again.
const READ_AGAIN_AFTER: Duration = Duration::from_secs(2);
