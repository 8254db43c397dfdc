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
use crate::actors::event_log::Event;
use crate::actors::stats::{Place, Stats};

/// What happens to the others when one child fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Only the failed child is restarted.
    OneForOne,
    /// The failed child and all that were started after it, because they stand on it.
    RestForOne,
}

impl Strategy {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::OneForOne => "one-for-one",
            Strategy::RestForOne => "rest-for-one",
        }
    }
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
    /// Whether it stands on no sibling, and none on it: then it goes on when another one fails, and they when it does.
    pub alone: bool,
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
    /// Stop the child of this name for good.
    Remove(String),
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
        stats.begin(ground.clock.now());
        // A supervisor that is started anew has the strategy that it had.
        let _ = stats.strategy.set(strategy.name());
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
        let child = match message {
            SupervisorMsg::Add(child) => child,
            SupervisorMsg::Remove(name) => {
                running.remove(&name).await;
                return Ok(());
            }
        };
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
        stats.failed(reason, self.ground.clock.now());
        self.follow(Event::ActorFailed { actor: name.clone(), reason: reason.to_owned() });
        let induced = stats.induced.swap(false, Ordering::Relaxed);
        tracing::warn!(actor = name, reason, induced, "an actor failed");
        self.children[at].cell = None;
        if !induced && !self.patience.bears(self.ground.clock.now()) {
            return Err(self.give_up(&format!("{name}: {reason}")));
        }
        let last = match self.strategy {
            Strategy::RestForOne if !self.children[at].child.alone => self.children.len() - 1,
            _ => at,
        };
        self.stop_after(at, last).await;
        for next in at..=last {
            if self.children[next].cell.is_none() {
                self.start_with_patience(next, myself).await?;
            }
        }
        stats.restarts.fetch_add(1, Ordering::Relaxed);
        self.follow(Event::ActorRestarted { actor: name.clone() });
        self.tell(monitor::Input::ActorFailed { actor: name.clone(), reason: reason.to_owned() });
        self.tell(monitor::Input::ActorRestarted { actor: name });
        Ok(())
    }

    /// Stops the children that stand on the failed one, the last first.
    async fn stop_after(&mut self, at: usize, last: usize) {
        for later in (at + 1..=last).rev().filter(|later| !self.children[*later].child.alone).collect::<Vec<_>>() {
            if let Some(cell) = self.children[later].cell.take() {
                stop(cell, "its sibling failed").await;
            }
        }
    }

    /// Stops a child for good, and forgets it.
    async fn remove(&mut self, name: &str) {
        let Some(at) = self.children.iter().position(|c| c.child.name == name) else { return };
        if let Some(cell) = self.children.remove(at).cell {
            stop(cell, "it is not needed any more").await;
        }
        self.ground.directory.forget_peer(name);
    }

    /// Whoever follows events hears of it.
    fn follow(&self, event: Event) {
        self.ground.directory.events.tell(self.ground.clock.now(), event);
    }

    fn tell(&self, input: monitor::Input) {
        self.ground.dispatch([Route::Monitor(input)]);
    }

    fn give_up(&self, reason: &str) -> ActorProcessingErr {
        let supervisor = &self.place.name;
        tracing::error!(supervisor, reason, "too many failures: giving up");
        let told = format!("{supervisor} gave up after too many failures; the last: {reason}");
        self.stats.failed(&told, self.ground.clock.now());
        told.into()
    }
}

/// Stops a child. One that does not stop in time is killed: whatever it is doing stood on what is gone.
async fn stop(cell: ActorCell, reason: &str) {
    if cell.stop_and_wait(Some(reason.to_owned()), Some(STOP_PATIENCE)).await.is_err() {
        cell.kill();
    }
}

fn one_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

