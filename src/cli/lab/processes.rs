//! Runs this program's commands and nodes as child processes; what the lab started ends with it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

use crate::api::{Error, ErrorKind};

/// The program whose commands and nodes the lab runs.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
}

impl Program {
    /// This very program.
    ///
    /// # Errors
    /// [`ErrorKind::System`] if the system does not tell where it is.
    pub(super) fn this() -> Result<Self, Error> {
        let path = std::env::current_exe().map_err(|e| system("find this program's file", &e))?;
        Ok(Self { path })
    }

    /// Runs a short command on the node in `dir` to its end and gives back what it printed.
    ///
    /// # Errors
    /// [`ErrorKind::System`] if it cannot be started or fails, [`ErrorKind::TimedOut`] if it takes longer than 20 s.
    pub(super) async fn output(&self, dir: &Path, arguments: &[&str]) -> Result<String, Error> {
        let what = format!("run `prunella {}`", arguments.first().unwrap_or(&""));
        let mut command = tokio::process::Command::from(self.command(dir));
        command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(COMMAND_TIMEOUT, command.output())
            .await
            .map_err(|_| Error::new(ErrorKind::TimedOut, format!("failed to {what}: no end after 20 s")))?
            .map_err(|error| system(&what, &error))?;
        if !output.status.success() {
            let told = String::from_utf8_lossy(&output.stderr);
            return Err(failed(&what, &format!("{}: {}", output.status, told.trim())));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Starts the node in `dir`; what it prints goes to the end of `log`.
    ///
    /// # Errors
    /// [`ErrorKind::System`] if it cannot be started.
    pub(super) fn up(&self, dir: &Path, log: &Path) -> Result<Process, Error> {
        let mut command = self.command(dir);
        command.args(["up", "--exit-with-parent"]);
        Process::spawn(command, log)
    }

    /// The program on the node in `dir`, without the settings that the user's environment has for another node.
    fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new(&self.path);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("PRUNELLA_") {
                command.env_remove(key);
            }
        }
        command.arg("--dir").arg(dir);
        command
    }
}

/// A node's process. Dropping it kills it, even when it is stopped.
///
/// The process holds the reading end of a pipe whose writing end is here alone: should the lab itself be killed, the
/// system closes the pipe, and the node sees the end of its standard input.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    log: PathBuf,
    released: bool,
}

impl Process {
    fn spawn(mut command: Command, log: &Path) -> Result<Self, Error> {
        let what = format!("start {}", command.get_program().display());
        let file = File::options().create(true).append(true).open(log).map_err(|e| system(&what, &e))?;
        let errors = file.try_clone().map_err(|e| system(&what, &e))?;
        command.stdin(Stdio::piped()).stdout(file).stderr(errors);
        // A group of its own: the terminal's Ctrl-C reaches the lab alone, which then ends its nodes in order; and if the
        // lab is killed while the node is stopped, the kernel continues the orphaned group with SIGHUP and SIGCONT.
        command.process_group(0);
        let mut child = command.spawn().map_err(|e| system(&what, &e))?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin, log: log.to_owned(), released: false })
    }

    /// The process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `signal`; a process that has already ended does not mind.
    ///
    /// # Errors
    /// [`ErrorKind::System`] if the system refuses.
    pub(super) fn signal(&self, signal: Signal) -> Result<(), Error> {
        // The id cannot belong to anybody else: it stays taken until this process has been waited for.
        match kill_process(Pid::from_child(&self.child), signal) {
            Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
            Err(errno) => Err(system(&format!("signal process {}", self.id()), &errno.into())),
        }
    }

    /// Says why the process has ended, with the end of its log; `None` while it runs.
    pub(super) fn ended(&self) -> Option<String> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(Pid::from_child(&self.child)), options).ok().flatten()?;
        let how = match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "an unknown reason".to_owned(),
        };
        Some(format!("it ended with {how}; its last words: {}", last_words(&self.log)))
    }

    /// Kills it and waits until it is gone.
    pub(super) fn kill(&mut self) {
        // It cannot fail for a child of ours that has not been waited for; if it has, there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits until it ends of itself; after `patience` it is killed. True if it ended of itself.
    pub(super) async fn end(mut self, patience: Duration) -> bool {
        let deadline = tokio::time::Instant::now() + patience;
        while tokio::time::Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return true;
            }
            tokio::time::sleep(POLL).await;
        }
        false
    }

    /// Lets it live on without the lab: one byte on its standard input says that the end of it means nothing any more.
    pub(super) fn release(mut self) {
        if let Some(stdin) = &mut self.stdin {
            // If it has ended already, there is nobody to release.
            let _ = stdin.write_all(RELEASE);
        }
        self.released = true;
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.released {
            self.kill();
        }
    }
}

