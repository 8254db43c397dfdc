//! Reputation: how far another node is believed, from named faults that this node saw for itself or was shown proof of.
//!
//! The score is 1.0 minus the contributions of all rules; under [`TRUST_MIN`] a node is ignored. Each rule has a weight
//! for every occurrence, a cap, and a recovery. **This node's own faults never lower another's score**: what its own
//! clock, its own load or its own version could explain is no rule, and while it is unwell nothing counts.
//!
//! Integers throughout, in millionths, so that every machine computes the same.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::REPUTATIONS_MAX;
use crate::membership::Votes;
use crate::{Instant, PeerId, Rejected};

/// A fault that counts. What is not listed here does not: stale and future records (whose clock is wrong?), replayed
/// ones (gossip repeats itself, the more so when this node asks again), versions that are not spoken here (upgrades),
/// what a policy does not allow, dials and probes without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Fault {
    /// It passed on a record whose signature is bad: it had to check that itself.
    BadSignature,
    /// It passed on a record in the name of an origin that did not sign it.
    WrongOrigin,
    /// It sent what does not decode.
    Malformed,
    /// It sent a record in another form than the one that is signed.
    NonCanonical,
    /// It sent more, or longer, than a limit allows.
    Oversized,
    /// It sent a sketch or a summary of what cannot be.
    Inconsistent,
    /// It sent faster than the rate allows.
    Flood,
    /// Its ledger is not what it was: truncated, rewritten or forked.
    BrokenLedger,
    /// It said two things at once; there is proof.
    Equivocation,
}

/// What a fault costs and how it is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// What each occurrence costs, in millionths.
    pub weight: u32,
    /// What all occurrences together cost at most, in millionths.
    pub cap: u32,
    /// How it is forgiven.
    pub recovery: Recovery,
}

/// How a fault is forgiven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Recovery {
    /// Half of it is forgotten in this time, in a straight line between two halvings.
    Halving(Duration),
    /// It counts in full until the proof of it ends.
    WithProof,
}

impl Fault {
    /// Every fault, in the order in which a score lists its parts.
    pub const ALL: [Fault; 9] = [
        Fault::BadSignature,
        Fault::WrongOrigin,
        Fault::Malformed,
        Fault::NonCanonical,
        Fault::Oversized,
        Fault::Inconsistent,
        Fault::Flood,
        Fault::BrokenLedger,
        Fault::Equivocation,
    ];

    /// The name under which a score shows it.
    pub const fn name(self) -> &'static str {
        match self {
            Fault::BadSignature => "bad_signature",
            Fault::WrongOrigin => "wrong_origin",
            Fault::Malformed => "malformed",
            Fault::NonCanonical => "non_canonical",
            Fault::Oversized => "oversized",
            Fault::Inconsistent => "inconsistent",
            Fault::Flood => "flood",
            Fault::BrokenLedger => "broken_ledger",
            Fault::Equivocation => "equivocation",
        }
    }

    /// What it costs and how it is forgiven.
    pub const fn rule(self) -> Rule {
        match self {
            Fault::BadSignature => Rule::halving(150_000, 900_000, HALF_LIFE),
            Fault::WrongOrigin => Rule::halving(150_000, 900_000, HALF_LIFE),
            Fault::Malformed => Rule::halving(100_000, 600_000, HALF_LIFE),
            Fault::NonCanonical => Rule::halving(100_000, 600_000, HALF_LIFE),
            Fault::Oversized => Rule::halving(100_000, 600_000, HALF_LIFE),
            Fault::Inconsistent => Rule::halving(150_000, 900_000, HALF_LIFE),
            // The bucket protects this node already, and an eager neighbor is no liar: alone it never costs the trust.
            Fault::Flood => Rule::halving(2_000, 300_000, FLOOD_HALF_LIFE),
            // A disk that was restored from a copy looks the same: alone it never costs the trust.
            Fault::BrokenLedger => Rule::halving(300_000, 450_000, LEDGER_HALF_LIFE),
            Fault::Equivocation => Rule { weight: ONE, cap: ONE, recovery: Recovery::WithProof },
        }
    }

    /// The fault that a neighbor commits by sending what is rejected for this reason, if it is one.
    pub const fn of(reason: Rejected) -> Option<Fault> {
        match reason {
            Rejected::Unsigned => Some(Fault::BadSignature),
            Rejected::WrongOrigin => Some(Fault::WrongOrigin),
            Rejected::Malformed => Some(Fault::Malformed),
            Rejected::NonCanonical => Some(Fault::NonCanonical),
            Rejected::OverLimit => Some(Fault::Oversized),
            Rejected::Inconsistent => Some(Fault::Inconsistent),
            Rejected::Flood => Some(Fault::Flood),
            // The clock, the version, the policy, the question or the verdict may be this node's own.
            Rejected::Stale
            | Rejected::Future
            | Rejected::Replayed
            | Rejected::UnknownVersion
            | Rejected::Unauthorized
            | Rejected::UnknownSender
            | Rejected::Distrusted => None,
        }
    }
}

