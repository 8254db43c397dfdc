//! Every bound in one place, with the relations between them checked by the compiler.
//!
//! A queue, table, message or retry without an entry here is a defect.

mod overlay;
mod surfaces;

use std::time::Duration;

pub use overlay::*;
pub use surfaces::*;

// --- What is on the wire ---------------------------------------------------------------------------------------------

/// Longest control message between neighbors, in bytes, without its four-byte length prefix.
pub const CONTROL_MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// Longest body of a record, in bytes.
pub const RECORD_BODY_BYTES_MAX: usize = 8 * 1024;
/// Longest encoded record, in bytes: body, key and fixed fields. Only statements and proofs
/// may be longer.
pub const RECORD_BYTES_MAX: usize = RECORD_BODY_BYTES_MAX + RECORD_KEY_BYTES_MAX + 128;
/// Longest encoded record that carries a statement, in bytes: the other records are shorter.
pub const STATEMENT_RECORD_BYTES_MAX: usize = STATEMENT_BYTES_MAX + RECORD_KEY_BYTES_MAX + 144;
/// Most records signed at once, as the leaves of one hash tree.
pub const BATCH_RECORDS_MAX: usize = 256;
/// Most hashes that lead from a record to the root of its batch.
pub const BATCH_DEPTH_MAX: usize = BATCH_RECORDS_MAX.ilog2() as usize;
/// What a record travels with at most, in bytes: the signature, the place in its batch, and their lengths.
pub const RECORD_PROOF_BYTES_MAX: usize = 64 + BATCH_DEPTH_MAX * 32 + 24;
/// Longest encoded proof of equivocation, in bytes: two records with what they travel with, and its own fixed fields.
pub const EQUIVOCATION_BYTES_MAX: usize = 2 * (STATEMENT_RECORD_BYTES_MAX + RECORD_PROOF_BYTES_MAX) + 256;
/// Longest encoded proof of a place around a node, in bytes: a record with what it travels with, and its own fixed fields.
pub const PLACE_BYTES_MAX: usize = RECORD_BYTES_MAX + RECORD_PROOF_BYTES_MAX + RECORD_KEY_BYTES_MAX + 192;
/// Signatures that may be bad in one push before the rest of it is not looked at any more.
pub const BAD_SIGNATURES_PER_PUSH_MAX: usize = 4;
/// A node's second signature of what it says, with its certificate and that of its issuer, in bytes.
pub const ENDORSEMENT_BYTES_MAX: usize = 16 * 1024;
/// A statement of the mesh's authority, with both chains of whoever says it, in bytes.
pub const STATEMENT_BYTES_MAX: usize = 18 * 1024 + 512;
/// What stands in a statement beside what is said, in bytes: certificates of Ed25519 and of ML-DSA-65, two of each.
pub const STATEMENT_CHAINS_BYTES_MAX: usize = 12 * 1024;
/// The reason of a revocation, in bytes.
pub const STATEMENT_REASON_BYTES_MAX: usize = 200;
/// Statements of the mesh's authority that a node keeps, one for each subject: revoked nodes, mostly.
pub const STATEMENTS_MAX: usize = 120;
/// Longest key of a record, in bytes (a service's name, for example).
pub const RECORD_KEY_BYTES_MAX: usize = 64;
/// Most bytes of records in one push; a longer single record cannot be.
pub const PUSH_BYTES_MAX: usize = 44 * 1024;
/// Most records in one push.
pub const PUSH_RECORDS_MAX: usize = 256;
/// Most message names in one announcement or graft of the broadcast tree.
pub const BROADCAST_IDS_MAX: usize = 128;
/// Most certificates of an SVID with which a host asks to be admitted: its own and those above it.
pub const SVID_CHAIN_MAX: usize = 4;
/// How long they may be together, in bytes.
pub const SVID_BYTES_MAX: usize = 12 * 1024;
/// Longest SPIFFE ID of a workload that is admitted, in bytes: it stands in each certificate of its node.
pub const WORKLOAD_ID_BYTES_MAX: usize = 512;
/// Most SPIFFE trust domains whose bundles an issuer holds.
pub const TRUST_DOMAINS_MAX: usize = 64;
/// Most certificates in one bundle.
pub const BUNDLE_CERTIFICATES_MAX: usize = 32;
/// Longest file that holds a bundle, in bytes.
pub const BUNDLE_FILE_BYTES_MAX: usize = 256 * 1024;
/// Longest invitation token, decoded, in bytes.
pub const TOKEN_BYTES_MAX: usize = 1024;
/// Most addresses of which the datapath takes nothing, because of who was there.
pub const SHUT_OUT_ADDRESSES_MAX: usize = 1024;
/// Most interfaces to which the kernel's program is attached.
pub const KERNEL_INTERFACES_MAX: usize = 16;
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
/// Most items remembered that were held until lately, so that they are not asked for again.
pub const PAST_ITEMS_MAX: usize = 8 * 1024;
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
/// Longest policy file, in bytes.
pub const POLICY_FILE_BYTES_MAX: usize = 1024 * 1024;
/// Longest name of a policy document, in bytes: a path on the node that it is from.
pub const POLICY_NAME_BYTES_MAX: usize = 4096;
/// Longest name of a policy that is set for the whole mesh, in bytes.
pub const POLICY_SET_NAME_BYTES_MAX: usize = 128;
/// Longest policy that is set for the whole mesh, in bytes: it travels as one statement.
pub const POLICY_SET_BYTES_MAX: usize = 6 * 1024;
/// Most documents that are compiled and not decided upon yet; a further one takes the place of the oldest.
pub const POLICIES_COMPILED_MAX: usize = 4;
/// Most streams that are watched for a change of the policy or of facts; beyond it none is let in.
pub const WATCHED_STREAMS_MAX: usize = 64 * 1024;
/// Most streams whose verdicts are taken again before others have their turn.
pub const RECONSIDERED_AT_ONCE_MAX: usize = 256;
/// Most brackets that are open at once in one Cedar policy, and most `if` in it: the parser and the validator recurse.
pub const POLICY_NESTING_MAX: usize = 32;
/// Most operators in one Cedar policy, the dots of attributes included: a chain of them is a tree as deep as it is long.
pub const POLICY_OPERATORS_MAX: usize = 256;
/// Most tests in a file of policy tests.
pub const POLICY_TESTS_MAX: usize = 1024;
/// Most pairs of a node and a service under which one rule is indexed; beyond it, it is indexed by its nodes alone.
pub const POLICY_PAIRS_INDEXED_MAX: usize = 256;
/// Most verdicts remembered; a further one takes the place of another.
pub const VERDICTS_REMEMBERED_MAX: usize = 4096;
/// Most rules named in an explanation as those that came near.
pub const NEAR_RULES_MAX: usize = 8;
/// Most peers whose connections, rates and quotas are counted; beyond it a further one is refused.
pub const LIMITED_PEERS_MAX: usize = 16 * 1024;
/// Most services whose connections and rates are counted; beyond it a connection to a further one is refused.
pub const LIMITED_SERVICES_MAX: usize = 2 * SERVICES_PER_NODE_MAX;
/// The highest number of connections that a policy may allow at once, and per second.
pub const POLICY_CONNECTIONS_MAX: u32 = 1_000_000;
/// The longest period of a quota.
pub const QUOTA_PERIOD_MAX: Duration = Duration::from_secs(366 * 86_400);
/// Most neighbors, and so most PeerActors.
pub const NEIGHBORS_MAX: usize = LINKS_PER_NODE_MAX;
/// Round trips to a neighbor that its latency statistics are over.
pub const LATENCIES_KEPT: usize = 1024;
/// Most nodes of whom the membership keeps an entry, those included that only another node's links record names.
pub const MEMBERS_MAX: usize = 128 * 1024;
/// Neighbors that a node exchanges for nearer ones within one period of rebalancing, and lets go because they ask: one of
/// each, so that a mesh that rearranges itself stays in one piece.
pub const NEIGHBORS_EXCHANGED_PER_PERIOD: usize = 1;
/// Nodes that were neighbors, or were tried as such, of whom it is remembered how far away they are; the oldest makes room.
pub const DISTANCES_REMEMBERED_MAX: usize = 1024;
/// The shortest period of rebalancing that a configuration may set: links must be measured in between.
pub const REBALANCE_EVERY_MIN: Duration = Duration::from_secs(10);
/// The longest period of rebalancing.
pub const REBALANCE_EVERY_MAX: Duration = Duration::from_secs(24 * 3600);
/// Most regions told apart by name; members of further ones count as nameless.
pub const REGIONS_MAX: usize = 1024;
/// Most messages announced by one neighbor that have not come; its oldest makes room.
pub const MISSING_PER_NEIGHBOR_MAX: usize = 128;
/// Most announcements owed to neighbors, of all messages; beyond it they are made at once.
pub const ANNOUNCEMENTS_OWED_MAX: usize = 4096;
/// Most signatures remembered as good, so that a record that comes again costs no signature check.
pub const VERIFIED_SIGNATURES_MAX: usize = 16 * 1024;
/// Most keys remembered of whoever signed them, ready for use.
pub const SIGNERS_MAX: usize = 1024;
/// Most records remembered as heard from one neighbor within the last moments, to tell what is replayed.
pub const REPLAYS_REMEMBERED_MAX: usize = 1024;
/// Most nodes whose faults are remembered; the least blamed makes room.
pub const REPUTATIONS_MAX: usize = 1024;
/// Most incidents remembered; the oldest closed one makes room.
pub const INCIDENTS_MAX: usize = 512;
/// How long a closed incident is remembered at most.
pub const INCIDENT_LIFE: Duration = Duration::from_secs(90 * 86_400);
/// Most actors under watch: one for every neighbor, and the others.
pub const ACTORS_WATCHED_MAX: usize = NEIGHBORS_MAX + 64;
/// Most of the known mesh that one node may quarantine, in percent.
pub const QUARANTINED_PERCENT_MAX: usize = 10;
/// Most plans in execution at once.
pub const PLANS_MAX: usize = 16;

