//! What goes wrong in a world, drawn from its seed: one thing at a time, so that there is always a way around.

use std::time::Duration;

use prunella::Request;
use prunella::api::vocabulary::Failure;
use prunella_core::rng::Rng;

use super::world::World;

/// Something that goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing passes between two neighbors, for a while.
    Cut(usize, usize, Duration),
    /// Nothing passes from the first to the second, for a while.
    CutOneWay(usize, usize, Duration),
    /// Much is lost between two neighbors, for a while.
    Lossy(usize, usize, Duration),
    /// A node runs, but hears nobody and is heard by nobody, for a while.
    Isolate(usize, Duration),
    /// A node is gone from one moment to the next, with what it had not yet written; it is started after a while.
    Crash(usize, Duration),
    /// A node is stopped in order, and started after a while.
    Restart(usize, Duration),
    /// A node's wall clock is set, by so many seconds.
    Clock(usize, i64),
    /// An actor fails.
    Actor(usize, String, Failure),
}

impl Fault {
    /// Draws one that spares these nodes from being stopped.
    pub(crate) fn draw(world: &World, spared: &[usize], rng: &mut Rng) -> Self {
        let (mut from, mut to) = *rng.pick(&world.links).expect("there are links");
        if rng.below(2) == 0 {
            (from, to) = (to, from);
        }
        // Now and then so long that connections are given up.
        let least = if rng.below(10) == 0 { 12_000 } else { 100 };
        let time = Duration::from_millis(least + rng.below(4000) as u64);
        let others: Vec<usize> = (0..world.nodes.len()).filter(|node| !spared.contains(node)).collect();
        let other = *rng.pick(&others).expect("there are relays");
        match rng.below(10) {
            0 => Self::Cut(from, to, time),
            1 => Self::CutOneWay(from, to, time),
            2 => Self::Lossy(from, to, time),
            3 => Self::Crash(other, time),
            4 => Self::Restart(other, time),
            5 => Self::Isolate(other, time),
            6 => Self::Clock(from, rng.below(121) as i64 - 60),
            _ => {
                let how = *rng.pick(&[Failure::Kill, Failure::Panic, Failure::Error]).expect("there are three ways");
                let at = rng.below(ACTORS.len() + 2);
                let neighbor = || format!("peer/{}", world.nodes[to].peer.short());
                Self::Actor(from, ACTORS.get(at).map_or_else(neighbor, ToString::to_string), how)
            }
        }
    }

    /// Has it happen, and end.
    pub(crate) async fn happen(self, world: &mut World) -> Result<(), String> {
        world.trace.tell(format!("fault: {self:?}"));
        match self {
            Self::Cut(a, b, time) => {
                set_cut(world, &[(a, b), (b, a)], true);
                world.pass(time).await;
                set_cut(world, &[(a, b), (b, a)], false);
            }
            Self::CutOneWay(a, b, time) => {
                set_cut(world, &[(a, b)], true);
                world.pass(time).await;
                set_cut(world, &[(a, b)], false);
            }
            Self::Lossy(a, b, time) => {
                let usual = lose(world, a, b, 300);
                lose(world, b, a, 300);
                world.pass(time).await;
                lose(world, a, b, usual);
                lose(world, b, a, usual);
            }
            Self::Isolate(node, time) => {
                let wires = wires_of(world, node);
                set_cut(world, &wires, true);
                world.pass(time).await;
                set_cut(world, &wires, false);
            }
            Self::Crash(node, time) => crash(world, node, time).await?,
            Self::Restart(node, time) => {
                world.nodes[node].stop().await?;
                world.pass(time).await;
                world.nodes[node].start().await?;
            }
            Self::Clock(node, seconds) => world.nodes[node].machine.set_clock(seconds),
            Self::Actor(node, actor, how) => {
                let kill = Request::KillActor { actor: actor.clone(), how };
                let node = &world.nodes[node];
                let killed = node.handle().request(kill).await;
                killed.map_err(|error| format!("{}: {actor} cannot be made to fail: {error}", node.name))?;
            }
        }
        world.trace.tell("the fault is over");
        Ok(())
    }
}

/// Nobody hears the node's farewell, and what it writes after this moment is lost with it.
async fn crash(world: &mut World, node: usize, time: Duration) -> Result<(), String> {
    let wires = wires_of(world, node);
    let image = world.nodes[node].machine.image();
    set_cut(world, &wires, true);
    world.nodes[node].stop().await?;
    world.nodes[node].machine.replace_disk(image);
    world.pass(time).await;
    set_cut(world, &wires, false);
    world.nodes[node].start().await
}

/// Every wire from a node and to it.
fn wires_of(world: &World, node: usize) -> Vec<(usize, usize)> {
    let others = (0..world.nodes.len()).filter(|other| *other != node);
    others.flat_map(|other| [(node, other), (other, node)]).collect()
}

fn set_cut(world: &World, wires: &[(usize, usize)], cut: bool) {
    for &(from, to) in wires {
        world.change_wire(from, to, |wire| wire.cut = cut);
    }
}

/// Sets how much is lost, and returns how much was.
fn lose(world: &World, from: usize, to: usize, permille: usize) -> usize {
    let mut before = 0;
    world.change_wire(from, to, |wire| before = std::mem::replace(&mut wire.loss_permille, permille));
    before
}

/// The actors of every node that can be made to fail; besides them there is one for each neighbor.
const ACTORS: &[&str] = &["knowledge", "policy", "gossip", "monitor", "pathfinder", "planner", "executor", "surfaces"];
