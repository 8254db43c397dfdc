//! Tasks that end with their owner.

use std::future::Future;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};

/// A task that is aborted when this is dropped.
#[derive(Debug)]
pub(in super::super) struct Task(AbortHandle);

impl Task {
    /// Runs `future` in the background.
    pub(in super::super) fn start(future: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(future).abort_handle())
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Accepts connections for ever and handles each in its own task; when this is dropped, they end too.
pub(super) async fn serve<Handle, Handling>(listener: TcpListener, handle: Handle)
where
    Handle: Fn(TcpStream) -> Handling,
    Handling: Future<Output = ()> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => _ = connections.spawn(handle(stream)),
                // Out of file descriptors, for example: some will be free again.
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

const ACCEPT_PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
