//! What post-quantum cryptography costs: each operation in microseconds beside its classical counterpart, and sealing and
//! opening in MiB per second. The median of several rounds, with the slowest beside it.
//!
//!     cargo bench --bench postquantum

#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

use prunella::security::postquantum::{DecapsulationKey, HybridKeys, SigningKey, X25519Secret};
use prunella::security::sealed;
use prunella_core::identity::{self, Identity};

fn main() {
    let message = vec![7; 1000];
    let identity = Identity::from_secret(&[1; 32]);
    let peer = identity.peer();
    let signature = identity.sign(&message);
    show("Ed25519 sign (1 kB)", || _ = black_box(identity.sign(&message)));
    show("Ed25519 verify (1 kB)", || identity::verify(&peer, &message, &signature).unwrap());
    let mldsa = SigningKey::generate();
    let signature = mldsa.sign(b"", &message).unwrap();
    show("ML-DSA-65 key generation", || drop(black_box(SigningKey::generate())));
    show("ML-DSA-65 sign (1 kB)", || drop(black_box(mldsa.sign(b"", &message).unwrap())));
    show("ML-DSA-65 verify (1 kB)", || mldsa.verifying_key().verify(b"", &message, &*signature).unwrap());
    let x25519 = X25519Secret::generate().unwrap();
    let public = x25519.public_key();
    show("X25519 agree", || drop(black_box(x25519.agree(&public).unwrap())));
    let mlkem = DecapsulationKey::generate();
    let public = mlkem.encapsulation_key();
    let (ciphertext, _) = public.encapsulate();
    show("ML-KEM-768 key generation", || drop(black_box(DecapsulationKey::generate())));
    show("ML-KEM-768 encapsulate", || drop(black_box(public.encapsulate())));
    show("ML-KEM-768 decapsulate", || drop(black_box(mlkem.decapsulate(&*ciphertext).unwrap())));
    sealing(identity);
}

/// Sealing and opening 64 MiB in memory, with and without a sender.
fn sealing(identity: Identity) {
    let keys = HybridKeys::generate(identity).unwrap();
    let data = vec![7; 64 << 20];
    for from in [None, Some(&keys)] {
        let signed = if from.is_some() { "signed" } else { "unsigned" };
        let mut sealed_data = Vec::with_capacity(data.len() + (1 << 20));
        let times = (0..ROUNDS).map(|_| {
            sealed_data.clear();
            let begun = Instant::now();
            sealed::seal(&mut &*data, &mut sealed_data, keys.public_key(), from, &mut |_| {}).unwrap();
            begun.elapsed()
        });
        show_rate(&format!("seal, {signed}"), times.collect(), data.len());
        let times = (0..ROUNDS).map(|_| {
            let begun = Instant::now();
            sealed::open(&mut &*sealed_data, &mut io::sink(), &keys, from.map(HybridKeys::public_key), &mut |_| {})
                .unwrap();
            begun.elapsed()
        });
        show_rate(&format!("open, {signed}"), times.collect(), data.len());
    }
}

fn show(name: &str, mut operation: impl FnMut()) {
    let times = (0..ROUNDS).map(|_| {
        let begun = Instant::now();
        (0..REPETITIONS).for_each(|_| operation());
        begun.elapsed() / REPETITIONS
    });
    let (median, slowest) = summary(times.collect());
    println!("{name:<28}{:>9.1} us   slowest round {:.1}", us(median), us(slowest));
}

fn show_rate(name: &str, times: Vec<Duration>, bytes: usize) {
    let (median, slowest) = summary(times);
    let rate = |time: Duration| (bytes >> 20) as f64 / time.as_secs_f64();
    println!("{name:<28}{:>9.0} MiB/s   slowest round {:.0}", rate(median), rate(slowest));
}

fn summary(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    (times[times.len() / 2], times[times.len() - 1])
}

fn us(time: Duration) -> f64 {
    time.as_nanos() as f64 / 1000.0
}

const ROUNDS: usize = 11;
const REPETITIONS: u32 = 200;
