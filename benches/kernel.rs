//! What a relay, and a flood from a source that is shut out, cost in user space and in the kernel.
//!
//! `cargo bench --features ebpf --bench kernel -- [--rounds N] [--packets N] [--flood N] [--generic]`
//!
//! Three hosts in a row, in network namespaces of their own (it takes root): one sends frames of 200 bytes one by one as fast
//! as it can, one relays, and at the third a program counts and drops them. Counted is the processor time of this process
//! and of the kernel's threads for network interrupts (`ksoftirqd`), which do the rest; what others do on the machine is not
//! in it. What the sender alone costs is measured the same way, with a rule that drops everything as it leaves, and is taken
//! off. So the figures are of the relay, together with the wires on both sides of it.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a benchmark that cannot be set up is a failed run")]

#[path = "../tests/kernel/ends.rs"]
mod ends;
#[path = "../tests/kernel/namespaces.rs"]
mod namespaces;
#[path = "../tests/kernel/relay.rs"]
mod relay;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::net::UdpSocket;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use prunella::datapath::{AttachMode, LinkInstall};
use prunella_core::frame::{FrameKey, HEADER_BYTES, Header, Kind, Labels, stamp};
use prunella_core::{Label, LinkId, PeerId, Tag};

use ends::End;
use namespaces::{Family, Row, at, socket};
use relay::Relay;

fn main() -> io::Result<()> {
    let settings = Settings::from_args(env::args().skip(1));
    let mut out = io::stdout().lock();
    let load = || fs::read_to_string("/proc/loadavg").unwrap_or_default();
    writeln!(
        out,
        "{} rounds of {} frames and a flood of {}; load {}",
        settings.rounds,
        settings.packets,
        settings.flood,
        load().trim()
    )?;
    let (mut relaying, mut flooded) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    let mut alone = [Vec::new(), Vec::new()];
    for round in 0..settings.rounds {
        for in_kernel in [false, true] {
            let Some(bed) = Bed::new(&settings, in_kernel) else { return Ok(()) };
            let relayed = bed.relay(settings.packets);
            let dropped = bed.flood(settings.flood);
            if in_kernel {
                alone[0].push(program_alone(|| _ = bed.relay(settings.packets / 10)));
                alone[1].push(program_alone(|| _ = bed.flood(settings.flood / 10)));
            }
            let name = if in_kernel { "kernel" } else { "user space" };
            writeln!(out, "  round {round}: {name:<10}  {relayed}  flood: {dropped}")?;
            out.flush()?;
            relaying[usize::from(in_kernel)].push(relayed);
            flooded[usize::from(in_kernel)].push(dropped);
        }
    }
    writeln!(out, "load {}", load().trim())?;
    writeln!(out, "\nmin/median/max:")?;
    let rate = |costs: &[Cost]| spread(costs.iter().map(|cost| 1.0 / cost.each())).map(|rate| rate / 1e3);
    writeln!(out, "relayed per processor second, user space  {:>8.0?} thousand", rate(&relaying[0]))?;
    writeln!(out, "relayed per processor second, kernel      {:>8.0?} thousand", rate(&relaying[1]))?;
    let ratio =
        |of: &[Vec<Cost>; 2]| spread(of[0].iter().zip(&of[1]).map(|(user, kernel)| user.each() / kernel.each()));
    writeln!(out, "kernel to user space, the relay alone     {:>8.2?} times", ratio(&relaying))?;
    let whole = spread(relaying[0].iter().zip(&relaying[1]).map(|(user, kernel)| user.whole() / kernel.whole()));
    writeln!(out, "kernel to user space, with the sender     {whole:>8.2?} times")?;
    let share = spread(flooded[0].iter().zip(&flooded[1]).map(|(user, kernel)| 100.0 * kernel.each() / user.each()));
    writeln!(out, "flood, kernel's cost of user space's      {share:>8.2?} percent")?;
    for (what, ns) in ["relayed", "dropped"].iter().zip(&alone) {
        writeln!(out, "the program alone, {what}                {:>8.0?} ns each", spread(ns.iter().copied()))?;
    }
    let share = spread(flooded[0].iter().zip(&alone[1]).map(|(user, alone)| alone / user.each() / 1e7));
    writeln!(out, "flood, the program alone of user space's  {share:>8.2?} percent")
}

struct Settings {
    rounds: usize,
    packets: u64,
    flood: u64,
    generic: bool,
}

