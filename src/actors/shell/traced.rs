//! What distributed traces tell of the node's own doings: incidents.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Shell;
use super::journal::{Entry, Phase};
use crate::spans::Told;

impl Shell {
    /// Tells of an incident that is over: one trace, whose spans are the incident and its phases.
    pub(super) fn trace_incident(&self, incident: u64) {
        let Some(context) = self.tracer.always() else { return };
        let Some(entry) = self.journal.entry(incident) else { return };
        let times = Times::of(&entry);
        let whole = Told::root(context, format!("incident {}", entry.kind), times.first_sign, times.end)
            .with("prunella.incident.condition", &*entry.kind)
            .with("prunella.incident.about", &*entry.subject)
            .with("prunella.incident.severity", &*entry.severity)
            .with("prunella.incident.evidence", &*entry.evidence)
            .with("prunella.incident.result", result(&entry))
            .with_number("prunella.incident.id", entry.id);
        let whole = match entry.follows_from {
            Some(root) => whole.with_number("prunella.incident.follows_from", root),
            None => whole,
        };
        self.tracer.tell(whole);
        for (phase, start, lasted) in times.phases(&entry) {
            let did = entry.actions.iter().rev().find(|note| note.phase.name() == phase);
            let span = Told::child(context, phase, start, lasted);
            self.tracer.tell(match did {
                Some(note) => span.with("prunella.incident.did", &*note.what),
                None => span,
            });
        }
    }
}

/// What came of it, in a word.
fn result(entry: &Entry) -> &'static str {
    let did = |phase: Phase| entry.actions.iter().any(|note| note.phase == phase);
    match (did(Phase::Escalate), did(Phase::Execute)) {
        (true, _) => "escalated",
        (false, true) => "acted-upon",
        (false, false) => "over-by-itself",
    }
}

/// When an incident was what, on the wall clock that its page in the journal has.
struct Times {
    first_sign: SystemTime,
    noticed: SystemTime,
    end: SystemTime,
}

impl Times {
    fn of(entry: &Entry) -> Self {
        let noticed = UNIX_EPOCH + Duration::from_millis(entry.opened_unix_ms);
        let detect = Duration::from_micros(entry.phases.detect_us.unwrap_or_default());
        let first_sign = noticed.checked_sub(detect).unwrap_or(noticed);
        Self { first_sign, noticed, end: noticed + Duration::from_millis(entry.lasted_ms.unwrap_or_default()) }
    }

    /// Each phase that there was: its name, when it began, how long it took.
    fn phases(&self, entry: &Entry) -> Vec<(&'static str, SystemTime, Duration)> {
        let (us, times) = (Duration::from_micros, &entry.phases);
        let planned = self.noticed + us(times.plan_us.unwrap_or_default());
        let begun = planned + us(times.execute_us.unwrap_or_default());
        let all = [
            ("detect", self.first_sign, times.detect_us),
            ("analyze", self.noticed, times.analyze_us),
            ("plan", self.noticed, times.plan_us),
            ("execute", planned, times.execute_us),
            ("verify", begun, times.verify_us),
        ];
        all.into_iter().filter_map(|(name, start, took)| Some((name, start, us(took?)))).collect()
    }
}
