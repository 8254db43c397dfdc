//! How long a node that knows a thousand others takes to answer: each command that only reads, as the command line runs it,
//! from the start of its process to its end, and the metrics.
//!
//! `cargo bench --bench answers`
//!
//! A real node whose store holds what a thousand nodes said of themselves, their links and their services, and a neighbor
//! that runs beside it in this process, to which the paths lead. The commands take turns, so that other programs on the
//! machine disturb all of them. Printed are milliseconds, and bytes on standard output.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up is a failed run")]

#[path = "rig/crowd.rs"]
mod crowd;

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use prunella::{MeshConfig, MeshNode, Request, Response};

const PEERS: usize = 1000;
const ROUNDS: usize = 30;
const PATIENCE: Duration = Duration::from_secs(60);
/// The bar: a command, and a scrape.
const ANSWER_MAX: Duration = Duration::from_millis(50);
const SCRAPE_MAX: Duration = Duration::from_millis(20);

/// Every command that only reads and does not wait for something to happen; `log` is not for embedded nodes.
const COMMANDS: &[&str] = &[
    "status",
    "vitals",
    "peers",
    "members",
    "reputation bob",
    "links",
    "gossip",
    "records",
    "records bob",
    "records bob/node",
    "store",
    "journal",
    "regions",
    "topology",
    "paths bob",
    "paths bob --why",
    "services",
    "actors",
    "actor gossip",
    "inbox gossip",
    "events",
    "incidents",
    "shared list",
    "policy",
    "cert list",
    "ledger show",
    "config show",
];

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    writeln!(out, "load average {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let homes = [tempfile::tempdir()?, tempfile::tempdir()?];
    let [ada, bob] = runtime.block_on(meet([homes[0].path(), homes[1].path()]));

    writeln!(out, "{PEERS} nodes known, {ROUNDS} runs of each command")?;
    writeln!(out, "{:<20} {:>9} {:>8} {:>8} {:>8}", "command", "bytes", "p10", "median", "p90")?;
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); COMMANDS.len()];
    let mut bytes = vec![0; COMMANDS.len()];
    for _ in 0..ROUNDS {
        for (i, command) in COMMANDS.iter().enumerate() {
            let began = Instant::now();
            bytes[i] = run(homes[0].path(), command);
            times[i].push(began.elapsed());
        }
    }
    let mut slow = Vec::new();
    for (i, command) in COMMANDS.iter().enumerate() {
        let [p10, median, p90] = quantiles(&mut times[i]);
        writeln!(out, "{command:<20} {:>9} {:>8.2} {:>8.2} {:>8.2}", bytes[i], ms(p10), ms(median), ms(p90))?;
        slow.extend((median > ANSWER_MAX).then_some(*command));
    }

    let mut scrapes: Vec<Duration> = Vec::new();
    let mut text = String::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        text = runtime.block_on(ada.metrics()).unwrap();
        scrapes.push(began.elapsed());
    }
    let [p10, median, p90] = quantiles(&mut scrapes);
    writeln!(out, "{:<20} {:>9} {:>8.2} {:>8.2} {:>8.2}", "/metrics", text.len(), ms(p10), ms(median), ms(p90))?;
    slow.extend((median > SCRAPE_MAX || text.len() > 500_000).then_some("/metrics"));
    writeln!(out, "over the bar: {}", if slow.is_empty() { "nothing".to_owned() } else { slow.join(", ") })?;
    runtime.block_on(async {
        ada.stop().await.unwrap();
        bob.stop().await.unwrap();
    });
    Ok(())
}

/// Ada, who knows a crowd, and Bob, her neighbor.
async fn meet([home, away]: [&Path; 2]) -> [MeshNode; 2] {
    let config = |name: &str| {
        let mut config = MeshConfig { listen: ([127, 0, 0, 1], 0).into(), ..MeshConfig::default() };
        config.name = name.to_owned();
        config
    };
    let ada = MeshNode::found(home, "mesh.bench", config("ada")).await.unwrap();
    ada.stop().await.unwrap();
    crowd::settle(home, PEERS);
    let ada = MeshNode::start(home, config("ada")).await.unwrap();
    let invitation = ada.invite(PATIENCE).unwrap();
    let bob = MeshNode::join(away, &invitation, config("bob")).await.unwrap();
    ada.wait_for_peer(bob.peer_id(), PATIENCE).await.unwrap();
    let began = Instant::now();
    loop {
        let Response::Status(status) = ada.request(Request::Status).await.unwrap() else { panic!("no status") };
        if status.peers_known == PEERS + 2 && status.links_up == 1 && status.converged {
            return [ada, bob];
        }
        assert!(began.elapsed() < PATIENCE, "{status:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Runs a command to its end; how much it printed.
fn run(dir: &Path, command: &str) -> usize {
    let mut program = Command::new(env!("CARGO_BIN_EXE_prunella"));
    program.arg("--dir").arg(dir).args(command.split(' ')).stdin(Stdio::null());
    let told = program.output().unwrap();
    assert!(told.status.success(), "{command}: {}", String::from_utf8_lossy(&told.stderr));
    told.stdout.len()
}

fn quantiles(times: &mut [Duration]) -> [Duration; 3] {
    times.sort_unstable();
    [10, 50, 90].map(|percent| times[(times.len() - 1) * percent / 100])
}

fn ms(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1e6
}
