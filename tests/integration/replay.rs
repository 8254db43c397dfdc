//! What nodes heard while something broke is replayed, and has the same effects again.

use std::time::Duration;

use prunella::api::Request;
use prunella::api::chaos::Order;
use prunella::api::recording::RoleName;
use prunella::api::vocabulary::Failure;

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
    let relay = mesh.paths(0, 2, 2).await[0];
    near.done(&Request::Chaos(Order::cut(&mesh.nodes[relay].peer, true, true))).await;
    let down = until("the cut noticed", Duration::from_secs(10), async || {
        let told = near.incidents().await?;
        let down = told.iter().find(|incident| incident.kind == "link-down").map(|incident| incident.id);
        down.ok_or_else(|| format!("{told:?}"))
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
    explained(&mesh.nodes[0], down, &mesh.nodes[relay].peer).await;
}

/// Why there was an incident is told from the journal alone: what was heard, and what came of it.
async fn explained(node: &Node, incident: u64, relay: &str) {
    let number = incident.to_string();
    let told = node.run(&["explain", "incident", &number]).await.ok();
    let short = &relay[..10];
    for part in [
        &format!("incident  #{incident} LinkDown peer={short}"),
        "-> Raise ",
        "LinkReported ",
        "Raised ",
        "-> Adopt ",
        "Cleared incident=",
    ] {
        assert!(told.contains(part), "{part:?} is not in {told}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&node.run(&["explain", "incident", &number, "--json"]).await.ok()).unwrap();
    let scenes = json["scenes"].as_array().unwrap();
    let at = |scene: &serde_json::Value| scene["at_ns"].as_u64().unwrap();
    assert!(scenes.is_sorted_by_key(at), "{told}");
    let of = |role: &str| scenes.iter().filter(|scene| scene["role"] == role).count();
    assert!(of("monitor") > 0 && of("planner") > 0 && of("peer") > 0, "{told}");
    let told = node.run(&["explain", "node", short, "--most", "5"]).await.ok();
    assert!(told.contains("older inputs are left out") && told.contains(short), "{told}");
    let told = node.run(&["explain", "actor", "gossip", "--role", "gossip"]).await.ok();
    assert!(told.contains("  gossip  ") && !told.contains("  monitor  "), "{told}");
    node.run(&["explain", "incident", "999999"]).await.fails(2, &["#999999 does not begin", &format!("#{incident}")]);
    node.run(&["explain", "node", "n1"]).await.fails(2, &["no peer id"]);
    node.run(&["explain", "actor", "gossip", "--journal", "/nowhere"]).await.fails(2, &["/nowhere"]);
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
    assert_eq!(roles.len(), RoleName::ALL.len(), "{told}");
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
