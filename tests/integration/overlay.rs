//! IP packets between nodes, over real sockets on loopback and interfaces in memory.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};

use prunella::datapath::{
    Interface, Networks, OVERLAY_MTU_LEAST, Overlay, Questions, TUNNEL_SECRET_BYTES, Tunnel, TunnelInstall, Unjudged,
    Wanted,
};
use prunella_core::overlay::icmp::Cause;
use prunella_core::overlay::{OFFLOAD_BYTES, Offload, Packet, Prefix, Protocol, Segmentation, Tracking};
use prunella_core::{PeerId, Rejected, Tag};
use tokio::sync::mpsc;

use crate::rig::{Node, Tls, in_time, link};

/// An interface in memory: what the machine sends, and what it gets.
#[derive(Debug)]
struct Wire {
    sent: Mutex<mpsc::Receiver<Vec<u8>>>,
    got: mpsc::Sender<Vec<u8>>,
}

impl Interface for Wire {
    fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let packet = ready!(self.sent.lock().unwrap().poll_recv(cx)).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer[..packet.len()].copy_from_slice(&packet);
        Poll::Ready(Ok(packet.len()))
    }

    fn try_send(&self, packet: &[u8]) -> io::Result<()> {
        self.got.try_send(packet.to_vec()).map_err(|_| io::ErrorKind::WouldBlock.into())
    }

    fn set_route(&self, _: &Prefix, _: Option<IpAddr>, _: bool) -> io::Result<()> {
        Ok(())
    }
}

/// A machine with a node and its overlay interface.
struct Machine {
    node: Node,
    overlay: Arc<Overlay>,
    questions: Questions,
    send: mpsc::Sender<Vec<u8>>,
    got: mpsc::Receiver<Vec<u8>>,
}

impl Machine {
    fn start(number: u8, tls: &Tls) -> Self {
        let node = Node::start(number, tls);
        let ((send, sent), (give, got)) = (mpsc::channel(4096), mpsc::channel(4096));
        let wire: Arc<dyn Interface> = Arc::new(Wire { sent: Mutex::new(sent), got: give });
        let (overlay, questions) = node.port.start_overlay(vec![wire], [number; 16]);
        Self { node, overlay, questions, send, got }
    }

    fn address(&self) -> Ipv6Addr {
        self.overlay.address()
    }

    async fn send(&self, offload: Offload, packet: &[u8]) {
        self.send.send([&offload.encode()[..], packet].concat()).await.unwrap();
    }

    async fn got(&mut self) -> (Offload, Vec<u8>) {
        let bytes = in_time(self.got.recv()).await.unwrap();
        let (offload, packet) = bytes.split_first_chunk::<OFFLOAD_BYTES>().unwrap();
        (Offload::decode(offload).unwrap(), packet.to_vec())
    }

    async fn unjudged(&mut self) -> Unjudged {
        in_time(self.questions.unjudged.recv()).await.unwrap()
    }

    /// Judges the next flow that somebody begins.
    async fn judge(&mut self, is_allowed: bool) {
        let first = self.unjudged().await;
        self.overlay.judged(&self.node.port, &first, is_allowed);
    }

    fn hold(&self, peer: PeerId, keys: (u16, u16), secrets: (u8, u8)) -> Arc<Tunnel> {
        let secret = |byte: u8| [byte; TUNNEL_SECRET_BYTES].into();
        let (local_key, remote_key) = keys;
        let install =
            TunnelInstall { peer, local_key, remote_key, send: secret(secrets.0), receive: secret(secrets.1) };
        let tunnel = self.overlay.install(install).unwrap();
        self.overlay.send_on(&tunnel);
        tunnel.set_longest(1380, true);
        tunnel
    }
}

/// Two machines with a link and a tunnel, whose ends come with them.
fn pair() -> (Machine, Machine, [Arc<Tunnel>; 2]) {
    let tls = Tls::new();
    let (a, b) = (Machine::start(1, &tls), Machine::start(2, &tls));
    let ends = link(&a.node, &b.node, 1, 1);
    a.node.route(&b.node, 1, ends.left, &[]);
    b.node.route(&a.node, 1, ends.right, &[]);
    let tunnels = tunnel(&a, &b);
    (a, b, tunnels)
}