impl Rule {
    const fn halving(weight: u32, cap: u32, half_life: Duration) -> Self {
        Self { weight, cap, recovery: Recovery::Halving(half_life) }
    }
}

/// How far a node is believed, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// What each fault takes away now, 0.0 to 1.0, in the order of [`Fault::ALL`]; faults that take nothing are left out.
    pub parts: Vec<(&'static str, f64)>,
    /// 1.0 minus all parts, at least 0.0.
    pub sum: f64,
}

/// A node has fallen below what is believed, or is believed again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustReport {
    /// Which node.
    pub peer: PeerId,
    /// Whether it is believed now.
    pub trusted: bool,
    /// Its score, in thousandths.
    pub score_permille: u16,
    /// The names of the faults that take something away from it.
    pub faults: Vec<String>,
    /// How many of its neighbors believe it no more, if it is for that, and not for what this node has seen itself.
    pub votes: Option<Votes>,
}

/// The faults of other nodes, at most [`REPUTATIONS_MAX`] nodes; the least blamed makes room.
#[derive(Debug, Default)]
pub struct Reputation {
    nodes: BTreeMap<PeerId, Faults>,
}

impl Reputation {
    /// Notes that something of `peer`'s was turned away; true if it counts. Nothing counts while this node is not
    /// `well`: what it then sees may be its own doing.
    pub fn note(&mut self, peer: PeerId, reason: Rejected, well: bool, now: Instant) -> bool {
        let Some(fault) = Fault::of(reason).filter(|_| well) else { return false };
        self.entry(peer, fault.rule().weight, now).is_some_and(|faults| {
            faults.add(fault, now);
            true
        })
    }

    /// Notes a fault that this node has found by itself and that its own state cannot explain; true if it counts.
    pub fn blame(&mut self, peer: PeerId, fault: Fault, now: Instant) -> bool {
        self.entry(peer, fault.rule().weight, now).is_some_and(|faults| {
            faults.add(fault, now);
            true
        })
    }

    /// Notes that there is proof of an equivocation by `peer`, which ends at `until`; true if it counts. It counts
    /// whether this node is well or not: the proof speaks for itself.
    pub fn convict(&mut self, peer: PeerId, until: Instant, now: Instant) -> bool {
        if until <= now {
            return false;
        }
        self.entry(peer, Fault::Equivocation.rule().weight, now).is_some_and(|faults| {
            faults.convicted_until = faults.convicted_until.max(Some(until));
            true
        })
    }

    /// How far `peer` is believed now.
    pub fn score(&self, peer: &PeerId, now: Instant) -> Score {
        let parts: Vec<(&'static str, u32)> = self
            .nodes
            .get(peer)
            .map(|faults| Fault::ALL.map(|fault| (fault.name(), faults.part(fault, now))).to_vec())
            .unwrap_or_default();
        let taken: u32 = parts.iter().map(|(_, part)| part).sum();
        Score {
            parts: parts.into_iter().filter(|(_, part)| *part > 0).map(|(name, part)| (name, unit(part))).collect(),
            sum: unit(ONE.saturating_sub(taken)),
        }
    }

    /// Whether `peer` is believed at all now.
    pub fn is_trusted(&self, peer: &PeerId, now: Instant) -> bool {
        let taken = self.nodes.get(peer).map_or(0, |faults| faults.taken(now));
        ONE.saturating_sub(taken) >= TRUST_MIN
    }

    /// How many nodes' faults are remembered.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether nobody is blamed for anything.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The entry of `peer`, made if there is room: whoever is blamed less than `weight` makes it.
    fn entry(&mut self, peer: PeerId, weight: u32, now: Instant) -> Option<&mut Faults> {
        if !self.nodes.contains_key(&peer) && self.nodes.len() >= REPUTATIONS_MAX {
            self.nodes.retain(|_, faults| faults.taken(now) > 0);
            if self.nodes.len() >= REPUTATIONS_MAX {
                let (least, taken) = self
                    .nodes
                    .iter()
                    .map(|(peer, faults)| (*peer, faults.taken(now)))
                    .min_by_key(|(_, taken)| *taken)
                    .expect("BUG: a full table is not empty");
                if taken > weight {
                    return None;
                }
                self.nodes.remove(&least);
            }
        }
        Some(self.nodes.entry(peer).or_default())
    }
}

/// The faults of one node.
#[derive(Debug, Default)]
struct Faults {
    /// By fault: what it had taken away when it last occurred, in millionths.
    parts: [(u32, Instant); Fault::ALL.len()],
    /// When the last proof against it ends.
    convicted_until: Option<Instant>,
}

impl Faults {
    fn add(&mut self, fault: Fault, now: Instant) {
        let Rule { weight, cap, .. } = fault.rule();
        self.parts[fault as usize] = ((self.part(fault, now) + weight).min(cap), now);
    }

