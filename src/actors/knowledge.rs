//! The KnowledgeActor: the one writer in front of the store.

use std::sync::Arc;
use std::time::Duration;

use prunella_core::monitor;
use prunella_core::wiring::Route;
use prunella_storage::{Store, StoreError};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use tokio::task::JoinError;
use tokio::time::Instant;

use super::directory::{Directory, Mailbox};
use super::stats::Place;
use crate::host::{Host, unblocked};
use crate::messages::{Failure, KnowledgeMsg};

/// What the actor starts with.
pub struct Start {
    /// Its place in the tree.
    pub place: Place,
    /// Where it enters its mailbox.
    pub directory: Arc<Directory>,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Where what blocks is done.
    pub host: Arc<dyn Host>,
}

/// Starts the actor under `supervisor`.
///
/// # Errors
/// The reason, if the actor could not be started.
pub async fn spawn(start: Start, supervisor: ActorCell) -> Result<ActorCell, String> {
    let spawned = Actor::spawn_linked(None, Knowledge, start, supervisor).await;
    spawned.map(|(actor, _)| actor.get_cell()).map_err(|error| error.to_string())
}

struct Knowledge;

struct Running {
    mailbox: Mailbox<KnowledgeMsg>,
    directory: Arc<Directory>,
    store: Arc<dyn Store>,
    host: Arc<dyn Host>,
}

impl Actor for Knowledge {
    type Msg = KnowledgeMsg;
    type State = Running;
    type Arguments = Start;

    async fn pre_start(&self, myself: ActorRef<KnowledgeMsg>, start: Start) -> Result<Running, ActorProcessingErr> {
        let stats = start.directory.register.at(&start.place);
        let mailbox = Mailbox::open(myself, stats);
        let running = Running { mailbox, directory: start.directory, store: start.store, host: start.host };
        // Those that start after it read what it has written. If the store fails, it is tried again below.
        let _ = running.write().await?;
        running.directory.enter(|slots| slots.knowledge = Some(running.mailbox.clone()));
        // What was handed over while nobody was there to be told of it.
        running.mailbox.cast(KnowledgeMsg::Keep);
        Ok(running)
    }

    async fn handle(
        &self,
        _myself: ActorRef<KnowledgeMsg>,
        message: KnowledgeMsg,
        running: &mut Running,
    ) -> Result<(), ActorProcessingErr> {
        running.mailbox.pass().await;
        match message {
            KnowledgeMsg::Keep => {
                let kept = running.keep().await;
                // What is being written is still waiting, for whoever looks.
                running.mailbox.handled();
                kept
            }
            KnowledgeMsg::Fail(Failure::Panic) => panic!("chaos asked knowledge to panic"),
            KnowledgeMsg::Fail(Failure::Error) => Err("chaos asked knowledge to fail".into()),
        }
    }
}

impl Running {
    /// Writes out the backlog, again and again for a while if the store fails: a full disk is mostly made room on, and
    /// meanwhile the traffic goes on. A store that cannot be written for longer is a lost resource: the actor fails, and
    /// its supervisor decides.
    async fn keep(&self) -> Result<(), ActorProcessingErr> {
        let mut failing_since = None;
        loop {
            let began = Instant::now();
            // An earlier message may have had all of it written.
            if self.directory.backlog.is_empty() {
                return Ok(());
            }
            match self.write().await? {
                Ok(0) => return Ok(()),
                Ok(_) => {
                    let wrote = monitor::Input::StoreWrote { took: began.elapsed() };
                    self.directory.deliver(Route::Monitor(wrote));
                    return Ok(());
                }
                Err(error) => {
                    let since = *failing_since.get_or_insert(began);
                    if since == began {
                        tracing::warn!(%error, "the store cannot be written; trying again");
                        let failed = monitor::Input::StoreFailed { reason: error.to_string() };
                        self.directory.deliver(Route::Monitor(failed));
                    }
                    // One that has stopped needs a new process.
                    if matches!(error, StoreError::Stopped { .. }) || since.elapsed() >= STORE_PATIENCE {
                        return Err(error.into());
                    }
                    tokio::time::sleep(STORE_RETRY).await;
                }
            }
        }
    }

    async fn write(&self) -> Result<Result<usize, StoreError>, JoinError> {
        let (directory, store) = (Arc::clone(&self.directory), Arc::clone(&self.store));
        unblocked(&*self.host, move || directory.backlog.write(&*store)).await
    }
}

/// How long a failing store is tried again before the actor fails.
const STORE_PATIENCE: Duration = Duration::from_secs(3);
/// How long to wait before it is tried again.
const STORE_RETRY: Duration = Duration::from_millis(200);
