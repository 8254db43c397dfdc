//! What strangers and hostile members can make a node send, hold and say: amplification, memory, secrets.
//!
//! Handshakes are begun with the first flights of real ones, captured on a socket that answers nobody. The figures are
//! printed: `cargo test --test integration hostile -- --nocapture`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use prunella::security::{Credentials, JOIN_ALPN, LINK_ALPN, join_client, quinn_client, server_name};
use prunella_core::Label;
use prunella_core::reconcile::Message;
use prunella_core::wire::{Control, codec};
use quinn::{Connection, Endpoint};
use rustls::time_provider::DefaultTimeProvider;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::mesh::{Mesh, PATIENCE, Plan, until};
use super::process::resident_bytes;

/// RFC 9000, section 8.1: until an address has been proven, at most three times what came from there goes there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_proved_nothing_gets_at_most_three_times_what_it_sent() {
    let mesh = Mesh::found(Plan::alone()).await;
    let node = &mesh.nodes[0];
    let flights = first_flights(&Credentials::load(&node.dir).unwrap(), 48).await;
    let mut answers = JoinSet::new();
    for (number, flight) in flights.into_iter().enumerate() {
        // As it was; without its end or its beginning, so that the hello has a gap; again and again.
        let datagrams = match number % 4 {
            0 => flight,
            1 => flight[..1].to_vec(),
            2 => flight[1..].to_vec(),
            _ => [&flight[..]; 3].concat(),
        };
        answers.spawn(answered(node.listen, datagrams));
    }
    let answers = answers.join_all().await;
    let [sent, got] = answers.iter().fold([0, 0], |[sent, got], (s, g)| [sent + s, got + g]);
    let worst = answers.iter().map(|(sent, got)| *got as f64 / *sent as f64).fold(0.0, f64::max);
    println!("{} half-open handshakes: {sent} bytes in, {got} out; at worst {worst:.2} times as much", answers.len());
    assert!(got > 0, "the node answers");
    assert!(worst <= 3.0, "{answers:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_handshakes_that_nobody_goes_on_with_costs_little_memory() {
    let mesh = Mesh::found(Plan::alone()).await;
    let node = &mesh.nodes[0];
    let flights = first_flights(&Credentials::load(&node.dir).unwrap(), HALF_OPEN).await;
    let memory = Memory::watch(node.pid());
    let sockets = [(); 16].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let mut sent = 0;
    for round in 0..4 {
        for (number, flight) in flights.iter().enumerate() {
            // Whole, and with a gap at either end.
            let datagrams = match round % 4 {
                0 => &flight[..],
                1 => &flight[..1],
                2 => &flight[1..],
                _ => &flight[..],
            };
            for datagram in datagrams {
                sockets[(number + round) % sockets.len()].send_to(datagram, node.listen).unwrap();
                sent += 1;
            }
            if number % 16 == 15 {
                // Not for synchronization: faster than the node can read, the kernel would drop most of it.
                sleep(Duration::from_millis(2)).await;
            }
        }
    }
    let [rest, peak] = memory.ended();
    println!(
        "{sent} Initials of {HALF_OPEN} handshakes: {} KiB at rest, {} KiB more at the peak",
        rest >> 10,
        (peak - rest) >> 10
    );
    assert!(peak - rest <= MEMORY_MAX, "{} bytes more", peak - rest);
    until("the node answers", PATIENCE, async || node.status().await.map(drop)).await;
}

/// Addresses that are proven, by clients that then say no more: as many handshakes are in progress as may be.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handshakes_that_stop_after_the_address_is_proven_cost_little_memory() {
    let mesh = Mesh::found(Plan::alone()).await;
    let node = &mesh.nodes[0];
    let credentials = Credentials::load(&node.dir).unwrap();
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let (config, name) = (quinn_client(credentials.client(LINK_ALPN)), server_name(&credentials.peer()));
    let memory = Memory::watch(node.pid());
    let (mut begun, mut proxies) = (Vec::new(), JoinSet::new());
    for _ in 0..STOPPED {
        let proxy = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        begun.push(endpoint.connect_with(config.clone(), proxy.local_addr().unwrap(), &name).unwrap());
        proxies.spawn(only_retries(proxy, node.listen));
    }
    let answered: usize = proxies.join_all().await.into_iter().sum();
    let [rest, peak] = memory.ended();
    println!(
        "{STOPPED} handshakes that stop: {} KiB at rest, {} KiB more at the peak",
        rest >> 10,
        (peak - rest) >> 10
    );
    assert!(answered >= 64, "{answered} datagrams came back for a proven address");
    assert!(peak - rest <= MEMORY_MAX, "{} bytes more", peak - rest);
    until("the node answers", PATIENCE, async || node.status().await.map(drop)).await;
}

