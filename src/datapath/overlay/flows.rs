//! Which flows an interface has, and what was decided about each: looked up for every packet without a lock.

use std::fmt;
use std::hash::Hasher;
use std::net::IpAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use prunella_core::limits::FLOWS_MAX;
use prunella_core::overlay::{Flow, Protocol};
use siphasher::sip::SipHasher13;

use super::super::port::lock;

/// What is known of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It may go on.
    Allowed,
    /// It may go on, but the policy has changed since it was allowed: it is to be judged again.
    Outdated,
    /// It may not.
    Denied,
    /// Nothing, or nothing any more.
    Unknown,
}

/// On whose word a flow stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// This node began it.
    Ours,
    /// The policy allows it.
    Allowed,
    /// The policy denies it.
    Denied,
}

/// The flows, by the hash of both ends. A flow is the same in both directions: it is named from here.
pub(super) struct Flows {
    slots: Box<[Slot]>,
    key: [u8; 16],
    /// Held by whoever enters a flow.
    entering: Mutex<()>,
    /// Verdicts of another generation count no more.
    generation: AtomicU64,
}

/// A flow's hash, and what is known of it. The hash is written first and read last, so that no reader takes what is known of
/// one for another.
#[derive(Default)]
struct Slot {
    hash: AtomicU64,
    known: AtomicU64,
}

/// What is known of a flow, in one number: seconds (32 bits), generation (30), word (2; zero: nothing).
#[derive(Clone, Copy)]
struct Known(u64);

impl Flows {
    /// None; `key` is random, so that nobody can make flows collide.
    pub(super) fn new(key: [u8; 16]) -> Self {
        let slots = (0..FLOWS_MAX).map(|_| Slot::default()).collect();
        Self { slots, key, entering: Mutex::default(), generation: AtomicU64::new(0) }
    }

    /// What is known of a flow at `second`; notes that it goes on.
    pub(super) fn look(&self, flow: &Flow, second: u32) -> Standing {
        let hash = self.hash(flow);
        let generation = self.generation.load(Ordering::Relaxed) as u32;
        for slot in self.bucket(hash) {
            if slot.hash.load(Ordering::Acquire) != hash {
                continue;
            }
            let known = slot.known.load(Ordering::Acquire);
            if slot.hash.load(Ordering::Acquire) != hash {
                return Standing::Unknown;
            }
            let standing = Known(known).standing(flow.protocol, second, generation);
            if matches!(standing, Standing::Allowed | Standing::Outdated) && Known(known).second() != second {
                let touched = Known(known).at(second).0;
                // If somebody has entered something meanwhile, that counts.
                let _ = slot.known.compare_exchange(known, touched, Ordering::AcqRel, Ordering::Relaxed);
            }
            return standing;
        }
        Standing::Unknown
    }

    /// Whether whoever asks is the first to do so since the policy has changed: then it has the flow judged again, which goes on
    /// meanwhile.
    pub(super) fn claim(&self, flow: &Flow) -> bool {
        let (hash, generation) = (self.hash(flow), self.generation.load(Ordering::Relaxed) as u32);
        self.bucket(hash).iter().filter(|slot| slot.hash.load(Ordering::Acquire) == hash).any(|slot| {
            let known = slot.known.load(Ordering::Acquire);
            let renewed = Known(known).of_generation(generation).0;
            known != renewed && slot.known.compare_exchange(known, renewed, Ordering::AcqRel, Ordering::Relaxed).is_ok()
        })
    }

    /// Enters what was decided.
    pub(super) fn enter(&self, flow: &Flow, word: Word, second: u32) {
        let hash = self.hash(flow);
        let known = Known::of(word, second, self.generation.load(Ordering::Relaxed) as u32);
        let _entering = lock(&self.entering);
        let bucket = self.bucket(hash);
        let its = bucket.iter().find(|slot| slot.hash.load(Ordering::Relaxed) == hash);
        let oldest = || bucket.iter().min_by_key(|slot| Known(slot.known.load(Ordering::Relaxed)).second());
        let Some(slot) = its.or_else(oldest) else { return };
        slot.known.store(0, Ordering::Release);
        slot.hash.store(hash, Ordering::Release);
        slot.known.store(known.0, Ordering::Release);
    }

    /// What the policy said counts no more: it is asked again.
    pub(super) fn judge_anew(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    fn bucket(&self, hash: u64) -> &[Slot] {
        let buckets = self.slots.len() / WAYS;
        let at = (hash % buckets as u64) as usize * WAYS;
        &self.slots[at..at + WAYS]
    }

    /// What a flow is known by.
    pub(super) fn hash(&self, flow: &Flow) -> u64 {
        let mut bytes = [0; 37];
        bytes[0] = flow.protocol.0;
        for (at, (address, port)) in [(1, flow.source), (19, flow.destination)] {
            match address {
                IpAddr::V4(v4) => bytes[at..at + 4].copy_from_slice(&v4.octets()),
                IpAddr::V6(v6) => bytes[at..at + 16].copy_from_slice(&v6.octets()),
            }
            bytes[at + 16..at + 18].copy_from_slice(&port.to_be_bytes());
        }
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(&bytes);
        // Zero is the hash of nothing.
        hasher.finish().max(1)
    }
}

impl Known {
    fn of(word: Word, second: u32, generation: u32) -> Self {
        let word = match word {
            Word::Ours => OURS,
            Word::Allowed => ALLOWED,
            Word::Denied => DENIED,
        };
        Self(u64::from(second) << 32 | u64::from(generation % GENERATIONS) << 2 | word)
    }

