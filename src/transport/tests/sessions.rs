//! Sessions: end to end, over relays, across reroutes.

use std::sync::atomic::Ordering;
use std::time::Duration;

use prunella_core::wire::{StreamOpen, StreamRefusal};
use prunella_core::{Label, PeerId};

use super::testbed::{Mesh, Mortal, Node, over_a_relay, soon};
use crate::datapath::{Direction, Impairment, LaneRoute, Route};
use crate::transport::{MessageChannel, SessionError};

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
async fn who_sheds_load_takes_on_no_new_session_and_keeps_those_that_are_there() {
    let mesh = Mesh::new();
    let (mut a, mut b, mut c) = (mesh.node(1), mesh.node(2), mesh.node(3));
    a.link_and_route(&mut b).await;
    c.link_and_route(&mut b).await;
    soon(a.sessions.ping(b.peer())).await.unwrap();
    b.sheds.store(true, Ordering::Relaxed);
    assert_eq!(soon(c.sessions.ping(b.peer())).await, Err(SessionError::Overloaded));
    soon(a.sessions.ping(b.peer())).await.unwrap();
    b.sheds.store(false, Ordering::Relaxed);
    soon(c.sessions.ping(b.peer())).await.unwrap();
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

#[tokio::test]
async fn a_severed_session_ends_on_both_sides_and_a_new_one_is_dialed() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    a.link_and_route(&mut b).await;
    let (opened, inbound) =
        soon(async { tokio::join!(MessageChannel::open(&a.sessions, b.peer()), accepted(&mut b.messages)) }).await;
    let opened = opened.unwrap();
    b.sessions.sever(a.peer());
    assert!(soon(opened.receive()).await.is_err());
    assert!(soon(inbound.receive()).await.is_err());
    soon(a.sessions.ping(b.peer())).await.unwrap();
    a.sessions.sever(b.peer());
    assert!(a.sessions.peers().is_empty());
}

/// Gives lane 1 to `peer` a way: over the link that the route takes, then along these labels.
fn spread(node: &Node, peer: PeerId, labels: Vec<Label>) {
    let first = node.port.link_stats()[0].id;
    let route = Route { path: 2, first, labels };
    node.port.spread(peer, &[LaneRoute { lane: 1, route, hedge: None }]);
}

/// Opens streams one after the other and keeps them; by lane, how many streams there are then.
async fn open_spread(from: &Node, to: &mut Node, count: usize) -> (Vec<impl Sized + use<>>, Vec<u64>) {
    let mut kept = Vec::new();
    for _ in 0..count {
        let opening = from.sessions.open_spread(to.peer(), &StreamOpen::Message);
        let (opened, inbound) = soon(async { tokio::join!(opening, accepted(&mut to.messages)) }).await;
        kept.push((opened.unwrap(), inbound));
    }
    let streams = from.sessions.lanes(to.peer()).into_iter().map(|load| load.streams).collect();
    (kept, streams)
}

#[tokio::test]
async fn a_stream_takes_the_lane_with_the_fewest() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    a.link_and_route(&mut b).await;
    let (kept, streams) = open_spread(&a, &mut b, 2).await;
    assert_eq!(streams, [2, 0, 0], "no other lane has a way of its own");
    spread(&a, b.peer(), vec![]);
    let (more, streams) = open_spread(&a, &mut b, 5).await;
    assert_eq!(streams, [4, 3, 0]);
    assert_eq!(b.sessions.guests_of(a.peer()), 2, "one session for each lane");
    assert_eq!(a.sessions.peers(), [b.peer()]);
    drop(kept);
    drop(more);
    let bytes: Vec<bool> =
        a.sessions.lanes(b.peer()).iter().map(|load| load.streams == 0 && load.sent_bytes > 0).collect();
    assert_eq!(bytes, [true, true, false], "streams that are over do not count");
    soon(a.sessions.ping(b.peer())).await.unwrap();
    assert_eq!(a.routing.0.load(Ordering::Relaxed), 2, "what is not bulk takes the first lane");
    a.sessions.sever(b.peer());
    assert!(a.sessions.peers().is_empty());
}

#[tokio::test]
async fn a_lane_that_cannot_be_dialed_costs_a_moment_and_no_stream() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    a.link_and_route(&mut b).await;
    spread(&a, b.peer(), vec![Label(77)]);
    let (_kept, streams) = open_spread(&a, &mut b, 4).await;
    assert_eq!(streams, [4, 0, 0], "b passes nothing on over a label that it never gave");
}

/// Whoever hears its notices keeps it: it would be kept alive for ever, beside the one in its place.
#[tokio::test]
async fn a_session_that_was_let_go_ends_with_its_last_stream() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    a.link_and_route(&mut b).await;
    let (opened, inbound) =
        soon(async { tokio::join!(MessageChannel::open(&a.sessions, b.peer()), accepted(&mut b.messages)) }).await;
    a.sessions.discard(b.peer());
    soon(a.sessions.ping(b.peer())).await.unwrap();
    assert_eq!(b.sessions.guests_of(a.peer()), 2, "a stream lives on the first");
    drop((opened, inbound));
    soon(async {
        while b.sessions.guests_of(a.peer()) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

async fn accepted(inbox: &mut tokio::sync::mpsc::Receiver<crate::transport::Inbound>) -> MessageChannel {
    MessageChannel::accept(inbox.recv().await.unwrap()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_reroute_a_stream_goes_on_at_once_and_unchanged() {
    let mesh = Mesh::new();
    let (mut near, relay, mut far) = over_a_relay(&mesh).await;
    let mut spare = mesh.node(4);
    let ((near_link, _), (_, label_to_near)) = near.link(&mut spare).await;
    let ((far_link, _), (_, label_to_far)) = far.link(&mut spare).await;
    let far_peer = far.peer();
    let accepting = accepted(&mut far.messages);
    let (here, there) = soon(async { tokio::join!(MessageChannel::open(&near.sessions, far_peer), accepting) }).await;
    let here = here.unwrap();
    let message = |i: u32| i.to_be_bytes().repeat(20_000);
    let sending = async {
        for i in 0.. {
            here.send(&message(i)).await.unwrap();
        }
    };
    let receiving = async {
        let mut next = 0;
        let mut receive = async |count: u32| {
            for _ in 0..count {
                assert_eq!(there.receive().await.unwrap(), Some(message(next)));
                next += 1;
            }
        };
        receive(100).await;
        // The relay goes dark under load, long enough for time-outs to have doubled a few times.
        for direction in [Direction::Sent, Direction::Received] {
            near.port.impair(relay.address(), direction, Impairment::CUT, 0);
        }
        let silence = tokio::time::timeout(Duration::from_millis(1500), receive(u32::MAX)).await;
        assert!(silence.is_err(), "it is cut off");
        near.route(far.peer(), near_link, vec![label_to_far]);
        far.route(near.peer(), far_link, vec![label_to_near]);
        let rerouted = std::time::Instant::now();
        near.sessions.rerouted(far.peer(), 0);
        far.sessions.rerouted(near.peer(), 0);
        receive(1).await;
        let gap = rerouted.elapsed();
        receive(100).await;
        gap
    };
    let gap = soon(async {
        tokio::select! {
            gap = receiving => gap,
            () = sending => unreachable!("it does not end"),
        }
    })
    .await;
    assert!(gap < Duration::from_millis(200), "{gap:?}");
}
