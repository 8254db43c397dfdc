//! How many tasks the datapath has, beside those of actors, and what becomes of them.

use std::io;
use std::num::NonZero;
use std::thread::available_parallelism;

use tokio::task::{JoinHandle, JoinSet};

/// How many sockets are read, or queues of the overlay interface, if the configuration says this: zero leaves it to the
/// machine.
pub(super) fn count(configured: usize) -> usize {
    match configured {
        0 => available_parallelism().map_or(1, NonZero::get).div_ceil(2).min(COUNT_MAX),
        count => count,
    }
}

/// Tells of each that ends before it is stopped.
pub(super) fn watch(mut readers: JoinSet<io::Error>, what: &'static str) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(ended) = readers.join_next().await {
            tracing::error!(?ended, "{what} is read no more");
        }
    })
}

/// Most of each, unless the configuration says how many.
const COUNT_MAX: usize = 4;
