//! Certificates while the mesh runs: renewed without a connection noticing, listed, revoked and reinstated.

use prunella::api::Request;
use prunella::security::{self, Algorithm, CERTIFICATE_LIFE, Credentials, IssuingKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::echo::echo_server;
use super::mesh::{Mesh, Node, PATIENCE, Plan, invite, until};
use super::process::run;

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
    let smoke = node.run(&["cert", "smoke", "n1"]).await.ok();
    assert_eq!((smoke.matches("accepted in").count(), smoke.matches("refused:").count()), (3, 1), "{smoke}");
    assert!(smoke.contains("X25519 alone: refused: no key exchange in common"), "{smoke}");
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

/// Nodes of such a mesh link, and n0 reaches n2 over a relay. Then n3 comes with a certificate of Ed25519 from the very same
/// authority, and nobody has anything to do with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_of_ml_dsa_certificates_works_renews_and_refuses_a_node_of_ed25519() {
    let mut mesh = Mesh::found(Plan { certificates: "ml-dsa-65", ..Plan::diamond() }).await;
    let chain = |node: &Node| Credentials::load(&node.dir).unwrap().chain_ders();
    for node in &mesh.nodes {
        assert!(chain(node).iter().all(|der| Algorithm::of(der) == Ok(Algorithm::MlDsa65)), "{}", node.name);
    }
    mesh.nodes[2].expose("echo", echo_server().await).await;
    let mut tcp = TcpStream::connect(mesh.nodes[0].forward("echo").await).await.unwrap();
    tcp.write_all(b"over a relay").await.unwrap();
    let mut back = [0; 12];
    tcp.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"over a relay");

    let before = chain(&mesh.nodes[2]);
    mesh.nodes[2].run(&["cert", "rotate"]).await.ok();
    assert_ne!(chain(&mesh.nodes[2]), before);
    tcp.write_all(b"and later on").await.unwrap();
    tcp.read_exact(&mut back).await.unwrap();
    assert_eq!(&back, b"and later on", "the stream has not noticed");
    let list = mesh.nodes[0].run(&["cert", "list"]).await.ok();
    assert!(list.lines().filter(|line| line.starts_with("node")).all(|line| line.contains("ml-dsa-65")), "{list}");
    // Who is who, and what a ledger's head is, counts by both signatures: the others know both.
    let members = mesh.nodes[0].run(&["members"]).await.ok();
    assert!(members.contains("n2"), "{members}");
    let neighbor = mesh.nodes[1].peer.clone();
    until("n2's ledger to be witnessed", PATIENCE, async || {
        let exported = mesh.nodes[2].run(&["ledger", "export"]).await.ok();
        let last = exported.lines().rfind(|line| line.contains("cert rotate")).ok_or_else(|| exported.clone())?;
        let entry: prunella_core::ledger::Entry = serde_json::from_str(last).map_err(|error| error.to_string())?;
        let proof = mesh.nodes[2].run(&["ledger", "prove", &entry.index.to_string(), "--json"]).await;
        if proof.code == 0 && proof.stdout.contains(&neighbor) { Ok(()) } else { Err(format!("{proof:?}")) }
    })
    .await;
    let counted = mesh.nodes[0].status().await.unwrap().counters;
    assert_eq!(counted.get("rejected_unauthorized").copied().unwrap_or(0), 0, "{counted:?}");
    let smoke = mesh.nodes[0].run(&["cert", "smoke", "n1"]).await.ok();
    assert_eq!((smoke.matches("accepted in").count(), smoke.matches("ml-dsa-65").count()), (3, 2), "{smoke}");

    let authority = security::load_authority(&mesh.nodes[0].dir, None).unwrap();
    let node = &mut mesh.nodes[3];
    node.kill();
    let (member, now) = (Credentials::load(&node.dir).unwrap(), unix_now());
    let issuer = IssuingKey::appointed_by(&authority, now).unwrap();
    let classical = issuer.issue(member.peer(), now, CERTIFICATE_LIFE).unwrap();
    let classical = Credentials::new(member.identity().clone(), classical, &member.authority_ders()).unwrap();
    security::store(&node.dir, &classical).unwrap();
    node.start().await;
    until("n3 refused by name", PATIENCE, async || {
        let logs = [&mesh.nodes[0], &mesh.nodes[2], &mesh.nodes[3]].map(Node::log).concat();
        if logs.contains("of another algorithm") { Ok(()) } else { Err(logs) }
    })
    .await;
    assert_eq!(mesh.nodes[3].status().await.unwrap().links_up, 0);
    mesh.nodes[3].run(&["cert", "rotate"]).await.fails(1, &[]);
    // Back with what it had, it is a member again.
    mesh.nodes[3].kill();
    security::store(&mesh.nodes[3].dir, &member).unwrap();
    mesh.nodes[3].start().await;
    mesh.whole().await;
}