// --- Ledgers ---------------------------------------------------------------------------------------------------------

/// Most entries of one ledger; beyond it nothing is appended any more, and the refusal is told. In memory an entry costs
/// at most 64 bytes: its own hash and its share of those above.
pub const LEDGER_ENTRIES_MAX: u64 = 1 << 20;
/// Longest name of who did something, where from, or what it was about, in an entry of a ledger, in bytes.
pub const LEDGER_NAME_BYTES_MAX: usize = 256;
/// Longest text of an entry, in bytes; what is longer is cut.
pub const LEDGER_TEXT_BYTES_MAX: usize = 4 * 1024;
/// Longest entry, in bytes: its names, its text, and its fixed fields.
pub const LEDGER_ENTRY_BYTES_MAX: usize = 3 * LEDGER_NAME_BYTES_MAX + LEDGER_TEXT_BYTES_MAX + 96;
/// Most entries that are written to a ledger's log at once.
pub const LEDGER_BATCH_MAX: usize = 64;
/// Most entries that wait to be written; beyond it an event is refused, and that is told.
pub const LEDGER_PENDING_MAX: usize = 1024;
/// Most hashes of an inclusion or consistency proof: two for every level of the largest tree would be more than enough.
pub const LEDGER_PROOF_HASHES_MAX: usize = 2 * LEDGER_ENTRIES_MAX.ilog2() as usize;
/// Most ledgers of other nodes whose heads are remembered; of a further one nothing is.
pub const LEDGERS_WITNESSED_MAX: usize = 1024;
/// Most ledgers of which a node keeps copies of entries: those of its neighbors, and of some that were. A further one takes
/// the place of one that is no neighbor's.
pub const LEDGER_COPIES_MAX: usize = NEIGHBORS_MAX;
/// Most bytes of files that copies of one ledger take, the newest entries: when half of it is full, the older half goes.
pub const LEDGER_COPY_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// How far behind the head a copy begins that is made of a ledger that is longer, in entries.
pub const LEDGER_COPY_ENTRIES_MAX: u64 = 4096;
/// Most entries of a ledger that are asked for at once.
pub const LEDGER_FETCH_MAX: u64 = 64;
/// Bytes of entries that are given at once, unless the first one alone is longer: with one such message per second at most,
/// copies cost a link 8 kB/s while a witness catches up.
pub const LEDGER_GIVE_BYTES_MAX: usize = 8 * 1024;

