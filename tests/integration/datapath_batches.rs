//! Batches as a network card would merge them, fed to a port whose reader the test itself drives.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use quinn::AsyncUdpSocket;
use quinn_udp::{EcnCodepoint, RecvMeta, Transmit, UdpSocketState};
use tokio::runtime::Runtime;

use prunella::datapath::{LinkInstall, Port, session_address};
use prunella_core::frame::{Frame, FrameKey, HEADER_BYTES, Header, Kind, Labels, stamp};
use prunella_core::{Label, LinkId, PeerId, Tag};

#[test]
fn forwarding_allocates_nothing() {
    let rig = Rig::new();
    let burst = |first: u64| -> Vec<u8> {
        (first..first + 40).flat_map(|sequence| rig.frame(Segment::ToLeft, sequence, 1000)).collect()
    };
    // The first frames let every buffer reach its size.
    for round in 0..4 {
        rig.send(&burst(1 + 40 * round), HEADER_BYTES + 1000);
        rig.drive_until(|| rig.port.counters().forwarded == 40 * (round + 1));
    }
    rig.send(&burst(1000), HEADER_BYTES + 1000);
    rig.send(&burst(1040)[..30 * (HEADER_BYTES + 1000)], HEADER_BYTES + 1000);
    rig.runtime.block_on(tokio::task::yield_now());
    let mut buffers = Buffers::new();
    let used = allocation_counter::measure(|| {
        for _ in 0..10 {
            rig.poll(&*rig.mesh, &mut buffers, |_, _| panic!("nothing here is for this node"));
        }
    });
    assert_eq!(rig.port.counters().forwarded, 230, "both runs left while it was measured");
    assert_eq!(used.count_total, 0, "{used:?}");
    rig.left.drain();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, max_shrink_iters: 20, ..ProptestConfig::default() })]

    /// Whatever a batch mixes, everything arrives where it belongs, whole and in order.
    #[test]
    fn a_mixed_batch_is_taken_apart_without_damage(
        batches in proptest::collection::vec(proptest::collection::vec(segment(), 1..40), 1..4),
        size in 100usize..1200, short in 1usize..100,
    ) {
        let rig = Rig::new();
        let mut sequence = 0;
        let mut expected = Sorted::default();
        for batch in &batches {
            let mut bytes = Vec::new();
            for (position, segment) in batch.iter().enumerate() {
                sequence += 1;
                let last = position + 1 == batch.len();
                let frame = rig.frame(*segment, sequence, if last { short } else { size });
                expected.note(*segment, &frame);
                bytes.extend(frame);
            }
            rig.send(&bytes, HEADER_BYTES + size);
        }
        let arrived = rig.drive(&expected);
        prop_assert_eq!(arrived, expected);
    }
}

/// What one segment of a batch is.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Segment {
    /// Data for this node, from the source with this tag.
    Stays(u64),
    /// Data that leaves on the left link.
    ToLeft,
    /// Data that leaves on the right link.
    ToRight,
    /// A QUIC packet for the link endpoint.
    Quic,
    /// A frame with a wrong MAC.
    Forged,
}

fn segment() -> impl Strategy<Value = Segment> {
    prop_oneof![
        4 => (1..3u64).prop_map(Segment::Stays),
        4 => Just(Segment::ToLeft),
        2 => Just(Segment::ToRight),
        1 => Just(Segment::Quic),
        1 => Just(Segment::Forged),
    ]
}

/// What arrived where: payloads in their order, and for each session source apart.
#[derive(Debug, Default, PartialEq)]
struct Sorted {
    first_source: Vec<Vec<u8>>,
    second_source: Vec<Vec<u8>>,
    left: Vec<Vec<u8>>,
    right: Vec<Vec<u8>>,
    quic: Vec<Vec<u8>>,
}

impl Sorted {
    fn note(&mut self, segment: Segment, frame: &[u8]) {
        let payload = frame[HEADER_BYTES..].to_vec();
        match segment {
            Segment::Stays(1) => self.first_source.push(payload),
            Segment::Stays(_) => self.second_source.push(payload),
            Segment::ToLeft => self.left.push(payload),
            Segment::ToRight => self.right.push(payload),
            Segment::Quic => self.quic.push(frame.to_vec()),
            Segment::Forged => {}
        }
    }
}

/// A port with three neighbors in the hands of the test: one sends, two are there to be forwarded to.
struct Rig {
    runtime: Runtime,
    port: Arc<Port>,
    mesh: Arc<dyn AsyncUdpSocket>,
    links: Arc<dyn AsyncUdpSocket>,
    sender: UdpSocket,
    offload: UdpSocketState,
    left: Neighbor,
    right: Neighbor,
}

struct Neighbor {
    socket: UdpSocket,
    key: FrameKey,
}

impl Neighbor {
    fn new(seed: u8) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { socket, key: FrameKey::from_bytes([seed; 16]) }
    }

    fn install(&self, port: &Port, number: u8) {
        port.install_link(LinkInstall {
            id: LinkId(number.into()),
            peer: PeerId::from_public_key([number; 32]),
            remote: self.socket.local_addr().unwrap(),
            label: Label(number.into()),
            send_key: self.key.clone(),
            receive_key: self.key.clone(),
            may_relay: true,
        });
    }

    /// The payload of the next frame, which has to be authentic.
    fn receive(&self) -> Vec<u8> {
        let mut bytes = [0; 2048];
        let length = self.socket.recv(&mut bytes).unwrap();
        let frame = Frame::parse(&mut bytes[..length]).unwrap();
        assert_eq!(frame.verify(&self.key), Ok(()));
        assert_eq!((frame.cursor(), frame.way_back().as_slice()), (1, &[Label(1)][..]));
        frame.payload().to_vec()
    }

    fn drain(&self) {
        self.socket.set_nonblocking(true).unwrap();
        while self.socket.recv(&mut [0; 2048]).is_ok() {}
    }
}

