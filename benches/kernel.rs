//! What a relay, and a flood from a source that is shut out, cost in user space and in the kernel.
//!
//! `cargo bench --features ebpf --bench kernel -- [--rounds N] [--packets N] [--flood N] [--rate N]`
//!
//! Three hosts in a row, in network namespaces of their own (it takes root): from the first come frames of 200 bytes, `rate` a
//! second, as a network card hands them over: the kernel makes them, no socket, no buffer of its own and no copy of it. The
//! second relays, and at the third they are dropped: by a program in the driver, or, where user space relays, by a rule before
//! the kernel does anything with them. Counted is the processor time of this process and of the kernel's threads for network
//! interrupts (`ksoftirqd`), which do the rest; what others do on the machine is not in it. What the sender and the wire to the
//! relay cost is measured the same way, with the same frames over another wire, at whose end a program drops them and does
//! nothing else, and is taken off.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a benchmark that cannot be set up is a failed run")]

#[path = "../tests/kernel/ends.rs"]
mod ends;
#[path = "rig/generator.rs"]
mod generator;
#[path = "../tests/kernel/namespaces.rs"]
mod namespaces;
#[path = "../tests/kernel/relay.rs"]
mod relay;

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, SocketAddrV4};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::programs::ProgramInfo;
use prunella::datapath::{AttachMode, LinkInstall};
use prunella_core::frame::{FrameKey, Header, Kind, Labels};
use prunella_core::{Label, LinkId, PeerId, Tag};

use ends::End;
use generator::{Packets, Way, drop_all, generate};
use namespaces::{Family, Row, at, inside, run, told};
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
    packets: u32,
    flood: u32,
    /// Packets a second.
    rate: u64,
}

impl Settings {
    /// Unknown arguments are passed over: the benchmark runner adds its own.
    fn from_args(args: impl Iterator<Item = String>) -> Self {
        let args: Vec<String> = args.collect();
        let number = |name: &str, default: u64| {
            let position = args.iter().position(|arg| arg == name);
            position.and_then(|p| args.get(p + 1)).map_or(default, |value| value.parse().unwrap())
        };
        Self {
            rounds: number("--rounds", 5) as usize,
            packets: number("--packets", 300_000) as u32,
            flood: number("--flood", 1_000_000) as u32,
            rate: number("--rate", 100_000),
        }
    }
}

/// What something has cost.
struct Cost {
    /// Processor time, with the sender's and the wire's.
    whole: Duration,
    /// What of it the sender takes, and the wire from there.
    sender: Duration,
    /// What was relayed, or dropped.
    packets: u64,
    took: Duration,
}

impl Cost {
    /// Seconds of the processor for each packet, without the sender and the wire.
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
    /// At the right, for the kernel's half: frames are counted and dropped there before a socket sees them.
    sink: Option<End>,
    /// A wire takes what no socket has sent only towards a program: at the left for the kernel's half, which wants to send
    /// both ways, and at the relay for user space's.
    _door: End,
    ethernet: [[u8; 6]; 2],
    way: Way,
    /// The index of an interface at the left, at whose other end everything is dropped.
    nowhere: u32,
    _nothing: Ebpf,
    /// The number of the next frame.
    sequence: AtomicU64,
}

impl Bed {
    fn new(settings: &Settings, in_kernel: bool) -> Option<Self> {
        let row = Row::new()?;
        let relay = Relay::start(&row.relay, at(Family::V4.any(), PORT));
        let sink = in_kernel.then(|| End::sink(&row.right, "wire", at(Family::V4.right(), SINK_PORT)));
        let door = if in_kernel { End::open(&row.left, "wire") } else { End::open(&row.relay, "west") };
        if in_kernel {
            let attached = relay.attach(&["west", "east"]).unwrap();
            assert!(attached.interfaces.iter().all(|(_, mode)| *mode == AttachMode::Native));
        }
        let ethernet = [ethernet(&row.relay, "west"), ethernet(&row.left, "wire")];
        let every = Duration::from_nanos(1_000_000_000 * u64::from(BURST) / settings.rate);
        let way = Way { interface: index(&row.left, "wire"), burst: BURST, every };
        let spare = [&row.left, &row.relay];
        let ends = format!("link add spare netns {} type veth peer name spare netns {}", spare[0], spare[1]);
        assert!(run("ip", &ends));
        spare.iter().for_each(|host| assert!(run("ip", &format!("-n {host} link set spare up"))));
        let (nowhere, nothing) = (index(&row.left, "spare"), inside(&row.relay, || drop_all("spare")));
        let bed = Self {
            row,
            relay,
            sink,
            _door: door,
            ethernet,
            way,
            nowhere,
            _nothing: nothing,
            sequence: AtomicU64::new(1),
        };
        bed.install(1, 5, left(SENDER_PORT).into());
        bed.install(2, 7, at(Family::V4.right(), SINK_PORT));
        bed.install(3, 9, left(FLOODER_PORT).into());
        let flooding = BTreeSet::from([left(FLOODER_PORT).into()]);
        bed.relay.with(move |port| {
            port.shut_out(&flooding);
            port.remove_link(LinkId(3));
            // The way to the right is known from now on.
            port.send_probe(LinkId(2), &[], 1, 0);
        });
        let answered = told(&format!("netns exec {} ping -c 1 -W 5 {}", bed.row.relay, Family::V4.right()));
        assert!(answered.contains(" 1 received"), "{answered}");
        if !in_kernel {
            bed.nft("add table netdev bench");
            bed.nft("add chain netdev bench in { type filter hook ingress device wire priority 0; policy drop; }");
        }
        Some(bed)
    }

