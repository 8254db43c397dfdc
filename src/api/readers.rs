//! The node's sockets, what reads them and the overlay interface beside the actors, and where that runs.

use std::io;
use std::sync::Arc;

use prunella_core::PeerId;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::error::{Error, ErrorKind};
use crate::config::MeshConfig;
use crate::datapath::{Event, Port, Threads};
use crate::host::Host;

/// How many sockets are read, or queues of the overlay interface, if the configuration says this: zero leaves it to the
/// machine.
pub(super) fn count(configured: usize) -> usize {
    if configured == 0 { Threads::fitting() } else { configured }
}

/// Binds the node's sockets.
///
/// # Errors
/// If the address is taken, or the system lacks what the datapath needs.
pub(super) fn open_port(
    host: &dyn Host,
    config: &MeshConfig,
    me: PeerId,
) -> Result<(Arc<Port>, mpsc::Receiver<Event>), Error> {
    let threads = threads(config, host);
    let sockets = host.bind_several(config.listen, count(config.sockets), &threads).map_err(|error| {
        let text = format!("{error}; is another node running? `listen` in config.toml says where this one listens");
        Error::new(ErrorKind::System, text)
    })?;
    Port::over(sockets, me, threads)
        .map_err(|error| Error::new(ErrorKind::System, format!("cannot use the socket: {error}")))
}

/// Where packets are carried. With an overlay interface they come from the kernel and go there, and have threads of their own.
/// Without one they are those of sessions, for the most part, and what a session does runs in the node's runtime: handing
/// each over from another thread costs it more than it gains.
fn threads(config: &MeshConfig, host: &dyn Host) -> Threads {
    if config.tun.device.is_empty() { Threads::current() } else { host.threads() }
}

/// Tells of each that ends before it is stopped.
pub(super) fn watch(mut readers: JoinSet<io::Error>, what: &'static str) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(ended) = readers.join_next().await {
            tracing::error!(?ended, "{what} is read no more");
        }
    })
}
