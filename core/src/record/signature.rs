//! Signatures of records: what exactly is signed, and which signatures are known to be good.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::batch::Hash;
use crate::identity::{Identity, PublicKey};
use crate::limits::{SIGNERS_MAX, VERIFIED_SIGNATURES_MAX};
use crate::planted::{self, PlantedBug};
use crate::{PeerId, Rejected};

/// What an origin signs: the bytes of one record, the root of a batch, or the head of its ledger. The prefixes keep one from
/// being taken for another, and all from meaning anything in another protocol.
pub(super) enum Statement<'a> {
    /// One record: its bytes as they travel, and their hash.
    Single(&'a [u8], Hash),
    /// A batch: how many records, and the root over them.
    Batch(u16, Hash),
    /// The head of a ledger: the bytes that are signed, which have a prefix of their own, and their hash.
    Head(&'a [u8], Hash),
}

impl Statement<'_> {
    pub(super) fn signed_bytes(&self) -> Vec<u8> {
        match self {
            Statement::Single(bytes, _) => [b"prunella record v1\0".as_slice(), bytes].concat(),
            Statement::Batch(size, root) => {
                [b"prunella batch v1\0".as_slice(), &size.to_le_bytes(), root.as_slice()].concat()
            }
            Statement::Head(bytes, _) => bytes.to_vec(),
        }
    }

    /// Signs it; 64 bytes.
    pub(super) fn sign(&self, identity: &Identity) -> Vec<u8> {
        identity.sign(&self.signed_bytes()).to_vec()
    }

    /// Checks that `origin` signed it, unless that is known.
    ///
    /// # Errors
    /// [`Rejected::Malformed`] for a signature of another length, [`Rejected::Unsigned`] if `origin` did not sign it.
    pub(super) fn verify(&self, origin: &PeerId, signature: &[u8], known: &mut impl Known) -> Result<(), Rejected> {
        let signature: &[u8; 64] = signature.try_into().map_err(|_| Rejected::Malformed)?;
        let key = self.key(origin, signature);
        if !known.holds(&key) && !planted::is(PlantedBug::SignatureUnchecked) {
            let met = known.signer(origin);
            let signer = met.map_or_else(|| PublicKey::of(origin), Ok)?;
            signer.verify(&self.signed_bytes(), signature)?;
            known.add(key);
            if met.is_none() {
                known.met(origin, signer);
            }
        }
        Ok(())
    }

    fn key(&self, origin: &PeerId, signature: &[u8; 64]) -> SignatureKey {
        let (size, hash) = match self {
            // No batch has no record, or one.
            Statement::Head(_, hash) => (0, hash),
            Statement::Single(_, hash) => (1, hash),
            Statement::Batch(size, root) => (*size, root),
        };
        let mut all = [0; 130];
        all[..32].copy_from_slice(origin.as_bytes());
        all[32..96].copy_from_slice(signature);
        all[96..128].copy_from_slice(hash);
        all[128..].copy_from_slice(&size.to_le_bytes());
        SignatureKey(*blake3::keyed_hash(CACHE_KEY, &all).as_bytes())
    }
}

/// A signature that was found good, together with its origin and with what it signs: the hash over all three. Only
/// this crate makes one, so nothing else can be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SignatureKey([u8; 32]);

/// Where good signatures are remembered.
pub trait Known {
    /// Whether this signature was found good before.
    fn holds(&mut self, key: &SignatureKey) -> bool;
    /// Remembers a signature that was just found good.
    fn add(&mut self, key: SignatureKey);
    /// The key of somebody whose signature was found good before, if it is remembered.
    fn signer(&mut self, origin: &PeerId) -> Option<PublicKey>;
    /// Remembers the key of somebody whose signature was just found good.
    fn met(&mut self, origin: &PeerId, key: PublicKey);
}

/// The signatures last found good, at most [`VERIFIED_SIGNATURES_MAX`]; the oldest makes room. And the keys of at most
/// [`SIGNERS_MAX`] who made them; when they are full, all make room.
///
/// A record in it still has its form, its batch and its times checked: only the curve arithmetic is saved.
#[derive(Debug)]
pub struct VerifiedCache {
    keys: BTreeSet<SignatureKey>,
    order: VecDeque<SignatureKey>,
    entries_max: usize,
    signers: BTreeMap<PeerId, PublicKey>,
}

impl VerifiedCache {
    /// A cache of at most `entries_max` signatures; with 0 it never remembers any.
    pub fn with_room_for(entries_max: usize) -> Self {
        Self { keys: BTreeSet::new(), order: VecDeque::new(), entries_max, signers: BTreeMap::new() }
    }

    /// How many signatures are remembered.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether none is remembered.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Default for VerifiedCache {
    fn default() -> Self {
        Self::with_room_for(VERIFIED_SIGNATURES_MAX)
    }
}

