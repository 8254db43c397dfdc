//! Whom the mesh believes no more: the votes of those who were its neighbors.
//!
//! What a node sees of a neighbor that misbehaves, others cannot check: a bad signature that was turned away proves
//! nothing to anybody else. So it isolates the neighbor by itself, and tells; the others follow when more than two thirds
//! of those who know it from a link of their own say the same. They are the observers whose accusations remove a node that
//! does not answer, with the same watermarks ([`Thresholds`]), but two at least: one word isolates nobody in the mesh.
//!
//! A vote counts once voter and accused were seen as a pair of neighbors, which takes the word of both, and from then on
//! for as long as the voter says so: who isolates a neighbor has no link to it any more. Who starts later has not seen it:
//! there the vote counts with the proof of a [`Place`](crate::record::Place), which is the word of both as well: the
//! accused signed that it has this neighbor, and the voter says so by voting. It ends when what the accused signed would
//! have. Invariant: who holds fewer than two thirds of the places around a node cannot have it isolated.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Membership;
use super::verdict::Thresholds;
use crate::PeerId;

/// How many believe a node no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Votes {
    /// Those who say so, and whose word counts.
    pub against: usize,
    /// Those who know it from a link, now or when they said so, and whose word counts.
    pub of: usize,
}

/// All votes.
#[derive(Debug, Default)]
pub struct Ballot {
    /// By whom they are about, then by voter: whether it counts, because the two were seen as neighbors.
    votes: BTreeMap<PeerId, BTreeMap<PeerId, bool>>,
    /// Who has proven to have been a neighbor, by whose.
    places: BTreeMap<PeerId, BTreeSet<PeerId>>,
    /// Whom each voter names.
    named: BTreeMap<PeerId, Vec<PeerId>>,
    outvoted: BTreeSet<PeerId>,
}

impl Ballot {
    /// A node names all that it believes no more; what it said before holds no longer.
    pub fn told(&mut self, voter: PeerId, distrusted: &[PeerId]) {
        let before = self.named.remove(&voter).unwrap_or_default();
        for peer in before.iter().filter(|peer| distrusted.binary_search(peer).is_err()) {
            self.take_back(peer, &voter);
        }
        for peer in distrusted.iter().filter(|peer| **peer != voter) {
            self.votes.entry(*peer).or_default().entry(voter).or_insert(false);
        }
        if !distrusted.is_empty() {
            self.named.insert(voter, distrusted.to_vec());
        }
    }

    /// It is proven that `voter` was a neighbor of `host`, or not any more. What a vote has counted for it does not lose.
    pub fn placed(&mut self, voter: PeerId, host: PeerId, is_proven: bool) {
        if is_proven {
            self.places.entry(host).or_default().insert(voter);
        } else if let Some(voters) = self.places.get_mut(&host) {
            voters.remove(&voter);
            if voters.is_empty() {
                self.places.remove(&host);
            }
        }
    }

    /// What a node said is not held any more.
    pub fn forgotten(&mut self, voter: &PeerId) {
        for peer in self.named.remove(voter).unwrap_or_default() {
            self.take_back(&peer, voter);
        }
    }

    /// Counts the votes. Returned is whose case came out differently than the last time: believed no more, and by how many,
    /// or `None`: believed again, because less than a third say otherwise.
    pub fn count(&mut self, membership: &Membership) -> Vec<(PeerId, Option<Votes>)> {
        let cases: BTreeSet<PeerId> = self.votes.keys().chain(&self.outvoted).copied().collect();
        let counted: Vec<_> = cases.into_iter().map(|peer| (peer, self.count_about(&peer, membership))).collect();
        let mut verdicts = Vec::new();
        for (peer, (votes, watermarks)) in counted {
            let high = watermarks.high.max(VOTES_MIN);
            if votes.against >= high && self.outvoted.insert(peer) {
                verdicts.push((peer, Some(votes)));
            } else if votes.against < watermarks.low && self.outvoted.remove(&peer) {
                verdicts.push((peer, None));
            }
        }
        verdicts
    }

    /// Who says that `peer` is not to be believed, and has a vote; ascending.
    pub fn against(&self, peer: &PeerId) -> Vec<PeerId> {
        let votes = self.votes.get(peer).into_iter().flatten();
        votes.filter(|(_, counts)| **counts).map(|(voter, _)| *voter).collect()
    }

    fn count_about(&mut self, peer: &PeerId, membership: &Membership) -> (Votes, Thresholds) {
        let mut observers: BTreeSet<PeerId> = membership.observers(peer).collect();
        let mut against = Vec::new();
        for (voter, counts) in self.votes.get_mut(peer).into_iter().flatten() {
            *counts |= observers.contains(voter) || self.places.get(peer).is_some_and(|placed| placed.contains(voter));
            if *counts {
                against.push(*voter);
            }
        }
        observers.extend(&against);
        let is_heard = |peer: &&PeerId| membership.is_heard(peer) && !self.outvoted.contains(peer);
        let of = observers.iter().filter(is_heard).count();
        let votes = Votes { against: against.iter().filter(is_heard).count(), of };
        (votes, Thresholds::of(observers.len(), of))
    }

    fn take_back(&mut self, peer: &PeerId, voter: &PeerId) {
        if let Some(votes) = self.votes.get_mut(peer) {
            votes.remove(voter);
            if votes.is_empty() {
                self.votes.remove(peer);
            }
        }
    }
}