    /// What one fault takes away now.
    fn part(&self, fault: Fault, now: Instant) -> u32 {
        let (part, since) = self.parts[fault as usize];
        match fault.rule().recovery {
            Recovery::Halving(half_life) => halved(part, now.since(since), half_life),
            Recovery::WithProof if self.convicted_until.is_some_and(|until| until > now) => fault.rule().weight,
            Recovery::WithProof => 0,
        }
    }

    fn taken(&self, now: Instant) -> u32 {
        Fault::ALL.iter().map(|fault| self.part(*fault, now)).sum()
    }
}

/// What is left of `part` after `time`: halved once per half-life, in a straight line in between.
fn halved(part: u32, time: Duration, half_life: Duration) -> u32 {
    let (time, half_life) = (time.as_nanos(), half_life.as_nanos());
    let halvings = u32::try_from(time / half_life).unwrap_or(u32::MAX);
    let left = part.checked_shr(halvings).unwrap_or(0);
    left - (u128::from(left - left / 2) * (time % half_life) / half_life) as u32
}

/// Millionths as a fraction of one.
fn unit(millionths: u32) -> f64 {
    f64::from(millionths) / f64::from(ONE)
}

/// The score of a node without a fault, in millionths.
const ONE: u32 = 1_000_000;
/// The least score of a node that is believed, in millionths.
pub const TRUST_MIN: u32 = ONE / 2;
/// In which half of a lie is forgotten.
const HALF_LIFE: Duration = Duration::from_secs(600);
/// In which half of a flood is forgotten.
const FLOOD_HALF_LIFE: Duration = Duration::from_secs(60);
/// In which half of a broken ledger is forgotten: what is missing stays missing.
pub const LEDGER_HALF_LIFE: Duration = Duration::from_secs(6 * 3600);
const _: () = assert!(Fault::BrokenLedger.rule().cap < ONE - TRUST_MIN, "a restored disk does not cost the trust");
const _: () = assert!(Fault::Flood.rule().cap < ONE - TRUST_MIN, "a flood alone does not cost the trust");

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_millis(5000);

    fn peer(i: u32) -> PeerId {
        PeerId::from_public_key(std::array::from_fn(|at| if at < 4 { i.to_le_bytes()[at] } else { 1 }))
    }

    #[test]
    fn a_node_without_a_fault_is_trusted_in_full() {
        let reputation = Reputation::default();
        assert_eq!(reputation.score(&peer(1), NOW), Score { parts: vec![], sum: 1.0 });
        assert!(reputation.is_trusted(&peer(1), NOW));
    }

    #[test]
    fn each_rule_fires_and_each_non_rule_does_not() {
        for reason in Rejected::ALL {
            let mut reputation = Reputation::default();
            let counted = reputation.note(peer(1), reason, true, NOW);
            let score = reputation.score(&peer(1), NOW);
            match reason {
                Rejected::Unsigned => assert_eq!(score, Score { parts: vec![("bad_signature", 0.15)], sum: 0.85 }),
                Rejected::WrongOrigin => assert_eq!(score, Score { parts: vec![("wrong_origin", 0.15)], sum: 0.85 }),
                Rejected::Malformed => assert_eq!(score, Score { parts: vec![("malformed", 0.1)], sum: 0.9 }),
                Rejected::NonCanonical => assert_eq!(score, Score { parts: vec![("non_canonical", 0.1)], sum: 0.9 }),
                Rejected::OverLimit => assert_eq!(score, Score { parts: vec![("oversized", 0.1)], sum: 0.9 }),
                Rejected::Inconsistent => assert_eq!(score, Score { parts: vec![("inconsistent", 0.15)], sum: 0.85 }),
                Rejected::Flood => assert_eq!(score, Score { parts: vec![("flood", 0.002)], sum: 0.998 }),
                _ => {
                    assert_eq!(score, Score { parts: vec![], sum: 1.0 }, "{reason}");
                    assert!(!counted && reputation.is_empty(), "{reason}");
                }
            }
        }
        let mut reputation = Reputation::default();
        assert!((0..9).all(|_| reputation.blame(peer(1), Fault::BrokenLedger, NOW)));
        assert_eq!(reputation.score(&peer(1), NOW), Score { parts: vec![("broken_ledger", 0.45)], sum: 0.55 });
        let mut reputation = Reputation::default();
        assert!(reputation.convict(peer(1), Instant::from_millis(6000), NOW));
        assert_eq!(reputation.score(&peer(1), NOW), Score { parts: vec![("equivocation", 1.0)], sum: 0.0 });
    }

