//! What became of a run, for people and for programs.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use prunella_core::{Instant, Rejected};

use crate::config::Config;
use crate::fault::FaultReport;

/// An oracle said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: Instant,
    /// What did not hold.
    pub what: String,
}

/// What became of one seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What the world was like.
    pub config: Config,
    /// How much time passed in the simulated world.
    pub virtual_time: Duration,
    /// How many events and commands there were.
    pub events: u64,
    /// The hash over all of them, as 64 hexadecimal digits: the same seed gives the same hash.
    pub trace_hash: String,
    /// How often a liar lied.
    pub lies: u64,
    /// What control streams turned away, by reason.
    pub rejected: BTreeMap<Rejected, u64>,
    /// What went wrong on purpose.
    pub faults: Vec<FaultReport>,
    /// What went wrong otherwise; empty if the seed passed. Only the first few are kept.
    pub failures: Vec<Failure>,
    /// Whether whoever looked on has broken it off: what did not fail until then proves little.
    pub broken_off: bool,
    /// The longest time that a pair of nodes had no answer although a way between them existed.
    pub longest_gap: Duration,
    /// How long the mesh took to heal after the last fault had ended; `None` if it did not.
    pub healed_after: Option<Duration>,
    /// The command that repeats the run; `None` if it was no command that began it.
    pub replay: Option<String>,
}

impl Report {
    /// Whether every oracle was content, if only until the run was broken off.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }

    /// Simulated hours, added up over all nodes.
    pub fn node_hours(&self) -> f64 {
        self.virtual_time.as_secs_f64() * self.config.nodes as f64 / 3600.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match (self.passed(), self.broken_off) {
            (false, _) => "FAILED",
            (true, true) => "broken off",
            (true, false) => "ok",
        };
        let healed = self.healed_after.map_or("never".to_owned(), |d| format!("{:.1} s", d.as_secs_f64()));
        write!(
            f,
            "seed {:>4}  {:>4} s  {:>8} events  {:>3} faults  {:>3} lies  longest gap {:>4} ms  healed {healed}  {}  {verdict}  {}",
            self.seed,
            self.virtual_time.as_secs(),
            self.events,
            self.faults.len(),
            self.lies,
            self.longest_gap.as_millis(),
            &self.trace_hash[..12],
            self.config,
        )?;
        if self.passed() {
            return Ok(());
        }
        for fault in &self.faults {
            let ended = fault.ended.map_or("the end".to_owned(), |at| at.to_string());
            write!(f, "\n  {} to {ended}: {}", fault.began, fault.fault)?;
        }
        for failure in &self.failures {
            write!(f, "\n  {}: {}", failure.at, failure.what)?;
        }
        self.replay.as_ref().map_or(Ok(()), |replay| write!(f, "\n  replay: {replay}"))
    }
}

/// What became of all seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// One report for each seed, in order.
    pub reports: Vec<Report>,
}

impl Summary {
    /// Whether every seed passed.
    pub fn passed(&self) -> bool {
        self.reports.iter().all(Report::passed)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for report in &self.reports {
            writeln!(f, "{report}")?;
        }
        let failed = self.reports.iter().filter(|report| !report.passed()).count();
        let faults: usize = self.reports.iter().map(|report| report.faults.len()).sum();
        let gap = self.reports.iter().map(|report| report.longest_gap).max().unwrap_or_default();
        write!(
            f,
            "{} of {} seeds passed; {faults} faults; longest gap {} ms",
            self.reports.len() - failed,
            self.reports.len(),
            gap.as_millis()
        )
    }
}
