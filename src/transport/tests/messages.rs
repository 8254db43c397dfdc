//! Message channels between two nodes.

use std::time::Duration;

use prunella_core::limits::MESSAGE_BYTES_MAX;

use super::testbed::{Mesh, Node, soon};
use crate::transport::{MessageChannel, MessageError};

async fn channel(a: &mut Node, b: &mut Node) -> (MessageChannel, MessageChannel) {
    a.link_and_route(b).await;
    let peer = b.peer();
    let accepting = async { MessageChannel::accept(b.messages.recv().await.unwrap()).await.unwrap() };
    let (opened, accepted) = soon(async { tokio::join!(MessageChannel::open(&a.sessions, peer), accepting) }).await;
    (opened.unwrap(), accepted)
}

#[tokio::test]
async fn messages_arrive_whole_in_order_and_both_ways_until_the_end() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    let (here, there) = channel(&mut a, &mut b).await;
    assert_eq!((here.peer(), there.peer()), (b.peer(), a.peer()));
    let sent: Vec<Vec<u8>> = [0, 1, 70_000, MESSAGE_BYTES_MAX].iter().map(|n| vec![5; *n]).collect();
    let sending = async {
        for message in &sent {
            here.send(message).await.unwrap();
        }
        here.close().await.unwrap();
    };
    let receiving = async {
        for message in &sent {
            assert_eq!(there.receive().await.unwrap().as_ref(), Some(message));
        }
        assert_eq!(there.receive().await.unwrap(), None);
        there.send(b"the other direction is still open").await.unwrap();
    };
    soon(async { tokio::join!(sending, receiving) }).await;
    assert!(soon(here.receive()).await.unwrap().is_some());
}

#[tokio::test]
async fn a_message_over_the_limit_is_refused_and_the_channel_lives() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    let (here, there) = channel(&mut a, &mut b).await;
    let error = here.send(&vec![0; MESSAGE_BYTES_MAX + 1]).await.unwrap_err();
    assert!(matches!(error, MessageError::TooLong { .. }));
    here.send(b"still here").await.unwrap();
    assert_eq!(soon(there.receive()).await.unwrap().as_deref(), Some(b"still here".as_slice()));
}

#[tokio::test]
async fn a_cancelled_send_does_not_garble_what_follows() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    let (here, there) = channel(&mut a, &mut b).await;
    // Until the windows are full, and a send is cancelled in the middle of its message.
    let mut started = 0u64;
    loop {
        started += 1;
        let message = vec![started as u8; MESSAGE_BYTES_MAX];
        if tokio::time::timeout(Duration::from_millis(500), here.send(&message)).await.is_err() {
            break;
        }
        assert!(started < 200, "somebody holds on to everything that is sent");
    }
    let sending = async {
        here.send(b"after").await.unwrap();
        here.close().await.unwrap();
    };
    let receiving = async {
        for i in 1..=started {
            let message = there.receive().await.unwrap().unwrap();
            assert_eq!(message, vec![i as u8; MESSAGE_BYTES_MAX]);
        }
        assert_eq!(there.receive().await.unwrap().as_deref(), Some(b"after".as_slice()));
        assert_eq!(there.receive().await.unwrap(), None);
    };
    soon(async { tokio::join!(sending, receiving) }).await;
}

#[tokio::test]
async fn a_peer_that_vanishes_is_an_error_and_not_an_end() {
    let mesh = Mesh::new();
    let (mut a, mut b) = (mesh.node(1), mesh.node(2));
    let (here, there) = channel(&mut a, &mut b).await;
    here.send(b"hello").await.unwrap();
    soon(there.receive()).await.unwrap();
    soon(a.sessions.shut_down()).await;
    assert!(matches!(soon(there.receive()).await, Err(MessageError::Lost { .. })));
    assert!(matches!(soon(there.send(b"x")).await, Err(MessageError::Lost { .. })));
}
