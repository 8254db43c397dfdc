//! Files in memory that fail and crash when told to, so that a test can do so at every call.
//!
//! What was not made durable is lost in a crash, or is there in part, or in whole, sector by sector as the seed has it: so
//! a disk that writes back in any order is among what is tried. What was made durable stays.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::files::Files;

/// Files in memory; clones are the same files, so a test keeps one.
#[derive(Clone, Debug, Default)]
pub struct FaultyFiles {
    state: Arc<Mutex<State>>,
}

/// What happens at the call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    /// It fails, with a part of its effect; the next one works.
    Once,
    /// The process dies in the middle of it: this one and all later ones fail.
    Crash,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<String, File>,
    /// Files that were removed, as far as that is not durable.
    removed: BTreeMap<String, File>,
    /// Calls that change something, since a failure was set.
    calls: u64,
    fails_at: Option<(u64, Failure)>,
    dead: bool,
    /// Bytes that fit, of all files together.
    room: Option<u64>,
    random: u64,
}

#[derive(Clone, Debug, Default)]
struct File {
    /// As the process sees it.
    now: Vec<u8>,
    /// As it is after a crash that loses all the rest.
    durable: Vec<u8>,
    pending: Vec<Pending>,
    /// Whether its name is durable.
    named: bool,
}

#[derive(Clone, Debug)]
enum Pending {
    Write { at: usize, bytes: Vec<u8> },
    Length(usize),
}

impl FaultyFiles {
    /// No files; none fails until it is told to.
    pub fn new() -> Self {
        Self::default()
    }

    /// Fails the `call`-th call from now that changes something, counted from 1, with a part of its effect.
    pub fn fail_at(&self, call: u64) {
        self.state().set(call, Failure::Once);
    }

    /// Crashes in the middle of the `call`-th call from now that changes something, counted from 1: from then on all calls
    /// fail, until [`FaultyFiles::restart`].
    pub fn crash_at(&self, call: u64) {
        self.state().set(call, Failure::Crash);
    }

