//! The ExecutorActor: carries plans out.

use prunella_core::executor::Executor;

use super::directory::{Directory, Mailbox};
use super::driver::Role;
use crate::messages::{ExecutorMsg, NoQuery};

impl Role for Executor {
    type Query = NoQuery;

    fn answer(&self, query: NoQuery) {
        match query {}
    }

    fn enter(&self, directory: &Directory, mailbox: Mailbox<ExecutorMsg>) {
        directory.enter(|slots| slots.executor = Some(mailbox));
    }
}
