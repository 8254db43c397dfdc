//! Distributed traces: spans that tell what a request, an incident or a round of gossip came to, exported to a collector
//! by OTLP. The one module that knows OpenTelemetry.
//!
//! ```text
//!   api, transport, shell ── begin, tell ──> Span ── when it ends ──> bounded queue ──> Exporter ── OTLP, gRPC ──> collector
//! ```
//!
//! Nothing here waits for the collector: what finds the queue full is dropped and counted. Whether a trace is told is
//! decided where it begins, and carried along in its context ([`TraceContext`]). No code that runs for each frame comes
//! here.

mod export;
mod scope;
mod span;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_sdk::trace::SpanData;
use prunella_core::limits::{SPANS_QUEUED_MAX, TRACES_JOINED_PER_SECOND};
use prunella_core::{Instant, TokenBucket, TraceContext};
use tokio::sync::mpsc;

use crate::host::Host;

pub use export::{Exporter, NotExportable};
pub use scope::{current, under};
pub use span::{Kind, Span, Told};

/// Begins spans. Cheap to clone; one that is off costs next to nothing.
#[derive(Clone, Default)]
pub struct Tracer {
    shared: Option<Arc<Shared>>,
}

/// What a tracer is made of.
pub struct TracerSetup {
    /// The collector, `http://HOST:PORT`.
    pub endpoint: String,
    /// Which share of what begins here is told, in millionths.
    pub millionths: u32,
    /// This node, as spans name it.
    pub peer: String,
    /// Its name for people.
    pub name: String,
    /// What gives ids and the time of day.
    pub host: Arc<dyn Host>,
}

/// What became of spans since the node started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// Spans that the collector has taken.
    pub exported: u64,
    /// Spans that found the queue full.
    pub dropped: u64,
    /// Spans that were sent in vain.
    pub failed: u64,
    /// Spans that wait.
    pub queued: u64,
    /// Traces of others that were not joined, because there were too many.
    pub not_joined: u64,
    /// Why the collector takes nothing now, if so.
    pub failure: Option<String>,
}

struct Shared {
    host: Arc<dyn Host>,
    endpoint: String,
    millionths: u32,
    queue: mpsc::Sender<SpanData>,
    joined: Mutex<TokenBucket>,
    started: tokio::time::Instant,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    exported: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    not_joined: AtomicU64,
    failure: Mutex<Option<String>>,
}

impl Tracer {
    /// A tracer whose spans go to a collector, and what exports them; call it within a tokio runtime. Nothing is sent yet,
    /// and the collector need not be there.
    ///
    /// # Errors
    /// [`NotExportable`].
    pub fn start(setup: TracerSetup) -> Result<(Self, Exporter), NotExportable> {
        let (queue, queued) = mpsc::channel(SPANS_QUEUED_MAX);
        let client = export::client(&setup)?;
        let shared = Arc::new(Shared {
            host: setup.host,
            endpoint: setup.endpoint,
            millionths: setup.millionths,
            queue,
            joined: Mutex::new(TokenBucket::full(TRACES_JOINED_PER_SECOND, Instant::BOOT)),
            started: tokio::time::Instant::now(),
            counts: Counts::default(),
        });
        let exporter = Exporter::start(client, queued, &shared);
        Ok((Self { shared: Some(shared) }, exporter))
    }

    /// One that tells nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Where spans go, if anywhere.
    pub fn endpoint(&self) -> Option<&str> {
        self.shared.as_ref().map(|shared| &*shared.endpoint)
    }

    /// What became of spans; `None` if nothing is exported.
    pub fn counts(&self) -> Option<SpanCounts> {
        let shared = self.shared.as_ref()?;
        let (counts, read) = (&shared.counts, |count: &AtomicU64| count.load(Ordering::Relaxed));
        Some(SpanCounts {
            exported: read(&counts.exported),
            dropped: read(&counts.dropped),
            failed: read(&counts.failed),
            queued: (shared.queue.max_capacity() - shared.queue.capacity()) as u64,
            not_joined: read(&counts.not_joined),
            failure: counts.failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        })
    }

    /// Begins a span of what is asked of this node: within the current one if there is one, or else, for a share of all, as
    /// the beginning of a trace.
    pub fn request(&self, name: impl Into<String>, kind: Kind) -> Span {
        match current() {
            Some(parent) => self.within(Some(parent), name, kind),
            None => self.root(name, kind),
        }
    }

    /// Begins a trace, for a share of all.
    pub fn root(&self, name: impl Into<String>, kind: Kind) -> Span {
        let Some(shared) = &self.shared else { return Span::none() };
        let trace = shared.trace_id();
        if is_chosen(&trace, shared.millionths) { shared.begin(trace, None, name.into(), kind) } else { Span::none() }
    }

