//! The policy language: files of rules, what they mean for a request, and the limits that stand beside them.
//!
//! A policy is a set of Cedar policies (Cutler et al., Cedar: A New Language for Expressive, Fast, Safe, and Analyzable
//! Authorization, 2024), validated strictly against a schema of ours; a plain file of allow and deny compiles to it. What
//! nothing allows is denied, and a deny always wins. [`Engine`] decides, and depends on nothing but its policy and on
//! what [`Facts`] tell; [`Limiter`] counts. Both are pure: time comes in as a value.

pub mod case;
mod cedar;
pub mod command;
mod compile;
pub mod engine;
pub mod explain;
pub mod facts;
mod index;
pub mod limiter;
pub mod limits;
mod plain;
pub mod policy_file;
pub mod refused;
pub mod request;
mod schema;
mod scope;
mod verdict_cache;

pub use case::{Case, Difference};
pub use command::{Command, CommandKind};
pub use engine::{Engine, RuleRef, Verdict};
pub use explain::{Explanation, NearRule};
pub use facts::{Facts, NodeFacts, SameFacts};
pub use limiter::{Exceeded, Limiter, Permit};
pub use limits::Limits;
pub use policy_file::{PolicyFile, Rule};
pub use refused::Refused;
pub use request::{Action, ActionName, Request};

#[cfg(test)]
mod tests;