impl Settings {
    /// Unknown arguments are passed over: the benchmark runner adds its own.
    fn from_args(args: impl Iterator<Item = String>) -> Self {
        let args: Vec<String> = args.collect();
        let number = |name: &str, default: u64| {
            let position = args.iter().position(|arg| arg == name);
            position.and_then(|p| args.get(p + 1)).map_or(default, |value| value.parse().unwrap())
        };
        let generic = args.iter().any(|arg| arg == "--generic");
        Self {
            rounds: number("--rounds", 5) as usize,
            packets: number("--packets", 500_000),
            flood: number("--flood", 1_000_000),
            generic,
        }
    }
}

/// What something has cost.
struct Cost {
    /// Processor time, with the sender's.
    whole: Duration,
    /// The sender's part.
    sender: Duration,
    /// What was relayed, or dropped.
    packets: u64,
    took: Duration,
}

impl Cost {
    /// Seconds of the processor for each packet, without the sender.
    fn each(&self) -> f64 {
        self.whole.saturating_sub(self.sender).as_secs_f64().max(1e-6) / self.packets as f64
    }

    fn whole(&self) -> f64 {
        self.whole.as_secs_f64() / self.packets as f64
    }
}

impl std::fmt::Display for Cost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let nanoseconds = |seconds: f64| seconds * 1e9;
        let (each, whole) = (nanoseconds(self.each()), nanoseconds(self.whole()));
        write!(
            f,
            "{:7} in {:4.2} s, {each:5.0} ns each ({whole:5.0} with the sender)",
            self.packets,
            self.took.as_secs_f64()
        )
    }
}

struct Bed {
    row: Row,
    relay: Relay,
    /// At the right: frames are counted and dropped there before a socket sees them.
    sink: End,
    _end: Option<End>,
    sender: UdpSocket,
    flooder: UdpSocket,
    /// The last number of the sender's frames.
    sequence: Cell<u64>,
}

impl Bed {
    fn new(settings: &Settings, in_kernel: bool) -> Option<Self> {
        let row = Row::new()?;
        let [west, _] = Family::V4.relay();
        let sender = socket(&row.left, at(Family::V4.left()[0], 1111));
        let flooder = socket(&row.left, at(Family::V4.left()[0], 1112));
        sender.connect(at(west, PORT)).unwrap();
        flooder.connect(at(west, PORT)).unwrap();
        let relay = Relay::start(&row.relay, at(Family::V4.any(), PORT));
        let sink = End::sink(&row.right, "wire", at(Family::V4.right(), SINK_PORT));
        let end = (!settings.generic).then(|| End::open(&row.left, "wire"));
        if in_kernel {
            let attached = relay.attach(&["west", "east"]).unwrap();
            let mode = if settings.generic { AttachMode::Generic } else { AttachMode::Native };
            assert_eq!(attached.interfaces[0].1, mode);
        }
        let bed = Self { row, relay, sink, _end: end, sender, flooder, sequence: Cell::new(0) };
        bed.install(1, 5, bed.sender.local_addr().unwrap());
        bed.install(2, 7, at(Family::V4.right(), SINK_PORT));
        bed.install(3, 9, bed.flooder.local_addr().unwrap());
        let flooding = BTreeSet::from([bed.flooder.local_addr().unwrap()]);
        bed.relay.with(move |port| {
            port.shut_out(&flooding);
            port.remove_link(LinkId(3));
            // The way to the right is known from now on. The probe of a link would pass the sink.
            port.send_probe(LinkId(2), &[], 1, 0);
        });
        wait_until(|| bed.arrived() > 0);
        Some(bed)
    }

    fn install(&self, id: u64, label: u16, remote: std::net::SocketAddr) {
        self.relay.with(move |port| {
            port.install_link(LinkInstall {
                id: LinkId(id),
                peer: PeerId::from_public_key([id as u8; 32]),
                remote,
                label: Label(label),
                send_key: FrameKey::from_bytes([2; 16]),
                receive_key: FrameKey::from_bytes([1; 16]),
                may_relay: true,
            });
        });
    }

    fn arrived(&self) -> u64 {
        self.sink.dropped()
    }

