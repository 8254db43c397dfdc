//! What a node exports about itself, in the text format of Prometheus.
//!
//! Nothing is kept for it: a scrape reads the counters that are there anyway and asks those actors that alone know
//! something, all at once and for a short time ([`asked`]). What is exported, under which name and with which labels,
//! stands in `schema.toml` alone ([`schema`]); [`sheet`] writes it down, and [`node`] says what the numbers are.

pub mod asked;
mod links;
pub mod node;
pub mod reference;
pub mod schema;
pub mod sheet;
mod tun;
