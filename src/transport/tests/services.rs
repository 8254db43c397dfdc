//! Services: half-close, back-pressure, denials.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use prunella_core::PeerId;

use super::testbed::{Mesh, Node, over_a_relay, soon};
use crate::transport::{ExposeError, ForwardError, ProviderPick, ServiceError};

fn pick(providers: &[PeerId]) -> ProviderPick {
    let providers = providers.to_vec();
    Arc::new(move |_| providers.clone())
}

fn anywhere() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A TCP server exposed by `provider` as "web", and where `user` listens for it.
async fn published(user: &Node, provider: &Node) -> (TcpListener, SocketAddr) {
    let server = TcpListener::bind(anywhere()).await.unwrap();
    provider.services.expose("web", &format!("tcp://{}", server.local_addr().unwrap())).unwrap();
    let listen = user.services.forward("web", anywhere(), pick(&[provider.peer()])).await.unwrap();
    (server, listen)
}

async fn connected(server: &TcpListener, listen: SocketAddr) -> (TcpStream, TcpStream) {
    let (client, served) = soon(async { tokio::join!(TcpStream::connect(listen), server.accept()) }).await;
    (client.unwrap(), served.unwrap().0)
}

async fn pair(mesh: &Mesh) -> (Node, Node) {
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    a.link_and_route(&mut b).await;
    (a, b)
}

#[tokio::test]
async fn each_direction_ends_on_its_own() {
    let mesh = Mesh::new();
    let (user, provider) = pair(&mesh).await;
    let (server, listen) = published(&user, &provider).await;
    for client_first in [true, false] {
        let (client, served) = connected(&server, listen).await;
        let (mut first, mut second) = if client_first { (client, served) } else { (served, client) };
        let mut heard = Vec::new();
        soon(async {
            first.write_all(b"all I have to say").await.unwrap();
            first.shutdown().await.unwrap();
            second.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"all I have to say");
            heard.clear();
            second.write_all(b"an answer after the end").await.unwrap();
            second.shutdown().await.unwrap();
            first.read_to_end(&mut heard).await.unwrap();
            assert_eq!(heard, b"an answer after the end");
        })
        .await;
    }
}

#[tokio::test]
async fn ten_megabytes_arrive_unchanged_over_a_relay() {
    let mesh = Mesh::new();
    let (near, _relay, far) = over_a_relay(&mesh).await;
    let (server, listen) = published(&near, &far).await;
    let (mut client, mut served) = connected(&server, listen).await;
    let mut sent = vec![0; 10_000_000];
    blake3::Hasher::new().finalize_xof().fill(&mut sent);
    let sending = async {
        client.write_all(&sent).await.unwrap();
        client.shutdown().await.unwrap();
    };
    let receiving = async {
        let mut received = Vec::new();
        served.read_to_end(&mut received).await.unwrap();
        received
    };
    let (_, received) = soon(async { tokio::join!(sending, receiving) }).await;
    assert_eq!(received.len(), sent.len());
    assert_eq!(blake3::hash(&received), blake3::hash(&sent));
}

#[tokio::test]
async fn an_abort_is_an_abort_on_the_other_side_too() {
    let mesh = Mesh::new();
    let (user, provider) = pair(&mesh).await;
    let (server, listen) = published(&user, &provider).await;
    for client_aborts in [true, false] {
        let (client, served) = connected(&server, listen).await;
        let (mut aborting, mut other) = if client_aborts { (client, served) } else { (served, client) };
        aborting.write_all(b"x").await.unwrap();
        let mut byte = [0];
        soon(other.read_exact(&mut byte)).await.unwrap();
        aborting.set_zero_linger().unwrap();
        drop(aborting);
        let error = soon(other.read(&mut byte)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "client aborts: {client_aborts}");
    }
    drained(&user).await;
}

#[tokio::test]
async fn an_abort_after_a_half_close_is_not_taken_for_the_end() {
    let mesh = Mesh::new();
    let (user, provider) = pair(&mesh).await;
    let (server, listen) = published(&user, &provider).await;
    for client_aborts in [true, false] {
        let (client, served) = connected(&server, listen).await;
        let (mut aborting, mut other) = if client_aborts { (client, served) } else { (served, client) };
        let mut byte = [0];
        other.shutdown().await.unwrap();
        assert_eq!(soon(aborting.read(&mut byte)).await.unwrap(), 0);
        aborting.write_all(b"x").await.unwrap();
        soon(other.read_exact(&mut byte)).await.unwrap();
        aborting.set_zero_linger().unwrap();
        drop(aborting);
        let cut = soon(other.read(&mut byte)).await;
        assert!(cut.is_err(), "client aborts: {client_aborts}; half an answer looks like a whole one: {cut:?}");
    }
}

