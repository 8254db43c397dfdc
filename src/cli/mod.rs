//! The command line: one command per module. It may use `api` only.

pub mod lab;
