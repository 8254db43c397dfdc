//! What distributed traces tell of the node's own doings: incidents, and streams that it relays.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prunella_core::pathfinder::PathState;
use prunella_core::{Label, LinkId, PeerId, Tag, TraceContext};
use ractor::rpc::CallResult;

use super::Shell;
use super::journal::{Entry, Phase};
use crate::messages::{Mail, PathfinderQuery};
use crate::spans::{Kind, Told};

impl Shell {
    /// Tells the relays on the way to `destination` that a stream is opened over them within this span. Nobody waits for it.
    pub fn tell_relays(self: &Arc<Self>, destination: PeerId, context: TraceContext) {
        let Some(actor) = self.directory.pathfinder() else { return };
        let shell = Arc::clone(self);
        tokio::spawn(async move {
            let query = |reply| Mail::Query(PathfinderQuery::Paths { destination, reply });
            let Ok(CallResult::Success(paths)) = actor.call(query, Some(PATHS_PATIENCE)).await else { return };
            let way = paths.into_iter().find(|view| view.state == PathState::InUse).and_then(|view| view.way);
            if let Some(way) = way {
                shell.port.send_traces(way.first, &way.labels, way.path, context);
            }
        });
    }

    /// A stream is opened over this node. Its frames are not looked at: the span says who is before and behind this node.
    pub(super) fn tell_relayed(&self, link: LinkId, source: Tag, context: TraceContext, next: Label) {
        let mut span = self.tracer.join(Some(context), "relay", Kind::Internal);
        span.text("network.protocol.name", || "prunella");
        span.text("prunella.source", || format!("{:016x}", source.0));
        if let Some(from) = self.owner(link) {
            span.text("prunella.relay.from", || from.to_string());
        }
        match self.port.neighbor_at(next) {
            Some(to) => span.text("prunella.relay.to", || to.to_string()),
            None => span.fail_as("no-link", &"no usable link leads on"),
        }
    }

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

/// How long the way to a destination may take to be told, before its relays are not.
const PATHS_PATIENCE: Duration = Duration::from_secs(1);
