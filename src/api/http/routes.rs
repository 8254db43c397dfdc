//! The paths, and what all of them have in common.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Query, RawPathParams, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use axum::{Extension, Json, Router};
use prunella_core::TraceContext;
use prunella_core::limits::{HTTP_BODY_BYTES_MAX, HTTP_HEAD_TIMEOUT};
use serde_json::{Map, Value};

use super::door::{Guest, Peer};
use super::openapi::DOCUMENT;
use super::operation::{OPERATIONS, Operation};
use super::problem::Problem;
use super::table;
use super::{Api, health, pages, stream};
use crate::api::server::Handler;
use crate::api::{self, ErrorKind, harmless};
use crate::policy::Command;
use crate::spans;

/// All paths.
pub(super) fn router(api: &Arc<Api>) -> Router {
    let mut router = Router::new();
    for (index, route) in table::TABLE.iter().enumerate() {
        router = router.route(route.path, operated(index, route.method));
    }
    router
        .route("/v1/events/stream", get(stream::follow))
        .route("/openapi.json", get(document))
        .route("/health", get(health::live))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics))
        .merge(pages::router())
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(Arc::clone(api), attended))
        .with_state(Arc::clone(api))
}

fn operated(index: usize, method: table::Method) -> MethodRouter<Arc<Api>> {
    let filter = match method {
        table::Method::Get => MethodFilter::GET,
        table::Method::Post => MethodFilter::POST,
        table::Method::Put => MethodFilter::PUT,
        table::Method::Delete => MethodFilter::DELETE,
    };
    on(filter, async move |State(api): State<Arc<Api>>, guest, path, query, headers, body: Body| {
        operate(&api, &OPERATIONS[index], guest, (path, query), (headers, body)).await
    })
}

type Pairs = Query<Vec<(String, String)>>;

async fn operate(
    api: &Api,
    operation: &Operation,
    Extension(guest): Extension<Result<Guest, Problem>>,
    (path, query): (RawPathParams, Pairs),
    (headers, body): (HeaderMap, Body),
) -> Result<Response, Problem> {
    let guest = guest?;
    guest.may(operation.route.command)?;
    let path: Vec<(String, String)> = path.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect();
    let body = read(operation, &headers, body).await?;
    let request = operation.request(&path, &query, body)?;
    // The request is what is performed: whatever the table says, its own command decides.
    guest.may(request.command())?;
    let theirs = traceparent(&headers);
    let (mut span, within) = api.answers.shell().tracer.enter(theirs, "http", spans::Kind::Server);
    span.text("http.request.method", || operation.route.method.name().to_uppercase());
    span.text("http.route", || operation.route.path);
    match spans::under(within, api.answers.handle(request, guest.caller)).await {
        api::Response::Error { error } => Err(error.into()),
        response => Ok(Json(response).into_response()),
    }
}

/// The trace to which a request belongs, as its caller says. What is no context is as none (W3C Trace Context, 4.3).
fn traceparent(headers: &HeaderMap) -> Option<TraceContext> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    TraceContext::parse(text).inspect_err(|reason| tracing::debug!(%reason, "a traceparent was ignored")).ok()
}

/// The fields in a request's body; none where there is no body.
async fn read(operation: &Operation, headers: &HeaderMap, body: Body) -> Result<Option<Map<String, Value>>, Problem> {
    let body = tokio::time::timeout(HTTP_HEAD_TIMEOUT, to_bytes(body, HTTP_BODY_BYTES_MAX)).await;
    let body = body
        .map_err(|_| Problem::new(StatusCode::REQUEST_TIMEOUT, ErrorKind::TimedOut, "the body did not come in time"))?;
    let too_long = |_| {
        let text = format!("a body has at most {HTTP_BODY_BYTES_MAX} bytes");
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, ErrorKind::OverLimit, text)
    };
    let body = body.map_err(too_long)?;
    if body.is_empty() {
        return Ok(None);
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // A form of a foreign page can send other types without asking; this one it cannot.
    if !kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let text = "the body must be JSON, and say so: `Content-Type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ErrorKind::InvalidInput, text));
    }
    if !operation.route.method.has_body() {
        let text = "this method takes no body: parameters stand in the query";
        return Err(Problem::new(StatusCode::BAD_REQUEST, ErrorKind::InvalidInput, text));
    }
    serde_json::from_slice(&body).map(Some).map_err(|error| {
        let text = format!("the body is no JSON object: {}", harmless(&error.to_string()));
        Problem::new(StatusCode::BAD_REQUEST, ErrorKind::InvalidInput, text)
    })
}

/// Around every request: who asks is found out once, its rate is kept, and the answer says what a browser must know.
async fn attended(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    mut request: Request,
    next: Next,
) -> Response {
    let guest = api.door.guest(&peer, request.headers());
    let shared = api.door.shared_with(request.headers(), request.method());
    let mut response = match api.door.take(&peer, guest.as_ref().ok()) {
        Err(problem) => problem.into_response(),
        Ok(()) if *request.method() == Method::OPTIONS && !shared.is_empty() => StatusCode::NO_CONTENT.into_response(),
        Ok(()) => {
            request.extensions_mut().insert(guest);
            match tokio::time::timeout(PATIENCE, next.run(request)).await {
                Ok(response) => response,
                Err(_) => {
                    Problem::new(StatusCode::GATEWAY_TIMEOUT, ErrorKind::TimedOut, "the node did not answer in time")
                        .into_response()
                }
            }
        }
    };
    let headers = response.headers_mut();
    headers.extend(shared);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

async fn document() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}

/// For whoever asks, or for whoever may read.
async fn metrics(
    State(api): State<Arc<Api>>,
    Extension(guest): Extension<Result<Guest, Problem>>,
) -> Result<Response, Problem> {
    if !api.door.opens_metrics() {
        guest?.may(Command::Status)?;
    }
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    Ok((kind, api.answers.metrics().await).into_response())
}

async fn unknown(request: Request) -> Problem {
    let text = format!("there is nothing at {}; /openapi.json says what there is", request.uri().path());
    Problem::new(StatusCode::NOT_FOUND, ErrorKind::InvalidInput, text)
}

async fn wrong_method(request: Request) -> Problem {
    let text = format!("{} does not do {}; /openapi.json says what it does", request.uri().path(), request.method());
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, ErrorKind::InvalidInput, text)
}

/// How long an answer may take, with what a request may ask to wait for.
const PATIENCE: Duration = Duration::from_secs(75);
