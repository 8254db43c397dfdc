//! An interrupt (Ctrl-C) during a run that can end early and still has something to tell.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use super::failure::{EXIT_INTERRUPTED, complain};

/// Whether the process was asked to end.
#[derive(Clone, Debug, Default)]
pub(super) struct Interruption(Arc<AtomicBool>);

impl Interruption {
    /// Listens from now on. The second interrupt ends the process at once.
    pub(super) fn listen() -> Self {
        let told = Self::default();
        let heard = told.clone();
        let listening = Builder::new_current_thread().enable_io().build().and_then(|runtime| {
            let signals = runtime.block_on(async { signal(SignalKind::interrupt()) })?;
            Ok((runtime, signals))
        });
        match listening {
            Ok((runtime, mut signals)) => {
                thread::spawn(move || {
                    while runtime.block_on(signals.recv()).is_some() {
                        if heard.0.swap(true, Ordering::Relaxed) {
                            process::exit(i32::from(EXIT_INTERRUPTED));
                        }
                    }
                });
            }
            Err(error) => complain(&format!("prunella: an interrupt will end this without a summary: {error}")),
        }
        told
    }

    /// Whether there was an interrupt.
    pub(super) fn happened(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
