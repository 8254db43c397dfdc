//! The writer: puts entries into files, one after another for each role, and keeps the last ones only.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use prunella_core::limits::{RECORDING_RUNS_KEPT, RECORDING_SEGMENTS_KEPT};
use prunella_core::recording::{Entry, Header, RoleName, opening, sealed};

use super::{Entries, RecorderSetup, Told};

/// Writes the recording of one run.
#[derive(Debug)]
pub(super) struct Writer {
    dir: PathBuf,
    setup: RecorderSetup,
    files: BTreeMap<RoleName, Segment>,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    file: BufWriter<File>,
    bytes: u64,
}

impl Writer {
    /// Makes the directory of the run, and room for it.
    pub(super) fn open(mut setup: RecorderSetup) -> io::Result<Self> {
        builder().recursive(true).create(&setup.dir)?;
        let mut runs = runs(&setup.dir)?;
        // Also when the clock was set back, the last run is the last one by its name.
        if let Some(last) = runs.last() {
            setup.run_unix_ms = setup.run_unix_ms.max(last + 1);
        }
        let surplus = (runs.len() + 1).saturating_sub(RECORDING_RUNS_KEPT);
        for run in runs.drain(..surplus) {
            fs::remove_dir_all(setup.dir.join(run.to_string()))?;
        }
        let dir = setup.dir.join(setup.run_unix_ms.to_string());
        builder().create(&dir)?;
        Ok(Self { dir, setup, files: BTreeMap::new() })
    }

    /// Where it writes.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Writes until it is told to end, or cannot.
    pub(super) fn run(mut self, entries: &Entries) {
        loop {
            let flushed = &mut Ok(());
            let told = entries.next(|| *flushed = self.flush());
            let written = std::mem::replace(flushed, Ok(())).and_then(|()| match told {
                Told::Entry(role, entry, _) => self.write(role, &entry).map(|()| true),
                Told::End => self.end().map(|()| false),
            });
            match written {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    let dir = self.dir.display();
                    tracing::error!(%error, %dir, "what roles hear cannot be recorded any more; the node goes on");
                    return;
                }
            }
        }
    }

    fn write(&mut self, role: RoleName, entry: &Entry) -> io::Result<()> {
        let full = self.files.get(&role).filter(|segment| segment.bytes >= self.setup.file_bytes);
        let number = full.map(|segment| segment.number + 1);
        if number.is_some() || !self.files.contains_key(&role) {
            let segment = self.segment(role, number.unwrap_or(0))?;
            if let Some(mut earlier) = self.files.insert(role, segment) {
                earlier.file.flush()?;
            }
        }
        let segment = self.files.get_mut(&role).expect("BUG: it was opened just now");
        let chunk = sealed(&entry.encode());
        segment.bytes += chunk.len() as u64;
        segment.file.write_all(&chunk)
    }

    /// Begins a file, and removes the one that is not kept any more.
    fn segment(&self, role: RoleName, number: u64) -> io::Result<Segment> {
        if let Some(gone) = number.checked_sub(RECORDING_SEGMENTS_KEPT) {
            fs::remove_file(self.dir.join(file_name(role, gone)))?;
        }
        let file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(self.dir.join(file_name(role, number)))?;
        let RecorderSetup { node, run_unix_ms, .. } = self.setup;
        let program = env!("CARGO_PKG_VERSION").to_owned();
        let header = Header { node, program, role, run_unix_ms, segment: number }.encode();
        let mut file = BufWriter::new(file);
        let head = [&opening()[..], &sealed(&header)].concat();
        file.write_all(&head)?;
        Ok(Segment { number, file, bytes: head.len() as u64 })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.files.values_mut().try_for_each(|segment| segment.file.flush())
    }

    fn end(&mut self) -> io::Result<()> {
        self.flush()?;
        self.files.values().try_for_each(|segment| segment.file.get_ref().sync_all())
    }
}

fn builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

/// The runs that were recorded, the earliest first; whatever else lies there is nobody's concern.
fn runs(dir: &Path) -> io::Result<Vec<u64>> {
    let mut runs = Vec::new();
    for entry in fs::read_dir(dir)? {
        runs.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u64>().ok()));
    }
    runs.sort_unstable();
    Ok(runs)
}

/// The name of a file: those of one role lie side by side, in their order.
fn file_name(role: RoleName, segment: u64) -> String {
    format!("{role}.{segment:06}.inputs")
}
