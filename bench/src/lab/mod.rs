//! A set of network namespaces, and its end.

mod cable;
mod delay;
mod host;
mod leftovers;
mod switch;

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tempfile::TempDir;

pub use cable::{Cable, End};
pub use delay::{Delay, DelayedCable};
pub use host::Host;
pub use switch::Switch;

use crate::process::run_well;
use crate::waiting::LabError;

/// Hosts and what joins them. Dropping it ends every process in them and removes them.
#[derive(Debug)]
pub struct Lab {
    /// What the names of its namespaces begin with.
    prefix: String,
    hosts: AtomicUsize,
    segments: AtomicUsize,
    /// Behind all else: removed when nobody writes into it any more.
    dir: TempDir,
}

impl Lab {
    /// A lab without hosts. Labs of processes that are gone are removed first.
    ///
    /// # Errors
    ///
    /// [`LabError::Unavailable`] if this process is not root, or has no `ip`, no `nft`, or no right to make namespaces.
    pub fn new() -> Result<Self, LabError> {
        static SERIAL: AtomicUsize = AtomicUsize::new(0);
        if !rustix::process::geteuid().is_root() {
            return Err(LabError::Unavailable("only root makes network namespaces".to_owned()));
        }
        leftovers::remove();
        let prefix = format!("{PREFIX}{}x{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new().prefix(&format!("{prefix}-")).tempdir();
        let dir = dir.map_err(LabError::system("make the lab's directory"))?;
        let lab = Self { prefix, hosts: AtomicUsize::new(0), segments: AtomicUsize::new(0), dir };
        lab.try_out()?;
        Ok(lab)
    }

    /// Whether all that a lab is made of can be had.
    fn try_out(&self) -> Result<(), LabError> {
        let missing = |error: LabError| LabError::Unavailable(error.to_string());
        let host = self.host("probe").map_err(missing)?;
        host.run_well(&["nft", "list", "tables"]).map_err(missing)?;
        self.run(&["netns", "del", host.namespace()]).map_err(missing).map(drop)
    }

    /// A directory that is removed with the lab.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A new host with a loopback interface and nothing else.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `ip` said.
    pub fn host(&self, name: &str) -> Result<Host, LabError> {
        let number = self.hosts.fetch_add(1, Ordering::Relaxed);
        let namespace = format!("{}-{number}-{name}", self.prefix);
        self.run(&["netns", "add", &namespace])?;
        let host = Host::new(namespace, name.to_owned(), self.dir.path().to_owned());
        host.run_well(&["ip", "link", "set", "lo", "up"])?;
        // A host says its own addresses are good at once: duplicates cannot be.
        host.set("net.ipv6.conf.default.accept_dad", "0")?;
        Ok(host)
    }

    /// Joins two hosts directly, by a pair of virtual Ethernet devices, with an IPv4 and an IPv6 address each.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `ip` said.
    pub fn cable(&self, a: &Host, b: &Host) -> Result<Cable, LabError> {
        Cable::lay(self, a, b, self.segment())
    }

    /// Joins two hosts by a cable that holds every frame back for a while.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `ip` said; [`LabError::System`] without TAP devices.
    pub fn delayed_cable(&self, a: &Host, b: &Host, delay: Delay) -> Result<DelayedCable, LabError> {
        DelayedCable::lay(a, b, self.segment(), delay)
    }

    /// Joins hosts by a switch, whose ports can be cut, made lossy and slow. With two hosts it is a cable with a box in it.
    ///
    /// # Errors
    ///
    /// [`LabError::Command`] with what `ip` or `nft` said.
    pub fn switch(&self, hosts: &[&Host]) -> Result<Switch, LabError> {
        Switch::install(self, hosts, self.segment())
    }

    /// The number of a new subnet.
    fn segment(&self) -> u8 {
        let number = self.segments.fetch_add(1, Ordering::Relaxed) + 1;
        u8::try_from(number).expect("BUG: a lab has fewer than 256 subnets")
    }

    /// Runs `ip` outside of every namespace.
    pub(crate) fn run(&self, arguments: &[&str]) -> Result<String, LabError> {
        let mut command = Command::new("ip");
        command.args(arguments);
        run_well(command, self.dir.path(), IP_PATIENCE)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        leftovers::remove_namespaces(&|namespace| namespace.starts_with(&format!("{}-", self.prefix)));
    }
}

/// What every namespace of every lab begins with; the process id follows.
const PREFIX: &str = "prunella-lab";
const IP_PATIENCE: Duration = Duration::from_secs(20);