// --- Paths -----------------------------------------------------------------------------------------------------------

/// Most relays on a path: the labels that fit in a frame's header.
pub const PATH_LABELS_MAX: usize = 8;
/// Paths kept per active destination unless the configuration says otherwise.
pub const PATHS_DEFAULT: usize = 3;
/// Most paths kept per active destination.
pub const PATHS_MAX: usize = 8;
/// Most lanes over which traffic to a destination is spread, the first included.
pub const LANES_MAX: usize = PATHS_MAX;
/// Times per second, and destination, that traffic begins to be sent on a second path as well.
pub const HEDGES_PER_SECOND: u32 = 2;
/// Most sessions whose acknowledgments are awaited one by one, a hundred times a second.
pub const SESSIONS_AWAITED_MAX: usize = 256;
/// The share of the bytes sent to a destination that copies may be, as one in so many.
pub const COPIES_ONE_IN: u64 = 20;
/// Bytes of copies that may be sent to a destination beyond that share.
pub const COPIES_BURST_BYTES: u64 = 4 * 1024 * 1024;
/// Changes of the topology that are gathered before paths are searched from nothing rather than repaired, however small
/// the mesh; in a large one, a quarter of its nodes.
pub const TOPOLOGY_EDITS_MIN: usize = 256;
/// Most destinations with installed routes.
pub const DESTINATIONS_MAX: usize = 1024;

