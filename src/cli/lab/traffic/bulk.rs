//! A bulk stream whose content is checked: the receiver answers the hash of what arrived, and how long it stood still.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::super::draw::Draw;

/// Hashes what arrives on each connection. When the sender has finished, the answer is the hash (BLAKE3, 32 bytes) and the
/// longest time without anything new in between, in microseconds (8 bytes, big-endian).
pub(super) async fn sink(listener: TcpListener) {
    super::task::serve(listener, |stream: TcpStream| async move {
        // The sender judges: without the right hash its stream was not intact.
        let _ = receive(stream).await;
    })
    .await;
}

async fn receive(mut stream: TcpStream) -> std::io::Result<()> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; CHUNK_BYTES];
    let (mut last, mut longest) = (None, Duration::ZERO);
    loop {
        let read = stream.read(&mut buffer).await?;
        let now = Instant::now();
        longest = longest.max(last.replace(now).map_or(Duration::ZERO, |last| now - last));
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    stream.write_all(hasher.finalize().as_bytes()).await?;
    stream.write_u64(longest.as_micros() as u64).await?;
    stream.shutdown().await
}

/// A stream under way.
#[derive(Debug)]
pub(super) struct Bulk {
    stop: Option<oneshot::Sender<()>>,
    sender: JoinHandle<Sent>,
}

/// What became of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct Sent {
    /// Content bytes handed to the connection.
    pub(in super::super) bytes: u64,
    /// The longest time in which nothing new arrived; zero if that is not known.
    pub(in super::super) gap: Duration,
    /// Why it did not arrive whole and unaltered; `None` if it did.
    pub(in super::super) damage: Option<String>,
}

impl Bulk {
    /// Starts to send what `content` draws to `target`, at most `mbit` megabits per second.
    pub(super) fn start(target: SocketAddr, content: Draw, mbit: u32) -> Self {
        let (stop, stopped) = oneshot::channel();
        let sender = tokio::spawn(async move {
            let mut bytes = 0;
            let sent = send(target, content, mbit, stopped, &mut bytes).await;
            let gap = *sent.as_ref().unwrap_or(&Duration::ZERO);
            Sent { bytes, gap, damage: sent.err().map(|error| error.to_string()) }
        });
        Self { stop: Some(stop), sender }
    }

    /// Ends the stream, and waits for the receiver's word on it.
    pub(super) async fn finish(mut self) -> Sent {
        // If the sender has ended before, its result says why.
        drop(self.stop.take());
        match timeout(FINISH_TIMEOUT, &mut self.sender).await {
            Ok(Ok(sent)) => sent,
            Ok(Err(error)) => lost(error.to_string()),
            Err(_) => lost("the end of the stream did not arrive within 15 s".to_owned()),
        }
    }
}

fn lost(damage: String) -> Sent {
    Sent { bytes: 0, gap: Duration::ZERO, damage: Some(damage) }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        self.sender.abort();
    }
}

/// Sends until it is told to stop; gives the gap that the receiver has seen.
async fn send(
    target: SocketAddr,
    mut content: Draw,
    mbit: u32,
    mut stopped: oneshot::Receiver<()>,
    bytes: &mut u64,
) -> std::io::Result<Duration> {
    let mut stream = TcpStream::connect(target).await?;
    let mut hasher = blake3::Hasher::new();
    let mut chunk = vec![0; bytes_per_tick(mbit)];
    let mut ticks = interval(TICK);
    // What could not be sent during an interruption is not made up for: the limit holds at every moment.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            _ = ticks.tick() => {}
        }
        content.fill(&mut chunk);
        stream.write_all(&chunk).await?;
        hasher.update(&chunk);
        *bytes += chunk.len() as u64;
    }
    stream.shutdown().await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    if let Some((hash, gap)) = answer.split_at_checked(blake3::OUT_LEN)
        && hash == hasher.finalize().as_bytes()
        && let Ok(gap) = gap.try_into()
    {
        return Ok(Duration::from_micros(u64::from_be_bytes(gap)));
    }
    let text = if answer.is_empty() { "no hash came back" } else { "the receiver hashed something else" };
    Err(std::io::Error::other(text))
}

fn bytes_per_tick(mbit: u32) -> usize {
    let per_second = u64::from(mbit) * 1_000_000 / 8;
    (per_second * TICK.as_millis() as u64 / 1000) as usize
}

const TICK: Duration = Duration::from_millis(5);
const CHUNK_BYTES: usize = 64 * 1024;
/// More than a hash and a gap, so that a longer answer is not mistaken for one.
const ANSWER_BYTES_MAX: u64 = 64;
const FINISH_TIMEOUT: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::super::task::Task;
    use super::*;

    async fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn a_stream_that_arrives_whole_is_intact() {
        let (listener, address) = listen().await;
        let _sink = Task::start(sink(listener));
        let bulk = Bulk::start(address, Draw::new(7, "bulk"), 100);
        tokio::time::sleep(Duration::from_millis(60)).await;
        let sent = bulk.finish().await;
        assert_eq!(sent.damage, None);
        assert!(sent.bytes >= bytes_per_tick(100) as u64, "{sent:?}");
        assert!(sent.gap > Duration::ZERO, "ticks have time between them: {sent:?}");
    }

    #[tokio::test]
    async fn one_altered_byte_is_noticed() {
        let (sink_listener, sink_address) = listen().await;
        let _sink = Task::start(sink(sink_listener));
        let (listener, address) = listen().await;
        let _altering = Task::start(async move {
            let (mut near, _) = listener.accept().await.unwrap();
            let mut far = TcpStream::connect(sink_address).await.unwrap();
            let mut first = [0];
            near.read_exact(&mut first).await.unwrap();
            far.write_all(&[first[0] ^ 1]).await.unwrap();
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
        });
        let bulk = Bulk::start(address, Draw::new(7, "bulk"), 10);
        tokio::time::sleep(Duration::from_millis(60)).await;
        assert_eq!(bulk.finish().await.damage.as_deref(), Some("the receiver hashed something else"));
    }

    #[tokio::test]
    async fn a_stream_that_breaks_off_is_not_intact() {
        let (listener, address) = listen().await;
        let bulk = Bulk::start(address, Draw::new(7, "bulk"), 10);
        drop(listener.accept().await.unwrap());
        assert!(bulk.finish().await.damage.is_some());
    }

    #[test]
    fn the_rate_is_in_megabits_per_second() {
        assert_eq!(bytes_per_tick(100), 62_500);
        assert_eq!(bytes_per_tick(1), 625);
    }
}
