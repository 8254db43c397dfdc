//! The clock by which the program notes when it heard a neighbor.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of the monotonic clock, as the kernel's programs have it.
pub(super) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
