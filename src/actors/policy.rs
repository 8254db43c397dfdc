//! The PolicyActor: decides who may do what.

use prunella_core::policy::Policy;

use super::directory::{Directory, Mailbox};
use super::driver::Role;
use crate::messages::{NoQuery, PolicyMsg};

impl Role for Policy {
    type Query = NoQuery;

    fn answer(&self, query: NoQuery) {
        match query {}
    }

    fn enter(&self, directory: &Directory, mailbox: Mailbox<PolicyMsg>) {
        directory.enter(|slots| slots.policy = Some(mailbox));
    }
}