    fn relay(&self, packets: u64) -> Cost {
        let key = FrameKey::from_bytes([1; 16]);
        let labels = Labels::new(&[Label(7)]).unwrap();
        let header = Header { kind: Kind::Data, lane: 0, labels, source: Tag(1), path: 1, sequence: 0 };
        let mut frame = header.encode().to_vec();
        frame.resize(FRAME_BYTES, 0x5a);
        assert!(frame.len() > HEADER_BYTES);
        let mut send = || {
            self.sequence.set(self.sequence.get() + 1);
            stamp(&mut frame, self.sequence.get(), &key);
            let _ = self.sender.send(&frame);
        };
        let sender = self.unheard(|| (0..packets).for_each(|_| send()));
        let (before, started) = (self.arrived(), Instant::now());
        let whole = spent(|| {
            (0..packets).for_each(|_| send());
            still(|| self.arrived());
        });
        let relayed = self.arrived() - before;
        assert!(relayed > packets / 100, "{relayed} of {packets} arrived");
        Cost { whole, sender, packets: relayed, took: started.elapsed() }
    }

    fn flood(&self, packets: u64) -> Cost {
        let send = || drop(self.flooder.send(&[0x01; 64]));
        let sender = self.unheard(|| (0..packets).for_each(|_| send()));
        let dropped = || self.relay.with(|port| port.counters().shut_out);
        let started = Instant::now();
        let whole = spent(|| {
            (0..packets).for_each(|_| send());
            still(dropped);
        });
        // What the socket's queue has dropped was dropped by user space's half as well, and cost less.
        let took = started.elapsed();
        Cost { whole, sender, packets, took }
    }

    /// What it costs to send when everything is dropped as it leaves.
    fn unheard(&self, send: impl FnOnce()) -> Duration {
        self.nft("add table netdev bench");
        self.nft("add chain netdev bench out { type filter hook egress device wire priority 0; policy drop; }");
        let spent = spent(send);
        self.nft("delete table netdev bench");
        spent
    }

    fn nft(&self, command: &str) {
        let status = Command::new("ip").args(["netns", "exec", &self.row.left, "nft", command]).status().unwrap();
        assert!(status.success(), "nft {command}");
    }
}

fn wait_until(mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < until, "nothing arrives");
        thread::sleep(Duration::from_millis(5));
    }
}

/// What one run of the packet program takes, in nanoseconds, as the kernel measures it: the two looks at the clock that it
/// takes for that are in it, the wires are not.
fn program_alone(work: impl FnOnce()) -> f64 {
    let _measures = aya::sys::enable_stats(aya::sys::Stats::RunTime).unwrap();
    let runs = || {
        let programs = aya::programs::loaded_programs().flatten();
        let ours = programs.filter(|program| program.name_as_str() == Some("datapath"));
        ours.fold((0.0, 0), |(ns, runs), one| (ns + one.run_time().as_nanos() as f64, runs + one.run_count()))
    };
    let before = runs();
    work();
    let after = runs();
    (after.0 - before.0) / (after.1 - before.1).max(1) as f64
}

/// Waits until a number grows no more.
fn still(number: impl Fn() -> u64) {
    let mut before = number();
    loop {
        thread::sleep(Duration::from_millis(30));
        let now = number();
        if now == before {
            return;
        }
        before = now;
    }
}

/// Processor time of this process and of the kernel's threads for network interrupts while something runs.
fn spent(work: impl FnOnce()) -> Duration {
    let before = used();
    work();
    used() - before
}

/// The first number of each thread's `schedstat` is its time on a processor in nanoseconds; interrupts that are served
/// meanwhile are in it.
fn used() -> Duration {
    let of = |folder: &str| -> u64 {
        let text = fs::read_to_string(format!("{folder}/schedstat")).unwrap_or_default();
        text.split_whitespace().next().map_or(0, |nanoseconds| nanoseconds.parse().unwrap())
    };
    let threads = fs::read_dir("/proc/self/task").unwrap().map(|entry| entry.unwrap().path().display().to_string());
    Duration::from_nanos(threads.chain(kernel_threads()).map(|folder| of(&folder)).sum())
}

fn kernel_threads() -> Vec<String> {
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().display().to_string());
    let is_one =
        |folder: &String| fs::read_to_string(format!("{folder}/comm")).is_ok_and(|name| name.starts_with("ksoftirqd"));
    entries.filter(is_one).collect()
}

/// Smallest, median and largest.
fn spread(values: impl Iterator<Item = f64>) -> [f64; 3] {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

const PORT: u16 = 4600;
const SINK_PORT: u16 = 4601;
/// A frame, header included.
const FRAME_BYTES: usize = 200;
