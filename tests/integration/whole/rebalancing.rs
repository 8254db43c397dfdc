//! A mesh of two sites rearranges itself while it is used: who is near takes the place of who is far.

use std::time::Duration;

use prunella::{Request, Response};
use prunella_core::rng::Rng;
use tokio::runtime::Builder;
use tokio::time::sleep;

use super::traffic::Traffic;
use super::world::World;

#[test]
fn near_nodes_take_the_place_of_far_ones_and_no_request_is_lost() {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut world = World::on_two_sites(NODES, PERIOD, &mut Rng::from_seed(3)).await;
        sleep(PERIOD).await;
        let before = world.links_told().await;
        let traffic = Traffic::start(world.nodes[1].handle(), world.nodes[2].peer).await.unwrap();
        let done = exchanges(&world).await;
        let outcome = traffic.finish().await.unwrap();
        let after = world.links_told().await;
        let far = |links: &[(usize, usize, bool)]| links.iter().filter(|(.., far)| *far).count();
        println!("far ends before {}, after {}; {done} exchanges; {outcome:?}", far(&before), far(&after));
        assert!(done >= EXCHANGES && far(&after) < far(&before), "{before:?} {after:?}");
        assert!(outcome.gap < GAP_MAX, "{outcome:?}");
        let Ok(Response::Regions(regions)) = world.nodes[0].handle().request(Request::Regions { from: 0 }).await else {
            panic!("no regions are told")
        };
        let sites: Vec<Vec<String>> = regions.clusters.into_iter().map(|cluster| cluster.names).collect();
        let is_site = |names: &Vec<String>| names.iter().all(|name| name[1..].parse::<usize>().unwrap() % 2 == 0);
        assert!(sites.iter().any(is_site) && !sites.iter().all(is_site), "{sites:?}");
        world.ping_all().await.unwrap();
        world.stop().await.unwrap();
    });
}

/// Waits for some exchanges, and a few periods at most; how many were made. Nothing but them may have been told of.
async fn exchanges(world: &World) -> usize {
    let mut done = 0;
    for _ in 0..PERIODS_MAX {
        sleep(PERIOD).await;
        done = 0;
        for node in &world.nodes {
            for told in node.incidents().await {
                assert!(!told.contains(" link-down ") && !told.contains(" path-lost "), "{}: {told}", node.name);
                done += usize::from(told.contains(" far-neighbor ") && told.contains("drop-neighbor: helped"));
            }
        }
        if done >= EXCHANGES {
            break;
        }
    }
    done
}

const NODES: usize = 8;
const PERIOD: Duration = Duration::from_secs(10);
const PERIODS_MAX: usize = 12;
/// Exchanges that are waited for.
const EXCHANGES: usize = 2;
/// A round trip between the sites, and some.
const GAP_MAX: Duration = Duration::from_millis(500);
