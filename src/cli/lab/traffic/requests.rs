//! Requests and answers: a small request every 5 ms over one lasting connection, each answer matched to its request.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::gap::longest_gap;
use super::losses::{Loss, Why, in_a_row};
use super::task::Task;

/// Answers every request with itself, on every connection.
pub(super) async fn echo(listener: TcpListener) {
    super::task::serve(listener, |mut stream: TcpStream| async move {
        let (mut reader, mut writer) = stream.split();
        // A client that goes away is no concern of the server.
        let _ = tokio::io::copy(&mut reader, &mut writer).await;
    })
    .await;
}

/// Sends requests from its start until it is dropped.
#[derive(Debug)]
pub(super) struct Requests {
    log: Arc<Mutex<Log>>,
    _task: Task,
}

impl Requests {
    /// Starts to send requests to `target`; `seed` goes into each request's check.
    pub(super) fn start(target: SocketAddr, seed: u64) -> Self {
        let log = Arc::new(Mutex::new(Log { seed, requests: Vec::new() }));
        Self { _task: Task::start(drive(target, log.clone())), log }
    }

    /// Waits until the fate of every request sent until `end` is known, and sums up those of the window.
    pub(super) async fn window(&self, start: Instant, end: Instant) -> Summary {
        while lock(&self.log).is_waiting(start, end) {
            sleep(REQUEST_INTERVAL).await;
        }
        lock(&self.log).summary(start, end)
    }

    /// Those of a window whose fate is known and that were not answered in time, told from `start` on.
    pub(super) fn losses(&self, start: Instant, end: Instant) -> Vec<Loss> {
        lock(&self.log).losses(start, end)
    }
}

/// What became of the requests of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Summary {
    /// Sent within the window.
    pub(in super::super) sent: u64,
    /// Of those, answered correctly and in time.
    pub(in super::super) answered: u64,
    /// Of those, failed with the connection that carried them: the caller heard of it in time.
    pub(in super::super) failed: u64,
    /// The longest time without a successful answer.
    pub(in super::super) gap: Duration,
}

impl Summary {
    /// Requests without a successful answer, whether the caller was told or not.
    pub(in super::super) fn lost(&self) -> u64 {
        self.sent - self.answered
    }

    /// Requests of which nobody heard again in time: neither an answer nor an error.
    pub(in super::super) fn unaccounted(&self) -> u64 {
        self.sent - self.answered - self.failed
    }
}

// --- The log ---------------------------------------------------------------------------------------------------------

#[derive(Debug)]
struct Log {
    seed: u64,
    /// In the order of sending: a request's sequence number is its place here.
    requests: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    sent: Instant,
    fate: Fate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Waiting,
    Answered(Instant),
    /// Not answered in time; known since.
    Lost(Why, Instant),
}

impl Log {
    /// Notes a new request; gives its bytes.
    fn send(&mut self, now: Instant) -> [u8; REQUEST_BYTES] {
        self.requests.push(Entry { sent: now, fate: Fate::Waiting });
        encode(self.seed, self.requests.len() as u64 - 1)
    }

    /// Notes an answer; false if it belongs to no request that waits.
    fn answer(&mut self, bytes: &[u8; REQUEST_BYTES], now: Instant) -> bool {
        let sequence = u64::from_be_bytes(bytes[..8].try_into().expect("BUG: eight bytes are eight bytes"));
        let Some(entry) = self.requests.get_mut(sequence as usize) else { return false };
        if entry.fate != Fate::Waiting || *bytes != encode(self.seed, sequence) {
            return false;
        }
        let in_time = now.duration_since(entry.sent) <= ANSWER_TIMEOUT;
        entry.fate = if in_time { Fate::Answered(now) } else { Fate::Lost(Why::Late, now) };
        true
    }

    /// Notes that the connection has ended, and with it whatever was under way.
    fn end(&mut self, end: End, now: Instant) {
        let waiting = self.requests.iter_mut().rev().take(UNDER_WAY_MAX).filter(|entry| entry.fate == Fate::Waiting);
        for entry in waiting {
            let in_time = now.duration_since(entry.sent) <= ANSWER_TIMEOUT;
            let why = match end {
                End::Closed(error) if in_time => Why::Ended(error),
                End::Closed(error) => Why::EndedLate(error),
                End::Silent => Why::Silence,
                End::Garbled => Why::Garbled,
            };
            entry.fate = Fate::Lost(why, now);
        }
    }