/// Fewest votes that isolate a node: what a single neighbor says concerns that neighbor.
const VOTES_MIN: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::membership::Testimony;
    use crate::record::LinkBody;
    use crate::{Instant, Label};

    fn peer(n: u8) -> PeerId {
        PeerId::from_public_key([n; 32])
    }

    /// A mesh in which node 0 has links with all up to `observers`, and they with nobody else.
    fn star(observers: u8) -> Membership {
        let mut membership = Membership::new(1);
        let link = |n| LinkBody { neighbor: peer(n), label: Label(n.into()), rtt_us: 1000, loss_permille: 0 };
        let mut told = |n: u8, links: Vec<LinkBody>| {
            let testimony = Testimony { links, ..Testimony::default() };
            membership.told(peer(n), 0, &testimony, Instant::BOOT).unwrap();
        };
        told(0, (1..=observers).map(link).collect());
        (1..=observers).for_each(|n| told(n, vec![link(0)]));
        membership.wake(Instant::BOOT);
        membership
    }

    /// What comes of it when these say that they do not believe node 0.
    fn verdict(ballot: &mut Ballot, membership: &Membership, voters: impl Iterator<Item = u8>) -> Option<Votes> {
        voters.for_each(|voter| ballot.told(peer(voter), &[peer(0)]));
        let verdicts = ballot.count(membership);
        assert!(verdicts.iter().all(|(about, _)| *about == peer(0)), "{verdicts:?}");
        verdicts.first().and_then(|(_, votes)| *votes)
    }

    #[test]
    fn more_than_two_thirds_of_the_neighbors_isolate_a_node_and_no_fewer() {
        let (mut ballot, membership) = (Ballot::default(), star(8));
        assert_eq!(verdict(&mut ballot, &membership, 1..=5), None);
        assert_eq!(verdict(&mut ballot, &membership, 6..=6), Some(Votes { against: 6, of: 8 }));
        assert_eq!(ballot.against(&peer(0)), (1..=6).map(peer).collect::<Vec<_>>());
        assert_eq!(ballot.count(&membership), [], "it is told once");
    }

    #[test]
    fn who_was_never_its_neighbor_has_no_vote() {
        let (mut ballot, membership) = (Ballot::default(), star(3));
        assert_eq!(verdict(&mut ballot, &membership, 100..200), None);
        assert_eq!(ballot.against(&peer(0)), []);
    }

    #[test]
    fn who_starts_later_counts_the_votes_of_those_who_prove_their_places() {
        // Its links are gone: three of four have isolated it, and the fourth has followed them.
        let (mut ballot, membership) = (Ballot::default(), star(0));
        assert_eq!(verdict(&mut ballot, &membership, 1..=3), None, "anybody could say that");
        (1..=2).for_each(|voter| ballot.placed(peer(voter), peer(0), true));
        ballot.placed(peer(3), peer(9), true);
        assert_eq!(ballot.count(&Membership::new(1)), [], "there, nobody is a member");
        let mut membership = star(0);
        (1..=4).for_each(|n| membership.learned(peer(n), "", Instant::BOOT).unwrap());
        assert_eq!(verdict(&mut ballot, &membership, 1..=3), Some(Votes { against: 2, of: 2 }));
        assert_eq!(ballot.against(&peer(0)), [peer(1), peer(2)]);
    }

    #[test]
    fn a_third_of_the_places_isolates_nobody_however_well_it_is_proven() {
        let (mut ballot, membership) = (Ballot::default(), star(8));
        (1..=5).for_each(|voter| ballot.placed(peer(voter), peer(0), true));
        (100..150).for_each(|voter| ballot.placed(peer(voter), peer(1), true));
        assert_eq!(verdict(&mut ballot, &membership, (1..=5).chain(100..150)), None);
        ballot.placed(peer(6), peer(0), true);
        ballot.placed(peer(6), peer(0), false);
        assert_eq!(verdict(&mut ballot, &membership, 1..=6), Some(Votes { against: 6, of: 8 }), "it is a pair as well");
    }

    #[test]
    fn one_neighbor_isolates_nobody_though_it_be_the_only_one() {
        assert_eq!(verdict(&mut Ballot::default(), &star(1), 1..=1), None);
        assert_eq!(verdict(&mut Ballot::default(), &star(2), 1..=2), Some(Votes { against: 2, of: 2 }));
    }

    #[test]
    fn a_vote_outlasts_the_link_and_ends_when_the_voter_takes_it_back() {
        let (mut ballot, membership) = (Ballot::default(), star(3));
        let votes = Some(Votes { against: 3, of: 3 });
        assert_eq!(verdict(&mut ballot, &membership, 1..=3), votes);
        let parted = Membership::new(1);
        assert_eq!(ballot.against(&peer(0)).len(), 3);
        ballot.told(peer(1), &[]);
        ballot.forgotten(&peer(2));
        assert_eq!(ballot.count(&membership), [], "a third says so still");
        ballot.told(peer(3), &[peer(9)]);
        assert_eq!(ballot.count(&parted), [(peer(0), None)]);
    }

    #[test]
    fn who_is_isolated_has_no_vote_about_others() {
        let mut ballot = Ballot::default();
        let mut membership = star(3);
        assert!(verdict(&mut ballot, &membership, 1..=3).is_some());
        // Node 0 answers in kind, and so does nobody else.
        ballot.told(peer(0), &[peer(1), peer(2), peer(3)]);
        membership.wake(Instant::BOOT);
        assert_eq!(ballot.count(&membership), []);
    }
}
