//! What the operating system knows of this process, from proc(5).

use std::fs;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};

/// What the operating system knows of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Processor time since it began, on all processors.
    pub processor: Duration,
    /// Resident memory, in bytes.
    pub resident: u64,
    /// Virtual memory, in bytes.
    pub virtual_memory: u64,
    /// Open file descriptors.
    pub descriptors: u64,
    /// How many it may have; `None`: as many as it likes.
    pub descriptors_max: Option<u64>,
    /// Threads.
    pub threads: u64,
    /// When it began, since the Unix epoch.
    pub started: Duration,
}

/// What is known of this process; `None` where there is no proc(5).
pub(super) fn this_process() -> Option<Process> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    let booted = boot_time(&fs::read_to_string("/proc/stat").ok()?)?;
    // One of them is open for the question itself.
    let descriptors = fs::read_dir("/proc/self/fd").ok()?.count().saturating_sub(1) as u64;
    let resident = resident_bytes(&fs::read_to_string("/proc/self/status").ok()?)?;
    Some(Process {
        processor: processor_time(&stat)?,
        resident,
        virtual_memory: field(&stat, 23)?,
        descriptors,
        descriptors_max: getrlimit(Resource::Nofile).current,
        threads: field(&stat, 20)?,
        started: booted + ticks(field(&stat, 22)?),
    })
}

/// A field of proc(5)'s `stat` by its number there. The second one, a name in parentheses, may hold anything.
fn field(stat: &str, number: usize) -> Option<u64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    after_name.split_whitespace().nth(number.checked_sub(3)?)?.parse().ok()
}

/// User and system time.
pub(super) fn processor_time(stat: &str) -> Option<Duration> {
    Some(ticks(field(stat, 14)? + field(stat, 15)?))
}

/// `VmRSS` of proc(5)'s `status`, which is in units of 1024 bytes.
pub(super) fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// When the machine booted, since the Unix epoch.
fn boot_time(stat: &str) -> Option<Duration> {
    let line = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok().map(Duration::from_secs)
}

/// Ticks of proc(5) are hundredths of a second on every architecture that this runs on.
fn ticks(ticks: u64) -> Duration {
    Duration::from_millis(ticks * 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_uses_is_read_whatever_its_name() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194560 100 0 0 0 7 5 0 0 20 0 3 0 250 4096 200";
        assert_eq!(processor_time(stat), Some(Duration::from_millis(120)));
        assert_eq!([20, 22, 23].map(|number| field(stat, number)), [Some(3), Some(250), Some(4096)]);
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!(boot_time("cpu 1 2\nbtime 1700000000\n"), Some(Duration::from_secs(1_700_000_000)));
        assert_eq!((processor_time("12 (a"), resident_bytes("Name: x"), boot_time("")), (None, None, None));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_process_is_known() {
        let process = this_process().unwrap();
        assert!(process.threads > 0 && process.descriptors > 2 && process.resident > 1 << 20, "{process:?}");
        assert!(process.virtual_memory > process.resident && process.descriptors_max > Some(0), "{process:?}");
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(process.started < now && now - process.started < Duration::from_secs(24 * 3600), "{process:?}");
    }
}
