//! Relays that pass probes and drop payload, among whole nodes: both ends leave them, and users hardly notice.

use std::time::Duration;

use prunella::api::chaos::{LinkImpairment, Order};
use prunella::{Request, Response};
use prunella_core::PeerId;
use prunella_core::rng::Rng;
use tokio::runtime::Builder;

use super::traffic::{Outcome, Traffic};
use super::world::World;
use super::{FORMATION_MAX, story};

#[test]
fn a_gray_relay_is_left_by_both_ends_before_users_mind() {
    for seed in 1..=SEEDS {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::found(&mut Rng::from_seed(seed)).await;
            let outcome = live(&mut world).await.unwrap();
            let story = story(&world.trace.take());
            println!("seed {seed}: {outcome:?}\n{story}");
            assert!(outcome.gap <= GAP_MAX, "seed {seed}: {outcome:?}\n{story}");
        });
    }
}

async fn live(world: &mut World) -> Result<Outcome, String> {
    world.heal(FORMATION_MAX).await?;
    let talkers = [1, 1 + world.nodes.len() / 2];
    let traffic = Traffic::start(world.nodes[talkers[0]].handle(), world.nodes[talkers[1]].peer).await?;
    world.pass(Duration::from_secs(2)).await;
    let relay = relay_in_use(world, talkers).await;
    world.trace.tell(format!("{} is gray from now on", world.nodes[relay].name));
    turn_gray(world, relay).await;
    world.pass(GRAY_FOR).await;
    world.trace.tell("and no more");
    let outcome = traffic.finish().await?;
    world.stop().await?;
    Ok(outcome)
}

/// The first relay of the path that the first one's traffic takes to the second.
async fn relay_in_use(world: &World, [from, to]: [usize; 2]) -> usize {
    let wanted = Request::Paths { destination: world.nodes[to].peer.to_string(), why: false };
    let Ok(Response::Paths { paths, .. }) = world.nodes[from].handle().request(wanted).await else {
        panic!("no paths are told")
    };
    let used = paths.into_iter().find(|path| path.state == "in-use").expect("traffic flows");
    world.nodes.iter().position(|node| node.peer == used.hops[1]).unwrap()
}

/// Drops all packets of sessions that the relay passes on, in all directions.
async fn turn_gray(world: &World, relay: usize) {
    let neighbors: Vec<PeerId> = world.neighbors(relay).into_iter().map(|node| world.nodes[node].peer).collect();
    for neighbor in neighbors {
        let gray = LinkImpairment { gray: true, ..LinkImpairment::default() };
        let order = Order::impair(neighbor.to_string(), (true, false), gray, GRAY_FOR.as_millis() as u64);
        world.nodes[relay].handle().request(Request::Chaos(order)).await.unwrap();
    }
}

/// How many worlds.
const SEEDS: u64 = 6;
/// How long the relay is gray.
const GRAY_FOR: Duration = Duration::from_secs(5);
/// How long requests may go unanswered, on paths of up to 100 ms: two round trips until acknowledgments are overdue, one until
/// the destination knows, and those that it takes to send again what was lost.
const GAP_MAX: Duration = Duration::from_millis(700);