// --- Reconciliation --------------------------------------------------------------------------------------------------

/// Coded cells of a set that are kept up to date: how large a difference a sketch can tell, at about 1.4 cells each.
pub const SKETCH_CELLS_MAX: usize = 2048;
/// Coded cells told at first when nothing hints at how much differs.
pub const SKETCH_CELLS_FIRST: usize = 20;
/// Coded cells told to one neighbor per second (token bucket, with this much burst).
pub const SKETCH_CELLS_PER_SECOND: u32 = 4 * SKETCH_CELLS_MAX as u32;
/// Rounds with a neighbor that may end with different roots before the next one is a full sync, so that nobody can hide
/// a difference behind constant change.
pub const RECONCILE_ROUNDS_MAX: u32 = 8;
/// Unanswered greetings to one neighbor within [`RECONCILE_TIMEOUT`]: so many answers of it are read.
pub const RECONCILE_GREETINGS_MAX: usize = 32;
/// Most full syncs at once that this node asked for, and most that it serves.
pub const SYNCS_MAX: usize = 2;
/// Most items listed, given or asked for in one message of a full sync.
pub const SYNC_ITEMS_MAX: usize = 1024;
/// Most parts of a set listed in one message of a full sync.
pub const SYNC_PARTS_MAX: usize = 512;

// --- Queues ----------------------------------------------------------------------------------------------------------

