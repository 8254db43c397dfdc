//! Certificates while the mesh runs: renewed without a connection noticing, listed, revoked and reinstated.

use prunella::api::Request;
use prunella::security::Credentials;

use super::mesh::{Mesh, Node, PATIENCE, Plan, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_renewed_on_request_and_no_connection_notices() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[1];
    let before = Credentials::load(&node.dir).unwrap().chain_ders();
    let established = node.links().await.unwrap()[0].established;
    let told = node.run(&["cert", "rotate"]).await.ok();
    assert!(told.contains("node") && told.contains("issuer") && told.contains("authority"), "{told}");
    assert_ne!(Credentials::load(&node.dir).unwrap().chain_ders(), before);
    assert_eq!(node.links().await.unwrap()[0].established, established, "the link is the same");
    node.run(&["ping", "n0", "--count", "1"]).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_listed_shown_and_audited() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[0];
    let list = node.run(&["cert", "list"]).await.ok();
    for (role, name) in [("node", "n0"), ("node", "n1"), ("issuer", ""), ("authority", "")] {
        assert!(list.lines().any(|line| line.starts_with(role) && line.contains(name)), "{role} {name}: {list}");
    }
    let shown = node.run(&["cert", "show", "n1"]).await.ok();
    assert!(shown.contains(&format!("spiffe://test.prunella/node/{}", mesh.nodes[1].peer)), "{shown}");
    node.run(&["cert", "show", "nobody"]).await.fails(1, &["no certificate of \"nobody\""]);
    assert!(node.run(&["cert", "audit"]).await.ok().contains("nothing is wrong"));
}

/// n2 is revoked on n0, which has no link with it: n1 hears it by gossip, and n3 was away meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_node_is_out_everywhere_for_ever_until_it_is_reinstated() {
    let mut mesh = Mesh::found(Plan::diamond()).await;
    mesh.nodes[3].kill();
    let revoked = mesh.nodes[2].peer.clone();
    mesh.nodes[1].run(&["cert", "revoke", "n2"]).await.fails(1, &["holds no issuing key"]);
    mesh.nodes[0].run(&["cert", "revoke", "n0"]).await.fails(2, &["would revoke itself"]);
    mesh.nodes[0].run(&["cert", "revoke", "n2", "--reason", "its disk was sold"]).await.ok();
    no_link(&mesh.nodes[1], &revoked).await;
    mesh.nodes[1].run(&["ping", "n2", "--count", "1"]).await.fails(1, &[]);

    // Whoever was away hears it, too, and whoever was killed has not forgotten it.
    mesh.nodes[3].start().await;
    no_link(&mesh.nodes[3], &revoked).await;
    knows(&mesh.nodes[3], &revoked).await;
    for number in [1, 3] {
        mesh.nodes[number].kill();
        mesh.nodes[number].start().await;
        let list = mesh.nodes[number].run(&["cert", "list"]).await.ok();
        assert!(list.contains("revoked: its disk was sold"), "{list}");
        no_link(&mesh.nodes[number], &revoked).await;
    }
    mesh.nodes[2].run(&["cert", "rotate"]).await.fails(1, &[]);

    mesh.nodes[0].run(&["cert", "reinstate", "zzz"]).await.fails(1, &["no node that begins with"]);
    mesh.nodes[0].run(&["cert", "reinstate", &revoked]).await.ok();
    mesh.whole().await;
    mesh.nodes[1].run(&["ping", "n2", "--count", "1"]).await.ok();
}

/// Waits until a node has no link with another, and stays without one.
async fn no_link(node: &Node, peer: &str) {
    until("the link gone", PATIENCE, async || {
        let links = node.links().await?;
        let has = links.iter().any(|link| link.peer.to_string() == peer && link.state == "up");
        if has { Err(format!("{links:?}")) } else { Ok(()) }
    })
    .await;
}

async fn knows(node: &Node, peer: &str) {
    until("the revocation known", PATIENCE, async || {
        let told = node.ask(&Request::Certificates).await.map_err(|error| error.to_string())?;
        let text = format!("{told:?}");
        if text.contains(peer) && text.contains("revoked") { Ok(()) } else { Err(text) }
    })
    .await;
}
