//! The actors: each is a role of the core with a mailbox. One thin file per actor; [`driver`] is the loop they share,
//! [`directory`] says where each role lives now.

pub mod backlog;
pub mod clock;
pub mod directory;
pub mod driver;
pub mod event_log;
pub mod executor;
pub mod gossip;
pub mod insight;
pub mod knowledge;
pub mod ledger;
pub mod monitor;
pub mod pathfinder;
pub mod peer;
pub mod planner;
pub mod policy;
pub mod rebalancer;
pub mod recorder;
pub mod shell;
pub mod stats;
pub mod surfaces;
pub mod tally;
