//! The door: who of those that come by themselves gets a place, when there are fewer places than guests.
//!
//! If whoever comes first stays, attackers who dial first and often take every place of every node, and nodes that start
//! later find nobody who lets them in: they hear what the attackers let them hear. So places are drawn: under a salt
//! that nobody else knows every name has a rank, and the best ranks stay, whoever came first and however often he knocks
//! (after Bortnikov et al., "Brahms: Byzantine Resilient Random Membership Sampling", PODC 2008). Attackers then have as
//! many places as chance gives to as many names as they have certificates for. The draw is made once, so guests do not
//! change without end.

use crate::PeerId;

/// A node's door.
#[derive(Clone)]
pub struct Door {
    salt: [u8; 32],
}

/// What somebody who knocks may expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// There is one.
    Free,
    /// This guest's.
    Of(PeerId),
    /// None.
    None,
}

impl Door {
    /// A door whose draw follows from this seed, which nobody else may know.
    pub fn new(seed: u64) -> Self {
        Self { salt: *blake3::hash(&seed.to_le_bytes()).as_bytes() }
    }

    /// Whether `knocks`, who is no guest yet, gets one of `most` places, and whose.
    pub fn place<'a>(&self, knocks: &PeerId, guests: impl Iterator<Item = &'a PeerId>, most: usize) -> Place {
        let ranked: Vec<(Rank, PeerId)> = guests.map(|guest| (self.rank(guest), *guest)).collect();
        if ranked.len() < most {
            return Place::Free;
        }
        match ranked.into_iter().max() {
            Some((rank, guest)) if most > 0 && self.rank(knocks) < rank => Place::Of(guest),
            _ => Place::None,
        }
    }

    fn rank(&self, peer: &PeerId) -> Rank {
        *blake3::keyed_hash(&self.salt, peer.as_bytes()).as_bytes()
    }
}

/// The salt is nobody's business: who knows it knows which names to ask a certificate for.
impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door(..)")
    }
}

type Rank = [u8; 32];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn peer(i: usize) -> PeerId {
        PeerId::from_public_key(std::array::from_fn(|at| if at < 8 { i.to_le_bytes()[at] } else { 1 }))
    }

    /// Who has a place in the end, when these knock in this order.
    fn guests(seed: u64, order: impl Iterator<Item = usize>, most: usize) -> BTreeSet<PeerId> {
        let (door, mut guests) = (Door::new(seed), BTreeSet::new());
        for knocks in order.map(peer) {
            if guests.contains(&knocks) {
                continue;
            }
            match door.place(&knocks, guests.iter(), most) {
                Place::Free => {}
                Place::Of(guest) => assert!(guests.remove(&guest)),
                Place::None => continue,
            }
            guests.insert(knocks);
            assert!(guests.len() <= most);
        }
        guests
    }

    #[test]
    fn who_has_a_place_depends_neither_on_who_came_first_nor_on_how_often() {
        let once = guests(1, 0..50, 8);
        assert_eq!(once.len(), 8);
        assert_eq!(guests(1, (0..50).rev(), 8), once);
        assert_eq!(guests(1, (0..50).chain([3; 100]).chain(0..50), 8), once);
        assert_ne!(guests(2, 0..50, 8), once, "another node draws otherwise");
    }

    #[test]
    fn those_who_come_late_have_their_share_of_places_among_all_doors() {
        // Forty attackers are there first, ten others knock at each of 200 doors after them.
        let late: usize = (0..200)
            .map(|seed| guests(seed, 0..50, 20).iter().filter(|guest| (40..50).any(|i| peer(i) == **guest)).count())
            .sum();
        // On average 20 * 10 / 50 each.
        assert!((700..900).contains(&late), "{late}");
    }

    #[test]
    fn a_door_without_places_lets_nobody_in() {
        assert_eq!(Door::new(1).place(&peer(1), [].iter(), 0), Place::None);
        assert_eq!(Door::new(1).place(&peer(1), [peer(2)].iter(), 0), Place::None);
    }

    #[test]
    fn the_salt_is_not_printed() {
        assert_eq!(format!("{:?}", Door::new(1)), "Door(..)");
    }
}
