//! IP packets between nodes: what an overlay interface hands over, and how it travels.
//!
//! A node's interface gives and takes IP packets, long ones with the work of segmenting left to do. Here is what can be
//! said of them without a socket: what their headers mean ([`Packet`]), how a long one becomes segments ([`Segments`]) and
//! segments a long one ([`Train`]), what is answered when one cannot go on ([`icmp`]), which goes first ([`FairQueue`]),
//! how one is sealed for the peer ([`sealed`]), and which networks stand behind whom ([`Prefix`]).
//!
//! **Checksums.** A packet whose transport checksum is still to be completed (the interface's offload, as in virtio 1.2,
//! section 5.1.6) travels as it is, and the other end's kernel is told so: between the two, the seal guards every byte.

mod checksum;
mod codel;
pub mod ecn;
mod fair;
pub mod icmp;
mod offload;
mod packet;
mod path_mtu;
mod prefix;
pub mod sealed;
mod segment;
mod train;

pub use checksum::complete;
pub use fair::FairQueue;
pub use offload::{OFFLOAD_BYTES, Offload, Segmentation};
pub use packet::{Flow, Packet, Protocol, Tracking};
pub use path_mtu::PathMtu;
pub use prefix::{Prefix, PrefixError, PrefixTable};
pub use segment::Segments;
pub use train::Train;
