//! What user space and the kernel's packet programs agree on: the layout of map keys and values, as plain data.
//!
//! There is no kernel program yet. What is here is the one map without which it could not forward at all: from a label
//! to the link on which to send. It has no dependencies, so that both sides can build it.

/// The key of the map of links: a node's own label for a link, as it stands in a frame, in network byte order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LinkKey {
    /// The label's two bytes, as in the frame's header.
    pub label: [u8; 2],
}

/// The value of the map of links: where the neighbor is, and the keys of its frames.
///
/// An IPv4 address is mapped into IPv6 (RFC 4291, section 2.5.5.2). Everything is bytes, so the layout has no padding
/// and the same meaning on every machine. It holds secrets, so it cannot be printed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LinkValue {
    /// The neighbor's address.
    pub address: [u8; 16],
    /// The neighbor's UDP port, in network byte order.
    pub port: [u8; 2],
    /// 1 if frames may be sent on the link, otherwise 0.
    pub usable: u8,
    /// 1 if frames of this neighbor may be passed on, otherwise 0.
    pub may_relay: u8,
    /// This node's label for the link, which a relay writes into frames that came on it, in network byte order.
    pub label: [u8; 2],
    /// Zero.
    pub reserved: [u8; 2],
    /// The SipHash-2-4 key of frames sent on the link.
    pub send_key: [u8; 16],
    /// The SipHash-2-4 key of frames received on the link.
    pub receive_key: [u8; 16],
}

const _: () = assert!(size_of::<LinkKey>() == 2 && align_of::<LinkKey>() == 1, "a key is the label as it stands");
const _: () = assert!(size_of::<LinkValue>() == 56 && align_of::<LinkValue>() == 1, "a value has no padding");
