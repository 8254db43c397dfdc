//! What user space and the kernel's packet program agree on: the layout of map keys and values.
//!
//! The other half is `ebpf/program/maps.h`: same names, same bytes. Keys and values go to the kernel as arrays of bytes,
//! which have no padding and need no promise about a type's layout. Addresses, ports and labels stand in network byte
//! order, all other numbers in the machine's own. No dependencies, so that anything can build it.

#![no_std]

use core::net::{IpAddr, SocketAddr};

/// Links at once: every neighbor's, and as many again while each is replaced.
pub const LINKS_MAX: usize = 256;
/// Sources that can be shut out at once.
pub const SHUT_OUT_MAX: usize = 1024;
/// Addresses of this host that the program can know.
pub const LOCAL_MAX: usize = 256;
/// The length of what the program itself keeps of a link, in bytes. It begins as zeros.
pub const LINK_STATE_BYTES: usize = 4136;
/// Of an interface: its program runs in the kernel's generic part, and not in its driver.
pub const IS_GENERIC: u32 = 1;
/// Of an interface: its driver takes frames that a program in another driver sends.
pub const TAKES_FRAMES: u32 = 2;

/// An address as 16 bytes, IPv4 mapped into IPv6 (RFC 4291, section 2.5.5.2).
pub fn address_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// The key of a source: its address and port.
pub fn source_key(source: SocketAddr) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[..16].copy_from_slice(&address_bytes(source.ip()));
    bytes[16..18].copy_from_slice(&source.port().to_be_bytes());
    bytes
}

/// The link on which a source's frames come. It holds a secret, so it cannot be printed.
#[derive(Clone, Copy)]
pub struct SourceValue {
    /// The SipHash-2-4 key of frames received on the link.
    pub key: [u8; 16],
    /// Per space of sequence numbers: numbers up to here may have been seen by user space.
    pub seen_elsewhere: [u64; 2],
    /// Where the link's state and counts are.
    pub slot: u32,
    /// This node's label for the link, which a relay writes into frames that came on it.
    pub label: u16,
    /// Whether frames of this neighbor may be passed on.
    pub may_relay: bool,
    /// Whether more than one link has this source: which one a frame belongs to, user space finds out.
    pub several: bool,
}

impl SourceValue {
    /// The bytes in the map.
    pub fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..16].copy_from_slice(&self.key);
        bytes[16..24].copy_from_slice(&self.seen_elsewhere[0].to_ne_bytes());
        bytes[24..32].copy_from_slice(&self.seen_elsewhere[1].to_ne_bytes());
        bytes[32..36].copy_from_slice(&self.slot.to_ne_bytes());
        bytes[36..38].copy_from_slice(&self.label.to_be_bytes());
        bytes[38] = u8::from(self.may_relay) | u8::from(self.several) << 1;
        bytes
    }
}

/// The key of the link to which a label leads: the label as it stands in a frame.
pub const fn label_key(label: u16) -> [u8; 2] {
    label.to_be_bytes()
}

/// The link to which a label leads. It holds a secret, so it cannot be printed.
#[derive(Clone, Copy)]
pub struct LinkValue {
    /// The SipHash-2-4 key of frames sent on the link.
    pub key: [u8; 16],
    /// Where the neighbor is.
    pub remote: SocketAddr,
    /// Where the link's state and counts are.
    pub slot: u32,
}

impl LinkValue {
    /// The bytes in the map.
    pub fn to_bytes(self) -> [u8; 40] {
        let mut bytes = [0; 40];
        bytes[..16].copy_from_slice(&self.key);
        bytes[16..32].copy_from_slice(&address_bytes(self.remote.ip()));
        bytes[32..34].copy_from_slice(&self.remote.port().to_be_bytes());
        bytes[34] = self.remote.is_ipv4().into();
        bytes[36..].copy_from_slice(&self.slot.to_ne_bytes());
        bytes
    }
}

