use std::sync::atomic::Ordering;

use prunella_core::wire::{StreamOpen, StreamRefusal};

use super::testbed::{Mesh, Mortal, over_a_relay, soon};
use crate::transport::SessionError;

#[tokio::test]
async fn a_session_passes_a_relay() {
    let mesh = Mesh::new();
    let (near, relay, far) = over_a_relay(&mesh).await;
    let rtt = soon(near.sessions.ping(far.peer())).await.unwrap();
    assert!(rtt.as_secs() < 1);
    assert!(relay.port.link_stats().iter().map(|link| link.forwarded).sum::<u64>() > 0, "the relay forwarded");
    soon(far.sessions.ping(near.peer())).await.unwrap();
}

#[tokio::test]
async fn a_peer_is_dialed_once() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    a.link_and_route(&mut b).await;
    let (one, two, three) =
        soon(async { tokio::join!(a.sessions.ping(b.peer()), a.sessions.ping(b.peer()), a.sessions.ping(b.peer())) })
            .await;
    one.and(two).and(three).unwrap();
    soon(a.sessions.ping(b.peer())).await.unwrap();
    assert_eq!(a.routing.0.load(Ordering::Relaxed), 1);
    assert_eq!(a.sessions.peers(), [b.peer()]);
}

#[tokio::test]
async fn without_a_route_the_reason_is_told_at_once() {
    let mesh = Mesh::new();
    let (a, b) = (mesh.node(1), mesh.node(2));
    *a.routing.1.lock().unwrap() = Some("no path is known".to_owned());
    let error = soon(a.sessions.ping(b.peer())).await.unwrap_err();
    assert_eq!(error, SessionError::NoRoute { reason: "no path is known".to_owned() });
}

#[tokio::test]
async fn the_gate_is_asked_for_every_stream() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    a.link_and_route(&mut b).await;
    soon(a.sessions.ping(b.peer())).await.unwrap();
    b.deny(a.peer(), "ping");
    let error = soon(a.sessions.ping(b.peer())).await.unwrap_err();
    assert_eq!(error, SessionError::Refused(StreamRefusal::Denied { rule: "rule 7".to_owned() }));
    b.denied.lock().unwrap().clear();
    soon(a.sessions.ping(b.peer())).await.unwrap();
    assert_eq!(a.routing.0.load(Ordering::Relaxed), 1, "a refusal does not cost the session");
}

#[tokio::test]
async fn streams_that_nobody_picks_up_are_refused_as_busy() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    a.link_and_route(&mut b).await;
    let (sessions, peer) = (a.sessions.clone(), b.peer());
    let waiting = tokio::spawn(async move {
        let mut opening = tokio::task::JoinSet::new();
        for _ in 0..300 {
            let sessions = sessions.clone();
            opening.spawn(async move { sessions.open(peer, &StreamOpen::Message).await.map(|_| ()) });
        }
        opening.join_next().await.unwrap().unwrap()
    });
    assert_eq!(soon(waiting).await.unwrap(), Err(SessionError::Refused(StreamRefusal::Busy)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_with_a_restarted_peer_is_made_anew() {
    let mesh = Mesh::new();
    let mut a = mesh.node(1);
    let mut b = Mortal::start(&mesh, 2, 1, "127.0.0.1:0".parse().unwrap());
    let b_peer = b.node.peer();
    a.link_and_route(&mut b.node).await;
    soon(a.sessions.ping(b_peer)).await.unwrap();
    let address = b.kill().await;

    let mut b = Mortal::start(&mesh, 2, 2, address);
    a.link_and_route(&mut b.node).await;
    let asked = std::time::Instant::now();
    soon(a.sessions.ping(b_peer)).await.unwrap();
    assert!(asked.elapsed().as_secs() < 3, "the dead session was reset, not waited for: {:?}", asked.elapsed());
    assert_eq!(a.routing.0.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_peer_that_nothing_reaches_is_a_time_out() {
    let mesh = Mesh::new();
    let (a, b) = (mesh.node(1), mesh.node(2));
    assert_eq!(soon(a.sessions.ping(b.peer())).await, Err(SessionError::TimedOut));
}
