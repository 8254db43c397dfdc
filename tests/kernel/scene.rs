//! One relay with a neighbor on each side, and what can be seen of it.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::{SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use prunella::datapath::{AttachMode, Counters, LinkInstall, LinkStats, Port};
use prunella_core::frame::{FrameKey, HEADER_BYTES, Header, Kind, Labels, PROBE_BYTES, stamp};
use prunella_core::{Label, LinkId, PeerId, Tag};

use crate::ends::End;
use crate::namespaces::{Family, Row, at, socket};
use crate::relay::Relay;

/// Who forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    User,
    Kernel(AttachMode),
}

/// The labels of the relay's links.
pub(crate) const TO_LEFT: Label = Label(5);
pub(crate) const TO_RIGHT: Label = Label(7);
pub(crate) const LEFT_LINK: LinkId = LinkId(1);
pub(crate) const RIGHT_LINK: LinkId = LinkId(2);
const PORT: u16 = 4600;
const PATIENCE: Duration = Duration::from_secs(5);
/// After so long a silence nothing more is on its way.
const QUIET: Duration = Duration::from_millis(25);

/// What one case has left behind, in a form that is the same for both halves.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The frames that came to the left and to the right, without what differs by intent: sequence and MAC.
    pub(crate) left: Vec<Vec<u8>>,
    pub(crate) right: Vec<Vec<u8>>,
    pub(crate) counters: Counters,
    pub(crate) links: Vec<LinkStats>,
}

pub(crate) struct Scene {
    pub(crate) relay: Relay,
    pub(crate) left: UdpSocket,
    pub(crate) right: UdpSocket,
    pub(crate) stranger: UdpSocket,
    pub(crate) family: Family,
    pub(crate) row: Row,
    next: u64,
    fences: u64,
    /// The numbers of both spaces that came to the right, each with its key: none comes twice.
    numbers: BTreeSet<(u8, u64)>,
    /// What came to the left and to the right before the last pause.
    kept: [Vec<Vec<u8>>; 2],
    _ends: Vec<End>,
}

pub(crate) fn key(seed: u8) -> FrameKey {
    FrameKey::from_bytes([seed; 16])
}

/// The keys of the left link: what the relay receives by and sends by; and of the right one.
pub(crate) const LEFT_KEYS: [u8; 2] = [1, 2];
pub(crate) const RIGHT_KEYS: [u8; 2] = [3, 4];
/// Of a link that takes the right one's place.
pub(crate) const NEWER_RIGHT_KEYS: [u8; 2] = [13, 14];

impl Scene {
    /// `None` where it cannot be had.
    pub(crate) fn new(family: Family, half: Half) -> Option<Self> {
        let row = Row::new()?;
        let left = socket(&row.left, at(family.left()[0], 1111));
        let right = socket(&row.right, at(family.right(), 2222));
        let stranger = socket(&row.left, at(family.left()[1], 3333));
        let relay = Relay::start(&row.relay, at(family.any(), PORT));
        let mut ends = Vec::new();
        if let Half::Kernel(mode) = half {
            if mode == AttachMode::Native {
                ends.extend([&row.left, &row.right].map(|host| End::open(host, "wire")));
            }
            let attached = relay.attach(&["west", "east"]).unwrap();
            assert_eq!(attached.interfaces, [("west".to_owned(), mode), ("east".to_owned(), mode)]);
            assert!(attached.shortcomings.is_empty(), "{attached:?}");
        }
        let numbers = BTreeSet::new();
        let kept = Default::default();
        let mut scene =
            Self { kept, relay, left, right, stranger, family, row, next: 1, fences: 0, numbers, _ends: ends };
        scene.install(LEFT_LINK, TO_LEFT, scene.left.local_addr().unwrap(), LEFT_KEYS);
        scene.install(RIGHT_LINK, TO_RIGHT, scene.right.local_addr().unwrap(), RIGHT_KEYS);
        scene.settle();
        Some(scene)
    }

    pub(crate) fn install(&self, id: LinkId, label: Label, remote: SocketAddr, [receive, send]: [u8; 2]) {
        let peer = PeerId::from_public_key([label.0 as u8; 32]);
        let (send_key, receive_key) = (key(send), key(receive));
        self.port(move |port| {
            port.install_link(LinkInstall { id, peer, remote, label, send_key, receive_key, may_relay: true });
        });
    }

