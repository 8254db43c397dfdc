//! This process under its own watch.

use std::time::Duration;

use serde::Serialize;

use crate::Instant;
use crate::incident::{Evidence, IncidentKind, Quantity};
use crate::monitor::detectors::{Doubt, Edge, Growth, Leaks};
use crate::monitor::ring::Ring;
use crate::monitor::sample::ProcessSample;

use super::Finding;

/// What this process is like now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ProcessFigures {
    /// The share of one processor that it used within the last second, in thousandths.
    pub processor_permille: u32,
    /// Resident memory, in bytes.
    pub memory: u64,
    /// Open file descriptors.
    pub descriptors: u64,
    /// How late it was woken in the median of the last samples.
    pub late: Duration,
}

/// Whether this process gets what it needs, and gives back what it took.
#[derive(Debug)]
pub(in crate::monitor) struct ProcessWatch {
    pub(in crate::monitor) doubt: Doubt,
    late: Ring<Duration>,
    times: Ring<Instant>,
    starved: bool,
    memory: Growth,
    descriptors: Growth,
    /// By how much the wall clock was ahead of the node's own time, in milliseconds.
    wall_ahead_ms: Option<i64>,
    processor: Option<(Instant, Duration)>,
    pub(in crate::monitor) figures: ProcessFigures,
}

impl ProcessWatch {
    pub(in crate::monitor) fn new() -> Self {
        Self {
            doubt: Doubt::default(),
            late: Ring::new(SAMPLES),
            times: Ring::new(SAMPLES),
            starved: false,
            memory: Growth::new(Quantity::Memory, MEMORY_BORNE),
            descriptors: Growth::new(Quantity::Descriptors, DESCRIPTORS_BORNE),
            wall_ahead_ms: None,
            processor: None,
            figures: ProcessFigures::default(),
        }
    }

    pub(in crate::monitor) fn observe(&mut self, sample: &ProcessSample, now: Instant, found: &mut Vec<Finding>) {
        self.doubt.woke(sample.late, now);
        self.on_late(sample.late, now, found);
        if let Some(by_ms) = self.jump(sample.unix_ms, now) {
            found.push((IncidentKind::ClockJumped, Edge::Wrong(Evidence::Jump { by_ms })));
        }
        if let Some(used) = sample.processor {
            self.on_processor(used, now);
        }
        let leak = |of| IncidentKind::Leak { of };
        if let Some(memory) = sample.memory {
            self.figures.memory = memory;
            found.extend(self.memory.observe(memory, now).map(|v| (leak(Quantity::Memory), v)));
        }
        if let Some(open) = sample.descriptors {
            self.figures.descriptors = open;
            found.extend(self.descriptors.observe(open, now).map(|v| (leak(Quantity::Descriptors), v)));
        }
    }

    fn on_late(&mut self, late: Duration, now: Instant, found: &mut Vec<Finding>) {
        self.late.push(late);
        self.times.push(now);
        // Too few samples yet to say anything, unless they are few because the process hardly runs.
        if !self.late.is_full() && !self.starved && late < STARVED_LATE {
            return;
        }
        let median = self.late.median().unwrap_or_default();
        self.figures.late = median;
        let within = self.times.oldest().map(|first| now.since(*first)).unwrap_or_default();
        if !self.starved && median >= STARVED_LATE && within >= STARVED_FOR && self.late.len() >= STARVED_SAMPLES {
            self.starved = true;
            found.push((IncidentKind::Starved, Edge::Wrong(Evidence::Lateness { median, within })));
        } else if self.starved && median < STARVED_LATE / 4 {
            self.starved = false;
            found.push((IncidentKind::Starved, Edge::Well));
        }
    }

    fn jump(&mut self, unix_ms: u64, now: Instant) -> Option<i64> {
        if unix_ms == 0 {
            return None;
        }
        let ahead = i64::try_from(unix_ms).unwrap_or(i64::MAX).saturating_sub_unsigned(now.as_millis());
        let by_ms = ahead.saturating_sub(self.wall_ahead_ms.replace(ahead)?);
        (by_ms.unsigned_abs() >= JUMP_MS).then_some(by_ms)
    }

    fn on_processor(&mut self, used: Duration, now: Instant) {
        let (at, before) = *self.processor.get_or_insert((now, used));
        let within = now.since(at);
        if within >= Duration::from_secs(1) {
            let share = used.saturating_sub(before).as_nanos() * 1000 / within.as_nanos().max(1);
            self.figures.processor_permille = u32::try_from(share).unwrap_or(u32::MAX);
            self.processor = Some((now, used));
        }
    }
}

/// Samples in the window of lateness.
const SAMPLES: usize = 32;
/// Samples that are enough to tell that it is starved: they are few because it is.
const STARVED_SAMPLES: usize = 8;
/// How late it must be woken in the median, and for how long, to count as starved. A host at twice its load delays for
/// some milliseconds; who is this late cannot keep any of its times.
const STARVED_LATE: Duration = Duration::from_millis(200);
const STARVED_FOR: Duration = Duration::from_secs(2);
/// A smaller step of the wall clock is its being kept right.
const JUMP_MS: u64 = 1000;
const MEMORY_BORNE: Leaks = Leaks { burst: 512 << 20, seep: 128 << 20 };
const DESCRIPTORS_BORNE: Leaks = Leaks { burst: 500, seep: 200 };

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(late_ms: u64, unix_ms: u64) -> ProcessSample {
        ProcessSample { late: Duration::from_millis(late_ms), unix_ms, ..ProcessSample::default() }
    }

    #[test]
    fn a_busy_host_is_not_starved_and_one_that_never_runs_is() {
        let (mut watch, mut found, mut ms) = (ProcessWatch::new(), Vec::new(), 0);
        for i in 0..1000 {
            // One wake in ten is late by a whole scheduling period.
            let late = if i % 10 == 0 { 80 } else { 5 };
            ms += 10 + late;
            watch.observe(&sample(late, 0), Instant::from_millis(ms), &mut found);
        }
        assert_eq!(found, []);
        for _ in 0..20 {
            ms += 410;
            watch.observe(&sample(400, 0), Instant::from_millis(ms), &mut found);
        }
        assert!(matches!(&found[..], [(IncidentKind::Starved, Edge::Wrong(_))]), "{found:?}");
        for _ in 0..40 {
            ms += 10;
            watch.observe(&sample(0, 0), Instant::from_millis(ms), &mut found);
        }
        assert_eq!(found.pop(), Some((IncidentKind::Starved, Edge::Well)));
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_whatever_it_said_before() {
        let (mut watch, mut found) = (ProcessWatch::new(), Vec::new());
        for (now, unix) in [(0, 50_000), (10, 50_010), (20, 50_700), (30, 45_000)] {
            watch.observe(&sample(0, unix), Instant::from_millis(now), &mut found);
        }
        assert_eq!(found, [(IncidentKind::ClockJumped, Edge::Wrong(Evidence::Jump { by_ms: -5710 }))]);
    }
}
