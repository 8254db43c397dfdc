//! The loop that all roles share: a machine with a mailbox and one timer.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::sync::Arc;

use prunella_core::recording::Recorded;
use prunella_core::wiring::{Command, Route, Wire};
use prunella_core::{Instant, Machine};
use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use tokio::task::JoinHandle;

use super::clock::Clock;
use super::directory::{Directory, Mailbox};
use super::insight::snapshot::snapshot;
use super::insight::{QUERY, WAKE};
use super::recorder::{Recorder, Tape, hear};
use super::stats::Place;
use crate::messages::{Failure, Mail};

/// A machine that can live in an actor.
pub trait Role:
    Machine<Input: Send, Effect: Wire + Send> + Recorded<Start: Send> + Debug + Send + Sized + 'static
{
    /// The questions that it answers.
    type Query: Send + 'static;

    /// Answers a question.
    fn answer(&self, query: Self::Query);

    /// Enters the actor's mailbox into the directory.
    fn enter(&self, directory: &Directory, mailbox: Mailbox<Mail<Self::Input, Self::Query>>);
}

/// What every actor of a node stands on.
#[derive(Clone)]
pub struct Ground {
    /// The node's time.
    pub clock: Clock,
    /// Where each role lives now.
    pub directory: Arc<Directory>,
    /// What performs commands.
    pub shell: Arc<dyn Perform>,
    /// What records the roles, if anything does.
    pub recorder: Option<Arc<Recorder>>,
}

/// Performs what leaves the core.
pub trait Perform: Send + Sync {
    /// Performs one command. It must not block; what takes time answers later as an input.
    fn perform(&self, command: Command);
}

impl Ground {
    /// Sends each route where it goes.
    pub fn dispatch(&self, routes: impl IntoIterator<Item = Route>) {
        for route in routes {
            match route {
                Route::Shell(command) => self.shell.perform(command),
                route => self.directory.deliver(route),
            }
        }
    }
}

/// What an actor starts with.
pub struct Start<R: Role> {
    /// Its place in the tree.
    pub place: Place,
    /// What it stands on.
    pub ground: Ground,
    /// The machine.
    pub newborn: Newborn<R>,
}

/// A new machine, built from durable facts.
pub struct Newborn<R: Role> {
    /// The machine.
    pub machine: R,
    /// What it was made of.
    pub made_of: R::Start,
    /// What it hears first: what the shell's tables hold for it to adopt.
    pub first: Vec<R::Input>,
}

impl<R: Role> Newborn<R> {
    /// The machine that is made of this and nothing else.
    pub fn of(made_of: R::Start, first: Vec<R::Input>) -> Self {
        Self { machine: R::made_of(made_of.clone()), made_of, first }
    }
}

/// Starts a role as an actor under `supervisor`.
///
/// # Errors
/// The reason, if the actor could not be started.
pub async fn spawn<R: Role>(start: Start<R>, supervisor: ActorCell) -> Result<ActorCell, String> {
    spawn_as::<R, true>(start, supervisor).await
}

/// As [`spawn`], with nothing to be seen of what the actor is sent: what insight costs is measured against this.
///
/// # Errors
/// As [`spawn`].
pub async fn spawn_unseen<R: Role>(start: Start<R>, supervisor: ActorCell) -> Result<ActorCell, String> {
    spawn_as::<R, false>(start, supervisor).await
}

async fn spawn_as<R: Role, const SEEN: bool>(start: Start<R>, supervisor: ActorCell) -> Result<ActorCell, String> {
    let spawned = Actor::spawn_linked(None, Driver::<R, SEEN>(PhantomData), start, supervisor).await;
    spawned.map(|(actor, _)| actor.get_cell()).map_err(|error| error.to_string())
}

struct Driver<R, const SEEN: bool>(PhantomData<fn() -> R>);

struct Running<R: Role> {
    machine: R,
    ground: Ground,
    mailbox: Mailbox<Mail<R::Input, R::Query>>,
    name: String,
    timer: Option<(Instant, JoinHandle<()>)>,
    tape: Option<Tape>,
    effects: Vec<R::Effect>,
    routes: Vec<Route>,
}

impl<R: Role, const SEEN: bool> Actor for Driver<R, SEEN> {
    type Msg = Mail<R::Input, R::Query>;
    type State = Running<R>;
    type Arguments = Start<R>;

