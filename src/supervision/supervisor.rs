//! A supervisor: starts its children in order and restarts them when they fail.
//!
//! It overrides ractor's default, which would stop the supervisor whenever any child ends.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prunella_core::monitor;
use prunella_core::wiring::Route;
use ractor::{Actor, ActorCell, ActorId, ActorProcessingErr, ActorRef, SupervisionEvent};

use super::patience::Patience;
use crate::actors::driver::Ground;
use crate::actors::stats::{Place, Stats};

/// What happens to the others when one child fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Only the failed child is restarted.
    OneForOne,
    /// The failed child and all that were started after it, because they stand on it.
    RestForOne,
}

/// Starts a child under the given supervisor.
pub type StartChild =
    Arc<dyn Fn(ActorCell) -> Pin<Box<dyn Future<Output = Result<ActorCell, String>> + Send>> + Send + Sync>;

/// A child and how it is started, again and again.
#[derive(Clone)]
pub struct Child {
    /// Its name.
    pub name: String,
    /// How it is started.
    pub start: StartChild,
}

/// What a supervisor starts with.
pub struct Plan {
    /// Its place in the tree.
    pub place: Place,
    /// What it stands on.
    pub ground: Ground,
    /// What happens to the others when one child fails.
    pub strategy: Strategy,
    /// Its children, in the order in which they are started.
    pub children: Vec<Child>,
}

/// What a supervisor hears besides the fate of its children.
pub enum SupervisorMsg {
    /// Start another child, unless one of that name is there.
    Add(Child),
}

/// Starts a supervisor, and its children with it, under `parent`; the root has none.
///
/// # Errors
/// The reason, if it or a child could not be started.
pub async fn spawn(plan: Plan, parent: Option<ActorCell>) -> Result<ActorRef<SupervisorMsg>, String> {
    let spawned = match parent {
        Some(parent) => Actor::spawn_linked(None, Supervisor, plan, parent).await,
        None => Actor::spawn(None, Supervisor, plan).await,
    };
    spawned.map(|(actor, _)| actor).map_err(|error| error.to_string())
}

struct Supervisor;

struct Running {
    place: Place,
    ground: Ground,
    stats: Arc<Stats>,
    strategy: Strategy,
    patience: Patience,
    children: Vec<Supervised>,
}

struct Supervised {
    child: Child,
    cell: Option<ActorCell>,
}

impl Actor for Supervisor {
    type Msg = SupervisorMsg;
    type State = Running;
    type Arguments = Plan;

    async fn pre_start(&self, myself: ActorRef<SupervisorMsg>, plan: Plan) -> Result<Running, ActorProcessingErr> {
        let Plan { place, ground, strategy, children } = plan;
        let stats = ground.directory.register.at(&place);
        stats.begin();
        let children = children.into_iter().map(|child| Supervised { child, cell: None }).collect();
        let mut running = Running { place, ground, stats, strategy, patience: Patience::default(), children };
        for at in 0..running.children.len() {
            running.start(at, &myself).await?;
        }
        Ok(running)
    }

    async fn handle(
        &self,
        myself: ActorRef<SupervisorMsg>,
        message: SupervisorMsg,
        running: &mut Running,
    ) -> Result<(), ActorProcessingErr> {
        running.stats.handled.fetch_add(1, Ordering::Relaxed);
        let SupervisorMsg::Add(child) = message;
        if running.children.iter().any(|c| c.child.name == child.name) {
            return Ok(());
        }
        running.children.push(Supervised { child, cell: None });
        let last = running.children.len() - 1;
        running.start_with_patience(last, &myself).await
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<SupervisorMsg>,
        event: SupervisionEvent,
        running: &mut Running,
    ) -> Result<(), ActorProcessingErr> {
        let (who, reason) = match event {
            SupervisionEvent::ActorFailed(who, error) => (who, one_line(&error.to_string())),
            SupervisionEvent::ActorTerminated(who, state, reason) => {
                // A killed child's state comes with the news. Its successor may need what the state still holds.
                drop(state);
                (who, reason.unwrap_or_else(|| "stopped".to_owned()))
            }
            _ => return Ok(()),
        };
        // Children that this supervisor stopped itself are no longer in the table when their end is told.
        match running.position(who.get_id()) {
            Some(at) => running.on_failed(at, &reason, &myself).await,
            None => Ok(()),
        }
    }
}

