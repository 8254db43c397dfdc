//! A connection on which a number goes out every few milliseconds, and each must come back, in order.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::{Server, connect};
use crate::lab::Host;
use crate::waiting::{LabError, until};

/// Sends back what it gets.
#[derive(Debug)]
pub struct EchoServer(Server);

impl EchoServer {
    /// Starts it on a host.
    ///
    /// # Errors
    ///
    /// [`LabError::System`] if it cannot listen there.
    pub fn start(host: &Host, at: SocketAddr) -> Result<Self, LabError> {
        let serve = |mut tcp: TcpStream| {
            let mut buffer = [0; NUMBER_BYTES * 64];
            loop {
                match tcp.read(&mut buffer)? {
                    0 => return tcp.shutdown(Shutdown::Write),
                    length => tcp.write_all(&buffer[..length])?,
                }
            }
        };
        Server::start(host, at, serve).map(Self)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

/// How often a number is sent.
#[derive(Clone, Copy, Debug)]
pub struct Pace(pub Duration);

/// What became of a connection that was ended in order.
#[derive(Clone, Debug)]
pub struct Suffered {
    /// The longest time between two numbers that came back.
    pub gap: Duration,
    /// How long each number was under way, there and back.
    pub round_trips: Vec<Duration>,
}

/// The connection, until it is ended.
#[derive(Debug)]
pub struct Echo {
    stop: Arc<AtomicBool>,
    echoed: Arc<AtomicU64>,
    sender: JoinHandle<io::Result<u64>>,
    receiver: JoinHandle<io::Result<Suffered>>,
}

impl Echo {
    /// Connects from a host to an [`EchoServer`], and waits until the first number has come back.
    ///
    /// # Errors
    ///
    /// [`LabError::System`] if it cannot connect; [`LabError::TimedOut`] if nothing comes back.
    pub fn start(host: &Host, to: SocketAddr, Pace(every): Pace) -> Result<Self, LabError> {
        let tcp = connect(host, to)?;
        let again = tcp.try_clone().map_err(LabError::system("use a connection twice"))?;
        tcp.set_read_timeout(Some(PATIENCE)).map_err(LabError::system("set up a connection"))?;
        let (stop, echoed) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (sent, sending) = mpsc::channel();
        let (stopped, counted) = (stop.clone(), echoed.clone());
        let sender = thread::spawn(move || send(again, every, &stopped, &sent));
        let receiver = thread::spawn(move || receive(tcp, &counted, &sending));
        let echo = Self { stop, echoed, sender, receiver };
        echo.goes_on(1)?;
        Ok(echo)
    }

    /// Waits until so many more numbers have come back.
    ///
    /// # Errors
    ///
    /// [`LabError::TimedOut`] if they do not.
    pub fn goes_on(&self, more: u64) -> Result<(), LabError> {
        let before = self.echoed.load(Ordering::Relaxed);
        until("the echo going on", PATIENCE, || match self.echoed.load(Ordering::Relaxed) - before {
            came if came >= more => Ok(()),
            came if self.receiver.is_finished() => Err(format!("{came}; the connection is over")),
            came => Err(came.to_string()),
        })
    }

    /// Ends the connection in order; every number that was sent must have come back.
    ///
    /// # Errors
    ///
    /// [`LabError::Unreadable`] if one did not, or another one.
    pub fn finish(self) -> Result<Suffered, LabError> {
        self.stop.store(true, Ordering::Relaxed);
        let lost = |error: io::Error| LabError::Unreadable(format!("the echo: {error}"));
        let sent = self.sender.join().expect("BUG: it does not panic").map_err(lost)?;
        let suffered = self.receiver.join().expect("BUG: it does not panic").map_err(lost)?;
        let came = suffered.round_trips.len() as u64;
        if came == sent {
            Ok(suffered)
        } else {
            Err(LabError::Unreadable(format!("{came} of {sent} numbers came back")))
        }
    }
}

fn send(mut tcp: TcpStream, every: Duration, stop: &AtomicBool, sent: &mpsc::Sender<Instant>) -> io::Result<u64> {
    let (began, mut number) = (Instant::now(), 0u64);
    while !stop.load(Ordering::Relaxed) {
        let due = began + every * u32::try_from(number).unwrap_or(u32::MAX);
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // The time at which it should go out: one that has to wait for the one before has waited.
        let _ = sent.send(due);
        tcp.write_all(&number.to_be_bytes().repeat(NUMBER_BYTES / 8))?;
        number += 1;
    }
    tcp.shutdown(Shutdown::Write)?;
    Ok(number)
}

fn receive(mut tcp: TcpStream, echoed: &AtomicU64, sending: &mpsc::Receiver<Instant>) -> io::Result<Suffered> {
    let mut suffered = Suffered { gap: Duration::ZERO, round_trips: Vec::new() };
    let (mut buffer, mut last) = ([0; NUMBER_BYTES], None);
    loop {
        match tcp.read_exact(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(suffered),
            read => read?,
        }
        let number = suffered.round_trips.len() as u64;
        if buffer[..] != number.to_be_bytes().repeat(NUMBER_BYTES / 8) {
            return Err(io::Error::other(format!("instead of {number} came {:02x?}", &buffer[..8])));
        }
        let now = Instant::now();
        let went = sending.recv().map_err(|_| io::Error::other("a number came back that was never sent"))?;
        suffered.round_trips.push(now.saturating_duration_since(went));
        suffered.gap = suffered.gap.max(last.map_or(Duration::ZERO, |last| now - last));
        last = Some(now);
        echoed.fetch_add(1, Ordering::Relaxed);
    }
}

/// A small request, and as small an answer.
const NUMBER_BYTES: usize = 64;
const PATIENCE: Duration = Duration::from_secs(20);
