//! `prunella chaos`: breaks things on a node that consents, shows what is broken, mends it; or soaks a mesh of its own.

mod actor;
mod host;
mod link;

pub(super) use actor::{Stall, stall};

use std::time::Duration;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::lab;
use super::parse;
use super::session::Session;
use crate::api::chaos::Order;
use crate::api::{Error, ErrorKind, Request};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    command: ChaosCommand,
}

/// What can be broken, and mended.
#[derive(Debug, Subcommand)]
enum ChaosCommand {
    /// Impair the link to a neighbor: lose, delay, double, reorder or throttle what is sent there or comes from there
    Link(link::Arguments),
    /// Make an actor panic, return an error, stall or be slow
    Actor(actor::Arguments),
    /// Keep threads of the node's process busy
    CpuHog(host::CpuHog),
    /// Set the wall clock wrong, as the node sees it
    Clock(host::Clock),
    /// Make the disk full or slow, as the node's store sees it
    Disk(host::Disk),
    /// Have the certificate renewed now, as if it were about to expire
    Certificate,
    /// List the faults in force, and when each ends by itself
    Status,
    /// End every fault
    Clear,
    /// Soak a mesh of its own: random faults and an actor killed every second, under load; then a report
    #[command(arg = super::done_here())]
    Soak(lab::SoakArguments),
}

impl Arguments {
    /// What to soak, if that is wanted: it needs no running node.
    pub(super) fn soak(&self) -> Option<&lab::SoakArguments> {
        match &self.command {
            ChaosCommand::Soak(arguments) => Some(arguments),
            _ => None,
        }
    }
}

/// How long a fault is in force.
#[derive(Debug, Args)]
struct Lasting {
    /// When the fault ends by itself, such as 500ms, 5s or 2m; at most 1h
    #[arg(long = "for", value_name = "TIME", value_parser = parse::time, default_value = "60s")]
    lasts: Duration,
}

impl Lasting {
    fn ms(&self) -> u64 {
        self.lasts.as_millis() as u64
    }
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    match arguments.command {
        ChaosCommand::Link(arguments) => link::run(arguments, session).await,
        ChaosCommand::Actor(arguments) => actor::run(arguments, session).await,
        ChaosCommand::CpuHog(arguments) => arguments.run(session).await,
        ChaosCommand::Clock(arguments) => arguments.run(session).await,
        ChaosCommand::Disk(arguments) => arguments.run(session).await,
        ChaosCommand::Certificate => {
            let done = "the certificate is being renewed; `status` shows when it expires\n";
            session.order("renew the certificate", &Request::Chaos(Order::Certificate), done).await
        }
        ChaosCommand::Soak(_) => {
            let text = "`prunella chaos soak` starts a mesh of its own; run it outside of the shell";
            Err(Failure::new("soak a mesh", Error::new(ErrorKind::InvalidInput, text)))
        }
        ChaosCommand::Status => session.show("list the faults", &Request::Chaos(Order::Status)).await,
        ChaosCommand::Clear => {
            session.order("end the faults", &Request::Chaos(Order::Clear), "no fault is in force any more\n").await
        }
    }
}