impl Running {
    fn position(&self, id: ActorId) -> Option<usize> {
        self.children.iter().position(|c| c.cell.as_ref().is_some_and(|cell| cell.get_id() == id))
    }

    async fn start(&mut self, at: usize, myself: &ActorRef<SupervisorMsg>) -> Result<(), ActorProcessingErr> {
        let supervised = &mut self.children[at];
        let start = Arc::clone(&supervised.child.start);
        match start(myself.get_cell()).await {
            Ok(cell) => {
                supervised.cell = Some(cell);
                Ok(())
            }
            Err(reason) => Err(format!("{} could not be started: {reason}", supervised.child.name).into()),
        }
    }

    /// Starts a child, counting failed starts as failures.
    async fn start_with_patience(
        &mut self,
        at: usize,
        myself: &ActorRef<SupervisorMsg>,
    ) -> Result<(), ActorProcessingErr> {
        while let Err(error) = self.start(at, myself).await {
            tracing::warn!(supervisor = self.place.name, %error, "a child could not be started");
            if !self.patience.bears(self.ground.clock.now()) {
                return Err(self.give_up(&error.to_string()));
            }
        }
        Ok(())
    }

    async fn on_failed(
        &mut self,
        at: usize,
        reason: &str,
        myself: &ActorRef<SupervisorMsg>,
    ) -> Result<(), ActorProcessingErr> {
        let name = self.children[at].child.name.clone();
        let place = Place { name: name.clone(), parent: Some(self.place.name.clone()) };
        let stats = self.ground.directory.register.at(&place);
        stats.failed(reason);
        let induced = stats.induced.swap(false, Ordering::Relaxed);
        tracing::warn!(actor = name, reason, induced, "an actor failed");
        self.children[at].cell = None;
        if !induced && !self.patience.bears(self.ground.clock.now()) {
            return Err(self.give_up(&format!("{name}: {reason}")));
        }
        let last = match self.strategy {
            Strategy::OneForOne => at,
            Strategy::RestForOne => self.children.len() - 1,
        };
        self.stop_after(at, last).await;
        for next in at..=last {
            self.start_with_patience(next, myself).await?;
        }
        stats.restarts.fetch_add(1, Ordering::Relaxed);
        self.tell(monitor::Input::ActorFailed { actor: name.clone(), reason: reason.to_owned() });
        self.tell(monitor::Input::ActorRestarted { actor: name });
        Ok(())
    }

    /// Stops the children that stand on the failed one, the last first.
    async fn stop_after(&mut self, at: usize, last: usize) {
        for later in (at + 1..=last).rev() {
            if let Some(cell) = self.children[later].cell.take() {
                // One that does not stop in time is killed: whatever it was doing stood on what has failed.
                if cell.stop_and_wait(Some("its sibling failed".to_owned()), Some(STOP_PATIENCE)).await.is_err() {
                    cell.kill();
                }
            }
        }
    }

    fn tell(&self, input: monitor::Input) {
        self.ground.dispatch([Route::Monitor(input)]);
    }

    fn give_up(&self, reason: &str) -> ActorProcessingErr {
        let supervisor = &self.place.name;
        tracing::error!(supervisor, reason, "too many failures: giving up");
        let told = format!("{supervisor} gave up after too many failures; the last: {reason}");
        self.stats.failed(&told);
        told.into()
    }
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// How long a child gets to finish the message that it is handling.
const STOP_PATIENCE: Duration = Duration::from_millis(200);
