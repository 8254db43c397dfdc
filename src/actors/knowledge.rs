//! The KnowledgeActor: the one writer in front of the store.

use std::sync::Arc;

use prunella_core::monitor;
use prunella_core::wiring::Route;
use prunella_storage::{Batch, Store, StoreError};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
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
        start.directory.enter(|slots| slots.knowledge = Some(mailbox.clone()));
        Ok(Running { mailbox, directory: start.directory, store: start.store, host: start.host })
    }

    async fn handle(
        &self,
        _myself: ActorRef<KnowledgeMsg>,
        message: KnowledgeMsg,
        running: &mut Running,
    ) -> Result<(), ActorProcessingErr> {
        running.mailbox.pass().await;
        match message {
            KnowledgeMsg::Keep(batch) => {
                let store = Arc::clone(&running.store);
                let began = Instant::now();
                let kept = unblocked(&*running.host, move || keep(&*store, &batch)).await;
                // What is being written is still waiting, for whoever looks.
                running.mailbox.handled();
                // A store that cannot write is a lost resource: the actor fails, and its supervisor decides.
                kept??;
                let wrote = monitor::Input::StoreWrote { took: began.elapsed() };
                running.directory.deliver(Route::Monitor(wrote));
                Ok(())
            }
            KnowledgeMsg::Fail(Failure::Panic) => panic!("chaos asked knowledge to panic"),
            KnowledgeMsg::Fail(Failure::Error) => Err("chaos asked knowledge to fail".into()),
        }
    }
}

fn keep(store: &dyn Store, batch: &Batch) -> Result<(), StoreError> {
    store.apply(batch)?;
    store.flush()
}
