//! Prunella: a self-healing, zero-trust mesh network, built as a supervised actor system.

pub mod api;
pub mod datapath;
pub mod security;
pub mod transport;
