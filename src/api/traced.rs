//! What is told of requests in distributed traces, whichever surface they came from.

use super::vocabulary::{Request, Response};
use crate::spans::Span;

/// Says what is asked for, with the words of OpenTelemetry's conventions for remote procedure calls.
pub(super) fn describe(span: &mut Span, request: &Request) {
    span.text("rpc.system", || "prunella");
    span.text("rpc.method", || request.command().name());
}

/// An answer that is an error makes the span one.
pub(super) fn note_error(span: &mut Span, response: &Response) {
    if let Response::Error { error } = response {
        span.text("error.type", || format!("{:?}", error.kind()));
        span.fail(error);
    }
}
