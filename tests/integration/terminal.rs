//! A terminal for programs that want one: a pseudo-terminal, and what stands on its screen.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::mesh::until;
use super::process::program;

/// A program in a terminal of its own; dropping it kills it.
pub(crate) struct Terminal {
    child: Child,
    keys: File,
    /// Kept open, so that its modes can be read when the program has ended.
    side: File,
    screen: Arc<Mutex<Screen>>,
}

/// What a terminal shows, as far as the programs under test command it.
struct Screen {
    cells: Vec<Vec<char>>,
    at: (usize, usize),
    pending: Vec<u8>,
    is_alternate: bool,
    is_cursor_hidden: bool,
}

impl Terminal {
    /// Runs the program on the node in `dir`, on a screen of 100 columns and 30 rows.
    pub(crate) fn run(dir: &Path, arguments: &[&str]) -> Self {
        let main = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&main).unwrap();
        unlockpt(&main).unwrap();
        let name = ptsname(&main, Vec::new()).unwrap();
        let size = Winsize { ws_row: ROWS as u16, ws_col: COLUMNS as u16, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&main, size).unwrap();
        let side = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let end = || Stdio::from(OwnedFd::from(side.try_clone().unwrap()));
        // In a session of its own, so that it takes no other terminal for its own.
        let program = program(dir);
        let mut command = std::process::Command::new("setsid");
        command.arg("--ctty").arg(program.get_program()).args(program.get_args()).args(arguments);
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.env("TERM", "xterm-256color").env("PAGER", "sed s/^/paged:/");
        let child = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        let screen = Arc::new(Mutex::new(Screen::empty()));
        let mut output = File::from(main.try_clone().unwrap());
        let shown = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                shown.lock().unwrap().show(&bytes[..count]);
            }
        });
        Self { child, keys: File::from(main), side, screen }
    }

    /// Types.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // The id stays taken until the process has been waited for, so that it cannot be anybody else's.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Every line of the screen.
    pub(crate) fn lines(&self) -> Vec<String> {
        let screen = self.screen.lock().unwrap();
        screen.cells.iter().map(|row| row.iter().collect::<String>().trim_end().to_owned()).collect()
    }

    /// Waits until the screen has all of these in it.
    pub(crate) async fn shows(&self, fragments: &[&str]) {
        until(&format!("a screen with {fragments:?}"), PATIENCE, async || {
            let text = self.lines().join("\n");
            if fragments.iter().all(|fragment| text.contains(fragment)) { Ok(()) } else { Err(text) }
        })
        .await;
    }

    /// Waits until the screen has this in it no longer.
    pub(crate) async fn shows_no(&self, fragment: &str) {
        until(&format!("a screen without {fragment:?}"), PATIENCE, async || {
            let text = self.lines().join("\n");
            if text.contains(fragment) { Err(text) } else { Ok(()) }
        })
        .await;
    }

    /// Waits until the program has ended, and panics if it left the terminal in another state than it found it in.
    pub(crate) async fn ended_in_order(&mut self) -> ExitStatus {
        let status = until("its end", PATIENCE, async || match self.child.try_wait().unwrap() {
            Some(status) => Ok(status),
            None => Err("it runs".to_owned()),
        })
        .await;
        until("the terminal back", PATIENCE, async || {
            let screen = self.screen.lock().unwrap();
            match (screen.is_alternate, screen.is_cursor_hidden) {
                (false, false) => Ok(()),
                state => Err(format!("alternate screen, hidden cursor: {state:?}")),
            }
        })
        .await;
        let modes = tcgetattr(&self.side).unwrap().local_modes;
        assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG), "{modes:?}");
        status
    }

    /// Whether the alternate screen is shown.
    pub(crate) fn is_alternate(&self) -> bool {
        self.screen.lock().unwrap().is_alternate
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Screen {
    fn empty() -> Self {
        let cells = vec![vec![' '; COLUMNS]; ROWS];
        Self { cells, at: (0, 0), pending: Vec::new(), is_alternate: false, is_cursor_hidden: false }
    }

    fn show(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
        // What is cut in the middle waits for its rest.
        while let Some(taken) = self.take() {
            self.pending.drain(..taken);
        }
    }

    /// Shows the first thing that is pending, if it is whole; how many bytes it has.
    fn take(&mut self) -> Option<usize> {
        let first = *self.pending.first()?;
        if first == 0x1b {
            if *self.pending.get(1)? != b'[' {
                return Some(2);
            }
            let end = 2 + self.pending[2..].iter().position(|byte| (0x40..=0x7e).contains(byte))?;
            let parameters = String::from_utf8_lossy(&self.pending[2..end]).into_owned();
            self.command(self.pending[end], &parameters);
            return Some(end + 1);
        }
        let length = match first {
            0..0x80 => 1,
            0x80..0xe0 => 2,
            0xe0..0xf0 => 3,
            _ => 4,
        };
        let text = String::from_utf8_lossy(self.pending.get(..length)?).into_owned();
        text.chars().for_each(|c| self.print(c));
        Some(length)
    }

    /// A control sequence (ECMA-48, 5.4).
    fn command(&mut self, end: u8, parameters: &str) {
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<usize>().ok()).unwrap_or(1) - 1;
        match (end, parameters) {
            (b'H', _) => {
                let mut parts = parameters.split(';');
                self.at = (number(parts.next()), number(parts.next()));
            }
            (b'J', "2") => self.cells = Screen::empty().cells,
            (b'h' | b'l', "?1049") => {
                (self.is_alternate, self.at) = (end == b'h', (0, 0));
                self.cells = Screen::empty().cells;
            }
            (b'h' | b'l', "?25") => self.is_cursor_hidden = end == b'l',
            _ => {}
        }
    }

    fn print(&mut self, c: char) {
        match c {
            '\r' => self.at.1 = 0,
            '\n' if self.at.0 + 1 == ROWS => {
                self.cells.remove(0);
                self.cells.push(vec![' '; COLUMNS]);
            }
            '\n' => self.at.0 += 1,
            c if !c.is_control() => {
                if let Some(cell) = self.cells.get_mut(self.at.0).and_then(|row| row.get_mut(self.at.1)) {
                    *cell = c;
                }
                self.at.1 += 1;
            }
            _ => {}
        }
    }
}

const COLUMNS: usize = 100;
const ROWS: usize = 30;
const PATIENCE: Duration = Duration::from_secs(30);