fn tunnel(a: &Machine, b: &Machine) -> [Arc<Tunnel>; 2] {
    [a.hold(b.node.id, (11, 22), (1, 2)), b.hold(a.node.id, (22, 11), (2, 1))]
}

fn ipv6(from: Ipv6Addr, to: Ipv6Addr, protocol: Protocol, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u16).to_be_bytes();
    let mut packet = vec![0x60, 0, 0, 0, length[0], length[1], protocol.0, 64];
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(payload);
    packet
}

fn udp(from: &Machine, to: &Machine, ports: (u16, u16), length: usize) -> Vec<u8> {
    datagram(from.address(), to.address(), ports, length)
}

fn datagram(from: Ipv6Addr, to: Ipv6Addr, (source, destination): (u16, u16), length: usize) -> Vec<u8> {
    let mut payload = vec![0; 8];
    payload[..2].copy_from_slice(&source.to_be_bytes());
    payload[2..4].copy_from_slice(&destination.to_be_bytes());
    payload[4..6].copy_from_slice(&(8 + length as u16).to_be_bytes());
    payload.extend((0..length).map(|i| i as u8));
    ipv6(from, to, Protocol::UDP, &payload)
}

fn tcp(from: &Machine, to: &Machine, length: usize) -> Vec<u8> {
    let mut segment = vec![0x10, 1, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0];
    segment.extend((0..length).map(|i| i as u8));
    ipv6(from.address(), to.address(), Protocol::TCP, &segment)
}

const NOTHING_LEFT: Offload = Offload { checksum: None, segment: None, headers: 0, has_ecn: false };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn packets_arrive_as_they_were_over_a_relay_too_and_a_long_one_stays_long() {
    let tls = Tls::new();
    let (a, mut b) = (Machine::start(1, &tls), Machine::start(2, &tls));
    let relay = Node::start(3, &tls);
    let (first, second) = (link(&a.node, &relay, 10, 20), link(&relay, &b.node, 21, 30));
    a.node.route(&b.node, 1, first.left, &[21]);
    b.node.route(&a.node, 1, second.right, &[20]);
    tunnel(&a, &b);

    let small = udp(&a, &b, (5, 53), 100);
    a.send(NOTHING_LEFT, &small).await;
    b.judge(true).await;
    assert_eq!(b.got().await, (NOTHING_LEFT, small));

    let long = tcp(&a, &b, 30_000);
    let segment = Some((Segmentation::Tcp6, 1300));
    let first = tcp(&a, &b, 0);
    a.send(NOTHING_LEFT, &first).await;
    b.judge(true).await;
    assert_eq!(b.got().await.1, first);
    a.send(Offload { checksum: Some((40, 16)), segment, headers: 60, has_ecn: false }, &long).await;
    let mut payload = Vec::new();
    let mut packets = 0;
    while payload.len() < 30_000 {
        let (offload, packet) = b.got().await;
        assert_eq!(offload.checksum, Some((40, 16)), "the seal has guarded it: nobody need compute a checksum");
        payload.extend_from_slice(&packet[60..]);
        packets += 1;
    }
    assert_eq!(payload, long[60..]);
    assert!(packets < 12, "24 segments came as {packets} packets");
    assert!(relay.port.counters().forwarded >= 26);
    assert_eq!(b.node.port.counters().rejected, [0; Rejected::ALL.len()]);
}

#[tokio::test]
async fn whoever_was_spoken_to_may_answer_and_nobody_else_may_begin() {
    let (mut a, mut b, _tunnels) = pair();
    a.send(NOTHING_LEFT, &udp(&a, &b, (5, 53), 10)).await;
    b.judge(true).await;
    b.got().await;
    let answer = udp(&b, &a, (53, 5), 20);
    b.send(NOTHING_LEFT, &answer).await;
    assert_eq!(a.got().await.1, answer, "without a question to the policy");
    b.send(NOTHING_LEFT, &udp(&b, &a, (53, 6), 20)).await;
    let begun = a.unjudged().await;
    assert_eq!((begun.from, begun.packet.flow.destination.1), (b.node.id, 6));
}

