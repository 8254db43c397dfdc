//! The bounds of a store, with the relations between them checked by the compiler.

/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Most changes in one batch.
pub const BATCH_ENTRIES_MAX: usize = 256;

/// Longest entry of a log, in bytes.
pub const LOG_ENTRY_BYTES_MAX: usize = 16 * 1024;
/// Most bytes that are appended to a log at once, what stands before each entry included.
pub const LOG_BATCH_BYTES_MAX: usize = 1024 * 1024;
/// How long a file of a log may be before another one is begun, in bytes; the last batch in it may go beyond.
pub const LOG_SEGMENT_BYTES: u64 = 4 * 1024 * 1024;
/// Most entries whose places are kept where a file of a log is missing: a file that claims to begin later is none.
pub const LOG_GAP_ENTRIES_MAX: u64 = 1 << 24;

/// Most entries that sled keeps in one leaf: it splits beyond 16, and merges a leaf of less than 4 into its neighbor.
const LEAF_ENTRIES_MAX: usize = 16 + 4;
/// Size of a segment of sled's log, in bytes. A larger leaf would become a file of its own, which no flush makes durable.
pub(crate) const SEGMENT_BYTES: usize = 512 * 1024;

const _: () = assert!(
    LEAF_ENTRIES_MAX * (KEY_BYTES_MAX + VALUE_BYTES_MAX + 64) < SEGMENT_BYTES,
    "every leaf stays within the log, whose flush is durable"
);