/// Hosts without a certificate may ask to join: they claim more than they send, lists without an end, or say nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_to_join_that_claim_too_much_or_never_end_cost_little_memory() {
    let mesh = Mesh::found(Plan::alone()).await;
    let node = &mesh.nodes[0];
    let credentials = Credentials::load(&node.dir).unwrap();
    let time = Arc::new(DefaultTimeProvider);
    let domain = credentials.trust_domain();
    let named = (credentials.authority_fingerprint(), credentials.algorithm());
    let config = join_client(named, Some(&domain), credentials.peer(), time);
    assert_eq!(config.alpn_protocols, [JOIN_ALPN]);
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let (config, name) = (quinn_client(config), server_name(&credentials.peer()));
    let memory = Memory::watch(node.pid());
    let mut held: Vec<Connection> = Vec::new();
    for number in 0..GUESTS {
        let connecting = endpoint.connect_with(config.clone(), node.listen, &name).unwrap();
        // Beyond a bound they are turned away, which is the point.
        let Ok(Ok(connection)) = timeout(PATIENCE, connecting).await else { continue };
        if let Ok((mut send, _)) = connection.open_bi().await {
            let bomb: Vec<u8> = match number % 5 {
                0 => u32::MAX.to_be_bytes().to_vec(),
                1 => [&(16_u32 << 10).to_be_bytes()[..], &[1]].concat(),
                // A request whose token claims to have 2^32 bytes, and one with 2^64 certificates.
                2 => framed(&[codec::VERSION, 0, 252, 255, 255, 255, 255]),
                3 => framed(&[&[codec::VERSION, 2, 253][..], &[255; 8]].concat()),
                // An SVID above which 2^64 certificates are said to stand.
                _ => framed(&[&[codec::VERSION, 3, 253][..], &[255; 8]].concat()),
            };
            // It may be turned away meanwhile.
            let _ = send.write_all(&bomb).await;
            // As if there were more to come.
            std::mem::forget(send);
        }
        held.push(connection);
    }
    let [rest, peak] = memory.ended();
    println!(
        "{} requests to join: {} KiB at rest, {} KiB more at the peak",
        held.len(),
        rest >> 10,
        (peak - rest) >> 10
    );
    assert!(held.len() > GUESTS / 2, "{} got so far", held.len());
    assert!(peak - rest <= MEMORY_MAX, "{} bytes more", peak - rest);
    until("the node answers", PATIENCE, async || node.status().await.map(drop)).await;
}

/// A member makes a node say much, and reads nothing of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_reads_nothing_costs_little_memory() {
    let mut mesh = Mesh::found(Plan::pair()).await;
    mesh.nodes[1].stop().await;
    let (node, member) = (&mesh.nodes[0], Credentials::load(&mesh.nodes[1].dir).unwrap());
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let name = server_name(&Credentials::load(&node.dir).unwrap().peer());
    let mut config = quinn_client(member.client(LINK_ALPN));
    let mut transport = quinn::TransportConfig::default();
    transport.stream_receive_window(1024_u32.into());
    config.transport_config(Arc::new(transport));
    let connection = endpoint.connect_with(config, node.listen, &name).unwrap().await.unwrap();
    let (mut send, _unread) = connection.open_bi().await.unwrap();
    let hello = codec::encode_message(&Control::Hello { incarnation: 1, label: Label(1) });
    send.write_all(&framed(&hello)).await.unwrap();
    until("a link", PATIENCE, async || match node.links().await?.len() {
        1 => Ok(()),
        links => Err(format!("{links} links")),
    })
    .await;
    let memory = Memory::watch(node.pid());
    let end = Instant::now() + Duration::from_secs(6);
    let mut asked = 0_u64;
    while Instant::now() < end {
        asked += 1;
        let mut root = [7; 32];
        root[..8].copy_from_slice(&asked.to_le_bytes());
        let message = match asked % 3 {
            0 => Control::Reconcile(Message::Summary { root, items: 60_000, fresh: true }),
            1 => Control::Reconcile(Message::MoreCells { root, start: 20 }),
            _ => Control::Graft(Vec::new()),
        };
        // The node may have had enough of it.
        if send.write_all(&framed(&codec::encode_message(&message))).await.is_err() {
            break;
        }
    }
    let [rest, peak] = memory.ended();
    println!(
        "{asked} questions, no answer read: {} KiB at rest, {} KiB more at the peak",
        rest >> 10,
        (peak - rest) >> 10
    );
    assert!(asked > 1000, "{asked}");
    assert!(peak - rest <= MEMORY_MAX, "{} bytes more", peak - rest);
    until("the node answers", PATIENCE, async || node.status().await.map(drop)).await;
}

