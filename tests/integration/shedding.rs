//! Nodes that have more to do than they can: they take on less, and everything again when that is over.

use prunella::api::vocabulary::IncidentInfo;

use super::echo::{Echo, echo_server};
use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pathfinder_that_falls_behind_catches_up_when_load_is_shed() {
    let mesh = Mesh::found(Plan::diamond()).await;
    let echo = carry(&mesh).await;
    let node = &mesh.nodes[0];
    // More than it can bear with two paths that are probed 25 times a second, and less than it can with less of that.
    node.run(&["chaos", "actor", "pathfinder", "--how", "slow", "--each", "22ms", "--for", "2m"]).await.ok();
    let over = until("the incident over", 3 * PATIENCE, async || {
        slow(node).await?.filter(|told| told.lasted_ms.is_some()).ok_or_else(|| "it lasts".to_owned())
    })
    .await;
    let story = node.run(&["incident", &over.id.to_string()]).await.ok();
    assert!(story.contains("wait: did not help") && story.contains("shed-load: helped"), "{story}");
    assert!(story.contains("take-load: begun"), "{story}");
    echo.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sheds_load_refuses_new_sessions_by_name_and_takes_them_again_when_it_did_not_help() {
    let mesh = Mesh::found(Plan::diamond()).await;
    let echo = carry(&mesh).await;
    let node = &mesh.nodes[0];
    node.run(&["chaos", "actor", "pathfinder", "--how", "slow", "--each", "300ms", "--for", "2m"]).await.ok();
    tells(node, &["shed-load: begun"]).await;
    mesh.nodes[2].run(&["ping", "n0", "--count", "1"]).await.fails(1, &["overloaded", "no new sessions"]);
    // What was established goes on.
    echo.goes_on().await;
    tells(node, &["shed-load: did not help", "take-load: begun"]).await;
    node.run(&["chaos", "clear"]).await.ok();
    until("a new session", PATIENCE, async || {
        let told = mesh.nodes[2].run(&["ping", "n0", "--count", "1"]).await;
        if told.code == 0 { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
    echo.finish().await;
}

/// Waits until all of this was done about the slow pathfinder.
async fn tells(node: &Node, wanted: &[&str]) {
    until(&format!("{wanted:?}"), 2 * PATIENCE, async || {
        let slow = slow(node).await?.ok_or("no incident")?;
        let is_told = |what: &&str| slow.actions.iter().any(|action| action.what.starts_with(what));
        if wanted.iter().all(is_told) { Ok(()) } else { Err(format!("{:?}", slow.actions)) }
    })
    .await;
}

/// The newest incident of a slow pathfinder, if there is one.
async fn slow(node: &Node) -> Result<Option<IncidentInfo>, String> {
    let told = node.incidents().await?;
    Ok(told.into_iter().find(|told| (told.kind.as_str(), told.subject.as_str()) == ("actor-slow", "pathfinder")))
}

/// An echo from node 0 to node 2, over the one or the other of two relays.
async fn carry(mesh: &Mesh) -> Echo {
    mesh.nodes[2].expose("echo", echo_server().await).await;
    Echo::start(mesh.nodes[0].forward("echo").await).await
}
