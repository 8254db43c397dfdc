//! A fault in force: how it is injected, what happens meanwhile, and how it is mended.

mod disturbance;

use std::time::Duration;

use tokio::time::sleep;

use super::draw::Draw;
use super::faults::{Fault, FaultKind};
use super::mesh::{Mesh, describe};
use crate::api::chaos::{LinkImpairment, Order};
use crate::api::vocabulary::{ActorInfo, PathInfo};
use crate::api::{Error, ErrorKind, Request};

/// A fault that is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Injected {
    /// What was done, for people.
    pub(super) what: String,
    during: During,
    mending: Vec<Mending>,
}

/// What happens while the fault is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
enum During {
    /// Nothing more.
    Wait,
    /// It ends and comes back, again and again.
    Flap { node: usize, order: Order },
    /// These nodes are restarted, one after another.
    Roll(Vec<usize>),
    /// These two must find each other.
    Meet(usize, usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Mending {
    Start(usize),
    Resume(usize),
    Clear(usize),
    AwaitActor { name: String, restarts: u64 },
    AwaitPairs,
    AwaitCertificate { node: usize, expires_after: u64 },
}

impl Fault {
    /// Breaks something about `path`, the path in use.
    ///
    /// # Errors
    /// What the node or the system says; [`ErrorKind::Internal`] if there is nothing of the kind to break.
    pub(super) async fn inject(self, mesh: &mut Mesh, path: &PathInfo, draw: &mut Draw) -> Result<Injected, Error> {
        let hops = hops(mesh, path)?;
        let (near, far) = (hops[0], hops[1]);
        let first = |impairment| Strike { near, far, ways: BOTH, impairment };
        match self.kind {
            FaultKind::KillNode => {
                let relay = pick_relay(&hops, path, draw)?;
                mesh.kill(relay);
                Ok(waiting(format!("n{relay} killed"), Mending::Start(relay)))
            }
            FaultKind::PauseNode => {
                let relay = pick_relay(&hops, path, draw)?;
                mesh.pause(relay)?;
                Ok(waiting(format!("n{relay} paused"), Mending::Resume(relay)))
            }
            FaultKind::CutLink => first(LinkImpairment::CUT).inject(mesh, "cut").await,
            FaultKind::SlowLink => first(SLOW).inject(mesh, "slow").await,
            FaultKind::LossyLink => first(LOSSY).inject(mesh, "lossy").await,
            FaultKind::OneWay => {
                let sent = draw.below(2) == 0;
                let link = draw.below(hops.len() - 1);
                let (near, far, ways) = (hops[link], hops[link + 1], (sent, !sent));
                Strike { near, far, ways, impairment: LinkImpairment::CUT }.inject(mesh, "cut one way").await
            }
            FaultKind::Flap => {
                let strike = first(LinkImpairment::CUT);
                let during = During::Flap { node: near, order: strike.order(mesh) };
                Ok(Injected { during, ..strike.inject(mesh, "flapping").await? })
            }
            FaultKind::PartialPartition => {
                first(LinkImpairment::CUT).inject(mesh, "cut").await?;
                Strike { near: far, far: near, ways: BOTH, impairment: LinkImpairment::CUT }.inject(mesh, "").await?;
                let what = format!("n{near} and n{far} cannot talk to each other, though all others can");
                let mending = vec![Mending::Clear(near), Mending::Clear(far), Mending::AwaitPairs];
                Ok(Injected { what, during: During::Meet(near, far), mending })
            }
            FaultKind::Split => split(mesh, &hops, draw).await,
            FaultKind::RollingRestart => {
                let ends = [hops[0], hops[hops.len() - 1]];
                let rolled: Vec<usize> = (0..mesh.nodes().len()).filter(|node| !ends.contains(node)).collect();
                let what = format!("{} nodes restarted in turn", rolled.len());
                Ok(Injected { what, during: During::Roll(rolled), mending: vec![Mending::AwaitPairs] })
            }
            FaultKind::CpuHog => {
                let relay = pick_relay(&hops, path, draw)?;
                let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
                let threads = u16::try_from(2 * processors).unwrap_or(u16::MAX).min(crate::api::chaos::HOG_THREADS_MAX);
                order(mesh, relay, Order::CpuHog { threads, for_ms: FOR_MS }).await?;
                Ok(waiting(format!("{threads} threads busy at n{relay}"), Mending::Clear(relay)))
            }
            FaultKind::GrayRelay => gray(mesh, pick_relay(&hops, path, draw)?).await,
            FaultKind::KillActor => {
                kill_actor(mesh, self.actor.expect("BUG: kill-actor always names an actor"), path).await
            }
            FaultKind::StallActor | FaultKind::SlowActor => disturbance::hold_up_an_actor(self.kind, mesh, draw).await,
            FaultKind::ClockJump | FaultKind::DiskFull | FaultKind::SlowDisk => {
                disturbance::disturb_a_host(self.kind, mesh, draw).await
            }
            FaultKind::Certificate => disturbance::renew_a_certificate(mesh, draw).await,
            FaultKind::Duplicate | FaultKind::Reorder | FaultKind::Throttle => {
                disturbance::disturb_a_link(self.kind, mesh, &hops, draw).await
            }
        }
    }
}

impl Injected {
    /// Lets the fault be in force for so long.
    ///
    /// # Errors
    /// What must hold meanwhile and does not; what the node or the system says.
    pub(super) async fn hold(&self, mesh: &mut Mesh, duration: Duration) -> Result<(), Error> {
        match &self.during {
            During::Wait => sleep(duration).await,
            During::Flap { node, order: cut } => {
                for _ in 0..FLAPS {
                    order(mesh, *node, cut.clone()).await?;
                    sleep(duration / (2 * FLAPS)).await;
                    order(mesh, *node, Order::Clear).await?;
                    sleep(duration / (2 * FLAPS)).await;
                }
            }
            During::Roll(nodes) => {
                for &node in nodes {
                    mesh.stop(node).await?;
                    mesh.start(node)?;
                    mesh.await_node(node).await?;
                    mesh.await_links().await?;
                    mesh.await_paths(2).await?;
                }
            }
            During::Meet(one, other) => {
                let (held, peer) = (sleep(duration), mesh.nodes()[*other].peer.clone());
                let control = mesh.nodes()[*one].control.clone();
                let met = async |_: &Mesh| control.ping(&peer).await.map_err(|error| error.to_string());
                mesh.settle("the two reach each other over others", MEET_PATIENCE, met).await?;
                held.await;
            }
        }
        Ok(())
    }

    /// Takes the fault back, and waits until the mesh is whole: nodes and links up, two paths ready again.
    ///
    /// # Errors
    /// [`ErrorKind::TimedOut`] if it does not become whole; what the node or the system says.
    pub(super) async fn mend(&self, mesh: &mut Mesh) -> Result<(), Error> {
        for mending in &self.mending {
            match mending {
                Mending::Start(node) => {
                    mesh.start(*node)?;
                    mesh.await_node(*node).await?;
                }
                Mending::Resume(node) => mesh.resume(*node)?,
                Mending::Clear(node) => order(mesh, *node, Order::Clear).await?,
                Mending::AwaitActor { name, restarts } => await_actor(mesh, name, *restarts).await?,
                Mending::AwaitPairs => mesh.await_pairs().await?,
                Mending::AwaitCertificate { node, expires_after } => {
                    disturbance::await_certificate(mesh, *node, *expires_after).await?;
                }
            }
        }
        mesh.await_links().await?;
        mesh.await_paths(2).await.map(|_| ())
    }
}

fn waiting(what: String, mending: Mending) -> Injected {
    Injected { what, during: During::Wait, mending: vec![mending] }
}

async fn order(mesh: &Mesh, node: usize, order: Order) -> Result<(), Error> {
    mesh.nodes()[node].control.ask_again(&Request::Chaos(order)).await.map(|_| ())
}

/// The numbers of the path's nodes, in order; at least two.
fn hops(mesh: &Mesh, path: &PathInfo) -> Result<Vec<usize>, Error> {
    let hops: Option<Vec<_>> = path.hops.iter().map(|peer| mesh.number_of(&peer.to_string())).collect();
    let sound = hops.filter(|hops| hops.len() >= 2);
    sound.ok_or_else(|| nothing_to_break(&format!("the path {} is not one of the lab's", describe(path))))
}

fn pick_relay(hops: &[usize], path: &PathInfo, draw: &mut Draw) -> Result<usize, Error> {
    let relay = draw.pick(&hops[1..hops.len() - 1]).copied();
    relay.ok_or_else(|| nothing_to_break(&format!("the path {} has no relay", describe(path))))
}

fn nothing_to_break(why: &str) -> Error {
    Error::new(ErrorKind::Internal, why)
}

/// What is done to a link at its nearer end, in the directions (sent, received) as seen from there.
#[derive(Clone, Copy)]
struct Strike {
    near: usize,
    far: usize,
    ways: (bool, bool),
    impairment: LinkImpairment,
}

impl Strike {
    fn order(self, mesh: &Mesh) -> Order {
        Order::impair(&mesh.nodes()[self.far].peer, self.ways, self.impairment, FOR_MS)
    }

    async fn inject(self, mesh: &Mesh, how: &str) -> Result<Injected, Error> {
        order(mesh, self.near, self.order(mesh)).await?;
        let Self { near, far, .. } = self;
        let link = match self.ways {
            (true, true) => format!("link n{near} = n{far}"),
            (true, false) => format!("n{near} > n{far}"),
            _ => format!("n{far} > n{near}"),
        };
        Ok(waiting(format!("{link} {how}"), Mending::Clear(near)))
    }
}

/// Cuts every link between a minority of the nodes, which has the relays of the path in use, and the others.
async fn split(mesh: &Mesh, hops: &[usize], draw: &mut Draw) -> Result<Injected, Error> {
    let minority = mesh.topology().minority(&hops[1..hops.len() - 1], draw);
    if minority.is_empty() {
        return Err(nothing_to_break("no part can be split off without cutting the traffic's ends off each other"));
    }
    for &node in &minority {
        for other in mesh.neighbors(node).into_iter().filter(|other| !minority.contains(other)) {
            order(mesh, node, Order::impair(&mesh.nodes()[other].peer, BOTH, LinkImpairment::CUT, FOR_MS)).await?;
        }
    }
    let names: Vec<String> = minority.iter().map(|node| format!("n{node}")).collect();
    let mut mending: Vec<Mending> = minority.iter().copied().map(Mending::Clear).collect();
    mending.push(Mending::AwaitPairs);
    Ok(Injected { what: format!("{} split off", names.join(" and ")), during: During::Wait, mending })
}

async fn gray(mesh: &Mesh, relay: usize) -> Result<Injected, Error> {
    for neighbor in mesh.neighbors(relay) {
        let gray = LinkImpairment { gray: true, ..LinkImpairment::default() };
        order(mesh, relay, Order::impair(&mesh.nodes()[neighbor].peer, (true, false), gray, FOR_MS)).await?;
    }
    Ok(waiting(format!("n{relay} passes probes and drops payload"), Mending::Clear(relay)))
}

async fn kill_actor(mesh: &Mesh, kind: &str, path: &PathInfo) -> Result<Injected, Error> {
    let source = mesh.source();
    let actors = source.control.actors().await?;
    let next_hop = path.hops.get(1).map(ToString::to_string).unwrap_or_default();
    let actor = find_actor(&actors, kind, &next_hop)
        .ok_or_else(|| nothing_to_break(&format!("{} has no running actor {kind}", source.name)))?;
    source.control.kill_actor(&actor.name).await?;
    let mending = Mending::AwaitActor { name: actor.name.clone(), restarts: actor.restarts + 1 };
    Ok(waiting(format!("{} killed at {}", actor.name, source.name), mending))
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

const BOTH: (bool, bool) = (true, true);
const SLOW: LinkImpairment = LinkImpairment { delay_ms: 100, jitter_ms: 20, drop_permille: 0, ..LinkImpairment::CUT };
const LOSSY: LinkImpairment = LinkImpairment { drop_permille: 300, ..LinkImpairment::CUT };
/// Longer than any fault of the lab is in force, in milliseconds.
const FOR_MS: u64 = 60_000;
const FLAPS: u32 = 4;
const MEET_PATIENCE: Duration = Duration::from_secs(5);
const ACTOR_PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(name: &str) -> ActorInfo {
        let state = "running".to_owned();
        let (parent, last_failure) = (None, None);
        ActorInfo {
            name: name.to_owned(),
            parent,
            depth: 1,
            state,
            strategy: None,
            age_ms: 0,
            mailbox: 0,
            handled: 0,
            busy_us: 0,
            took_p99_us: None,
            restarts: 0,
            last_failure,
        }
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
}
