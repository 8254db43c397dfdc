//! Values that all nodes share: written on one, read on another, in conflict, decided, removed.

use prunella::api::chaos::Order;
use prunella::api::vocabulary::{Failure, SharedInfo};
use prunella::{ErrorKind, MeshConfig, MeshNode, Request, Response};

use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

fn set(key: &str, value: &str) -> Request {
    Request::SharedSet { key: key.to_owned(), value: value.to_owned() }
}

/// The values of a key, the newest first.
async fn values(node: &Node, key: &str) -> Vec<String> {
    match node.ask(&Request::SharedGet { key: key.to_owned() }).await {
        Ok(Response::Shared(SharedInfo { values, .. })) => values.into_iter().map(|value| value.value).collect(),
        Err(error) if error.kind() == ErrorKind::KeyNotFound => Vec::new(),
        other => panic!("{other:?}"),
    }
}

/// Waits until every node shows exactly these values.
async fn all_show(mesh: &Mesh, key: &str, wanted: &[&str]) {
    until(&format!("{key} = {wanted:?} everywhere"), PATIENCE, async || {
        for node in &mesh.nodes {
            let shown = values(node, key).await;
            if shown != wanted {
                return Err(format!("{} shows {shown:?}", node.name));
            }
        }
        Ok(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_sets_another_reads_and_a_third_removes() {
    let mesh = Mesh::found(Plan::diamond()).await;
    let [a, b, c, d] = &mesh.nodes[..] else { unreachable!() };
    assert_eq!(a.run(&["shared", "set", "rollout/new-ui", "25 %"]).await.ok(), "rollout/new-ui is set\n");
    assert_eq!(a.run(&["shared", "get", "rollout/new-ui"]).await.ok(), "25 %\n", "its writer shows it at once");
    all_show(&mesh, "rollout/new-ui", &["25 %"]).await;

    let list = c.run(&["shared", "list"]).await.ok();
    assert!(list.contains("rollout/new-ui  25 %   n0"), "{list}");
    c.done(&set("rollout/new-ui", "50 %")).await;
    all_show(&mesh, "rollout/new-ui", &["50 %"]).await;

    assert_eq!(d.run(&["shared", "remove", "rollout/new-ui"]).await.ok(), "rollout/new-ui is removed\n");
    all_show(&mesh, "rollout/new-ui", &[]).await;
    b.run(&["shared", "get", "rollout/new-ui"]).await.fails(1, &["there is no shared key rollout/new-ui"]);
    b.run(&["shared", "set", "new ui", "x"]).await.fails(2, &["a shared key is 1 to 64 letters"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_that_did_not_know_of_each_other_are_both_shown_until_somebody_decides() {
    let mesh = Mesh::found(Plan::pair()).await;
    let (a, b) = (&mesh.nodes[0], &mesh.nodes[1]);
    until("two writes at once", PATIENCE, async || {
        // Neither node hears the other, and neither has noticed yet.
        let neighbor = b.name.clone();
        a.done(&Request::Chaos(Order::cut(neighbor, true, true))).await;
        let (red, blue) = (set("color", "red"), set("color", "blue"));
        let written = tokio::join!(a.ask(&red), b.ask(&blue));
        a.done(&Request::Chaos(Order::Clear)).await;
        mesh.whole().await;
        if written == (Ok(Response::Done), Ok(Response::Done)) { Ok(()) } else { Err(format!("{written:?}")) }
    })
    .await;
    until("both values at both nodes", PATIENCE, async || {
        let (at_a, at_b) = (values(a, "color").await, values(b, "color").await);
        if at_a.len() == 2 && at_a == at_b { Ok(()) } else { Err(format!("{at_a:?}, {at_b:?}")) }
    })
    .await;
    let shown = b.run(&["shared", "get", "color"]).await.ok();
    assert!(shown.contains("2 values, written without knowing of each other"), "{shown}");
    assert_eq!(b.run(&["shared", "list"]).await.ok().matches("conflict").count(), 2);
    b.done(&set("color", "green")).await;
    all_show(&mesh, "color", &["green"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_gossip_actor_and_a_restarted_node_go_on_where_they_were() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    mesh.nodes[0].done(&set("color", "red")).await;
    all_show(&mesh, "color", &["red"]).await;
    mesh.nodes[0].fail("gossip", Failure::Kill).await;
    // What the new actor writes supersedes what the old one wrote: it knows it from the store.
    until("written after the restart", PATIENCE, async || {
        mesh.nodes[0].ask(&set("color", "blue")).await.map_err(|error| error.to_string())
    })
    .await;
    all_show(&mesh, "color", &["blue"]).await;
    mesh.nodes[1].stop().await;
    mesh.nodes[1].start().await;
    all_show(&mesh, "color", &["blue"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_embedder_writes_as_many_keys_as_one_node_may_and_lists_them_all() {
    let dir = tempfile::tempdir().unwrap();
    let config = MeshConfig { listen: ([127, 0, 0, 1], 0).into(), ..MeshConfig::default() };
    let node = MeshNode::found(&dir, "mesh.test", config).await.unwrap();
    let shared = node.shared();
    let key = |i: usize| format!("k{i:03}");
    // In JSON each is six times as long, so that all of them do not fit one answer.
    let value = "\u{1}".repeat(1024);
    for i in 0..256 {
        shared.set(&key(i), &value).await.unwrap();
    }
    let listed: Vec<String> = shared.list().await.unwrap().into_iter().map(|info| info.key).collect();
    assert_eq!(listed, (0..256).map(key).collect::<Vec<_>>());
    let first = node.request(Request::SharedList { after: None }).await.unwrap();
    assert!(matches!(first, Response::SharedList { more: true, .. }), "one answer held all of it");

    let kind = |outcome: Result<(), prunella::Error>| outcome.expect_err("it should fail").kind();
    assert_eq!(kind(shared.set("more", "x").await), ErrorKind::OverLimit);
    assert_eq!(kind(shared.set("a b", "x").await), ErrorKind::InvalidInput);
    assert_eq!(kind(shared.set("k000", &"x".repeat(1025)).await), ErrorKind::InvalidInput);
    assert_eq!(kind(shared.remove("absent").await), ErrorKind::KeyNotFound);
    assert_eq!(shared.get("absent").await, Ok(Vec::new()));
    shared.remove("k000").await.unwrap();
    assert_eq!(shared.get("k000").await, Ok(Vec::new()));
    let again = shared.get("k001").await.unwrap();
    assert_eq!((again[0].value.as_str(), again[0].writers.as_slice()), (value.as_str(), &[node.peer_id()][..]));
    node.stop().await.unwrap();
}
