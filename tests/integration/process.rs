//! Runs the program: short commands to their end, nodes until they are dropped.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::time::timeout;

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Told {
    /// The lines on standard error that are not log messages, which begin with a time.
    pub(crate) fn complaints(&self) -> Vec<&str> {
        let is_log = |line: &str| line.trim_start_matches("\u{1b}[2m").starts_with("20");
        self.stderr.lines().filter(|line| !line.trim().is_empty() && !is_log(line)).collect()
    }

    /// Panics unless the command succeeded; what it printed.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.stdout
    }

    /// Panics unless the command has told on standard output what is wrong, with this in it, and failed for that.
    #[track_caller]
    pub(crate) fn fails_quietly(&self, fragment: &str) {
        assert_eq!((self.code, self.complaints()), (1, vec![]), "{self:?}");
        assert!(self.stdout.contains(fragment), "no {fragment:?} in {}", self.stdout);
    }

    /// Panics unless the command failed with `code` and one line on standard error that has all of `fragments`.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, fragments: &[&str]) {
        let complaints = self.complaints();
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(complaints.len(), 1, "more or less than one line: {complaints:#?}");
        assert!(complaints[0].starts_with("prunella: failed to "), "{}", complaints[0]);
        for fragment in fragments {
            assert!(complaints[0].contains(fragment), "no {fragment:?} in {:?}", complaints[0]);
        }
    }
}

/// Runs a command on the node in `dir` to its end, with nothing on standard input.
pub(crate) async fn run(dir: &Path, arguments: &[&str]) -> Told {
    run_for(dir, arguments, COMMAND_PATIENCE).await
}

/// As [`run`], for a command that takes long.
pub(crate) async fn run_for(dir: &Path, arguments: &[&str], patience: Duration) -> Told {
    let mut command = tokio::process::Command::from(program(dir));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(patience, command.output()).await;
    told(output.unwrap_or_else(|_| panic!("{arguments:?} does not end")).unwrap())
}

/// As [`run`], for a command that would go on for long: interrupts it as soon as it listens to interrupts, or when it has
/// printed a line on standard error.
pub(crate) async fn run_and_interrupt(dir: &Path, arguments: &[&str], after_a_line: bool) -> Told {
    let mut command = tokio::process::Command::from(program(dir));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let pid = child.id().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let interrupted = async {
        let mut first = String::new();
        if after_a_line {
            stderr.read_line(&mut first).await.unwrap();
        }
        while !listens_to_interrupts(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Not waited for yet, so that the id cannot be anybody else's.
        kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::INT).unwrap();
        let mut rest = String::new();
        let (output, read) = tokio::join!(child.wait_with_output(), stderr.read_to_string(&mut rest));
        read.unwrap();
        Told { stderr: first + &rest, ..told(output.unwrap()) }
    };
    timeout(COMMAND_PATIENCE, interrupted).await.unwrap_or_else(|_| panic!("{arguments:?} does not end"))
}

/// Whether a process has a handler for SIGINT.
fn listens_to_interrupts(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    let interrupt = 1 << (Signal::INT.as_raw() - 1);
    u64::from_str_radix(mask.trim(), 16).unwrap() & interrupt != 0
}

fn told(output: Output) -> Told {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Told {
        code: output.status.code().unwrap_or_else(|| panic!("{output:?}")),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

/// The program, on the node in `dir`, with nothing from the environment that is meant for another node.
pub(crate) fn program(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prunella"));
    for name in ["PRUNELLA_DIR", "RUST_LOG", "RUST_BACKTRACE"] {
        command.env_remove(name);
    }
    command.env("NO_COLOR", "1").arg("--dir").arg(dir);
    command
}

/// A node's process; dropping it kills it, even when it is stopped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    _stdin: Option<ChildStdin>,
    log: PathBuf,
}

impl Process {
    /// Starts the node in `dir`; what it prints goes to the end of `log`. Should this process end, so does the node.
    pub(crate) fn up(dir: &Path, log: &Path) -> Self {
        Self::up_with(dir, log, &[])
    }

    /// As [`Process::up`], with further arguments.
    pub(crate) fn up_with(dir: &Path, log: &Path, arguments: &[&str]) -> Self {
        Self::start(program(dir), log, arguments)
    }

    /// As [`Process::up`]; the whole process, with all that it is made of, logs what this says.
    pub(crate) fn up_logging(dir: &Path, log: &Path, what: &str) -> Self {
        let mut command = program(dir);
        command.env("RUST_LOG", what);
        Self::start(command, log, &[])
    }

    fn start(mut command: Command, log: &Path, arguments: &[&str]) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        command.args(["up", "--exit-with-parent"]).args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let stdin = child.stdin.take();
        Self { child, _stdin: stdin, log: log.to_owned() }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // The id stays taken until the process has been waited for, so that it cannot be anybody else's.
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Panics if the process has ended.
    #[track_caller]
    pub(crate) fn assert_runs(&mut self) {
        if let Some(status) = self.child.try_wait().unwrap() {
            panic!("the node ended ({status}): {}", std::fs::read_to_string(&self.log).unwrap());
        }
    }

    /// Waits until the process ends of itself.
    pub(crate) async fn ended(&mut self, patience: Duration) -> ExitStatus {
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(tokio::time::Instant::now() < deadline, "the node does not end within {patience:?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory of a process that is in use (VmRSS), in bytes.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() * 1024
}

/// Processor time that a process has used so far.
pub(crate) fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    // The name in parentheses may hold anything; user and system time are the 14th and 15th fields, in ticks of 10 ms.
    let after_name = stat.rsplit_once(')').unwrap().1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

const COMMAND_PATIENCE: Duration = Duration::from_secs(30);
