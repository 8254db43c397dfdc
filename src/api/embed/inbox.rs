//! Connections that peers open: each is handed to the embedder's handler, in a task of its own.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use prunella_core::limits::SESSION_STREAMS_MAX;
use prunella_core::wire::StreamRefusal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::Connection;
use crate::spans::{self, Kind, Tracer};
use crate::transport::{Inbound, MessageChannel};

/// What an embedder does with a connection; boxed.
pub(super) type Handler = Arc<dyn Fn(Connection) -> Handling + Send + Sync>;

/// A handler at work.
pub(super) type Handling = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Makes an accepted channel a connection of the node's.
pub(super) type Adopt = Arc<dyn Fn(MessageChannel) -> Connection + Send + Sync>;

/// Hands every inbound stream to the handler that is set. When this future is dropped, the handlers are too.
pub(super) async fn serve(
    mut inbound: mpsc::Receiver<Inbound>,
    handler: watch::Receiver<Option<Handler>>,
    (adopt, tracer): (Adopt, Tracer),
) {
    let mut at_work = JoinSet::new();
    loop {
        tokio::select! {
            // What has ended makes room, so it goes first.
            biased;
            Some(ended) = at_work.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection's handler panicked; its connection is lost");
                }
            }
            next = inbound.recv() => match next {
                Some(inbound) if at_work.len() >= HANDLERS_MAX => {
                    at_work.spawn(inbound.refuse(StreamRefusal::Busy));
                }
                Some(inbound) => {
                    at_work.spawn(handle(inbound, handler.clone(), (Arc::clone(&adopt), tracer.clone())));
                }
                None => return,
            },
        }
    }
}

async fn handle(inbound: Inbound, mut handler: watch::Receiver<Option<Handler>>, (adopt, tracer): (Adopt, Tracer)) {
    // A node is up before its program has set the handler: that moment should fail nobody.
    let handler = match timeout(HANDLER_PATIENCE, handler.wait_for(Option::is_some)).await {
        Ok(Ok(handler)) => handler.clone(),
        Ok(Err(_)) | Err(_) => None,
    };
    let Some(handler) = handler else { return inbound.refuse(StreamRefusal::NoSuchService).await };
    let mut span = tracer.join(inbound.trace(), "serve", Kind::Server);
    span.text("network.peer.address", || inbound.from().to_string());
    span.text("prunella.stream.purpose", || "message");
    if let Some(channel) = MessageChannel::accept(inbound).await {
        spans::under(span.context(), handler(adopt(channel))).await;
    }
}

/// Handlers at work at once.
const HANDLERS_MAX: usize = SESSION_STREAMS_MAX as usize;
/// How long a peer's stream waits for the program to set a handler.
const HANDLER_PATIENCE: Duration = Duration::from_secs(2);
