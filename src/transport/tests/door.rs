//! Handshakes that are begun and not ended, and how many are borne.

use std::net::SocketAddr;

use prunella_core::limits::HANDSHAKES_MAX;

use super::testbed::{Mesh, soon};
use crate::security::{LINK_ALPN, quinn_client, quinn_server, server_name};
use crate::transport::closing::told;
use crate::transport::quic::Door;

#[tokio::test]
async fn under_load_addresses_are_proven_first_and_beyond_the_bound_nobody_is_answered() {
    let mesh = Mesh::new();
    let (host, guest) = (mesh.credentials(1), mesh.credentials(2));
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = quinn::Endpoint::server(quinn_server(host.link_server()), loopback).unwrap();
    let address = server.local_addr().unwrap();
    let door = Door::new(server);
    let client = quinn::Endpoint::client(loopback).unwrap();
    let config = quinn_client(guest.client(LINK_ALPN));
    let dial = || client.connect_with(config.clone(), address, &server_name(&host.peer())).unwrap();

    // Nobody completes a handshake: all that come in are in progress.
    let mut held = Vec::new();
    for i in 0..HANDSHAKES_MAX {
        let connecting = dial();
        let (incoming, permit) = soon(door.next()).await.unwrap();
        let free = HANDSHAKES_MAX - i;
        assert_eq!(incoming.remote_address_validated(), free < HANDSHAKES_MAX / 2, "{free} are free");
        held.push((connecting, incoming, permit));
    }
    let one_more = dial();
    let refused = soon(async {
        tokio::select! {
            outcome = one_more => outcome.unwrap_err(),
            _ = door.next() => panic!("the bound is passed"),
        }
    })
    .await;
    assert_eq!(told(&refused), "the peer is too busy to answer");

    held.truncate(1);
    let (connecting, incoming, _permit) = held.pop().unwrap();
    let (served, dialed) = soon(async { tokio::join!(incoming.into_future(), connecting) }).await;
    assert!(served.is_ok() && dialed.is_ok(), "whoever was let in is served");
}

#[tokio::test]
async fn where_everybody_can_send_to_every_address_is_proven_first() {
    let mesh = Mesh::new();
    let (host, guest) = (mesh.credentials(1), mesh.credentials(2));
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = quinn::Endpoint::server(quinn_server(host.link_server()), loopback).unwrap();
    let address = server.local_addr().unwrap();
    let door = Door::proving(server);
    let client = quinn::Endpoint::client(loopback).unwrap();
    let config = quinn_client(guest.client(LINK_ALPN));
    for _ in 0..3 {
        let connecting = client.connect_with(config.clone(), address, &server_name(&host.peer())).unwrap();
        let (incoming, _permit) = soon(door.next()).await.unwrap();
        assert!(incoming.remote_address_validated(), "even though nothing else is going on");
        let (served, dialed) = soon(async { tokio::join!(incoming.into_future(), connecting) }).await;
        assert!(served.is_ok() && dialed.is_ok());
    }
}
