//! Nothing at all: what the machine can do. With two hops the middle is a router of the kernel.

use std::time::Instant;

use prunella_bench::LabError;

use super::{Running, System, THROUGH};
use crate::compare::ground::{Ground, Shape};

pub(super) struct Bare;

impl System for Bare {
    fn name(&self) -> &'static str {
        "bare"
    }

    fn describe(&self) -> String {
        "the virtual Ethernet cable itself, not encrypted; two hops over a router of the kernel".to_owned()
    }

    fn shapes(&self) -> &'static [Shape] {
        THROUGH
    }

    fn start(&self, ground: &Ground) -> Result<Running, LabError> {
        ground.route_below()?;
        Ok(Running::daemons(Instant::now(), Vec::new(), ground.target_end().v4.into()))
    }
}