/// Most messages waiting in one actor's mailbox; beyond it the message is dropped and counted.
pub const MAILBOX_MAX: usize = 4096;
/// Most changes, and askers, waiting for the store; beyond it a change is dropped and counted, and nobody who asks is
/// told that it is durable.
pub const STORE_BACKLOG_MAX: usize = 4096;
/// Most control messages waiting to be written to one neighbor; beyond it the message is dropped: anti-entropy repairs.
pub const CONTROL_QUEUE_MAX: usize = 256;
/// Most QUIC packets waiting for the link endpoint; beyond it they are dropped, as a full socket buffer would.
pub const LINK_PACKET_QUEUE_MAX: usize = 1024;
/// Most sockets that a node reads at its address.
pub const SOCKETS_MAX: usize = 16;
/// Most messages of session packets that wait for the session endpoint when another reader took them; beyond it they are
/// dropped, as a full socket buffer would.
pub const ASIDE_MESSAGES_MAX: usize = 2048;
/// Most bytes of them.
pub const ASIDE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most datagrams that faults on purpose hold back at once; beyond it they are lost, as on a link that is full.
pub const FAULT_QUEUE_MAX: usize = 4096;
/// Most faults on purpose in force at once in one node; beyond it a further one is refused.
pub const FAULTS_MAX: usize = 256;
/// Most threads that are kept busy on purpose.
pub const HOG_THREADS_MAX: u16 = 64;
/// Most datapath events (probe returns, path errors) waiting for their actors.
pub const DATAPATH_EVENTS_MAX: usize = 4096;
/// Most inbound handshakes in progress at once; beyond it connection attempts are refused before any crypto.
pub const HANDSHAKES_MAX: usize = 64;
/// Longest name of a command, in bytes.
pub const COMMAND_NAME_BYTES_MAX: usize = 32;
/// Most streams that one peer may have open in one session.
pub const SESSION_STREAMS_MAX: u32 = 1024;
/// Most sessions at once.
pub const SESSIONS_MAX: usize = 1024;
/// Longest message on a [`Connection`](https://docs.rs/prunella) of the library, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

// --- Recordings ------------------------------------------------------------------------------------------------------

/// Longest entry of a recording, in bytes; an input that needs more is not recorded, and neither is what follows in that
/// life of its role.
pub const RECORDING_ENTRY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most entries waiting for the recorder's writer; beyond it they are dropped and counted, and their lives have a gap.
pub const RECORDING_QUEUE_MAX: usize = 8 * 1024;
/// Most bytes of entries waiting for the recorder's writer; as above.
pub const RECORDING_QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most lives of one role that are replayed side by side; the oldest makes room.
pub const RECORDING_LIVES_MAX: usize = ACTORS_WATCHED_MAX;
/// Files kept of each role: the one that is written, and the one before it.
pub const RECORDING_SEGMENTS_KEPT: u64 = 2;
/// Runs of a node whose recordings are kept, the one under way included.
pub const RECORDING_RUNS_KEPT: usize = 2;
/// The least size of a recording's file that a configuration may set, in MiB.
pub const RECORDING_FILE_MIB_MIN: u64 = 4;
/// The largest size of a recording's file that a configuration may set, in MiB.
pub const RECORDING_FILE_MIB_MAX: u64 = 4096;

// --- Time ------------------------------------------------------------------------------------------------------------

