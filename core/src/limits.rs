//! Every bound in one place, with the relations between them checked by the compiler.
//!
//! A queue, table, message or retry without an entry here is a defect.

use std::time::Duration;

// --- What is on the wire ---------------------------------------------------------------------------------------------

/// Longest control message between neighbors, in bytes, without its four-byte length prefix.
pub const CONTROL_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Longest body of a record, in bytes.
pub const RECORD_BODY_BYTES_MAX: usize = 8 * 1024;
/// Longest encoded record, in bytes: body, key and fixed fields.
pub const RECORD_BYTES_MAX: usize = RECORD_BODY_BYTES_MAX + RECORD_KEY_BYTES_MAX + 128;
/// Longest key of a record, in bytes (a service's name, for example).
pub const RECORD_KEY_BYTES_MAX: usize = 64;
/// Most bytes of records in one push; a longer single record cannot be.
pub const PUSH_BYTES_MAX: usize = 48 * 1024;
/// Most records in one push.
pub const PUSH_RECORDS_MAX: usize = 256;
/// Most entries in one digest message; a larger map is told in several.
pub const DIGEST_ENTRIES_MAX: usize = 400;
/// Longest invitation token, decoded, in bytes.
pub const TOKEN_BYTES_MAX: usize = 1024;
/// Most addresses that a node record, a token or a neighbor may list.
pub const ADDRESSES_MAX: usize = 8;
/// Longest service name, in bytes; names are `[a-z0-9-]`.
pub const SERVICE_NAME_BYTES_MAX: usize = 63;
/// Longest name of a region, in bytes.
pub const REGION_BYTES_MAX: usize = 31;
/// Longest node name, in bytes.
pub const NODE_NAME_BYTES_MAX: usize = 63;
/// Longest shared value, in bytes.
pub const SHARED_VALUE_BYTES_MAX: usize = 1024;

// --- What is known ---------------------------------------------------------------------------------------------------

/// Most records held, of all origins.
pub const RECORDS_MAX: usize = 32 * 1024;
/// Most records held of one origin, so that one member cannot crowd out the others.
pub const RECORDS_PER_ORIGIN_MAX: usize = 512;
/// Most links in one link-state record.
pub const LINKS_PER_NODE_MAX: usize = 64;
/// Most services that one node exposes.
pub const SERVICES_PER_NODE_MAX: usize = 128;
/// Most forwards that one node listens for.
pub const FORWARDS_PER_NODE_MAX: usize = 128;
/// Most shared keys known, of all writers; removed ones count until the removal is forgotten.
pub const SHARED_KEYS_MAX: usize = 4096;
/// Most shared keys that one node writes; removed ones count until the removal is forgotten.
pub const SHARED_KEYS_PER_ORIGIN_MAX: usize = 256;
/// Most writers told apart under one shared key: the entries of a write's clock, and the writes held.
pub const SHARED_WRITERS_MAX: usize = 32;
/// Most rules in a policy.
pub const POLICY_RULES_MAX: usize = 1024;
/// Most neighbors, and so most PeerActors.
pub const NEIGHBORS_MAX: usize = LINKS_PER_NODE_MAX;
/// Most incidents remembered; the oldest closed one makes room.
pub const INCIDENTS_MAX: usize = 512;
/// Most plans in execution at once.
pub const PLANS_MAX: usize = 16;

// --- Paths -----------------------------------------------------------------------------------------------------------

/// Most relays on a path: the labels that fit in a frame's header.
pub const PATH_LABELS_MAX: usize = 8;
/// Paths kept per active destination unless the configuration says otherwise.
pub const PATHS_DEFAULT: usize = 3;
/// Most paths kept per active destination.
pub const PATHS_MAX: usize = 8;
/// Most destinations with installed routes.
pub const DESTINATIONS_MAX: usize = 1024;

// --- Queues ----------------------------------------------------------------------------------------------------------