    fn within(&self, start: Instant, end: Instant) -> &[Entry] {
        let first = self.requests.partition_point(|entry| entry.sent < start);
        let after = self.requests.partition_point(|entry| entry.sent <= end);
        &self.requests[first..after.max(first)]
    }

    fn is_waiting(&self, start: Instant, end: Instant) -> bool {
        let waits = |entry: &Entry| entry.fate == Fate::Waiting && entry.sent.elapsed() <= ANSWER_TIMEOUT;
        self.within(start, end).iter().any(waits)
    }

    fn summary(&self, start: Instant, end: Instant) -> Summary {
        let requests = self.within(start, end);
        let count = |wanted: fn(&Fate) -> bool| requests.iter().filter(|entry| wanted(&entry.fate)).count() as u64;
        let arrivals = self.requests.iter().filter_map(|entry| match entry.fate {
            Fate::Answered(at) => Some(at),
            _ => None,
        });
        Summary {
            sent: requests.len() as u64,
            answered: count(|fate| matches!(fate, Fate::Answered(_))),
            failed: count(|fate| matches!(fate, Fate::Lost(why, _) if why.is_told())),
            gap: longest_gap(arrivals, start, end),
        }
    }

    fn losses(&self, start: Instant, end: Instant) -> Vec<Loss> {
        let mut losses = in_a_row(self.within(start, end).iter().map(|entry| {
            let lost = match entry.fate {
                Fate::Answered(_) => None,
                Fate::Lost(why, known) => Some((why, known.duration_since(entry.sent))),
                Fate::Waiting => Some((Why::Outstanding, end.saturating_duration_since(entry.sent))),
            };
            (entry.sent.duration_since(start), lost)
        }));
        for loss in &mut losses {
            let sent = start + loss.at;
            let known = sent + loss.waited;
            loss.starved = longest_gap(self.within(sent, known).iter().map(|entry| entry.sent), sent, known);
        }
        losses
    }
}

fn lock(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    // Nothing that holds the lock can panic half-way through a change.
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sequence number, then a check that only this seed and this number give.
fn encode(seed: u64, sequence: u64) -> [u8; REQUEST_BYTES] {
    let mut check = blake3::Hasher::new_derive_key("prunella lab 2026 request");
    check.update(&seed.to_be_bytes()).update(&sequence.to_be_bytes());
    let mut bytes = [0; REQUEST_BYTES];
    bytes[..8].copy_from_slice(&sequence.to_be_bytes());
    bytes[8..].copy_from_slice(&check.finalize().as_bytes()[8..]);
    bytes
}

// --- The connection --------------------------------------------------------------------------------------------------

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It was closed or reset: what was under way has failed, and the caller knows.
    Closed(io::ErrorKind),
    /// Nothing came back for too long.
    Silent,
    /// Something came back that nobody had sent.
    Garbled,
}

async fn drive(target: SocketAddr, log: Arc<Mutex<Log>>) {
    loop {
        if let Ok(Ok(stream)) = timeout(CONNECT_TIMEOUT, TcpStream::connect(target)).await {
            // Without it requests would wait for each other's acknowledgments; a failure costs only time.
            let _ = stream.set_nodelay(true);
            let (reader, writer) = stream.into_split();
            let end = tokio::select! {
                end = send(writer, &log) => end,
                end = receive(reader, &log) => end,
            };
            lock(&log).end(end, Instant::now());
        }
        sleep(RECONNECT_INTERVAL).await;
    }
}

async fn send(mut writer: OwnedWriteHalf, log: &Mutex<Log>) -> End {
    let mut ticks = interval(REQUEST_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let request = lock(log).send(Instant::now());
        if let Err(error) = writer.write_all(&request).await {
            return End::Closed(error.kind());
        }
    }
}

async fn receive(mut reader: OwnedReadHalf, log: &Mutex<Log>) -> End {
    let mut answer = [0; REQUEST_BYTES];
    loop {
        // Requests are always under way, so silence is never for want of a question.
        match timeout(ANSWER_TIMEOUT, reader.read_exact(&mut answer)).await {
            Ok(Ok(_)) if lock(log).answer(&answer, Instant::now()) => {}
            Ok(Ok(_)) => return End::Garbled,
            Ok(Err(error)) => return End::Closed(error.kind()),
            Err(_) => return End::Silent,
        }
    }
}