/// Sends datagrams from an address of their own and counts what comes back for a while: bytes sent, bytes got.
async fn answered(target: SocketAddr, datagrams: Vec<Vec<u8>>) -> (usize, usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut sent, mut got) = (0, 0);
    for datagram in &datagrams {
        sent += socket.send_to(datagram, target).await.unwrap();
    }
    let (end, mut buffer) = (Instant::now() + LISTENS_FOR, [0; 2048]);
    while let Ok(received) = timeout_at(end, socket.recv(&mut buffer)).await {
        got += received.unwrap();
    }
    (sent, got)
}

/// Stands between a client and a node for a while: lets through what the client says, and of what the node says only
/// that the address has to be proven (RFC 9000, section 17.2.5). How many datagrams it kept back.
async fn only_retries(proxy: UdpSocket, node: SocketAddr) -> usize {
    let (end, mut buffer) = (Instant::now() + Duration::from_secs(4), [0; 2048]);
    let (mut client, mut kept) = (None, 0);
    while let Ok(received) = timeout_at(end, proxy.recv_from(&mut buffer)).await {
        let (length, from) = received.unwrap();
        let is_retry = buffer[0] & 0xf0 == 0xf0;
        match client {
            _ if from != node => {
                client = Some(from);
                proxy.send_to(&buffer[..length], node).await.unwrap();
            }
            Some(client) if is_retry => drop(proxy.send_to(&buffer[..length], client).await),
            _ => kept += 1,
        }
    }
    kept
}

/// The first flights of so many real handshakes with this node: two datagrams each, because the hello holds a key of
/// ML-KEM-768.
async fn first_flights(credentials: &Credentials, count: usize) -> Vec<Vec<Vec<u8>>> {
    let trap = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = trap.local_addr().unwrap();
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let (config, name) = (quinn_client(credentials.client(LINK_ALPN)), server_name(&credentials.peer()));
    let mut flights: BTreeMap<Vec<u8>, Vec<Vec<u8>>> = BTreeMap::new();
    let (mut begun, mut buffer) = (Vec::new(), [0; 2048]);
    while flights.values().filter(|flight| flight.len() == 2).count() < count {
        begun.push(endpoint.connect_with(config.clone(), address, &name).unwrap());
        for _ in 0..2 {
            let Ok(received) = timeout(Duration::from_millis(500), trap.recv(&mut buffer)).await else { break };
            let datagram = buffer[..received.unwrap()].to_vec();
            // A long header (RFC 9000, section 17.2): the connection id that the client made up, after its length.
            let id = datagram[6..6 + usize::from(datagram[5])].to_vec();
            let flight = flights.entry(id).or_default();
            // More than two: they were sent again, since nobody answers.
            if flight.len() < 2 {
                flight.push(datagram);
            }
        }
        assert!(begun.len() < 4 * count, "handshakes begin with two datagrams");
    }
    flights.into_values().filter(|flight| flight.len() == 2).take(count).collect()
}

/// A message as it stands on a stream.
fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// What a process holds, looked at again and again.
struct Memory {
    rest: u64,
    peak: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
    looking: std::thread::JoinHandle<()>,
    pid: u32,
}

impl Memory {
    fn watch(pid: u32) -> Self {
        let rest = resident_bytes(pid);
        let (peak, ended) = (Arc::new(AtomicU64::new(rest)), Arc::new(AtomicBool::new(false)));
        let (highest, over) = (Arc::clone(&peak), Arc::clone(&ended));
        let looking = std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                highest.fetch_max(resident_bytes(pid), Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { rest, peak, ended, looking, pid }
    }

    /// Bytes at rest, and the most that there were.
    fn ended(self) -> [u64; 2] {
        self.peak.fetch_max(resident_bytes(self.pid), Ordering::Relaxed);
        self.ended.store(true, Ordering::Relaxed);
        self.looking.join().unwrap();
        [self.rest, self.peak.load(Ordering::Relaxed)]
    }
}

/// More than this, above what it holds at rest, no stranger and no single member may make a node hold.
const MEMORY_MAX: u64 = 64 << 20;
/// Handshakes that are begun, and as many times again with parts of their hellos.
const HALF_OPEN: usize = 1000;
/// Handshakes that stop when the address is proven: more than may be in progress at once.
const STOPPED: usize = 200;
/// Hosts that ask to join.
const GUESTS: usize = 200;
/// Longer than a handshake may take, so that all that is sent again has come.
const LISTENS_FOR: Duration = Duration::from_secs(6);
