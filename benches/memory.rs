//! How much memory a node takes that knows many others.
//!
//! `cargo bench --bench memory`
//!
//! The program runs as its user runs it, on a store that holds what so many nodes said of themselves, their links and
//! their services; a neighbor is linked with it. Printed is what the kernel counts in its main memory once the node knows
//! them all and nothing more comes: in all, what it wrote, and what is mapped of files (the program itself, mostly, which all
//! its processes share).

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up is a failed run")]

#[path = "rig/crowd.rs"]
mod crowd;

use std::io::{self, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use prunella::{MeshConfig, MeshNode};

const KNOWN: [usize; 3] = [0, 100, 1000];
const PATIENCE: Duration = Duration::from_secs(60);
/// After everybody is known: until what starting takes has been given back.
const SETTLING: Duration = Duration::from_secs(10);

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    writeln!(out, "load average {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    writeln!(out, "{:<12} {:>9} {:>12} {:>12}", "nodes known", "MB", "written MB", "of files MB")?;
    for count in KNOWN {
        let [all, written, of_files] = runtime.block_on(measure(count));
        writeln!(out, "{count:<12} {all:>9.1} {written:>12.1} {of_files:>12.1}")?;
    }
    Ok(())
}

async fn measure(count: usize) -> [f64; 3] {
    let [home, away] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let config = |name: &str| {
        let mut config = MeshConfig { listen: ([127, 0, 0, 1], 0).into(), ..MeshConfig::default() };
        config.name = name.to_owned();
        config
    };
    let ada = MeshNode::found(home.path(), "mesh.bench", config("ada")).await.unwrap();
    ada.stop().await.unwrap();
    crowd::settle(home.path(), count);

    let mut ada = Ada::start(home.path());
    ada.awaits("peers_known", count + 1).await;
    let address = ada.status()["listen"].as_str().unwrap().to_owned();
    let invitation = ada.told(&["invite", "--address", &address]).lines().last().unwrap().to_owned();
    let bob = MeshNode::join(away.path(), &invitation, config("bob")).await.unwrap();
    ada.awaits("links_up", 1).await;
    ada.awaits("peers_known", count + 2).await;
    tokio::time::sleep(SETTLING).await;
    let status = std::fs::read_to_string(format!("/proc/{}/status", ada.program.id())).unwrap();
    bob.stop().await.unwrap();
    ["VmRSS:", "RssAnon:", "RssFile:"].map(|key| {
        let line = status.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() * 1024.0 / 1e6
    })
}

/// The program at work in a directory; it ends with this.
struct Ada<'a> {
    dir: &'a Path,
    program: Child,
}

impl<'a> Ada<'a> {
    fn start(dir: &'a Path) -> Self {
        std::fs::write(dir.join("config.toml"), "listen = '127.0.0.1:0'\nhttp.listen = ''\n").unwrap();
        let program = prunella(dir, &["up"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { dir, program }
    }

    fn told(&self, words: &[&str]) -> String {
        let told = prunella(self.dir, words).output().unwrap();
        assert!(told.status.success(), "{words:?}: {}", String::from_utf8_lossy(&told.stderr));
        String::from_utf8(told.stdout).unwrap()
    }

    /// What it says of itself; nothing while it starts.
    fn status(&self) -> serde_json::Value {
        let told = prunella(self.dir, &["status", "--json"]).output().unwrap().stdout;
        serde_json::from_slice(&told).unwrap_or_default()
    }

    /// Waits until its status says so.
    async fn awaits(&mut self, key: &str, wanted: usize) {
        let began = Instant::now();
        loop {
            let status = self.status();
            if status[key].as_u64() == Some(wanted as u64) {
                return;
            }
            assert!(self.program.try_wait().unwrap().is_none(), "the node has ended");
            assert!(began.elapsed() < PATIENCE, "{key} is not {wanted}: {status:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

impl Drop for Ada<'_> {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

fn prunella(dir: &Path, words: &[&str]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_prunella"));
    program.arg("--dir").arg(dir).args(words).stdin(Stdio::null());
    program
}