const REQUEST_BYTES: usize = 32;
const REQUEST_INTERVAL: Duration = Duration::from_millis(5);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
const RECONNECT_INTERVAL: Duration = Duration::from_millis(20);
/// More requests cannot be under way: after twice the time-out of silence the connection is given up.
const UNDER_WAY_MAX: usize = 2 * (ANSWER_TIMEOUT.as_millis() / REQUEST_INTERVAL.as_millis()) as usize;

#[cfg(test)]
mod tests {
    use super::*;

    async fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    async fn until_sent(requests: &Requests, count: usize) {
        let enough = async {
            while lock(&requests.log).requests.len() < count {
                sleep(REQUEST_INTERVAL).await;
            }
        };
        timeout(Duration::from_secs(20), enough).await.expect("requests are sent");
    }

    #[tokio::test]
    async fn over_a_whole_connection_nothing_is_lost_and_the_gap_is_small() {
        let (listener, address) = listen().await;
        let _echo = Task::start(echo(listener));
        let requests = Requests::start(address, 7);
        until_sent(&requests, 1).await;
        let start = Instant::now();
        until_sent(&requests, 60).await;
        let summary = requests.window(start, Instant::now()).await;
        assert!(summary.sent >= 50, "{summary:?}");
        assert_eq!((summary.lost(), summary.unaccounted()), (0, 0), "{summary:?}");
        assert!(summary.gap < Duration::from_millis(500), "{summary:?}");
    }

    #[tokio::test]
    async fn what_was_under_way_on_a_closed_connection_has_failed() {
        let (listener, address) = listen().await;
        let start = Instant::now();
        let requests = Requests::start(address, 7);
        let (mut first, _) = listener.accept().await.unwrap();
        first.read_exact(&mut [0; 5 * REQUEST_BYTES]).await.unwrap();
        drop(first);
        let _echo = Task::start(echo(listener));
        until_sent(&requests, 20).await;
        let summary = requests.window(start, Instant::now()).await;
        assert!(summary.failed >= 5, "{summary:?}");
        assert_eq!(summary.unaccounted(), 0, "{summary:?}");
        let losses = requests.losses(start, Instant::now());
        assert!(losses.iter().any(|loss| matches!(loss.why, Why::Ended(_)) && loss.requests >= 5), "{losses:?}");
        assert!(summary.answered >= 5, "it connected again: {summary:?}");
    }

    #[tokio::test]
    async fn an_answer_that_was_altered_is_not_an_answer() {
        let (listener, address) = listen().await;
        let start = Instant::now();
        let requests = Requests::start(address, 7);
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = [0; REQUEST_BYTES];
        stream.read_exact(&mut bytes).await.unwrap();
        bytes[31] ^= 1;
        stream.write_all(&bytes).await.unwrap();
        // It hangs up on who answers nonsense.
        while stream.read(&mut bytes).await.is_ok_and(|read| read > 0) {}
        let summary = requests.window(start, Instant::now()).await;
        assert_eq!(summary.answered, 0);
        assert!(summary.unaccounted() >= 1, "{summary:?}");
        assert_eq!(requests.losses(start, Instant::now())[0].why, Why::Garbled);
    }

    #[test]
    fn a_late_answer_is_a_lost_request() {
        let mut log = Log { seed: 1, requests: Vec::new() };
        let start = Instant::now();
        let (early, late) = (log.send(start), log.send(start));
        assert!(log.answer(&early, start + ANSWER_TIMEOUT));
        assert!(log.answer(&late, start + ANSWER_TIMEOUT + Duration::from_millis(1)));
        assert!(!log.answer(&early, start + ANSWER_TIMEOUT), "nothing is answered twice");
        let summary = log.summary(start, start + Duration::from_secs(3));
        assert_eq!((summary.sent, summary.answered, summary.unaccounted()), (2, 1, 1));
        assert_eq!(summary.gap, ANSWER_TIMEOUT);
        let waited = ANSWER_TIMEOUT + Duration::from_millis(1);
        let losses = log.losses(start, start);
        assert_eq!((losses.len(), losses[0].requests, losses[0].why, losses[0].waited), (1, 1, Why::Late, waited));
    }
}
