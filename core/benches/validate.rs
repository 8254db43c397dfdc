//! What it costs to check records: one alone, and each of a batch of 256.
//!
//! `cargo bench -p prunella-core --bench validate` prints medians, their spread, and the load of the machine.
#![allow(clippy::disallowed_types, clippy::print_stdout, reason = "a bench reads the clock and prints")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use prunella_core::Verified;
use prunella_core::gossip::{Gate, Moment};
use prunella_core::identity::Identity;
use prunella_core::limits::BATCH_RECORDS_MAX;
use prunella_core::record::{
    Body, Kind, LIFE_BITS, ProvenRecord, Record, RecordId, SignedRecord, VerifiedCache, verify_all,
};
use prunella_core::wire::{Control, codec};

const UNIX_MS: u64 = 1_800_000_000_000;
const RUNS: usize = 1000;
const GROUPS: usize = 10;

fn main() {
    let me = Identity::from_secret(&[1; 32]);
    let records = |run: usize, count: usize| -> Vec<Record> { (0..count).map(|i| record(&me, run, i)).collect() };
    let single = |run| vec![record(&me, run, 0).sign(&me).signed.clone()];
    let batch = |run| signed(Record::sign_batch(records(run, BATCH_RECORDS_MAX), &me));

    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("per record; load average {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "));
    println!("{:<52} of {GROUPS} groups the one with the least median", "");
    println!("{:<52} {:>11} {:>11} {:>11} {:>11}", "", "p10", "median", "p90", "of all runs");
    let mut cold = VerifiedCache::default();
    show("alone, signature not seen before", 1, single, |claims| check(claims, &mut cold));
    let mut warm = VerifiedCache::default();
    drop(check(single(0), &mut warm));
    show("alone, signature known", 1, |_| single(0), |claims| check(claims, &mut warm));
    let mut cold = VerifiedCache::default();
    show("batch of 256, not seen before", BATCH_RECORDS_MAX, batch, |claims| check(claims, &mut cold));
    let mut warm = VerifiedCache::default();
    let known = batch(0);
    drop(check(known.clone(), &mut warm));
    show("batch of 256, signature known", BATCH_RECORDS_MAX, |_| known.clone(), |claims| check(claims, &mut warm));
    let one = |run: usize| vec![known[run % BATCH_RECORDS_MAX].clone()];
    show("one of a batch, signature known", 1, one, |claims| check(claims, &mut warm));

    let mut cold = VerifiedCache::default();
    let pushes = |run| batch(run).chunks(86).map(|part| codec::encode_message(&Control::Push(part.to_vec()))).collect();
    show("batch of 256, three pushes from the wire to the role", BATCH_RECORDS_MAX, pushes, |pushes: Vec<Vec<u8>>| {
        let at = Moment { now: prunella_core::Instant::BOOT, unix_ms: UNIX_MS };
        let mut gate = Gate::greeted(1000, at.now);
        let passed = |bytes: Vec<u8>| gate.read(&bytes, at, &mut cold).expect("an honest push passes");
        pushes.into_iter().map(passed).collect::<Vec<_>>()
    });
}

fn record(me: &Identity, run: usize, i: usize) -> Record {
    Record {
        id: RecordId { origin: me.peer(), kind: Kind::Service, key: format!("service-{i}") },
        version: UNIX_MS << LIFE_BITS | run as u64,
        issued_ms: UNIX_MS,
        expires_ms: UNIX_MS + 60_000,
        body: Body::Service,
    }
}

fn signed(proven: Vec<Verified<ProvenRecord>>) -> Vec<SignedRecord> {
    proven.into_iter().map(|proven| proven.signed.clone()).collect()
}

fn check(claims: Vec<SignedRecord>, known: &mut VerifiedCache) -> Vec<Verified<ProvenRecord>> {
    let sent = claims.len();
    let (good, _) = verify_all(claims, UNIX_MS, known);
    assert_eq!(good.len(), sent, "honest records pass");
    good
}

/// Measures `run` on what `make` gives it, in time per record. What it returns goes on to the role: dropping it is not
/// part of the time. Runs are measured in groups; shown is the spread of the group with the least median, which other
/// programs disturbed least, and the median of all.
fn show<T, R>(what: &str, records: usize, make: impl Fn(usize) -> T, mut run: impl FnMut(T) -> R) {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|i| {
            let input = make(i);
            let start = Instant::now();
            let output = black_box(run(black_box(input)));
            let taken = start.elapsed();
            drop(output);
            taken
        })
        .collect();
    times.chunks_mut(RUNS / GROUPS).for_each(<[Duration]>::sort);
    let quiet = times.chunks(RUNS / GROUPS).min_by_key(|group| group[group.len() / 2]).unwrap_or_default().to_vec();
    times.sort();
    let at = |times: &[Duration], percent: usize| {
        format!("{:>8.0} ns", times[(times.len() - 1) * percent / 100].as_nanos() as f64 / records as f64)
    };
    let [p10, median, p90] = [10, 50, 90].map(|percent| at(&quiet, percent));
    println!("{what:<52} {p10} {median} {p90} {}", at(&times, 50));
}
