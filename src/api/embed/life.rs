//! A node's life in the calling process: what it holds while it runs, and how all of it goes when it ends.

use std::future::Future;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use prunella_core::PeerId;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::connection::{Connection, Shared};
use super::inbox::{self, Adopt, Handler};
use crate::actors::shell::Shell;
use crate::api::answers::Answers;
use crate::api::error::{Error, ErrorKind};
use crate::api::node::Running;
use crate::api::vocabulary::Request;
use crate::host::{Host, unblocked};
use crate::transport::MessageChannel;

/// What the clones of a handle share.
pub(super) struct Life {
    pub(super) peer: PeerId,
    pub(super) dir: PathBuf,
    /// Taken when the node ends, so that nobody's handle keeps its socket and its store.
    node: Mutex<Option<Arc<Answers>>>,
    handler: watch::Sender<Option<Handler>>,
    opened: Arc<Opened>,
    /// Ended with the node, whatever they are doing.
    tasks: Mutex<JoinSet<()>>,
    stopping: watch::Sender<bool>,
    ended: watch::Sender<Option<Result<(), Error>>>,
}

impl Life {
    /// Takes over a node that was just started.
    pub(super) fn begin(dir: PathBuf, mut running: Running) -> Arc<Self> {
        let shell = running.answers.shell();
        let opened = Arc::new(Opened::new());
        let handler = watch::Sender::new(None);
        let mut tasks = JoinSet::new();
        let adopt = adopt(Arc::clone(&opened), Arc::downgrade(shell));
        let peer = shell.credentials.peer();
        if let Some(inbound) = running.inbound.take() {
            tasks.spawn(inbox::serve(inbound, handler.subscribe(), (adopt, shell.tracer.clone())));
        }
        let life = Arc::new(Self {
            peer,
            dir,
            node: Mutex::new(Some(Arc::clone(&running.answers))),
            handler,
            opened,
            tasks: Mutex::new(tasks),
            stopping: watch::Sender::new(false),
            ended: watch::Sender::new(None),
        });
        tokio::spawn(Arc::clone(&life).guard(running));
        life
    }

    /// The node.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`] once it stops.
    pub(super) fn node(&self) -> Result<Arc<Answers>, Error> {
        lock(&self.node).clone().ok_or_else(stopped)
    }

    /// Does something with the node, unless it stops meanwhile.
    ///
    /// # Errors
    /// [`ErrorKind::NotRunning`] then; otherwise those of `work`.
    pub(super) async fn during<T, F>(&self, work: impl FnOnce(Arc<Answers>) -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut stopping = self.stopping.subscribe();
        let work = work(self.node()?);
        tokio::select! {
            biased;
            // The sender lives in this.
            _ = stopping.wait_for(|stopping| *stopping) => Err(stopped()),
            outcome = work => outcome,
        }
    }

    /// Handles inbound connections so from now on.
    pub(super) fn handle_with(&self, handler: Handler) {
        if !*self.stopping.borrow() {
            self.handler.send_replace(Some(handler));
        }
    }

    /// A channel as a connection that ends with the node.
    pub(super) fn adopt(&self, channel: MessageChannel, name: String) -> Connection {
        self.opened.adopt(channel, name)
    }

    /// Runs a task until the node ends.
    ///
    /// # Errors
    /// [`ErrorKind::OverLimit`] if there are too many, [`ErrorKind::NotRunning`] if the node has ended.
    pub(super) fn run(&self, task: impl Future<Output = ()> + Send + 'static) -> Result<(), Error> {
        let mut tasks = lock(&self.tasks);
        if *self.stopping.borrow() {
            return Err(stopped());
        }
        if tasks.len() >= TASKS_MAX {
            let text = format!("a node has at most {} discovery services", TASKS_MAX - 1);
            return Err(Error::new(ErrorKind::OverLimit, text));
        }
        tasks.spawn(task);
        Ok(())
    }