/// Waits until no connection of the node's one forward is open.
async fn drained(user: &Node) {
    soon(async {
        while user.services.forwards()[0].open > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_slow_reader_slows_the_writer_down() {
    let mesh = Mesh::new();
    let (user, provider) = pair(&mesh).await;
    let (server, listen) = published(&user, &provider).await;
    let (mut client, mut served) = connected(&server, listen).await;
    let chunk = vec![3; 64 * 1024];
    let mut written = 0;
    // Nobody reads: the writer gets stuck, as soon as every window on the way is full.
    while let Ok(wrote) = tokio::time::timeout(Duration::from_millis(500), client.write(&chunk)).await {
        written += wrote.unwrap();
        assert!(written < 64 * 1024 * 1024, "somebody holds on to everything that is written");
    }
    let reading = async {
        let mut received = Vec::new();
        served.read_to_end(&mut received).await.unwrap();
        received.len()
    };
    let ending = async { client.shutdown().await.unwrap() };
    let (received, ()) = soon(async { tokio::join!(reading, ending) }).await;
    assert_eq!(received, written);
}

async fn failure(user: &Node, listen: SocketAddr) -> ServiceError {
    let failed = user.services.forwards()[0].failed;
    let mut client = TcpStream::connect(listen).await.unwrap();
    let ended = soon(client.read(&mut [0])).await;
    assert!(ended.is_err(), "a connection that reached nobody is reset, not ended: {ended:?}");
    let forward = user.services.forwards().remove(0);
    assert_eq!(forward.failed, failed + 1);
    forward.last_failure.unwrap()
}

#[tokio::test]
async fn each_failure_is_told_by_its_kind() {
    let mesh = Mesh::new();
    let (user, provider) = pair(&mesh).await;
    let (server, listen) = published(&user, &provider).await;

    provider.deny(user.peer(), "web");
    let denied = ServiceError::Denied { provider: provider.peer(), rule: "rule 7".to_owned() };
    assert_eq!(failure(&user, listen).await, denied);
    provider.denied.lock().unwrap().clear();

    drop(server);
    let down = ServiceError::TargetFailed { provider: provider.peer(), reason: "connection refused".to_owned() };
    assert_eq!(failure(&user, listen).await, down);

    assert!(provider.services.unexpose("web"));
    assert_eq!(failure(&user, listen).await, ServiceError::NotFound { name: "web".to_owned() });

    *user.routing.1.lock().unwrap() = Some("no path is known".to_owned());
    let error = user.services.open("web", &[mesh.credentials(9).peer()]).await.unwrap_err();
    assert!(matches!(error, ServiceError::Session { .. }), "{error}");
    let nobody = user.services.open("web", &[]).await.unwrap_err();
    assert_eq!(nobody, ServiceError::NotFound { name: "web".to_owned() });
}

#[tokio::test]
async fn the_next_provider_is_tried() {
    let mesh = Mesh::new();
    let (user, provider) = pair(&mesh).await;
    let mut without = mesh.node(3);
    let mut user = user;
    user.link_and_route(&mut without).await;
    let server = TcpListener::bind(anywhere()).await.unwrap();
    provider.services.expose("web", &server.local_addr().unwrap().to_string()).unwrap();
    let both = pick(&[without.peer(), provider.peer()]);
    let listen = user.services.forward("web", anywhere(), both).await.unwrap();
    let (client, _served) = connected(&server, listen).await;
    let forward = user.services.forwards().remove(0);
    assert_eq!((forward.open, forward.total, forward.failed), (1, 1, 0));
    drop((client, _served));
    drained(&user).await;
}

#[tokio::test]
async fn a_node_reaches_its_own_service() {
    let mesh = Mesh::new();
    let node = mesh.node(1);
    let (server, listen) = published(&node, &node).await;
    let (mut client, mut served) = connected(&server, listen).await;
    client.write_all(b"hello").await.unwrap();
    client.shutdown().await.unwrap();
    let mut heard = Vec::new();
    soon(served.read_to_end(&mut heard)).await.unwrap();
    assert_eq!(heard, b"hello");
}

#[tokio::test]
async fn listening_stops_and_connections_go_on() {
    let mesh = Mesh::new();
    let (user, provider) = pair(&mesh).await;
    let (server, listen) = published(&user, &provider).await;
    let (mut client, mut served) = connected(&server, listen).await;
    assert!(user.services.unforward(listen));
    assert!(!user.services.unforward(listen));
    soon(async {
        while TcpStream::connect(listen).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    client.write_all(b"x").await.unwrap();
    soon(served.read_exact(&mut [0])).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let mesh = Mesh::new();
    let node = mesh.node(1);
    assert!(matches!(node.services.expose("No Name", "localhost:1"), Err(ExposeError::Name { .. })));
    assert!(matches!(node.services.expose("web", "localhost"), Err(ExposeError::Target { .. })));
    let taken = TcpListener::bind(anywhere()).await.unwrap().into_std().unwrap();
    let listen = taken.local_addr().unwrap();
    let refused = node.services.forward("web", listen, pick(&[])).await;
    assert!(matches!(refused, Err(ForwardError::Listen { .. })));
    assert!(node.services.forwards().is_empty());
}
