//! The machine, and who was busy on it: what every figure depends on.

use std::fs;
use std::time::Duration;

use serde::Serialize;

/// What the figures were measured on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    /// The load average over a minute before the first round.
    pub(crate) load_before: f64,
    /// The same after the last one.
    pub(crate) load_after: f64,
    /// UTC, seconds since 1970.
    pub(crate) began: u64,
}

impl Machine {
    /// Looks at it, before anything is measured.
    pub(crate) fn before() -> Self {
        let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let began = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Self {
            processor: model.map_or("unknown", |(_, name)| name).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            load_before: load(),
            load_after: 0.0,
            began: began.map_or(0, |since| since.as_secs()),
        }
    }

    /// Looks again, when all is measured.
    pub(crate) fn after(self) -> Self {
        Self { load_after: load(), ..self }
    }
}

fn load() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|load| load.parse().ok()).unwrap_or_default()
}

/// Processor time so far: of some processes with all their threads, and of the machine.
#[derive(Clone, Debug)]
pub(crate) struct Spent {
    /// Of each process.
    pub(crate) daemons: Vec<Duration>,
    /// All but idle, of all processors.
    pub(crate) machine: Duration,
}

impl Spent {
    /// Looks now. A process that is gone has spent nothing.
    pub(crate) fn now(pids: &[u32]) -> Self {
        Self { daemons: pids.iter().map(|pid| processor_time(*pid)).collect(), machine: busy() }
    }

    /// What was spent since then, in seconds: by each process, and by the machine.
    pub(crate) fn since(&self, before: &Self) -> (Vec<f64>, f64) {
        let passed = |(now, before): (&Duration, &Duration)| now.saturating_sub(*before).as_secs_f64();
        let daemons = self.daemons.iter().zip(&before.daemons).map(passed).collect();
        (daemons, passed((&self.machine, &before.machine)))
    }
}

/// User and system time of a process with all of its threads: fields 14 and 15 of `/proc/PID/stat`, in hundredths.
fn processor_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name in parentheses may hold anything.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Of `/proc/stat`: everything but idle (the fourth) and waiting for disks (the fifth). Guests are counted in user time.
fn busy() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let all = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
    let ticks: u64 =
        all.enumerate().filter(|(at, _)| ![3, 4].contains(at)).filter_map(|(_, field)| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// Memory of a process that is in use (VmRSS), in bytes.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or_default() * 1024
}