/// How long a connection attempt to a neighbor may take.
pub const DIAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an admission (join) exchange may take.
pub const ADMISSION_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a session may take to be established before the caller hears an error.
pub const SESSION_TIMEOUT: Duration = Duration::from_secs(5);
/// How far a record's issue time may lie in the future (clock differences between hosts).
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(300);
/// How long at least H observers must accuse a node before it is removed: a withdrawal or a refutation that is on its
/// way gets there first.
pub const SUSPICION_HOLD: Duration = Duration::from_secs(5);
/// How long two nodes still count as each other's observers after one of them ceased to list the other. Longer than the
/// sickest node takes to accuse, and than a removal takes after that.
pub const PAIR_FADES_AFTER: Duration = Duration::from_secs(60);
/// How long at most a removal waits for other subjects of the same observers to become clear.
pub const STABILITY_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long a removed node must work, after its first removal, before it is back; doubled by each further one.
pub const RETURN_AFTER_MIN: Duration = Duration::from_secs(30);
/// The longest that a removed node must work before it is back.
pub const RETURN_AFTER_MAX: Duration = Duration::from_secs(3600);
/// How long a node that is back must stay for its earlier removals to be forgotten.
pub const REMOVALS_FORGOTTEN_AFTER: Duration = Duration::from_secs(2 * 3600);
/// How long a node that is down still counts among the known ones of whom a quorum is needed.
pub const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);
/// How long a neighbor is silent before this node accuses it, in perfect health; each point of ill health adds as much.
pub const ACCUSE_AFTER: Duration = Duration::from_secs(3);
/// How long an accusation of a node that is down is kept up.
pub const ACCUSATION_RETENTION: Duration = Duration::from_secs(600);
/// How long a majority must be out of reach before the quorum counts as lost.
pub const QUORUM_LOSS_HOLD: Duration = Duration::from_secs(3);
/// Longest life that a record may claim.
pub const RECORD_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long records that were given or asked for may be under way before they are given or asked for again.
pub const RECONCILE_PATIENCE: Duration = Duration::from_secs(2);
/// How long a neighbor may take to answer within a round or a full sync before it is given up.
pub const RECONCILE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one full sync may take, however lively it is.
pub const SYNC_LIFE_MAX: Duration = Duration::from_secs(60);
/// How long a node waits after the beginning of a full sync before it begins another with the same neighbor.
pub const SYNC_PAUSE: Duration = Duration::from_secs(2);
/// How much sooner than [`SYNC_PAUSE`] a neighbor's next full sync may arrive: delays differ.
pub const SYNC_PAUSE_SLACK: Duration = Duration::from_secs(1);
/// How long two sets that were compared in full, and still differ by what one side refuses, are left alone.
pub const SYNC_RETRY: Duration = Duration::from_secs(30);
/// How long a shared value holds without being renewed by its writer.
pub const SHARED_LIFE: Duration = Duration::from_secs(3 * 24 * 3600);
/// Messages of one actor that are shown to somebody who looks on, per second.
pub const TAPPED_PER_SECOND_MAX: u32 = 200;
/// Messages that wait to be shown; more are not shown.
pub const TAPPED_QUEUE_MAX: usize = 256;
/// How much of a message is shown, in bytes.
pub const TAPPED_TEXT_BYTES_MAX: usize = 512;
/// How long somebody may look on at once.
pub const TAPPED_TIME_MAX: Duration = Duration::from_secs(60);
/// How many messages somebody is shown at once.
pub const TAPPED_MAX: usize = 200;
/// How much is told of what an actor's machine knows, in bytes.
pub const SNAPSHOT_BYTES_MAX: usize = 64 * 1024;
/// How long a fault on purpose lasts at most: it ends by itself.
pub const FAULT_TIME_MAX: Duration = Duration::from_secs(3600);
/// How long an actor may be suspended.
pub const SUSPENDED_TIME_MAX: Duration = Duration::from_secs(60);
/// How long the removal of a shared value is remembered without being renewed.
pub const SHARED_TOMBSTONE_LIFE: Duration = RECORD_LIFE_MAX;

// --- Rates -----------------------------------------------------------------------------------------------------------

/// Control messages accepted from one neighbor per second (token bucket, with as much burst) unless the configuration
/// says otherwise.
pub const CONTROL_RATE_PER_SECOND: u32 = 1000;
/// The least rate that a configuration may set: a healthy neighbor must not be taken for a flood.
pub const CONTROL_RATE_PER_SECOND_MIN: u32 = 10;
/// The highest rate that a configuration may set.
pub const CONTROL_RATE_PER_SECOND_MAX: u32 = 100_000;
/// Rejections per second that count against those who caused them, of all neighbors together.
pub const BLAME_PER_SECOND: u32 = 200;
/// Probes answered and path errors sent per link and second.
pub const REPLY_RATE_PER_SECOND: u32 = 2000;
/// Frames per second from addresses without a link whose MAC is checked: a neighbor may have moved there.
pub const WANDERERS_PER_SECOND: u32 = 1000;
/// How often per second a neighbor is asked at an address from which its frames have not come before.
pub const MOVES_PER_SECOND: u32 = 20;

