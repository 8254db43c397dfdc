//! The systems that are compared, each behind the same trait.

mod bare;
mod easytier;
mod fastd;
mod floor;
mod nebula;
mod ours;
mod quinn;
mod tinc;
mod yggdrasil;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prunella_bench::{Host, LabError, Process, until};

use super::ground::{Ground, Shape};

/// Something that carries connections between hosts.
pub(crate) trait System {
    /// How the report calls it.
    fn name(&self) -> &'static str;

    /// What it is, in a few words: version, and what was set.
    fn describe(&self) -> String;

    /// Why it cannot take part, if it cannot.
    fn missing(&self) -> Option<String> {
        None
    }

    /// On which shapes it can run.
    fn shapes(&self) -> &'static [Shape];

    /// Makes keys and configurations, then starts its daemons. It need not wait until they carry anything.
    fn start(&self, ground: &Ground) -> Result<Running, LabError>;
}

/// A system at work; dropping it ends its daemons.
pub(crate) struct Running {
    /// The processes whose time and memory are its cost, in the order of the hosts.
    pub(crate) pids: Vec<u32>,
    /// When the first of them was started.
    pub(crate) began: Instant,
    /// How the work goes through it.
    pub(crate) reach: Reach,
    /// What ends with it.
    pub(crate) _kept: Box<dyn Any>,
}

impl Running {
    /// Daemons that give the last host this address.
    fn daemons(began: Instant, daemons: Vec<Process>, address: IpAddr) -> Self {
        let pids = daemons.iter().map(Process::id).collect();
        Self { pids, began, reach: Reach::address(address), _kept: Box::new(daemons) }
    }
}

/// Where servers listen on the last host, and where clients on the first one find them.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    /// Where servers listen.
    pub(crate) server: IpAddr,
    /// Where their clients connect to, by port.
    pub(crate) client: BTreeMap<u16, SocketAddr>,
    /// What can be pinged, if there is such a thing.
    pub(crate) ping: Option<IpAddr>,
}

impl Reach {
    /// By an address.
    fn address(address: IpAddr) -> Self {
        let client = PORTS.map(|port| (port, SocketAddr::new(address, port))).into();
        Self { server: address, client, ping: Some(address) }
    }

    /// By ports of the loopback address on both sides.
    fn forwards(client: BTreeMap<u16, SocketAddr>) -> Self {
        Self { server: IpAddr::from([127, 0, 0, 1]), client, ping: None }
    }
}

/// Every system, in the order of the report.
pub(crate) fn all(program: &Path) -> Vec<Box<dyn System>> {
    vec![
        Box::new(bare::Bare),
        Box::new(floor::Floor),
        Box::new(quinn::Quinn),
        Box::new(ours::Session { program: program.to_owned() }),
        Box::new(ours::Tun { program: program.to_owned(), way: ours::Way::Plain }),
        Box::new(ours::Tun { program: program.to_owned(), way: ours::Way::RealTime }),
        Box::new(ours::Tun { program: program.to_owned(), way: ours::Way::Kernel }),
        Box::new(yggdrasil::Yggdrasil),
        Box::new(easytier::EasyTier),
        Box::new(fastd::Fastd),
        Box::new(nebula::Nebula),
        Box::new(tinc::Tinc),
    ]
}

/// Where a program is, if it is installed.
fn installed(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(usual).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// That a program is not installed, and what would install it.
fn absent(program: &str, package: &str) -> Option<String> {
    installed(program)
        .is_none()
        .then(|| format!("there is no `{program}`; `apt-get install {package}` would install it"))
}

/// The version of a program's package; not all programs know their own.
fn version(package: &str) -> String {
    let told = std::process::Command::new("dpkg-query").args(["-W", "-f=${Version}", package]).output();
    let told = told.ok().filter(|told| told.status.success());
    told.map_or("version unknown".to_owned(), |told| String::from_utf8_lossy(&told.stdout).into_owned())
}

/// A host's directory for a daemon.
fn home(ground: &Ground, system: &str, host: usize) -> Result<PathBuf, LabError> {
    let dir = ground.lab.dir().join(format!("{system}-{host}"));
    fs::create_dir_all(&dir).map_err(refused("make a daemon's directory"))?;
    Ok(dir)
}

fn write(path: &Path, text: &str) -> Result<(), LabError> {
    fs::write(path, text).map_err(refused("write a daemon's configuration"))
}

fn write_script(path: &Path, text: &str) -> Result<(), LabError> {
    write(path, &format!("#!/bin/sh\n{text}\n"))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(refused("make a script"))
}

fn refused(doing: &'static str) -> impl FnOnce(std::io::Error) -> LabError {
    move |source| LabError::System { doing: doing.to_owned(), source }
}

/// The address that the overlay gives a host, where the system lets us choose.
fn overlay(host: usize) -> IpAddr {
    let number = u8::try_from(host + 1).expect("BUG: a handful of hosts");
    IpAddr::from([10, 88, 0, number])
}

/// Runs a program on a host to its end, as `words`, without a way to a terminal; what it printed.
fn told(host: &Host, program: &str, words: &[&str]) -> Result<String, LabError> {
    let path = installed(program).unwrap_or_else(|| program.into());
    host.run_well(&[&[path.to_string_lossy().as_ref()], words].concat())
}

/// Starts a daemon on a host.
fn daemon(host: &Host, program: &str, words: &[&str]) -> Result<Process, LabError> {
    let path = installed(program).unwrap_or_else(|| program.into());
    host.start(program, &[&[path.to_string_lossy().as_ref()], words].concat())
}

/// Waits until somebody on a host has this UDP port: a first packet that is lost costs some of them long.
fn await_udp(host: &Host, port: u16) -> Result<(), LabError> {
    let wanted = format!(":{port:04X} ");
    until("a daemon's port", Duration::from_secs(10), || {
        let table = host.inside(|| fs::read_to_string("/proc/thread-self/net/udp").unwrap_or_default());
        match table.map_err(|error| error.to_string())? {
            table if table.contains(&wanted) => Ok(()),
            table => Err(table),
        }
    })
}

/// Lines of the same form.
fn lines<T>(items: impl IntoIterator<Item = T>, line: impl Fn(T) -> String) -> String {
    items.into_iter().fold(String::new(), |mut all, item| {
        let _ = writeln!(all, "{}", line(item));
        all
    })
}

/// Ports of `iperf3` and of the echo.
pub(crate) const IPERF_PORT: u16 = 5201;
/// See [`IPERF_PORT`].
pub(crate) const ECHO_PORT: u16 = 5301;
const PORTS: [u16; 2] = [IPERF_PORT, ECHO_PORT];
const THROUGH: &[Shape] = &[Shape::Pair, Shape::Line];
const EVERYWHERE: &[Shape] = &[Shape::Pair, Shape::Line, Shape::Diamond];
