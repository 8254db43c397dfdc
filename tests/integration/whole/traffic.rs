//! Requests, sent all the time; every one must be answered, in order. Either over one connection, which nothing may break,
//! or by somebody who connects again and repeats what was not answered, because the other side may be gone for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prunella::{Connection, Error, MeshNode, PeerId};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

/// A connection in use.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<Result<u64, String>>,
    receiver: JoinHandle<Result<Outcome, String>>,
}

/// Somebody who asks until there is an answer.
pub(crate) struct Stubborn {
    stop: Arc<AtomicBool>,
    asking: JoinHandle<u64>,
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

impl Stubborn {
    /// Begins to ask.
    pub(crate) fn start(node: MeshNode, peer: PeerId) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let asking = tokio::spawn(ask(node, peer, stop.clone()));
        Self { stop, asking }
    }

    /// Ends with the request that is under way; how many were answered.
    pub(crate) async fn finish(self) -> Result<u64, String> {
        self.stop.store(true, Ordering::Relaxed);
        let asked = timeout(PATIENCE, self.asking).await;
        asked.map(Result::unwrap).map_err(|_| "a request is not answered, however often it is repeated".to_owned())
    }
}

async fn ask(node: MeshNode, peer: PeerId, stop: Arc<AtomicBool>) -> u64 {
    let mut tick = interval(PERIOD);
    let mut connection = None;
    let mut answered = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        tick.tick().await;
        match timeout(ANSWER_PATIENCE, ask_once(&node, peer, &mut connection, answered)).await {
            Ok(Ok(())) => answered += 1,
            Ok(Err(_)) | Err(_) => connection = None,
        }
    }
    answered
}

async fn ask_once(
    node: &MeshNode,
    peer: PeerId,
    connection: &mut Option<Connection>,
    number: u64,
) -> Result<(), Error> {
    let connection = match connection {
        Some(connection) => connection,
        None => connection.insert(node.connect(peer).await?),
    };
    connection.send(&number.to_be_bytes()).await?;
    let answer = connection.receive().await?;
    assert_eq!(answer.as_deref(), Some(number.to_be_bytes().as_slice()), "the answer to another request");
    Ok(())
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
/// How long one answer is waited for before the request is repeated on a new connection.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);
