//! A link whose round trip rises and rises, among whole nodes: traffic leaves it before it is as slow as it must not be.

use std::time::Duration;

use prunella::{Request, Response};
use prunella_core::rng::Rng;
use tokio::runtime::Builder;

use super::traffic::Traffic;
use super::world::World;
use super::{FORMATION_MAX, story};

#[test]
fn a_link_whose_round_trip_rises_is_left_before_it_passes_its_limit() {
    let mut foreseen = 0;
    for seed in 1..=SEEDS {
        let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let mut world = World::found(&mut Rng::from_seed(seed)).await;
            let left = live(&mut world).await;
            let story = story(&world.trace.take());
            println!("seed {seed}: {left:?}\n{story}");
            let Some((_, rose)) = left else { panic!("seed {seed}: the link was not left\n{story}") };
            foreseen += u64::from(rose);
        });
    }
    assert!(foreseen * 2 > SEEDS, "{foreseen} of {SEEDS} were left because they rose, the others for another reason");
}

/// Lets a link that is in use become slower and slower, up to what no link may take: by how much it was slower than at first
/// when traffic left it, and whether that was because its limit was ahead.
async fn live(world: &mut World) -> Option<(Duration, bool)> {
    world.heal(FORMATION_MAX).await.unwrap();
    let talkers = [1, 1 + world.nodes.len() / 2];
    let traffic = Traffic::start(world.nodes[talkers[0]].handle(), world.nodes[talkers[1]].peer).await.unwrap();
    world.pass(Duration::from_secs(2)).await;
    let (neighbor, mut left) = (first_hop(world, talkers).await, None);
    // Every other way is slower, so that none is better before the limit.
    for other in world.neighbors(talkers[0]).into_iter().filter(|other| *other != neighbor) {
        for (from, to) in [(talkers[0], other), (other, talkers[0])] {
            world.change_wire(from, to, |wire| wire.latency = SLOW);
        }
    }
    world.pass(Duration::from_secs(15)).await;
    for step in 1..=LIMIT_MS / STEP_MS {
        world.change_wire(talkers[0], neighbor, |wire| wire.latency += STEP_MS * Duration::from_millis(1));
        world.pass(STEP_EVERY).await;
        if first_hop(world, talkers).await != neighbor {
            let slower_by = step * STEP_MS * Duration::from_millis(1);
            left = Some((slower_by, rose(world, talkers).await));
            break;
        }
    }
    traffic.finish().await.unwrap();
    world.stop().await.unwrap();
    left
}

/// The neighbor over which the first one's traffic goes to the second.
async fn first_hop(world: &World, [from, to]: [usize; 2]) -> usize {
    let wanted = Request::Paths { destination: world.nodes[to].peer.to_string(), why: false };
    let Ok(Response::Paths { paths, .. }) = world.nodes[from].handle().request(wanted).await else {
        panic!("no paths are told")
    };
    let used = paths.into_iter().find(|path| path.state == "in-use").expect("traffic flows");
    world.nodes.iter().position(|node| node.peer == used.hops[1]).unwrap()
}

/// Whether the first one has told that its traffic left a link that rose.
async fn rose(world: &World, [from, _]: [usize; 2]) -> bool {
    let Ok(Response::Incidents { incidents, .. }) = world.nodes[from].handle().request(Request::Incidents).await else {
        panic!("no incidents are told")
    };
    incidents.iter().any(|incident| incident.kind == "path-switched" && incident.evidence.starts_with("rising"))
}

/// How many worlds.
const SEEDS: u64 = 4;
/// The round trip that no link may exceed, by default.
const LIMIT_MS: u32 = 250;
/// How long packets take over the other links of who sends, each way.
const SLOW: Duration = Duration::from_millis(80);
/// How much slower the link gets at once, and how often.
const STEP_MS: u32 = 5;
const STEP_EVERY: Duration = Duration::from_millis(250);
