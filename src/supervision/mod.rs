//! The supervision tree: what is restarted, with whom, how often, and what happens when that does not help.
//!
//! Restarts follow the same loop as the mesh: a failed actor is an incident, its restart kind is the plan, the supervisor
//! acts, and the outcome is knowledge.

pub mod patience;
pub mod supervisor;
pub mod tending;
pub mod tree;
