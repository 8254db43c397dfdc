//! How much of plain QUIC's speed is left over a link, and over a relay.
//!
//! `cargo bench --bench throughput -- [--rounds N] [--mib N] [--threads N] [--only NAME]`
//!
//! Three variants take turns in one process: plain QUIC over UDP; a session over one link; a session over one relay. Each
//! node has a runtime of its own, all variants use the same TLS and the default congestion control, and each run sends one
//! stream. Printed are Gbit/s, CPU seconds per GB of payload of the whole process, and the ratios to plain QUIC within the
//! same round. On loopback nothing is segmented by hardware and all nodes share the processors: the ratio of a relay is
//! bounded by the third node's share.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up is a failed run")]

use std::env;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::{Connection, Endpoint, TransportConfig};
use rustix::net::sockopt;
use tokio::runtime::{Builder, Runtime};

mod rig;

use rig::{Node, Tls};

fn main() -> io::Result<()> {
    let settings = Settings::from_args(env::args().skip(1));
    let mut out = io::stdout().lock();
    writeln!(out, "{} rounds of {} MiB, {} thread(s) per node", settings.rounds, settings.mib, settings.threads)?;
    let mut results: [Vec<Sample>; 3] = Default::default();
    for round in 0..settings.rounds {
        for (variant, samples) in VARIANTS.iter().zip(&mut results) {
            if settings.only.as_deref().is_some_and(|only| !variant.name().contains(only)) {
                continue;
            }
            let sample = measure(&settings, *variant);
            writeln!(
                out,
                "  round {round}: {:<15} {:6.2} Gbit/s  {:.2} CPU s/GB  {}",
                variant.name(),
                sample.gbit,
                sample.cpu,
                sample.note
            )?;
            out.flush()?;
            samples.push(sample);
        }
    }
    if settings.only.is_some() {
        return Ok(());
    }
    writeln!(
        out,
        "\n{:<15} {:>24} {:>24} {:>24} {:>10}",
        "min/median/max:", "Gbit/s", "of plain", "CPU s/GB", "of plain"
    )?;
    for (variant, samples) in VARIANTS.iter().zip(&results) {
        let against_plain =
            |of: fn(&Sample) -> f64| spread(samples.iter().zip(&results[0]).map(|(s, p)| of(s) / of(p)));
        let gbit = columns(spread(samples.iter().map(|s| s.gbit)));
        let cpu = columns(spread(samples.iter().map(|s| s.cpu)));
        let share = columns(against_plain(|s| s.gbit));
        writeln!(out, "{:<15} {gbit} {share} {cpu} {:>10.2}", variant.name(), against_plain(|s| s.cpu)[1])?;
    }
    Ok(())
}

struct Settings {
    rounds: usize,
    mib: usize,
    threads: usize,
    /// Part of the name of the one variant to run, for a profiler.
    only: Option<String>,
}

impl Settings {
    /// Unknown arguments are passed over: the benchmark runner adds its own.
    fn from_args(args: impl Iterator<Item = String>) -> Self {
        let args: Vec<String> = args.collect();
        let number = |name: &str, default: usize| {
            let position = args.iter().position(|arg| arg == name);
            position.and_then(|p| args.get(p + 1)).map_or(default, |value| value.parse().unwrap())
        };
        let only = args.iter().position(|arg| arg == "--only").and_then(|p| args.get(p + 1)).cloned();
        Self { rounds: number("--rounds", 5), mib: number("--mib", 1024), threads: number("--threads", 1), only }
    }
}

#[derive(Clone, Copy)]
enum Variant {
    Plain,
    Link,
    Relay,
}

const VARIANTS: [Variant; 3] = [Variant::Plain, Variant::Link, Variant::Relay];

impl Variant {
    fn name(self) -> &'static str {
        match self {
            Variant::Plain => "plain QUIC",
            Variant::Link => "over one link",
            Variant::Relay => "over one relay",
        }
    }
}

struct Sample {
    gbit: f64,
    cpu: f64,
    note: String,
}

fn measure(settings: &Settings, variant: Variant) -> Sample {
    let runtimes: Vec<Runtime> = (0..3).map(|_| runtime(settings.threads)).collect();
    let tls = Tls::new();
    match variant {
        Variant::Plain => {
            let server = runtimes[1].block_on(async { plain(&tls) });
            let client = runtimes[0].block_on(async { plain(&tls) });
            let accepting = server.clone();
            let accepted = runtimes[1].spawn(async move { accepting.accept().await.unwrap().await.unwrap() });
            let address = server.local_addr().unwrap();
            let dialed =
                runtimes[0].block_on(async { client.connect(address, rig::SERVER_NAME).unwrap().await.unwrap() });
            let accepted = runtimes[0].block_on(accepted).unwrap();
            transfer(settings, &runtimes, dialed, accepted)
        }
        Variant::Link => {
            let (a, b) = (start(&runtimes[0], 1, &tls), start(&runtimes[1], 2, &tls));
            let ends = rig::link(&a, &b, 1, 1);
            a.route(&b, 1, ends.left, &[]);
            b.route(&a, 1, ends.right, &[]);
            session(settings, &runtimes, &a, &b)
        }
        Variant::Relay => {
            let (a, b) = (start(&runtimes[0], 1, &tls), start(&runtimes[1], 2, &tls));
            let relay = start(&runtimes[2], 3, &tls);
            let (first, second) = (rig::link(&a, &relay, 10, 20), rig::link(&relay, &b, 21, 30));
            a.route(&b, 1, first.left, &[21]);
            b.route(&a, 1, second.right, &[20]);
            let mut sample = session(settings, &runtimes, &a, &b);
            let counters = relay.port.counters();
            sample.note =
                format!("{}, relay sent on {} dropped {}", sample.note, counters.forwarded, counters.send_full);
            sample
        }
    }
}