#[tokio::test]
async fn a_denied_flow_is_told_to_whoever_began_it_and_costs_no_more_questions() {
    let (mut a, mut b, _tunnels) = pair();
    let packet = udp(&a, &b, (5, 53), 10);
    a.send(NOTHING_LEFT, &packet).await;
    b.judge(false).await;
    let (_, told) = a.got().await;
    let told = Packet::parse(&told).unwrap();
    assert_eq!(told.tracking, Tracking::Error(Packet::parse(&packet).unwrap().flow));
    a.send(NOTHING_LEFT, &packet).await;
    a.send(NOTHING_LEFT, &udp(&a, &b, (6, 53), 10)).await;
    assert_eq!(b.unjudged().await.packet.flow.source.1, 6, "the first was known already");
    assert_eq!((b.overlay.counters().denied, b.overlay.counters().denied_packets), (1, 1));
    b.overlay.judge_anew();
    a.send(NOTHING_LEFT, &packet).await;
    assert_eq!(b.unjudged().await.packet.flow.source.1, 5, "another policy may say something else");
}

#[tokio::test]
async fn a_flow_that_was_allowed_goes_on_while_it_is_judged_again_and_then_no_more() {
    let (a, mut b, _tunnels) = pair();
    let packet = udp(&a, &b, (5, 53), 10);
    a.send(NOTHING_LEFT, &packet).await;
    b.judge(true).await;
    b.got().await;
    b.overlay.judge_anew();
    for _ in 0..3 {
        a.send(NOTHING_LEFT, &packet).await;
        assert_eq!(b.got().await.1, packet, "nothing is lost while nobody has decided");
    }
    b.judge(false).await;
    a.send(NOTHING_LEFT, &packet).await;
    a.send(NOTHING_LEFT, &udp(&a, &b, (6, 53), 10)).await;
    assert_eq!(b.unjudged().await.packet.flow.source.1, 6, "it was asked once");
    assert_eq!((b.overlay.counters().denied, b.overlay.counters().denied_packets), (1, 1));
}

#[tokio::test]
async fn a_packet_to_a_node_without_a_tunnel_waits_or_is_answered() {
    let (mut a, mut b, _tunnels) = pair();
    let stranger = Tag(77);
    let packet = datagram(a.address(), stranger.address(), (5, 53), 10);
    a.send(NOTHING_LEFT, &packet).await;
    let Wanted { destination, packet: waiting } = in_time(a.questions.wanted.recv()).await.unwrap();
    assert_eq!(destination, stranger);
    a.overlay.give_up(&a.node.port, &waiting, Cause::Unreachable);
    assert!(matches!(Packet::parse(&a.got().await.1).unwrap().tracking, Tracking::Error(_)));
    let behind = udp(&a, &b, (5, 53), 10);
    a.overlay.retry(&a.node.port, &[&[0; OFFLOAD_BYTES][..], &behind].concat());
    b.judge(true).await;
    assert_eq!(b.got().await.1, behind);
}

#[tokio::test]
async fn only_this_machines_packets_leave_and_only_to_nodes() {
    let (mut a, mut b, _tunnels) = pair();
    let elsewhere = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1);
    a.send(NOTHING_LEFT, &datagram(elsewhere, b.address(), (5, 53), 10)).await;
    a.send(NOTHING_LEFT, &datagram(a.address(), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2), (5, 53), 10)).await;
    a.send(NOTHING_LEFT, b"no packet").await;
    a.send(NOTHING_LEFT, &datagram(a.address(), elsewhere, (5, 53), 10)).await;
    let told = a.got().await.1;
    assert_eq!(Packet::parse(&told).unwrap().flow.destination.0, IpAddr::V6(a.address()), "there is no route");
    a.send(NOTHING_LEFT, &udp(&a, &b, (5, 53), 10)).await;
    b.unjudged().await;
    assert_eq!((a.overlay.counters().strays, a.overlay.counters().sent), (3, 1));
}

