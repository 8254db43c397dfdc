//! A host that sends as fast as it is told to, without a socket: the kernel makes frames as a network card hands them over.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use aya::maps::Array;
use aya::programs::xdp::XdpMode;
use aya::programs::{TestRun, TestRunAttrs, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use prunella_core::frame::{FrameKey, HEADER_BYTES, stamp};

/// Packets, all alike but for what a link wants to be different in each.
pub(crate) struct Packets {
    /// Ethernet addresses: of the receiver, of the sender.
    pub(crate) ethernet: [[u8; 6]; 2],
    pub(crate) from: SocketAddrV4,
    pub(crate) to: SocketAddrV4,
    /// What is in each, at least as long as a frame's header.
    pub(crate) datagram: Vec<u8>,
    /// If they are frames: the key of their link, and the sequence number of the first.
    pub(crate) stamped: Option<([u8; 16], u64)>,
}

/// Where packets go to, and how fast.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    /// The index of an interface of the calling thread's namespace.
    pub(crate) interface: u32,
    /// How many leave at once, which a short queue must be able to hold.
    pub(crate) burst: u32,
    /// From one burst to the next.
    pub(crate) every: Duration,
}

/// Sends as many packets, on this thread, and tells how long it only waited meanwhile, on its processor.
pub(crate) fn generate(packets: &Packets, number: u32, way: Way) -> Duration {
    let whole = packets.encode();
    let mut program = packets.load(&whole, way);
    let waited: Array<_, u64> = program.take_map("WAITED").unwrap().try_into().unwrap();
    let xdp: &mut Xdp = program.program_mut("generator").unwrap().try_into().unwrap();
    xdp.load().unwrap();
    let attrs = TestRunAttrs::new().xdp_live_frames(way.burst);
    xdp.test_run(TestRunOptions { data_in: Some(&whole), repeat: number, attrs, ..TestRunOptions::new() }).unwrap();
    Duration::from_nanos(waited.get(&0, 0).unwrap())
}

/// Drops all that arrives at an interface of the calling thread's namespace, for as long as the value is held.
pub(crate) fn drop_all(interface: &str) -> Ebpf {
    let mut program = Ebpf::load(OBJECT).unwrap();
    let xdp: &mut Xdp = program.program_mut("nothing").unwrap().try_into().unwrap();
    xdp.load().unwrap();
    xdp.attach(interface, XdpMode::Driver).unwrap();
    program
}

impl Packets {
    /// One of them: Ethernet, IPv4 (RFC 791), UDP (RFC 768).
    fn encode(&self) -> Vec<u8> {
        let length = u16::try_from(self.datagram.len() + UDP_BYTES).unwrap();
        let mut ip = [0; IPV4_BYTES];
        ip[0] = 0x45;
        ip[2..4].copy_from_slice(&(length + IPV4_BYTES as u16).to_be_bytes());
        ip[8..10].copy_from_slice(&[64, UDP]);
        ip[12..16].copy_from_slice(&self.from.ip().octets());
        ip[16..20].copy_from_slice(&self.to.ip().octets());
        let check = !fold(sum(&ip));
        ip[10..12].copy_from_slice(&check.to_be_bytes());
        let mut datagram = self.datagram.clone();
        if let Some((key, first)) = self.stamped {
            stamp(&mut datagram, first, &FrameKey::from_bytes(key));
        }
        let mut udp = [self.from.port(), self.to.port(), length, 0].map(u16::to_be_bytes).concat();
        let check = !fold(self.pseudo(length) + sum(&udp) + sum(&datagram));
        udp[6..].copy_from_slice(&check.to_be_bytes());
        [&self.ethernet.concat()[..], &[8, 0], &ip, &udp, &datagram].concat()
    }

    fn load(&self, whole: &[u8], way: Way) -> Ebpf {
        let head: [u8; HEAD_BYTES] = *whole.first_chunk().unwrap();
        let (key, first) = self.stamped.unwrap_or_default();
        let is_frame = u8::from(self.stamped.is_some());
        let payload = u16::try_from(self.datagram.len() - HEADER_BYTES).unwrap();
        let (ports_and_length, same) = (&whole[OUTER_BYTES - UDP_BYTES..OUTER_BYTES - 2], &whole[OUTER_BYTES..]);
        let (before, behind) = (&same[..SEQUENCE], &same[HEADER_BYTES..]);
        let length = u16::try_from(self.datagram.len() + UDP_BYTES).unwrap();
        // In the order in which the program adds: a sum of halves turns with them (RFC 1071).
        let sum = fold(self.pseudo(length) + sum(ports_and_length) + sum(before) + sum(behind));
        let sum = u32::from(u16::from_ne_bytes(sum.to_be_bytes()));
        EbpfLoader::new()
            .override_global("HEAD", &head, true)
            .override_global("KEY", &key, true)
            .override_global("IS_FRAME", &is_frame, true)
            .override_global("PAYLOAD", &payload, true)
            .override_global("SUM", &sum, true)
            .override_global("FIRST", &first, true)
            .override_global("INTERFACE", &way.interface, true)
            .override_global("BURST", &way.burst, true)
            .override_global("EVERY_NS", &u64::try_from(way.every.as_nanos()).unwrap(), true)
            .load(OBJECT)
            .unwrap()
    }

    /// What the pseudo header adds to the UDP checksum.
    fn pseudo(&self, length: u16) -> u32 {
        let addresses: [Ipv4Addr; 2] = [*self.from.ip(), *self.to.ip()];
        addresses.iter().map(|address| sum(&address.octets())).sum::<u32>() + u32::from(UDP) + u32::from(length)
    }
}

fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks(2).map(|half| u32::from(half[0]) << 8 | u32::from(*half.get(1).unwrap_or(&0))).sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/generator.o"));

const UDP: u8 = 17;
const UDP_BYTES: usize = 8;
const IPV4_BYTES: usize = 20;
/// Ethernet, IPv4 and UDP.
const OUTER_BYTES: usize = 14 + IPV4_BYTES + UDP_BYTES;
/// What the program writes.
const HEAD_BYTES: usize = OUTER_BYTES + HEADER_BYTES;
/// Where the sequence number stands in a frame.
const SEQUENCE: usize = 32;