    /// Has the node stop.
    pub(super) async fn stop(&self) {
        if let Ok(node) = self.node() {
            // It is always done, and a node that has ended meanwhile needs it no more.
            let _ = node.answer(Request::Shutdown).await;
        }
    }

    /// Waits until the node has ended and everything is free again.
    ///
    /// # Errors
    /// The reason, if the node ended because it could not go on.
    pub(super) async fn ended(&self) -> Result<(), Error> {
        let mut ended = self.ended.subscribe();
        let outcome = ended.wait_for(Option::is_some).await;
        outcome.ok().and_then(|outcome| outcome.clone()).expect("BUG: the sender lives in this, and it was waited for")
    }

    async fn guard(self: Arc<Self>, mut running: Running) {
        let outcome = running.ended().await;
        self.stopping.send_replace(true);
        lock(&self.node).take();
        let shell = running.answers.shell();
        let (host, store, port) = (Arc::clone(&shell.host), Arc::clone(&shell.store), Arc::clone(&shell.port));
        running.stop().await;
        // Only now, or a dropped connection would look to the peer as if it had been ended on purpose.
        self.opened.release();
        let mut tasks = std::mem::take(&mut *lock(&self.tasks));
        tasks.shutdown().await;
        // The handler may hold a handle on the node itself.
        self.handler.send_replace(None);
        let freed = timeout(FREE_PATIENCE, async {
            free(&*host, store).await;
            free(&*host, port).await;
        });
        if freed.await.is_err() {
            tracing::warn!("a part of the node outlives it; its store and its port may still be in use");
        }
        self.ended.send_replace(Some(outcome));
    }
}

/// Connections that somebody may still hold.
struct Opened {
    /// `None` once the node has ended: then there are no more.
    connections: Mutex<Option<Vec<Weak<Shared>>>>,
}

impl Opened {
    fn new() -> Self {
        Self { connections: Mutex::new(Some(Vec::new())) }
    }

    fn adopt(&self, channel: MessageChannel, name: String) -> Connection {
        let connection = Connection::new(channel, name);
        match &mut *lock(&self.connections) {
            Some(connections) => {
                if connections.len() == connections.capacity() {
                    connections.retain(|connection| connection.strong_count() > 0);
                }
                connections.push(Arc::downgrade(connection.shared()));
            }
            None => connection.shared().release(),
        }
        connection
    }

    fn release(&self) {
        let connections = lock(&self.connections).take();
        for connection in connections.into_iter().flatten().filter_map(|connection| connection.upgrade()) {
            connection.release();
        }
    }
}

fn adopt(opened: Arc<Opened>, shell: Weak<Shell>) -> Adopt {
    Arc::new(move |channel| {
        let peer = channel.peer();
        let name = shell.upgrade().map_or_else(|| peer.short(), |shell| shell.known.name(&peer));
        opened.adopt(channel, name)
    })
}

/// Waits until this is the last owner, and drops what it owns: when this returns, that is really gone. The other owners
/// end by themselves, and tell nobody.
async fn free<T: ?Sized + Send + Sync + 'static>(host: &dyn Host, owned: Arc<T>) {
    while Arc::strong_count(&owned) > 1 {
        sleep(FREE_PAUSE).await;
    }
    // To close the store is work for a thread that may block. It fails only if the drop panics, which is told already.
    let _ = unblocked(host, move || drop(owned)).await;
}

fn stopped() -> Error {
    Error::new(ErrorKind::NotRunning, "the node has been stopped")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Tasks at once: the inbox and discovery services.
const TASKS_MAX: usize = 1 + 8;
/// How long the parts of a stopped node get to end, and how often it is looked. A dial that nobody answers takes 3
/// seconds; a connection whose very first packet was a farewell is kept by quinn-proto 0.11.19 until it has been idle for
/// too long, which takes a session 30 seconds.
const FREE_PATIENCE: Duration = Duration::from_secs(32);
const FREE_PAUSE: Duration = Duration::from_millis(5);
