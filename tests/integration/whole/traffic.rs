//! Requests over one connection, sent all the time; every one must be answered, in order.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prunella::{Connection, MeshNode, PeerId};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

/// A connection in use.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<Result<u64, String>>,
    receiver: JoinHandle<Result<Outcome, String>>,
}

/// What became of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) answered: u64,
    /// The longest time between two answers.
    pub(crate) gap: Duration,
}

impl Traffic {
    /// Connects and begins to ask.
    pub(crate) async fn start(node: &MeshNode, peer: PeerId) -> Result<Self, String> {
        let connection = node.connect(peer).await.map_err(|error| format!("the traffic cannot begin: {error}"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let sender = tokio::spawn(send(connection.clone(), stop.clone()));
        Ok(Self { stop, sender, receiver: tokio::spawn(receive(connection)) })
    }

    /// Ends the connection in order; every request must have been answered.
    pub(crate) async fn finish(self) -> Result<Outcome, String> {
        self.stop.store(true, Ordering::Relaxed);
        let finished = async { (self.sender.await.unwrap(), self.receiver.await.unwrap()) };
        let (sent, received) = timeout(PATIENCE, finished).await.map_err(|_| "the traffic does not end".to_owned())?;
        let (sent, outcome) = (sent?, received?);
        if outcome.answered == sent {
            return Ok(outcome);
        }
        Err(format!("{} of {sent} requests were answered", outcome.answered))
    }
}

async fn send(connection: Connection, stop: Arc<AtomicBool>) -> Result<u64, String> {
    let mut tick = interval(PERIOD);
    let mut sent = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        tick.tick().await;
        let request = [sent.to_be_bytes().as_slice(), &[7; 192]].concat();
        connection.send(&request).await.map_err(|error| format!("request {sent} could not be sent: {error}"))?;
        sent += 1;
    }
    connection.close().await.map_err(|error| format!("the traffic could not be closed: {error}"))?;
    Ok(sent)
}

async fn receive(connection: Connection) -> Result<Outcome, String> {
    let (mut answered, mut gap, mut last) = (0_u64, Duration::ZERO, Instant::now());
    while let Some(answer) = connection.receive().await.map_err(|error| format!("after {answered} answers: {error}"))? {
        if answer[..8] != answered.to_be_bytes() {
            return Err(format!("instead of the answer to {answered} came {:?}", &answer[..8]));
        }
        answered += 1;
        gap = gap.max(last.elapsed());
        last = Instant::now();
    }
    Ok(Outcome { answered, gap })
}

/// Between two requests.
const PERIOD: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(60);
