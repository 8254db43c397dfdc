//! HTTP through the mesh: a GET every 100 ms, each on a connection of its own, each answer checked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::file_server::Files;

/// What is asked for, and how an answer is judged.
#[derive(Clone, Debug)]
pub(super) enum Expected {
    /// One file after the other of the lab's own server, byte for byte.
    Files(Arc<Files>),
    /// The front page of a service that the lab does not know: the status it gave when asked directly, and a whole body.
    FrontPage {
        /// The service's `HOST:PORT`, for the `host` header.
        authority: String,
        /// The status code it gave when it was asked directly.
        status: u16,
    },
}

impl Expected {
    /// Asks the service at `address` directly, to know what it says when no mesh is in between.
    pub(super) async fn learn(address: SocketAddr, authority: &str) -> Result<Self, String> {
        let answered = timeout(ANSWER_TIMEOUT, fetch(address, authority, "/")).await;
        let answer = answered.map_err(|_| "no answer within 2 s".to_owned())?.map_err(|error| error.to_string())?;
        Ok(Self::FrontPage { authority: authority.to_owned(), status: answer.status })
    }

    fn authority(&self) -> &str {
        match self {
            Expected::Files(_) => "lab.prunella",
            Expected::FrontPage { authority, .. } => authority,
        }
    }

    fn path(&self, turn: u64) -> &str {
        match self {
            Expected::Files(files) => files.keys().nth(turn as usize % files.len()).map_or("/", String::as_str),
            Expected::FrontPage { .. } => "/",
        }
    }

    fn accepts(&self, path: &str, answer: &Answer) -> bool {
        match self {
            Expected::Files(files) => answer.status == 200 && files.get(path) == Some(&answer.body),
            Expected::FrontPage { status, .. } => answer.status == *status,
        }
    }
}

/// What became of the GETs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Counts {
    /// Sent.
    pub(in super::super) requests: u64,
    /// Answered with what was expected.
    pub(in super::super) ok: u64,
    /// Refused or broken off in time: the caller heard of it.
    pub(in super::super) failed: u64,
}

impl Counts {
    /// GETs answered wrongly, or not within 2 s.
    pub(in super::super) fn unaccounted(&self) -> u64 {
        self.requests - self.ok - self.failed
    }
}

/// Sends GETs from its start until it is finished or dropped.
#[derive(Debug)]
pub(super) struct Http {
    stop: Option<oneshot::Sender<()>>,
    driver: JoinHandle<()>,
    counts: Arc<Mutex<Counts>>,
}

impl Http {
    /// Starts to send GETs to `target`.
    pub(super) fn start(target: SocketAddr, expected: Expected) -> Self {
        let (stop, stopped) = oneshot::channel();
        let counts = Arc::new(Mutex::new(Counts::default()));
        let driver = tokio::spawn(drive(target, Arc::new(expected), counts.clone(), stopped));
        Self { stop: Some(stop), driver, counts }
    }

