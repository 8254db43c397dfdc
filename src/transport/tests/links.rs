//! Links between nodes on loopback: duplicates, restarts, rejections.

use std::net::SocketAddr;
use std::sync::Arc;

use prunella_core::gossip::{Heard, Parting};
use prunella_core::reconcile::Message;
use prunella_core::wire::Control;
use prunella_core::wire::codec::encode_message;
use prunella_core::{Label, PeerId, Rejected};
use tokio::sync::oneshot;

use super::testbed::{Mesh, Mortal, Node, soon};
use crate::datapath::{Event, Threads};
use crate::security::{Credentials, JOIN_ALPN, LINK_ALPN, join_client, quinn_client, server_name};
use crate::transport::framing::framed;
use crate::transport::{LinkEvent, NotSent};

const SUMMARY: Control = Control::Reconcile(Message::Summary { root: [7; 32], items: 0, fresh: true });
const HEARD: Heard = Heard::Reconcile(Message::Summary { root: [7; 32], items: 0, fresh: true });

async fn received(node: &mut Node) -> (PeerId, Heard) {
    node.event(|event| match event {
        LinkEvent::Received { peer, message, .. } => Some((*peer, message.clone())),
        _ => None,
    })
    .await
}

async fn rejected(node: &mut Node) -> (Option<PeerId>, Rejected) {
    node.event(|event| match event {
        LinkEvent::Rejected { peer, reason } => Some((*peer, *reason)),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_link_carries_control_messages_both_ways_and_frames() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    let ((link, label), _) = a.link(&mut b).await;
    assert_ne!(label, Label(0));
    let snapshot = a.links.snapshot();
    assert_eq!((snapshot.len(), snapshot[0].link, snapshot[0].label), (1, link, label));
    assert_eq!((snapshot[0].remote, snapshot[0].dialed), (b.address(), true));

    a.links.send(b.peer(), &SUMMARY).unwrap();
    assert_eq!(received(&mut b).await, (a.peer(), HEARD));
    b.links.send(a.peer(), &SUMMARY).unwrap();
    assert_eq!(received(&mut a).await, (b.peer(), HEARD));

    a.port.send_probe(link, &[], 0, 99);
    let event = soon(a.frames.recv()).await.unwrap();
    assert!(matches!(event, Event::ProbeReturned { nonce: 99, .. }), "both ends derived the same keys: {event:?}");
}

#[tokio::test]
async fn whoever_asks_to_part_is_told_that_the_other_has() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    a.link(&mut b).await;
    a.links.send(b.peer(), &Control::Part).unwrap();
    let asked = b
        .event(|event| match event {
            LinkEvent::Parting { peer, parting } => Some((*peer, *parting)),
            _ => None,
        })
        .await;
    assert_eq!(asked, (a.peer(), Parting::Asked));
    b.links.part(a.peer());
    for (node, has_parted) in [(&mut a, true), (&mut b, false)] {
        let parted =
            node.event(|event| if let LinkEvent::Closed { parted, .. } = event { Some(*parted) } else { None });
        assert_eq!(parted.await, has_parted, "only the one who asked hears it from the other");
    }
}

#[tokio::test]
async fn two_nodes_that_dial_each_other_at_once_keep_the_same_link() {
    let mesh = Mesh::new();
    for round in 0..10 {
        let (mut a, mut b) = (mesh.node(1), mesh.node(2));
        let (a_peer, b_peer) = (a.peer(), b.peer());
        a.links.dial(b_peer, b.address());
        b.links.dial(a_peer, a.address());
        let preferred = |node: &Node, other: PeerId| {
            let by_me = node.peer() < other;
            move |event: &LinkEvent| match event {
                LinkEvent::Established { link, dialed, .. } if *dialed == by_me => Some(*link),
                _ => None,
            }
        };
        let (pick_a, pick_b) = (preferred(&a, b_peer), preferred(&b, a_peer));
        let (link_a, link_b) = tokio::join!(a.event(pick_a), b.event(pick_b));
        for (node, other, link) in [(&mut a, b_peer, link_a), (&mut b, a_peer, link_b)] {
            node.links.send(other, &SUMMARY).unwrap();
            let snapshot = node.links.snapshot();
            assert_eq!((snapshot.len(), snapshot[0].link), (1, link), "round {round}");
        }
        assert_eq!(received(&mut a).await.0, b_peer);
        assert_eq!(received(&mut b).await.0, a_peer);
        a.port.send_probe(link_a, &[], 0, round);
        assert!(matches!(soon(a.frames.recv()).await, Some(Event::ProbeReturned { .. })), "round {round}");
    }
}

/// Both ends would keep the link that took its place, and the one that heard of the other last would dial for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_lost_its_place_before_it_was_told_is_not_told() {
    let mesh = Mesh::new();
    let (mut small, mut large) = (mesh.node(1), mesh.node(2));
    if small.peer() > large.peer() {
        std::mem::swap(&mut small, &mut large);
    }
    let (held_up, release) = large.hold_up();
    large.links.dial(small.peer(), small.address());
    soon(held_up).await.unwrap();
    small.links.dial(large.peer(), large.address());
    let (kept, _) = large.established(small.peer()).await;
    drop(release);
    let next = large.event(|event| Some(event.clone())).await;
    assert!(matches!(&next, LinkEvent::DialFailed { reason, .. } if reason.contains("is kept")), "{next:?}");
    let snapshot = large.links.snapshot();
    assert_eq!((snapshot.len(), snapshot[0].link), (1, kept));
    assert_eq!(large.port.link_stats().len(), 1, "nothing is left of the other");
    small.event(|event| matches!(event, LinkEvent::Established { dialed: true, .. }).then_some(())).await;
    large.port.send_probe(kept, &[], 0, 7);
    assert!(matches!(soon(large.frames.recv()).await, Some(Event::ProbeReturned { nonce: 7, .. })));
}

