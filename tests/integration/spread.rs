//! Bulk that is spread over disjoint paths: their capacities add up, and each of them may fail as ever.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prunella::Request;
use prunella::api::chaos::Order;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, timeout};

use super::echo::{Echo, Outcome, echo_server};
use super::mesh::{Mesh, PATIENCE, Plan, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_streams_over_two_throttled_paths_move_more_than_over_one() {
    let one = throttled(1).await;
    let two = throttled(2).await;
    let told = format!(
        "two paths by one: {:.2} in the best {WINDOW:?}, {:.2} from the first byte to the last; {one:?}, {two:?}",
        two.best / one.best,
        two.whole / one.whole
    );
    println!("{told}");
    assert!(two.best / one.best > RATIO_MIN, "{told}");
}

/// Both paths carry traffic when the first one is cut, and again when the other is, so each lane loses its own once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_that_is_cut_while_traffic_is_spread_costs_no_stream() {
    let mesh = diamond(2).await;
    mesh.nodes[2].expose("echo", echo_server().await).await;
    let listen = mesh.nodes[0].forward("echo").await;
    for relay in [1, 3] {
        let echoes = two_on_each_lane(&mesh, listen).await;
        let neighbor = mesh.nodes[relay].peer.clone();
        mesh.nodes[0].done(&Request::Chaos(Order::cut(neighbor, true, true))).await;
        for echo in &echoes {
            echo.goes_on().await;
        }
        until("all lanes on the path that is left", PATIENCE, async || {
            let paths = mesh.nodes[0].paths(&mesh.nodes[2].peer).await?;
            let lanes = paths.iter().filter(|path| path.state == "in-use").map(|path| path.lanes.len()).sum::<usize>();
            if lanes == 2 { Ok(()) } else { Err(format!("{paths:?}")) }
        })
        .await;
        mesh.nodes[0].done(&Request::Chaos(Order::Clear)).await;
        mesh.whole().await;
        for echo in echoes {
            let Outcome { gap, .. } = echo.finish().await;
            assert!(gap < GAP_MAX, "n{relay} was cut off: {gap:?}");
        }
    }
}

/// Bytes a second.
#[derive(Clone, Copy, Debug)]
struct Rate {
    /// In the best [`WINDOW`]: bulk that has just found a bottleneck makes traffic change paths for some seconds.
    best: f64,
    /// From the first byte to the last.
    whole: f64,
}

/// The bytes that four streams move in a second from n0 to n2 of a diamond both of whose paths are throttled.
async fn throttled(spread_paths: i64) -> Rate {
    let mesh = diamond(spread_paths).await;
    let arrived = Arc::<AtomicU64>::default();
    mesh.nodes[2].expose("sink", sink_server(arrived.clone()).await).await;
    let listen = mesh.nodes[0].forward("sink").await;
    // A session to n2 before the links are slow, and both paths proven.
    assert_eq!(send(listen, 0, 1).await, 1);
    mesh.paths(0, 2, 2).await;
    if spread_paths > 1 {
        lanes_are_apart(&mesh).await;
    }
    for relay in ["n1", "n3"] {
        let bytes = BYTES_PER_SECOND.to_string();
        mesh.nodes[0].run(&["chaos", "link", relay, "--sent", "--throttle", &bytes, "--for", "300s"]).await.ok();
    }
    let rate = round(listen, &arrived).await;
    let spread = mesh.nodes[0].status().await.unwrap().counters["frames_spread"];
    assert_eq!(spread > 0, spread_paths > 1, "{spread} frames were spread");
    rate
}

/// Four streams, each to its end.
async fn round(listen: SocketAddr, arrived: &Arc<AtomicU64>) -> Rate {
    arrived.store(0, Ordering::Relaxed);
    let began = Instant::now();
    let best = tokio::spawn(best_rate(arrived.clone()));
    let mut streams = JoinSet::new();
    for stream in 0..4 {
        streams.spawn(send(listen, stream, STREAM_BYTES));
    }
    let moved: usize = timeout(PATIENCE * 4, streams.join_all()).await.expect("the streams do not end").iter().sum();
    let whole = moved as f64 / began.elapsed().as_secs_f64();
    assert_eq!(moved, 4 * STREAM_BYTES, "all of it arrived");
    Rate { best: best.await.unwrap(), whole }
}