    /// The root of a trace that is told when it is over, for a share of all.
    pub fn choose(&self) -> Option<TraceContext> {
        let shared = self.shared.as_ref()?;
        self.always().filter(|context| is_chosen(&context.trace, shared.millionths))
    }

    /// Begins a span within the current one; none if there is none.
    pub fn child(&self, name: impl Into<String>, kind: Kind) -> Span {
        self.within(current(), name, kind)
    }

    /// Begins a span within one of this node.
    pub fn within(&self, parent: Option<TraceContext>, name: impl Into<String>, kind: Kind) -> Span {
        match (&self.shared, parent) {
            (Some(shared), Some(parent)) if parent.sampled => {
                shared.begin(parent.trace, Some((parent, false)), name.into(), kind)
            }
            _ => Span::none(),
        }
    }

    /// Begins a span within one that somebody else names. None if theirs is not told, or if too many were joined.
    pub fn join(&self, theirs: Option<TraceContext>, name: impl Into<String>, kind: Kind) -> Span {
        match (&self.shared, theirs) {
            (Some(shared), Some(theirs)) if theirs.sampled && shared.may_join() => {
                shared.begin(theirs.trace, Some((theirs, true)), name.into(), kind)
            }
            _ => Span::none(),
        }
    }

    /// Begins a span of what is asked of this node by somebody who may name a trace; and within what the work is to be done,
    /// so that what is not told as a part of that trace is not told as another one either.
    pub fn enter(
        &self,
        theirs: Option<TraceContext>,
        name: impl Into<String>,
        kind: Kind,
    ) -> (Span, Option<TraceContext>) {
        let Some(theirs) = theirs else {
            let span = self.root(name, kind);
            let within = span.context().or_else(|| self.untold());
            return (span, within);
        };
        let span = self.join(Some(theirs), name, kind);
        let within = span.context().unwrap_or(TraceContext { sampled: false, ..theirs });
        (span, Some(within))
    }

    /// A context of which nobody is told.
    fn untold(&self) -> Option<TraceContext> {
        self.always().map(|context| TraceContext { sampled: false, ..context })
    }

    /// Begins a trace whatever the share: of what is seldom and always worth telling.
    pub fn always(&self) -> Option<TraceContext> {
        let shared = self.shared.as_ref()?;
        Some(TraceContext { trace: shared.trace_id(), span: shared.span_id(), sampled: true })
    }

    /// A span of what is over: it began and ended then.
    pub fn tell(&self, told: Told) {
        if let Some(shared) = &self.shared {
            shared.queue(told.into_data(shared.span_id()));
        }
    }
}

impl Shared {
    fn begin(
        self: &Arc<Self>,
        trace: [u8; 16],
        parent: Option<(TraceContext, bool)>,
        name: String,
        kind: Kind,
    ) -> Span {
        let context = TraceContext { trace, span: self.span_id(), sampled: true };
        Span::begin(Arc::clone(self), context, parent, name, kind)
    }

    fn queue(&self, span: SpanData) {
        if self.queue.try_send(span).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn may_join(&self) -> bool {
        let now = Instant::BOOT + self.started.elapsed();
        let may = self.joined.lock().unwrap_or_else(PoisonError::into_inner).take(now);
        if !may {
            self.counts.not_joined.fetch_add(1, Ordering::Relaxed);
        }
        may
    }

    fn wall(&self) -> SystemTime {
        UNIX_EPOCH + self.host.unix_time()
    }

    /// Zero means none, so it is never chosen.
    fn trace_id(&self) -> [u8; 16] {
        let mut id = [0; 16];
        self.host.fill_random(&mut id);
        id[15] |= u8::from(id == [0; 16]);
        id
    }

    fn span_id(&self) -> [u8; 8] {
        self.host.random_u64().max(1).to_be_bytes()
    }
}

/// Whether a trace is among the share: decided by the random part of its id, as OpenTelemetry's sampler does, so that
/// whoever has the same share decides the same.
fn is_chosen(trace: &[u8; 16], millionths: u32) -> bool {
    let low = u64::from_be_bytes(*trace.last_chunk().expect("BUG: a trace has sixteen bytes")) >> 1;
    let bound = (u128::from(millionths) << 63) / u128::from(MILLION);
    u128::from(low) < bound
}

/// How many millionths are all.
pub const MILLION: u32 = 1_000_000;
/// How long spans are gathered before they are sent.
const GATHERED_FOR: Duration = Duration::from_millis(500);
