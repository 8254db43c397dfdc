//! Whoever follows a node hears what happens in its order, and the whole topology, whatever is stuck in the node.

use std::io::Read;
use std::process::Stdio;

use prunella::api::vocabulary::{Event, EventsInfo, TopologyInfo};
use prunella::{Request, Response};

use super::mesh::{Mesh, Node, PATIENCE, Plan, until};
use super::process::program;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happens_is_told_in_its_order_and_goes_on_where_it_was_left() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    let so_far = until("links of both nodes", PATIENCE, async || {
        let so_far = events(node, None).await;
        assert!(!so_far.missed);
        let knows = |of: &str| {
            let is = |event: &Event| matches!(event, Event::LinksChanged { peer, .. } if peer.to_string() == of);
            so_far.events.iter().any(|info| is(&info.event))
        };
        if mesh.nodes.iter().all(|node| knows(&node.peer)) { Ok(so_far) } else { Err(format!("{so_far:?}")) }
    })
    .await;

    node.run(&["expose", "web", "tcp://127.0.0.1:1"]).await.ok();
    node.run(&["kill", "planner"]).await.ok();
    let mut seen = Vec::new();
    let mut cursor = so_far.cursor;
    until("the service, the restart and the incident", PATIENCE, async || {
        let info = events(node, Some(cursor)).await;
        assert!(!info.missed);
        cursor = info.cursor;
        seen.extend(info.events.into_iter().map(|info| info.event));
        let restarted = Event::ActorRestarted { actor: "planner".to_owned() };
        let is_told = seen.iter().any(|event| matches!(event, Event::IncidentOpened { .. }));
        if is_told && seen.contains(&restarted) { Ok(()) } else { Err(format!("{seen:?}")) }
    })
    .await;
    let place = |fits: &dyn Fn(&Event) -> bool| seen.iter().position(fits).unwrap_or_else(|| panic!("{seen:?}"));
    let exposed = place(&|event| matches!(event, Event::ServiceChanged { name, exposed: true, .. } if name == "web"));
    let failed = place(&|event| matches!(event, Event::ActorFailed { actor, .. } if actor == "planner"));
    let opened = place(&|event| matches!(event, Event::IncidentOpened { kind, .. } if kind == "actor-failed"));
    assert!(exposed < failed && failed < opened, "{seen:?}");

    // The same for people and scripts, from any place.
    let lines = node.run(&["--json", "events", "--after", &so_far.cursor.to_string()]).await.ok();
    let first = lines.lines().find(|line| line.contains("service-changed")).unwrap_or_else(|| panic!("{lines}"));
    assert!(first.starts_with("{\"cursor\":"), "{first}");
    let newest = node.run(&["--json", "events", "--last", "2"]).await.ok();
    let number = |line: &str| {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        event["cursor"].as_str().and_then(|cursor| cursor.split_once('-')?.1.parse::<u64>().ok()).unwrap()
    };
    let numbers: Vec<_> = newest.lines().map(number).collect();
    let so_far = number(lines.lines().last().unwrap());
    assert!(numbers.len() == 2 && numbers[0] + 1 == numbers[1] && numbers[1] >= so_far, "{numbers:?}, {so_far}");
    assert_eq!(node.run(&["--json", "events", "--last", "0"]).await.ok(), "");
    let text = node.run(&["events", "--last", "1000"]).await.ok();
    assert!(text.contains("service   web exposed by n0") && text.contains("actor     planner runs again"), "{text}");
    let elsewhere = "0000000000000000-1";
    assert!(node.run(&["events", "--after", elsewhere]).await.ok().starts_with("-- some of what happened is not"));
    let told = node.run(&["events", "--after", "yesterday"]).await;
    assert!(told.code == 2 && told.stderr.contains("is no place among events"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_topology_is_told_and_followed_while_gossip_is_stuck() {
    let mesh = Mesh::found(Plan::diamond()).await;
    let node = &mesh.nodes[0];
    until("four nodes with two links each", PATIENCE, async || {
        let info = topology(node).await;
        let agreed = info.nodes.iter().flat_map(|node| &node.links).filter(|link| link.agreed).count();
        if info.nodes.len() == 4 && agreed == 8 { Ok(()) } else { Err(format!("{info:?}")) }
    })
    .await;
    node.run(&["chaos", "actor", "gossip", "--how", "stall", "--for", "60s"]).await.ok();
    let since = std::time::Instant::now();
    let stuck = topology(node).await;
    let told = events(node, None).await;
    assert!(since.elapsed() < std::time::Duration::from_millis(500), "{:?}", since.elapsed());
    assert!(stuck.nodes.len() == 4 && !told.events.is_empty());
    assert!(node.run(&["topology"]).await.ok().contains("n0 (this node)"));
}

async fn events(node: &Node, after: Option<prunella::api::vocabulary::Cursor>) -> EventsInfo {
    match node.ask(&Request::Events { after, last: None, wait_ms: 100 }).await {
        Ok(Response::Events(info)) => info,
        other => panic!("no events: {other:?}"),
    }
}

async fn topology(node: &Node) -> TopologyInfo {
    match node.ask(&Request::Topology { after: None }).await {
        Ok(Response::Topology(info)) => info,
        other => panic!("no topology: {other:?}"),
    }
}

/// A client that waits when the node stops holds nothing up, and neither does what the node does for one that went away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_events_keeps_no_node_from_stopping() {
    let mut mesh = Mesh::found(Plan::alone()).await;
    let node = &mut mesh.nodes[0];
    let spawn = || program(&node.dir).args(["events", "--follow"]).stdout(Stdio::piped()).spawn().unwrap();
    let (mut gone, mut waits) = (spawn(), spawn());
    // Each has asked, and has been told what there was.
    for client in [&mut gone, &mut waits] {
        let mut first = [0];
        client.stdout.as_mut().unwrap().read_exact(&mut first).unwrap();
    }
    gone.kill().unwrap();
    gone.wait().unwrap();
    node.stop().await;
    for socket in ["control.sock", "http.sock"] {
        assert!(!node.dir.join(socket).exists(), "{socket} is left");
    }
    let status = until("its end", PATIENCE, async || {
        waits.try_wait().unwrap().ok_or_else(|| "it waits for a node that is gone".to_owned())
    })
    .await;
    assert_eq!(status.code(), Some(1));
}
