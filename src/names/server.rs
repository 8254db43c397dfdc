//! The responder's sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prunella_core::limits::NAME_CONNECTIONS_MAX;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::answer::{Directory, Zone, answer};

/// Answers at `address`, over UDP and TCP, for as long as it is polled.
///
/// # Errors
/// If the address cannot be bound.
pub async fn serve(address: SocketAddr, zone: Zone, directory: Arc<dyn Directory>) -> io::Result<()> {
    let (udp, tcp) = (UdpSocket::bind(address).await?, TcpListener::bind(address).await?);
    tokio::try_join!(over_udp(udp, &zone, &*directory), over_tcp(tcp, zone.clone(), Arc::clone(&directory)))?;
    Ok(())
}

async fn over_udp(socket: UdpSocket, zone: &Zone, directory: &dyn Directory) -> io::Result<()> {
    let mut buffer = vec![0; QUERY_BYTES_MAX];
    loop {
        // An ICMP error of an earlier answer says nothing about the socket.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(reply) = answer(&buffer[..length], zone, directory, UDP_ANSWER_BYTES_MAX) {
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

async fn over_tcp(listener: TcpListener, zone: Zone, directory: Arc<dyn Directory>) -> io::Result<()> {
    let places = Arc::new(Semaphore::new(NAME_CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return Ok(()) };
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (zone, directory) = (zone.clone(), Arc::clone(&directory));
        tokio::spawn(async move {
            let _ = timeout(PATIENCE, converse(stream, &zone, &*directory)).await;
            drop(place);
        });
    }
}

/// Questions on one connection, each behind its length (RFC 1035, section 4.2.2).
async fn converse(mut stream: TcpStream, zone: &Zone, directory: &dyn Directory) -> io::Result<()> {
    loop {
        let mut query = vec![0; stream.read_u16().await?.into()];
        stream.read_exact(&mut query).await?;
        let Some(reply) = answer(&query, zone, directory, u16::MAX.into()) else { return Ok(()) };
        let length = u16::try_from(reply.len()).map_err(io::Error::other)?;
        stream.write_all(&[&length.to_be_bytes()[..], &reply].concat()).await?;
    }
}

/// Longest question over UDP.
const QUERY_BYTES_MAX: usize = 4096;
/// Longest answer over UDP: what fits any way unfragmented (RFC 9715).
const UDP_ANSWER_BYTES_MAX: usize = 1232;
/// How long one connection may take, all of its questions together.
const PATIENCE: Duration = Duration::from_secs(10);
