//! The rules of membership, its laws, its size, and whole meshes in trouble.

mod laws;
mod memory;
mod rules;
mod scenarios;

use super::Testimony;
use crate::record::{LinkBody, Refuted};
use crate::{Instant, Label, PeerId};

fn peer(n: usize) -> PeerId {
    PeerId::from_public_key(std::array::from_fn(|i| (n >> (8 * (i % 4))) as u8))
}

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

/// A links record's body, by the numbers of peers.
fn says(links: &[usize], accused: &[usize], refuted: &[(usize, u64)]) -> Testimony {
    let link = |n: &usize| LinkBody { neighbor: peer(*n), label: Label(1), rtt_us: 1000, loss_permille: 0 };
    let mut accused: Vec<PeerId> = accused.iter().map(|n| peer(*n)).collect();
    accused.sort_unstable();
    let refuted = refuted.iter().map(|(n, version)| Refuted { accuser: peer(*n), version: *version });
    let mut refuted: Vec<Refuted> = refuted.collect();
    refuted.sort_unstable();
    Testimony { links: links.iter().map(link).collect(), accused, refuted, ..Testimony::default() }
}