#[tokio::test]
async fn dialing_again_replaces_the_link_and_keeps_its_label() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    // The preferred side dials: its connection wins over whatever is there.
    if a.peer() > b.peer() {
        std::mem::swap(&mut a, &mut b);
    }
    let ((link_a, label_a), (link_b, label_b)) = a.link(&mut b).await;
    let a_peer = a.peer();
    a.links.dial(b.peer(), b.address());
    for (node, other, old, label) in [(&mut a, b.peer(), link_a, label_a), (&mut b, a_peer, link_b, label_b)] {
        // In this order: an end without a successor would be a reason to dial.
        let (new, label_again) = node.established(other).await;
        assert!(new > old && label_again == label);
        let (closed, reason) = node.closed(other).await;
        assert!(closed == old && reason.contains("newer link"), "{reason}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_neighbor_resets_the_dead_link_at_once() {
    let mesh = Mesh::new();
    let mut a = mesh.node(1);
    let mut b = Mortal::start(&mesh, 2, 1, "127.0.0.1:0".parse().unwrap());
    let b_peer = b.node.peer();
    a.link(&mut b.node).await;
    let address = b.kill().await;

    let _b = Mortal::start(&mesh, 2, 2, address);
    let asked = std::time::Instant::now();
    a.links.send(b_peer, &SUMMARY).unwrap();
    let (_, reason) = a.closed(b_peer).await;
    assert!(reason.contains("restarted"), "{reason}");
    assert!(asked.elapsed().as_secs() < 3, "by a reset, not by time running out: {:?}", asked.elapsed());
    assert!(a.links.snapshot().is_empty());
    assert_eq!(a.links.send(b_peer, &SUMMARY), Err(NotSent::NoLink));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_neighbor_takes_the_place_of_its_former_life() {
    let mesh = Mesh::new();
    let mut a = mesh.node(1);
    let mut b = Mortal::start(&mesh, 2, 1, "127.0.0.1:0".parse().unwrap());
    let b_peer = b.node.peer();
    // The dead link is the preferred one, whichever side that is.
    if a.peer() < b_peer {
        a.link(&mut b.node).await;
    } else {
        b.node.link(&mut a).await;
    }
    let address = b.kill().await;

    let mut b = Mortal::start(&mesh, 2, 2, address);
    b.node.links.dial(a.peer(), a.address());
    b.node.established(a.peer()).await;
    let (mut closed, mut established) = (false, false);
    a.event(|event| {
        closed |= matches!(event, LinkEvent::Closed { .. });
        established |= matches!(event, LinkEvent::Established { .. });
        (closed && established).then_some(())
    })
    .await;
    let snapshot = a.links.snapshot();
    assert_eq!((snapshot.len(), snapshot[0].incarnation), (1, 2));
}

#[tokio::test]
async fn a_closed_link_is_told_on_both_sides_with_the_reason() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    let ((link, _), _) = a.link(&mut b).await;
    a.links.close(link, "quarantined");
    assert_eq!(a.closed(b.peer()).await, (link, "quarantined".to_owned()));
    assert!(b.closed(a.peer()).await.1.contains("decision"));
    assert!(a.port.link_stats().is_empty() && b.port.link_stats().is_empty());
}

#[tokio::test]
async fn a_node_that_goes_says_so() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    a.link(&mut b).await;
    soon(b.links.shut_down()).await;
    assert!(a.closed(b.peer()).await.1.contains("shutting down"));
}

