//! Bounded waiting, and what can go wrong in a lab.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Why something in a lab failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// There can be no lab here: not root, or a command or a part of the kernel is missing. Nothing was left behind.
    #[error("no lab of network namespaces: {0}")]
    Unavailable(String),
    /// A command failed; what it said.
    #[error("`{command}` failed: {said}")]
    Command {
        /// The command with its arguments.
        command: String,
        /// Its standard error, or its end when it said nothing.
        said: String,
    },
    /// The system refused.
    #[error("failed to {doing}: {source}")]
    System {
        /// What was tried.
        doing: String,
        /// What the system said.
        source: io::Error,
    },
    /// Something did not happen in time.
    #[error("{what}: not within {patience:?}: {missing}")]
    TimedOut {
        /// What was waited for.
        what: String,
        /// For how long.
        patience: Duration,
        /// What was missing in the end.
        missing: String,
    },
    /// The user wants it to end: see [`interrupt`].
    #[error("interrupted")]
    Interrupted,
    /// A program has said something that cannot be read.
    #[error("{0}")]
    Unreadable(String),
}

impl LabError {
    /// Makes the error of a system call that was to do this.
    pub(crate) fn system(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::System { doing, source }
    }
}

/// Checks again and again until `check` is content, at most for `patience`. A failed check says what is missing.
///
/// # Errors
///
/// [`LabError::TimedOut`] with what was missing last; [`LabError::Interrupted`] as soon as the user wants it to end.
pub fn until<T>(what: &str, patience: Duration, mut check: impl FnMut() -> Result<T, String>) -> Result<T, LabError> {
    let deadline = Instant::now() + patience;
    let mut pause = FIRST_PAUSE;
    loop {
        let missing = match check() {
            Ok(found) => return Ok(found),
            Err(missing) => missing,
        };
        if INTERRUPTED.load(Ordering::Relaxed) {
            return Err(LabError::Interrupted);
        }
        if Instant::now() >= deadline {
            return Err(LabError::TimedOut { what: what.to_owned(), patience, missing });
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// Ends whatever this process waits for in its labs: every wait fails with [`LabError::Interrupted`] from now on.
pub fn interrupt() {
    INTERRUPTED.store(true, Ordering::Relaxed);
}

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LAST_PAUSE: Duration = Duration::from_millis(20);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_ends_with_what_was_missing() {
        let mut tries = 0;
        let found = until("three tries", Duration::from_secs(5), || {
            tries += 1;
            if tries == 3 { Ok(tries) } else { Err(format!("{tries} so far")) }
        });
        assert_eq!(found.unwrap(), 3);
        let late = until("for ever", Duration::from_millis(5), || Err::<(), _>("nothing".to_owned()));
        assert!(late.unwrap_err().to_string().ends_with("nothing"));
    }
}
