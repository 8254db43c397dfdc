//! The KnowledgeActor: the one writer in front of the store.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prunella_core::incident::Step;
use prunella_core::wiring::Route;
use prunella_core::{executor, monitor};
use prunella_storage::StoreError;
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use tokio::task::JoinError;
use tokio::time::Instant;

use super::directory::Mailbox;
use super::insight::kind::Kind;
use super::shell::Shell;
use super::stats::Place;
use crate::host::unblocked;
use crate::messages::{Failure, KnowledgeMsg};

/// What the actor starts with.
pub struct Start {
    /// Its place in the tree.
    pub place: Place,
    /// Where it enters its mailbox, and what holds the store.
    pub shell: Arc<Shell>,
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
    shell: Arc<Shell>,
}

impl Actor for Knowledge {
    type Msg = KnowledgeMsg;
    type State = Running;
    type Arguments = Start;

    async fn pre_start(&self, myself: ActorRef<KnowledgeMsg>, start: Start) -> Result<Running, ActorProcessingErr> {
        let stats = start.shell.directory.register.at(&start.place);
        let running = Running { mailbox: Mailbox::open(myself, stats, start.shell.clock.now()), shell: start.shell };
        // Those that start after it read what it has written. If the store fails, it is tried again below.
        let _ = running.write().await?;
        running.shell.directory.enter(|slots| slots.knowledge = Some(running.mailbox.clone()));
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
        let at = running.shell.clock.now().since(prunella_core::Instant::BOOT);
        let begun = running.mailbox.insight().begin_unseen(KEEP, at);
        match message {
            KnowledgeMsg::Keep => {
                let kept = running.keep().await;
                // What is being written is still waiting, for whoever looks.
                running.mailbox.handled();
                running.mailbox.insight().end(begun, running.shell.clock.uptime());
                kept
            }
            KnowledgeMsg::Fail(Failure::Panic) => panic!("chaos asked knowledge to panic"),
            KnowledgeMsg::Fail(Failure::Error) => Err("chaos asked knowledge to fail".into()),
        }
    }
}

/// Its only message.
const KEEP: Kind = Kind { index: 0, name: "Keep" };

impl Running {
    /// Writes out the backlog, again and again for a while if the store fails: a full disk is mostly made room on, a plan
    /// may have the store rebuilt, and meanwhile the traffic goes on. A store that cannot be written for longer is a lost resource: the actor fails, and
    /// its supervisor decides.
    async fn keep(&self) -> Result<(), ActorProcessingErr> {
        let mut failing_since = None;
        loop {
            self.rebuild_if_wanted().await;
            let began = Instant::now();
            // An earlier message may have had all of it written.
            if self.shell.directory.backlog.is_empty() {
                return Ok(());
            }
            match self.write().await? {
                Ok(0) => return Ok(()),
                Ok(_) => {
                    self.shell.tallies.store_writes.note(began.elapsed());
                    self.shell.tallies.store_health.wrote(began.elapsed(), self.shell.clock.now());
                    let wrote = monitor::Input::StoreWrote { took: began.elapsed() };
                    self.shell.directory.deliver(Route::Monitor(wrote));
                    return Ok(());
                }
                Err(error) => {
                    self.shell.tallies.store_failures.fetch_add(1, Ordering::Relaxed);
                    self.shell.tallies.store_health.failed(&error.to_string(), self.shell.clock.now());
                    let since = *failing_since.get_or_insert(began);
                    if since == began {
                        tracing::warn!(%error, "the store cannot be written; trying again");
                        let failed = monitor::Input::StoreFailed { reason: error.to_string() };
                        self.shell.directory.deliver(Route::Monitor(failed));
                    }
                    // One that has stopped needs to be rebuilt, for which a plan gets the same time.
                    if since.elapsed() >= STORE_PATIENCE {
                        return Err(error.into());
                    }
                    tokio::time::sleep(STORE_RETRY).await;
                }
            }
        }
    }

    async fn write(&self) -> Result<Result<usize, StoreError>, JoinError> {
        let (directory, store) = (Arc::clone(&self.shell.directory), Arc::clone(&self.shell.store));
        unblocked(&*self.shell.host, move || directory.backlog.write(&*store)).await
    }

    /// Has the store rebuilt, if a plan wants that. What waits is written into the new one next, which shows whether it
    /// has helped.
    async fn rebuild_if_wanted(&self) {
        let Some(incident) = self.shell.rebuild_wanted.take() else { return };
        if let Err(reason) = self.shell.rebuild_store().await {
            tracing::warn!(reason, "the store cannot be rebuilt");
            let refused = executor::Input::StepRefused { incident, step: Step::RebuildStore, reason };
            self.shell.directory.deliver(Route::Executor(refused));
        }
    }
}

/// How long a failing store is tried again before the actor fails: longer than a plan waits before the store is rebuilt.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// How long to wait before it is tried again.
const STORE_RETRY: Duration = Duration::from_millis(200);