#[tokio::test]
async fn somebody_else_at_the_address_is_no_neighbor() {
    let mesh = Mesh::new();
    let (mut a, b) = (mesh.node(1), mesh.node(2));
    a.links.dial(mesh.credentials(3).peer(), b.address());
    let reason = a.dial_failed().await;
    assert!(reason.contains("another node"), "{reason}");
}

#[tokio::test]
async fn a_stranger_is_no_neighbor_on_either_side() {
    let (mesh, other) = (Mesh::new(), Mesh::new());
    let (mut a, mut b) = (mesh.node(1), other.node(2));
    a.links.dial(b.peer(), b.address());
    let reason = a.dial_failed().await;
    assert!(reason.contains("stranger"), "{reason}");
    assert_eq!(rejected(&mut b).await, (None, Rejected::UnknownSender));
    assert!(a.links.snapshot().is_empty() && b.links.snapshot().is_empty());
}

#[tokio::test]
async fn an_unwanted_member_is_told_so() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    b.unwanted.lock().unwrap().insert(a.peer());
    a.links.dial(b.peer(), b.address());
    let reason = a.dial_failed().await;
    assert!(reason.contains("not accepted"), "{reason}");
    assert_eq!(rejected(&mut b).await, (Some(a.peer()), Rejected::Unauthorized));
}

#[tokio::test]
async fn only_one_dial_to_a_node_is_under_way() {
    let mesh = Mesh::new();
    let (mut a, b) = (mesh.node(1), mesh.node(2));
    a.links.dial(b.peer(), b.address());
    a.links.dial(b.peer(), b.address());
    let (mut established, mut failed) = (0, 0);
    a.event(|event| {
        match event {
            LinkEvent::Established { .. } => established += 1,
            LinkEvent::DialFailed { reason, .. } => {
                assert!(reason.contains("under way"), "{reason}");
                failed += 1;
            }
            _ => {}
        }
        (established == 1 && failed == 1).then_some(())
    })
    .await;
}

/// A member that does not run our code.
async fn odd_member(credentials: &Credentials, to: &Node) -> (quinn::Endpoint, quinn::Connection) {
    let endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let config = quinn_client(credentials.client(LINK_ALPN));
    let connecting = endpoint.connect_with(config, to.address(), &server_name(&to.peer())).unwrap();
    let connection = soon(connecting).await.unwrap();
    (endpoint, connection)
}

fn hello() -> Vec<u8> {
    framed(&encode_message(&Control::Hello { incarnation: 1, label: Label(1) }))
}

#[tokio::test]
async fn garbage_is_counted_by_name_and_in_the_end_closes_the_link() {
    let mesh = Mesh::new();
    let (mut a, odd) = (mesh.node(1), mesh.credentials(2));
    let (_endpoint, connection) = odd_member(&odd, &a).await;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    let again = hello();
    send.write_all(&[hello(), again, framed(b""), framed(&[9, 9]), framed(&encode_message(&SUMMARY))].concat())
        .await
        .unwrap();
    let from = Some(odd.peer());
    assert_eq!(rejected(&mut a).await, (from, Rejected::Malformed), "a second hello");
    assert_eq!(rejected(&mut a).await, (from, Rejected::Malformed));
    assert_eq!(rejected(&mut a).await, (from, Rejected::UnknownVersion));
    assert_eq!(received(&mut a).await.1, HEARD, "the link lives");
    send.write_all(&framed(b"").repeat(40)).await.unwrap();
    let (_, reason) = a.closed(odd.peer()).await;
    assert!(reason.contains("rejected"), "{reason}");
    assert_eq!(a.links.rejected_for(Rejected::Malformed), 2 + 32);
    assert_eq!(a.links.rejected_for(Rejected::UnknownVersion), 1);
}

