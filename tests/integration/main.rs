//! Real nodes: child processes of the real program on loopback, in temporary directories, driven over their control sockets.
//!
//! [`mesh`] founds and runs them, [`process`] runs the program, [`echo`] is traffic that notices every lost byte. The other
//! modules hold the tests, one module per subject; [`embedding`] runs its nodes in the process of the test itself.

// Whatever is not as expected here is a failed test.
#![allow(clippy::unwrap_used)]

mod actors;
mod admission;
mod bad_input;
mod certificates;
mod chaos;
mod collector;
#[path = "../../benches/rig/crowd.rs"]
mod crowd;
mod dashboard;
mod datapath;
mod datapath_batches;
mod echo;
mod embedding;
mod escalation;
mod federation;
mod following;
mod gray_cases;
mod healing;
mod hostile;
mod http;
mod http_tls;
mod impaired;
mod inside;
mod ledger;
mod links;
mod live;
mod mesh;
mod metrics;
mod moving;
mod observability;
mod outvoted;
mod overlay;
mod pages;
mod policing;
mod policy;
#[path = "../../fuzz/bodies/policy.rs"]
mod policy_file;
mod process;
mod quarantine;
mod rejoin;
mod remote;
mod replay;
#[path = "../../benches/rig/mod.rs"]
mod rig;
mod scheduling;
mod sealing;
mod secrets;
mod services;
mod shared;
mod shedding;
mod simulator;
mod sockets;
mod spread;
mod steering;
mod terminal;
mod texts;
mod traces;
mod whole;
mod workload_api;
