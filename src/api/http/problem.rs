//! What went wrong, as HTTP has it: a status, and a problem document (RFC 9457) with this project's kind of error.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::api::{Error, ErrorKind};

/// A request that was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Problem {
    status: StatusCode,
    /// The kind, a sentence, and the parameter that is wrong.
    body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
struct Body {
    title: &'static str,
    status: u16,
    detail: String,
    kind: ErrorKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
}

impl Problem {
    /// A problem of this status.
    pub(super) fn new(status: StatusCode, kind: ErrorKind, detail: impl Into<String>) -> Self {
        let title = status.canonical_reason().unwrap_or("Problem");
        Self { status, body: Body { title, status: status.as_u16(), detail: detail.into(), kind, field: None } }
    }

    /// A parameter, or a field of the body, cannot be right.
    pub(super) fn field(field: &str, detail: impl Into<String>) -> Self {
        let mut problem = Self::new(StatusCode::BAD_REQUEST, ErrorKind::InvalidInput, detail);
        problem.body.field = Some(field.to_owned());
        problem
    }

    /// Which field is wrong.
    #[cfg(test)]
    pub(super) fn of_field(&self) -> Option<&str> {
        self.body.field.as_deref()
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Problem::new(status(error.kind()), error.kind(), error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(&self.body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"prunella\""));
        }
        if self.status == StatusCode::TOO_MANY_REQUESTS {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The status that tells the same as the kind.
pub(super) fn status(kind: ErrorKind) -> StatusCode {
    match kind {
        ErrorKind::PeerNotFound | ErrorKind::ServiceNotFound | ErrorKind::IncidentNotFound | ErrorKind::KeyNotFound => {
            StatusCode::NOT_FOUND
        }
        ErrorKind::InvalidInput => StatusCode::BAD_REQUEST,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::NoQuorum => StatusCode::CONFLICT,
        ErrorKind::OverLimit => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Overloaded | ErrorKind::NotRunning => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::TimedOut => StatusCode::GATEWAY_TIMEOUT,
        ErrorKind::ConnectionFailed
        | ErrorKind::NoPath
        | ErrorKind::NatTraversalFailed
        | ErrorKind::AuthenticationFailed => StatusCode::BAD_GATEWAY,
        ErrorKind::Storage => StatusCode::INSUFFICIENT_STORAGE,
        ErrorKind::Configuration | ErrorKind::Identity | ErrorKind::System | ErrorKind::Internal => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}
