//! A link follows its neighbor to another address, and nobody else.

use std::net::SocketAddr;

use prunella::datapath::{Event, LinkInstall};
use prunella_core::frame::{FrameKey, HEADER_BYTES, Header, Kind, Labels, stamp};
use prunella_core::{Label, LinkId, PeerId, Tag};
use tokio::net::UdpSocket;

use crate::rig::{Node, Tls, in_time, until};

#[tokio::test]
async fn a_link_leads_where_its_neighbor_answers() {
    let (mut node, neighbor) = scene().await;
    neighbor.send(&neighbor.home, &neighbor.probe(5)).await;
    assert_eq!(neighbor.hears(&neighbor.home).await[0], Kind::Echo as u8);

    let new = socket().await;
    neighbor.send(&new, &neighbor.probe(6)).await;
    assert_eq!(neighbor.hears(&new).await[0], Kind::Echo as u8, "it is answered where it is");
    let asked = neighbor.hears(&new).await;
    assert_eq!(asked[0], Kind::Probe as u8);
    neighbor.send(&new, &neighbor.echo(7, &asked)).await;
    assert_eq!(node.event(moved).await, (LINK, new.local_addr().unwrap()));
    node.port.send_probe(LINK, &[], 0, 9);
    assert_eq!(neighbor.hears(&new).await[HEADER_BYTES..HEADER_BYTES + 8], 9u64.to_be_bytes());
    assert_eq!(node.port.counters().unknown_source, 0);
    assert_eq!(node.port.link_stats()[0].frames_received, 3, "all of them are the neighbor's");

    // And back again.
    neighbor.send(&neighbor.home, &neighbor.probe(8)).await;
    neighbor.hears(&neighbor.home).await;
    let asked = neighbor.hears(&neighbor.home).await;
    neighbor.send(&neighbor.home, &neighbor.echo(9, &asked)).await;
    assert_eq!(node.event(moved).await, (LINK, neighbor.home.local_addr().unwrap()));
}

#[tokio::test]
async fn who_brings_the_frames_of_a_neighbor_draws_nothing_to_himself() {
    let (mut node, neighbor) = scene().await;
    neighbor.send(&neighbor.home, &neighbor.probe(5)).await;
    neighbor.hears(&neighbor.home).await;
    let thief = socket().await;
    let strangers = [
        ("what was taken before", neighbor.probe(5)),
        ("what is older than what was taken", neighbor.probe(4)),
        ("what was sealed by somebody else", sealed(Kind::Probe, 0, 6, &FrameKey::from_bytes([9; 16]), &[0; 16])),
        ("what is marked by somebody else", marked(Tag(1), Kind::Probe, 0, 6, &neighbor.key, &[0; 16])),
        ("the probe of a path", sealed(Kind::Probe, 3, 6, &neighbor.key, &[0; 16])),
        ("data", sealed(Kind::Data, 0, 6, &neighbor.key, b"sealed")),
        ("garbage", vec![2; 64]),
    ];
    for (count, (what, frame)) in strangers.into_iter().enumerate() {
        neighbor.send(&thief, &frame).await;
        until(what, || node.port.counters().unknown_source == count as u64 + 1).await;
    }
    // One that it was the first to bring is answered, and that is all: what was sent to it does not come back.
    neighbor.send(&thief, &neighbor.probe(6)).await;
    neighbor.hears(&thief).await;
    let asked = neighbor.hears(&thief).await;
    let other = socket().await;
    neighbor.send(&other, &neighbor.echo(7, &asked)).await;
    let mut made_up = asked;
    made_up[HEADER_BYTES] ^= 1;
    neighbor.send(&thief, &neighbor.echo(8, &made_up)).await;
    until("both are dealt with", || node.port.link_stats()[0].frames_received == 4).await;
    node.port.send_probe(LINK, &[], 0, 10);
    assert_eq!(neighbor.hears(&neighbor.home).await[HEADER_BYTES..HEADER_BYTES + 8], 10u64.to_be_bytes());
    assert!(node.events.try_recv().is_err(), "nothing has moved");
}

/// A link's other end in the hands of the test.
struct Neighbor {
    home: UdpSocket,
    key: FrameKey,
    node: SocketAddr,
}

const LINK: LinkId = LinkId(1);

fn peer() -> PeerId {
    PeerId::from_public_key([7; 32])
}

async fn scene() -> (Node, Neighbor) {
    let node = Node::start(1, &Tls::new());
    let neighbor = Neighbor { home: socket().await, key: FrameKey::from_bytes([1; 16]), node: node.address() };
    node.port.install_link(LinkInstall {
        id: LINK,
        peer: peer(),
        remote: neighbor.home.local_addr().unwrap(),
        label: Label(1),
        send_key: FrameKey::from_bytes([2; 16]),
        receive_key: neighbor.key.clone(),
        may_relay: true,
    });
    (node, neighbor)
}

impl Neighbor {
    fn probe(&self, sequence: u64) -> Vec<u8> {
        sealed(Kind::Probe, 0, sequence, &self.key, &[0; 16])
    }

    /// The answer to a probe.
    fn echo(&self, sequence: u64, probe: &[u8]) -> Vec<u8> {
        sealed(Kind::Echo, 0, sequence, &self.key, &probe[HEADER_BYTES..])
    }

    async fn send(&self, from: &UdpSocket, datagram: &[u8]) {
        from.send_to(datagram, self.node).await.unwrap();
    }

    /// The next datagram that comes there.
    async fn hears(&self, at: &UdpSocket) -> Vec<u8> {
        let mut buffer = [0; 2048];
        let length = in_time(at.recv(&mut buffer)).await.unwrap();
        buffer[..length].to_vec()
    }
}

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

fn sealed(kind: Kind, path: u32, sequence: u64, key: &FrameKey, payload: &[u8]) -> Vec<u8> {
    marked(peer().tag(), kind, path, sequence, key, payload)
}

fn marked(source: Tag, kind: Kind, path: u32, sequence: u64, key: &FrameKey, payload: &[u8]) -> Vec<u8> {
    let header = Header { kind, lane: 0, labels: Labels::NONE, source, path, sequence };
    let mut bytes = [&header.encode()[..], payload].concat();
    stamp(&mut bytes, sequence, key);
    bytes
}

fn moved(event: &Event) -> Option<(LinkId, SocketAddr)> {
    match event {
        Event::LinkMoved { link, remote } => Some((*link, *remote)),
        _ => None,
    }
}