/// Datagrams per second and address that the kernel's program lets through from where no link is, with as much burst. Behind
/// one address there may be many hosts.
pub const KERNEL_STRANGER_PER_SECOND: u64 = 10_000;
/// Datagrams per second of one neighbor that it takes, with as much burst: what is over it is no link's traffic.
pub const KERNEL_NEIGHBOR_PER_SECOND: u64 = 4_000_000;

// --- Supervision -----------------------------------------------------------------------------------------------------

/// Restarts within [`RESTART_WINDOW`] after which a supervisor gives up and fails itself.
pub const RESTARTS_MAX: usize = 3;
/// The window in which restarts are counted.
pub const RESTART_WINDOW: Duration = Duration::from_secs(60);

const _: () =
    assert!(RECORD_BYTES_MAX < STATEMENT_RECORD_BYTES_MAX, "no record but a proof is longer than a statement");
const _: () =
    assert!(PUSH_BYTES_MAX + STATEMENT_RECORD_BYTES_MAX + 128 < CONTROL_MESSAGE_BYTES_MAX, "a push fits a message");
const _: () =
    assert!(EQUIVOCATION_BYTES_MAX + RECORD_PROOF_BYTES_MAX < PUSH_BYTES_MAX, "a proof of equivocation fits a push");
const _: () = assert!(PLACE_BYTES_MAX < EQUIVOCATION_BYTES_MAX, "no record is longer than a proof of equivocation");
const _: () = assert!(BATCH_RECORDS_MAX.is_power_of_two(), "the depth of a batch is a whole number");
const _: () = assert!(REPLAYS_REMEMBERED_MAX >= 2 * PUSH_RECORDS_MAX, "what one push says is remembered");
const _: () = assert!(REPUTATIONS_MAX >= 2 * NEIGHBORS_MAX, "every neighbor's faults are remembered");
const _: () = assert!(CONTROL_RATE_PER_SECOND_MIN <= CONTROL_RATE_PER_SECOND, "the default rate is allowed");
const _: () = assert!(CONTROL_RATE_PER_SECOND <= CONTROL_RATE_PER_SECOND_MAX, "the default rate is allowed");
const _: () = assert!(LINKS_PER_NODE_MAX * (56 + 42) < RECORD_BODY_BYTES_MAX, "a link-state record fits its body");
const _: () = assert!(BROADCAST_IDS_MAX * 32 < CONTROL_MESSAGE_BYTES_MAX, "an announcement fits a message");
const _: () = assert!(BROADCAST_IDS_MAX <= MISSING_PER_NEIGHBOR_MAX, "one announcement does not crowd out itself");
const _: () = assert!(NEIGHBORS_MAX < ANNOUNCEMENTS_OWED_MAX, "one message can be announced to all");
const _: () = assert!(NEIGHBORS_MAX <= LINKS_PER_NODE_MAX, "every neighbor's link can be told");
const _: () = assert!(SERVICES_PER_NODE_MAX + 2 <= RECORDS_PER_ORIGIN_MAX, "a node can tell all of its services");
const _: () = assert!(
    SHARED_KEYS_PER_ORIGIN_MAX + SERVICES_PER_NODE_MAX + STATEMENTS_MAX + 2 <= RECORDS_PER_ORIGIN_MAX,
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
const _: () = assert!(LEDGERS_WITNESSED_MAX >= 2 * NEIGHBORS_MAX, "the ledger of every neighbor is watched");
const _: () =
    assert!(LEDGER_PROOF_HASHES_MAX * 32 + 256 < CONTROL_MESSAGE_BYTES_MAX, "a ledger's proof fits a message");
const _: () = assert!(LEDGER_COPIES_MAX >= NEIGHBORS_MAX, "there is room for copies of every neighbor's ledger");
const _: () = assert!(LEDGER_ENTRY_BYTES_MAX <= LEDGER_GIVE_BYTES_MAX, "the longest entry can be given");
const _: () = assert!(
    LEDGER_GIVE_BYTES_MAX + LEDGER_FETCH_MAX as usize * 8 + 128 < CONTROL_MESSAGE_BYTES_MAX,
    "entries that are given fit a message"
);
const _: () = assert!(LEDGER_ENTRY_BYTES_MAX <= u16::MAX as usize, "lengths in an entry fit 16 bits");
const _: () = assert!(QUARANTINED_PERCENT_MAX < 50, "a quorum is left whomever this node quarantines");
const _: () = assert!(ENDORSEMENT_BYTES_MAX <= STATEMENT_BYTES_MAX, "an endorsement fits where a statement does");
const _: () =
    assert!(TAPPED_MAX * (TAPPED_TEXT_BYTES_MAX + 128) < CONTROL_LINE_BYTES_MAX, "what was shown fits an answer");
const _: () = assert!(SNAPSHOT_BYTES_MAX * 3 < CONTROL_LINE_BYTES_MAX, "a snapshot fits an answer");
const _: () = assert!(PATHS_DEFAULT <= PATHS_MAX, "the default is allowed");
const _: () = assert!(
    POLICY_SET_BYTES_MAX + POLICY_SET_NAME_BYTES_MAX + STATEMENT_CHAINS_BYTES_MAX <= STATEMENT_BYTES_MAX,
    "a policy that is set fits a statement, with the certificates of whoever says it"
);
const _: () =
    assert!(POLICY_FILE_BYTES_MAX + POLICY_NAME_BYTES_MAX + 1024 < RECORDING_ENTRY_BYTES_MAX, "it can be recorded");
const _: () = assert!(VERDICTS_REMEMBERED_MAX.is_power_of_two(), "a verdict's place is some bits of a hash");
const _: () = assert!(SERVICES_PER_NODE_MAX <= LIMITED_SERVICES_MAX, "every service of a node can be limited");
const _: () = assert!(LANES_MAX <= PATHS_MAX, "each lane can have a path of its own");
const _: () = assert!(RECORDS_MAX <= MEMBERS_MAX, "every origin of a record can be a member");
const _: () = assert!(
    REMOVALS_FORGOTTEN_AFTER.as_secs() > RETURN_AFTER_MAX.as_secs(),
    "who flaps at the slowest pace is still remembered"
);
const _: () = assert!(
    PAIR_FADES_AFTER.as_secs() > 9 * ACCUSE_AFTER.as_secs() + SUSPICION_HOLD.as_secs() + STABILITY_WAIT_MAX.as_secs(),
    "a pair lasts until its slowest accusation has had its effect"
);
const _: () = assert!(SKETCH_CELLS_MAX * 12 + 64 < CONTROL_MESSAGE_BYTES_MAX, "a whole sketch fits a message");
const _: () = assert!(SKETCH_CELLS_FIRST < SKETCH_CELLS_MAX, "there is more to ask for");
const _: () =
    assert!(SYNC_ITEMS_MAX * 16 + SYNC_PARTS_MAX * 64 < CONTROL_MESSAGE_BYTES_MAX, "a full sync's parts fit a message");
const _: () = assert!(SYNC_PAUSE_SLACK.as_nanos() < SYNC_PAUSE.as_nanos(), "somebody in a hurry is noticed");
const _: () = assert!(RECORDING_ENTRY_BYTES_MAX < RECORDING_QUEUE_BYTES_MAX, "every entry fits the queue");
const _: () = assert!(
    RECORDING_ENTRY_BYTES_MAX as u64 <= RECORDING_FILE_MIB_MIN * 1024 * 1024,
    "a file is not much longer than it may be"
);
