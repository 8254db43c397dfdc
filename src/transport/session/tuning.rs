//! What quinn is told of sessions: windows, times, and how long packets may be.

use std::sync::Arc;
use std::time::Duration;

use prunella_core::wire::notice::SESSION_NOTICE_BYTES_MAX;
use quinn::{MtuDiscoveryConfig, TransportConfig, VarInt};

use super::reroute::Reroute;
use crate::datapath::{SESSION_INITIAL_MTU, SESSION_MTU_MAX};
use crate::transport::quic;

/// The configuration of one session, on which the peer may open so many streams.
pub(super) fn transport_config(streams_max: u32, reroute: Arc<Reroute>) -> TransportConfig {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(SESSION_MTU_MAX);
    let mut config = TransportConfig::default();
    config
        .crypto_buffer_size(quic::HANDSHAKE_BUFFER_BYTES)
        .congestion_controller_factory(reroute)
        .initial_mtu(SESSION_INITIAL_MTU)
        .mtu_discovery_config(Some(discovery))
        .max_idle_timeout(Some(IDLE_TIMEOUT.try_into().expect("BUG: seconds fit a QUIC variable-length integer")))
        .keep_alive_interval(Some(KEEP_ALIVE))
        .max_concurrent_bidi_streams(VarInt::from_u32(streams_max))
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .datagram_receive_buffer_size(Some(NOTICES_BYTES_MAX))
        .datagram_send_buffer_size(NOTICES_BYTES_MAX)
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW_BYTES))
        .receive_window(VarInt::from_u32(SESSION_WINDOW_BYTES))
        .send_window(u64::from(SESSION_WINDOW_BYTES));
    config
}

/// Silence after which a session is given up. Long enough to outlast a repair of the mesh.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often an idle session is kept alive.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
/// Most bytes under way on one stream: 1 Gbit/s over 64 ms.
const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;
/// Most bytes under way in one session and direction, and so the memory that one peer can make this node hold.
const SESSION_WINDOW_BYTES: u32 = 4 * STREAM_WINDOW_BYTES;
const _: () = assert!(KEEP_ALIVE.as_secs() * 3 < IDLE_TIMEOUT.as_secs(), "two lost keep-alives close no session");

/// Room for notices, in bytes, in each direction of a session; the oldest make room.
const NOTICES_BYTES_MAX: usize = 8 * SESSION_NOTICE_BYTES_MAX;
