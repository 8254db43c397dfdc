//! What is measured, and the figures that come of it.

use serde::Serialize;

/// One thing that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// One TCP flow, Gbit/s.
    OneFlow,
    /// Processor time of all daemons, in seconds for a GB of one flow.
    OneFlowCost,
    /// The relay's part of it.
    OneFlowRelay,
    /// Time that the machine's processors were busy, in seconds for a GB of one flow.
    OneFlowBusy,
    /// Eight TCP flows, Gbit/s.
    EightFlows,
    /// As [`Measure::OneFlowCost`].
    EightFlowsCost,
    /// As [`Measure::OneFlowRelay`].
    EightFlowsRelay,
    /// As [`Measure::OneFlowBusy`].
    EightFlowsBusy,
    /// The median round trip of a ping while nothing else is sent.
    PingMedian,
    /// The 99th of a hundred.
    PingTail,
    /// As [`Measure::PingMedian`], beside one TCP flow.
    LoadedPingMedian,
    /// As [`Measure::PingTail`], beside one TCP flow.
    LoadedPingTail,
    /// The median time of a request of 64 bytes and its answer on an open TCP connection.
    RequestMedian,
    /// The 99th of a hundred.
    RequestTail,
    /// As [`Measure::RequestMedian`], beside one TCP flow.
    LoadedRequestMedian,
    /// As [`Measure::RequestTail`], beside one TCP flow.
    LoadedRequestTail,
    /// Memory of the largest daemon after all that.
    Memory,
    /// From the start of the daemons to the first answer.
    SetUp,
    /// The longest time without an answer when the relay in use goes dark.
    Gap,
}

impl Measure {
    /// All, in the order of the report.
    pub(crate) const ALL: [Measure; 19] = [
        Measure::OneFlow,
        Measure::OneFlowCost,
        Measure::OneFlowRelay,
        Measure::OneFlowBusy,
        Measure::EightFlows,
        Measure::EightFlowsCost,
        Measure::EightFlowsRelay,
        Measure::EightFlowsBusy,
        Measure::PingMedian,
        Measure::PingTail,
        Measure::LoadedPingMedian,
        Measure::LoadedPingTail,
        Measure::RequestMedian,
        Measure::RequestTail,
        Measure::LoadedRequestMedian,
        Measure::LoadedRequestTail,
        Measure::Memory,
        Measure::SetUp,
        Measure::Gap,
    ];

    /// What it is, for people.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Measure::OneFlow => "throughput, 1 TCP flow",
            Measure::OneFlowCost => "processor time of the daemons, 1 TCP flow",
            Measure::OneFlowRelay => "processor time of the relay, 1 TCP flow",
            Measure::OneFlowBusy => "processor time of the machine, 1 TCP flow",
            Measure::EightFlows => "throughput, 8 TCP flows",
            Measure::EightFlowsCost => "processor time of the daemons, 8 TCP flows",
            Measure::EightFlowsRelay => "processor time of the relay, 8 TCP flows",
            Measure::EightFlowsBusy => "processor time of the machine, 8 TCP flows",
            Measure::PingMedian => "ping at rest, median",
            Measure::PingTail => "ping at rest, 99th percentile",
            Measure::LoadedPingMedian => "ping beside a TCP flow, median",
            Measure::LoadedPingTail => "ping beside a TCP flow, 99th percentile",
            Measure::RequestMedian => "request at rest, median",
            Measure::RequestTail => "request at rest, 99th percentile",
            Measure::LoadedRequestMedian => "request beside a TCP flow, median",
            Measure::LoadedRequestTail => "request beside a TCP flow, 99th percentile",
            Measure::Memory => "memory of the largest daemon",
            Measure::SetUp => "start of the daemons to the first answer",
            Measure::Gap => "gap when the relay in use goes dark",
        }
    }

    /// Its key in JSON.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Measure::OneFlow => "throughput_1",
            Measure::OneFlowCost => "daemons_s_per_gb_1",
            Measure::OneFlowRelay => "relay_s_per_gb_1",
            Measure::OneFlowBusy => "machine_s_per_gb_1",
            Measure::EightFlows => "throughput_8",
            Measure::EightFlowsCost => "daemons_s_per_gb_8",
            Measure::EightFlowsRelay => "relay_s_per_gb_8",
            Measure::EightFlowsBusy => "machine_s_per_gb_8",
            Measure::PingMedian => "ping_rest_p50",
            Measure::PingTail => "ping_rest_p99",
            Measure::LoadedPingMedian => "ping_load_p50",
            Measure::LoadedPingTail => "ping_load_p99",
            Measure::RequestMedian => "request_rest_p50",
            Measure::RequestTail => "request_rest_p99",
            Measure::LoadedRequestMedian => "request_load_p50",
            Measure::LoadedRequestTail => "request_load_p99",
            Measure::Memory => "memory",
            Measure::SetUp => "set_up",
            Measure::Gap => "gap",
        }
    }

    /// Its unit.
    pub(crate) fn unit(self) -> &'static str {
        match self {
            Measure::OneFlow | Measure::EightFlows => "Gbit/s",
            Measure::OneFlowCost | Measure::OneFlowRelay | Measure::OneFlowBusy => "s/GB",
            Measure::EightFlowsCost | Measure::EightFlowsRelay | Measure::EightFlowsBusy => "s/GB",
            Measure::Memory => "MB",
            Measure::SetUp | Measure::Gap => "ms",
            _ => "µs",
        }
    }

    /// Whether more of it is better.
    pub(crate) fn more_is_better(self) -> bool {
        matches!(self, Measure::OneFlow | Measure::EightFlows)
    }
}

/// One figure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Sample {
    /// In which round.
    pub(crate) round: u32,
    /// Whose it is.
    pub(crate) system: &'static str,
    /// On which shape, as the report calls it.
    pub(crate) shape: &'static str,
    /// What was measured.
    #[serde(serialize_with = "as_key")]
    pub(crate) measure: Measure,
    /// The figure, in the measure's unit.
    pub(crate) value: f64,
    /// Whether it is a bound: nobody waited longer.
    pub(crate) at_least: bool,
}

fn as_key<S: serde::Serializer>(measure: &Measure, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(measure.key())
}

/// Smallest, median and largest.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) max: f64,
}

impl Spread {
    /// Of some figures; `None` of none.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self { min, median: quantile(&values, 0.5), max })
    }
}

/// The value below which this share of sorted values lies.
///
/// # Panics
///
/// If there are none.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (sorted.len() as f64 * share) as usize;
    sorted[at.min(sorted.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_of_what_there_is() {
        assert_eq!(Spread::of([]), None);
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { min: 1.0, median: 2.0, max: 3.0 }));
        let hundred: Vec<f64> = (0..100).map(f64::from).collect();
        assert_eq!(quantile(&hundred, 0.99), 99.0);
    }

    #[test]
    fn keys_differ() {
        let keys: std::collections::BTreeSet<_> = Measure::ALL.iter().map(|measure| measure.key()).collect();
        assert_eq!(keys.len(), Measure::ALL.len());
    }
}
