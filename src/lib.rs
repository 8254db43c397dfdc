//! Prunella: a self-healing, zero-trust mesh network, built as a supervised actor system.

pub mod api;
pub mod security;
