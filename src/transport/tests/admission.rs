//! Joining over real QUIC: admitted once, refused by name.

use std::net::SocketAddr;
use std::time::Duration;

use prunella_core::identity::Identity;
use prunella_core::wire::admission::Refusal;

use super::testbed::{Mesh, soon};
use crate::host::Machine;
use crate::security::postquantum::HybridKeys;
use crate::security::{Credentials, JOIN_ALPN, Refused, quinn_client, server_name};
use crate::transport::{JoinError, join};

fn keys(identity: &Identity) -> HybridKeys {
    HybridKeys::generate(identity.clone()).unwrap()
}

#[tokio::test]
async fn a_host_joins_once_and_is_a_member() {
    let mesh = Mesh::new();
    let inviter = mesh.node(1);
    let token = mesh.invite(inviter.peer(), vec![inviter.address()]);
    let identity = Identity::from_secret(&[9; 32]);
    let membership = soon(join(&Machine::shared(), &token, &identity, &keys(&identity))).await.unwrap();
    assert_eq!(membership.neighbors, vec![(inviter.peer(), vec![inviter.address()])]);
    let credentials = Credentials::new(identity.clone(), membership.chain, &membership.authorities).unwrap();
    assert_eq!((credentials.peer(), credentials.trust_domain().as_str()), (identity.peer(), "lab"));

    assert_eq!(
        soon(join(&Machine::shared(), &token, &identity, &keys(&identity))).await,
        Err(JoinError::Refused(Refusal::Replayed))
    );
}

#[tokio::test]
async fn one_address_that_answers_is_enough() {
    let mesh = Mesh::new();
    let inviter = mesh.node(1);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let token = mesh.invite(inviter.peer(), vec![silent.local_addr().unwrap(), inviter.address()]);
    let started = std::time::Instant::now();
    soon(join(&Machine::shared(), &token, &Identity::from_secret(&[9; 32]), &keys(&Identity::from_secret(&[9; 32]))))
        .await
        .unwrap();
    assert!(started.elapsed() < Duration::from_secs(4), "the silent address was not waited for");
}

#[tokio::test]
async fn a_token_of_another_mesh_is_not_shown() {
    let (mesh, other) = (Mesh::new(), Mesh::new());
    let node = other.node(1);
    let token = mesh.invite(node.peer(), vec![node.address()]);
    let error = soon(join(
        &Machine::shared(),
        &token,
        &Identity::from_secret(&[9; 32]),
        &keys(&Identity::from_secret(&[9; 32])),
    ))
    .await
    .unwrap_err();
    assert_eq!(error, JoinError::WrongMesh { address: node.address(), reason: Refused::Stranger });
}

#[tokio::test]
async fn a_token_of_another_inviter_is_not_shown() {
    let mesh = Mesh::new();
    let node = mesh.node(1);
    let token = mesh.invite(mesh.credentials(2).peer(), vec![node.address()]);
    let error = soon(join(
        &Machine::shared(),
        &token,
        &Identity::from_secret(&[9; 32]),
        &keys(&Identity::from_secret(&[9; 32])),
    ))
    .await
    .unwrap_err();
    assert_eq!(error, JoinError::WrongMesh { address: node.address(), reason: Refused::NotDialed });
}

#[tokio::test]
async fn nobody_there_is_told_with_every_address() {
    let mesh = Mesh::new();
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let token = mesh.invite(mesh.credentials(1).peer(), vec![address]);
    let error = soon(join(
        &Machine::shared(),
        &token,
        &Identity::from_secret(&[9; 32]),
        &keys(&Identity::from_secret(&[9; 32])),
    ))
    .await
    .unwrap_err();
    assert!(matches!(&error, JoinError::NotReachable { tried } if tried.contains(&address.to_string())), "{error}");
    let identity = Identity::from_secret(&[9; 32]);
    let nowhere = mesh.invite(mesh.credentials(1).peer(), vec![]);
    assert_eq!(soon(join(&Machine::shared(), &nowhere, &identity, &keys(&identity))).await, Err(JoinError::NoAddress));
}

#[tokio::test]
async fn garbage_in_place_of_a_request_closes_the_connection() {
    let mesh = Mesh::new();
    let node = mesh.node(1);
    let endpoint = quinn::Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let config = quinn_client(mesh.credentials(2).client(JOIN_ALPN));
    let connecting = endpoint.connect_with(config, node.address(), &server_name(&node.peer())).unwrap();
    let connection = soon(connecting).await.unwrap();
    let (mut send, _recv) = connection.open_bi().await.unwrap();
    send.write_all(&[0, 0, 0, 2, 77, 77]).await.unwrap();
    soon(connection.closed()).await;
    assert!(node.links.snapshot().is_empty(), "such a connection is never a link");
}