/// What the program counts per link, on each processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounts {
    /// Authentic frames received.
    pub frames_received: u64,
    /// Their bytes, headers included.
    pub bytes_received: u64,
    /// Frames received and passed on.
    pub forwarded: u64,
    /// Frames that came or went.
    pub carried: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Their bytes, headers included.
    pub bytes_sent: u64,
    /// Frames turned away because of their form.
    pub malformed: u64,
    /// Because of their MAC.
    pub unsigned: u64,
    /// Because of their sequence number.
    pub replayed: u64,
    /// Because the neighbor may not relay.
    pub unauthorized: u64,
    /// When the last authentic frame came, in nanoseconds of the monotonic clock; zero before the first.
    pub heard_at: u64,
}

impl LinkCounts {
    /// What all processors together have counted.
    pub fn sum<'a>(words: impl IntoIterator<Item = &'a [u64; 11]>) -> Self {
        let mut all = [0u64; 11];
        for one in words {
            for (all, one) in all[..10].iter_mut().zip(one) {
                *all += one;
            }
            all[10] = all[10].max(one[10]);
        }
        let [frames_received, bytes_received, forwarded, carried, frames_sent, bytes_sent, refused @ .., heard_at] =
            all;
        let [malformed, unsigned, replayed, unauthorized] = refused;
        Self {
            frames_received,
            bytes_received,
            forwarded,
            carried,
            frames_sent,
            bytes_sent,
            malformed,
            unsigned,
            replayed,
            unauthorized,
            heard_at,
        }
    }
}

/// What the program counts apart from links, on each processor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounts {
    /// Frames from an address that belongs to no link.
    pub unknown_source: u64,
    /// Datagrams of sources that are shut out.
    pub shut_out: u64,
    /// Datagrams of sources that sent more than they may.
    pub over_rate: u64,
    /// Frames passed on.
    pub forwarded: u64,
    /// Frames turned away because of their form.
    pub malformed: u64,
    /// Because of their MAC.
    pub unsigned: u64,
    /// Because of their sequence number.
    pub replayed: u64,
    /// Because the neighbor may not relay.
    pub unauthorized: u64,
}

impl PortCounts {
    /// What all processors together have counted.
    pub fn sum<'a>(words: impl IntoIterator<Item = &'a [u64; 8]>) -> Self {
        let mut all = [0u64; 8];
        for one in words {
            for (all, one) in all.iter_mut().zip(one) {
                *all += one;
            }
        }
        let [unknown_source, shut_out, over_rate, forwarded, malformed, unsigned, replayed, unauthorized] = all;
        Self { unknown_source, shut_out, over_rate, forwarded, malformed, unsigned, replayed, unauthorized }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_stands_where_the_program_reads_it() {
        let remote = SocketAddr::from(([10, 1, 2, 3], 0x1234));
        let key = source_key(remote);
        assert_eq!(key, [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3, 0x12, 0x34, 0, 0]);
        let seen_elsewhere = [5, 6];
        let source =
            SourceValue { key: [7; 16], seen_elsewhere, slot: 9, label: 0x0a0b, may_relay: true, several: false };
        let bytes = source.to_bytes();
        assert_eq!((&bytes[..16], &bytes[36..]), (&[7; 16][..], &[0x0a, 0x0b, 1, 0][..]));
        assert_eq!(bytes[16..24], 5u64.to_ne_bytes());
        assert_eq!(bytes[32..36], 9u32.to_ne_bytes());
        assert_eq!(SourceValue { may_relay: false, several: true, ..source }.to_bytes()[38], 2);
        let bytes = LinkValue { key: [8; 16], remote, slot: 11 }.to_bytes();
        assert_eq!((&bytes[16..34], bytes[34]), (&key[..18], 1));
        assert_eq!(bytes[36..], 11u32.to_ne_bytes());
    }

    #[test]
    fn counts_add_up_over_the_processors_and_the_latest_moment_holds() {
        let (mut one, mut other) = ([1u64; 11], [2u64; 11]);
        (one[10], other[10]) = (70, 60);
        let sum = LinkCounts::sum([&one, &other]);
        assert_eq!((sum.frames_received, sum.unauthorized, sum.heard_at), (3, 3, 70));
        assert_eq!(PortCounts::sum([&[1; 8], &[3; 8]]).unauthorized, 4);
    }
}
