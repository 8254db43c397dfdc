//! A node that misbehaves toward its neighbors is isolated by the whole mesh, soon, with the reason, and not for ever.

#![allow(clippy::print_stdout, reason = "the times are what the test is run for by hand")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prunella::api::vocabulary::Failure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::mesh::{Mesh, Node, PATIENCE, Plan, until};
use super::quarantine::Odd;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_its_neighbors_believe_no_more_all_isolate_until_they_believe_it_again() {
    let mut mesh = Mesh::found(Plan::outskirts()).await;
    // Its traffic goes to a node that is no neighbor of it, over a neighbor that sees nothing of what it does to the others.
    let (ended, at) = served().await;
    mesh.nodes[FAR].expose("numbers", at).await;
    for (from, to) in [(ODD, FAR), (FAR, ODD)] {
        until("traffic over n4", PATIENCE, async || {
            mesh.nodes[from].ping(&mesh.nodes[to].name).await.map_err(|error| error.to_string())?;
            match mesh.paths(from, to, 1).await {
                used if used == [4] => Ok(()),
                used => Err(format!("{used:?}")),
            }
        })
        .await;
    }
    let stream = Stream::start(mesh.nodes[ODD].forward("numbers").await).await;

    // In a mesh that has just formed some may still wait for records that others have: until then they count no votes.
    for node in &mesh.nodes {
        until("a node that counts votes", PATIENCE, async || {
            let uptime_ms = node.status().await?.uptime_ms;
            if uptime_ms > COUNTS_AFTER_MS { Ok(()) } else { Err(format!("{uptime_ms} ms")) }
        })
        .await;
    }

    // The node goes on as it is, and so does its stream, while somebody with its key misbehaves.
    let odd = Odd::in_the_place_of(&mesh, ODD);
    let (late, mut forged) = (Late::watch(), Vec::new());
    for neighbor in NEIGHBORS {
        let node = &mesh.nodes[neighbor];
        assert!(!ended.is_finished(), "the word of {} is not enough", neighbor - 1);
        forged.push(odd.forge_until_it_is_quarantined(node.peer.parse().unwrap(), node.listen).await);
    }
    let mut isolated = Vec::new();
    for node in &mesh.nodes[..ODD] {
        isolated.push(logged(node, ISOLATED).await);
    }
    let ended = tokio::time::timeout(PATIENCE, ended).await.expect("its stream ends").unwrap();
    stream.stop();
    report(&forged, &isolated, ended, late.ended());

    is_explained(&mesh.nodes[FAR], &mesh.nodes[ODD], 1).await;
    // Who starts later has seen nobody as a neighbor of it.
    mesh.nodes[8].stop().await;
    mesh.nodes[8].start().await;
    is_explained(&mesh.nodes[8], &mesh.nodes[ODD], 2).await;
    for other in [1, 5, 8] {
        mesh.nodes[FAR].run(&["ping", &format!("n{other}"), "--count", "1"]).await.ok();
    }

    // Their gossip roles begin anew, and hold nothing against it: so they say.
    for neighbor in NEIGHBORS {
        mesh.nodes[neighbor].fail("gossip", Failure::Panic).await;
    }
    for node in &mesh.nodes[..ODD] {
        logged(node, "readmitted: it is dealt with again").await;
    }
    mesh.whole().await;
    mesh.nodes[FAR].run(&["ping", "n10", "--count", "1"]).await.ok();
}

/// Prints the times, and holds them to what users may notice; on a host that is `late` itself, to so much more for each of
/// the processes that hear it one after the other.
fn report(forged: &[SystemTime], isolated: &[SystemTime], ended: SystemTime, late: Duration) {
    let since = |from: SystemTime, to: SystemTime| to.duration_since(from).unwrap_or_default();
    let by_neighbors: Vec<Duration> =
        NEIGHBORS.iter().zip(forged).map(|(n, from)| since(*from, isolated[*n])).collect();
    let last = *forged.last().unwrap();
    let by_all = since(last, *isolated.iter().max().unwrap());
    let stopped = since(last, ended);
    println!("evidence until its neighbor isolates it: {by_neighbors:?}");
    println!(
        "evidence before the third until all isolate it: {by_all:?}, until its stream ends elsewhere: {stopped:?}"
    );
    let each: Vec<Duration> = isolated.iter().map(|isolated| since(last, *isolated)).collect();
    println!("each after the third: {each:?}; this process was up to {late:?} late");
    let most = MTTR + HEARD_IN_TURN * late;
    assert!(by_neighbors.iter().chain([&by_all, &stopped]).all(|took| *took <= most), "longer than {most:?}");
}

