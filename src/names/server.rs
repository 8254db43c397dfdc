//! The responder's sockets.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prunella_core::limits::NAME_CONNECTIONS_MAX;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::answer::{Directory, Zone, answer};
use crate::host::next_connection;

/// Answers at `address`, over UDP and TCP, for as long as it is polled: once it can be bound, and that is tried until then.
pub async fn serve(address: SocketAddr, zone: Zone, directory: Arc<dyn Directory>) {
    let (udp, tcp) = bound(address).await;
    tokio::join!(over_udp(udp, &zone, &*directory), over_tcp(tcp, zone.clone(), Arc::clone(&directory)));
}

/// Sockets at `address`. Another program may have it, and may go.
async fn bound(address: SocketAddr) -> (UdpSocket, TcpListener) {
    let mut has_told = false;
    loop {
        let error = match (UdpSocket::bind(address).await, TcpListener::bind(address).await) {
            (Ok(udp), Ok(tcp)) => {
                if has_told {
                    tracing::info!(%address, "names of the mesh are told by DNS");
                }
                return (udp, tcp);
            }
            (Err(error), _) | (_, Err(error)) => error,
        };
        if !has_told {
            tracing::warn!(%address, %error, "names of the mesh cannot be told by DNS; it is tried again");
            has_told = true;
        }
        sleep(BIND_AGAIN).await;
    }
}

async fn over_udp(socket: UdpSocket, zone: &Zone, directory: &dyn Directory) {
    let mut buffer = vec![0; QUERY_BYTES_MAX];
    loop {
        // An ICMP error of an earlier answer says nothing about the socket.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        if let Some(reply) = answer(&buffer[..length], zone, directory, UDP_ANSWER_BYTES_MAX) {
            let _ = socket.send_to(&reply, from).await;
        }
    }
}

async fn over_tcp(listener: TcpListener, zone: Zone, directory: Arc<dyn Directory>) {
    let places = Arc::new(Semaphore::new(NAME_CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, _) = next_connection(&listener, "names").await;
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
/// Between two attempts to bind an address that is taken.
const BIND_AGAIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    struct Nobody;

    impl Directory for Nobody {
        fn addresses(&self, _: &str) -> Vec<Ipv6Addr> {
            Vec::new()
        }

        fn name_at(&self, _: Ipv6Addr) -> Option<String> {
            None
        }
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_served_once_it_is_free() {
        let taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = taken.local_addr().unwrap();
        let mut serving = Box::pin(serve(address, Zone::new("mesh"), Arc::new(Nobody)));
        // It is tried at once, and in vain.
        timeout(Duration::ZERO, &mut serving).await.unwrap_err();
        drop(taken);
        let serving = tokio::spawn(serving);
        let asking = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let question = [7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, b'a', 4, b'm', b'e', b's', b'h', 0, 0, 28, 0, 1];
        let mut reply = [0; 512];
        for _ in 0..50 {
            let _ = asking.send_to(&question, address).await;
            if let Ok(Ok(_)) = timeout(Duration::from_millis(200), asking.recv(&mut reply)).await {
                break;
            }
        }
        assert_eq!(reply[..2], question[..2]);
        assert!(!serving.is_finished());
        serving.abort();
    }
}
