//! The deterministic simulator, for surfaces: the core that ships, many nodes, one thread, one seed.

pub use prunella_sim::{Options, Report, Summary, run_each};
