//! What the nodes' processes hold: memory, files, tasks, actors, services. Taken before and after, it shows what leaks.

use std::fs;

use serde::Serialize;

use super::mesh::Mesh;
use crate::api::Error;

/// What every node holds, in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Census(pub(super) Vec<Holdings>);

/// What one node holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Holdings {
    /// The node's name.
    pub(super) name: String,
    /// Its process.
    pub(super) pid: u32,
    /// Resident memory, in KiB.
    pub(super) memory_kib: u64,
    /// Open file descriptors.
    pub(super) files: u64,
    /// Tasks of the runtime that are alive.
    pub(super) tasks: u64,
    /// Actors and supervisors that run.
    pub(super) actors: u64,
    /// Services that it knows.
    pub(super) services: u64,
}

impl Census {
    /// Counts; all nodes must be up.
    pub(super) async fn take(mesh: &Mesh) -> Result<Self, Error> {
        let mut all = Vec::new();
        for node in mesh.nodes() {
            let check = async |_: &Mesh| {
                let status = node.control.status().await.map_err(|error| error.to_string())?;
                let actors = node.control.actors().await.map_err(|error| error.to_string())?;
                let services = node.control.services().await.map_err(|error| error.to_string())?;
                Ok(Holdings {
                    name: node.name.clone(),
                    pid: status.pid,
                    memory_kib: memory_kib(status.pid).unwrap_or_default(),
                    files: fs::read_dir(format!("/proc/{}/fd", status.pid)).map_or(0, |files| files.count() as u64),
                    tasks: status.counters.get("tasks_alive").copied().unwrap_or_default(),
                    actors: actors.iter().filter(|actor| actor.state == "running").count() as u64,
                    services: services.len() as u64,
                })
            };
            all.push(mesh.settle(&format!("{} counted", node.name), PATIENCE, check).await?);
        }
        Ok(Self(all))
    }

    /// What there is more of than `before` beyond what comes and goes, and which registrations are missing.
    pub(super) fn leaks(&self, before: &Census) -> Vec<String> {
        let mut leaks = Vec::new();
        for (after, before) in self.0.iter().zip(&before.0) {
            let name = &after.name;
            let mut more = |what: &str, was: u64, is: u64, slack: u64| {
                if is > was + slack {
                    leaks.push(format!("{name}: {was} {what} before, {is} after"));
                }
            };
            more("KiB of memory", before.memory_kib, after.memory_kib, MEMORY_KIB_SLACK);
            more("files", before.files, after.files, FILES_SLACK);
            more("tasks", before.tasks, after.tasks, TASKS_SLACK);
            for (what, was, is) in
                [("actors", before.actors, after.actors), ("services", before.services, after.services)]
            {
                if is != was {
                    leaks.push(format!("{name}: {was} {what} before, {is} after"));
                }
            }
        }
        leaks
    }
}

fn memory_kib(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(15);
/// Caches fill and allocators keep what they were given; more than this is a leak.
const MEMORY_KIB_SLACK: u64 = 64 * 1024;
/// Connections of the control socket and of the traffic come and go.
const FILES_SLACK: u64 = 16;
/// As do the tasks that serve them.
const TASKS_SLACK: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn census(change: impl Fn(&mut Holdings)) -> Census {
        let mut one = Holdings {
            name: "n0".to_owned(),
            pid: 1,
            memory_kib: 50_000,
            files: 30,
            tasks: 60,
            actors: 14,
            services: 3,
        };
        change(&mut one);
        Census(vec![one])
    }

    #[test]
    fn what_comes_and_goes_is_no_leak_and_more_of_anything_is() {
        let before = census(|_| ());
        assert!(census(|n| (n.files, n.tasks, n.memory_kib) = (46, 92, 50_000 + 65_536)).leaks(&before).is_empty());
        let leaks = |change: fn(&mut Holdings)| census(change).leaks(&before);
        assert_eq!(leaks(|n| n.files = 47), ["n0: 30 files before, 47 after"]);
        assert_eq!(leaks(|n| n.tasks = 93).len(), 1);
        assert_eq!(leaks(|n| n.memory_kib = 120_000).len(), 1);
        assert_eq!(leaks(|n| n.actors = 13), ["n0: 14 actors before, 13 after"]);
        assert_eq!(leaks(|n| n.services = 4).len(), 1);
    }

    #[test]
    fn this_process_has_memory() {
        assert!(memory_kib(std::process::id()).unwrap() > 1000);
    }
}
