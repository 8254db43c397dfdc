//! Removes namespaces, and what still runs in them: a lab's own at its end, and those of processes that were killed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::PREFIX;

/// Removes what labs of processes that are gone have left. What cannot be removed stays: it harms nobody.
pub(super) fn remove() {
    let is_orphan = |name: &str| owner(name).is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
    remove_namespaces(&is_orphan);
    let directories = fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten();
    for directory in directories.filter(|directory| is_orphan(&directory.file_name().to_string_lossy())) {
        let _ = fs::remove_dir_all(directory.path());
    }
}

/// Removes the namespaces that are meant, with the processes in them.
pub(super) fn remove_namespaces(is_meant: &dyn Fn(&str) -> bool) {
    let listed = ip(&["netns", "list"]);
    let names = listed.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| is_meant(name));
    for name in names {
        // Only the lab's own programs were ever started in there.
        let inside = ip(&["netns", "pids", name]);
        for pid in inside.lines().filter_map(|line| line.trim().parse().ok()).filter_map(Pid::from_raw) {
            let own = rustix::process::getpid();
            if pid != own {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        ip(&["netns", "del", name]);
    }
}

/// Runs `ip` to its end, also when the user wants everything to end; what it printed.
fn ip(arguments: &[&str]) -> String {
    let told = Command::new("ip").args(arguments).stdin(Stdio::null()).output();
    told.map(|told| String::from_utf8_lossy(&told.stdout).into_owned()).unwrap_or_default()
}

/// The process whose lab this namespace, or directory, belongs to.
fn owner(name: &str) -> Option<u32> {
    let (pid, serial) = name.strip_prefix(PREFIX)?.split_once('x')?;
    let (serial, _) = serial.split_once('-')?;
    serial.parse::<u32>().ok().and(pid.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_namespaces_of_labs_have_an_owner() {
        assert_eq!(owner("prunella-lab1234x0-1-a"), Some(1234));
        assert_eq!(owner("prunella-labx0-1-a"), None);
        assert_eq!(owner("prunella-lab12"), None);
        assert_eq!(owner("somebody-else"), None);
    }
}
