//! Many bytes one way, each compared with what it must be.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use super::{Server, connect};
use crate::lab::Host;
use crate::waiting::LabError;

/// Takes bytes and compares them, or sends them, as whoever connects wants it.
#[derive(Debug)]
pub struct BulkServer(Server);

impl BulkServer {
    /// Starts it on a host.
    ///
    /// # Errors
    ///
    /// [`LabError::System`] if it cannot listen there.
    pub fn start(host: &Host, at: SocketAddr) -> Result<Self, LabError> {
        Server::start(host, at, serve).map(Self)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.0.address
    }
}

/// Sends so many bytes from a host to a [`BulkServer`], which must have had all of them unchanged; how long that took.
///
/// # Errors
///
/// [`LabError::System`] if the connection fails, or nothing moves for long; [`LabError::Unreadable`] if bytes were changed.
pub fn push(host: &Host, to: SocketAddr, bytes: u64) -> Result<Duration, LabError> {
    let tcp = open(host, to)?;
    let began = Instant::now();
    let done = (|| {
        let mut tcp = &tcp;
        tcp.write_all(&[PUSH])?;
        send(tcp, bytes)?;
        tcp.shutdown(Shutdown::Write)?;
        let mut answer = [0; 8];
        tcp.read_exact(&mut answer)?;
        Ok(u64::from_be_bytes(answer))
    })();
    match done.map_err(LabError::system(format!("send {bytes} bytes")))? {
        had if had == bytes => Ok(began.elapsed()),
        had => Err(LabError::Unreadable(format!("{had} of {bytes} bytes arrived unchanged"))),
    }
}

/// Has so many bytes sent from a [`BulkServer`] to a host, and compares them; how long that took.
///
/// # Errors
///
/// As [`push`].
pub fn pull(host: &Host, from: SocketAddr, bytes: u64) -> Result<Duration, LabError> {
    let tcp = open(host, from)?;
    let began = Instant::now();
    let done = (|| {
        (&tcp).write_all(&[&[PULL][..], &bytes.to_be_bytes()].concat())?;
        receive(&tcp)
    })();
    match done.map_err(LabError::system(format!("receive {bytes} bytes")))? {
        had if had == bytes => Ok(began.elapsed()),
        had => Err(LabError::Unreadable(format!("{had} of {bytes} bytes arrived unchanged"))),
    }
}

fn open(host: &Host, to: SocketAddr) -> Result<TcpStream, LabError> {
    let tcp = connect(host, to)?;
    let patient = tcp.set_read_timeout(Some(STALL_MAX)).and_then(|()| tcp.set_write_timeout(Some(STALL_MAX)));
    patient.map_err(LabError::system("set up a connection"))?;
    Ok(tcp)
}

fn serve(tcp: TcpStream) -> io::Result<()> {
    let (mut what, mut length) = ([0], [0; 8]);
    (&tcp).read_exact(&mut what)?;
    if what == [PUSH] {
        let had = receive(&tcp)?;
        return (&tcp).write_all(&had.to_be_bytes());
    }
    (&tcp).read_exact(&mut length)?;
    send(&tcp, u64::from_be_bytes(length))?;
    tcp.shutdown(Shutdown::Write)
}

fn send(mut tcp: &TcpStream, bytes: u64) -> io::Result<()> {
    let (pattern, mut at) = (pattern(), 0);
    while at < bytes {
        let from = (at % PERIOD) as usize;
        let length = (bytes - at).min(CHUNK as u64) as usize;
        tcp.write_all(&pattern[from..from + length])?;
        at += length as u64;
    }
    Ok(())
}

/// How many bytes came until the end, of which the first so many were as they must be.
fn receive(mut tcp: &TcpStream) -> io::Result<u64> {
    let (pattern, mut buffer, mut at) = (pattern(), vec![0; CHUNK], 0);
    loop {
        let length = match tcp.read(&mut buffer)? {
            0 => return Ok(at),
            length => length,
        };
        let from = (at % PERIOD) as usize;
        if buffer[..length] != pattern[from..from + length] {
            return Ok(at);
        }
        at += length as u64;
    }
}

/// Bytes that repeat after a prime number of them, so that a piece that is missing or in another's place is noticed.
fn pattern() -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    let period: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
    let beyond = period[..CHUNK].to_vec();
    [period, beyond].concat()
}

const PUSH: u8 = b'<';
const PULL: u8 = b'>';
const PERIOD: u64 = 262_147;
const CHUNK: usize = 65_536;
/// How long nothing may move.
const STALL_MAX: Duration = Duration::from_secs(15);
