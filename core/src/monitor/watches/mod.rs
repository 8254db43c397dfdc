//! Watches: for each subject the detectors that look at it, fed with its samples.
//!
//! A watch has fixed memory. It tells what it has found as [`Finding`]s; the role opens and closes incidents from them.

mod actor;
mod link;
mod path;
mod process;
mod store;

pub(super) use actor::ActorWatch;
pub(super) use link::LinkWatch;
pub(super) use path::PathWatch;
pub(super) use process::ProcessWatch;
pub(super) use store::StoreWatch;

pub use link::LinkFigures;
pub use process::ProcessFigures;

use super::detectors::Edge;
use crate::incident::IncidentKind;

/// What a watch has found.
pub(super) type Finding = (IncidentKind, Edge);
