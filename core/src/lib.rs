//! The protocol of Prunella as pure machines.
//!
//! Nothing in this crate reads a clock, opens a socket, awaits, or draws ambient randomness: time and randomness come
//! in as values, and everything that a machine wants done leaves it as an effect. So the actors of the shipping program
//! and the simulator run the very same code, and a failure replays from its seed.
//!
//! - [`machine::Machine`] is the shape of every role; the roles are [`peer`], [`gossip`], [`pathfinder`], [`monitor`],
//!   [`planner`], [`executor`], [`rebalancer`] and [`policy`].
//! - [`wiring`] says which role is told of which effect; [`node::Node`] runs all roles together.
//! - [`wire`] is what neighbors say to each other, [`frame`] is what carries traffic, [`record`] is what gossip spreads,
//!   [`shared`] what several nodes write together.
//! - [`overlay`] is how IP packets travel between nodes.
//! - [`broadcast`] is how urgent records spread, [`reconcile`] how missing ones are found, [`selection`] whom a node
//!   chooses as neighbors.
//! - [`membership`] decides who is alive, suspect or down from what several observers say.
//! - [`latency`] is how far a neighbor is, [`clusters`] who stands close together.
//! - [`incident`] has the words of the healing loop, [`analysis`] finds what incidents have in common.
//! - [`ledger`] is what a node must not be able to deny later: its log, and who watches it.
//! - [`trace_context`] is which trace a request belongs to.
//! - [`rejected`] names why something was turned away, [`reputation`] what that means for whoever sent it.
//! - [`limits`] bounds everything.

pub mod analysis;
pub mod broadcast;
pub mod clusters;
pub mod door;
pub mod executor;
pub mod frame;
pub mod gossip;
pub mod identity;
pub mod ids;
pub mod incident;
pub mod instant;
pub mod interleaving;
pub mod latency;
pub mod ledger;
pub mod limits;
pub mod machine;
pub mod membership;
pub mod monitor;
pub mod node;
pub mod overlay;
pub mod pathfinder;
pub mod paths;
pub mod peer;
pub mod planner;
pub mod planted;
pub mod policy;
pub mod rebalancer;
pub mod reconcile;
pub mod record;
pub mod recording;
pub mod rejected;
pub mod reputation;
pub mod rng;
pub mod selection;
pub mod shared;
pub mod signer;
pub mod token_bucket;
pub mod trace_context;
pub mod verified;
pub mod wire;
pub mod wiring;

pub use ids::{ItemId, Label, LinkId, PeerId, Tag};
pub use instant::Instant;
pub use machine::Machine;
pub use rejected::Rejected;
pub use token_bucket::TokenBucket;
pub use trace_context::TraceContext;
pub use verified::Verified;
