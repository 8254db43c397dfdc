//! The SurfacesActor: keeps the outward surfaces, such as the control socket, served.

use std::pin::Pin;
use std::sync::Arc;

use ractor::{Actor, ActorCell, ActorProcessingErr, ActorRef};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::clock::Clock;
use super::directory::Directory;
use super::stats::Place;

/// Opens the surfaces and returns what serves them until the watch turns true or is dropped.
pub type Open = Arc<dyn Fn(watch::Receiver<bool>) -> Opening + Send + Sync>;
/// Surfaces that are being opened.
pub type Opening = Pin<Box<dyn Future<Output = Result<Serving, String>> + Send>>;
/// Surfaces that are being served.
pub type Serving = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the actor starts with.
pub struct Start {
    /// Its place in the tree.
    pub place: Place,
    /// The node's time.
    pub clock: Clock,
    /// Where it enters itself.
    pub directory: Arc<Directory>,
    /// Opens the surfaces.
    pub open: Open,
}

/// Starts the actor under `supervisor`.
///
/// # Errors
/// The reason, if the surfaces could not be opened.
pub async fn spawn(start: Start, supervisor: ActorCell) -> Result<ActorCell, String> {
    let spawned = Actor::spawn_linked(None, Surfaces, start, supervisor).await;
    spawned.map(|(actor, _)| actor.get_cell()).map_err(|error| error.to_string())
}

/// The serving task ended although nobody stopped it.
struct Ended;

struct Surfaces;

struct Running {
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Actor for Surfaces {
    type Msg = Ended;
    type State = Running;
    type Arguments = Start;

    async fn pre_start(&self, myself: ActorRef<Ended>, start: Start) -> Result<Running, ActorProcessingErr> {
        let (stop, stopped) = watch::channel(false);
        let serve = (start.open)(stopped).await?;
        start.directory.register.at(&start.place).begin(start.clock.now());
        start.directory.enter(|slots| slots.surfaces = Some(myself.get_cell()));
        let serving = tokio::spawn(async move {
            serve.await;
            // If the actor is gone, it has stopped the serving itself.
            let _ = myself.send_message(Ended);
        });
        Ok(Running { stop, serving })
    }

    async fn handle(&self, _: ActorRef<Ended>, _: Ended, _: &mut Running) -> Result<(), ActorProcessingErr> {
        Err("the surfaces are no longer served".into())
    }

    async fn post_stop(&self, _: ActorRef<Ended>, running: &mut Running) -> Result<(), ActorProcessingErr> {
        running.stop.send_replace(true);
        // Requests under way are answered first; the server bounds how long that may take.
        let _ = (&mut running.serving).await;
        Ok(())
    }
}
