//! The faults: what each breaks, for how long, and how it is mended again.

use std::time::Duration;

use super::draw::Draw;
use super::mesh::{Mesh, describe};
use crate::api::vocabulary::{ActorInfo, PathInfo};
use crate::api::{Error, ErrorKind, Request};

/// A kind of fault, as the user names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(in crate::cli) enum FaultKind {
    /// Kill a relay on the path in use (SIGKILL)
    KillNode,
    /// Stop a relay on the path in use for two seconds (SIGSTOP, SIGCONT)
    PauseNode,
    /// Drop everything on the first link of the path in use
    CutLink,
    /// Drop one direction of one link of the path in use
    OneWay,
    /// Kill each kind of actor at the node where the requests start
    KillActor,
}

impl FaultKind {
    /// Every kind, in the order of the report.
    pub(super) const ALL: [FaultKind; 5] =
        [FaultKind::KillNode, FaultKind::PauseNode, FaultKind::CutLink, FaultKind::OneWay, FaultKind::KillActor];

    /// The name that the user knows.
    pub(super) const fn name(self) -> &'static str {
        match self {
            FaultKind::KillNode => "kill-node",
            FaultKind::PauseNode => "pause-node",
            FaultKind::CutLink => "cut-link",
            FaultKind::OneWay => "one-way",
            FaultKind::KillActor => "kill-actor",
        }
    }

    /// The faults of one run: one, or one for each kind of actor.
    pub(super) fn faults(self) -> Vec<Fault> {
        match self {
            FaultKind::KillNode => vec![Fault::KillNode],
            FaultKind::PauseNode => vec![Fault::PauseNode],
            FaultKind::CutLink => vec![Fault::CutLink],
            FaultKind::OneWay => vec![Fault::OneWay],
            FaultKind::KillActor => ACTORS.into_iter().map(Fault::KillActor).collect(),
        }
    }
}

/// The kinds of actors that are killed, in this order; there is a `peer` for each neighbor.
pub(super) const ACTORS: [&str; 8] =
    ["knowledge", "policy", "gossip", "peer", "monitor", "pathfinder", "planner", "executor"];

/// One fault to inject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// See [`FaultKind::KillNode`].
    KillNode,
    /// See [`FaultKind::PauseNode`].
    PauseNode,
    /// See [`FaultKind::CutLink`].
    CutLink,
    /// See [`FaultKind::OneWay`].
    OneWay,
    /// Kill the actor of this kind, one of [`ACTORS`].
    KillActor(&'static str),
}

/// A fault that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Injected {
    /// What was done, for people.
    pub(super) what: String,
    mending: Mending,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mending {
    Start(usize),
    Resume(usize),
    ClearFaults(usize),
    AwaitActor { name: String, restarts: u64 },
}

impl Fault {
    /// How long the fault is in force before it is mended.
    pub(super) fn duration(self) -> Duration {
        match self {
            Fault::KillNode | Fault::CutLink | Fault::OneWay => Duration::from_millis(1500),
            Fault::PauseNode => Duration::from_millis(2000),
            Fault::KillActor(_) => Duration::from_millis(500),
        }
    }

    /// Breaks something about `path`, the path in use.
    ///
    /// # Errors
    /// What the node or the system says; [`ErrorKind::Internal`] if there is nothing of the kind to break.
    pub(super) async fn inject(self, mesh: &mut Mesh, path: &PathInfo, draw: &mut Draw) -> Result<Injected, Error> {
        match self {
            Fault::KillNode => {
                let relay = pick_relay(mesh, path, draw)?;
                mesh.kill(relay);
                Ok(Injected { what: format!("n{relay} killed"), mending: Mending::Start(relay) })
            }
            Fault::PauseNode => {
                let relay = pick_relay(mesh, path, draw)?;
                mesh.pause(relay)?;
                Ok(Injected { what: format!("n{relay} paused"), mending: Mending::Resume(relay) })
            }
            Fault::CutLink => drop_at(mesh, &hops(mesh, path)?, Cut { first: 0, sent: true, received: true }).await,
            Fault::OneWay => {
                let hops = hops(mesh, path)?;
                let sent = draw.below(2) == 0;
                drop_at(mesh, &hops, Cut { first: draw.below(hops.len() - 1), sent, received: !sent }).await
            }
            Fault::KillActor(kind) => kill_actor(mesh, kind, path).await,
        }
    }
}

impl Injected {
    /// Takes the fault back, and waits until the mesh is whole: nodes and links up, two paths ready again.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if it does not become whole; what the node or the system says.
    pub(super) async fn mend(&self, mesh: &mut Mesh) -> Result<(), Error> {
        match &self.mending {
            Mending::Start(node) => {
                mesh.start(*node)?;
                mesh.await_node(*node).await?;
            }
            Mending::Resume(node) => mesh.resume(*node)?,
            Mending::ClearFaults(node) => {
                mesh.nodes()[*node].control.ask(&Request::ClearFaults).await?;
            }
            Mending::AwaitActor { name, restarts } => await_actor(mesh, name, *restarts).await?,
        }
        mesh.await_links().await?;
        mesh.await_paths(2).await.map(|_| ())
    }
}