#[tokio::test]
async fn a_tunnel_takes_packets_of_its_own_node_alone() {
    let (a, mut b, _tunnels) = pair();
    // The right keys under the number of another node's tunnel.
    let other = PeerId::from_public_key([9; 32]);
    b.hold(other, (33, 11), (2, 1));
    let wrong = a.hold(b.node.id, (44, 33), (1, 2));
    a.send(NOTHING_LEFT, &udp(&a, &b, (5, 53), 10)).await;
    let refused = || b.node.port.counters().rejected[Rejected::UnknownSender as usize];
    let turned_away = async {
        while refused() == 0 {
            tokio::task::yield_now().await;
        }
    };
    in_time(turned_away).await;
    a.overlay.remove(&wrong);
    a.send(NOTHING_LEFT, &udp(&a, &b, (6, 53), 10)).await;
    assert_eq!(b.unjudged().await.packet.flow.source.1, 6);
    assert_eq!(b.overlay.counters().received, 1);
}

#[tokio::test]
async fn what_does_not_fit_the_way_is_cut_until_the_way_is_known_and_then_told() {
    let (mut a, mut b, [there, _]) = pair();
    there.set_longest(OVERLAY_MTU_LEAST, false);
    let packet = udp(&a, &b, (5, 53), 1300);
    a.send(NOTHING_LEFT, &packet).await;
    b.judge(true).await;
    assert_eq!(b.got().await.1, packet);
    assert_eq!(a.overlay.counters().cut, 1);
    there.set_longest(1300, true);
    a.send(NOTHING_LEFT, &packet).await;
    let (_, told) = a.got().await;
    assert_eq!((told[40], u32::from_be_bytes(*told[44..].first_chunk().unwrap())), (2, 1300), "packet too big");
    let fits = udp(&a, &b, (5, 53), 1200);
    a.send(NOTHING_LEFT, &fits).await;
    assert_eq!(b.got().await.1, fits);
}

#[tokio::test]
async fn what_came_on_two_ways_is_delivered_once() {
    let tls = Tls::new();
    let (a, mut b) = (Machine::start(1, &tls), Machine::start(2, &tls));
    let relay = Node::start(3, &tls);
    let direct = link(&a.node, &b.node, 1, 1);
    let (first, _) = (link(&a.node, &relay, 10, 20), link(&relay, &b.node, 21, 30));
    a.node.hedged_route(&b.node, 1, (direct.left, &[]), (first.left, &[21]));
    b.node.route(&a.node, 1, direct.right, &[]);
    tunnel(&a, &b);
    for number in 0..20 {
        a.send(NOTHING_LEFT, &udp(&a, &b, (5, 53), 10 + number)).await;
        if number == 0 {
            b.judge(true).await;
        }
        b.got().await;
    }
    let both = async {
        while b.overlay.counters().duplicates < 20 {
            tokio::task::yield_now().await;
        }
    };
    in_time(both).await;
    assert_eq!((a.node.port.counters().copies_sent, b.overlay.counters().received), (20, 20));
}

