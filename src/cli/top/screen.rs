//! The terminal while the live view has it: given back however the program ends, by a key, an error, a panic or a signal.

use std::fs::File;
use std::io::{self, BufWriter};
use std::os::fd::AsFd;
use std::panic;
use std::process;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use ratatui::prelude::CrosstermBackend;
use ratatui::{Frame, Terminal};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// The terminal, which is given back when this is dropped.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<BufWriter<File>>>,
    _taken: Taken,
}

/// Gives the terminal back when it is dropped.
struct Taken;

impl Screen {
    /// Takes the terminal.
    pub(super) fn open() -> io::Result<Self> {
        give_back_at_any_end();
        IS_TAKEN.store(true, Ordering::SeqCst);
        let taken = Taken;
        enable_raw_mode()?;
        execute!(standard_output()?, EnterAlternateScreen, Hide)?;
        let terminal = Terminal::new(CrosstermBackend::new(BufWriter::new(standard_output()?)))?;
        Ok(Self { terminal, _taken: taken })
    }

    /// Draws what has changed since it was drawn last.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> io::Result<()> {
        self.terminal.draw(draw).map(|_| ())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

/// Standard output without the lock on it, which the command line holds as long as it runs.
fn standard_output() -> io::Result<File> {
    io::stdout().as_fd().try_clone_to_owned().map(File::from)
}

/// Leaves the terminal as it was, once. Whoever ends can do nothing about it if that fails.
fn give_back() {
    if IS_TAKEN.swap(false, Ordering::SeqCst) {
        let _ = disable_raw_mode();
        let _ = standard_output().and_then(|mut output| execute!(output, LeaveAlternateScreen, Show));
    }
}

/// From now on a panic tells of itself on a screen that can be read, and the signals that end programs end this one in
/// order. Once in a process: there is no way to have a signal's default back.
fn give_back_at_any_end() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let tell = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            give_back();
            tell(info);
        }));
        // A thread of its own, so that it works while the rest hangs. Without it these signals end the program all the
        // same, and leave the terminal as it is.
        let listening = Builder::new_current_thread().enable_io().build().and_then(|runtime| {
            let entered = runtime.enter();
            let signals = (signal(SignalKind::hangup())?, signal(SignalKind::terminate())?);
            drop(entered);
            Ok((runtime, signals))
        });
        if let Ok((runtime, (mut hang_up, mut terminate))) = listening {
            thread::spawn(move || {
                let number = runtime.block_on(async {
                    tokio::select! {
                        _ = hang_up.recv() => SignalKind::hangup().as_raw_value(),
                        _ = terminate.recv() => SignalKind::terminate().as_raw_value(),
                    }
                });
                give_back();
                process::exit(128 + number);
            });
        }
    });
}

/// Whether the terminal is in use.
static IS_TAKEN: AtomicBool = AtomicBool::new(false);
