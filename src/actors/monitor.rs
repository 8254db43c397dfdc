//! The MonitorActor: turns reports into incidents.

use prunella_core::monitor::Monitor;

use super::directory::{Directory, Mailbox};
use super::driver::Role;
use crate::messages::{MonitorMsg, NoQuery};

impl Role for Monitor {
    type Query = NoQuery;

    fn answer(&self, query: NoQuery) {
        match query {}
    }

    fn enter(&self, directory: &Directory, mailbox: Mailbox<MonitorMsg>) {
        directory.enter(|slots| slots.monitor = Some(mailbox));
    }
}
