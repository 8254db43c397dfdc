//! What a run at scale has shown.

use std::fmt;
use std::ops::Add;
use std::time::Duration;

use super::options::Options;
use super::queue::Kind;

/// What was measured. Times are simulated, except for those of [`Cost`].
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What was asked for.
    pub options: Options,
    /// How many nodes lived while it was measured.
    pub living: usize,
    /// Neighbors of a node, on average.
    pub degree: f64,
    /// How many messages were measured: all that were asked for, unless the run was broken off.
    pub measured: usize,
    /// Messages that reached every living node.
    pub complete: usize,
    /// Time until a message had reached the last node that it reached: mean over the messages.
    pub all_mean: Duration,
    /// The same: the greatest of all messages.
    pub all_max: Duration,
    /// Time until a message reached a node: the median over nodes and messages.
    pub p50: Duration,
    /// The same, 90 of 100.
    pub p90: Duration,
    /// The same, 99 of 100.
    pub p99: Duration,
    /// Hops that a message took to a node, on average.
    pub hops_mean: f64,
    /// The most hops that a message took to a node.
    pub hops_max: u8,
    /// Messages pushed for each one that was needed, less one: `pushes / (nodes - 1) - 1`, mean over the messages.
    pub redundancy: f64,
    /// The same of the very first message, when the tree is not formed yet.
    pub redundancy_first: f64,
    /// Announcements per node and message.
    pub announcements: f64,
    /// Grafts per node and message.
    pub grafts: f64,
    /// Prunes per node and message.
    pub prunes: f64,
    /// Messages that a node turned away; none should be.
    pub rejected: u64,
    /// Bytes on the wire per node and message, repetitions included: an estimate from the sizes of one message.
    pub bytes: f64,
    /// What a node's tree machine takes up in memory at rest, in bytes, on average.
    pub node_bytes: f64,
    /// How much simulated time passed.
    pub virtual_time: Duration,
    /// What the run cost on this machine; differs between runs of one seed.
    pub cost: Cost,
}

/// What a run took on the machine that it ran on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Real time in all.
    pub wall: Duration,
    /// Real time for choosing neighbors.
    pub building: Duration,
    /// Processor time in all; less than real time where other programs run. `None` where the system does not tell.
    pub processor: Option<Duration>,
    /// The most memory that the process has had so far, in bytes; `None` where the system does not tell.
    pub peak_memory: Option<u64>,
}

impl Report {
    /// Whether every message reached every living node.
    pub fn is_complete(&self) -> bool {
        self.complete == self.options.messages
    }

    /// Simulated hours, added up over all nodes.
    pub fn node_hours(&self) -> f64 {
        self.virtual_time.as_secs_f64() * self.options.nodes as f64 / 3600.0
    }

    /// How many times faster than real time it ran.
    pub fn speed(&self) -> f64 {
        self.virtual_time.as_secs_f64() / self.cost.wall.as_secs_f64().max(1e-9)
    }

