//! Traffic that notices every lost byte: numbers in sequence, sent all the time over one TCP connection and echoed back.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};

use super::mesh::until;

/// Starts a TCP server that sends back what it gets; where it listens.
pub(crate) async fn echo_server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = tcp.split();
                // What goes wrong here is noticed by whoever waits for the echo.
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
                let _ = writer.shutdown().await;
            });
        }
    });
    address
}

/// A connection on which a number is sent every few milliseconds, and each must come back, in order.
#[derive(Debug)]
pub(crate) struct Echo {
    stop: Arc<AtomicBool>,
    echoed: Arc<AtomicU64>,
    sender: JoinHandle<u64>,
    receiver: JoinHandle<Result<Outcome, String>>,
}

/// What became of a connection that was ended in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Numbers that came back.
    pub(crate) echoed: u64,
    /// The longest time between two of them.
    pub(crate) gap: Duration,
}

impl Echo {
    /// Connects to the echo at `address`, and waits until the first number has come back.
    pub(crate) async fn start(address: SocketAddr) -> Self {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let (reader, writer) = tcp.into_split();
        let (stop, echoed) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let sender = tokio::spawn(send(writer, stop.clone()));
        let receiver = tokio::spawn(receive(reader, echoed.clone()));
        let echo = Self { stop, echoed, sender, receiver };
        echo.goes_on().await;
        echo
    }

    /// Waits until numbers come back that were sent from now on.
    pub(crate) async fn goes_on(&self) {
        let (before, began) = (self.echoed.load(Ordering::Relaxed), Instant::now());
        until("the echo going on", Duration::from_secs(10), async || {
            let now = self.echoed.load(Ordering::Relaxed);
            let stopped = if self.receiver.is_finished() { "; the connection is over" } else { "" };
            // More than can have been under way already.
            if now > before + 20 { Ok(()) } else { Err(format!("{} in {:?}{stopped}", now - before, began.elapsed())) }
        })
        .await;
    }

    /// Ends the connection in order; every number sent must have come back.
    #[track_caller]
    pub(crate) fn finish(self) -> impl Future<Output = Outcome> {
        let caller = std::panic::Location::caller();
        async move {
            self.stop.store(true, Ordering::Relaxed);
            let finished = async { (self.sender.await.unwrap(), self.receiver.await.unwrap()) };
            let (sent, received) = timeout(Duration::from_secs(20), finished).await.expect("the echo does not end");
            let outcome = received.unwrap_or_else(|error| panic!("the echo broke ({caller}): {error}"));
            assert_eq!(outcome.echoed, sent, "numbers are lost ({caller})");
            outcome
        }
    }
}

async fn send(mut writer: tokio::net::tcp::OwnedWriteHalf, stop: Arc<AtomicBool>) -> u64 {
    let mut tick = interval(PERIOD);
    let mut sent = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        tick.tick().await;
        if writer.write_all(&sent.to_be_bytes()).await.is_err() {
            // The receiver says what is wrong.
            return sent;
        }
        sent += 1;
    }
    let _ = writer.shutdown().await;
    sent
}

async fn receive(mut reader: tokio::net::tcp::OwnedReadHalf, echoed: Arc<AtomicU64>) -> Result<Outcome, String> {
    let (mut expected, mut gap, mut last) = (0_u64, Duration::ZERO, Instant::now());
    loop {
        let mut number = [0; 8];
        match reader.read(&mut number[..1]).await {
            Ok(0) => return Ok(Outcome { echoed: expected, gap }),
            Ok(_) => {}
            Err(error) => return Err(format!("after {expected} numbers: {error}")),
        }
        reader.read_exact(&mut number[1..]).await.map_err(|error| format!("after {expected} numbers: {error}"))?;
        if u64::from_be_bytes(number) != expected {
            return Err(format!("{} came instead of {expected}", u64::from_be_bytes(number)));
        }
        expected += 1;
        echoed.store(expected, Ordering::Relaxed);
        gap = gap.max(last.elapsed());
        last = Instant::now();
    }
}

/// Between two numbers.
const PERIOD: Duration = Duration::from_millis(5);
