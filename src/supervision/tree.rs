//! The tree as it is drawn in the design: who stands on whom.
//!
//! ```text
//! root (rest-for-one)
//! ├─ knowledge
//! ├─ policy
//! ├─ gossip
//! ├─ peers (one-for-one): a PeerActor per neighbor
//! ├─ healing (rest-for-one): monitor > pathfinder > planner > executor > rebalancer
//! ├─ surfaces (alone: no sibling stands on it, and it on none)
//! └─ ledger
//! ```

use std::pin::Pin;
use std::sync::Arc;

use prunella_core::PeerId;
use ractor::{ActorCell, ActorRef};

use super::supervisor::{self, Child, Plan, Strategy, SupervisorMsg};
use crate::actors::directory::peer_name;
use crate::actors::driver::{self, Ground, Newborn, Role, Start};
use crate::actors::shell::Shell;
use crate::actors::stats::Place;
use crate::actors::{knowledge, surfaces};

/// What the tree is grown from.
#[derive(Clone)]
pub struct Seed {
    /// What actors find when they start.
    pub shell: Arc<Shell>,
    /// Opens the surfaces.
    pub surfaces: surfaces::Open,
}

/// The name of the root supervisor.
pub const ROOT: &str = "root";

/// Grows the whole tree.
///
/// # Errors
/// The reason, if any actor could not be started.
pub async fn grow(seed: Seed) -> Result<ActorRef<SupervisorMsg>, String> {
    let plan = Plan {
        place: Place { name: ROOT.to_owned(), parent: None },
        ground: seed.ground(),
        strategy: Strategy::RestForOne,
        children: vec![
            seed.knowledge(),
            seed.role("policy", |seed| Ok(seed.shell.policy())),
            seed.role("gossip", |seed| seed.shell.gossip().map_err(|error| error.to_string())),
            seed.peers(),
            seed.healing(),
            seed.surfaces(),
            seed.ledger(),
        ],
    };
    supervisor::spawn(plan, None).await
}

impl Seed {
    fn ground(&self) -> Ground {
        Ground {
            clock: self.shell.clock,
            directory: Arc::clone(&self.shell.directory),
            shell: Arc::clone(&self.shell) as Arc<dyn driver::Perform>,
            recorder: self.shell.recorder.clone(),
        }
    }

    fn knowledge(&self) -> Child {
        let shell = Arc::clone(&self.shell);
        child("knowledge", move |supervisor| {
            let start = knowledge::Start { place: place("knowledge", ROOT), shell: Arc::clone(&shell) };
            Box::pin(knowledge::spawn(start, supervisor))
        })
    }

    /// They ask whoever is there, and tell of those who are not: when others fail, they are what says so.
    fn surfaces(&self) -> Child {
        let seed = self.clone();
        let surfaces = child("surfaces", move |supervisor| {
            let start = surfaces::Start {
                place: place("surfaces", ROOT),
                clock: seed.shell.clock,
                directory: Arc::clone(&seed.shell.directory),
                open: Arc::clone(&seed.surfaces),
            };
            Box::pin(surfaces::spawn(start, supervisor))
        });
        Child { alone: true, ..surfaces }
    }

    /// The last: nobody stands on it, and it stands on gossip. What happens before it starts waits for it in the shell.
    fn ledger(&self) -> Child {
        let seed = self.clone();
        child("ledger", move |supervisor| {
            let seed = seed.clone();
            Box::pin(async move {
                let newborn = seed.shell.keeper().await?;
                let start = Start { place: place("ledger", ROOT), ground: seed.ground(), newborn };
                let started = driver::spawn(start, supervisor).await;
                seed.shell.open_ledger();
                started
            })
        })
    }

    fn role<R: Role>(&self, name: &'static str, bear: Bear<R>) -> Child {
        self.role_under(ROOT, name, bear)
    }

    fn role_under<R: Role>(&self, parent: &'static str, name: &'static str, bear: Bear<R>) -> Child {
        let seed = self.clone();
        child(name, move |supervisor| {
            let seed = seed.clone();
            Box::pin(async move {
                let newborn = bear(&seed)?;
                driver::spawn(Start { place: place(name, parent), ground: seed.ground(), newborn }, supervisor).await
            })
        })
    }

    fn peers(&self) -> Child {
        let seed = self.clone();
        child("peers", move |supervisor| {
            let seed = seed.clone();
            Box::pin(async move {
                let plan = Plan {
                    place: place("peers", ROOT),
                    ground: seed.ground(),
                    strategy: Strategy::OneForOne,
                    children: seed.shell.roster.all().into_iter().map(|peer| seed.peer(peer)).collect(),
                };
                let peers = supervisor::spawn(plan, Some(supervisor)).await?;
                let cell = peers.get_cell();
                let children = seed.clone();
                let ending = peers.clone();
                // A supervisor that is gone is being restarted, and starts everybody on the roster and nobody else.
                seed.shell.roster.start_with(
                    move |peer| drop(peers.send_message(SupervisorMsg::Add(children.peer(peer)))),
                    move |peer| drop(ending.send_message(SupervisorMsg::Remove(peer_name(&peer)))),
                );
                Ok(cell)
            })
        })
    }

    fn peer(&self, peer: PeerId) -> Child {
        let seed = self.clone();
        let name = peer_name(&peer);
        let place = place(&name, "peers");
        child(&name, move |supervisor| {
            let newborn = seed.shell.peer(peer);
            let start = Start { place: place.clone(), ground: seed.ground(), newborn };
            Box::pin(driver::spawn(start, supervisor))
        })
    }

    fn healing(&self) -> Child {
        let seed = self.clone();
        child("healing", move |supervisor| {
            let seed = seed.clone();
            Box::pin(async move {
                let plan = Plan {
                    place: place("healing", ROOT),
                    ground: seed.ground(),
                    strategy: Strategy::RestForOne,
                    children: vec![
                        seed.role_under("healing", "monitor", |seed| Ok(seed.shell.monitor())),
                        seed.role_under("healing", "pathfinder", |seed| Ok(seed.shell.pathfinder())),
                        seed.role_under("healing", "planner", |seed| Ok(seed.shell.planner())),
                        seed.role_under("healing", "executor", |seed| Ok(seed.shell.executor())),
                        seed.role_under("healing", "rebalancer", |seed| Ok(seed.shell.rebalancer())),
                    ],
                };
                supervisor::spawn(plan, Some(supervisor)).await.map(|healing| healing.get_cell())
            })
        })
    }
}

type Bear<R> = fn(&Seed) -> Result<Newborn<R>, String>;

fn place(name: &str, parent: &str) -> Place {
    Place { name: name.to_owned(), parent: Some(parent.to_owned()) }
}

fn child<F>(name: &str, start: F) -> Child
where
    F: Fn(ActorCell) -> Pin<Box<dyn Future<Output = Result<ActorCell, String>> + Send>> + Send + Sync + 'static,
{
    Child { name: name.to_owned(), start: Arc::new(start), alone: false }
}