/// The receive buffers that a session endpoint would have.
struct Buffers(Vec<Vec<u8>>);

impl Buffers {
    fn new() -> Self {
        Self(vec![vec![0; 64 * 1500]; 32])
    }
}

impl Rig {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (port, _events) = runtime
            .block_on(async { Port::bind("127.0.0.1:0".parse().unwrap(), PeerId::from_public_key([9; 32])) })
            .unwrap();
        let (sender, left, right) = (Neighbor::new(1), Neighbor::new(2), Neighbor::new(3));
        for (neighbor, number) in [(&sender, 1), (&left, 2), (&right, 3)] {
            neighbor.install(&port, number);
        }
        let offload = UdpSocketState::new((&sender.socket).into()).unwrap();
        let (mesh, links) = (port.mesh_socket(), port.link_socket());
        Self { runtime, port, mesh, links, sender: sender.socket, offload, left, right }
    }

    fn frame(&self, segment: Segment, sequence: u64, payload: usize) -> Vec<u8> {
        let (source, labels, key) = match segment {
            Segment::Stays(tag) => (tag, Labels::NONE, 1),
            Segment::ToLeft => (7, Labels::new(&[Label(2)]).unwrap(), 1),
            Segment::ToRight => (7, Labels::new(&[Label(3)]).unwrap(), 1),
            Segment::Quic | Segment::Forged => (7, Labels::NONE, 200),
        };
        let header = Header { kind: Kind::Data, lane: 0, labels, source: Tag(source), path: 1, sequence };
        let mut bytes = header.encode().to_vec();
        bytes.extend((0..payload).map(|i| (i as u64 * 7 + sequence) as u8));
        stamp(&mut bytes, sequence, &FrameKey::from_bytes([key; 16]));
        if segment == Segment::Quic {
            bytes[0] |= 0x40;
        }
        bytes
    }

    fn send(&self, batch: &[u8], stride: usize) {
        let transmit = Transmit {
            destination: self.port.local_addr(),
            ecn: Some(EcnCodepoint::Ect0),
            contents: batch,
            segment_size: (batch.len() > stride).then_some(stride),
            src_ip: None,
        };
        self.offload.try_send((&self.sender).into(), &transmit).unwrap();
    }

    /// Drives the reader until everything that is expected has arrived.
    fn drive(&self, expected: &Sorted) -> Sorted {
        let (mut sorted, mut buffers, start) = (Sorted::default(), Buffers::new(), Instant::now());
        while sorted.first_source.len() < expected.first_source.len()
            || sorted.second_source.len() < expected.second_source.len()
            || sorted.quic.len() < expected.quic.len()
            || self.port.counters().forwarded < (expected.left.len() + expected.right.len()) as u64
        {
            assert!(start.elapsed() < PATIENCE, "something got lost: {:?}", self.port.counters());
            self.runtime.block_on(tokio::task::yield_now());
            self.poll(&*self.mesh, &mut buffers, |meta, packet| {
                let source = if meta.addr == session_address(Tag(1)) {
                    &mut sorted.first_source
                } else {
                    assert_eq!(meta.addr, session_address(Tag(2)));
                    &mut sorted.second_source
                };
                assert_eq!((meta.ecn, meta.dst_ip), (Some(EcnCodepoint::Ect0), None));
                source.push(packet.to_vec());
            });
            self.poll(&*self.links, &mut buffers, |meta, packet| {
                assert_eq!(meta.addr, self.sender.local_addr().unwrap());
                sorted.quic.push(packet.to_vec());
            });
        }
        sorted.left = expected.left.iter().map(|_| self.left.receive()).collect();
        sorted.right = expected.right.iter().map(|_| self.right.receive()).collect();
        sorted
    }

    fn drive_until(&self, done: impl Fn() -> bool) {
        let (mut buffers, start) = (Buffers::new(), Instant::now());
        while !done() {
            assert!(start.elapsed() < PATIENCE, "something got lost: {:?}", self.port.counters());
            self.runtime.block_on(tokio::task::yield_now());
            self.poll(&*self.mesh, &mut buffers, |_, _| panic!("nothing here is for this node"));
        }
    }

    /// Polls a socket once. The runtime has to have noticed before that there is something to read.
    fn poll(&self, socket: &dyn AsyncUdpSocket, buffers: &mut Buffers, mut take: impl FnMut(&RecvMeta, &[u8])) {
        let _entered = self.runtime.enter();
        let mut metas = [RecvMeta::default(); 32];
        let mut slices = buffers.0.iter_mut().map(|buffer| IoSliceMut::new(buffer));
        let mut slices: [IoSliceMut<'_>; 32] = std::array::from_fn(|_| slices.next().unwrap());
        let polled = socket.poll_recv(&mut Context::from_waker(Waker::noop()), &mut slices, &mut metas);
        let Poll::Ready(count) = polled else { return };
        for (slice, meta) in slices.iter().zip(&metas).take(count.unwrap()) {
            assert!(meta.len > 0, "an empty message is work for nothing");
            slice[..meta.len].chunks(meta.stride).for_each(|packet| take(meta, packet));
        }
    }
}

/// How long loopback may take before a datagram counts as lost.
const PATIENCE: Duration = Duration::from_secs(2);
