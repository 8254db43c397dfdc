//! A host's ledger: the log on its disk, what waits to be written into it, and what others find out about it.

use std::collections::{BTreeMap, VecDeque};

use prunella_core::ledger::{Adopted, Copied, Entry, Event, Finding, Input, Message, Task};
use prunella_core::limits::{LEDGER_COPIES_MAX, LEDGER_GIVE_BYTES_MAX};
use prunella_core::rng::Rng;
use prunella_core::wire::Control;
use prunella_core::wiring::Route;
use prunella_core::{Instant, PeerId};

use crate::disk::Damage;
use crate::event;
use crate::news::News;
use crate::world::World;

/// The ledger of one host, as its shell has it.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// What is durable; `None` for an entry that is damaged.
    log: Vec<Option<Entry>>,
    /// What stood where it is damaged.
    stood: BTreeMap<u64, Entry>,
    /// Copies of what others wrote, by ledger; all that was copied, for a simulated disk is large.
    copies: BTreeMap<PeerId, BTreeMap<u64, Entry>>,
    /// Batches that are being written.
    writing: VecDeque<Batch>,
    /// What is not durable yet, by ticket.
    waiting: BTreeMap<u64, Event>,
    last_ticket: u64,
    /// Whether it is not what it was, by no fault of its node's core: then others may say so.
    pub(crate) is_broken: bool,
}

#[derive(Debug)]
struct Batch {
    entries: Vec<Entry>,
    tickets: Vec<u64>,
    done: Instant,
}

impl Ledger {
    /// What a keeper that starts now finds.
    pub(crate) fn adopted(&self) -> Adopted {
        let copies = self.copies.keys().filter_map(|ledger| self.copied(ledger)).collect();
        Adopted { entries: Some(self.log.clone()), waiting: self.waiting.clone(), copies }
    }

    /// Whether entries of it are not what was written.
    pub(crate) fn is_damaged(&self) -> bool {
        self.log.contains(&None)
    }

    /// What there is of copies of a ledger.
    fn copied(&self, ledger: &PeerId) -> Option<Copied> {
        let (index, last) = self.copies.get(ledger)?.last_key_value()?;
        Some(Copied { ledger: *ledger, until: index + 1, last: last.hash() })
    }

    /// Keeps copies of entries, durably.
    fn copy(&mut self, entries: Vec<Entry>) -> Option<Copied> {
        let ledger = entries.first()?.ledger;
        let copies = self.copies.entry(ledger).or_default();
        copies.extend(entries.into_iter().map(|entry| (entry.index, entry)));
        self.copied(&ledger)
    }

    /// So many entries from that one on, or from the next one that can be read, as far as they follow each other and fit.
    fn give(&self, ledger: &PeerId, is_own: bool, first: u64, count: u64) -> Vec<Entry> {
        let mut room = LEDGER_GIVE_BYTES_MAX;
        let read = |index: u64| match is_own {
            true => self.log.get(index as usize).and_then(Option::as_ref),
            false => self.copies.get(ledger)?.get(&index),
        };
        let readable = (first..first + count).map(read).skip_while(Option::is_none).map_while(|entry| entry);
        let fits = |entry: &&Entry| {
            let bytes = entry.encode().len();
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        };
        readable.take_while(fits).cloned().collect()
    }

    /// Puts entries back; the number of one that is not what stood there, if there is one.
    fn mend(&mut self, entries: &[Entry]) -> Result<Vec<u64>, u64> {
        for entry in entries {
            let at = entry.index as usize;
            if self.log.get(at) != Some(&None) || self.stood.remove(&entry.index).as_ref() != Some(entry) {
                return Err(entry.index);
            }
            self.log[at] = Some(entry.clone());
        }
        Ok(entries.iter().map(|entry| entry.index).collect())
    }

    /// The keeper is another one from now on: what the one before it was writing does not land any more.
    pub(crate) fn abandon(&mut self) {
        self.writing.clear();
    }

    /// Something is to be written down.
    fn take(&mut self, event: Event) -> Input {
        self.last_ticket += 1;
        self.waiting.insert(self.last_ticket, event.clone());
        Input::Append { event, ticket: self.last_ticket }
    }

    /// Writes what is due; how many entries are durable then.
    fn flush(&mut self, now: Instant) -> u64 {
        while self.writing.front().is_some_and(|batch| batch.done <= now) {
            let Some(Batch { entries, tickets, .. }) = self.writing.pop_front() else { break };
            assert_eq!(
                entries.first().map(|first| first.index),
                Some(self.log.len() as u64),
                "BUG: it has another place"
            );
            self.log.extend(entries.into_iter().map(Some));
            tickets.iter().for_each(|ticket| drop(self.waiting.remove(ticket)));
        }
        self.log.len() as u64
    }

    /// What is left when the process is killed. A batch that was torn is cut off by whoever opens the log.
    pub(crate) fn kill(&mut self, damage: Damage, owner: PeerId, rng: &mut Rng, now: Instant) {
        self.flush(now);
        self.writing.clear();
        self.waiting.clear();
        match damage {
            Damage::None | Damage::Torn => {}
            // An entry that is damaged is no other one: nobody may accuse its node of that.
            Damage::Corrupt => {
                for (index, entry) in (0..).zip(&mut self.log).filter(|_| rng.below(3) == 0) {
                    self.stood.extend(entry.take().map(|entry| (index, entry)));
                }
                for copies in self.copies.values_mut() {
                    copies.retain(|_, _| rng.below(3) > 0);
                }
            }
            Damage::Lost => {
                self.is_broken |= !self.log.is_empty();
                self.log.clear();
                self.stood.clear();
                self.copies.clear();
            }
            Damage::Forged => self.forge(owner),
        }
    }