/// The numbers of the path's nodes, in order; at least two.
fn hops(mesh: &Mesh, path: &PathInfo) -> Result<Vec<usize>, Error> {
    let hops: Option<Vec<_>> = path.hops.iter().map(|peer| mesh.number_of(&peer.to_string())).collect();
    let sound = hops.filter(|hops| hops.len() >= 2);
    sound.ok_or_else(|| nothing_to_break(&format!("the path {} is not one of the lab's", describe(path))))
}

fn pick_relay(mesh: &Mesh, path: &PathInfo, draw: &mut Draw) -> Result<usize, Error> {
    let hops = hops(mesh, path)?;
    let relay = draw.pick(&hops[1..hops.len() - 1]).copied();
    relay.ok_or_else(|| nothing_to_break(&format!("the path {} has no relay", describe(path))))
}

fn nothing_to_break(why: &str) -> Error {
    Error::new(ErrorKind::Internal, why)
}

/// What to drop at the nearer end of a path's link: the link's place on the path, and the directions seen from there.
#[derive(Clone, Copy)]
struct Cut {
    first: usize,
    sent: bool,
    received: bool,
}

async fn drop_at(mesh: &Mesh, hops: &[usize], cut: Cut) -> Result<Injected, Error> {
    let (near, far) = (hops[cut.first], hops[cut.first + 1]);
    let neighbor = mesh.nodes()[far].peer.clone();
    let request = Request::Fault { neighbor, drop_sent: cut.sent, drop_received: cut.received };
    mesh.nodes()[near].control.ask(&request).await?;
    let what = match (cut.sent, cut.received) {
        (true, true) => format!("link n{near} = n{far} cut"),
        (true, false) => format!("n{near} > n{far} cut one way"),
        _ => format!("n{far} > n{near} cut one way"),
    };
    Ok(Injected { what, mending: Mending::ClearFaults(near) })
}

async fn kill_actor(mesh: &Mesh, kind: &str, path: &PathInfo) -> Result<Injected, Error> {
    let source = mesh.source();
    let actors = source.control.actors().await?;
    let next_hop = path.hops.get(1).map(ToString::to_string).unwrap_or_default();
    let actor = find_actor(&actors, kind, &next_hop)
        .ok_or_else(|| nothing_to_break(&format!("{} has no running actor {kind}", source.name)))?;
    match source.control.kill_actor(&actor.name).await {
        // The surface that was to answer may have fallen with the actor; the count of restarts tells.
        Err(error) if error.kind() != ErrorKind::ConnectionFailed => return Err(error),
        _ => {}
    }
    let mending = Mending::AwaitActor { name: actor.name.clone(), restarts: actor.restarts + 1 };
    Ok(Injected { what: format!("{} killed at {}", actor.name, source.name), mending })
}

/// The actor of `kind`; of the peers, the one for the first relay of the path in use.
fn find_actor<'a>(actors: &'a [ActorInfo], kind: &str, next_hop: &str) -> Option<&'a ActorInfo> {
    if kind != "peer" {
        return actors.iter().find(|actor| actor.name == kind);
    }
    let neighbor = |actor: &&ActorInfo| {
        let short = actor.name.strip_prefix("peer/").map(|id| id.trim_end_matches('…'));
        short.is_some_and(|short| !short.is_empty() && next_hop.starts_with(short))
    };
    actors.iter().find(neighbor).or_else(|| actors.iter().find(|actor| actor.name.starts_with("peer/")))
}

async fn await_actor(mesh: &Mesh, name: &str, restarts: u64) -> Result<(), Error> {
    let check = async |mesh: &Mesh| {
        let actors = mesh.source().control.actors().await.map_err(|error| error.to_string())?;
        let actor = actors.iter().find(|actor| actor.name == name).ok_or("it is gone")?;
        let is_back = actor.state == "running" && actor.restarts >= restarts;
        if is_back { Ok(()) } else { Err(format!("it is {} after {} restarts", actor.state, actor.restarts)) }
    };
    mesh.settle(&format!("actor {name} running again"), ACTOR_PATIENCE, check).await
}

const ACTOR_PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    fn actor(name: &str) -> ActorInfo {
        let state = "running".to_owned();
        let (parent, last_failure) = (None, None);
        ActorInfo { name: name.to_owned(), parent, depth: 1, state, mailbox: 0, handled: 0, restarts: 0, last_failure }
    }

    #[test]
    fn the_users_names_are_the_reports_names() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::from_str(kind.name(), false), Ok(kind));
        }
        assert_eq!(FaultKind::value_variants(), FaultKind::ALL);
    }

    #[test]
    fn the_peer_actor_of_the_next_hop_is_preferred() {
        let actors = ["peers", "peer/aaaa…", "peer/bbbb…", "gossip"].map(actor);
        let name = |kind, next_hop| find_actor(&actors, kind, next_hop).map(|actor| actor.name.as_str());
        assert_eq!(name("peer", "bbbbcc"), Some("peer/bbbb…"));
        assert_eq!(name("peer", "zzzz"), Some("peer/aaaa…"));
        assert_eq!(name("gossip", "bbbbcc"), Some("gossip"));
        assert_eq!(name("planner", "bbbbcc"), None);
    }

    #[test]
    fn a_run_of_kill_actor_kills_every_kind_once() {
        let faults = FaultKind::KillActor.faults();
        assert_eq!(faults.len(), ACTORS.len());
        assert!(FaultKind::ALL.into_iter().take(4).all(|kind| kind.faults().len() == 1));
    }
}
