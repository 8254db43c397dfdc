//! Whole nodes, each in a network namespace of its own, over cables that fail as cables do.
//!
//! Needs root and the commands `ip` and `nft`; a test that cannot have them says `skipped: ...`, and passes.

#![allow(clippy::unwrap_used, reason = "a test that cannot be set up is a failed one")]

mod cables;
mod failover;
mod networks;
mod overlay;
mod rig;
mod roaming;
mod sizes;
mod weather;
