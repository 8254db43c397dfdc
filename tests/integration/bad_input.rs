//! What is wrong is told in one line that says what, where, and what to do; what is hostile is dropped and counted.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt;

use super::echo::{Echo, echo_server};
use super::mesh::{Mesh, Node, PATIENCE, Plan, free_address, until};
use super::process::{resident_bytes, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_configuration_is_told_by_place_key_and_way_out() {
    let (_home, node) = founded().await;
    let config = node.dir.join("config.toml");
    for (text, fragments) in [
        ("name = \"a\nlisten = 1", &["config.toml:1:", "not TOML"] as &[&str]),
        ("name = \"a\"\n[probe]\nlate_after = 7", &["config.toml:3:", "`probe.late_after`", "late_after_ms"]),
        ("listen = \"here\"", &["config.toml:1:", "`listen`"]),
        ("[paths]\ncount = 99", &["config.toml:2:", "`paths.count`", "99", "1 to 8"]),
        ("bootstrap = [\"nobody@127.0.0.1:1\"]", &["config.toml:1:", "`bootstrap", "PEERID@HOST:PORT"]),
    ] {
        fs::write(&config, text).unwrap();
        node.run(&["up"]).await.fails(1, fragments);
    }
    fs::remove_file(&config).unwrap();
    node.run(&["up", "--config", "/nowhere/config.toml"]).await.fails(1, &["/nowhere/config.toml", "check the path"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_policy_is_told_by_place_and_never_read_as_consent() {
    let mesh = Mesh::found(Plan::pair()).await;
    let node = &mesh.nodes[1];
    for (text, fragments) in [
        ("[[rule]]\neffect = \"allow\"\nfrom = [\"*\"]\naction = \"fly\"", &["policy.toml:4:", "fly"] as &[&str]),
        ("[[rule]]\neffect = \"allow\"\nfrm = [\"*\"]\naction = \"ping\"", &["policy.toml:3:", "frm"]),
        ("[[rule", &["policy.toml:1:"]),
    ] {
        fs::write(node.dir.join("policy.toml"), text).unwrap();
        node.run(&["policy", "--reload"]).await.fails(1, fragments);
        let shown = node.run(&["policy", "show"]).await.ok();
        assert!(shown.contains("to connect") && shown.contains("REFUSED as a whole: "), "{shown}");
        assert!(node.run(&["status"]).await.ok().contains("REFUSED as a whole: "));
        mesh.nodes[0].run(&["ping", "n1"]).await.ok();
    }
    fs::write(node.dir.join("policy.toml"), "").unwrap();
    node.run(&["policy", "--reload"]).await.ok();
    until("ping denied", PATIENCE, async || match mesh.nodes[0].run(&["ping", "n1"]).await {
        told if told.code == 3 => Ok(()),
        told => Err(format!("{told:?}")),
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_needs_and_others_have_is_named() {
    let mut mesh = Mesh::found(Plan::alone()).await;
    let (_home, mut other) = founded().await;
    let node = &mut mesh.nodes[0];

    // The port.
    let config = format!("listen = \"{}\"\n", node.listen);
    fs::write(other.dir.join("config.toml"), &config).unwrap();
    let port = node.listen.port().to_string();
    other.run(&["up"]).await.fails(1, &[&port, "in use", "listen"]);
    // The store.
    let config = format!("listen = \"{}\"\n[store]\ndirectory = {:?}\n", other.listen, node.dir.join("store"));
    fs::write(other.dir.join("config.toml"), config).unwrap();
    for arguments in [&["up"] as &[&str], &["up", "--rebuild"]] {
        other.run(arguments).await.fails(1, &["store at", "in use"]);
    }
    // Everything at once.
    node.run(&["up"]).await.fails(1, &["in use"]);
    node.run(&["init"]).await.fails(1, &["already belongs to a mesh"]);
    assert!(node.status().await.is_ok(), "the node that was there is still there");

    fs::write(other.dir.join("config.toml"), format!("listen = \"{}\"\n", other.listen)).unwrap();
    other.start().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_others_can_read_is_not_used() {
    let (_home, node) = founded().await;
    let key = node.dir.join("identity.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    node.run(&["up"]).await.fails(1, &["identity.key", "chmod 600"]);
    node.run(&["invite"]).await.fails(1, &["identity.key", "chmod 600"]);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(&key, "garbage").unwrap();
    node.run(&["up"]).await.fails(1, &["identity.key", "private key"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_things_are_named_and_the_exit_code_says_whose_turn_it_is() {
    let mesh = Mesh::found(Plan::alone()).await;
    let node = &mesh.nodes[0];
    node.run(&["status"]).await.ok();
    for command in ["ping", "paths", "trace"] {
        node.run(&[command, "nobody"]).await.fails(1, &["nobody", "prunella peers"]);
    }
    node.run(&["expose", "--remove", "nothing"]).await.fails(1, &["nothing", "prunella services"]);
    node.run(&["forward", "--remove", "127.0.0.1:1"]).await.fails(1, &["127.0.0.1:1", "prunella services"]);
    node.run(&["chaos", "link", "nobody", "--drop", "100%"]).await.fails(1, &["nobody"]);
    node.run(&["kill", "nobody"]).await.fails(2, &["nobody", "prunella actors"]);
    node.run(&["join", "not-a-token"]).await.fails(2, &["prunella1-"]);
    node.run(&["join", "prunella1-aaaa"]).await.fails(2, &["damaged", "copy it again"]);
    for usage in [&["dance"] as &[&str], &["ping"], &["expose", "Web", "tcp://127.0.0.1:1"]] {
        let told = node.run(usage).await;
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{told:?}");
        assert!(told.stderr.starts_with("error: "), "{told:?}");
    }
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken_address = taken.local_addr().unwrap().to_string();
    node.run(&["forward", "web", &taken_address]).await.fails(1, &[&taken_address, "in use"]);

    let home = tempfile::tempdir().unwrap();
    let nowhere = home.path().join("nowhere");
    run(&nowhere, &["status"]).await.fails(1, &["no node is running", "prunella up"]);
    run(&nowhere, &["up"]).await.fails(1, &["prunella init", "prunella join"]);
    run(&nowhere, &["invite"]).await.fails(1, &["prunella init"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_store_stops_the_start_and_is_refilled_by_the_neighbors() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    mesh.nodes[0].expose("web", SocketAddr::from(([127, 0, 0, 1], 9))).await;
    mesh.nodes[1].stop().await;
    let node = &mut mesh.nodes[1];
    let data = node.dir.join("store/db");
    let mut bytes = fs::read(&data).unwrap();
    // From what is written first to what is written last.
    bytes.iter_mut().skip(100).step_by(7).for_each(|byte| *byte ^= 0x55);
    fs::write(&data, bytes).unwrap();
    node.run(&["up"]).await.fails(1, &["store at", "is damaged", "--rebuild"]);

    let mut command = super::process::Process::up_with(&node.dir, &node.log_file(), &["--rebuild"]);
    command.assert_runs();
    node.process = Some(command);
    node.answers().await;
    assert!(node.log().contains("set aside"), "{}", node.log());
    mesh.whole().await;
    mesh.nodes[1].forward("web").await;
    let aside = fs::read_dir(&mesh.nodes[1].dir).unwrap();
    let aside = aside.filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("damaged"));
    assert_eq!(aside.count(), 1, "the damaged store is kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_packets_are_dropped_counted_and_change_nothing() {
    let mesh = Mesh::found(Plan::pair()).await;
    let target = &mesh.nodes[1];
    target.expose("echo", echo_server().await).await;
    let echo = Echo::start(mesh.nodes[0].forward("echo").await).await;
    // Once before counting, so that what is only allocated once is allocated.
    flood(target.listen, 200).await;
    let resident = resident_bytes(target.pid());
    let before = target.status().await.unwrap().counters;
    flood(target.listen, 3000).await;
    echo.goes_on().await;

    until("the packets counted", PATIENCE, async || {
        let now = target.status().await?.counters;
        let grown = |name: &str| now[name] - before[name];
        let counted = (grown("frames_from_strangers"), grown("quic_received") + grown("quic_dropped"));
        // The kernel may drop what comes faster than it is read.
        if counted.0 > 1000 && counted.1 > 1000 { Ok(()) } else { Err(format!("{counted:?}")) }
    })
    .await;
    let grown = resident_bytes(target.pid()).saturating_sub(resident);
    assert!(grown < FLOOD_BYTES_MAX, "{grown} bytes more are in use after the flood");
    mesh.nodes[0].run(&["ping", "n1"]).await.ok();
    assert_eq!(target.status().await.unwrap().links_up, 1);
    assert_eq!(target.actors().await.unwrap().iter().map(|actor| actor.restarts).sum::<u64>(), 0);
    echo.finish().await;
}

/// A mesh of one node that was founded and does not run.
async fn founded() -> (tempfile::TempDir, Node) {
    let home = tempfile::tempdir().unwrap();
    let node = Node::new(home.path(), 0);
    run(&node.dir, &["init", "--listen", &free_address().to_string()]).await.ok();
    (home, node)
}

/// Sends `rounds` of each: noise, frames of strangers (whole, truncated, oversized, of unknown kinds), and QUIC Initials
/// of connections that nobody goes on with.
async fn flood(target: SocketAddr, rounds: usize) {
    let send = move || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let mut noise = Noise(0x9e37_79b9_7f4a_7c15);
        for round in 0..rounds {
            let mut bytes = [0; 1400];
            bytes.iter_mut().for_each(|byte| *byte = noise.next());
            for (first, length) in [(noise.next() & !0x40, 1 + round % 1400), (1, 47), (1, 48), (2, 1400), (63, 64)] {
                bytes[0] = first;
                socket.send_to(&bytes[..length], target).unwrap();
            }
            for (first, length) in [(0xc0, 1200), (0xc3, 40), (0x40, 30), (0xff, 1400)] {
                bytes[0] = first;
                bytes[1..5].copy_from_slice(&1_u32.to_be_bytes());
                // Connection ids of eight bytes; no token; a length that fits the packet.
                (bytes[5], bytes[14], bytes[23]) = (8, 8, 0);
                bytes[24..26].copy_from_slice(&(0x4000_u16 | (length as u16).saturating_sub(26)).to_be_bytes());
                socket.send_to(&bytes[..length], target).unwrap();
            }
            if round % 20 == 19 {
                // Not for synchronization: faster than the node can read, the kernel would drop most of it.
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
        }
    };
    tokio::task::spawn_blocking(send).await.unwrap();
}

/// Bytes without a pattern (xorshift).
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 as u8
    }
}

/// Most bytes that a flood may leave in use: receive buffers and handshakes are bounded in number.
const FLOOD_BYTES_MAX: u64 = 24 << 20;
