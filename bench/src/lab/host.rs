//! A host: a network namespace in which commands run.

use std::fs::File;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::process::{Process, Told, run, run_well};
use crate::waiting::LabError;

/// A network namespace of a [`Lab`](super::Lab). A clone is the same host.
#[derive(Clone, Debug)]
pub struct Host {
    namespace: String,
    name: String,
    dir: PathBuf,
    devices: Arc<AtomicUsize>,
}

impl Host {
    pub(super) fn new(namespace: String, name: String, dir: PathBuf) -> Self {
        Self { namespace, name, dir, devices: Arc::default() }
    }

    /// The name that it was given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The name of its namespace, as `ip netns` knows it.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The lab's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A name for its next device.
    pub(super) fn next_device(&self) -> String {
        format!("e{}", self.devices.fetch_add(1, Ordering::Relaxed))
    }

    // --- Programs in it ---

    /// A program that will run in it; its arguments are yet to be added. The process has the program's own id.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace]).arg(program.as_ref());
        command
    }

    /// Starts a command in it that runs until it is dropped; what it says goes to the file `name` in the lab's directory.
    ///
    /// # Errors
    ///
    /// [`LabError::System`] if it cannot be started.
    pub fn start(&self, name: &str, words: &[&str]) -> Result<Process, LabError> {
        Process::start(self.words(words), &self.dir.join(format!("{}-{name}.log", self.name)))
    }

    /// Runs a command in it to its end.
    ///
    /// # Errors
    ///
    /// [`LabError::TimedOut`] if it does not end within `patience`.
    pub fn run(&self, words: &[&str], patience: Duration) -> Result<Told, LabError> {
        run(self.words(words), &self.dir, patience)
    }

    /// Runs a short command in it, which must succeed; what it printed.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what it said, otherwise as [`Host::run`].
    pub fn run_well(&self, words: &[&str]) -> Result<String, LabError> {
        run_well(self.words(words), &self.dir, SHORT)
    }

    fn words(&self, words: &[&str]) -> Command {
        let mut command = self.command(words[0]);
        command.args(&words[1..]);
        command
    }

    /// Does something on a thread in it: sockets that are made there belong to the host for ever.
    ///
    /// # Errors
    ///
    /// [`LabError::System`] if the namespace cannot be entered.
    pub fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T, LabError> {
        let path = Path::new("/run/netns").join(&self.namespace);
        let entered = format!("enter {}", self.namespace);
        let file = File::open(path).map_err(LabError::system(entered.clone()))?;
        let thread = || {
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok::<_, rustix::io::Errno>(act())
        };
        let done = std::thread::scope(|scope| scope.spawn(thread).join());
        match done {
            Ok(done) => done.map_err(|error| LabError::system(entered)(error.into())),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    // --- Its network ---

    /// Passes packets on between its devices.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what the system said.
    pub fn be_router(&self) -> Result<(), LabError> {
        self.set("net.ipv4.ip_forward", "1")?;
        self.set("net.ipv6.conf.all.forwarding", "1")
    }

    /// Sends what is for `subnet` (as in `10.77.2.0/24`) over a neighbor.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `ip` said.
    pub fn route(&self, subnet: &str, over: IpAddr) -> Result<(), LabError> {
        self.run_well(&["ip", "route", "add", subnet, "via", &over.to_string()]).map(drop)
    }

    /// Sends no word about packets that are too big for a way: such a host makes black holes.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `nft` said.
    pub fn keep_silent_about_sizes(&self) -> Result<(), LabError> {
        let rules = "add table inet silent; \
             add chain inet silent out { type filter hook output priority 0; }; \
             add rule inet silent out icmp type destination-unreachable drop; \
             add rule inet silent out icmpv6 type packet-too-big drop";
        self.run_well(&["nft", rules]).map(drop)
    }

    /// Sets a parameter of its network.
    pub(super) fn set(&self, key: &str, value: &str) -> Result<(), LabError> {
        self.run_well(&["sysctl", "-qw", &format!("{key}={value}")]).map(drop)
    }
}

/// How long commands may take that only set something.
const SHORT: Duration = Duration::from_secs(20);