    /// Lets no more than so many bytes fit; `None`: any number.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.state().room = bytes;
    }

    /// Whether it has crashed.
    pub fn has_crashed(&self) -> bool {
        self.state().dead
    }

    /// Calls that changed something since a failure was set.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// The files as they are after a crash; the seed says what of that which was not durable is there.
    pub fn restart(&self, seed: u64) {
        let mut state = self.state();
        let state = &mut *state;
        state.random = seed;
        (state.dead, state.fails_at) = (false, None);
        for (name, file) in std::mem::take(&mut state.removed) {
            if state.draw(2) == 0 {
                state.files.entry(name).or_insert(file);
            }
        }
        for (name, mut file) in std::mem::take(&mut state.files) {
            if file.named || state.draw(2) == 0 {
                state.settle(&mut file, false);
                file.named = true;
                state.files.insert(name, file);
            }
        }
    }

    /// Changes the bytes of a file behind everybody's back.
    ///
    /// # Panics
    /// If there is no such file.
    pub fn tamper(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state();
        let file = state.files.get_mut(name).expect("BUG: the file is there");
        change(&mut file.now);
        (file.durable, file.pending) = (file.now.clone(), Vec::new());
    }

    /// Copies of all files, which nobody else changes.
    pub fn copy(&self) -> Self {
        let state = self.state();
        let files = state.files.clone();
        Self { state: Arc::new(Mutex::new(State { files, ..State::default() })) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn set(&mut self, call: u64, failure: Failure) {
        (self.calls, self.fails_at) = (0, Some((call, failure)));
    }

    /// Counts a call; true if it is to fail in the middle.
    fn strikes(&mut self) -> io::Result<bool> {
        if self.dead {
            return Err(injected());
        }
        self.calls += 1;
        let Some((_, failure)) = self.fails_at.filter(|(call, _)| *call == self.calls) else { return Ok(false) };
        self.dead = failure == Failure::Crash;
        Ok(true)
    }

    fn file(&mut self, name: &str) -> io::Result<&mut File> {
        self.files.get_mut(name).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// A number below `below`, by xorshift (Marsaglia, 2003).
    fn draw(&mut self, below: usize) -> usize {
        let mut x = self.random.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random = x;
        (x >> 11) as usize % below
    }

    /// Makes durable what was written: all, or what the seed says.
    fn settle(&mut self, file: &mut File, all: bool) {
        for pending in std::mem::take(&mut file.pending) {
            let style = if all { 1 } else { self.draw(4) };
            match (pending, style) {
                (_, 0) => {}
                (Pending::Write { at, bytes }, 1) => put(&mut file.durable, at, &bytes),
                (Pending::Write { at, bytes }, 2) => {
                    let length = self.draw(bytes.len() + 1);
                    put(&mut file.durable, at, &bytes[..length]);
                }
                (Pending::Write { at, bytes }, _) => self.put_sectors(&mut file.durable, at, &bytes),
                (Pending::Length(length), _) => file.durable.resize(length, 0),
            }
        }
        file.now.clone_from(&file.durable);
    }

    /// Writes some of the sectors; the file is as long as if all had been.
    fn put_sectors(&mut self, file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
        if file.len() < at + bytes.len() {
            file.resize(at + bytes.len(), 0);
        }
        for (i, sector) in bytes.chunks(SECTOR_BYTES).enumerate() {
            if self.draw(2) == 0 {
                put(file, at + i * SECTOR_BYTES, sector);
            }
        }
    }
}

impl Files for FaultyFiles {
    fn list(&self) -> io::Result<Vec<String>> {
        let state = self.state();
        if state.dead { Err(injected()) } else { Ok(state.files.keys().cloned().collect()) }
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let mut state = self.state();
        if state.dead { Err(injected()) } else { Ok(state.file(name)?.now.clone()) }
    }

    fn read_at(&self, name: &str, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let bytes = self.read(name)?;
        let found = bytes.get(offset as usize..offset as usize + length);
        found.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn create(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.strikes()? {
            return Err(injected());
        }
        let removed = state.removed.remove(name);
        let file = state.files.entry(name.to_owned()).or_insert_with(|| removed.unwrap_or_default());
        file.now.clear();
        file.pending.push(Pending::Length(0));
        Ok(())
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let struck = state.strikes()?;
        let used: usize = state.files.values().map(|file| file.now.len()).sum();
        let at = offset as usize;
        let grows = (at + bytes.len()).saturating_sub(state.file(name)?.now.len());
        let beyond = state.room.map_or(0, |room| (used + grows).saturating_sub(room as usize).min(grows));
        let fits = if struck { bytes.len() / 2 } else { bytes.len() - beyond.min(bytes.len()) };
        let file = state.file(name)?;
        put(&mut file.now, at, &bytes[..fits]);
        file.pending.push(Pending::Write { at, bytes: bytes[..fits].to_vec() });
        match () {
            () if struck => Err(injected()),
            () if beyond > 0 => Err(io::ErrorKind::StorageFull.into()),
            () => Ok(()),
        }
    }

    fn truncate(&mut self, name: &str, length: u64) -> io::Result<()> {
        let mut state = self.state();
        if state.strikes()? {
            return Err(injected());
        }
        let file = state.file(name)?;
        file.now.resize(length as usize, 0);
        file.pending.push(Pending::Length(length as usize));
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        if state.strikes()? {
            return Err(injected());
        }
        let file = state.files.remove(name).ok_or(io::ErrorKind::NotFound)?;
        if file.named {
            state.removed.insert(name.to_owned(), file);
        }
        Ok(())
    }

    fn sync_data(&mut self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        let struck = state.strikes()?;
        let mut file = state.file(name)?.clone();
        if struck {
            // Some of it is durable, and nobody knows what; what is seen is as it was. The rest is not written later either:
            // an operating system may take it for written (Rebello et al., Can Applications Recover from fsync Failures?,
            // 2020).
            let seen = file.now.clone();
            state.random = state.calls;
            state.settle(&mut file, false);
            file.now = seen;
        } else {
            state.settle(&mut file, true);
        }
        state.files.insert(name.to_owned(), file);
        if struck { Err(injected()) } else { Ok(()) }
    }

    fn sync_names(&mut self) -> io::Result<()> {
        let mut state = self.state();
        if state.strikes()? {
            return Err(injected());
        }
        state.files.values_mut().for_each(|file| file.named = true);
        state.removed.clear();
        Ok(())
    }
}

/// Writes bytes into a file that grows as far as they need.
fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn injected() -> io::Error {
    io::Error::other("failed on purpose")
}

/// What is written whole or not at all. Small, so that a short frame is torn in many ways.
const SECTOR_BYTES: usize = 16;
