//! `prunella chaos cpu-hog`, `clock` and `disk`: a bad machine, as the node sees it.

use std::time::Duration;

use clap::{ArgGroup, Args};

use super::Lasting;
use crate::api::Request;
use crate::api::chaos::{HOG_THREADS_MAX, Order};
use crate::cli::failure::Failure;
use crate::cli::parse;
use crate::cli::session::Session;

#[derive(Debug, Args)]
pub(super) struct CpuHog {
    /// How many threads are kept busy
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=i64::from(HOG_THREADS_MAX)))]
    threads: u16,
    #[command(flatten)]
    lasting: Lasting,
}

impl CpuHog {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let order = Order::CpuHog { threads: self.threads, for_ms: self.lasting.ms() };
        let done = format!("{} threads of the node are busy\n", self.threads);
        session.order("keep threads busy", &Request::Chaos(order), &done).await
    }
}

#[derive(Debug, Args)]
pub(super) struct Clock {
    /// By how many seconds the clock is wrong; below zero it is late
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    offset: i64,
    #[command(flatten)]
    lasting: Lasting,
}

impl Clock {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let order = Order::Clock { offset_s: self.offset, for_ms: self.lasting.ms() };
        let done = format!("the node's clock is wrong by {} s\n", self.offset);
        session.order("set the clock wrong", &Request::Chaos(order), &done).await
    }
}

#[derive(Debug, Args)]
#[command(group(ArgGroup::new("how").required(true).args(["full", "slow", "stopped"])))]
#[command(after_help = "A node that cannot write for long gives up, and says why: what it was told would be lost.")]
pub(super) struct Disk {
    /// Nothing can be written; what is there can be read
    #[arg(long)]
    full: bool,
    /// Every call takes so much longer, such as 200ms
    #[arg(long, value_name = "TIME", value_parser = parse::time)]
    slow: Option<Duration>,
    /// The store refuses everything, as after an error of the disk, until another one takes its place
    #[arg(long)]
    stopped: bool,
    #[command(flatten)]
    lasting: Lasting,
}

impl Disk {
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        let slow_ms = self.slow.map(|slow| slow.as_millis() as u64);
        let order = Order::Disk { slow_ms, stopped: self.stopped, for_ms: self.lasting.ms() };
        let done = match (self.full, self.stopped) {
            (true, _) => "the node's disk is full\n",
            (_, true) => "the node's store has stopped\n",
            _ => "the node's disk is slow\n",
        };
        session.order("break the disk", &Request::Chaos(order), done).await
    }
}