/// Waits until a node says whom it isolates, why, and that it has written it down, since it says it for the `time`th time.
async fn is_explained(node: &Node, odd: &Node, time: usize) {
    until(&format!("{} to isolate it", node.name), PATIENCE, async || {
        let log = node.log();
        if log.matches(ISOLATED).count() >= time { Ok(()) } else { Err(log) }
    })
    .await;
    let told = until(&format!("an incident at {}", node.name), PATIENCE, async || {
        let told = node.incidents().await?;
        let told = told.into_iter().filter(|told| told.kind == "misbehaving" && told.subject == "n10");
        let told = told.max_by_key(|told| told.id).ok_or("no incident")?;
        if told.lasted_ms.is_some() { Ok(told) } else { Err(format!("{told:?}")) }
    })
    .await;
    let votes = ["3 of the 3", "3 of the 4"].map(|votes| format!("{votes} that were its neighbors believe it no more"));
    assert!(votes.contains(&told.evidence), "{}", told.evidence);
    let story = node.run(&["incident", &told.id.to_string()]).await.ok();
    assert!(story.contains("quarantine: helped"), "{story}");
    let members = node.run(&["members"]).await.ok();
    let line = members.lines().find(|line| line.starts_with("n10 ")).expect("it is a member still");
    assert!(NEIGHBORS.iter().all(|neighbor| line.contains(&format!("n{neighbor}"))), "{line}");
    let ledger = node.run(&["ledger", "show"]).await.ok();
    let entries = ledger.lines().filter(|line| line.contains("quarantined") && line.contains(&odd.peer[..10]));
    assert_eq!(entries.count(), time, "{ledger}");
}

/// When a node first said this in its log.
async fn logged(node: &Node, what: &str) -> SystemTime {
    until(&format!("{}: {what}", node.name), PATIENCE, async || {
        let log = node.log();
        log.lines().find(|line| line.contains(what)).map(time_of).ok_or_else(|| log.clone())
    })
    .await
}

/// When a line of a log was written: it begins with the time, as in 2026-11-22T13:24:42.123456Z. Today, that is.
fn time_of(line: &str) -> SystemTime {
    let number = |range| -> u64 { line.get(range).and_then(|digits: &str| digits.parse().ok()).expect("a time") };
    let seconds = (number(11..13) * 60 + number(14..16)) * 60 + number(17..19);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    // A line of before midnight may be read after it.
    let midnight = now - now % DAY_S;
    let day = if seconds <= now % DAY_S { midnight } else { midnight - DAY_S };
    UNIX_EPOCH + Duration::from_secs(day + seconds) + Duration::from_micros(number(20..26))
}

/// A service for one caller; when the call came to its end.
async fn served() -> (JoinHandle<SystemTime>, std::net::SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let mut number = [0; 8];
        while tcp.read_exact(&mut number).await.is_ok() && tcp.write_all(&number).await.is_ok() {}
        SystemTime::now()
    });
    (serving, at)
}

/// How late this process is run, at most.
struct Late {
    looking: JoinHandle<()>,
    longest: Arc<AtomicU64>,
}

impl Late {
    fn watch() -> Self {
        let longest = Arc::<AtomicU64>::default();
        let seen = Arc::clone(&longest);
        let looking = tokio::spawn(async move {
            loop {
                let asleep = Instant::now();
                tokio::time::sleep(LOOK_EVERY).await;
                let late = asleep.elapsed().saturating_sub(LOOK_EVERY);
                seen.fetch_max(late.as_micros() as u64, Ordering::Relaxed);
            }
        });
        Self { looking, longest }
    }

    fn ended(self) -> Duration {
        self.looking.abort();
        Duration::from_micros(self.longest.load(Ordering::Relaxed))
    }
}

/// Numbers that are sent all the time, until it is not possible any more.
struct Stream {
    sending: JoinHandle<()>,
}

impl Stream {
    /// Waits for the first echo.
    async fn start(at: std::net::SocketAddr) -> Self {
        let mut tcp = TcpStream::connect(at).await.unwrap();
        tcp.write_all(&[0; 8]).await.unwrap();
        tcp.read_exact(&mut [0; 8]).await.unwrap();
        let sending = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            while tcp.write_all(&[1; 8]).await.is_ok() && tcp.read_exact(&mut [0; 8]).await.is_ok() {
                tick.tick().await;
            }
        });
        Self { sending }
    }

    fn stop(self) {
        self.sending.abort();
    }
}

/// Who misbehaves, toward whom, and where its traffic goes.
const ODD: usize = 10;
const NEIGHBORS: [usize; 3] = [1, 2, 3];
const FAR: usize = 7;
const ISOLATED: &str = "quarantined: it is dealt with no more";
/// For so long a node that starts counts no votes at most (`INFORMED_WITHIN` in `core/src/gossip/members.rs`).
const COUNTS_AFTER_MS: u64 = 10_000;
/// How long users may feel it.
const MTTR: Duration = Duration::from_millis(300);
/// Who forges, the neighbor, a relay, and the far end of the stream.
const HEARD_IN_TURN: u32 = 4;
const LOOK_EVERY: Duration = Duration::from_millis(10);
const DAY_S: u64 = 24 * 3600;