    /// Forgets the newest entry, and says nothing of it.
    pub(crate) fn forget_newest(&mut self) {
        self.log.pop();
        self.stood.remove(&(self.log.len() as u64));
    }

    /// Somebody puts another history in the place of the last entries, each as well-formed as those were.
    fn forge(&mut self, owner: PeerId) {
        let kept = self.log.len() / 2;
        let mut ledger = prunella_core::ledger::Ledger::new(owner);
        let mut forged: Vec<Option<Entry>> = Vec::new();
        for entry in self.log[..kept].iter().flatten() {
            // What does not follow is left out: a forger may do what it likes.
            if ledger.push(entry).is_ok() {
                forged.push(Some(entry.clone()));
            }
        }
        for number in forged.len()..=self.log.len() {
            let event = Event::Commanded {
                command: format!("nothing {number}"),
                who: "nobody".to_owned(),
                from: String::new(),
            };
            let entry = ledger.next(&event, 0);
            ledger.push(&entry).expect("BUG: what was made for its place fits it");
            forged.push(Some(entry));
        }
        self.log = forged;
        self.stood.clear();
        self.is_broken = true;
    }
}

impl World {
    /// What a shell does for the ledger.
    pub(crate) fn do_ledger(&mut self, host: usize, task: Task) {
        let now = self.now;
        match task {
            Task::WriteDown(event) => self.write_down(host, event),
            Task::Write { entries, tickets } => {
                let state = &mut self.hosts[host];
                let done = now + state.flush_takes();
                state.ledger.writing.push_back(Batch { entries, tickets, done });
                let life = state.life;
                self.queue.push(done, event::Event::LedgerFlush { host, life });
            }
            Task::TellFound(finding) => self.judge_finding(host, &finding),
            Task::TellRefused { ticket, .. } => {
                ticket.map(|ticket| self.hosts[host].ledger.waiting.remove(&ticket));
            }
            Task::TellRolledBack { found, witnessed } => {
                if !self.hosts[host].ledger.is_broken {
                    self.fail(format!("node {host} says that its ledger was set back, which is as it was"));
                }
                self.spread_news(News::RolledBack { host, found, witnessed: witnessed.head.size });
            }
            Task::Give { to, ledger, first, count } => self.give_entries(host, to, ledger, first, count),
            Task::Copy { entries } => {
                if let Some(copied) = self.hosts[host].ledger.copy(entries) {
                    self.tell(host, Route::Ledger(Input::Copied(copied)));
                }
                if self.hosts[host].ledger.copies.len() > LEDGER_COPIES_MAX {
                    self.fail(format!("node {host} keeps copies of more ledgers than it may"));
                }
            }
            Task::DropCopies { ledger } => drop(self.hosts[host].ledger.copies.remove(&ledger)),
            Task::Mend { entries } => self.mend(host, &entries),
            Task::TellRepaired { entries, by, .. } => {
                let by = self.index[&by];
                self.spread_news(News::Repaired { host, by, entries: entries.len() });
            }
            // The node has said so in its own ledger; and who is lied to is free to go on.
            Task::TellDamaged { .. } | Task::TellOtherGiven { .. } => {}
        }
    }

    /// Sends entries to a neighbor. A liar gives back something else than it was given.
    fn give_entries(&mut self, host: usize, to: PeerId, ledger: PeerId, first: u64, count: u64) {
        let state = &self.hosts[host];
        let is_own = ledger == state.peer_id();
        let mut given = state.ledger.give(&ledger, is_own, first, count);
        if self.is_liar(host) && !is_own {
            given.iter_mut().for_each(|entry| "nothing happened".clone_into(&mut entry.text));
        }
        let first = given.first().map_or(first, |entry| entry.index);
        let entries = given.iter().map(Entry::encode).collect();
        let control = Control::Ledger(Message::Entries { ledger, first, entries });
        self.send_control(host, self.index[&to], &control);
    }

    /// Safety: whatever neighbors give back, only what stood there is put in its place.
    fn mend(&mut self, host: usize, entries: &[Entry]) {
        match self.hosts[host].ledger.mend(entries) {
            Ok(entries) => self.tell(host, Route::Ledger(Input::Mended { entries, refused: Vec::new() })),
            Err(index) => self.fail(format!("node {host} puts into its ledger what was not its entry {index}")),
        }
    }

    /// Has a node write something down.
    pub(crate) fn write_down(&mut self, host: usize, event: Event) {
        let append = self.hosts[host].ledger.take(event);
        self.tell(host, Route::Ledger(append));
    }

    /// What was to be written to a ledger is durable.
    pub(crate) fn on_ledger_flush(&mut self, host: usize, life: u64) {
        let now = self.now;
        let state = &mut self.hosts[host];
        if state.life == life {
            let size = state.ledger.flush(now);
            self.tell(host, Route::Ledger(Input::Stored { size }));
        }
    }

    /// Safety: nobody is accused whose ledger is as it was, and every accusation that says that it is proof is one.
    fn judge_finding(&mut self, host: usize, finding: &Finding) {
        let Some(owner) = self.index.get(&finding.known.head.ledger).copied() else { return };
        let fault = finding.fault.name();
        if !self.hosts[owner].ledger.is_broken {
            self.fail(format!("node {host} calls the ledger of node {owner} {fault}, which is as it was: {finding}"));
        }
        self.spread_news(News::Ledger { host, owner, fault });
    }
}