    async fn pre_start(&self, myself: ActorRef<Self::Msg>, start: Start<R>) -> Result<Running<R>, ActorProcessingErr> {
        let Start { place, ground, newborn: Newborn { mut machine, made_of, first } } = start;
        let stats = ground.directory.register.at(&place);
        let mailbox = Mailbox::open(myself.clone(), stats, ground.clock.now());
        for input in first {
            mailbox.cast(Mail::Input(input));
        }
        let recorder = ground.recorder.as_ref();
        let tape = recorder.map(|r| r.begin(&place.name, &made_of, &mut machine, ground.clock.now()));
        machine.enter(&ground.directory, mailbox.clone());
        let (effects, routes) = (Vec::new(), Vec::new());
        let mut running = Running { machine, ground, mailbox, name: place.name, timer: None, tape, effects, routes };
        running.set_timer(&myself);
        Ok(running)
    }

    async fn handle(
        &self,
        myself: ActorRef<Self::Msg>,
        message: Self::Msg,
        running: &mut Running<R>,
    ) -> Result<(), ActorProcessingErr> {
        running.mailbox.pass().await;
        // Only what came through the directory took a credit; wake-ups and questions did not.
        if matches!(message, Mail::Input(_) | Mail::Fail(_)) {
            running.mailbox.handled();
        }
        let now = running.ground.clock.now();
        let at = now.since(Instant::BOOT);
        let insight = running.mailbox.insight();
        let begun = SEEN.then(|| match &message {
            Mail::Input(input) => insight.begin(input, at),
            Mail::Wake => insight.begin_unseen(WAKE, at),
            Mail::Query(_) | Mail::Look(_) | Mail::Fail(_) => insight.begin_unseen(QUERY, at),
        });
        match message {
            Mail::Input(input) => running.hear(Some(input), now),
            Mail::Wake => {
                running.timer = None;
                running.hear(None, now);
            }
            Mail::Query(query) => running.machine.answer(query),
            Mail::Look(reply) => {
                // Whoever asked may have stopped waiting.
                let _ = reply.send(snapshot(&running.machine));
            }
            Mail::Fail(Failure::Panic) => panic!("chaos asked {} to panic", running.name),
            Mail::Fail(Failure::Error) => return Err(format!("chaos asked {} to fail", running.name).into()),
        }
        for effect in running.effects.drain(..) {
            effect.wire(&mut running.routes);
        }
        if SEEN {
            running.mailbox.insight().sent.note(&running.routes);
        }
        running.ground.dispatch(running.routes.drain(..));
        // A store that was read brought thousands of them at once.
        running.effects.shrink_to(EFFECTS_KEPT_MAX);
        running.routes.shrink_to(EFFECTS_KEPT_MAX);
        running.set_timer(&myself);
        if let Some(begun) = begun {
            // Where the message began is known already: this is the only time that is read for the sake of being seen.
            running.mailbox.insight().end(begun, running.ground.clock.uptime());
        }
        Ok(())
    }
}

impl<R: Role> Running<R> {
    /// Has the machine hear an input, or wakes it if there is none.
    fn hear(&mut self, heard: Option<R::Input>, now: Instant) {
        match &mut self.tape {
            None => hear(&mut self.machine, heard, now, &mut self.effects),
            Some(tape) => tape.record(&mut self.machine, heard, now, &mut self.effects),
        }
    }

    /// Makes sure that the actor is woken at its machine's deadline. An earlier timer stays: an early wake is harmless.
    fn set_timer(&mut self, myself: &ActorRef<Mail<R::Input, R::Query>>) {
        let Some(deadline) = self.machine.deadline() else { return };
        if self.timer.as_ref().is_some_and(|(at, _)| *at <= deadline) {
            return;
        }
        if let Some((_, timer)) = self.timer.take() {
            timer.abort();
        }
        let wait = deadline.since(self.ground.clock.now());
        let actor = myself.clone();
        let timer = tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            // A failed send means that the actor is gone, and its timer with it.
            let _ = actor.send_message(Mail::Wake);
        });
        self.timer = Some((deadline, timer));
    }
}

impl<R: Role> Drop for Running<R> {
    fn drop(&mut self) {
        if let Some((_, timer)) = self.timer.take() {
            timer.abort();
        }
    }
}

/// For how many effects of one message an actor keeps room.
const EFFECTS_KEPT_MAX: usize = 64;
