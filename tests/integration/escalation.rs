//! A node whose actor fails again and again, without being asked to, stops and says why.

use std::fs;

use prunella::api::Request;

use super::mesh::{Mesh, Node, PATIENCE, Plan};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_lost_its_store_stops_with_the_reason() {
    let mut mesh = Mesh::found(Plan::alone()).await;
    let node = &mut mesh.nodes[0];
    // What was written can no longer be made durable: the KnowledgeActor fails whenever it is to keep something.
    fs::rename(node.dir.join("store"), node.dir.join("store-elsewhere")).unwrap();
    // Nor can another store take its place.
    fs::write(node.dir.join("store"), "").unwrap();
    keep_busy(node).await;
    let status = node.process.as_mut().unwrap().ended(PATIENCE).await;
    assert_eq!(status.code(), Some(1), "{}", node.log());
    let log = node.log();
    let told: Vec<_> = log.lines().filter(|line| line.starts_with("prunella: ")).collect();
    assert_eq!(told.len(), 1, "{log}");
    for fragment in ["failed to run the node in", "cannot go on", "too many failures", "the store at"] {
        assert!(told[0].contains(fragment), "no {fragment:?} in {}", told[0]);
    }
    fs::remove_file(node.dir.join("store")).unwrap();
    fs::rename(node.dir.join("store-elsewhere"), node.dir.join("store")).unwrap();
    node.start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_that_were_asked_for_never_stop_a_node() {
    let mesh = Mesh::found(Plan::alone()).await;
    let node = &mesh.nodes[0];
    for times in 1..=8 {
        node.fail("executor", prunella::api::vocabulary::Failure::Panic).await;
        super::mesh::until("the executor back", PATIENCE, async || {
            let actor = node.actor("executor").await?;
            if actor.restarts == times { Ok(()) } else { Err(format!("{actor:?}")) }
        })
        .await;
    }
    let restarts = |name| async move { node.actor(name).await.unwrap().restarts };
    assert_eq!((restarts("healing").await, restarts("monitor").await, restarts("surfaces").await), (0, 0, 0));
}

/// Gives the node something to keep until it cannot be asked any more.
async fn keep_busy(node: &Node) {
    let target = "tcp://127.0.0.1:9".to_owned();
    for number in 0..100 {
        let expose = Request::Expose { name: format!("service-{number}"), target: target.clone() };
        if node.ask(&expose).await.is_err() {
            return;
        }
    }
}