#[tokio::test]
async fn what_is_sent_allocates_nothing() {
    let (a, mut b, _tunnels) = pair();
    let packet = [&[0; OFFLOAD_BYTES][..], &udp(&a, &b, (5, 53), 1000)].concat();
    a.overlay.retry(&a.node.port, &packet);
    b.judge(true).await;
    b.got().await;
    a.overlay.set_networks(Networks::new(&[], vec![network("fd00:20::/64", &[&b])], None));
    let behind = Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 5);
    let there = [&[0; OFFLOAD_BYTES][..], &datagram(a.address(), behind, (5, 53), 1000)].concat();
    a.overlay.retry(&a.node.port, &there);
    let counted = allocation_counter::measure(|| {
        for _ in 0..100 {
            a.overlay.retry(&a.node.port, &packet);
            a.overlay.retry(&a.node.port, &there);
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[tokio::test]
async fn what_waits_at_once_arrives_whole_and_in_order_whatever_its_length() {
    let tls = Tls::new();
    let (a, mut b, mut c) = (Machine::start(1, &tls), Machine::start(2, &tls), Machine::start(3, &tls));
    for (other, number) in [(&b, 1), (&c, 2)] {
        let ends = link(&a.node, &other.node, number, 1);
        a.node.route(&other.node, u32::from(number), ends.left, &[]);
        other.node.route(&a.node, 1, ends.right, &[]);
        let keys = (10 + number, 20 + number);
        let [secret, back] = [keys.0 as u8, keys.1 as u8];
        a.hold(other.node.id, keys, (secret, back));
        other.hold(a.node.id, (keys.1, keys.0), (back, secret));
    }
    for (machine, port) in [(&mut b, 53), (&mut c, 54)] {
        let first = udp(&a, machine, (5, port), 1);
        a.send(NOTHING_LEFT, &first).await;
        machine.judge(true).await;
        assert_eq!(machine.got().await.1, first);
    }
    // Lengths that go together, that end a run, and that begin another; some of them for somebody else.
    let lengths = [1200, 1200, 1200, 40, 1200, 1200, 900, 900, 1300, 1, 1, 1];
    let packets: Vec<_> = (0..60)
        .map(|number: u8| {
            let (to, port) = if number % 7 == 3 { (&c, 54) } else { (&b, 53) };
            let mut packet = udp(&a, to, (5, port), lengths[usize::from(number) % lengths.len()]);
            packet[48] = number;
            packet
        })
        .collect();
    let sends = || a.node.port.link_stats().iter().map(|link| link.carried).sum::<u64>();
    let before = sends();
    // None of them is read before all are there.
    for packet in &packets {
        a.send.try_send([&NOTHING_LEFT.encode()[..], packet].concat()).unwrap();
    }
    for machine in [&mut b, &mut c] {
        let own = machine.address().octets();
        for packet in packets.iter().filter(|packet| packet[24..40] == own) {
            assert_eq!(machine.got().await, (NOTHING_LEFT, packet.clone()));
        }
    }
    assert_eq!(a.overlay.counters().sent, 62);
    let sends = sends() - before;
    assert!(sends < packets.len() as u64 / 2, "{sends} sends for {} packets", packets.len());
}

async fn comes(is: impl Fn() -> bool) {
    in_time(async {
        while !is() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// A datagram of IPv4, which forbids fragments.
fn datagram4(from: Ipv4Addr, to: Ipv4Addr, length: usize) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0, 7, 0x40, 0, 64, Protocol::UDP.0, 0, 0];
    packet[2..4].copy_from_slice(&(28 + length as u16).to_be_bytes());
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend([0, 5, 0, 53]);
    packet.extend((8 + length as u16).to_be_bytes());
    packet.extend([0, 0]);
    packet.extend((0..length).map(|i| i as u8));
    packet
}

fn network(prefix: &str, nodes: &[&Machine]) -> (Prefix, Vec<Tag>) {
    (prefix.parse().unwrap(), nodes.iter().map(|machine| machine.node.id.tag()).collect())
}

#[tokio::test]
async fn packets_of_networks_are_taken_of_whoever_announces_them_and_of_nobody_else() {
    let (mut a, mut b, _tunnels) = pair();
    let behind = Ipv6Addr::new(0xfd00, 0x20, 0, 0, 0, 0, 0, 5);
    let there = datagram(a.address(), behind, (5, 53), 10);
    a.send(NOTHING_LEFT, &there).await;
    assert!(matches!(Packet::parse(&a.got().await.1).unwrap().tracking, Tracking::Error(_)), "nobody has it");

    let ours = ["fd00:20::/64".parse().unwrap()];
    a.overlay.set_networks(Networks::new(&[], vec![network("fd00:20::/64", &[&b])], None));
    a.send(NOTHING_LEFT, &there).await;
    comes(|| b.overlay.counters().foreign > 0).await;
    b.overlay.set_networks(Networks::new(&ours, vec![], None));
    a.send(NOTHING_LEFT, &there).await;
    let first = b.unjudged().await;
    assert_eq!(first.packet.flow.destination.0, IpAddr::V6(behind));
    b.overlay.judged(&b.node.port, &first, true);
    assert_eq!(b.got().await.1, there, "the machine passes it on");

    let back = datagram(behind, a.address(), (53, 5), 20);
    b.send(NOTHING_LEFT, &back).await;
    assert_eq!(a.got().await.1, back, "an answer needs no verdict");
    b.send(NOTHING_LEFT, &datagram(behind, a.address(), (54, 5), 20)).await;
    assert_eq!(a.unjudged().await.from, b.node.id, "what begins there is begun by the node before it");

    // Another node has a part of it: the wide one cannot speak for that any more.
    let stranger = PeerId::from_public_key([9; 32]).tag();
    let part = ("fd00:20::4/126".parse().unwrap(), vec![stranger]);
    a.overlay.set_networks(Networks::new(&[], vec![network("fd00:20::/64", &[&b]), part], None));
    let before = a.overlay.counters().foreign;
    b.send(NOTHING_LEFT, &back).await;
    comes(|| a.overlay.counters().foreign > before).await;
    // What this node does not announce does not leave either.
    b.overlay.set_networks(Networks::default());
    b.send(NOTHING_LEFT, &back).await;
    comes(|| b.overlay.counters().strays > 0).await;
}

#[tokio::test]
async fn networks_of_ipv4_are_answered_in_ipv4_and_long_packets_are_told_or_cut() {
    let (mut a, mut b, [there, _]) = pair();
    let (here, behind) = (Ipv4Addr::new(10, 10, 0, 1), Ipv4Addr::new(10, 20, 0, 5));
    let prefixes = ["10.10.0.0/16", "10.20.0.0/16"];
    let own = prefixes.map(|prefix| [prefix.parse().unwrap()]);
    a.overlay.set_networks(Networks::new(&own[0], vec![network(prefixes[1], &[&b])], Some(here)));
    b.overlay.set_networks(Networks::new(&own[1], vec![network(prefixes[0], &[&a])], None));
    let packet = datagram4(here, behind, 100);
    a.send(NOTHING_LEFT, &packet).await;
    b.judge(true).await;
    assert_eq!(b.got().await.1, packet);
    // Another flow is denied, and told so by the destination's address: this node has none of IPv4.
    let mut other = packet.clone();
    other[22..24].copy_from_slice(&54u16.to_be_bytes());
    a.send(NOTHING_LEFT, &other).await;
    b.judge(false).await;
    let (_, told) = a.got().await;
    assert_eq!((told[9], told[20], told[21]), (Protocol::ICMP4.0, 3, 13), "prohibited");
    assert_eq!(Packet::parse(&told).unwrap().flow.source.0, IpAddr::V4(behind));

    there.set_longest(1300, true);
    let mut long = datagram4(here, behind, 1310);
    a.send(NOTHING_LEFT, &long).await;
    let (_, told) = a.got().await;
    assert_eq!((&told[20..22], &told[26..28]), (&[3, 4][..], &1300u16.to_be_bytes()[..]), "too big");
    long[6] = 0;
    a.send(NOTHING_LEFT, &long).await;
    assert_eq!(b.got().await.1, long, "who allows fragments gets it through as it was");
    assert_eq!((a.overlay.counters().too_big, a.overlay.counters().cut), (1, 1));

    // A long packet of TCP becomes segments, each with its own length, number and sum, and is whole again there.
    let mut segment = vec![0x10, 1, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0];
    segment.extend((0..9000).map(|i| i as u8));
    let mut stream = datagram4(here, behind, 0);
    stream.truncate(20);
    stream[9] = Protocol::TCP.0;
    stream.extend(&segment);
    let length = stream.len() as u16;
    stream[2..4].copy_from_slice(&length.to_be_bytes());
    let begun = [&stream[..2], &40u16.to_be_bytes(), &stream[4..40]].concat();
    a.send(NOTHING_LEFT, &begun).await;
    b.judge(true).await;
    assert_eq!(b.got().await.1, begun);
    let segmented = Some((Segmentation::Tcp4, 1200));
    a.send(Offload { checksum: Some((20, 16)), segment: segmented, headers: 40, has_ecn: false }, &stream).await;
    let mut payload = Vec::new();
    while payload.len() < 9000 {
        let (offload, packet) = b.got().await;
        assert_eq!(offload.checksum, Some((20, 16)));
        assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
        let sum: u32 = packet[..20].chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "the header's sum holds");
        payload.extend_from_slice(&packet[40..]);
    }
    assert_eq!(payload, stream[40..]);
}

#[tokio::test]
async fn the_mesh_never_carries_its_own_frames() {
    let (a, mut b, _tunnels) = pair();
    let port = a.node.port.local_addr().port();
    a.send(NOTHING_LEFT, &udp(&a, &b, (port, 4600), 10)).await;
    a.send(NOTHING_LEFT, &udp(&a, &b, (port ^ 1, 4600), 10)).await;
    assert_eq!(b.unjudged().await.packet.flow.source.1, port ^ 1);
    assert_eq!(a.overlay.counters().strays, 1);
}
