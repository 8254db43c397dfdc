//! What grows with the mesh is told in pages, whole, over every surface.

use std::collections::BTreeSet;

use prunella::api::vocabulary::{ServiceInfo, TopologyNode};
use prunella::{PeerId, Request, Response};
use prunella_core::limits::CONTROL_LINE_BYTES_MAX;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::crowd::settle;
use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

/// Nodes that are known beside the two that run.
const CROWD: usize = 1500;

/// All pages of a list, one by one, as a program gets them.
async fn pages(node: &Node, first: Request) -> Vec<Response> {
    let (mut pages, mut next) = (Vec::new(), Some(first));
    while let Some(request) = next {
        let answer = node.ask(&request).await.unwrap();
        assert!(serde_json::to_vec(&answer).unwrap().len() < CONTROL_LINE_BYTES_MAX);
        next = request.next_page(&answer);
        pages.push(answer);
        assert!(pages.len() < 20, "{request:?} has no end");
    }
    pages
}

/// What is told, page by page: each of it once, in its order, on more than one page.
fn whole<T: Ord + Clone + std::fmt::Debug>(pages: &[Response], of: impl Fn(&Response) -> Vec<T>) -> Vec<T> {
    let told: Vec<T> = pages.iter().flat_map(of).collect();
    assert!(pages.len() > 1, "{} on one page", told.len());
    assert!(told.is_sorted_by(|a, b| a < b), "something is told twice, or out of order");
    told
}

/// Over HTTP, at the node's own socket.
pub(super) async fn get(node: &Node, path: &str) -> Value {
    let mut stream = UnixStream::connect(node.dir.join("http.sock")).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).await.unwrap();
    let (head, body) = told.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{told}");
    serde_json::from_str(body).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_grows_with_the_mesh_is_told_in_pages_and_printed_whole() {
    let mut mesh = Mesh::found(Plan { policy: everything(), ..Plan::pair() }).await;
    mesh.nodes[0].stop().await;
    settle(&mesh.nodes[0].dir, CROWD);
    mesh.nodes[0].start().await;
    let node = &mesh.nodes[0];
    until("the crowd to be known", PATIENCE, async || {
        let status = node.status().await?;
        let members = status.members.alive + status.members.suspect + status.members.down;
        let is_all = (status.peers_known, members, status.links_up) == (CROWD + 2, CROWD + 2, 1);
        if is_all { Ok(()) } else { Err(format!("{} nodes, {members} members", status.peers_known)) }
    })
    .await;

    let peers = pages(node, Request::Peers { after: None }).await;
    let told: Vec<PeerId> = whole(&peers, |page| match page {
        Response::Peers { peers, .. } => peers.iter().map(|info| info.peer).collect(),
        other => panic!("{other:?}"),
    });
    assert_eq!(told.len(), CROWD + 2);
    let members = pages(node, Request::Members { after: None }).await;
    let of_members = whole(&members, |page| match page {
        Response::Members(standing) => standing.members.iter().map(|info| info.peer).collect(),
        other => panic!("{other:?}"),
    });
    assert_eq!(of_members, told);
    let topology = pages(node, Request::Topology { after: None }).await;
    let nodes = |page: &Response| match page {
        Response::Topology(info) => info.nodes.iter().map(|TopologyNode { peer, .. }| *peer).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(whole(&topology, nodes), told);
    let services = pages(node, Request::Services { after: None, after_provider: None }).await;
    let of_services = whole(&services, |page| match page {
        Response::Services { services, .. } => {
            services.iter().map(|ServiceInfo { name, provider, .. }| (name.clone(), *provider)).collect()
        }
        other => panic!("{other:?}"),
    });
    assert_eq!(of_services.len(), 2 * CROWD);
    // Clusters are told in their order, whose members are not that of all.
    let regions = pages(node, Request::Regions { from: 0 }).await;
    let clusters = regions.iter().flat_map(|page| match page {
        Response::Regions(info) => &info.clusters,
        other => panic!("{other:?}"),
    });
    let clustered: Vec<PeerId> = clusters.flat_map(|cluster| cluster.members.iter().copied()).collect();
    let once: BTreeSet<PeerId> = clustered.iter().copied().collect();
    assert!(clustered.len() >= CROWD && once.len() == clustered.len(), "{} of {}", once.len(), clustered.len());

    // The command line gathers them: here, as JSON, and from afar.
    let printed = node.run(&["peers"]).await.ok();
    assert_eq!(printed.lines().filter(|line| line.contains("crowd-")).count(), CROWD);
    let json: Value = serde_json::from_str(&node.run(&["--json", "members"]).await.ok()).unwrap();
    assert_eq!((json["members"].as_array().unwrap().len(), &json["more"]), (CROWD + 2, &Value::Bool(false)));
    let afar = mesh.nodes[1].run(&["--node", "n0", "services"]).await.ok();
    assert_eq!(afar.lines().filter(|line| line.starts_with("service-")).count(), CROWD);

    // Over HTTP whoever asks goes on by itself.
    let first = get(node, "/v1/peers").await;
    let last = first["peers"].as_array().unwrap().last().unwrap()["peer"].as_str().unwrap().to_owned();
    let second = get(node, &format!("/v1/peers?after={last}")).await;
    let count = |page: &Value| page["peers"].as_array().unwrap().len();
    assert_eq!((first["more"].as_bool(), count(&first) + count(&second)), (Some(true), CROWD + 2));
    let rest = get(node, "/v1/services?after=service-98").await;
    let names: BTreeSet<&str> =
        rest["services"].as_array().unwrap().iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!((names, &rest["forwards"]), (BTreeSet::from(["service-99"]), &serde_json::json!([])));
}

fn everything() -> String {
    "cedar = '''\n@name(\"all\")\npermit (principal, action, resource);\n'''\n".to_owned()
}
