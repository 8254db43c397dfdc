//! Services over the mesh behave like the TCP connections that they are, and failures are told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::echo::echo_server;
use super::mesh::{Mesh, OPEN_POLICY, PATIENCE, Plan, until};
use super::process::resident_bytes;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_direction_ends_by_itself() {
    let mesh = Mesh::found(Plan::diamond()).await;
    let (user, provider) = (&mesh.nodes[0], &mesh.nodes[2]);

    // The user ends first; the server answers afterwards.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    provider.expose("counts", listener.local_addr().unwrap()).await;
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let count = tcp.read_to_end(&mut Vec::new()).await.unwrap();
        tcp.write_all(count.to_string().as_bytes()).await.unwrap();
    });
    let mut tcp = TcpStream::connect(user.forward("counts").await).await.unwrap();
    tcp.write_all(&[7; 100_000]).await.unwrap();
    tcp.shutdown().await.unwrap();
    assert_eq!(in_time(rest(&mut tcp)).await, b"100000");

    // The server ends first; the user speaks afterwards.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    provider.expose("listens", listener.local_addr().unwrap()).await;
    let (heard, hearing) = oneshot::channel();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        tcp.write_all(b"that is all").await.unwrap();
        tcp.shutdown().await.unwrap();
        heard.send(rest(&mut tcp).await).unwrap();
    });
    let mut tcp = TcpStream::connect(user.forward("listens").await).await.unwrap();
    assert_eq!(in_time(rest(&mut tcp)).await, b"that is all");
    tcp.write_all(b"one more thing").await.unwrap();
    tcp.shutdown().await.unwrap();
    assert_eq!(in_time(hearing).await.unwrap(), b"one more thing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_mebibytes_arrive_as_they_were_sent() {
    let mesh = Mesh::found(Plan::diamond()).await;
    mesh.nodes[2].expose("echo", echo_server().await).await;
    let tcp = TcpStream::connect(mesh.nodes[0].forward("echo").await).await.unwrap();
    let (mut reader, mut writer) = tcp.into_split();
    let sent: Vec<u8> = (0..20 << 20).map(|at: u32| at.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    let hash = blake3::hash(&sent);
    tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    });
    let mut received = Vec::new();
    timeout(Duration::from_secs(40), reader.read_to_end(&mut received)).await.expect("it does not end").unwrap();
    assert_eq!((received.len(), blake3::hash(&received)), (20 << 20, hash));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_slows_the_writer_and_costs_no_memory() {
    let mesh = Mesh::found(Plan::pair()).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    mesh.nodes[1].expose("flood", listener.local_addr().unwrap()).await;
    let written = Arc::<AtomicU64>::default();
    let counter = Arc::clone(&written);
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut next = 0_u64;
        // The connection ends with the test.
        while tcp.write_all(&next.to_be_bytes().repeat(128)).await.is_ok() {
            counter.fetch_add(1024, Ordering::Relaxed);
            next += 1;
        }
    });
    let listen = mesh.nodes[0].forward("flood").await;
    let resident = || mesh.nodes.iter().map(|node| resident_bytes(node.pid())).max().unwrap();
    let before = resident();
    let mut tcp = TcpStream::connect(listen).await.unwrap();
    let mut last = (0, 0);
    until("the writer waiting for the reader", PATIENCE, async || {
        let now = written.load(Ordering::Relaxed);
        last = if now > 0 && now == last.0 { (now, last.1 + 1) } else { (now, 0) };
        // Checked every 20 ms.
        if last.1 > 25 { Ok(()) } else { Err(format!("{now} bytes are written")) }
    })
    .await;
    let ahead = written.load(Ordering::Relaxed);
    assert!(ahead < AHEAD_BYTES_MAX, "the writer is {ahead} bytes ahead of the reader");
    let grown = resident().saturating_sub(before);
    assert!(grown < AHEAD_BYTES_MAX, "{grown} bytes more are in use");

    for number in 0..2 * ahead / 1024 {
        let mut block = [0; 1024];
        in_time(tcp.read_exact(&mut block)).await.unwrap();
        assert_eq!(block.to_vec(), number.to_be_bytes().repeat(128));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_reached_is_reset_and_told() {
    let only_open = OPEN_POLICY.replacen(
        "action = \"connect\"",
        "action = \"connect\"\nservice = [\"open\", \"dead\", \"gone\"]",
        1,
    );
    let config = "[log]\nformat = \"json\"\n".parse().unwrap();
    let mesh = Mesh::found(Plan { policy: only_open, config, ..Plan::pair() }).await;
    let (user, provider) = (&mesh.nodes[0], &mesh.nodes[1]);
    let server = echo_server().await;
    for (name, target) in [("open", server), ("closed", server), ("dead", refusing()), ("gone", server)] {
        provider.expose(name, target).await;
    }
    let mut open = TcpStream::connect(user.forward("open").await).await.unwrap();
    open.write_all(b"hello").await.unwrap();
    open.shutdown().await.unwrap();
    assert_eq!(in_time(rest(&mut open)).await, b"hello");

    let gone = user.forward("gone").await;
    provider.run(&["expose", "--remove", "gone"]).await.ok();
    for (listen, service, why) in [
        (user.forward("closed").await, "closed", "denied by default: no rule allows it"),
        (user.forward("dead").await, "dead", "the target at"),
        (gone, "gone", "no node exposes a service named"),
    ] {
        // It may even be quicker than the connecting.
        let read = in_time(async { TcpStream::connect(listen).await?.read(&mut [0; 16]).await }).await;
        let is_reset = read.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset);
        assert!(is_reset, "{service}: {read:?} looks like an orderly end");
        let line = until(&format!("the failure of {service} told"), PATIENCE, async || {
            let log = user.log();
            let line = log.lines().find(|line| line.contains("WARN") && line.contains(service)).map(str::to_owned);
            line.ok_or(log)
        })
        .await;
        assert!(line.contains(why), "{service}: {line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_denied_ends_with_exit_code_three() {
    let no_ping = OPEN_POLICY.replace("action = \"ping\"", "action = \"message\"");
    let mesh = Mesh::found(Plan { policy: no_ping, ..Plan::pair() }).await;
    mesh.nodes[0].run(&["ping", "n1"]).await.fails(3, &["n1", "denied"]);
    let json = mesh.nodes[0].run(&["--json", "ping", "n1"]).await;
    assert!(json.stdout.contains("\"kind\":\"denied\"") || json.stdout.contains("\"kind\": \"denied\""), "{json:?}");
}

/// An address where nobody listens.
fn refusing() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

async fn rest(tcp: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    tcp.read_to_end(&mut bytes).await.unwrap();
    bytes
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it does not end")
}

/// More than the windows and buffers between writer and reader hold together.
const AHEAD_BYTES_MAX: u64 = 48 << 20;
