//! A span: from its beginning to its end, or told when it is over.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use prunella_core::TraceContext;
use prunella_core::limits::{SPAN_ATTRIBUTES_MAX, SPAN_TEXT_BYTES_MAX};

use super::Shared;

/// Which part in a conversation a span tells of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// None.
    #[default]
    Internal,
    /// It serves what somebody asks for.
    Server,
    /// It asks somebody.
    Client,
}

/// A span under way; it ends when it is dropped. One that nobody is told of does nothing.
#[must_use = "a span ends when it is dropped"]
pub struct Span(Option<Box<Recording>>);

struct Recording {
    shared: Arc<Shared>,
    began: tokio::time::Instant,
    told: Told,
    context: TraceContext,
}

/// What is told of a span.
#[derive(Clone, Debug)]
pub struct Told {
    trace: [u8; 16],
    parent: Option<([u8; 8], bool)>,
    own: Option<[u8; 8]>,
    name: String,
    kind: Kind,
    start: SystemTime,
    end: SystemTime,
    attributes: Vec<KeyValue>,
    left_out: u32,
    error: Option<String>,
}

impl Span {
    /// A span that nobody is told of.
    pub fn none() -> Self {
        Self(None)
    }

    pub(super) fn begin(
        shared: Arc<Shared>,
        context: TraceContext,
        parent: Option<(TraceContext, bool)>,
        name: String,
        kind: Kind,
    ) -> Self {
        let start = shared.wall();
        let mut told = Told::root(context, name, start, start);
        told.parent = parent.map(|(parent, is_remote)| (parent.span, is_remote));
        told.kind = kind;
        Self(Some(Box::new(Recording { shared, began: tokio::time::Instant::now(), told, context })))
    }

    /// Who it is, for whoever works within it; `None` if nobody is told of it.
    pub fn context(&self) -> Option<TraceContext> {
        self.0.as_ref().map(|recording| recording.context)
    }

    /// Adds a text. It is only made if somebody is told of it.
    pub fn text<T: Into<String>>(&mut self, key: &'static str, text: impl FnOnce() -> T) {
        if let Some(recording) = &mut self.0 {
            recording.told.add(key, cut(text().into()));
        }
    }

    /// Adds a number.
    pub fn number(&mut self, key: &'static str, number: u64) {
        if let Some(recording) = &mut self.0 {
            recording.told.add(key, i64::try_from(number).unwrap_or(i64::MAX));
        }
    }

    /// It ends with this error.
    pub fn fail(&mut self, error: &dyn std::fmt::Display) {
        if let Some(recording) = &mut self.0 {
            recording.told.error = Some(cut(error.to_string()));
        }
    }

    /// The kind of its error, as semantic conventions have it, and the error.
    pub fn fail_as(&mut self, kind: &'static str, error: &dyn std::fmt::Display) {
        self.text("error.type", || kind);
        self.fail(error);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // The wall clock may jump meanwhile; how long it took is not to be read off it.
        self.told.end = self.told.start + self.began.elapsed();
        let told = self.told.clone();
        self.shared.queue(told.into_data(self.context.span));
    }
}

impl Told {
    /// The span that `context` names, which has no parent.
    pub fn root(context: TraceContext, name: impl Into<String>, start: SystemTime, end: SystemTime) -> Self {
        Self {
            trace: context.trace,
            parent: None,
            own: Some(context.span),
            name: name.into(),
            kind: Kind::Internal,
            start,
            end: end.max(start),
            attributes: Vec::new(),
            left_out: 0,
            error: None,
        }
    }

    /// A span within the one that `context` names: so long, from so long after `start`.
    pub fn child(context: TraceContext, name: impl Into<String>, start: SystemTime, lasted: Duration) -> Self {
        let root = Self::root(context, name, start, start + lasted);
        Self { parent: Some((context.span, false)), own: None, ..root }
    }

    /// With a text.
    #[must_use]
    pub fn with(mut self, key: &'static str, text: impl Into<String>) -> Self {
        self.add(key, cut(text.into()));
        self
    }

    /// With a number.
    #[must_use]
    pub fn with_number(mut self, key: &'static str, number: u64) -> Self {
        self.add(key, i64::try_from(number).unwrap_or(i64::MAX));
        self
    }

    /// As one that has failed.
    #[must_use]
    pub fn failed(mut self, error: impl Into<String>) -> Self {
        self.error = Some(cut(error.into()));
        self
    }

    fn add(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.attributes.len() < SPAN_ATTRIBUTES_MAX {
            self.attributes.push(KeyValue::new(key, value));
        } else {
            self.left_out += 1;
        }
    }

    pub(super) fn into_data(self, fresh: [u8; 8]) -> SpanData {
        let own = SpanId::from_bytes(self.own.unwrap_or(fresh));
        let trace = TraceId::from_bytes(self.trace);
        SpanData {
            span_context: SpanContext::new(trace, own, TraceFlags::SAMPLED, false, TraceState::NONE),
            parent_span_id: self.parent.map_or(SpanId::INVALID, |(parent, _)| SpanId::from_bytes(parent)),
            parent_span_is_remote: self.parent.is_some_and(|(_, is_remote)| is_remote),
            span_kind: match self.kind {
                Kind::Internal => SpanKind::Internal,
                Kind::Server => SpanKind::Server,
                Kind::Client => SpanKind::Client,
            },
            name: cut(self.name).into(),
            start_time: self.start,
            end_time: self.end,
            attributes: self.attributes,
            dropped_attributes_count: self.left_out,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: self.error.map_or(Status::Unset, Status::error),
            instrumentation_scope: InstrumentationScope::builder("prunella")
                .with_version(env!("CARGO_PKG_VERSION"))
                .build(),
        }
    }
}

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(SPAN_TEXT_BYTES_MAX));
    text
}
