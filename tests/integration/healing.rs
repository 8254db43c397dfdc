//! What breaks is noticed at both ends, carried around, and whole again when the cause is gone.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use prunella::api::chaos::Order;
use prunella::api::vocabulary::{PathInfo, Reach};
use prunella::api::{Request, Response};
use prunella::config::MeshConfig;
use rustix::process::Signal;

use super::echo::{Echo, echo_server};
use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_one_way_cut_is_noticed_by_both_ends() {
    let mesh = Mesh::found(Plan::pair()).await;
    let (near, far) = (&mesh.nodes[0], &mesh.nodes[1]);
    far.expose("echo", echo_server().await).await;
    // A link that carries is watched closely.
    let echo = Echo::start(near.forward("echo").await).await;
    for (drop_sent, drop_received) in [(true, false), (false, true)] {
        near.done(&Request::Chaos(Order::cut(&far.peer, drop_sent, drop_received))).await;
        for node in [near, far] {
            let what = format!("the cut noticed by {} (sent: {drop_sent})", node.name);
            until(&what, Duration::from_secs(3), async || match link_state(node).await? {
                state if ["up", "late"].contains(&state.as_str()) => Err(state),
                _ => Ok(()),
            })
            .await;
        }
        near.done(&Request::Chaos(Order::Clear)).await;
        mesh.whole().await;
        near.run(&["ping", "n1"]).await.ok();
        echo.goes_on().await;
    }
    echo.finish().await;
    for node in [near, far] {
        let told: Vec<_> = node.incidents().await.unwrap().into_iter().map(|incident| incident.kind).collect();
        assert!(told.contains(&"link-down".to_owned()), "{}: {told:?}", node.name);
    }
    its_story_is_told(near).await;
}

