//! Files of a log that fail when told to, by the handle that also fails stores: so one fault of a disk strikes both.

use std::io;

use super::files::Files;
use crate::Faults;

/// Files whose calls fail as a handle says. What is there can be read, whatever the disk does to what is written.
#[derive(Debug)]
pub struct SteeredFiles<F> {
    inner: F,
    faults: Faults,
}

impl<F> SteeredFiles<F> {
    /// Files that fail as this handle says.
    pub fn over(inner: F, faults: Faults) -> Self {
        Self { inner, faults }
    }
}

impl<F: Files> Files for SteeredFiles<F> {
    fn list(&self) -> io::Result<Vec<String>> {
        self.inner.list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        self.inner.read(name)
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        self.inner.read_at(name, offset, length)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        self.faults.strike_file()?;
        self.inner.create(name)
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.faults.strike_file()?;
        self.inner.write_at(name, offset, bytes)
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        self.faults.strike_file()?;
        self.inner.truncate(name, length)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.faults.strike_file()?;
        self.inner.remove(name)
    }

    fn sync_data(&mut self, name: &str) -> io::Result<()> {
        self.faults.strike_file()?;
        self.inner.sync_data(name)
    }

    fn sync_names(&mut self) -> io::Result<()> {
        self.faults.strike_file()?;
        self.inner.sync_names()
    }
}

/// Whatever files there are.
impl Files for Box<dyn Files> {
    fn list(&self) -> io::Result<Vec<String>> {
        (**self).list()
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        (**self).read(name)
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        (**self).read_at(name, offset, length)
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        (**self).create(name)
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        (**self).write_at(name, offset, bytes)
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        (**self).truncate(name, length)
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        (**self).remove(name)
    }

    fn sync_data(&mut self, name: &str) -> io::Result<()> {
        (**self).sync_data(name)
    }

    fn sync_names(&mut self) -> io::Result<()> {
        (**self).sync_names()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::log::{FaultyFiles, Log, LogError};

    fn open(files: &FaultyFiles, faults: &Faults) -> Log<Box<dyn Files>> {
        let files: Box<dyn Files> = Box::new(SteeredFiles::over(files.clone(), faults.clone()));
        Log::open_in(files, 1 << 20).unwrap().0
    }

    #[test]
    fn a_log_on_a_full_disk_can_be_read_and_is_written_again_when_there_is_room() {
        let (files, faults) = (FaultyFiles::new(), Faults::default());
        let mut log = open(&files, &faults);
        log.append(&[b"one"]).unwrap();
        faults.fill();
        for _ in 0..3 {
            let error = log.append(&[b"two"]).unwrap_err();
            assert!(matches!(&error, LogError::Io(error) if error.kind() == io::ErrorKind::StorageFull), "{error}");
        }
        assert_eq!((log.len(), log.read(0).unwrap()), (1, b"one".to_vec()));
        faults.heal();
        log.append(&[b"two"]).unwrap();
        drop(log);
        assert_eq!(open(&files, &faults).len(), 2);
    }

    #[test]
    fn every_call_that_fails_costs_its_batch_alone() {
        for call in 1..9 {
            let (files, faults) = (FaultyFiles::new(), Faults::default());
            let mut log = open(&files, &faults);
            log.append(&[b"one"]).unwrap();
            faults.fail_at(call, crate::Moment::Before);
            let failures = (0..4).filter(|_| log.append(&[b"more"]).is_err()).count();
            assert!(failures <= 1, "call {call}");
            assert_eq!(log.len(), 5 - failures as u64);
            drop(log);
            assert_eq!(open(&files, &faults).len(), 5 - failures as u64);
        }
    }

    #[test]
    fn a_slow_disk_is_slow_for_a_log_and_an_engine_that_stopped_is_none_of_its_business() {
        let (files, faults) = (FaultyFiles::new(), Faults::default());
        let mut log = open(&files, &faults);
        faults.stop_open();
        log.append(&[b"one"]).unwrap();
        faults.slow(Duration::from_millis(5));
        let begun = Instant::now();
        log.append(&[b"two"]).unwrap();
        assert!(begun.elapsed() >= Duration::from_millis(10), "a write and a sync at least");
    }
}
