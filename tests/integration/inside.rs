//! What a node tells of its gossip, its records, its store and its journal, also while actors are stuck.

use std::collections::BTreeSet;

use prunella::api::ErrorKind;
use prunella::api::vocabulary::{GossipInfo, RECORD_KINDS, RecordInfo, StoreInfo};
use prunella::{Request, Response};
use serde_json::Value;
use toml::Table;

use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

async fn gossip(node: &Node) -> GossipInfo {
    match node.ask(&Request::Gossip).await {
        Ok(Response::Gossip(info)) => info,
        other => panic!("{other:?}"),
    }
}

async fn store(node: &Node) -> StoreInfo {
    match node.ask(&Request::Store).await {
        Ok(Response::Store(info)) => info,
        other => panic!("{other:?}"),
    }
}

async fn records(node: &Node, of: Option<&str>, kind: Option<&str>) -> Vec<RecordInfo> {
    let request = Request::Records { node: of.map(str::to_owned), kind: kind.map(str::to_owned), after: None };
    match node.ask(&request).await {
        Ok(Response::Records { records, more: false }) => records,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_and_records_are_told_as_they_are_held() {
    let mesh = Mesh::found(Plan::pair()).await;
    let (node, other) = (&mesh.nodes[0], &mesh.nodes[1]);
    node.expose("web", ([127, 0, 0, 1], 9).into()).await;
    until("both to hold the same", PATIENCE, async || {
        let info = gossip(other).await;
        let told = info.told.ok_or("the actor does not answer")?;
        let [neighbor] = &told.neighbors[..] else { return Err(format!("{told:?}")) };
        let is_told = neighbor.in_sync && neighbor.agreed_ms.is_some() && neighbor.held_there.is_some();
        if is_told && neighbor.eager && told.waiting == 0 { Ok(()) } else { Err(format!("{neighbor:?}")) }
    })
    .await;
    let info = gossip(other).await;
    assert!(info.sent_bytes > 0 && info.received_bytes > 0, "{info:?}");
    assert!(info.messages.iter().any(|kind| kind.kind == "summary" && kind.received > 0), "{info:?}");
    // They differ for a moment whenever either has measured its link anew.
    until("the command to say so as well", PATIENCE, async || match other.run(&["gossip"]).await.ok() {
        told if told.contains("the same") => Ok(()),
        told => Err(told.to_owned()),
    })
    .await;

    let all = records(other, None, None).await;
    assert!(all.is_sorted_by(|a, b| a.id.id() < b.id.id()), "{all:?}");
    let kinds: BTreeSet<&str> = all.iter().map(|info| info.id.kind.as_str()).collect();
    assert!(["links", "node", "service"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    assert!(kinds.iter().all(|kind| RECORD_KINDS.contains(kind)), "{kinds:?}");
    let services = records(other, Some("n0"), Some("service")).await;
    let [service] = &services[..] else { panic!("{services:?}") };
    assert_eq!((service.id.origin.to_string(), service.id.key.as_str()), (node.peer.clone(), "web"));
    assert!(service.signatures == 1 && service.bytes > 64 && service.expires_unix_ms > service.issued_unix_ms);
    let one: Value = serde_json::from_str(&other.run(&["--json", "records", "n0/service/web"]).await.ok()).unwrap();
    assert_eq!((&one["id"], &one["body"]), (&service.id.to_string().into(), &"Service".into()));
    assert!(one["signature"].as_str().unwrap().len() == 128 && one["signed"].as_str().unwrap().len() > 64, "{one}");
    let printed = other.run(&["records", "n0", "--kind", "service"]).await.ok();
    assert_eq!(printed.lines().filter(|line| line.starts_with("n0") && line.contains("web")).count(), 1, "{printed}");
    for (wrong, told) in [("n0/rumor", "kind"), ("n0/service/files", "no record"), ("n0", "no record's id")] {
        let error = other.ask(&Request::Record { id: wrong.to_owned() }).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(told), "{error}");
    }
    let page = super::pages::get(other, &format!("/v1/records?node=n0&kind=service&after={}", service.id)).await;
    assert_eq!(page["records"].as_array().map(Vec::len), Some(0), "{page}");
    let whole = super::pages::get(other, &format!("/v1/records/{}", service.id)).await;
    assert_eq!(whole["item"], one["item"]);

    // What the actor alone knows is missing while it is stuck; the rest is told.
    other.run(&["chaos", "actor", "gossip", "--how", "stall", "--for", "60s"]).await.ok();
    let info = gossip(other).await;
    assert!(info.told.is_none() && info.received_bytes > 0, "{info:?}");
    assert!(other.run(&["gossip"]).await.ok().contains("does not answer"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_store_is_told_while_it_fails_and_its_writer_is_stuck() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    node.expose("web", ([127, 0, 0, 1], 9).into()).await;
    node.all_kept().await;
    let info = store(node).await;
    assert!(info.state == "well" && info.writes > 0 && info.disk_bytes > 0 && info.failure.is_none(), "{info:?}");
    let entries = |tree: &str| info.trees.iter().find(|info| info.tree == tree).unwrap().entries;
    assert!(entries("records") > Some(0) && entries("meta").is_some(), "{info:?}");
    let printed = node.run(&["store"]).await.ok();
    assert!(printed.contains("state      well") && printed.contains("records "), "{printed}");

    node.run(&["chaos", "disk", "--full", "--for", "60s"]).await.ok();
    let _ = node.ask(&Request::Expose { name: "files".to_owned(), target: "tcp://127.0.0.1:9".to_owned() }).await;
    until("the store to be seen to fail", PATIENCE, async || {
        let info = store(node).await;
        let told = info.state == "failing" && info.failures > 0 && info.failure.is_some() && info.waiting > 0;
        if told { Ok(()) } else { Err(format!("{info:?}")) }
    })
    .await;
    node.run(&["chaos", "clear"]).await.ok();
    until("the store to be well again", PATIENCE, async || {
        let info = store(node).await;
        let told = info.state == "well" && info.waiting == 0 && info.failure.is_some();
        if told { Ok(()) } else { Err(format!("{info:?}")) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_is_told_by_role_and_that_there_is_none() {
    let inputs = |on: bool| Table::from_iter([("inputs".to_owned(), toml::Value::from(on))]);
    for is_recorded in [true, false] {
        let config = Table::from_iter([("journal".to_owned(), inputs(is_recorded).into())]);
        let mesh = Mesh::found(Plan { config, ..Plan::alone() }).await;
        let node = &mesh.nodes[0];
        let Ok(Response::Journal(info)) = node.ask(&Request::Journal).await else { panic!("no answer") };
        let printed = node.run(&["journal"]).await.ok();
        assert_eq!(
            (info.recording, info.run.is_some(), info.roles.is_empty()),
            (is_recorded, is_recorded, !is_recorded)
        );
        assert_eq!(printed.contains("recording  for "), is_recorded, "{printed}");
        if !is_recorded {
            continue;
        }
        let gossip = info.roles.iter().find(|role| role.role == "gossip").unwrap();
        assert!(gossip.entries > 0 && gossip.files == 1 && (gossip.dropped, gossip.gaps) == (0, 0), "{gossip:?}");
        assert!(info.bytes >= gossip.bytes && info.since_unix_ms.is_some(), "{info:?}");
        assert!(std::path::Path::new(&info.run.unwrap()).is_dir());
    }
}
