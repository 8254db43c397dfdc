//! The recorder: has written down what every role hears, and a digest of what comes of it, so that it can be replayed.
//!
//! Actors put entries into a bounded queue and never wait: when it is full, the entry is dropped and counted, and the
//! role's life is recorded no further, because what follows a gap cannot be replayed. One thread writes.

mod tape;
mod writer;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use prunella_core::limits::{RECORDING_ENTRY_BYTES_MAX, RECORDING_QUEUE_BYTES_MAX, RECORDING_QUEUE_MAX};
use prunella_core::recording::{Entry, Recorded, RoleName, Started};
use prunella_core::wire::codec;
use prunella_core::{Instant, PeerId};

pub use tape::Tape;
pub(super) use tape::hear;
use writer::Writer;

/// Where and how a run of a node is recorded.
#[derive(Clone, Debug)]
pub struct RecorderSetup {
    /// Where the recordings of all runs are.
    pub dir: PathBuf,
    /// The node.
    pub node: PeerId,
    /// When the run began, in milliseconds since the Unix epoch.
    pub run_unix_ms: u64,
    /// How long a file may become, in bytes, give or take one entry.
    pub file_bytes: u64,
}

/// Records the roles of one run of a node.
#[derive(Debug)]
pub struct Recorder {
    queue: Queue,
    lives: AtomicU64,
    dir: PathBuf,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    /// Begins the recording of a run; those of runs long past make room.
    ///
    /// # Errors
    /// The directory cannot be made, or the system gives no thread.
    pub fn start(setup: RecorderSetup) -> io::Result<Self> {
        let (queue, entries) = Queue::with_room_for(RECORDING_QUEUE_MAX);
        let writer = Writer::open(setup)?;
        let dir = writer.dir().to_path_buf();
        let thread = std::thread::Builder::new().name("recorder".to_owned()).spawn(move || writer.run(&entries))?;
        Ok(Self { queue, lives: AtomicU64::new(1), dir, writer: Mutex::new(Some(thread)) })
    }

    /// Begins a life of a role, whose machine is made of `start`; from now on the machine notes what it signs.
    pub fn begin<R: Recorded>(&self, actor: &str, start: &R::Start, machine: &mut R, now: Instant) -> Tape {
        machine.note_signatures();
        let life = self.lives.fetch_add(1, Ordering::Relaxed);
        let (actor, start) = (actor.to_owned(), codec::encode_plain(start));
        let started = Entry::Started(Started { life, actor, at: now.as_nanos(), start });
        Tape::begin(self.queue.clone(), R::ROLE, life, started)
    }

    /// Where this run is recorded.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// How many entries were dropped because the queue was full or they were too long.
    pub fn dropped(&self) -> u64 {
        self.queue.dropped.load(Ordering::Relaxed)
    }

    /// What was recorded of a role since the node started.
    pub fn counts(&self, role: RoleName) -> RoleCounts {
        let counts = &self.queue.counts[role as usize];
        let [entries, dropped, gaps] =
            [&counts.entries, &counts.dropped, &counts.gaps].map(|count| count.load(Ordering::Relaxed));
        RoleCounts { entries, dropped, gaps }
    }

    /// Whether entries are still written: a disk that takes none ends the recording, and the node goes on.
    pub fn writes(&self) -> bool {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    /// Waits until everything is written that was recorded so far; then nothing is recorded any more. It blocks.
    pub fn finish(&self) {
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A writer that could not write is gone already, and has said why.
            let _ = self.queue.sender.send(Told::End);
            let _ = thread.join();
        }
    }
}

/// What was recorded of one role, over all of its lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RoleCounts {
    /// Entries that were handed to the writer.
    pub entries: u64,
    /// Entries that were dropped because the queue was full or they were too long.
    pub dropped: u64,
    /// Lives that are recorded no further because of that.
    pub gaps: u64,
}

#[derive(Debug, Default)]
struct Counts {
    entries: AtomicU64,
    dropped: AtomicU64,
    gaps: AtomicU64,
}

/// What the writer is told.
#[derive(Debug)]
enum Told {
    /// To write an entry, which counts for so many bytes of the queue.
    Entry(RoleName, Entry, usize),
    /// To end.
    End,
}

/// The queue to the writer.
#[derive(Clone, Debug)]
struct Queue {
    sender: SyncSender<Told>,
    waiting_bytes: Arc<AtomicUsize>,
    dropped: Arc<AtomicU64>,
    counts: Arc<[Counts; RoleName::ALL.len()]>,
}

/// The writer's end of the queue.
#[derive(Debug)]
struct Entries {
    receiver: Receiver<Told>,
    waiting_bytes: Arc<AtomicUsize>,
}

/// What became of an entry that was to be recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queued {
    /// It will be written.
    Taken,
    /// It was dropped.
    Dropped,
    /// Nobody writes any more.
    Nobody,
}

impl Queue {
    fn with_room_for(entries: usize) -> (Self, Entries) {
        let (sender, receiver) = sync_channel(entries);
        let waiting_bytes = Arc::<AtomicUsize>::default();
        let queue =
            Self { sender, waiting_bytes: Arc::clone(&waiting_bytes), dropped: Arc::default(), counts: Arc::default() };
        (queue, Entries { receiver, waiting_bytes })
    }

    /// Never waits.
    fn put(&self, role: RoleName, entry: Entry) -> Queued {
        let bytes = entry.bytes();
        let before = self.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let fits = bytes <= RECORDING_ENTRY_BYTES_MAX && before + bytes <= RECORDING_QUEUE_BYTES_MAX;
        let queued = if fits {
            match self.sender.try_send(Told::Entry(role, entry, bytes)) {
                Ok(()) => {
                    self.counts[role as usize].entries.fetch_add(1, Ordering::Relaxed);
                    return Queued::Taken;
                }
                Err(TrySendError::Full(_)) => Queued::Dropped,
                Err(TrySendError::Disconnected(_)) => Queued::Nobody,
            }
        } else {
            Queued::Dropped
        };
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        if queued == Queued::Dropped {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.counts[role as usize].dropped.fetch_add(1, Ordering::Relaxed);
        }
        queued
    }
}

impl Entries {
    /// The next that is there, or, if nothing is, whatever comes next after `idle`.
    fn next(&self, idle: impl FnOnce()) -> Told {
        let told = self.receiver.try_recv().or_else(|_| {
            idle();
            self.receiver.recv()
        });
        if let Ok(Told::Entry(_, _, bytes)) = &told {
            self.waiting_bytes.fetch_sub(*bytes, Ordering::Relaxed);
        }
        // Nobody is left who could tell anything.
        told.unwrap_or(Told::End)
    }
}

#[cfg(test)]
mod tests;
