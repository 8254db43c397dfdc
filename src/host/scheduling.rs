//! How much the system's scheduler prefers this process to others.

use std::{fs, io};

use rustix::process::{Pid, setpriority_process};

/// Has every thread of this process be as nice as this (nice(2)); threads that they start later take after them.
///
/// # Errors
/// If that is not permitted: to be less nice than before takes the capability `CAP_SYS_NICE`.
pub(crate) fn be_nice(nice: i32) -> io::Result<()> {
    // Elsewhere a process is as nice as its threads.
    let Ok(threads) = fs::read_dir("/proc/self/task") else { return Ok(setpriority_process(None, nice)?) };
    for thread in threads {
        let number = thread?.file_name().to_str().and_then(|name| name.parse().ok());
        match setpriority_process(number.and_then(Pid::from_raw), nice) {
            // It ended in the meantime.
            Err(rustix::io::Errno::SRCH) => {}
            outcome => outcome?,
        }
    }
    Ok(())
}
