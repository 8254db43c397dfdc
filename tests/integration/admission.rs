//! Who is not let in, and what is told: tokens, certificates, files, logs.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use prunella::api::setup::{self, InviteOptions};
use prunella::security::{self, CERTIFICATE_LIFE, Credentials, IssuingKey};

use super::mesh::{Mesh, Node, PATIENCE, Plan, invite, until};
use super::process::run;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_admits_one_host_once() {
    let mesh = Mesh::found(Plan::alone()).await;
    let home = tempfile::tempdir().unwrap();
    let token = invite(&mesh.nodes[0].dir).await;
    run(&home.path().join("first"), &["join", &token]).await.ok();
    let second = home.path().join("second");
    run(&second, &["join", &token]).await.fails(1, &["already used", "prunella invite"]);
    assert!(!second.join("certificate.pem").exists());

    let another = invite(&mesh.nodes[0].dir).await;
    run(&second, &["join", &another]).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_token_stays_used_when_the_inviter_was_killed() {
    let mut mesh = Mesh::found(Plan::alone()).await;
    let home = tempfile::tempdir().unwrap();
    let token = invite(&mesh.nodes[0].dir).await;
    run(&home.path().join("first"), &["join", &token]).await.ok();
    mesh.nodes[0].kill();
    mesh.nodes[0].start().await;
    run(&home.path().join("second"), &["join", &token]).await.fails(1, &["already used"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_that_are_not_good_are_told_apart() {
    let (mesh, other) = tokio::join!(Mesh::found(Plan::alone()), Mesh::found(Plan::alone()));
    let (inviter, stranger) = (&mesh.nodes[0], &other.nodes[0]);
    let home = tempfile::tempdir().unwrap();

    let life = Duration::from_secs(1);
    let short = setup::invite(&inviter.dir, InviteOptions { life, addresses: vec![inviter.listen] }).unwrap();
    // Over at the beginning of the second after the next.
    until("the token expired", PATIENCE, async || {
        let parsed: security::Token = short.parse().unwrap();
        if unix_now() >= parsed.expires_unix { Ok(()) } else { Err("not yet".to_owned()) }
    })
    .await;
    run(&home.path().join("late"), &["join", &short]).await.fails(1, &["expired", "prunella invite"]);

    // A token of one mesh whose inviter is looked for at the address of another's.
    let life = Duration::from_secs(600);
    let astray = setup::invite(&stranger.dir, InviteOptions { life, addresses: vec![inviter.listen] }).unwrap();
    run(&home.path().join("astray"), &["join", &astray]).await.fails(1, &["is not the token's inviter"]);

    let good = invite(&inviter.dir).await;
    let (id, signature) = ("prunella1-".len() + 4, good.len() - 4);
    for (at, code, why) in [(4, 2, "begins with"), (id, 1, "not made by this mesh's"), (signature, 1, "not made by")] {
        let told = run(&home.path().join("tampered"), &["join", &altered(&good, at)]).await;
        told.fails(code, &["token", why]);
    }
    assert!(home.path().read_dir().unwrap().all(|entry| !entry.unwrap().path().join("certificate.pem").exists()));
    run(&home.path().join("good"), &["join", &good]).await.ok();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_of_the_same_name_is_another_mesh() {
    // Both have the trust domain test.prunella: the name proves nothing, the authority does.
    let (mut mesh, mut other) = tokio::join!(Mesh::found(Plan::alone()), Mesh::found(Plan::alone()));
    let (member, stranger) = (&mut mesh.nodes[0], &mut other.nodes[0]);
    introduce(member, stranger).await;
    is_refused(member, stranger, "not issued by this mesh's authority").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_trust_domain_gets_no_link() {
    let mut mesh = Mesh::found(Plan::alone()).await;
    let home = tempfile::tempdir().unwrap();
    let mut stranger = Node::new(home.path(), 0);
    let listen = stranger.listen.to_string();
    run(&stranger.dir, &["init", "--trust-domain", "other.prunella", "--listen", &listen]).await.ok();
    stranger.start().await;
    introduce(&mut mesh.nodes[0], &mut stranger).await;
    is_refused(&mesh.nodes[0], &stranger, "another mesh: its trust domain").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_certificate_expired_while_it_was_away_is_taken_back_but_not_for_ever() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    let authority = security::load_authority(&mesh.nodes[0].dir, None).unwrap();
    for (days_ago, is_back) in [(29, true), (40, false)] {
        let node = &mut mesh.nodes[1];
        node.kill();
        let credentials = Credentials::load(&node.dir).unwrap();
        let issued = unix_now() - days_ago * 24 * 3600;
        let then = IssuingKey::appointed_by(&authority, issued).unwrap();
        let expired = then.issue(credentials.peer(), issued, CERTIFICATE_LIFE).unwrap();
        credentials.replace_certificate(expired).unwrap();
        security::store(&node.dir, &credentials).unwrap();
        node.start().await;
        if is_back {
            mesh.whole().await;
            assert!(Credentials::load(&mesh.nodes[1].dir).unwrap().certificate_expiry_unix() > unix_now());
        } else {
            let node = &mesh.nodes[1];
            until("the node told what to do", PATIENCE, async || {
                let told = node.log().contains("ask for a token with `prunella invite`");
                if told { Ok(()) } else { Err(node.log()) }
            })
            .await;
            assert_eq!(node.status().await.unwrap().links_up, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_the_owners_and_never_logged() {
    let config = "[log]\nlevel = \"trace\"\n".parse().unwrap();
    let mut mesh = Mesh::found(Plan { config, ..Plan::pair() }).await;
    mesh.nodes[0].run(&["ping", "n1"]).await.ok();
    let token = invite(&mesh.nodes[0].dir).await;
    let home = tempfile::tempdir().unwrap();
    run(home.path(), &["join", &token]).await.ok();
    for node in &mut mesh.nodes {
        node.stop().await;
    }
    let keys = [
        "n0/identity.key",
        "n0/authority.key",
        "n0/issuing.key",
        "n1/identity.key",
        "n0/postquantum.key",
        "n1/postquantum.key",
    ];
    let logs: String = mesh.nodes.iter().map(Node::log).collect();
    assert!(logs.contains("node is up") && logs.contains("link established"), "there is no log to look into");
    assert!(!logs.contains(&token), "a token is in the log");
    for key in keys {
        let path = mesh.nodes[0].dir.parent().unwrap().join(key);
        assert_eq!(mode(&path), 0o600, "{key}");
        let secret = secret_body(&path);
        assert!(!logs.contains(&secret), "{key} is in the log");
        let raw = data_encoding::BASE64.decode(secret.as_bytes()).unwrap();
        let hex = data_encoding::HEXLOWER.encode(&raw[raw.len() - 32..]);
        assert!(!logs.to_lowercase().contains(&hex), "{key} is in the log as hexadecimal digits");
    }
    for node in &mesh.nodes {
        assert_eq!((mode(&node.dir), mode(&node.dir.join("store"))), (0o700, 0o700), "{}", node.name);
    }
    let readable: BTreeSet<String> =
        files(&mesh.nodes[0].dir).into_iter().filter(|(_, mode)| mode & 0o077 != 0).map(|(name, _)| name).collect();
    let public = ["authority.pem", "certificate.pem", "config.toml", "issuing.pem", "policy.toml", "statements"]
        .map(String::from);
    let unexpected: Vec<_> = readable.iter().filter(|name| !public.contains(name)).collect();
    assert!(unexpected.is_empty(), "readable by others: {unexpected:?}");
}

// --- Meshes that meet ------------------------------------------------------------------------------------------------

/// Configures each to dial the other, and starts both again.
async fn introduce(a: &mut Node, b: &mut Node) {
    let (to_a, to_b) = (a.bootstrap(), b.bootstrap());
    for (node, other) in [(&mut *a, to_b), (&mut *b, to_a)] {
        node.kill();
        let peer = other.split_once('@').unwrap().0.to_owned();
        let config = format!(
            "name = {:?}\nlisten = \"{}\"\nbootstrap = [{other:?}]\n[neighbors]\npeers = [{peer:?}]\n",
            node.name, node.listen
        );
        fs::write(node.dir.join("config.toml"), config).unwrap();
    }
    a.start().await;
    b.start().await;
}

/// Waits until `member` has turned `stranger` away, and checks that there is no link and that a log says why.
async fn is_refused(member: &Node, stranger: &Node, why: &str) {
    until("the stranger turned away", PATIENCE, async || {
        let rejected = member.status().await?.counters["rejected_unknown_sender"];
        let logs = [member.log(), stranger.log()].concat();
        let is_told = logs.contains(why);
        if rejected > 0 && is_told { Ok(()) } else { Err(format!("{rejected} rejections and {logs}")) }
    })
    .await;
    for node in [member, stranger] {
        let status = node.status().await.unwrap();
        assert_eq!(status.links_up, 0, "{}", node.name);
        assert!(node.links().await.unwrap().iter().all(|link| link.established == 0 && link.state != "up"));
    }
}

// --- Tokens and files ------------------------------------------------------------------------------------------------

/// The text with another letter at one place.
fn altered(text: &str, at: usize) -> String {
    let other = if text.as_bytes()[at] == b'a' { "b" } else { "a" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

fn secret_body(path: &Path) -> String {
    let pem = fs::read_to_string(path).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    assert!(body.len() > 40, "{} holds no key", path.display());
    body
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn files(dir: &Path) -> Vec<(String, u32)> {
    let file = |entry: std::io::Result<fs::DirEntry>| {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        entry.file_type().unwrap().is_file().then(|| (name, mode(&entry.path())))
    };
    fs::read_dir(dir).unwrap().filter_map(file).collect()
}

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}
