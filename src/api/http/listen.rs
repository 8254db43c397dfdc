//! Connections: how many, how long they may take to say what they want, and who is at the other end.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use prunella_core::limits::{HTTP_CONNECTIONS_MAX, HTTP_HEAD_BYTES_MAX, HTTP_HEAD_TIMEOUT};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::FAREWELL;
use super::door::Peer;
use super::tls::Tls;
use crate::api::server::{User, stopped};

/// Serves the node's own user.
pub(super) async fn unix(listener: Arc<UnixListener>, router: Router, stop: watch::Receiver<bool>) {
    let attend = move |stream: UnixStream, (), stop| {
        let (router, user) = (router.clone(), User::of(&stream));
        async move {
            // The socket lies in the node's directory; whoever else could reach it is turned away all the same.
            if let Some(user) = user {
                attend(stream, Peer::User(user), router, stop).await;
            }
        }
    };
    accept(listener, stop, attend).await;
}

/// Serves whoever connects, over TLS if there is any.
pub(super) async fn tcp(listener: Arc<TcpListener>, tls: Option<Tls>, router: Router, stop: watch::Receiver<bool>) {
    let attend = move |stream, from, stop| {
        let (router, acceptor) = (router.clone(), tls.as_ref().map(Tls::current));
        async move {
            match acceptor {
                None => attend(stream, Peer::Host { from, certificate: None }, router, stop).await,
                Some(Err(reason)) => tracing::warn!(reason, "an HTTP connection was closed"),
                Some(Ok(acceptor)) => match tokio::time::timeout(HTTP_HEAD_TIMEOUT, acceptor.accept(stream)).await {
                    Ok(Ok(stream)) => {
                        let certificate = super::tls::client(&stream);
                        attend(stream, Peer::Host { from, certificate }, router, stop).await;
                    }
                    Ok(Err(error)) => tracing::debug!(%from, %error, "a TLS handshake failed"),
                    Err(_) => tracing::debug!(%from, "a TLS handshake took too long"),
                },
            }
        }
    };
    accept(listener, stop, attend).await;
}

async fn accept<L: Listens, F>(
    listener: Arc<L>,
    mut stop: watch::Receiver<bool>,
    attend: impl Fn(L::Stream, L::From, watch::Receiver<bool>) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let stopping = stop.clone();
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.next() => match accepted {
                // One too many is closed: it has not said anything yet that could be answered.
                Ok(_) if connections.len() >= HTTP_CONNECTIONS_MAX => {}
                Ok((stream, from)) => _ = connections.spawn(attend(stream, from, stopping.clone())),
                Err(error) => {
                    // Out of file descriptors, most likely: accepting again at once would spin.
                    tracing::warn!(%error, "cannot accept an HTTP connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    let farewell = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        connections.shutdown().await;
    }
}

/// What connections come from.
trait Listens: Send + Sync {
    type Stream: Send;
    type From: Send;

    fn next(&self) -> impl Future<Output = io::Result<(Self::Stream, Self::From)>> + Send;
}

impl Listens for TcpListener {
    type Stream = TcpStream;
    type From = SocketAddr;

    async fn next(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.accept().await
    }
}

impl Listens for UnixListener {
    type Stream = UnixStream;
    type From = ();

    async fn next(&self) -> io::Result<(UnixStream, ())> {
        self.accept().await.map(|(stream, _)| (stream, ()))
    }
}

async fn attend<S>(stream: S, peer: Peer, router: Router, mut stop: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = TowerToHyperService::new(router.layer(Extension(peer)));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HTTP_HEAD_TIMEOUT)
        .max_buf_size(HTTP_HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "an HTTP connection was lost");
    }
}

/// How long to wait after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
