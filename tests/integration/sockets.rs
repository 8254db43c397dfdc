//! Nodes that read several sockets at one address.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::net::{Ipv4Addr, SocketAddr};

use prunella::datapath::{Threads, bind_several_udp, bind_udp};
use prunella::{MeshConfig, MeshNode};
use prunella_core::Rejected;
use quinn::Connection;

use crate::datapath::transfer;
use crate::rig::{Node, Tls, in_time, link};

const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
/// So many that it would be a wonder if all came to one of four sockets.
const SPOKES: usize = 12;

/// A node with four sockets, and its neighbors with one each, of which every one has a session with the next over it.
struct Wheel {
    hub: Node,
    spokes: Vec<Node>,
    rim: Vec<(Connection, Connection)>,
}

impl Wheel {
    async fn new() -> Self {
        let tls = Tls::new();
        let hub = Node::start_at((LOOPBACK, 0).into(), 4, 100, &tls);
        let spokes: Vec<Node> = (0..SPOKES as u8).map(|seed| Node::start(seed + 1, &tls)).collect();
        let label = |spoke: usize| 10 + spoke as u16;
        let links: Vec<_> =
            spokes.iter().enumerate().map(|(number, spoke)| link(spoke, &hub, 5, label(number))).collect();
        let mut rim = Vec::new();
        for (number, (spoke, ends)) in spokes.iter().zip(&links).enumerate() {
            let next = (number + 1) % SPOKES;
            spoke.route(&hub, 1, ends.left, &[]);
            hub.route(spoke, number as u32 + 1, ends.right, &[]);
            spoke.route(&spokes[next], 2, ends.left, &[label(next)]);
            spokes[next].route(spoke, 3, links[next].left, &[label(number)]);
            rim.push(tokio::join!(spoke.dial(&spokes[next]), spokes[next].accept()));
        }
        Self { hub, spokes, rim }
    }

    /// Everybody sends the hub something, and his neighbors over it; the hub answers.
    async fn turn(&self) {
        for (spoke, (dialed, accepted)) in self.spokes.iter().zip(&self.rim) {
            let (to_hub, at_hub) = tokio::join!(spoke.dial(&self.hub), self.hub.accept());
            tokio::join!(
                transfer(&to_hub, &at_hub, 1 << 20),
                transfer(&at_hub, &to_hub, 1 << 20),
                transfer(dialed, accepted, 1 << 20),
                transfer(accepted, dialed, 1 << 20),
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_socket_a_neighbor_comes_to_it_is_served_whole() {
    let wheel = Wheel::new().await;
    wheel.turn().await;
    let (counters, links) = (wheel.hub.port.counters(), wheel.hub.port.link_stats());
    let received: u64 = links.iter().map(|link| link.frames_received).sum();
    assert!(counters.read_aside > received / 4 && counters.read_aside < received, "{counters:?}");
    assert_eq!(counters.rejected, [0; Rejected::ALL.len()]);
    assert_eq!(counters.aside_full, 0, "nobody was in a hurry");
    assert_eq!(counters.forwarded, links.iter().map(|link| link.forwarded).sum::<u64>());
    for spoke in &wheel.spokes {
        let (here, there) = (&spoke.port.link_stats()[0], links.iter().find(|link| link.peer == spoke.id).unwrap());
        assert!(there.frames_received >= here.frames_sent - 10, "{here:?} {there:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_to_a_reader_that_is_gone_comes_to_the_others() {
    let mut wheel = Wheel::new().await;
    wheel.turn().await;
    wheel.hub.readers.shutdown().await;
    let before = wheel.hub.port.counters().read_aside;
    assert!(before > 0);
    wheel.turn().await;
    assert_eq!(wheel.hub.port.counters().read_aside, before, "only the first socket is there");
}

#[tokio::test]
async fn an_address_is_shared_within_a_node_and_with_nobody_else() {
    let threads = Threads::current();
    let sockets = bind_several_udp((LOOPBACK, 0).into(), 3, &threads).unwrap();
    let address = sockets[0].local_addr().unwrap();
    assert!(sockets.iter().all(|socket| socket.local_addr().unwrap() == address));
    assert_eq!(bound_at(address), 3);
    bind_several_udp(address, 3, &threads).expect_err("another node");
    bind_udp(address).expect_err("another program");
    drop(sockets);
    bind_udp(address).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_reads_as_many_sockets_as_its_configuration_says() {
    let dirs: Vec<_> = (0..4).map(|_| tempfile::tempdir().unwrap()).collect();
    let config = |name: &str| {
        let listen = SocketAddr::from((LOOPBACK, 0));
        MeshConfig { name: name.to_owned(), listen, sockets: 3, ..MeshConfig::default() }
    };
    let founder = in_time(MeshNode::found(&dirs[0], "mesh.test", config("founder"))).await.unwrap();
    let address = founder.local_addr().unwrap();
    assert_eq!(bound_at(address), 3);
    let mut members = Vec::new();
    for dir in &dirs[1..] {
        let invitation = founder.invite(crate::rig::PATIENCE).unwrap();
        members.push(in_time(MeshNode::join(dir, &invitation, config("member"))).await.unwrap());
    }
    for member in &members {
        founder.wait_for_peer(member.peer_id(), crate::rig::PATIENCE).await.unwrap();
    }
    for member in members {
        member.stop().await.unwrap();
    }
    founder.stop().await.unwrap();
    assert_eq!(bound_at(address), 0, "a node that has stopped holds none");
}

/// How many UDP sockets of this machine are bound to an IPv4 address.
fn bound_at(address: SocketAddr) -> usize {
    let SocketAddr::V4(address) = address else { panic!("an IPv4 address") };
    let place = format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port());
    let table = std::fs::read_to_string("/proc/net/udp").unwrap();
    table.lines().filter(|line| line.split_whitespace().nth(1) == Some(&place)).count()
}
