//! Processes of a lab: short ones to their end, long ones until they are dropped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::waiting::{LabError, until};

/// What a command said until it ended.
#[derive(Clone, Debug)]
pub struct Told {
    /// Whether it ended with exit code 0.
    pub ok: bool,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// Runs a command to its end, which must come within `patience`. What it says goes to files in `dir` first, so that
/// however much it is, nothing waits for a reader.
pub(crate) fn run(mut command: Command, dir: &Path, patience: Duration) -> Result<Told, LabError> {
    let said = tempfile::Builder::new().prefix("told").tempdir_in(dir).map_err(LabError::system("make a directory"))?;
    let (out, err) = (said.path().join("out"), said.path().join("err"));
    let create = |path: &Path| File::create(path).map_err(LabError::system("make a file"));
    command.stdin(Stdio::null()).stdout(create(&out)?).stderr(create(&err)?);
    let name = describe(&command);
    let mut process = Process::start_child(command, out.clone())?;
    let status = process.ended(patience).map_err(|error| match error {
        LabError::TimedOut { patience, .. } => {
            let missing = fs::read_to_string(&err).unwrap_or_default().trim().to_owned();
            LabError::TimedOut { what: format!("the end of `{name}`"), patience, missing }
        }
        other => other,
    })?;
    let read = |path: &Path| fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    let read = |path: &Path| read(path).map_err(LabError::system("read what a command said"));
    Ok(Told { ok: status.success(), stdout: read(&out)?, stderr: read(&err)? })
}

/// As [`run`]; it must also succeed. Gives what it printed.
pub(crate) fn run_well(command: Command, dir: &Path, patience: Duration) -> Result<String, LabError> {
    let name = describe(&command);
    let told = run(command, dir, patience)?;
    if told.ok {
        return Ok(told.stdout);
    }
    // Some programs complain on standard output.
    let complaint = [&told.stderr, &told.stdout].map(|text| text.trim().to_owned()).join(" ");
    Err(LabError::Command { command: name, said: complaint })
}

/// A process that runs until it ends or is dropped, which kills it, even when it is stopped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Kept open: some programs end when it is closed, so that they do not outlive this process.
    _stdin: Option<ChildStdin>,
    log: PathBuf,
    name: String,
}

impl Process {
    /// Starts it; what it says on both outputs goes to the end of `log`.
    ///
    /// # Errors
    ///
    /// [`LabError::System`] if there is no such program.
    pub fn start(mut command: Command, log: &Path) -> Result<Self, LabError> {
        let file = File::options().create(true).append(true).open(log);
        let file = file.map_err(LabError::system(format!("open {}", log.display())))?;
        let again = file.try_clone().map_err(LabError::system("open a log twice"))?;
        command.stdin(Stdio::piped()).stdout(again).stderr(file);
        Self::start_child(command, log.to_owned())
    }

    fn start_child(mut command: Command, log: PathBuf) -> Result<Self, LabError> {
        let name = describe(&command);
        let mut child = command.spawn().map_err(LabError::system(format!("start `{name}`")))?;
        let stdin = child.stdin.take();
        Ok(Self { child, _stdin: stdin, log, name })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// [`LabError::System`] if it is gone.
    pub fn signal(&self, signal: Signal) -> Result<(), LabError> {
        // The id stays taken until the process has been waited for, so that it cannot be anybody else's.
        let sent = kill_process(Pid::from_child(&self.child), signal);
        sent.map_err(|error| LabError::system(format!("signal `{}`", self.name))(error.into()))
    }

    /// How it ended, if it did.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Says what it last said if it has ended.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with the end of its log.
    pub fn assert_runs(&mut self) -> Result<(), LabError> {
        let Some(status) = self.status() else { return Ok(()) };
        let log = self.log();
        let last: Vec<&str> = log.lines().rev().take(5).collect();
        let said = format!("it ended ({status}): {}", last.into_iter().rev().collect::<Vec<_>>().join(" | "));
        Err(LabError::Command { command: self.name.clone(), said })
    }

    /// Waits until it ends of itself; how.
    ///
    /// # Errors
    ///
    /// [`LabError::TimedOut`] if it does not within `patience`.
    pub fn ended(&mut self, patience: Duration) -> Result<ExitStatus, LabError> {
        let what = format!("the end of `{}`", self.name);
        until(&what, patience, || self.status().ok_or_else(|| "it runs".to_owned()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn describe(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
