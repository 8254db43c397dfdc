//! Events over a WebSocket, from any place on.
//!
//! Each text message is one event as JSON, with the cursor to go on after it. A message with `missed` says that what
//! happened before it is not told any more: whoever keeps a picture of the mesh asks for all of it again.

use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use prunella_core::limits::{HTTP_STREAM_PATIENCE, HTTP_STREAMS_MAX};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::OwnedSemaphorePermit;

use super::Api;
use super::door::{Guest, Peer};
use super::problem::Problem;
use crate::api::ErrorKind;
use crate::api::server::stopped;
use crate::api::vocabulary::{Cursor, EventsInfo};
use crate::policy::Command;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Where to go on; absent: from now on.
    after: Option<String>,
}

/// `GET /v1/events/stream`.
pub(super) async fn follow(
    State(api): State<Arc<Api>>,
    Extension(peer): Extension<Peer>,
    Extension(guest): Extension<Result<Guest, Problem>>,
    Query(parameters): Query<Parameters>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    guest?.may(Command::Events)?;
    let after = parameters.after.map(|text| text.parse::<Cursor>()).transpose();
    let after = after.map_err(|reason| Problem::field("after", reason))?;
    let upgrade = upgrade.map_err(|rejection| {
        Problem::new(rejection.status(), ErrorKind::InvalidInput, format!("this path is a WebSocket: {rejection}"))
    })?;
    let permit = Arc::clone(&api.streams).try_acquire_owned().map_err(|_| {
        let text =
            format!("{HTTP_STREAMS_MAX} event streams are open already; close one, or ask /v1/events with wait_ms");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, ErrorKind::OverLimit, text)
    })?;
    let upgrade = upgrade.protocols([PROTOCOL]).max_message_size(INBOUND_BYTES_MAX);
    Ok(upgrade.on_upgrade(move |socket| tell(api, socket, (peer, headers), after, permit)))
}

async fn tell(
    api: Arc<Api>,
    mut socket: WebSocket,
    (peer, headers): (Peer, HeaderMap),
    after: Option<Cursor>,
    _place: OwnedSemaphorePermit,
) {
    let now = || Cursor { run: api.answers.run(), number: api.answers.shell().directory.events.newest() };
    let mut cursor = after.unwrap_or_else(now);
    let mut stop = api.stop.clone();
    let (code, why) = loop {
        let info = tokio::select! {
            biased;
            () = stopped(&mut stop) => break (close_code::AWAY, "the node stops"),
            said = socket.recv() => match said {
                // Nothing that is said to a stream means anything, but that it is still wanted.
                Some(Ok(Message::Close(_))) | Some(Err(_)) | None => return,
                Some(Ok(_)) => continue,
            },
            info = api.answers.events(Some(cursor), None, PING_EVERY.as_millis() as u64) => info,
        };
        // A token that was revoked meanwhile opens nothing any more.
        if api.door.guest(&peer, &headers).and_then(|guest| guest.may(Command::Events)).is_err() {
            break (close_code::POLICY, "the token does not count any more");
        }
        cursor = info.cursor;
        match tokio::time::timeout(HTTP_STREAM_PATIENCE, send(&mut socket, info)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => break (close_code::AGAIN, "the events are not read: go on later, after the last cursor"),
        }
    };
    let close = Message::Close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(why) }));
    let _ = tokio::time::timeout(Duration::from_secs(1), socket.send(close)).await;
}

async fn send(socket: &mut WebSocket, info: EventsInfo) -> Result<(), axum::Error> {
    if info.missed {
        let text = json!({"missed": true, "cursor": info.cursor}).to_string();
        socket.send(Message::Text(text.into())).await?;
    }
    if info.events.is_empty() {
        return socket.send(Message::Ping(Default::default())).await;
    }
    for event in info.events {
        let text = serde_json::to_string(&event).expect("BUG: every event has a JSON form");
        socket.send(Message::Text(text.into())).await?;
    }
    Ok(())
}

/// The name of this protocol over WebSockets.
const PROTOCOL: &str = "prunella.events.v1";
/// How long a stream is silent at most: a middlebox forgets connections that say nothing.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Longest message that a client may send; it has nothing to say.
const INBOUND_BYTES_MAX: usize = 4096;