    const fn second(self) -> u32 {
        (self.0 >> 32) as u32
    }

    const fn of_generation(self, generation: u32) -> Self {
        Self(self.0 & 0xffff_ffff_0000_0003 | (generation as u64 % GENERATIONS as u64) << 2)
    }

    const fn at(self, second: u32) -> Self {
        Self(self.0 & 0xffff_ffff | (second as u64) << 32)
    }

    fn standing(self, protocol: Protocol, second: u32, generation: u32) -> Standing {
        let age = second.saturating_sub(self.second());
        let is_current = (self.0 >> 2) as u32 % GENERATIONS == generation % GENERATIONS;
        match self.0 & 3 {
            OURS if age <= patience(protocol) => Standing::Allowed,
            ALLOWED if age <= patience(protocol) && is_current => Standing::Allowed,
            ALLOWED if age <= patience(protocol) => Standing::Outdated,
            DENIED if age <= DENIED_SECONDS && is_current => Standing::Denied,
            _ => Standing::Unknown,
        }
    }
}

/// How long a flow may be silent, in seconds: streams for a day (RFC 5382 asks for two hours), others as RFC 4787 asks for.
const fn patience(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::TCP => 24 * 3600,
        Protocol::UDP => 300,
        _ => 60,
    }
}

impl fmt::Debug for Flows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flows").finish_non_exhaustive()
    }
}

/// Flows with the same bucket among which the oldest makes room.
const WAYS: usize = 4;
const _: () = assert!(FLOWS_MAX.is_multiple_of(WAYS), "buckets are full");
const GENERATIONS: u32 = 1 << 30;
/// How long a verdict against a flow is remembered: then whoever tries on is judged, and told, anew.
const DENIED_SECONDS: u32 = 5;
const OURS: u64 = 1;
const ALLOWED: u64 = 2;
const DENIED: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(port: u16) -> Flow {
        let end = |last: u8| IpAddr::from([10, 0, 0, last]);
        Flow { protocol: Protocol::UDP, source: (end(1), port), destination: (end(2), 53) }
    }

    #[test]
    fn a_flow_is_known_until_it_is_silent_for_too_long() {
        let flows = Flows::new([1; 16]);
        assert_eq!(flows.look(&flow(1), 10), Standing::Unknown);
        flows.enter(&flow(1), Word::Ours, 10);
        assert_eq!(flows.look(&flow(1), 310), Standing::Allowed);
        assert_eq!(flows.look(&flow(1), 610), Standing::Allowed, "it went on");
        assert_eq!(flows.look(&flow(1), 911), Standing::Unknown);
        assert_eq!(flows.look(&flow(1).turned(), 310), Standing::Unknown, "it is named from here");
    }

    #[test]
    fn what_the_policy_said_counts_until_it_changes_and_what_this_node_began_goes_on() {
        let flows = Flows::new([1; 16]);
        flows.enter(&flow(1), Word::Ours, 10);
        flows.enter(&flow(2), Word::Allowed, 10);
        flows.enter(&flow(3), Word::Denied, 10);
        let all = |second| [1, 2, 3].map(|port| flows.look(&flow(port), second));
        assert_eq!(all(10), [Standing::Allowed, Standing::Allowed, Standing::Denied]);
        assert_eq!(all(16)[2], Standing::Unknown, "it may try again");
        flows.judge_anew();
        assert_eq!(all(10), [Standing::Allowed, Standing::Outdated, Standing::Unknown]);
        assert_eq!(
            [flows.claim(&flow(2)), flows.claim(&flow(2))],
            [true, false],
            "it is judged once, and goes on meanwhile"
        );
        assert_eq!(all(10)[1], Standing::Allowed);
    }

    #[test]
    fn the_table_is_bounded_and_the_newest_is_there() {
        let flows = Flows::new([1; 16]);
        for port in 0..u16::MAX {
            flows.enter(&flow(port), Word::Allowed, 5 + u32::from(port));
        }
        let newest = (u16::MAX - 1000..u16::MAX).filter(|port| flows.look(&flow(*port), 70_000) == Standing::Allowed);
        assert_eq!(newest.count(), 0, "all of them were silent");
        let newest = (u16::MAX - 100..u16::MAX)
            .filter(|port| flows.look(&flow(*port), u32::from(u16::MAX)) == Standing::Allowed);
        assert_eq!(newest.count(), 100);
    }
}
