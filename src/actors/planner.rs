//! The PlannerActor: turns incidents into plans.

use prunella_core::planner::Planner;

use super::directory::{Directory, Mailbox};
use super::driver::Role;
use crate::messages::{NoQuery, PlannerMsg};

impl Role for Planner {
    type Query = NoQuery;

    fn answer(&self, query: NoQuery) {
        match query {}
    }

    fn enter(&self, directory: &Directory, mailbox: Mailbox<PlannerMsg>) {
        directory.enter(|slots| slots.planner = Some(mailbox));
    }
}
