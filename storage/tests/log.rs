//! What a log acknowledged survives a kill, however often.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use prunella_storage::log::{Found, Log};

/// Tells the child which log to write: the same test, in a process of its own.
const CHILD_LOG: &str = "PRUNELLA_STORAGE_TEST_LOG";
const NAME: &str = "nothing_acknowledged_is_lost_to_seven_hundred_kills";
const KILLS: u64 = 700;
/// Short, so that kills also meet the beginning of a file.
const ENTRY_BYTES: usize = 600;

#[test]
fn nothing_acknowledged_is_lost_to_seven_hundred_kills() {
    if let Some(path) = std::env::var_os(CHILD_LOG) {
        return append_until_killed(Path::new(&path));
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log");
    let (mut verified, mut unacknowledged) = (0, 0);
    for kill in 0..KILLS {
        let acknowledged = kill_after(&path, kill % 4, Duration::from_micros(kill * 37 % 400));
        let (log, found) = Log::open(&path).unwrap();
        assert_eq!(found.damaged, [], "kill {kill}");
        assert!(log.len() >= acknowledged, "kill {kill}: {} of {acknowledged}", log.len());
        unacknowledged += log.len() - acknowledged;
        // All of them now and then, the new ones always.
        let from = if kill % 50 == 0 { 0 } else { verified };
        (from..log.len()).for_each(|n| assert_eq!(log.read(n).unwrap(), entry(n), "kill {kill}, entry {n}"));
        verified = log.len();
    }
    assert!(verified >= KILLS, "the children got far enough to be killed in the middle of something: {verified}");
    println!("{verified} entries, {unacknowledged} of them not acknowledged, {KILLS} kills");
    let (log, found) = Log::open(&path).unwrap();
    assert_eq!((log.len(), found), (verified, Found::default()));
    (0..verified).for_each(|n| assert_eq!(log.read(n).unwrap(), entry(n)));
}

/// Appends batch after batch, and tells after each how many entries there are.
fn append_until_killed(path: &Path) {
    let (mut log, _) = Log::open(path).unwrap();
    let mut out = std::io::stdout().lock();
    loop {
        let batch: Vec<Vec<u8>> = (log.len()..=log.len() + log.len() % 5).map(entry).collect();
        log.append(&batch).unwrap();
        writeln!(out, "\nacknowledged {}", log.len()).unwrap();
    }
}

/// Starts a child and kills it so long after so many acknowledgments; the last one that came.
fn kill_after(path: &Path, acknowledgments: u64, and: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", NAME, "--nocapture"])
        .env(CHILD_LOG, path)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut numbers = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok());
    let mut last: Option<u64> = None;
    for _ in 0..=acknowledgments {
        last = Some(numbers.next().expect("the child acknowledges until it is killed"));
    }
    // Not to wait for anything, but to hit another place each time.
    let until = std::time::Instant::now() + and;
    while std::time::Instant::now() < until {
        std::hint::spin_loop();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    numbers.last().or(last).unwrap()
}

fn entry(n: u64) -> Vec<u8> {
    format!("entry {n} ").into_bytes().into_iter().cycle().take((n * 7919) as usize % ENTRY_BYTES).collect()
}