    #[test]
    fn nothing_counts_while_this_node_is_unwell_except_a_proof() {
        let mut reputation = Reputation::default();
        for reason in Rejected::ALL {
            assert!(!reputation.note(peer(1), reason, false, NOW), "{reason}");
        }
        assert!(reputation.is_empty());
        assert_eq!(reputation.score(&peer(1), NOW).sum, 1.0);
    }

    #[test]
    fn parts_add_up_and_their_caps_hold() {
        let mut reputation = Reputation::default();
        for fault in Fault::ALL {
            let Some(reason) = Rejected::ALL.into_iter().find(|reason| Fault::of(*reason) == Some(fault)) else {
                let found = [Fault::BrokenLedger, Fault::Equivocation].contains(&fault);
                assert!(found, "{fault:?}: every other fault follows from a rejection");
                continue;
            };
            let alone = peer(10 + fault as u32);
            for _ in 0..1000 {
                reputation.note(alone, reason, true, NOW);
            }
            let score = reputation.score(&alone, NOW);
            assert_eq!(score.parts, [(fault.name(), unit(fault.rule().cap))]);
            assert_eq!(reputation.is_trusted(&alone, NOW), fault == Fault::Flood, "{fault:?}");
        }
        for reason in [Rejected::Unsigned, Rejected::Flood, Rejected::Unsigned] {
            reputation.note(peer(1), reason, true, NOW);
        }
        let score = reputation.score(&peer(1), NOW);
        assert_eq!(score, Score { parts: vec![("bad_signature", 0.3), ("flood", 0.002)], sum: 0.698 });
    }

    #[test]
    fn trust_comes_back_by_the_stated_rule() {
        let mut reputation = Reputation::default();
        for _ in 0..4 {
            reputation.note(peer(1), Rejected::Unsigned, true, NOW);
        }
        let sum = |after: Duration| reputation.score(&peer(1), NOW + after).sum;
        assert_eq!(sum(Duration::ZERO), 0.4);
        assert_eq!(sum(HALF_LIFE / 2), 0.55);
        assert_eq!(sum(HALF_LIFE), 0.7);
        assert_eq!(sum(HALF_LIFE * 2), 0.85);
        assert_eq!(sum(HALF_LIFE * 40), 1.0);
        assert!(!reputation.is_trusted(&peer(1), NOW));
        assert!(reputation.is_trusted(&peer(1), NOW + HALF_LIFE / 2));
    }

    #[test]
    fn an_equivocation_stays_until_its_proof_ends() {
        let mut reputation = Reputation::default();
        let week = Duration::from_secs(7 * 24 * 3600);
        reputation.convict(peer(1), NOW + week, NOW);
        reputation.convict(peer(1), NOW + week / 2, NOW);
        let almost = NOW + (week - Duration::from_secs(1));
        assert_eq!(reputation.score(&peer(1), almost).sum, 0.0);
        assert_eq!(reputation.score(&peer(1), NOW + week).sum, 1.0);
        assert!(!reputation.convict(peer(2), NOW, NOW), "a proof that has ended proves nothing any more");
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_worst() {
        let mut reputation = Reputation::default();
        let forever = NOW + Duration::from_secs(1_000_000);
        reputation.convict(peer(0), forever, NOW);
        for i in 1..=2 * REPUTATIONS_MAX as u32 {
            reputation.note(peer(i), Rejected::Unsigned, true, NOW);
        }
        assert_eq!(reputation.len(), REPUTATIONS_MAX);
        assert!(!reputation.is_trusted(&peer(0), NOW), "no crowd of others gets the worst one out");
        assert!(!reputation.note(peer(u32::MAX), Rejected::Flood, true, NOW), "what is worse stays");
        assert_eq!(reputation.len(), REPUTATIONS_MAX);
        let much_later = NOW + HALF_LIFE * 100;
        assert!(reputation.note(peer(u32::MAX), Rejected::Flood, true, much_later));
        assert_eq!(reputation.len(), 2, "what is forgiven makes room");
    }

    #[test]
    fn faults_never_come_back_and_never_grow_by_themselves() {
        let mut last = 600_000;
        for second in 0..20_000 {
            let left = halved(600_000, Duration::from_secs(second), HALF_LIFE);
            assert!(left <= last, "second {second}");
            last = left;
        }
        assert_eq!(last, 0);
        assert_eq!(halved(u32::MAX, Duration::MAX, Duration::from_nanos(1)), 0);
    }
}