/// The bytes a second that arrive in the best [`WINDOW`] until all have arrived.
async fn best_rate(arrived: Arc<AtomicU64>) -> f64 {
    let (mut seen, mut best, mut tick) = (VecDeque::new(), 0.0_f64, interval(Duration::from_millis(100)));
    while arrived.load(Ordering::Relaxed) < 4 * STREAM_BYTES as u64 {
        let now = tick.tick().await;
        seen.push_back((now, arrived.load(Ordering::Relaxed)));
        while let Some((at, before)) = seen.front().copied().filter(|(at, _)| now - *at >= WINDOW) {
            best = best.max((arrived.load(Ordering::Relaxed) - before) as f64 / (now - at).as_secs_f64());
            seen.pop_front();
        }
    }
    best
}

async fn diamond(spread_paths: i64) -> Mesh {
    let config = format!("[sessions]\nspread_paths = {spread_paths}\n").parse().unwrap();
    Mesh::found(Plan { config, ..Plan::diamond() }).await
}

/// Waits until each of two lanes from n0 to n2 has a path of its own; their numbers and streams.
async fn lanes_are_apart(mesh: &Mesh) -> Vec<(u8, u64)> {
    until("two lanes on two paths", PATIENCE, async || {
        // Only who is talked to has lanes.
        mesh.nodes[0].ping("n2").await.map_err(|error| error.to_string())?;
        let paths = mesh.nodes[0].paths(&mesh.nodes[2].peer).await?;
        let apart = paths.iter().filter(|path| path.lanes.len() == 1).count();
        let lanes = paths.iter().flat_map(|path| &path.lanes).map(|lane| (lane.lane, lane.streams)).collect();
        if apart == 2 { Ok(lanes) } else { Err(format!("{paths:?}")) }
    })
    .await
}

/// Four streams, two on each lane. One that is opened while a lane's path looks late, as it may on a machine that is busy for
/// a moment, rightly takes the other lane: then all of them are opened anew.
async fn two_on_each_lane(mesh: &Mesh, listen: SocketAddr) -> Vec<Echo> {
    until("two streams on each lane", PATIENCE, async || {
        lanes_are_apart(mesh).await;
        let mut echoes = Vec::new();
        for _ in 0..4 {
            echoes.push(Echo::start(listen).await);
        }
        let lanes = lanes_are_apart(mesh).await;
        if lanes.iter().all(|(_, streams)| *streams == 2) {
            return Ok(echoes);
        }
        for echo in echoes {
            echo.finish().await;
        }
        Err(format!("{lanes:?}"))
    })
    .await
}

/// Starts a TCP server that takes streams of [`byte`]s, and answers with how many came in order when a stream ends.
async fn sink_server(arrived: Arc<AtomicU64>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            let arrived = arrived.clone();
            tokio::spawn(async move {
                let (mut buffer, mut right) = (vec![0; 64 * 1024], 0_usize);
                let stream = tcp.read_u8().await?;
                loop {
                    let read = tcp.read(&mut buffer).await?;
                    if read == 0 || !buffer[..read].iter().zip(right..).all(|(got, at)| *got == byte(stream, at)) {
                        break;
                    }
                    right += read;
                    arrived.fetch_add(read as u64, Ordering::Relaxed);
                }
                tcp.write_all(&(right as u64).to_be_bytes()).await
            });
        }
    });
    address
}

/// Sends a stream of so many bytes; how many the sink says came in order.
async fn send(listen: SocketAddr, stream: u8, bytes: usize) -> usize {
    let mut tcp = TcpStream::connect(listen).await.unwrap();
    tcp.write_u8(stream).await.unwrap();
    let all: Vec<u8> = (0..bytes).map(|at| byte(stream, at)).collect();
    tcp.write_all(&all).await.unwrap();
    tcp.shutdown().await.unwrap();
    tcp.read_u64().await.unwrap() as usize
}

/// What stands at a place of a stream: no other stream, and no shift, looks the same for long.
fn byte(stream: u8, at: usize) -> u8 {
    ((at / 251) as u8).wrapping_mul(31) ^ (at % 251) as u8 ^ stream.wrapping_mul(77)
}

/// What each path passes in a second.
const BYTES_PER_SECOND: usize = 2_000_000;
/// How long each stream is: over one path the four take a quarter of a minute.
const STREAM_BYTES: usize = 8_000_000;
/// Over how long a rate is taken.
const WINDOW: Duration = Duration::from_secs(4);
/// How much more two paths move than one, at least.
const RATIO_MIN: f64 = 1.5;
/// The longest time that numbers may be away while a path is cut: as without spread.
const GAP_MAX: Duration = Duration::from_millis(1200);
