//! What nodes heard while something broke is replayed, and has the same effects again.

use std::time::Duration;

use prunella::api::chaos::Order;
use prunella::api::vocabulary::Failure;
use prunella::api::{Request, replay};

use super::actors::comes_back;
use super::echo::{Echo, echo_server};
use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nodes_hear_while_actors_and_links_fail_has_the_same_effects_again() {
    let config = "[journal]\ninputs = true\n".parse().unwrap();
    let mut mesh = Mesh::found(Plan { config, ..Plan::diamond() }).await;
    let (near, far) = (&mesh.nodes[0], &mesh.nodes[2]);
    far.expose("echo", echo_server().await).await;
    let echo = Echo::start(near.forward("echo").await).await;
    for actor in ["gossip", "pathfinder", "monitor"] {
        comes_back(near, actor, Failure::Kill).await;
        echo.goes_on().await;
    }
    let relay = &mesh.nodes[mesh.paths(0, 2, 2).await[0]];
    near.done(&Request::Chaos(Order::cut(&relay.peer, true, true))).await;
    until("the cut noticed", Duration::from_secs(10), async || {
        let told = near.incidents().await?;
        let down = told.iter().any(|incident| incident.kind == "link-down");
        if down { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
    near.done(&Request::Chaos(Order::Clear)).await;
    mesh.whole().await;
    echo.finish().await;
    for node in &mut mesh.nodes {
        node.stop().await;
    }
    for node in &mesh.nodes {
        same_again(node).await;
    }
    let restarted = lives(&mesh.nodes[0]).await;
    for (role, least) in [("gossip", 2), ("pathfinder", 2), ("monitor", 2), ("peer", 2)] {
        assert!(restarted[role].as_u64().unwrap() >= least, "{role}: {restarted:?}");
    }
}

async fn same_again(node: &Node) {
    let journal = node.dir.join("journal");
    let journal = journal.to_str().unwrap();
    let told = node.run(&["replay", journal]).await.ok();
    assert!(told.contains("every input that was played has the same effects again"), "{told}");
    for gap in ["not played:", "there is a gap", "cut off", "panicked"] {
        assert!(!told.contains(gap), "{}: {told}", node.name);
    }
    let json: serde_json::Value = serde_json::from_str(&node.run(&["replay", journal, "--json"]).await.ok()).unwrap();
    assert_eq!(json["node"].as_str(), Some(node.peer.as_str()));
    let roles = json["roles"].as_array().unwrap();
    assert_eq!(roles.len(), replay::RoleName::ALL.len(), "{told}");
    let same: u64 = roles.iter().map(|role| role["same"].as_u64().unwrap()).sum();
    // The monitor alone hears a hundred samples a second.
    assert!(same > 100, "{told}");
    for role in ["policy", "gossip", "peer", "monitor", "pathfinder"] {
        let entry = roles.iter().find(|entry| entry["role"] == role).unwrap();
        assert!(entry["same"].as_u64().unwrap() > 0, "{role}: {told}");
    }
}

/// How many lives of each role a node's recording has.
async fn lives(node: &Node) -> serde_json::Map<String, serde_json::Value> {
    let journal = node.dir.join("journal");
    let told = node.run(&["replay", journal.to_str().unwrap(), "--json"]).await.ok();
    let json: serde_json::Value = serde_json::from_str(&told).unwrap();
    let roles = json["roles"].as_array().unwrap();
    roles.iter().map(|role| (role["role"].as_str().unwrap().to_owned(), role["lives"].clone())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_killed_leaves_a_recording_that_is_replayed_to_its_end() {
    let config = "[journal]\ninputs = true\n".parse().unwrap();
    let mut mesh = Mesh::found(Plan { config, ..Plan::alone() }).await;
    let node = &mut mesh.nodes[0];
    let heard = node.actor("monitor").await.unwrap().handled;
    until("the monitor to hear more", PATIENCE, async || {
        let now = node.actor("monitor").await?.handled;
        if now > heard + 100 { Ok(()) } else { Err(format!("{now} after {heard}")) }
    })
    .await;
    node.kill();
    let journal = node.dir.join("journal");
    let journal = journal.to_str().unwrap();
    let told = node.run(&["replay", journal, "--role", "monitor"]).await.ok();
    assert!(told.contains("every input that was played has the same effects again"), "{told}");
    assert_eq!(node.run(&["replay", journal, "--role", "nobody"]).await.code, 2);
    node.run(&["replay", node.dir.join("config.toml").to_str().unwrap()]).await.fails(2, &["not a recording"]);
}
