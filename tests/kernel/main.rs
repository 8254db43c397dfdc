//! The datapath in the kernel, held against the one in user space: same cases, same verdicts, same counters.
//!
//! Everything runs in network namespaces of its own, which takes root; without it each test says that it is skipped.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot be set up has failed, and skips are told"
)]

mod arbitrary;
mod conformance;
mod ends;
mod guard;
mod lifetime;
mod namespaces;
mod observe;
mod relay;
mod scene;
