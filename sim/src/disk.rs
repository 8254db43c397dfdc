//! A host's disk: what was written is safe only when it was flushed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use prunella_core::Instant;
use prunella_core::record::{RecordId, SignedRecord};
use prunella_core::rng::Rng;
use prunella_core::wire::codec;

/// What happens to a disk when the process on it is killed. Writes that were not flushed are gone in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Damage {
    /// Nothing else.
    None,
    /// Of the oldest write that was not flushed, only a part reached the disk.
    Torn,
    /// Some of what was safe has changed.
    Corrupt,
    /// Everything on it is gone.
    Lost,
    /// Somebody has put another history into its ledger.
    Forged,
}

impl Damage {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Damage::None => "kill",
            Damage::Torn => "kill-torn",
            Damage::Corrupt => "kill-corrupt",
            Damage::Lost => "lose-disk",
            Damage::Forged => "forge-ledger",
        }
    }
}

/// The store of one host, as the one writer in front of it sees it: one write after the other, each flushed by itself.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    safe: BTreeMap<RecordId, Vec<u8>>,
    waiting: VecDeque<Write>,
    fails_next: bool,
    /// Whether something that had been safe, or had been waiting, was lost to anything but a plain kill.
    damaged: bool,
}

#[derive(Debug)]
struct Write {
    id: RecordId,
    /// `None`: forget it.
    value: Option<Vec<u8>>,
    done: Instant,
}

impl Disk {
    /// Puts a write in line; tells when it will be flushed. `None`: the write failed, and the writer with it; all that
    /// waited behind it is gone.
    pub(crate) fn write(
        &mut self,
        id: RecordId,
        signed: Option<&SignedRecord>,
        takes: Duration,
        now: Instant,
    ) -> Option<Instant> {
        if std::mem::take(&mut self.fails_next) {
            self.waiting.clear();
            self.damaged = true;
            return None;
        }
        let begins = self.waiting.back().map_or(now, |last| last.done.max(now));
        let done = begins + takes;
        self.waiting.push_back(Write { id, value: signed.map(codec::encode), done });
        Some(done)
    }

    /// Flushes what is due.
    pub(crate) fn flush(&mut self, now: Instant) {
        while self.waiting.front().is_some_and(|write| write.done <= now) {
            let Some(Write { id, value, .. }) = self.waiting.pop_front() else { break };
            match value {
                Some(value) => self.safe.insert(id, value),
                None => self.safe.remove(&id),
            };
        }
    }

    /// Says that everything is flushed, and forgets to do it.
    pub(crate) fn pretend_to_flush(&mut self, now: Instant) {
        while self.waiting.front().is_some_and(|write| write.done <= now) {
            self.waiting.pop_front();
        }
    }

    /// The next write will fail.
    pub(crate) fn fail_next(&mut self) {
        self.fails_next = true;
    }

    /// What is left when the process is killed.
    pub(crate) fn kill(&mut self, damage: Damage, rng: &mut Rng) {
        match damage {
            Damage::None | Damage::Forged => {}
            Damage::Torn => {
                if let Some(Write { id, value: Some(value), .. }) = self.waiting.pop_front() {
                    let kept = rng.below(value.len());
                    self.safe.insert(id, value[..kept].to_vec());
                    self.damaged = true;
                }
            }
            Damage::Corrupt => {
                for value in self.safe.values_mut().filter(|value| !value.is_empty()) {
                    if rng.below(3) == 0 {
                        let bit = rng.below(value.len() * 8);
                        value[bit / 8] ^= 1 << (bit % 8);
                        self.damaged = true;
                    }
                }
            }
            Damage::Lost => {
                self.damaged |= !self.safe.is_empty();
                self.safe.clear();
            }
        }
        self.waiting.clear();
        self.fails_next = false;
    }

    /// What a process that starts now reads: everything that decodes. Whether it is still what was written, is for the
    /// reader to see.
    pub(crate) fn read(&self) -> impl Iterator<Item = SignedRecord> {
        self.safe.values().filter_map(|value| codec::decode(value).ok())
    }

    /// Whether something that had been written was lost to anything but a plain kill.
    pub(crate) fn was_damaged(&self) -> bool {
        self.damaged
    }

    /// How many records are safe or on their way.
    pub(crate) fn len(&self) -> usize {
        self.safe.len() + self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use prunella_core::gossip;
    use prunella_core::identity::Identity;
    use prunella_core::record::{Body, Kind, Record};

    use super::*;

    const UNIX_MS: u64 = 1_800_000_000_000;
    const TAKES: Duration = Duration::from_millis(5);

    fn record(key: &str) -> (RecordId, SignedRecord) {
        let me = Identity::from_secret(&[1; 32]);
        let id = RecordId { origin: me.peer(), kind: Kind::Service, key: key.to_owned() };
        let record =
            Record { id: id.clone(), version: 1, issued_ms: UNIX_MS, expires_ms: UNIX_MS + 9000, body: Body::Service };
        (id, record.sign(&me).signed.clone())
    }

    fn with(keys: &[&str]) -> Disk {
        let mut disk = Disk::default();
        for key in keys {
            let (id, signed) = record(key);
            disk.write(id, Some(&signed), TAKES, Instant::BOOT);
        }
        disk
    }

    fn held(disk: &Disk) -> Vec<String> {
        let me = Identity::from_secret(&[1; 32]).peer();
        let loaded = gossip::load(&me, disk.read(), UNIX_MS);
        loaded.records.iter().map(|proven| proven.record.id.key.clone()).collect()
    }

    #[test]
    fn a_kill_forgets_what_was_not_flushed() {
        let mut disk = with(&["a", "b", "c"]);
        disk.flush(Instant::from_millis(10));
        disk.kill(Damage::None, &mut Rng::from_seed(1));
        assert_eq!(held(&disk), ["a", "b"], "one flush after the other");
        assert!(!disk.was_damaged());
    }

    #[test]
    fn a_torn_write_is_dropped_when_it_is_loaded() {
        let mut disk = with(&["a", "b"]);
        disk.flush(Instant::from_millis(5));
        disk.kill(Damage::Torn, &mut Rng::from_seed(1));
        assert_eq!((held(&disk), disk.len(), disk.was_damaged()), (vec!["a".to_owned()], 2, true));
    }

    #[test]
    fn no_corrupted_record_is_loaded() {
        let mut disk = with(&["a", "b", "c", "d", "e", "f"]);
        disk.flush(Instant::from_millis(100));
        disk.kill(Damage::Corrupt, &mut Rng::from_seed(1));
        let whole = held(&disk);
        assert!(!whole.is_empty() && whole.len() < 6 && disk.len() == 6, "{whole:?}");
    }

    #[test]
    fn a_lost_disk_holds_nothing_and_a_failed_write_takes_those_behind_it_along() {
        let mut disk = with(&["a", "b"]);
        disk.flush(Instant::from_millis(5));
        disk.fail_next();
        let (id, signed) = record("c");
        assert_eq!(disk.write(id, Some(&signed), TAKES, Instant::from_millis(6)), None);
        disk.flush(Instant::from_millis(100));
        assert_eq!(held(&disk), ["a"]);
        disk.kill(Damage::Lost, &mut Rng::from_seed(1));
        assert_eq!(disk.len(), 0);
    }
}
