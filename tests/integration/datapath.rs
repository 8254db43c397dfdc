//! Sessions over the datapath with real QUIC on loopback: relays, reroutes, faults and forgeries.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::time::Duration;

use quinn::{Connection, RecvStream, SendStream};
use tokio::sync::oneshot;

use prunella::datapath::{Direction, Event, Impairment, LaneRoute, Route, SessionName};
use prunella_core::frame::{FrameKey, HEADER_BYTES, Header, Kind, Labels, stamp};
use prunella_core::limits::{COPIES_BURST_BYTES, COPIES_ONE_IN};
use prunella_core::{Label, Rejected, Tag};

use crate::rig::{self, LinkEnds, Node, Tls, in_time, link, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_and_a_link_share_one_socket() {
    let tls = Tls::new();
    let (a, b) = (Node::start(1, &tls), Node::start(2, &tls));
    let ends = link(&a, &b, 1, 1);
    a.route(&b, 1, ends.left, &[]);
    b.route(&a, 1, ends.right, &[]);

    let (dialed, accepted) = tokio::join!(a.dial(&b), b.accept());
    let (dialed_link, accepted_link) = tokio::join!(
        async { in_time(a.links.connect(b.address(), rig::SERVER_NAME).unwrap()).await.unwrap() },
        async { in_time(in_time(b.links.accept()).await.unwrap()).await.unwrap() },
    );
    assert_eq!(accepted_link.remote_address(), a.address(), "links see UDP addresses");
    assert_eq!(accepted.remote_address().ip(), a.id.tag().address(), "sessions see overlay addresses");
    tokio::join!(
        transfer(&dialed, &accepted, 8 << 20),
        transfer(&accepted, &dialed, 8 << 20),
        transfer(&dialed_link, &accepted_link, 1 << 20),
        transfer(&accepted_link, &dialed_link, 1 << 20),
    );
    assert_eq!(a.port.counters().rejected, [0; Rejected::ALL.len()]);
    assert!(a.port.link_stats()[0].frames_received > 1000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_over_a_relay_carries_both_directions() {
    let tls = Tls::new();
    let (a, r, b) = (Node::start(1, &tls), Node::start(2, &tls), Node::start(3, &tls));
    let (dialed, accepted) = through(&a, &r, &b).await;
    tokio::join!(transfer(&dialed, &accepted, 16 << 20), transfer(&accepted, &dialed, 16 << 20));

    let relayed = r.port.counters();
    assert!(relayed.forwarded > 20_000, "{relayed:?}");
    assert_eq!(relayed.rejected, [0; Rejected::ALL.len()]);
    assert_eq!((relayed.no_link, relayed.no_route), (0, 0));
    assert_eq!(a.port.active_destinations(rig::PATIENCE), [b.id.tag()]);
    assert_eq!(r.port.active_destinations(rig::PATIENCE), [], "a relay is no destination");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_finds_its_way_before_a_route_is_installed() {
    let tls = Tls::new();
    let (a, r, mut b) = (Node::start(1, &tls), Node::start(2, &tls), Node::start(3, &tls));
    let first = link(&a, &r, 10, 20);
    link(&r, &b, 21, 30);
    a.route(&b, 1, first.left, &[21]);

    let (dialed, accepted) = tokio::join!(a.dial(&b), b.accept());
    transfer(&accepted, &dialed, 1 << 20).await;
    let wanted = b.event(|event| match event {
        Event::RouteWanted { destination } => Some(*destination),
        _ => None,
    });
    assert_eq!(wanted.await, a.id.tag());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_follows_when_the_other_side_changes_its_way() {
    let tls = Tls::new();
    let (a, r, s, b) = (Node::start(1, &tls), Node::start(2, &tls), Node::start(3, &tls), Node::start(4, &tls));
    let (first, second) = (link(&a, &r, 10, 20), link(&r, &b, 21, 30));
    let to_s = link(&a, &s, 11, 20);
    link(&s, &b, 21, 31);
    a.route(&b, 1, first.left, &[21]);
    let (dialed, accepted) = tokio::join!(a.dial(&b), b.accept());

    r.port.set_may_relay(second.left, false);
    a.route(&b, 2, to_s.left, &[21]);
    transfer(&dialed, &accepted, 1 << 20).await;
    assert!(s.port.link_stats().iter().all(|link| link.forwarded > 0), "both directions took the second relay");
}

#[tokio::test]
async fn a_destination_without_any_way_is_asked_for() {
    let tls = Tls::new();
    let (mut a, b) = (Node::start(1, &tls), Node::start(2, &tls));
    let dialing = a.sessions.connect(prunella::datapath::session_address_of(&b.id), rig::SERVER_NAME).unwrap();
    let wanted = a.event(|event| match event {
        Event::RouteWanted { destination } => Some(*destination),
        _ => None,
    });
    assert_eq!(wanted.await, b.id.tag());
    drop(dialing);
    assert!(a.port.counters().no_route > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reroute_in_mid_stream_loses_and_reorders_nothing() {
    let tls = Tls::new();
    let (a, r, s, b) = (Node::start(1, &tls), Node::start(2, &tls), Node::start(3, &tls), Node::start(4, &tls));
    let (dialed, accepted) = through(&a, &r, &b).await;
    let (to_s, from_s) = (link(&a, &s, 11, 20), link(&s, &b, 21, 31));
    let before = (r.port.counters().forwarded, s.port.counters().forwarded);

    let (progress, half_way) = oneshot::channel();
    let reroute = async {
        in_time(half_way).await.unwrap();
        a.route(&b, 2, to_s.left, &[21]);
        b.route(&a, 2, from_s.right, &[20]);
        r.port.counters().forwarded
    };
    let ((), at_reroute) = tokio::join!(transfer_reporting(&dialed, &accepted, 64 << 20, Some(progress)), reroute);

    assert!(at_reroute > before.0, "the first half took the first relay");
    assert!(s.port.counters().forwarded > before.1 + 20_000, "the second half took the second relay");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_arrive_where_the_first_way_is_dark_and_cost_no_more_than_their_budget() {
    let tls = Tls::new();
    let (a, r, s, b) = (Node::start(1, &tls), Node::start(2, &tls), Node::start(3, &tls), Node::start(4, &tls));
    let (dialed, accepted) = through(&a, &r, &b).await;
    let (to_r, to_s, from_s) = (a.port.link_stats()[0].id, link(&a, &s, 11, 20), link(&s, &b, 21, 31));
    b.route(&a, 2, from_s.right, &[20]);
    a.hedged_route(&b, 1, (to_r, &[21]), (to_s.left, &[21]));

    transfer(&dialed, &accepted, 32 << 20).await;
    let counters = a.port.counters();
    assert!(counters.copies_sent > 1000 && counters.copies_over_budget > 1000, "{counters:?}");
    let most = (COPIES_BURST_BYTES + (64 << 20) / COPIES_ONE_IN) / 1000;
    assert!(counters.copies_sent < most, "{counters:?}");
    let received = b.port.counters().copies_received;
    assert!(0 < received && received <= counters.copies_sent, "{received}");

    // Anew, with a whole budget: what is lost on the first way arrives on the second.
    a.port.withdraw_route(b.id);
    let (c, d) = (Node::start(5, &tls), Node::start(6, &tls));
    let to_d = link(&a, &c, 12, 20);
    link(&c, &d, 21, 32);
    let around = (link(&a, &s, 13, 22), link(&s, &d, 23, 33));
    d.route(&a, 3, around.1.right, &[22]);
    a.hedged_route(&d, 3, (to_d.left, &[21]), (around.0.left, &[23]));
    for direction in [Direction::Sent, Direction::Received] {
        a.port.impair(c.address(), direction, Impairment::CUT, 0);
    }
    let (dialed, accepted) = tokio::join!(a.dial(&d), d.accept());
    transfer(&dialed, &accepted, 1 << 20).await;
    assert_eq!(c.port.counters().forwarded, 0, "nothing went over the first way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_lane_takes_its_own_way_and_the_route_when_that_is_gone() {
    let tls = Tls::new();
    let (a, r, s, b) = (Node::start(1, &tls), Node::start(2, &tls), Node::start(3, &tls), Node::start(4, &tls));
    let (first, first_accepted) = through(&a, &r, &b).await;
    let (to_s, from_s) = (link(&a, &s, 11, 20), link(&s, &b, 21, 31));
    let spread = |at: &Node, to: &Node, first, label| {
        let route = Route { path: 2, first, labels: vec![Label(label)] };
        at.port.spread(to.id, &[LaneRoute { lane: 1, route, hedge: None }]);
    };
    spread(&a, &b, to_s.left, 21);
    spread(&b, &a, from_s.right, 20);
    let name = |of: &Node| SessionName { peer: of.id.tag(), lane: 1 };
    let dialing = async { in_time(a.sessions.connect(name(&b).address(), rig::SERVER_NAME).unwrap()).await.unwrap() };
    let (second, second_accepted) = tokio::join!(dialing, b.accept());
    assert_eq!(SessionName::of(second_accepted.remote_address()), Some(name(&a)), "both ends know the lane");

    let forwarded = || (r.port.counters().forwarded, s.port.counters().forwarded);
    let before = forwarded();
    transfer(&second, &second_accepted, 16 << 20).await;
    let alone = forwarded();
    assert!(alone.0 < before.0 + 1000 && alone.1 > before.1 + 10_000, "{before:?} {alone:?}");
    tokio::join!(
        transfer(&first, &first_accepted, 16 << 20),
        transfer(&second, &second_accepted, 16 << 20),
        transfer(&second_accepted, &second, 16 << 20),
    );
    let both = forwarded();
    assert!(both.0 > alone.0 + 10_000 && both.1 > alone.1 + 20_000, "{alone:?} {both:?}");
    let (bytes, counters) = (a.port.lane_bytes(b.id), a.port.counters());
    assert!(bytes[0] > 16 << 20 && bytes[1] > 32 << 20 && bytes[2] == 0, "{bytes:?}");
    assert!(counters.spread > 20_000, "{counters:?}");
    assert_eq!((a.port.lanes(b.id), r.port.lanes(b.id)), (vec![1], vec![]));

    a.port.set_usable(to_s.left, false);
    b.port.spread(a.id, &[]);
    transfer(&second, &second_accepted, 16 << 20).await;
    let after = forwarded();
    assert!(after.0 > both.0 + 10_000 && after.1 < both.1 + 1000, "{both:?} {after:?}");
    a.port.withdraw_route(b.id);
    assert_eq!(a.port.lanes(b.id), [0; 0], "its lanes go with the route");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_on_the_port_disturbs_nobody() {
    let tls = Tls::new();
    let (a, r, b) = (Node::start(1, &tls), Node::start(2, &tls), Node::start(3, &tls));
    let (dialed, accepted) = through(&a, &r, &b).await;
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let noise = async {
        for round in 0..2000u32 {
            let length = (round * 37 % 1500) as usize;
            let datagram: Vec<u8> = (0..length).map(|i| (i as u32 * 31 + round * 7) as u8).collect();
            stranger.send_to(&datagram, [&a, &r, &b][round as usize % 3].address()).unwrap();
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(transfer(&dialed, &accepted, 16 << 20), noise);
    assert!(r.port.counters().unknown_source > 100);
    assert!(r.port.counters().quic_received + r.port.counters().quic_dropped > 100);
    assert_eq!(r.port.counters().rejected, [0; Rejected::ALL.len()], "a stranger's frames are not even looked at");
}

#[tokio::test]
async fn forged_replayed_and_malformed_frames_are_counted_by_reason() {
    let tls = Tls::new();
    let node = Node::start(1, &tls);
    let (neighbor, key) = Neighbor::of(&node);

    neighbor.send(&frame(Kind::Data, &[], 1, &key, b"for the session endpoint"));
    neighbor.send(&frame(Kind::Data, &[], 1, &key, b"for the session endpoint"));
    neighbor.send(&frame(Kind::Data, &[], 2, &FrameKey::from_bytes([0; 16]), b"forged"));
    neighbor.send(&frame(Kind::Data, &[], 3, &key, b"truncated")[..HEADER_BYTES - 1]);
    neighbor.send(&[0; 100]);
    neighbor.send(&[]);
    node.port.set_may_relay(neighbor.ends.left, false);
    neighbor.send(&frame(Kind::Data, &[7], 4, &key, b"for somebody else"));
    let link = || node.port.link_stats()[0].clone();
    until("one is unauthorized", || link().rejected_for(Rejected::Unauthorized) == 1).await;

    assert_eq!(link().rejected_for(Rejected::Replayed), 1);
    assert_eq!(link().rejected_for(Rejected::Unsigned), 1);
    assert_eq!(link().rejected_for(Rejected::Malformed), 2);
    assert_eq!(link().frames_received, 2, "the first, and the one that was authentic but not allowed");
    assert_eq!(node.port.counters().rejected, link().rejected);
}

#[tokio::test]
async fn probes_return_over_a_link_and_over_a_path() {
    let tls = Tls::new();
    let (mut a, r, b) = (Node::start(1, &tls), Node::start(2, &tls), Node::start(3, &tls));
    let first = link(&a, &r, 10, 20);
    link(&r, &b, 21, 30);
    a.port.set_usable(first.left, false);
    a.port.send_probe(first.left, &[], 0, 42);
    a.port.send_probe(first.left, &[Label(21)], 7, 43);
    for expected in [(0, 42), (7, 43)] {
        let (link, path, nonce, rtt) = a.event(returned).await;
        assert_eq!((link, path, nonce), (first.left, expected.0, expected.1));
        assert!(rtt < rig::PATIENCE);
    }
    assert_eq!(r.port.counters().probes_answered, 1);
    assert_eq!(b.port.counters().probes_answered, 1);
}

#[tokio::test]
async fn a_link_carries_when_anything_but_its_own_probes_passes() {
    let tls = Tls::new();
    let (mut a, mut r, b) = (Node::start(1, &tls), Node::start(2, &tls), Node::start(3, &tls));
    let first = link(&a, &r, 10, 20);
    let second = link(&r, &b, 21, 30);
    a.port.send_probe(first.left, &[], 0, 1);
    a.event(returned).await;
    r.port.send_probe(second.left, &[], 0, 2);
    r.event(returned).await;
    let carried = |node: &Node| node.port.link_stats().iter().map(|link| link.carried).collect::<Vec<_>>();
    let nothing = [vec![0], vec![0, 0], vec![0]];
    assert_eq!([&a, &r, &b].map(carried), nothing, "a link that is only watched carries nothing");
    a.port.send_probe(first.left, &[Label(21)], 7, 3);
    a.event(returned).await;
    assert_eq!([&a, &r, &b].map(carried), [vec![2], vec![2, 2], vec![2]], "the probe of a path and its echo");
}

#[tokio::test]
async fn a_relay_whose_next_link_is_missing_reports_it() {
    let tls = Tls::new();
    let (mut a, r, s, b) = (Node::start(1, &tls), Node::start(2, &tls), Node::start(3, &tls), Node::start(4, &tls));
    let first = link(&a, &r, 10, 20);
    let second = link(&r, &s, 21, 30);
    let third = link(&s, &b, 31, 40);
    let broken = |event: &Event| match event {
        Event::PathBroken { path, at, label, reported_by_link } => Some((*path, *at, *label, *reported_by_link)),
        _ => None,
    };
    s.port.set_usable(third.left, false);
    a.port.send_probe(first.left, &[Label(21), Label(31)], 7, 1);
    assert_eq!(a.event(broken).await, (7, 1, Label(31), first.left), "the second relay's next link is not usable");
    r.port.remove_link(second.left);
    a.route(&b, 8, first.left, &[21, 31]);
    let dialing = a.sessions.connect(prunella::datapath::session_address_of(&b.id), rig::SERVER_NAME).unwrap();
    assert_eq!(a.event(broken).await, (8, 0, Label(21), first.left), "the first relay's next link is gone");
    drop(dialing);
    assert!(r.port.counters().no_link > 0);
}

#[tokio::test]
async fn probes_beyond_the_rate_are_not_answered() {
    let tls = Tls::new();
    let node = Node::start(1, &tls);
    let (neighbor, key) = Neighbor::of(&node);
    let limited = || node.port.counters().rejected_for(Rejected::OverLimit) > 0;
    for sequence in 1..200_000 {
        neighbor.send(&frame(Kind::Probe, &[], sequence, &key, &[0; 16]));
        if sequence % 64 == 0 {
            tokio::task::yield_now().await;
        }
        if limited() {
            break;
        }
    }
    until("the rate limits", limited).await;
    let answered = node.port.counters().probes_answered;
    assert!(answered >= u64::from(prunella_core::limits::REPLY_RATE_PER_SECOND), "{answered}");
}

#[tokio::test]
async fn a_fault_in_one_direction_leaves_the_other() {
    let tls = Tls::new();
    let (mut a, mut b) = (Node::start(1, &tls), Node::start(2, &tls));
    let ends = link(&a, &b, 1, 1);
    a.port.impair(b.address(), Direction::Received, Impairment::CUT, 0);
    a.port.send_probe(ends.left, &[], 0, 1);
    until("one is lost on purpose", || a.port.counters().faulted == 1).await;
    assert_eq!(b.port.counters().probes_answered, 1, "it was heard, but its answer was not");

    a.port.mend(b.address(), Direction::Received);
    a.port.impair(b.address(), Direction::Sent, Impairment::CUT, 0);
    a.port.send_probe(ends.left, &[], 0, 2);
    b.port.send_probe(ends.right, &[], 0, 3);
    until("three are lost on purpose", || a.port.counters().faulted == 3).await;
    assert_eq!(b.port.counters().probes_answered, 1, "not even heard");
    assert_eq!(a.port.counters().probes_answered, 1, "the other direction is whole");

    a.port.mend_all();
    a.port.send_probe(ends.left, &[], 0, 4);
    b.port.send_probe(ends.right, &[], 0, 5);
    assert_eq!(a.event(returned).await.2, 4);
    assert_eq!(b.event(returned).await.2, 5);
}

#[tokio::test]
async fn a_neighbor_that_moves_keeps_its_link() {
    let tls = Tls::new();
    let node = Node::start(1, &tls);
    let (neighbor, key) = Neighbor::of(&node);
    neighbor.send(&frame(Kind::Probe, &[], 5, &key, &[0; 16]));
    until("a probe is answered", || node.port.counters().probes_answered == 1).await;
    let moved = Neighbor { socket: std::net::UdpSocket::bind("127.0.0.1:0").unwrap(), ..neighbor };
    node.port.update_remote(moved.ends.left, moved.socket.local_addr().unwrap());
    moved.send(&frame(Kind::Probe, &[], 5, &key, &[0; 16]));
    moved.send(&frame(Kind::Probe, &[], 6, &key, &[0; 16]));
    until("another probe is answered", || node.port.counters().probes_answered == 2).await;
    assert_eq!(node.port.link_stats()[0].rejected_for(Rejected::Replayed), 1, "the replay window moved with it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_on_ipv6_reaches_a_neighbor_on_ipv4() {
    let tls = Tls::new();
    let (a, b) = (Node::start_at("[::]:0".parse().unwrap(), 1, 1, &tls), Node::start(2, &tls));
    let ends = link(&a, &b, 1, 1);
    b.port.update_remote(ends.right, std::net::SocketAddr::from(([127, 0, 0, 1], a.address().port())));
    a.route(&b, 1, ends.left, &[]);
    let (dialed, accepted) = tokio::join!(a.dial(&b), b.accept());
    transfer(&dialed, &accepted, 1 << 20).await;
}

/// Two sessions whose frames reach the last node in one batch of one neighbor, as a network card would merge them.
#[tokio::test]
async fn a_batch_that_mixes_sources_reaches_the_session_endpoint_whole() {
    let tls = Tls::new();
    let node = Node::start(1, &tls);
    let (neighbor, key) = Neighbor::of(&node);
    let batch: Vec<u8> = (1..=8u64).flat_map(|i| from(Tag(i % 2), Kind::Data, &[], i, &key, &[0x40; 900])).collect();
    let state = quinn_udp::UdpSocketState::new((&neighbor.socket).into()).unwrap();
    let transmit = quinn_udp::Transmit {
        destination: node.address(),
        ecn: None,
        contents: &batch,
        segment_size: Some(HEADER_BYTES + 900),
        src_ip: None,
    };
    state.try_send((&neighbor.socket).into(), &transmit).unwrap();
    until("eight frames have come", || node.port.link_stats()[0].frames_received == 8).await;
    assert_eq!(node.port.counters().spilled, 4, "every second one took the slow way, none was lost");
    assert_eq!(node.port.active_destinations(rig::PATIENCE), [Tag(0), Tag(1)]);
}

/// A link's other end in the hands of the test.
struct Neighbor {
    socket: std::net::UdpSocket,
    ends: LinkEnds,
    node: std::net::SocketAddr,
}

impl Neighbor {
    fn of(node: &Node) -> (Self, FrameKey) {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let peer = Node::start(99, &Tls::new());
        let ends = link(node, &peer, 1, 1);
        node.port.update_remote(ends.left, socket.local_addr().unwrap());
        let key = ends.right_key.clone();
        (Self { socket, ends, node: node.address() }, key)
    }

    fn send(&self, datagram: &[u8]) {
        self.socket.send_to(datagram, self.node).unwrap();
    }
}

fn frame(kind: Kind, labels: &[u16], sequence: u64, key: &FrameKey, payload: &[u8]) -> Vec<u8> {
    from(Tag(77), kind, labels, sequence, key, payload)
}

fn from(source: Tag, kind: Kind, labels: &[u16], sequence: u64, key: &FrameKey, payload: &[u8]) -> Vec<u8> {
    let labels: Vec<Label> = labels.iter().copied().map(Label).collect();
    let header = Header { kind, lane: 0, labels: Labels::new(&labels).unwrap(), source, path: 1, sequence };
    let mut bytes = [&header.encode()[..], payload].concat();
    stamp(&mut bytes, sequence, key);
    bytes
}

fn returned(event: &Event) -> Option<(prunella_core::LinkId, u32, u64, Duration)> {
    match event {
        Event::ProbeReturned { link, path, nonce, rtt } => Some((*link, *path, *nonce, *rtt)),
        _ => None,
    }
}

/// A session from `a` to `b` over the relay `r`, with routes installed both ways.
async fn through(a: &Node, r: &Node, b: &Node) -> (Connection, Connection) {
    let (first, second) = (link(a, r, 10, 20), link(r, b, 21, 30));
    a.route(b, 1, first.left, &[21]);
    b.route(a, 1, second.right, &[20]);
    tokio::join!(a.dial(b), b.accept())
}

pub(crate) async fn transfer(from: &Connection, to: &Connection, bytes: usize) {
    transfer_reporting(from, to, bytes, None).await;
}

/// Sends a pattern over a stream, compares what arrives by hash, and tells when half of it has arrived.
async fn transfer_reporting(from: &Connection, to: &Connection, bytes: usize, half_way: Option<oneshot::Sender<()>>) {
    let send = async {
        let mut stream: SendStream = in_time(from.open_uni()).await.unwrap();
        let mut sent = blake3::Hasher::new();
        for number in 0..(bytes / CHUNK) as u64 {
            let mut chunk = vec![0u8; CHUNK];
            blake3::Hasher::new().update(&number.to_be_bytes()).finalize_xof().fill(&mut chunk);
            sent.update(&chunk);
            in_time(stream.write_all(&chunk)).await.unwrap();
        }
        stream.finish().unwrap();
        sent.finalize()
    };
    let receive = async {
        let mut stream: RecvStream = in_time(to.accept_uni()).await.unwrap();
        let (mut received, mut count, mut half_way) = (blake3::Hasher::new(), 0, half_way);
        while let Some(chunk) = in_time(stream.read_chunk(CHUNK, true)).await.unwrap() {
            received.update(&chunk.bytes);
            count += chunk.bytes.len();
            if count * 2 >= bytes
                && let Some(half_way) = half_way.take()
            {
                half_way.send(()).unwrap();
            }
        }
        (received.finalize(), count)
    };
    let (sent, (received, count)) = tokio::join!(send, receive);
    assert_eq!((received, count), (sent, bytes));
}

const CHUNK: usize = 64 * 1024;
