//! Rows of the table, and figures over many nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use prunella_sim::fleet::{Count, Fleet, Kind};

/// One line of the table.
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) bar: String,
}

impl Row {
    pub(crate) fn new(what: impl Into<String>, measured: impl Into<String>, bar: impl Into<String>) -> Self {
        Self { what: what.into(), measured: measured.into(), bar: bar.into() }
    }
}

/// Mean, 99th percentile and most.
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(mut values: Vec<f64>) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        let p99 = values[(values.len() * 99).div_ceil(100) - 1];
        Self { mean, p99, max: values[values.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "mean {:.0}, p99 {:.0}, max {:.0}", self.mean, self.p99, self.max)
    }
}

/// What a sort of bytes sums up to.
type Sum = fn(&Count) -> u64;

/// Rows of bytes per second and node, sent and received, with and without headers; then the kinds that cost most.
pub(crate) fn bytes(what: &str, fleet: &Fleet, hosts: &[usize], during: Duration, bar: &str) -> Vec<Row> {
    let seconds = during.as_secs_f64();
    let of = |sum: Sum, sent: bool| {
        let traffic = hosts.iter().map(|host| fleet.traffic(*host));
        Spread::of(traffic.map(|t| sum(if sent { &t.sent } else { &t.received }) as f64 / seconds).collect())
    };
    let mut rows = Vec::new();
    for (name, sent) in [("sent", true), ("received", false)] {
        let payload = of(Count::payload, sent);
        rows.push(Row::new(format!("{what}: {name}, payload, B/s per node"), payload.to_string(), bar));
        rows.push(Row::new(
            format!("{what}: {name}, with headers, B/s per node"),
            of(Count::wire, sent).to_string(),
            bar,
        ));
    }
    let mean = |kind: Kind| {
        let (mut payload, mut wire, mut packets) = (0, 0, 0);
        for host in hosts {
            let sent = &fleet.traffic(*host).sent;
            payload += sent.payload_of(kind);
            wire += sent.wire_of(kind);
            packets += sent.packets_of(kind);
        }
        [payload, wire, packets].map(|sum| sum as f64 / seconds / hosts.len() as f64)
    };
    for kind in Kind::ALL {
        let [payload, wire, packets] = mean(kind);
        if packets > 0.0005 {
            let measured = format!("payload {payload:.1}, with headers {wire:.1}, packets/s {packets:.3}");
            rows.push(Row::new(format!("    {kind:?}"), measured, ""));
        }
    }
    rows.extend(records(fleet, hosts, seconds));
    rows
}

/// Rows of the records that were pushed and given, by kind.
fn records(fleet: &Fleet, hosts: &[usize], seconds: f64) -> Vec<Row> {
    let mut sums: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for (name, count, bytes) in hosts.iter().flat_map(|host| fleet.traffic(*host).records.each()) {
        let sum = sums.entry(name).or_default();
        *sum = (sum.0 + count, sum.1 + bytes);
    }
    let each = |value: u64| value as f64 / hosts.len() as f64;
    let row = |(name, (count, bytes)): (&str, (u64, u64))| {
        let (b, n, size) = (each(bytes) / seconds, each(count), bytes as f64 / count as f64);
        Row::new(format!("    records: {name}"), format!("{b:.1} B/s, {n:.1} a node, {size:.0} B each"), "")
    };
    sums.into_iter().filter(|(_, (count, _))| *count > 0).map(row).collect()
}