    /// Sends no more, and waits for the answers that are outstanding.
    pub(super) async fn finish(mut self) -> Counts {
        drop(self.stop.take());
        // Each GET is bounded by its own time-out; a driver that panicked leaves requests that count as unaccounted for.
        let _ = (&mut self.driver).await;
        *lock(&self.counts)
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

async fn drive(
    target: SocketAddr,
    expected: Arc<Expected>,
    counts: Arc<Mutex<Counts>>,
    mut stopped: oneshot::Receiver<()>,
) {
    let mut ticks = interval(GET_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut gets = JoinSet::new();
    for turn in 0.. {
        tokio::select! {
            _ = &mut stopped => break,
            _ = ticks.tick() => {}
        }
        lock(&counts).requests += 1;
        let (expected, counts) = (expected.clone(), counts.clone());
        gets.spawn(async move { get(target, &expected, turn, &counts).await });
        while gets.try_join_next().is_some() {}
    }
    gets.join_all().await;
}

async fn get(target: SocketAddr, expected: &Expected, turn: u64, counts: &Mutex<Counts>) {
    let path = expected.path(turn);
    match timeout(ANSWER_TIMEOUT, fetch(target, expected.authority(), path)).await {
        Ok(Ok(answer)) if expected.accepts(path, &answer) => lock(counts).ok += 1,
        Ok(Err(_)) => lock(counts).failed += 1,
        Ok(Ok(_)) | Err(_) => {}
    }
}

fn lock(counts: &Mutex<Counts>) -> MutexGuard<'_, Counts> {
    // Nothing that holds the lock can panic.
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

// --- The exchange ----------------------------------------------------------------------------------------------------

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    body: Vec<u8>,
}

async fn fetch(target: SocketAddr, authority: &str, path: &str) -> std::io::Result<Answer> {
    let mut stream = TcpStream::connect(target).await?;
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: {authority}\r\nuser-agent: prunella-lab\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 16 * 1024]);
    loop {
        let read = stream.read(&mut buffer).await?;
        bytes.extend_from_slice(&buffer[..read]);
        if let Some(answer) = parse(&bytes, read == 0) {
            return Ok(answer);
        }
        if read == 0 || bytes.len() > ANSWER_BYTES_MAX {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// The answer, once it is whole: its length told in the head, its last chunk, or the end of the connection.
fn parse(bytes: &[u8], at_end: bool) -> Option<Answer> {
    let head_length = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..head_length]).ok()?;
    let body = &bytes[head_length + 4..];
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    let is_whole = match (header(head, "content-length"), header(head, "transfer-encoding")) {
        (_, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => body.ends_with(b"0\r\n\r\n"),
        (Some(length), _) => body.len() == length.parse::<usize>().ok()?,
        (None, _) => at_end,
    };
    is_whole.then(|| Answer { status, body: body.to_vec() })
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

const GET_INTERVAL: Duration = Duration::from_millis(100);
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::super::file_server::{seeded_files, serve};
    use super::super::task::Task;
    use super::*;

    async fn served(seed: u64) -> (Task, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Task::start(serve(listener, Arc::new(seeded_files(seed)))), address)
    }

    async fn counts_after_gets(http: Http) -> Counts {
        let enough = async {
            while lock(&http.counts).requests < 5 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(20), enough).await.expect("GETs are sent");
        http.finish().await
    }

    #[tokio::test]
    async fn files_that_arrive_unaltered_are_ok() {
        let (_server, address) = served(7).await;
        let counts = counts_after_gets(Http::start(address, Expected::Files(Arc::new(seeded_files(7))))).await;
        assert!(counts.requests >= 5);
        assert_eq!(counts.ok, counts.requests, "{counts:?}");
    }

    #[tokio::test]
    async fn files_with_other_content_are_not_ok() {
        let (_server, address) = served(8).await;
        let counts = counts_after_gets(Http::start(address, Expected::Files(Arc::new(seeded_files(7))))).await;
        // The page is the same for every seed; the files are not.
        assert!(counts.unaccounted() >= 3, "{counts:?}");
    }

    #[tokio::test]
    async fn a_refused_connection_is_a_failure_that_the_caller_hears_of() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let counts = counts_after_gets(Http::start(address, Expected::Files(Arc::new(seeded_files(7))))).await;
        assert_eq!((counts.ok, counts.unaccounted()), (0, 0), "{counts:?}");
    }

    #[tokio::test]
    async fn a_foreign_service_is_compared_with_what_it_says_directly() {
        let (_server, address) = served(7).await;
        let expected = Expected::learn(address, "example.org:80").await.unwrap();
        assert!(matches!(&expected, Expected::FrontPage { status: 200, .. }), "{expected:?}");
        let counts = counts_after_gets(Http::start(address, expected)).await;
        assert_eq!(counts.ok, counts.requests, "{counts:?}");
    }

    #[test]
    fn an_answer_is_whole_only_with_its_last_byte() {
        let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
        assert_eq!(parse(whole, false), Some(Answer { status: 200, body: b"abc".to_vec() }));
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length], true), None, "{length} bytes");
        }
    }

    #[test]
    fn chunks_and_closed_connections_end_an_answer_too() {
        let chunked = b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n";
        assert_eq!(parse(chunked, false).map(|answer| answer.status), Some(404));
        assert_eq!(parse(&chunked[..chunked.len() - 5], true), None);
        let unframed = b"HTTP/1.0 200 OK\r\n\r\nabc";
        assert_eq!(parse(unframed, false), None);
        assert_eq!(parse(unframed, true).map(|answer| answer.body), Some(b"abc".to_vec()));
    }
}