    fn install(&self, id: u64, label: u16, remote: SocketAddr) {
        self.relay.with(move |port| {
            port.install_link(LinkInstall {
                id: LinkId(id),
                peer: PeerId::from_public_key([id as u8; 32]),
                remote,
                label: Label(label),
                send_key: FrameKey::from_bytes([2; 16]),
                receive_key: FrameKey::from_bytes(KEY),
                may_relay: true,
            });
        });
    }

    /// How many frames have been relayed.
    fn relayed(&self) -> u64 {
        match &self.sink {
            Some(sink) => sink.dropped(),
            None => self.relay.with(|port| port.counters().forwarded),
        }
    }

    fn relay(&self, packets: u32) -> Cost {
        let labels = Labels::new(&[Label(7)]).unwrap();
        let header = Header { kind: Kind::Data, lane: 0, labels, source: Tag(1), path: 1, sequence: 0 };
        let mut frame = header.encode().to_vec();
        frame.resize(FRAME_BYTES, 0x5a);
        let first = self.sequence.fetch_add(packets.into(), Ordering::Relaxed);
        let frames = self.packets(SENDER_PORT, frame, Some((KEY, first)));
        let before = self.relayed();
        let cost = self.cost(&frames, packets, || self.relayed());
        let relayed = self.relayed() - before;
        assert!(relayed > u64::from(packets) / 100 * 95, "{relayed} of {packets} arrived");
        Cost { packets: relayed, ..cost }
    }

    fn flood(&self, packets: u32) -> Cost {
        let dropped = || self.relay.with(|port| port.counters().shut_out);
        let before = dropped();
        let cost = self.cost(&self.packets(FLOODER_PORT, vec![0x01; 64], None), packets, dropped);
        let dropped = dropped() - before;
        assert!(dropped > u64::from(packets) / 100 * 95, "{dropped} of {packets} were dropped by the port");
        cost
    }

    fn packets(&self, port: u16, datagram: Vec<u8>, stamped: Option<([u8; 16], u64)>) -> Packets {
        let to = SocketAddrV4::new(Family::V4.relay()[0].parse().unwrap(), PORT);
        Packets { ethernet: self.ethernet, from: left(port), to, datagram, stamped }
    }

    /// What it costs to send these, and everything that comes of it until what it `grows` grows no more.
    fn cost(&self, packets: &Packets, number: u32, grows: impl Fn() -> u64 + Send) -> Cost {
        let nowhere = Way { interface: self.nowhere, ..self.way };
        inside(&self.row.left, || {
            let sender = spent(|| generate(packets, number, nowhere));
            let started = Instant::now();
            let whole = spent(|| {
                let waited = generate(packets, number, self.way);
                still(grows);
                waited
            });
            Cost { whole, sender, packets: number.into(), took: started.elapsed() }
        })
    }

    fn nft(&self, command: &str) {
        let status = Command::new("ip").args(["netns", "exec", &self.row.right, "nft", command]).status().unwrap();
        assert!(status.success(), "nft {command}");
    }
}

/// An address at the left.
fn left(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(Family::V4.left()[0].parse().unwrap(), port)
}

/// The index of an interface.
fn index(namespace: &str, interface: &str) -> u32 {
    told(&format!("-n {namespace} -o link show {interface}")).split(':').next().unwrap().parse().unwrap()
}

/// The Ethernet address of an interface.
fn ethernet(namespace: &str, interface: &str) -> [u8; 6] {
    let shown = told(&format!("-n {namespace} -o link show {interface}"));
    let address = shown.split_whitespace().skip_while(|word| *word != "link/ether").nth(1).unwrap();
    let bytes: Vec<u8> = address.split(':').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
    bytes.try_into().unwrap()
}

/// What one run of the packet program takes, in nanoseconds, as the kernel measures it: the two looks at the clock that it
/// takes for that are in it, the wires are not.
fn program_alone(work: impl FnOnce()) -> f64 {
    let _measures = aya::sys::enable_stats(aya::sys::Stats::RunTime).unwrap();
    // The last one that was loaded: what stands at the ends of its wires is the same program.
    let runs = || {
        let programs = aya::programs::loaded_programs().flatten();
        let ours = programs.filter(|program| program.name_as_str() == Some("datapath")).max_by_key(ProgramInfo::id);
        ours.map_or((0.0, 0), |program| (program.run_time().as_nanos() as f64, program.run_count()))
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

/// Processor time of this process and of the kernel's threads for network interrupts while something runs, without what that
/// has only waited.
fn spent(work: impl FnOnce() -> Duration) -> Duration {
    let before = used();
    let waited = work();
    (used() - before).saturating_sub(waited)
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
const SENDER_PORT: u16 = 1111;
const FLOODER_PORT: u16 = 1112;
/// Of the sender's link.
const KEY: [u8; 16] = [1; 16];
/// Frames that leave at once: the queue of a wire holds 256.
const BURST: u32 = 64;
/// A frame, header included.
const FRAME_BYTES: usize = 200;