/// How long a child gets to finish the message that it is handling.
const STOP_PATIENCE: Duration = Duration::from_millis(200);

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;
    use std::sync::{Mutex, PoisonError};

    use prunella_core::limits::RESTARTS_MAX;
    use prunella_core::wiring::Command;

    use super::*;
    use crate::actors::clock::Clock;
    use crate::actors::directory::Directory;
    use crate::actors::driver::Perform;

    /// What happened in a tree, in order: `+name` for a start, `-name` for an end in order.
    #[derive(Clone, Default)]
    struct Story(Arc<Mutex<Vec<String>>>);

    impl Story {
        fn tell(&self, what: String) {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(what);
        }

        fn so_far(&self) -> Vec<String> {
            self.0.lock().unwrap().clone()
        }

        /// Waits until the story is this one.
        async fn becomes(&self, expected: &[&str]) {
            for _ in 0..500 {
                if self.so_far() == expected {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(self.so_far(), expected);
        }
    }

    /// A child that fails when it is told to.
    struct Frail {
        name: &'static str,
        story: Story,
    }

    impl Actor for Frail {
        type Msg = ();
        type State = ();
        type Arguments = ();

        async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Result<(), ActorProcessingErr> {
            self.story.tell(format!("+{}", self.name));
            Ok(())
        }

        async fn handle(&self, _: ActorRef<()>, (): (), (): &mut ()) -> Result<(), ActorProcessingErr> {
            Err("it was told to".into())
        }

        async fn post_stop(&self, _: ActorRef<()>, (): &mut ()) -> Result<(), ActorProcessingErr> {
            self.story.tell(format!("-{}", self.name));
            Ok(())
        }
    }

    struct Nothing;

    impl Perform for Nothing {
        fn perform(&self, _: Command) {}
    }

    /// A supervisor of three children, and the way to each child's latest life.
    struct Family {
        ground: Ground,
        story: Story,
        lives: Arc<Mutex<std::collections::BTreeMap<&'static str, ActorRef<()>>>>,
        root: ActorRef<SupervisorMsg>,
    }

    impl Family {
        async fn start(strategy: Strategy) -> Self {
            Self::start_with(strategy, None).await
        }

        /// One of the three may stand alone.
        async fn start_with(strategy: Strategy, alone: Option<&str>) -> Self {
            let ground = Ground {
                clock: Clock::start(),
                directory: Arc::<Directory>::default(),
                shell: Arc::new(Nothing),
                recorder: None,
            };
            let (story, lives) = (Story::default(), Arc::default());
            let child = |name| Child { alone: alone == Some(name), ..frail(name, &story, &lives) };
            let children = ["a", "b", "c"].into_iter().map(child).collect();
            let place = Place { name: "root".to_owned(), parent: None };
            let plan = Plan { place, ground: ground.clone(), strategy, children };
            let root = spawn(plan, None).await.unwrap();
            Self { ground, story, lives, root }
        }

        fn stats(&self, name: &str) -> Arc<Stats> {
            let parent = Some("root".to_owned());
            self.ground.directory.register.at(&Place { name: name.to_owned(), parent })
        }

        fn fail(&self, name: &str) {
            self.lives.lock().unwrap()[name].cast(()).unwrap();
        }

        /// Makes a child fail and waits until it has been started once more.
        async fn survives(&self, name: &str) {
            let restarts = self.stats(name).restarts.load(Ordering::Relaxed);
            self.fail(name);
            for _ in 0..500 {
                if self.stats(name).restarts.load(Ordering::Relaxed) > restarts {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            panic!("{name} does not come back: {:?}", self.story.so_far());
        }

        /// Waits until the supervisor has given up; why.
        async fn given_up(&self) -> String {
            self.root.get_cell().wait(Some(Duration::from_secs(5))).await.expect("the supervisor goes on");
            let stats = self.ground.directory.register.named("root").unwrap();
            stats.last_failure().unwrap()
        }
    }

    fn frail(
        name: &'static str,
        story: &Story,
        lives: &Arc<Mutex<std::collections::BTreeMap<&'static str, ActorRef<()>>>>,
    ) -> Child {
        let (story, lives) = (story.clone(), Arc::clone(lives));
        let start: StartChild = Arc::new(move |supervisor| {
            let (story, lives) = (story.clone(), Arc::clone(&lives));
            Box::pin(async move {
                let spawned = Actor::spawn_linked(None, Frail { name, story }, (), supervisor).await;
                let (actor, _) = spawned.map_err(|error| error.to_string())?;
                lives.lock().unwrap().insert(name, actor.clone());
                Ok(actor.get_cell())
            })
        });
        Child { name: name.to_owned(), start, alone: false }
    }

    #[tokio::test]
    async fn one_for_one_restarts_the_failed_child_alone() {
        let family = Family::start(Strategy::OneForOne).await;
        family.survives("b").await;
        family.story.becomes(&["+a", "+b", "+c", "+b"]).await;
        assert_eq!(family.stats("b").last_failure().as_deref(), Some("it was told to"));
    }

    #[tokio::test]
    async fn rest_for_one_stops_what_stands_on_the_failed_child_and_starts_it_all_in_order() {
        let family = Family::start(Strategy::RestForOne).await;
        family.survives("b").await;
        family.story.becomes(&["+a", "+b", "+c", "-c", "+b", "+c"]).await;
        family.survives("a").await;
        family.story.becomes(&["+a", "+b", "+c", "-c", "+b", "+c", "-c", "-b", "+a", "+b", "+c"]).await;
        assert_eq!(family.stats("c").restarts.load(Ordering::Relaxed), 0, "it never failed");
    }

    #[tokio::test]
    async fn who_stands_alone_goes_on_when_another_fails_and_the_others_when_it_does() {
        let family = Family::start_with(Strategy::RestForOne, Some("b")).await;
        family.survives("a").await;
        family.story.becomes(&["+a", "+b", "+c", "-c", "+a", "+c"]).await;
        family.survives("b").await;
        family.story.becomes(&["+a", "+b", "+c", "-c", "+a", "+c", "+b"]).await;
    }

    #[tokio::test]
    async fn a_child_that_is_removed_ends_in_order_and_does_not_come_back() {
        let family = Family::start(Strategy::OneForOne).await;
        family.root.cast(SupervisorMsg::Remove("b".to_owned())).unwrap();
        family.story.becomes(&["+a", "+b", "+c", "-b"]).await;
        family.root.cast(SupervisorMsg::Remove("b".to_owned())).unwrap();
        family.survives("c").await;
        family.story.becomes(&["+a", "+b", "+c", "-b", "+c"]).await;
        assert!(family.ground.directory.register.named("b").is_none());
    }

    #[tokio::test]
    async fn one_failure_too_many_within_the_window_is_the_supervisors_own() {
        let family = Family::start(Strategy::OneForOne).await;
        for round in 0..RESTARTS_MAX {
            family.survives(["a", "b", "c"][round % 3]).await;
        }
        family.fail("b");
        assert_eq!(family.given_up().await, "root gave up after too many failures; the last: b: it was told to");
    }

    #[tokio::test]
    async fn failures_that_were_asked_for_do_not_count() {
        let family = Family::start(Strategy::OneForOne).await;
        for _ in 0..3 * RESTARTS_MAX {
            family.stats("a").induced.store(true, Ordering::Relaxed);
            family.survives("a").await;
        }
        for _ in 0..RESTARTS_MAX {
            family.survives("a").await;
        }
        family.fail("a");
        family.given_up().await;
    }

    #[tokio::test]
    async fn a_child_that_fails_at_every_start_is_given_up() {
        let family = Family::start(Strategy::OneForOne).await;
        let tries = Arc::<AtomicU32>::default();
        let counted = Arc::clone(&tries);
        let start: StartChild = Arc::new(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async { Err("nothing there".to_owned()) })
        });
        family.root.cast(SupervisorMsg::Add(Child { name: "d".to_owned(), start, alone: false })).unwrap();
        assert!(family.given_up().await.contains("d could not be started: nothing there"));
        assert_eq!(tries.load(Ordering::Relaxed) as usize, RESTARTS_MAX + 1);
    }

    #[tokio::test]
    async fn a_killed_childs_state_is_gone_before_its_successor_starts() {
        struct Holder;
        impl Actor for Holder {
            type Msg = ();
            type State = Arc<()>;
            type Arguments = Arc<()>;

            async fn pre_start(&self, _: ActorRef<()>, held: Arc<()>) -> Result<Arc<()>, ActorProcessingErr> {
                Ok(held)
            }
        }
        let family = Family::start(Strategy::OneForOne).await;
        let (resource, holders) = (Arc::new(()), Arc::<Mutex<Vec<(usize, ActorCell)>>>::default());
        let told = Arc::clone(&holders);
        let start: StartChild = Arc::new(move |supervisor| {
            let (resource, told) = (Arc::clone(&resource), Arc::clone(&told));
            Box::pin(async move {
                let held = Arc::strong_count(&resource);
                let (actor, _) = Actor::spawn_linked(None, Holder, resource, supervisor).await.unwrap();
                told.lock().unwrap().push((held, actor.get_cell()));
                Ok(actor.get_cell())
            })
        });
        family.root.cast(SupervisorMsg::Add(Child { name: "holder".to_owned(), start, alone: false })).unwrap();
        for lives in 1..=2 {
            for _ in 0..500 {
                if holders.lock().unwrap().len() == lives {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let (held, cell) = holders.lock().unwrap().get(lives - 1).cloned().expect("it does not come back");
            assert_eq!(held, 2, "life {lives} does not have the resource for itself");
            cell.kill();
        }
    }
}
