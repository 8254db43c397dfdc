//! No loops: frames are followed over the routes that many nodes have installed, each by what it happens to know.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::peer::{LinkReport, Probing};

const MS: Duration = Duration::from_millis(1);
const NODES: u8 = 12;

/// The links that there are at some time, by both ends, and their round trips in microseconds.
type Links = BTreeMap<(u8, u8), u32>;

fn id(node: u8) -> PeerId {
    PeerId::from_public_key([node; 32])
}

/// What `from` calls its link to `to`, whenever there is one: labels are given once.
fn label(from: u8, to: u8) -> Label {
    Label(1 + u16::from(from) * 7 + u16::from(to))
}

fn rtt(links: &Links, a: u8, b: u8) -> Option<u32> {
    links.get(&(a.min(b), a.max(b))).copied()
}

fn told(links: &Links, from: u8) -> Vec<LinkBody> {
    let body = |to: u8, rtt_us| LinkBody { neighbor: id(to), label: label(from, to), rtt_us, loss_permille: 0 };
    (0..NODES).filter_map(|to| rtt(links, from, to).map(|rtt_us| body(to, rtt_us))).collect()
}

/// A node that knows of each other node what it said at some time, and of its own links how they are now.
fn node<'a>(me: u8, now: &'a Links, heard: impl Fn(u8) -> &'a Links, effects: &mut Vec<Effect>) -> Pathfinder {
    let probing = Probing { interval: 40 * MS, idle_interval: 40 * MS, late_after: 120 * MS, dead_after: 1000 * MS };
    let config = Config { paths: 3, warm: 2, probing, hedge_after: 15 * MS, lanes: 1 };
    let mut role = Pathfinder::new(id(me), config, u64::from(me));
    for origin in 0..NODES {
        let then = if origin == me { now } else { heard(origin) };
        role.handle(Input::LinksLearned { origin: id(origin), links: told(then, origin) }, Instant::BOOT, effects);
    }
    for to in (0..NODES).filter(|to| rtt(now, me, *to).is_some()) {
        let report = LinkReport {
            peer: id(to),
            link: Some((LinkId(u64::from(to)), label(me, to))),
            state: LinkState::Up,
            rtt: MS,
            loss_permille: 0,
            probes_returned: 0,
            probes_lost: 0,
            heard: None,
            established: 1,
            probed_every: Duration::ZERO,
            carries_until: Instant::BOOT,
            failing: false,
            latency: Default::default(),
        };
        role.handle(Input::LinkReported(report), Instant::BOOT, effects);
    }
    (0..NODES).for_each(|to| role.handle(Input::Wanted { destination: id(to) }, Instant::BOOT, effects));
    role
}

/// Where a frame passes that is sent over `way`, as links are now: to its end, or to where a label leads nowhere.
fn followed(now: &Links, from: u8, way: &Way) -> Vec<u8> {
    let mut visited = vec![from, way.first.0 as u8];
    for wanted in &way.labels {
        let here = visited[visited.len() - 1];
        let next = (0..NODES).find(|to| rtt(now, here, *to).is_some() && label(here, *to) == *wanted);
        let Some(next) = next else { break };
        visited.push(next);
    }
    visited
}

fn histories() -> impl Strategy<Value = Vec<Links>> {
    let edit = (0..NODES, 1u8..5, prop::option::weighted(0.7, 1_000u32..50_000));
    prop::collection::vec(edit, 20..120).prop_map(|edits| {
        let mut links = Links::new();
        let after = edits.chunks(10).map(|some| {
            for (a, step, rtt) in some {
                let b = (a + step) % NODES;
                match rtt {
                    Some(rtt) => links.insert((*a.min(&b), *a.max(&b)), *rtt),
                    None => links.remove(&(*a.min(&b), *a.max(&b))),
                };
            }
            links.clone()
        });
        after.collect()
    })
}

#[test]
fn labels_tell_links_apart() {
    for from in 0..NODES {
        let labels: BTreeSet<Label> = (0..NODES).map(|to| label(from, to)).collect();
        assert_eq!(labels.len(), usize::from(NODES));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn no_frame_visits_a_node_twice_whatever_each_node_knows(
        history in histories(),
        heard in prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), usize::from(NODES)), usize::from(NODES)),
    ) {
        let now = history.last().unwrap();
        for me in 0..NODES {
            let mut effects = Vec::new();
            let heard = |origin| heard[usize::from(me)][usize::from(origin)].get(&history);
            node(me, now, heard, &mut effects);
            for effect in effects {
                let Effect::InstallRoute { destination, way, hedge } = effect else { continue };
                for way in [Some(way), hedge].into_iter().flatten() {
                    let visited = followed(now, me, &way);
                    let distinct: BTreeSet<u8> = visited.iter().copied().collect();
                    prop_assert_eq!(distinct.len(), visited.len(), "{:?}", visited);
                    if visited.len() == way.labels.len() + 2 {
                        prop_assert_eq!(id(visited[visited.len() - 1]), destination, "a frame that gets through arrives");
                    }
                }
            }
        }
    }

    #[test]
    fn who_knows_how_things_are_reaches_all_that_can_be_reached(history in histories()) {
        let now = history.last().unwrap();
        for me in 0..NODES {
            let mut effects = Vec::new();
            let role = node(me, now, |_| now, &mut effects);
            let routes: BTreeMap<PeerId, Way> = effects.into_iter().filter_map(|effect| match effect {
                Effect::InstallRoute { destination, way, .. } => Some((destination, way)),
                _ => None,
            }).collect();
            prop_assert!(role.reachable().keys().eq(routes.keys()));
            for (destination, way) in &routes {
                prop_assert_eq!(id(*followed(now, me, way).last().unwrap()), *destination);
            }
        }
    }
}