#[tokio::test]
async fn an_oversized_message_is_counted_and_closes_the_link() {
    let mesh = Mesh::new();
    let (mut a, odd) = (mesh.node(1), mesh.credentials(2));
    let (_endpoint, connection) = odd_member(&odd, &a).await;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&[hello(), u32::MAX.to_be_bytes().to_vec()].concat()).await.unwrap();
    assert_eq!(rejected(&mut a).await, (Some(odd.peer()), Rejected::OverLimit));
    a.closed(odd.peer()).await;
    assert_eq!(a.links.rejected_for(Rejected::OverLimit), 1);
}

#[tokio::test]
async fn without_a_hello_there_is_no_link() {
    let mesh = Mesh::new();
    let (mut a, odd) = (mesh.node(1), mesh.credentials(2));
    let (_endpoint, connection) = odd_member(&odd, &a).await;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&framed(&encode_message(&SUMMARY))).await.unwrap();
    soon(connection.closed()).await;
    assert_eq!(rejected(&mut a).await, (Some(odd.peer()), Rejected::UnknownSender));
    assert!(a.links.snapshot().is_empty());
}

#[tokio::test]
async fn without_a_certificate_there_is_no_link() {
    let mesh = Mesh::new();
    let mut a = mesh.node(1);
    let time = Arc::new(rustls::time_provider::DefaultTimeProvider);
    let mut config = Arc::unwrap_or_clone(join_client(
        (a.credentials.authority_fingerprint(), a.credentials.algorithm()),
        Some("lab"),
        a.peer(),
        time,
    ));
    // Offers both, so that it is shown the authority's certificate; the server chooses.
    config.alpn_protocols = vec![LINK_ALPN.to_vec(), JOIN_ALPN.to_vec()];
    let endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let config = quinn_client(Arc::new(config));
    let connection = soon(endpoint.connect_with(config, a.address(), "x.invalid").unwrap()).await.unwrap();
    soon(connection.closed()).await;
    assert_eq!(rejected(&mut a).await, (None, Rejected::UnknownSender));
}

#[tokio::test]
async fn a_neighbor_that_does_not_read_fills_its_queue_and_nothing_else() {
    let mesh = Mesh::new();
    let (mut a, odd) = (mesh.node(1), mesh.credentials(2));
    let (_endpoint, connection) = odd_member(&odd, &a).await;
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&hello()).await.unwrap();
    a.established(odd.peer()).await;
    let big = Control::Push(vec![prunella_core::record::SignedRecord {
        bytes: vec![0; 60_000],
        signature: vec![],
        path: None,
    }]);
    let queue_full = async {
        loop {
            match a.links.send(odd.peer(), &big) {
                Ok(()) => tokio::task::yield_now().await,
                Err(error) => return error,
            }
        }
    };
    assert_eq!(soon(queue_full).await, NotSent::QueueFull);
    assert_eq!(a.links.dropped(), 1);
    let long = Control::Push(vec![prunella_core::record::SignedRecord {
        bytes: vec![0; 70_000],
        signature: vec![],
        path: None,
    }]);
    assert_eq!(a.links.send(odd.peer(), &long), Err(NotSent::TooLong));
}

/// Whatever actors compute, packets do not wait for it.
#[tokio::test]
async fn probes_are_answered_while_the_node_s_own_threads_do_something_else() {
    let mesh = Mesh::new();
    let mut a = mesh.node(1);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let inside = runtime.enter();
    let mut b = mesh.node_on(Threads::start(1).unwrap(), 2, 1, "127.0.0.1:0".parse().unwrap());
    drop(inside);
    let ((link, _), _) = a.link(&mut b).await;
    let ((busy, is_busy), (release, go_on)) = (oneshot::channel(), std::sync::mpsc::channel::<()>());
    runtime.spawn(async move {
        busy.send(()).unwrap();
        go_on.recv()
    });
    soon(is_busy).await.unwrap();
    a.port.send_probe(link, &[], 0, 7);
    assert!(matches!(soon(a.frames.recv()).await, Some(Event::ProbeReturned { nonce: 7, .. })));
    drop(release);
    runtime.shutdown_background();
}