    pub(super) fn new(options: &Options, measured: &[Counters], living: usize) -> Self {
        let messages = measured.len().max(1) as f64;
        let per_node = |count: fn(&Counters) -> u64| {
            measured.iter().map(count).sum::<u64>() as f64 / messages / living.max(1) as f64
        };
        let mut times: Vec<u32> = measured.iter().flat_map(|counters| counters.times.iter().copied()).collect();
        times.sort_unstable();
        let quantile = |percent: usize| {
            let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
            Duration::from_micros(times.get(at).copied().unwrap_or_default().into())
        };
        let last = || measured.iter().map(|counters| counters.times.iter().max().copied().unwrap_or_default());
        let hops: u64 = measured.iter().map(|counters| counters.hops).sum();
        Self {
            options: options.clone(),
            living,
            measured: measured.len(),
            degree: 0.0,
            complete: measured.iter().filter(|counters| counters.times.len() + 1 == living).count(),
            all_mean: Duration::from_secs_f64(last().map(f64::from).sum::<f64>() / messages / 1e6),
            all_max: Duration::from_micros(last().max().unwrap_or_default().into()),
            p50: quantile(50),
            p90: quantile(90),
            p99: quantile(99),
            hops_mean: hops as f64 / times.len().max(1) as f64,
            hops_max: measured.iter().map(|counters| counters.hops_max).max().unwrap_or_default(),
            redundancy: measured.iter().map(|counters| counters.redundancy(living)).fold(0.0, f64::add) / messages,
            redundancy_first: 0.0,
            announcements: per_node(|counters| counters.announcements),
            grafts: per_node(|counters| counters.grafts),
            prunes: per_node(|counters| counters.prunes),
            rejected: measured.iter().map(|counters| counters.rejected).sum(),
            bytes: per_node(|counters| counters.bytes),
            node_bytes: 0.0,
            virtual_time: Duration::ZERO,
            cost: Cost::default(),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Options { nodes, regions, seed, messages, .. } = self.options;
        writeln!(f, "simulated: {nodes} nodes on one thread in virtual time, no network; seed {seed}")?;
        let links = |(min, max): (Duration, Duration)| format!("{} to {} ms", ms(min), ms(max));
        write!(f, "  mesh        {regions} region(s), links {}", links(self.options.near))?;
        if regions > 1 {
            write!(f, " inside, {} between", links(self.options.far))?;
        }
        let Options { loss_permille, crashed, strategy, .. } = self.options;
        writeln!(f, "; {:.1} neighbors each ({strategy})", self.degree)?;
        writeln!(f, "  faults      {:.1} % loss, {crashed} crashed", f64::from(loss_permille) / 10.0)?;
        match self.measured {
            0 => writeln!(f, "  BROKEN OFF  before the first of {messages} messages was measured")?,
            measured if measured < messages => {
                writeln!(f, "  BROKEN OFF  after {measured} of {messages} messages; the figures are about these")?;
                self.write_figures(f)?;
            }
            _ => self.write_figures(f)?,
        }
        writeln!(
            f,
            "  speed       {:.2} simulated seconds, {:.3} node-hours; {:.2} x real time",
            self.virtual_time.as_secs_f64(),
            self.node_hours(),
            self.speed()
        )?;
        write!(f, "  cost        {:.1} s real time", self.cost.wall.as_secs_f64())?;
        write!(f, ", {:.1} s of it for choosing neighbors", self.cost.building.as_secs_f64())?;
        if let Some(processor) = self.cost.processor {
            write!(f, "; {:.1} s on the processor", processor.as_secs_f64())?;
        }
        self.cost.peak_memory.map_or(Ok(()), |bytes| write!(f, "; peak memory {} MB", bytes / 1_000_000))
    }
}

impl Report {
    fn write_figures(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "  reached     all {} nodes by {} of {} messages, after {} others",
            self.living, self.complete, self.measured, self.options.warm_up
        )?;
        writeln!(f, "  to all      mean {} ms, max {} ms", ms(self.all_mean), ms(self.all_max))?;
        writeln!(f, "  to a node   p50 {} ms, p90 {} ms, p99 {} ms", ms(self.p50), ms(self.p90), ms(self.p99))?;
        writeln!(f, "  hops        mean {:.1}, max {}", self.hops_mean, self.hops_max)?;
        writeln!(f, "  redundancy  {:.3}; {:.3} for the first message", self.redundancy, self.redundancy_first)?;
        writeln!(
            f,
            "  per node    {:.1} announcements, {:.3} grafts, {:.3} prunes, about {:.0} bytes a message; {:.0} bytes of state",
            self.announcements, self.grafts, self.prunes, self.bytes, self.node_bytes
        )
    }
}

fn ms(duration: Duration) -> String {
    format!("{:.1}", duration.as_secs_f64() * 1e3)
}

/// What happened while one message was under way.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// When each node had it, in microseconds after it was sent.
    times: Vec<u32>,
    hops: u64,
    hops_max: u8,
    pushes: u64,
    announcements: u64,
    grafts: u64,
    prunes: u64,
    bytes: u64,
    pub(super) rejected: u64,
}

impl Counters {
    /// A node has the message.
    pub(super) fn delivered(&mut self, after: Duration, hops: u8) {
        self.times.push(u32::try_from(after.as_micros()).unwrap_or(u32::MAX));
        self.hops += u64::from(hops);
        self.hops_max = self.hops_max.max(hops);
    }

    /// Something was sent, in so many packets.
    pub(super) fn sent(&mut self, kind: Kind, packets: u64) {
        let (count, bytes) = match kind {
            Kind::Push { .. } => (&mut self.pushes, RECORD_BYTES),
            Kind::Announce => (&mut self.announcements, NAME_BYTES),
            Kind::Graft => (&mut self.grafts, NAME_BYTES),
            Kind::Prune | Kind::Down | Kind::Wake => (&mut self.prunes, 0),
        };
        *count += 1;
        self.bytes += packets * (PACKET_BYTES + bytes);
    }

    /// How many nodes have it, without its origin.
    pub(super) fn reached(&self) -> usize {
        self.times.len()
    }

    /// Pushes for each one that was needed, less one.
    pub(super) fn redundancy(&self, living: usize) -> f64 {
        self.pushes as f64 / living.saturating_sub(1).max(1) as f64 - 1.0
    }
}

/// How long this thread has been on a processor, where `/proc` tells.
pub(super) fn processor_time() -> Option<Duration> {
    let status = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    status.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

/// The most memory that this process has had, where `/proc` tells.
pub(super) fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb * 1024)
}

/// Assumed: a signed record of a few fields.
const RECORD_BYTES: u64 = 256;
/// A message's name: a content hash.
const NAME_BYTES: u64 = 16;
/// What comes on top in every packet: IPv4, UDP, QUIC's short header, stream frame and tag, and our own length and kind.
const PACKET_BYTES: u64 = 20 + 8 + 1 + 8 + 4 + 6 + 16 + 8;
