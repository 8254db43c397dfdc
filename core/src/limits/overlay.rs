//! What the overlay interface bears: packets, flows, tunnels, networks behind nodes, names.

use std::time::Duration;

/// Most tunnels at once, one direction of a pair of nodes each: whoever would need more makes do with sessions.
pub const TUNNELS_MAX: usize = 4096;
/// How long a tunnel may carry nothing before it is let go.
pub const TUNNEL_IDLE: Duration = Duration::from_secs(600);
/// How long a sender of packets uses one key.
pub const EPOCH_LIFE: Duration = Duration::from_secs(120);
/// How many epochs a packet may lie ahead of the newest that was received: so many were lost as a whole.
pub const EPOCHS_AHEAD_MAX: u16 = 32;
/// Flows of an overlay interface remembered at once; the one that was silent longest among a few makes room.
pub const FLOWS_MAX: usize = 64 * 1024;
/// Flows that are told of: the newest.
pub const FLOWS_TOLD_MAX: usize = 1024;
/// Packets that wait for their flow to be judged.
pub const FLOWS_UNJUDGED_MAX: usize = 256;
/// Packets that wait for a tunnel, to all nodes together, and those for one of them.
pub const PACKETS_WAITING_MAX: usize = 1024;
/// See [`PACKETS_WAITING_MAX`].
pub const PACKETS_WAITING_FOR_ONE_MAX: usize = 64;
/// Most queues of an overlay interface.
pub const TUN_QUEUES_MAX: usize = 16;
/// Packets of the interface, 64 KiB at most each, that wait to be sent, for each of its queues; beyond that they stay there.
pub const OUTWARD_PACKETS_MAX: usize = 96;
/// Bytes of them; beyond that the flow that has most waiting loses some.
pub const OUTWARD_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Most networks that one node may say to stand behind it.
pub const ROUTES_ANNOUNCED_MAX: usize = 16;
/// Most networks behind other nodes to which a node sends packets, and as many of which it tells why it does not.
pub const ROUTES_MAX: usize = 1024;
/// Connections at once to the responder that tells names.
pub const NAME_CONNECTIONS_MAX: usize = 32;
/// Longest first message on a tunnel's stream, in bytes.
pub const TUNNEL_HELLO_BYTES_MAX: usize = 64;
