//! Where the datapath's tasks run: apart from actors, so that no packet waits for what an actor computes.

use std::future::pending;
use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::{self, available_parallelism};

use tokio::runtime::{Builder, Handle};

/// The runtimes of the datapath's tasks, each of a single thread. What has the same number shares one.
#[derive(Clone, Debug)]
pub struct Threads(Arc<[Handle]>);

impl Threads {
    /// As many as a machine has use for: one for two processors, at most 4.
    pub fn fitting() -> usize {
        available_parallelism().map_or(1, NonZero::get).div_ceil(2).min(FITTING_MAX)
    }

    /// Starts so many threads, at least one. They last as long as the process: start them once.
    ///
    /// # Errors
    /// If the system gives no threads or files.
    pub fn start(count: usize) -> io::Result<Self> {
        (0..count.max(1)).map(start_one).collect::<io::Result<_>>().map(Self)
    }

    /// No threads of their own: everything runs on the runtime that this is called in.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn current() -> Self {
        Self([Handle::current()].into())
    }

    /// The runtime of whatever has this number.
    pub(super) fn of(&self, number: usize) -> &Handle {
        &self.0[number % self.0.len()]
    }

    /// The runtime of what reads the first socket.
    pub(crate) fn first(&self) -> &Handle {
        self.of(0)
    }
}

fn start_one(number: usize) -> io::Result<Handle> {
    let mut builder = Builder::new_current_thread();
    // A turn of a reader takes half a millisecond; tokio's default are 61 of them before it looks at other sockets.
    let runtime = builder.enable_all().event_interval(TURNS).global_queue_interval(TURNS).build()?;
    let handle = runtime.handle().clone();
    let run = move || runtime.block_on(pending::<()>());
    thread::Builder::new().name(format!("datapath-{number}")).spawn(run)?;
    Ok(handle)
}

/// Most of [`Threads::fitting`].
const FITTING_MAX: usize = 4;
/// Turns of tasks between two looks at sockets, timers, and what other threads have woken.
const TURNS: u32 = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_number_is_the_same_thread_and_never_an_actor_s() {
        let threads = Threads::start(2).unwrap();
        let mut ran = Vec::new();
        for number in 0..4 {
            ran.push(threads.of(number).spawn(async { thread::current().id() }).await.unwrap());
        }
        assert_eq!(ran[..2], ran[2..]);
        assert_ne!(ran[0], ran[1]);
        assert!(!ran.contains(&thread::current().id()));
    }

    #[tokio::test]
    async fn without_threads_everything_runs_where_it_was_made() {
        let ran = Threads::current().of(7).spawn(async { thread::current().id() }).await.unwrap();
        assert_eq!(ran, thread::current().id());
    }
}
