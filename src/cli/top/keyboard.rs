//! The keys as they are pressed. Nothing is asked of the terminal while none is.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use ratatui::crossterm::event::{self, Event, KeyEvent};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// What comes from the keyboard.
pub(super) struct Keyboard {
    input: AsyncFd<OwnedFd>,
}

impl Keyboard {
    /// Reads the terminal on standard input.
    pub(super) fn open() -> io::Result<Self> {
        let input = io::stdin().as_fd().try_clone_to_owned()?;
        #[allow(deprecated, reason = "it is deprecated for what does not own its descriptor; this does")]
        let input = AsyncFd::with_interest(input, Interest::READABLE)?;
        Ok(Self { input })
    }

    /// The keys that were pressed; there may be none among what came.
    pub(super) async fn pressed(&self) -> io::Result<Vec<KeyEvent>> {
        let mut ready = self.input.readable().await?;
        if ready.ready().is_read_closed() {
            // It stays so for ever: whoever went on would ask again at once, all the time.
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it is gone"));
        }
        let mut keys = Vec::new();
        while event::poll(Duration::ZERO)? {
            if let Event::Key(key) = event::read()? {
                keys.push(key);
            }
        }
        ready.clear_ready();
        Ok(keys)
    }
}