    pub(crate) fn port<T: Send + 'static>(&self, work: impl FnOnce(&Port) -> T + Send + 'static) -> T {
        self.relay.with(move |port| work(port))
    }

    /// The next sequence number of the left neighbor's user space.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// A frame of the left neighbor that is to follow these labels.
    pub(crate) fn frame(&mut self, kind: Kind, labels: &[Label], payload: &[u8]) -> Vec<u8> {
        let sequence = self.number();
        frame(kind as u8, labels, payload, sequence)
    }

    /// Data for the right.
    pub(crate) fn data(&mut self) -> Vec<u8> {
        self.frame(Kind::Data, &[TO_RIGHT], b"a packet of a session")
    }

    pub(crate) fn send(&self, datagram: &[u8]) {
        self.left.send_to(datagram, self.west()).unwrap();
    }

    pub(crate) fn send_all<'a>(&self, datagrams: impl IntoIterator<Item = &'a Vec<u8>>) {
        datagrams.into_iter().for_each(|datagram| self.send(datagram));
    }

    pub(crate) fn west(&self) -> SocketAddr {
        at(self.family.relay()[0], PORT)
    }

    /// Waits until the relay has dealt with everything that was sent, and tells what can be seen.
    pub(crate) fn settle(&mut self) -> Seen {
        // The second question is in a batch behind that of the first, whose frames have left by then.
        let [mut left, before] = std::mem::take(&mut self.kept);
        for _ in 0..2 {
            self.fences += 1;
            let mut payload = [0; PROBE_BYTES];
            payload[..8].copy_from_slice(&self.fences.to_be_bytes());
            let sequence = self.number();
            self.send(&stamped(Kind::Probe as u8, &[], &payload, 0, sequence, &key(LEFT_KEYS[0])));
            let mut answered = false;
            while !answered {
                let frame = receive(&self.left, PATIENCE).expect("the relay answers");
                answered = frame[0] == Kind::Echo as u8 && frame[HEADER_BYTES..] == payload;
                left.extend((!answered).then(|| faceless(frame)));
            }
        }
        left.extend(rest(&self.left).into_iter().map(faceless));
        self.port(|port| port.send_probe(RIGHT_LINK, &[], 0, 0));
        let mut right = rest(&self.right);
        right.retain(|frame| {
            let number = u64::from_be_bytes(frame[32..40].try_into().unwrap());
            assert!(self.numbers.insert((sealed_by(frame), number)), "a number came twice");
            frame[0] != Kind::Probe as u8 || frame[28..32] != [0; 4]
        });
        let (mut counters, mut links) = self.port(|port| (port.counters(), port.link_stats()));
        counters.forwarded_in_kernel = 0;
        links.iter_mut().for_each(|link| link.silent_ms = None);
        left.sort();
        let mut right: Vec<_> = right.into_iter().map(faceless).chain(before).collect();
        right.sort();
        Seen { left, right, counters, links }
    }

    /// Waits in the middle of a case; what can be seen by then is seen at its end.
    pub(crate) fn pause(&mut self) {
        let Seen { left, right, .. } = self.settle();
        self.kept = [left, right];
    }

    /// An echo of the left neighbor for a probe with this path and nonce.
    pub(crate) fn echo(&mut self, path: u32, nonce: u64) -> Vec<u8> {
        let mut payload = [0; PROBE_BYTES];
        payload[..8].copy_from_slice(&nonce.to_be_bytes());
        stamped(Kind::Echo as u8, &[], &payload, path, self.number(), &key(LEFT_KEYS[0]))
    }

    /// Waits for a probe on the left, and sends it back.
    pub(crate) fn answer_a_probe(&mut self) {
        let probe = receive(&self.left, PATIENCE).expect("a probe");
        assert_eq!(probe[0], Kind::Probe as u8);
        let number =
            |at: usize, bytes: usize| probe[at..at + bytes].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let echo = self.echo(number(28, 4) as u32, number(HEADER_BYTES, 8));
        self.send(&echo);
    }

    /// How many frames the program has passed on.
    pub(crate) fn forwarded_in_kernel(&self) -> u64 {
        self.port(|port| port.counters().forwarded_in_kernel)
    }
}

/// A frame with the path number 9 and the left neighbor's key.
pub(crate) fn frame(kind: u8, labels: &[Label], payload: &[u8], sequence: u64) -> Vec<u8> {
    stamped(kind, labels, payload, 9, sequence, &key(LEFT_KEYS[0]))
}

fn stamped(kind: u8, labels: &[Label], payload: &[u8], path: u32, sequence: u64, key: &FrameKey) -> Vec<u8> {
    let labels = Labels::new(labels).unwrap();
    let header = Header { kind: Kind::Data, lane: 0, labels, source: Tag(0xabcd), path, sequence };
    let mut bytes = [&header.encode()[..], payload].concat();
    bytes[0] = kind;
    stamp(&mut bytes, sequence, key);
    bytes
}

/// Without what the two halves may give differently, once it is known to be right.
fn faceless(mut frame: Vec<u8>) -> Vec<u8> {
    sealed_by(&frame);
    frame[32..HEADER_BYTES].fill(0);
    frame
}

/// Which of the relay's keys made the MAC.
fn sealed_by(frame: &[u8]) -> u8 {
    let keys = [LEFT_KEYS, RIGHT_KEYS, NEWER_RIGHT_KEYS].map(|[_, send]| send);
    keys.into_iter().find(|seed| key(*seed).verify(frame).is_ok()).expect("the MAC of the relay's frame is right")
}

fn rest(socket: &UdpSocket) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| receive(socket, QUIET)).collect()
}

fn receive(socket: &UdpSocket, patience: Duration) -> Option<Vec<u8>> {
    let until = Instant::now() + patience;
    let mut buffer = vec![0; 2048];
    socket.set_read_timeout(Some(patience)).unwrap();
    loop {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                buffer.truncate(length);
                return Some(buffer);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted || error.kind() == ErrorKind::ConnectionRefused => {}
            Err(_) => return None,
        }
        if Instant::now() > until {
            return None;
        }
    }
}