/// A cut link's story: how it was noticed, what was planned and begun, and how long that took.
async fn its_story_is_told(node: &Node) {
    let told = node.incidents().await.unwrap();
    let down = told.iter().find(|incident| incident.kind == "link-down" && incident.lasted_ms.is_some()).unwrap();
    let story = match node.ask(&Request::Incident { id: down.id }).await {
        Ok(Response::Incident(story)) => story,
        other => panic!("{other:?}"),
    };
    let phases = story.phases;
    assert!(phases.detect_us.is_some_and(|us| us >= 900_000), "after a second of silence: {story:?}");
    assert!(phases.plan_us.is_some(), "{story:?}");
    for phase in ["plan", "execute"] {
        assert!(story.actions.iter().any(|action| action.phase == phase), "{phase}: {story:?}");
    }
    let text = node.run(&["incident", &down.id.to_string()]).await.ok();
    assert!(text.contains("link-down") && text.contains("detect") && text.contains("effect"), "{text}");
    let unknown = node.ask(&Request::Incident { id: u64::MAX }).await.unwrap_err();
    assert_eq!(unknown.kind(), prunella::api::ErrorKind::IncidentNotFound);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_at_rest_that_dies_in_silence_is_noticed() {
    let mesh = Mesh::found(Plan::pair()).await;
    let probe = MeshConfig::default().probe;
    for node in &mesh.nodes {
        until(&format!("the link of {} at rest", node.name), PATIENCE, async || {
            let every = node.links().await?[0].probed_every_ms;
            if every == probe.idle_interval_ms { Ok(()) } else { Err(format!("probed every {every} ms")) }
        })
        .await;
    }
    let neighbor = mesh.nodes[1].peer.clone();
    mesh.nodes[0].done(&Request::Chaos(Order::cut(neighbor, true, true))).await;
    let noticed = probe.idle_interval() + 2 * probe.dead_after();
    for node in &mesh.nodes {
        until(&format!("the cut noticed by {}", node.name), noticed, async || match link_state(node).await? {
            state if ["up", "late"].contains(&state.as_str()) => Err(state),
            _ => Ok(()),
        })
        .await;
    }
    mesh.nodes[0].done(&Request::Chaos(Order::Clear)).await;
    mesh.whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_goes_around_a_killed_relay_and_a_cut() {
    let mut mesh = Mesh::found(Plan::diamond()).await;
    mesh.nodes[2].expose("echo", echo_server().await).await;
    let listen = mesh.nodes[0].forward("echo").await;

    let echo = Echo::start(listen).await;
    let relay = mesh.paths(0, 2, 2).await[0];
    mesh.nodes[relay].kill();
    echo.goes_on().await;
    // Copies carry the traffic on before the first path is given up.
    until("another path in use", PATIENCE, async || match mesh.paths(0, 2, 1).await {
        paths if paths == [relay] => Err(format!("the path in use leads over n{relay}, which is gone")),
        _ => Ok(()),
    })
    .await;
    let outcome = echo.finish().await;
    assert!(outcome.gap < GAP_MAX, "a relay was killed: {outcome:?}");
    mesh.nodes[relay].start().await;
    mesh.whole().await;

    for (drop_sent, drop_received) in [(true, true), (true, false), (false, true)] {
        let echo = Echo::start(listen).await;
        let relay = mesh.paths(0, 2, 2).await[0];
        let neighbor = mesh.nodes[relay].peer.clone();
        mesh.nodes[0].done(&Request::Chaos(Order::cut(neighbor, drop_sent, drop_received))).await;
        echo.goes_on().await;
        mesh.nodes[0].done(&Request::Chaos(Order::Clear)).await;
        mesh.whole().await;
        let outcome = echo.finish().await;
        assert!(outcome.gap < GAP_MAX, "cut (sent: {drop_sent}, received: {drop_received}): {outcome:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_goes_around_a_relay_that_stands_still() {
    let mesh = Mesh::found(Plan::diamond()).await;
    mesh.nodes[2].expose("echo", echo_server().await).await;
    let echo = Echo::start(mesh.nodes[0].forward("echo").await).await;
    let relay = mesh.paths(0, 2, 2).await[0];
    mesh.nodes[relay].signal(Signal::STOP);
    echo.goes_on().await;
    // Long enough for every neighbor to be sure.
    for neighbor in [0, 2] {
        let what = format!("the standstill noticed by n{neighbor}");
        until(&what, PATIENCE, async || {
            let links = mesh.nodes[neighbor].links().await?;
            let link = links.iter().find(|link| link.peer.to_string() == mesh.nodes[relay].peer);
            link.filter(|link| link.state != "up").map(drop).ok_or_else(|| format!("{links:?}"))
        })
        .await;
    }
    mesh.nodes[relay].signal(Signal::CONT);
    mesh.whole().await;
    mesh.paths(0, 2, 2).await;
    echo.goes_on().await;
    let outcome = echo.finish().await;
    assert!(outcome.gap < GAP_MAX, "{outcome:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_knows_what_it_knew_and_catches_up() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    mesh.nodes[0].expose("before", "127.0.0.1:9".parse().unwrap()).await;
    mesh.nodes[1].forward("before").await;
    mesh.nodes[1].all_kept().await;
    mesh.nodes[1].kill();
    mesh.nodes[0].stop().await;

    // Nobody is there to tell it anything.
    mesh.nodes[1].start().await;
    let peers = mesh.nodes[1].peers().await.unwrap();
    let known: Vec<_> = peers.iter().filter(|peer| peer.state != Reach::Myself).collect();
    assert_eq!(known.len(), 1, "{peers:?}");
    assert_eq!((known[0].name.as_str(), known[0].state), ("n0", Reach::Unreachable), "{peers:?}");
    assert_eq!(services(&mesh.nodes[1]).await, ["before"]);
    mesh.nodes[1].run(&["ping", "n0"]).await.fails(1, &["n0"]);

    // And then somebody who has news, and kept what it exposed.
    mesh.nodes[1].stop().await;
    mesh.nodes[0].start().await;
    mesh.nodes[0].expose("after", "127.0.0.1:9".parse().unwrap()).await;
    mesh.nodes[1].start().await;
    mesh.whole().await;
    until("the news known", PATIENCE, async || match services(&mesh.nodes[1]).await {
        services if services == ["after", "before"] => Ok(()),
        services => Err(format!("{services:?}")),
    })
    .await;
    mesh.nodes[1].run(&["ping", "n0"]).await.ok();
}

/// Every node is restarted in its turn, while every two nodes talk. What counts are the sessions whose two ends stay while
/// a third node restarts: six of ten each time. Those at the node that restarts end with it, and are made anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_no_session_whose_ends_stay() {
    let mut mesh = Mesh::found(Plan::ring()).await;
    let nodes = mesh.nodes.len();
    for node in &mesh.nodes {
        node.expose(&node.name, echo_server().await).await;
    }
    let mut talks: BTreeMap<(usize, usize), Echo> = BTreeMap::new();
    let mut stayed = 0;
    for restarted in 0..nodes {
        for from in 0..nodes {
            for to in from + 1..nodes {
                if let Entry::Vacant(silent) = talks.entry((from, to)) {
                    let listen = mesh.nodes[from].forward(&mesh.nodes[to].name).await;
                    silent.insert(Echo::start(listen).await);
                }
            }
        }
        mesh.nodes[restarted].stop().await;
        talks.retain(|(from, to), _| ![*from, *to].contains(&restarted));
        for echo in talks.values() {
            echo.goes_on().await;
        }
        mesh.nodes[restarted].start().await;
        mesh.whole().await;
        for echo in talks.values() {
            echo.goes_on().await;
            stayed += 1;
        }
    }
    assert_eq!(stayed, 30, "of the sessions whose ends stayed");
    for echo in talks.into_values() {
        // Each of them has outlived up to three restarts of others, on one connection, and has lost nothing.
        echo.finish().await;
    }
}

async fn link_state(node: &Node) -> Result<String, String> {
    let links = node.links().await?;
    Ok(links[0].state.clone())
}

async fn services(node: &Node) -> Vec<String> {
    match node.ask(&Request::Services { after: None, after_provider: None }).await {
        Ok(Response::Services { services, .. }) => services.into_iter().map(|service| service.name).collect(),
        other => panic!("{other:?}"),
    }
}

/// Longer than this, nobody may notice that something broke on the way.
const GAP_MAX: Duration = Duration::from_millis(1200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_says_why_traffic_takes_the_path_that_it_takes() {
    let mesh = Mesh::found(Plan::diamond()).await;
    mesh.nodes[2].expose("echo", echo_server().await).await;
    let echo = Echo::start(mesh.nodes[0].forward("echo").await).await;
    mesh.paths(0, 2, 2).await;
    let request = Request::Paths { destination: mesh.nodes[2].peer.clone(), why: true };
    let Ok(Response::Paths { paths, .. }) = mesh.nodes[0].ask(&request).await else { panic!("no answer") };
    let why = |path: &PathInfo| path.why.clone().unwrap();
    let chosen = paths.iter().find(|path| path.state == "in-use").unwrap();
    assert_eq!(why(chosen).verdict, "chosen");
    for path in &paths {
        let links = why(path).links;
        assert_eq!(links.len(), path.hops.len() - 1);
        assert_eq!(links.iter().map(|link| link.cost).sum::<u64>(), path.cost);
        assert_eq!(why(path).shared, 0, "a diamond's paths are disjoint");
    }
    for asked in [["paths", "n2", "--why"].as_slice(), &["why", "n2"]] {
        let told = mesh.nodes[0].run(asked).await.ok();
        assert!(told.contains(" → n2: in use: it works"), "{told}");
    }
    echo.finish().await;
}