/// Most messages waiting in one actor's mailbox; beyond it the message is dropped and counted.
pub const MAILBOX_MAX: usize = 4096;
/// Most control messages waiting to be written to one neighbor; beyond it the message is dropped: anti-entropy repairs.
pub const CONTROL_QUEUE_MAX: usize = 256;
/// Most QUIC packets waiting for the link endpoint; beyond it they are dropped, as a full socket buffer would.
pub const LINK_PACKET_QUEUE_MAX: usize = 1024;
/// Most datapath events (probe returns, path errors) waiting for their actors.
pub const DATAPATH_EVENTS_MAX: usize = 4096;
/// Most inbound handshakes in progress at once; beyond it connection attempts are refused before any crypto.
pub const HANDSHAKES_MAX: usize = 64;
/// Most control-socket connections at once.
pub const CONTROL_CLIENTS_MAX: usize = 64;
/// Longest line on the control socket, in bytes.
pub const CONTROL_LINE_BYTES_MAX: usize = 256 * 1024;
/// Most streams that one peer may have open in one session.
pub const SESSION_STREAMS_MAX: u32 = 1024;
/// Most sessions at once.
pub const SESSIONS_MAX: usize = 1024;
/// Longest message on a [`Connection`](https://docs.rs/prunella) of the library, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

// --- Time ------------------------------------------------------------------------------------------------------------

/// How long a connection attempt to a neighbor may take.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an admission (join) exchange may take.
pub const ADMISSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a session may take to be established before the caller hears an error.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(5);
/// How far a record's issue time may lie in the future (clock differences between hosts).
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);
/// Longest life that a record may claim.
pub const RECORD_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a shared value holds without being renewed by its writer.
pub const SHARED_LIFE: Duration = Duration::from_secs(3 * 24 * 3600);
/// How long the removal of a shared value is remembered without being renewed.
pub const SHARED_TOMBSTONE_LIFE: Duration = RECORD_LIFE_MAX;

// --- Rates -----------------------------------------------------------------------------------------------------------

/// Control messages accepted from one neighbor per second (token bucket, with this much burst).
pub const CONTROL_RATE_PER_SECOND: u32 = 1000;
/// Probes answered and path errors sent per link and second.
pub const REPLY_RATE_PER_SECOND: u32 = 2000;

// --- Supervision -----------------------------------------------------------------------------------------------------

/// Restarts within [`RESTART_WINDOW`] after which a supervisor gives up and fails itself.
pub const RESTARTS_MAX: usize = 3;
/// The window in which restarts are counted.
pub const RESTART_WINDOW: Duration = Duration::from_secs(60);

const _: () = assert!(PUSH_BYTES_MAX + RECORD_BYTES_MAX + 128 < CONTROL_MESSAGE_BYTES_MAX, "a push fits a message");
const _: () =
    assert!(DIGEST_ENTRIES_MAX * (48 + RECORD_KEY_BYTES_MAX) < CONTROL_MESSAGE_BYTES_MAX, "a digest fits a message");
const _: () = assert!(LINKS_PER_NODE_MAX * (56 + 42) < RECORD_BODY_BYTES_MAX, "a link-state record fits its body");
const _: () = assert!(NEIGHBORS_MAX <= LINKS_PER_NODE_MAX, "every neighbor's link can be told");
const _: () = assert!(SERVICES_PER_NODE_MAX + 2 <= RECORDS_PER_ORIGIN_MAX, "a node can tell all of its services");
const _: () = assert!(
    SHARED_KEYS_PER_ORIGIN_MAX + SERVICES_PER_NODE_MAX + 2 <= RECORDS_PER_ORIGIN_MAX,
    "a node can tell all of its services and shared values"
);
const _: () = assert!(
    SHARED_WRITERS_MAX * (32 + 9) + SHARED_VALUE_BYTES_MAX + 32 < RECORD_BODY_BYTES_MAX,
    "a write with a full clock fits its body"
);
const _: () = assert!(
    2 * SHARED_LIFE.as_secs() <= SHARED_TOMBSTONE_LIFE.as_secs(),
    "a removal outlives every renewal of what it removed"
);
const _: () = assert!(PATHS_DEFAULT <= PATHS_MAX, "the default is allowed");