impl Known for VerifiedCache {
    fn holds(&mut self, key: &SignatureKey) -> bool {
        self.keys.contains(key)
    }

    fn add(&mut self, key: SignatureKey) {
        if self.entries_max == 0 || !self.keys.insert(key) {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.entries_max
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    fn signer(&mut self, origin: &PeerId) -> Option<PublicKey> {
        self.signers.get(origin).copied()
    }

    fn met(&mut self, origin: &PeerId, key: PublicKey) {
        if self.signers.len() >= SIGNERS_MAX.min(self.entries_max) {
            self.signers.clear();
        }
        if self.entries_max > 0 {
            self.signers.insert(*origin, key);
        }
    }
}

/// The domain of the cache's keys.
const CACHE_KEY: &[u8; 32] = b"prunella 2026 verified signature";

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache that counts its hits.
    #[derive(Default)]
    struct Counted {
        cache: VerifiedCache,
        hits: usize,
    }

    impl Known for Counted {
        fn holds(&mut self, key: &SignatureKey) -> bool {
            let hit = self.cache.holds(key);
            self.hits += usize::from(hit);
            hit
        }

        fn add(&mut self, key: SignatureKey) {
            self.cache.add(key);
        }

        fn signer(&mut self, origin: &PeerId) -> Option<PublicKey> {
            self.cache.signer(origin)
        }

        fn met(&mut self, origin: &PeerId, key: PublicKey) {
            self.cache.met(origin, key);
        }
    }

    #[test]
    fn a_known_signature_is_not_checked_again() {
        let me = Identity::from_secret(&[1; 32]);
        let statement = Statement::Single(b"bytes", [7; 32]);
        let signature = statement.sign(&me);
        let mut known = Counted::default();
        assert_eq!(statement.verify(&me.peer(), &signature, &mut known), Ok(()));
        assert_eq!((known.hits, known.cache.len()), (0, 1));
        assert_eq!(statement.verify(&me.peer(), &signature, &mut known), Ok(()));
        assert_eq!((known.hits, known.cache.len()), (1, 1));
    }

    #[test]
    fn a_forged_signature_over_known_bytes_neither_uses_nor_poisons_the_cache() {
        let (me, other) = (Identity::from_secret(&[1; 32]), Identity::from_secret(&[2; 32]));
        let statement = Statement::Single(b"bytes", [7; 32]);
        let signature = statement.sign(&me);
        let mut known = Counted::default();
        assert_eq!(statement.verify(&me.peer(), &signature, &mut known), Ok(()));
        for i in 0..64 {
            let mut forged = signature.clone();
            forged[i] ^= 1;
            assert_eq!(statement.verify(&me.peer(), &forged, &mut known), Err(Rejected::Unsigned), "byte {i}");
        }
        assert_eq!(statement.verify(&other.peer(), &signature, &mut known), Err(Rejected::Unsigned));
        assert_eq!(Statement::Batch(2, [7; 32]).verify(&me.peer(), &signature, &mut known), Err(Rejected::Unsigned));
        assert_eq!((known.hits, known.cache.len()), (0, 1), "nothing bad was a hit or stayed");
        assert_eq!(statement.verify(&me.peer(), &signature, &mut known), Ok(()));
        assert_eq!(known.hits, 1, "and the good one is still known");
    }

    #[test]
    fn whose_signature_was_bad_is_not_met_and_too_many_who_were_make_room() {
        let mut cache = VerifiedCache::with_room_for(3);
        let peers: Vec<Identity> = (1..=5).map(|i| Identity::from_secret(&[i; 32])).collect();
        let statement = Statement::Single(b"bytes", [7; 32]);
        assert!(statement.verify(&peers[0].peer(), &[0; 64], &mut cache).is_err());
        assert!(cache.signers.is_empty());
        for (i, peer) in peers.iter().enumerate() {
            assert_eq!(statement.verify(&peer.peer(), &statement.sign(peer), &mut cache), Ok(()));
            assert!(cache.signer(&peer.peer()).is_some());
            assert_eq!(cache.signers.len(), i % 3 + 1);
        }
        let mut none = VerifiedCache::with_room_for(0);
        assert_eq!(statement.verify(&peers[0].peer(), &statement.sign(&peers[0]), &mut none), Ok(()));
        assert!(none.signers.is_empty());
    }

    #[test]
    fn the_oldest_signature_makes_room() {
        let mut cache = VerifiedCache::with_room_for(3);
        let key = |i| SignatureKey([i; 32]);
        (0..5).for_each(|i| cache.add(key(i)));
        cache.add(key(4));
        assert_eq!((cache.len(), cache.order.len()), (3, 3));
        assert_eq!([0, 1, 2, 3, 4].map(|i| cache.holds(&key(i))), [false, false, true, true, true]);
        let mut none = VerifiedCache::with_room_for(0);
        none.add(key(1));
        assert!(none.is_empty());
    }
}