/// The founding node is gone for good; another one, which its authority had appointed, admits and renews.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_node_that_was_appointed_admits_and_renews_until_it_is_dismissed() {
    let mut mesh = Mesh::found(Plan::ring()).await;
    let (founder, other) = (&mesh.nodes[0], &mesh.nodes[1]);
    other.run(&["invite"]).await.fails(1, &["no issuing key"]);
    let key = other.run(&["authority", "request"]).await.ok();
    other.run(&["authority", "appoint", key.trim()]).await.fails(1, &["the authority's key is not here"]);
    let appointment = founder.run(&["authority", "appoint", key.trim()]).await.ok();
    let file = other.dir.join("appointment");
    std::fs::write(&file, appointment).unwrap();
    other.run(&["authority", "accept", file.to_str().unwrap()]).await.ok();
    founder.run(&["authority", "accept", file.to_str().unwrap()]).await.fails(1, &["do not belong"]);

    // The authority's key is offline from now on.
    let offline = mesh.nodes[2].dir.join("usb-stick");
    std::fs::rename(mesh.nodes[0].dir.join("authority.key"), &offline).unwrap();
    mesh.nodes[0].kill();
    let home = tempfile::tempdir().unwrap();
    let token = mesh.nodes[1].run(&["invite"]).await.ok();
    run(home.path(), &["join", token.trim()]).await.ok();
    mesh.nodes[2].run(&["cert", "rotate"]).await.ok();
    let by_other = mesh.nodes[2].run(&["cert", "show"]).await.ok();
    assert!(by_other.contains("problem      none"), "{by_other}");

    mesh.nodes[0].start().await;
    let dismiss = ["authority", "dismiss", key.trim(), "--key", offline.to_str().unwrap()];
    mesh.nodes[0].run(&dismiss).await.ok();
    until("the dismissal known", PATIENCE, async || {
        let list = mesh.nodes[1].run(&["cert", "list"]).await.ok();
        if list.contains("dismissed") { Ok(()) } else { Err(list) }
    })
    .await;
    // What it certified counts no more, and what it certifies does not either.
    mesh.nodes[2].run(&["cert", "rotate"]).await.fails(1, &[]);
}

/// One authority takes the place of another while the mesh runs, and every node is certified by it before the old one
/// goes; then nothing of the old one counts, and every node starts again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_authority_takes_over_and_the_old_one_retires() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    let old = mesh.nodes[0].run(&["authority", "show"]).await.ok();
    let old = old.lines().nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    mesh.nodes[0].run(&["authority", "retire", &old]).await.fails(2, &["does not retire itself"]);
    mesh.nodes[0].run(&["authority", "succeed"]).await.ok();
    until("both authorities trusted", PATIENCE, async || {
        let shown = mesh.nodes[1].run(&["authority", "show"]).await.ok();
        if shown.lines().count() == 3 { Ok(()) } else { Err(shown) }
    })
    .await;
    for node in &mesh.nodes {
        node.run(&["cert", "rotate"]).await.ok();
    }
    mesh.nodes[0].run(&["authority", "retire", &old]).await.ok();
    until("the old authority gone", PATIENCE, async || {
        let shown = mesh.nodes[1].run(&["authority", "show"]).await.ok();
        if shown.contains(&old) { Err(shown) } else { Ok(()) }
    })
    .await;
    for node in &mut mesh.nodes {
        node.kill();
        node.start().await;
    }
    mesh.whole().await;
    mesh.nodes[0].run(&["ping", "n1", "--count", "1"]).await.ok();
}

/// n1 is revoked before the authority changes. Who comes after that trusts nobody who said so then, and is told anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_hears_of_what_was_revoked_and_of_the_policy_that_was_set_under_an_authority_that_has_retired() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    let (issuer, revoked) = (&mesh.nodes[0], mesh.nodes[1].peer.clone());
    let old = issuer.run(&["authority", "show"]).await.ok();
    let old = old.lines().nth(1).unwrap().split_whitespace().next().unwrap();
    issuer.run(&["cert", "revoke", "n1", "--reason", "its disk was sold"]).await.ok();
    let policy = issuer.dir.join("mesh.toml");
    std::fs::write(&policy, "[[rule]]\neffect = \"allow\"\nfrom = [\"*\"]\naction = \"ping\"\n").unwrap();
    issuer.run(&["policy", "set", policy.to_str().unwrap()]).await.ok();
    issuer.run(&["authority", "succeed"]).await.ok();
    issuer.run(&["cert", "rotate"]).await.ok();
    issuer.run(&["authority", "retire", old]).await.ok();

    let home = tempfile::tempdir().unwrap();
    let mut newcomer = Node::new(home.path(), 2);
    run(&newcomer.dir, &["join", &invite(&issuer.dir).await]).await.ok();
    let config = format!("listen = \"{}\"\nbootstrap = [\"{}\"]\n", newcomer.listen, issuer.bootstrap());
    std::fs::write(newcomer.dir.join("config.toml"), config).unwrap();
    // In a test's mesh a node has links with those only that it is told of.
    let config = std::fs::read_to_string(issuer.dir.join("config.toml")).unwrap();
    std::fs::write(issuer.dir.join("config.toml"), config.replace(&revoked, &newcomer.peer)).unwrap();
    mesh.nodes[0].kill();
    mesh.nodes[0].start().await;
    newcomer.start().await;
    knows(&newcomer, &revoked).await;
    let list = newcomer.run(&["cert", "list"]).await.ok();
    assert!(list.contains("revoked: its disk was sold"), "{list}");
    until("the mesh's policy in force", PATIENCE, async || {
        let told = newcomer.run(&["policy", "show"]).await;
        if told.stdout.contains("mesh.toml") { Ok(()) } else { Err(format!("{told:?}")) }
    })
    .await;
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

fn unix_now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