fn runtime(threads: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(threads).enable_all().build().unwrap()
}

fn start(runtime: &Runtime, seed: u8, tls: &Tls) -> Node {
    runtime.block_on(async { Node::start(seed, tls) })
}

fn plain(tls: &Tls) -> Endpoint {
    let socket = std::net::UdpSocket::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).unwrap();
    // The same buffers that the datapath asks for: with the system's default plain QUIC would lose packets here.
    if sockopt::set_socket_recv_buffer_size_force(&socket, SOCKET_BUFFER_BYTES).is_err() {
        sockopt::set_socket_recv_buffer_size(&socket, SOCKET_BUFFER_BYTES).unwrap();
    }
    let server = Some(tls.server(TransportConfig::default()));
    let mut endpoint =
        Endpoint::new(rig::endpoint_config(1472), server, socket, Arc::new(quinn::TokioRuntime)).unwrap();
    endpoint.set_default_client_config(tls.client(TransportConfig::default()));
    endpoint
}

fn session(settings: &Settings, runtimes: &[Runtime], a: &Node, b: &Node) -> Sample {
    let sessions = b.sessions.clone();
    let accepted = runtimes[1].spawn(async move { sessions.accept().await.unwrap().await.unwrap() });
    let dialed = runtimes[0].block_on(a.dial(b));
    let accepted = runtimes[0].block_on(accepted).unwrap();
    transfer(settings, runtimes, dialed, accepted)
}

/// Sends from the first runtime to the second; a short run before the measured one ends MTU discovery and slow start.
fn transfer(settings: &Settings, runtimes: &[Runtime], dialed: Connection, accepted: Connection) -> Sample {
    let (warm_up, measured) = (64 << 20, settings.mib << 20);
    let receiving = {
        let accepted = accepted.clone();
        runtimes[1].spawn(async move {
            receive(&accepted, warm_up).await;
            let (start, cpu) = (Instant::now(), cpu_time());
            receive(&accepted, measured).await;
            (start.elapsed(), cpu_time() - cpu)
        })
    };
    let sending = {
        let dialed = dialed.clone();
        runtimes[0].spawn(async move {
            send(&dialed, warm_up).await;
            send(&dialed, measured).await;
        })
    };
    runtimes[0].block_on(sending).unwrap();
    let (elapsed, cpu) = runtimes[0].block_on(receiving).unwrap();
    let stats = dialed.stats().path;
    let note = format!("mtu {} lost {} of {}", stats.current_mtu, stats.lost_packets, stats.sent_packets);
    dialed.close(0u8.into(), b"");
    let bytes = measured as f64;
    Sample { gbit: bytes * 8.0 / elapsed.as_secs_f64() / 1e9, cpu: cpu.as_secs_f64() / (bytes / 1e9), note }
}

async fn send(connection: &Connection, bytes: usize) {
    let chunk = Bytes::from(vec![0x5a; CHUNK]);
    let mut stream = connection.open_uni().await.unwrap();
    for _ in 0..bytes / CHUNK {
        stream.write_chunk(chunk.clone()).await.unwrap();
    }
    stream.finish().unwrap();
    stream.stopped().await.unwrap();
}

async fn receive(connection: &Connection, bytes: usize) {
    let mut stream = connection.accept_uni().await.unwrap();
    let mut received = 0;
    while let Some(chunk) = stream.read_chunk(usize::MAX, true).await.unwrap() {
        received += chunk.bytes.len();
    }
    assert_eq!(received, bytes);
}

/// What the process has used so far, user and system, from `/proc/self/stat` (proc(5): fields 14 and 15, in hundredths).
fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let after_name = stat.rsplit_once(')').unwrap().1;
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum();
    Duration::from_millis(ticks * 10)
}

fn columns(spread: [f64; 3]) -> String {
    spread.map(|value| format!("{value:>8.2}")).concat()
}

/// Smallest, median and largest.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

const CHUNK: usize = 1 << 20;
const SOCKET_BUFFER_BYTES: usize = 8 << 20;