/// The error of something that the operating system refused.
pub(super) fn system(what: &str, error: &std::io::Error) -> Error {
    Error::new(ErrorKind::System, format!("failed to {what}: {error}"))
}

fn failed(what: &str, why: &str) -> Error {
    Error::new(ErrorKind::System, format!("failed to {what}: {why}"))
}

fn last_words(log: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(log)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(end.saturating_sub(LAST_WORDS_BYTES_MAX)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let lines: Vec<_> = String::from_utf8_lossy(&bytes).lines().map(|line| line.trim().to_owned()).collect();
        Ok(lines.join(" | "))
    };
    match read() {
        Ok(words) if words.is_empty() => "(none)".to_owned(),
        Ok(words) => words,
        Err(error) => format!("(unreadable: {error})"),
    }
}

const COMMAND_TIMEOUT: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(10);
const RELEASE: &[u8] = b"\n";
const LAST_WORDS_BYTES_MAX: u64 = 600;

#[cfg(test)]
mod tests {
    use rustix::process::test_kill_process;

    use super::*;

    fn spawn(script: &str) -> (Process, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        (Process::spawn(command, &dir.path().join("log")).unwrap(), dir)
    }

    fn pid(process: &Process) -> Pid {
        Pid::from_child(&process.child)
    }

    async fn until_ended(process: &Process) -> String {
        for _ in 0..1000 {
            if let Some(why) = process.ended() {
                return why;
            }
            tokio::time::sleep(POLL).await;
        }
        panic!("still running after 10 s");
    }

    #[test]
    fn a_stopped_process_is_gone_after_it_was_dropped() {
        let (process, _dir) = spawn("exec sleep 60");
        let pid = pid(&process);
        process.signal(Signal::STOP).unwrap();
        assert!(test_kill_process(pid).is_ok());
        drop(process);
        assert_eq!(test_kill_process(pid), Err(rustix::io::Errno::SRCH));
    }

    #[tokio::test]
    async fn an_ended_process_tells_how_and_its_last_words() {
        let (process, _dir) = spawn("echo starting; echo port in use >&2; exit 3");
        assert_eq!(until_ended(&process).await, "it ended with exit code 3; its last words: starting | port in use");
        assert!(process.signal(Signal::CONT).is_ok(), "a signal to an ended process is no error");
    }

    #[tokio::test]
    async fn a_running_process_has_not_ended() {
        let (process, _dir) = spawn("exec sleep 60");
        assert_eq!(process.ended(), None);
        process.signal(Signal::KILL).unwrap();
        assert!(until_ended(&process).await.contains("signal 9"));
    }

    #[tokio::test]
    async fn a_process_sees_the_end_of_its_input_when_the_lab_is_gone() {
        let (mut process, _dir) = spawn("cat >/dev/null; exit 7");
        process.stdin = None;
        assert!(until_ended(&process).await.contains("exit code 7"));
    }

    #[tokio::test]
    async fn a_released_process_is_told_so_and_lives_on() {
        let (process, dir) = spawn("read line && echo released; exec sleep 60");
        let pid = pid(&process);
        process.release();
        for _ in 0..1000 {
            if last_words(&dir.path().join("log")) == "released" {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        assert_eq!(last_words(&dir.path().join("log")), "released");
        kill_process(pid, Signal::KILL).unwrap();
    }

    #[tokio::test]
    async fn the_environment_of_another_node_is_not_inherited() {
        let program = Program { path: "sh".into() };
        let command = program.command(Path::new("/tmp/n0"));
        assert!(
            command.get_envs().all(|(key, value)| key.to_string_lossy().starts_with("PRUNELLA_") && value.is_none())
        );
        assert_eq!(command.get_args().collect::<Vec<_>>(), ["--dir", "/tmp/n0"]);
    }

    #[tokio::test]
    async fn a_failing_command_says_what_it_said() {
        let program = Program { path: "/bin/false".into() };
        let error = program.output(Path::new("/tmp"), &["init"]).await.unwrap_err();
        assert!(error.to_string().starts_with("failed to run `prunella init`: exit status: 1"), "{error}");
    }
}
