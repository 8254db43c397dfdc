//! The keys of a tunnel's directions, each of which moves on by itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arc_swap::ArcSwap;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk};
use prunella_core::Rejected;
use prunella_core::limits::EPOCHS_AHEAD_MAX;
use prunella_core::overlay::sealed::{EPOCH_MAX, PACKETS_PER_EPOCH, SEALED_HEADER_BYTES, TAG_BYTES};
use prunella_core::overlay::sealed::{epoch, first_of, nonce};
use zeroize::Zeroizing;

use super::super::limiter::Limiter;
use super::super::port::lock;

/// The length of a tunnel's secret, in bytes.
pub const TUNNEL_SECRET_BYTES: usize = 32;

/// What both ends of a tunnel, and nobody else, derive from their session: one secret for each direction.
pub type TunnelSecret = Zeroizing<[u8; TUNNEL_SECRET_BYTES]>;

/// Makes the key of each epoch from the one before (a chain as in RFC 8446, section 7.2).
#[derive(Clone)]
struct Ratchet {
    epoch: u16,
    chain: TunnelSecret,
}

impl Ratchet {
    const fn new(secret: TunnelSecret) -> Self {
        Self { epoch: 0, chain: secret }
    }

    fn key(&self) -> LessSafeKey {
        let key = expand(&self.chain, b"prunella packet key");
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &*key).expect("BUG: a key of AES-256 has 32 bytes"))
    }

    fn advance(&mut self) {
        self.chain = expand(&self.chain, b"prunella packet next");
        self.epoch += 1;
    }
}

fn expand(chain: &TunnelSecret, info: &[u8]) -> TunnelSecret {
    let prk = Prk::new_less_safe(HKDF_SHA256, &**chain);
    let mut bytes = Zeroizing::new([0; TUNNEL_SECRET_BYTES]);
    let filled = prk.expand(&[info], ThirtyTwo).and_then(|okm| okm.fill(&mut *bytes));
    filled.expect("BUG: 32 bytes are not too long to derive");
    bytes
}

struct ThirtyTwo;

impl KeyType for ThirtyTwo {
    fn len(&self) -> usize {
        TUNNEL_SECRET_BYTES
    }
}

/// Seals what is sent.
pub(super) struct Sealer {
    current: ArcSwap<Sealing>,
    /// Locked when an epoch ends.
    ratchet: Mutex<Ratchet>,
}

/// An epoch in which is sealed.
pub(super) struct Sealing {
    epoch: u16,
    key: LessSafeKey,
    next: AtomicU64,
}

impl Sealer {
    pub(super) fn new(secret: TunnelSecret) -> Self {
        let ratchet = Ratchet::new(secret);
        Self { current: ArcSwap::from_pointee(Sealing::of(&ratchet)), ratchet: Mutex::new(ratchet) }
    }

    /// Takes so many numbers in a row, all of one epoch: its key and the first. `None` when the tunnel has none left.
    pub(super) fn take(&self, count: usize) -> Option<(Arc<Sealing>, u64)> {
        loop {
            let sealing = self.current.load_full();
            let first = sealing.next.fetch_add(count as u64, Ordering::Relaxed);
            if first + count as u64
                <= first_of(sealing.epoch) / PACKETS_PER_EPOCH * PACKETS_PER_EPOCH + PACKETS_PER_EPOCH
            {
                return Some((sealing, first));
            }
            if !self.advance(sealing.epoch) {
                return None;
            }
        }
    }

    /// Whether anything was sealed in the epoch that it is in, and which that is.
    pub(super) fn is_used(&self) -> (bool, u16) {
        let sealing = self.current.load();
        (sealing.next.load(Ordering::Relaxed) > first_of(sealing.epoch), sealing.epoch)
    }

    /// Leaves this epoch, unless that happened already; false if it is the last.
    pub(super) fn advance(&self, from: u16) -> bool {
        let mut ratchet = lock(&self.ratchet);
        if ratchet.epoch == from {
            if from == EPOCH_MAX {
                return false;
            }
            ratchet.advance();
            self.current.store(Arc::new(Sealing::of(&ratchet)));
        }
        true
    }
}

impl Sealing {
    fn of(ratchet: &Ratchet) -> Self {
        Self { epoch: ratchet.epoch, key: ratchet.key(), next: AtomicU64::new(first_of(ratchet.epoch)) }
    }

    /// Seals a packet where it lies: behind its header, with room for the tag at the end.
    pub(super) fn seal(&self, counter: u64, sealed: &mut [u8]) {
        let (header, rest) = sealed.split_at_mut(SEALED_HEADER_BYTES);
        let (packet, tag) = rest.split_at_mut(rest.len() - TAG_BYTES);
        let nonce = Nonce::assume_unique_for_key(nonce(counter));
        let made = self.key.seal_in_place_separate_tag(nonce, Aad::from(&*header), packet);
        tag.copy_from_slice(made.expect("BUG: a packet is not too long to seal").as_ref());
    }
}

/// Opens what is received, by any number of readers.
pub(super) struct Opener {
    known: ArcSwap<Known>,
    /// Locked when an epoch begins.
    ratchet: Mutex<Ratchet>,
    /// Attempts to enter an epoch that nobody may have entered.
    tries: Limiter,
}

/// The keys of the newest epoch and of the one before: packets overtake each other.
struct Known {
    newest: u16,
    keys: [Option<LessSafeKey>; 2],
}

impl Opener {
    pub(super) fn new(secret: TunnelSecret) -> Self {
        let ratchet = Ratchet::new(secret);
        let known = Known { newest: 0, keys: [Some(ratchet.key()), None] };
        Self {
            known: ArcSwap::from_pointee(known),
            ratchet: Mutex::new(ratchet),
            tries: Limiter::new(TRIES_PER_SECOND, TRIES_PER_SECOND),
        }
    }

    /// Opens what lies behind its header, in place, and returns the packet. `now` is in nanoseconds of the port's clock.
    ///
    /// # Errors
    /// [`Rejected::Stale`] if it is of an epoch that has ended, [`Rejected::Unsigned`] if the peer did not seal it.
    pub(super) fn open<'b>(&self, counter: u64, sealed: &'b mut [u8], now: u64) -> Result<&'b mut [u8], Rejected> {
        let known = self.known.load();
        let epoch = epoch(counter);
        if epoch > known.newest {
            return self.enter(epoch, counter, sealed, now);
        }
        let key = known.keys.get(usize::from(known.newest - epoch)).and_then(Option::as_ref).ok_or(Rejected::Stale)?;
        open(key, counter, sealed)
    }

    /// A packet says that the peer has entered another epoch: it has if the packet is its own.
    fn enter<'b>(&self, to: u16, counter: u64, sealed: &'b mut [u8], now: u64) -> Result<&'b mut [u8], Rejected> {
        if !self.tries.allows(now) {
            return Err(Rejected::Flood);
        }
        let mut ratchet = lock(&self.ratchet);
        if to <= ratchet.epoch {
            // Another reader has entered it meanwhile, and has its key.
            drop(ratchet);
            return self.open(counter, sealed, now);
        }
        if to - ratchet.epoch > EPOCHS_AHEAD_MAX {
            return Err(Rejected::OverLimit);
        }
        let mut ahead = ratchet.clone();
        let mut before = None;
        while ahead.epoch < to {
            before = Some(ahead.key());
            ahead.advance();
        }
        let key = ahead.key();
        let opened = open(&key, counter, sealed)?;
        *ratchet = ahead;
        self.known.store(Arc::new(Known { newest: to, keys: [Some(key), before] }));
        Ok(opened)
    }
}

fn open<'b>(key: &LessSafeKey, counter: u64, sealed: &'b mut [u8]) -> Result<&'b mut [u8], Rejected> {
    let (header, rest) = sealed.split_at_mut(SEALED_HEADER_BYTES);
    let nonce = Nonce::assume_unique_for_key(nonce(counter));
    key.open_in_place(nonce, Aad::from(&*header), rest).map_err(|_| Rejected::Unsigned)
}

/// More than that often no honest peer enters an epoch.
const TRIES_PER_SECOND: u32 = 10;

#[cfg(test)]
mod tests {
    use prunella_core::overlay::sealed::{SealedHeader, What};

    use super::*;

    fn pair() -> (Sealer, Opener) {
        let secret = || Zeroizing::new([7; TUNNEL_SECRET_BYTES]);
        (Sealer::new(secret()), Opener::new(secret()))
    }

    fn sealed(sealer: &Sealer, text: &[u8]) -> (u64, Vec<u8>) {
        let (sealing, counter) = sealer.take(1).unwrap();
        let header = SealedHeader { what: What::Whole { checksum_left: true }, key: 3, counter };
        let mut bytes = [&header.encode()[..], text, &[0; TAG_BYTES]].concat();
        sealing.seal(counter, &mut bytes);
        (counter, bytes)
    }

    #[test]
    fn what_was_sealed_opens_and_nothing_else_does() {
        let (sealer, opener) = pair();
        let (counter, bytes) = sealed(&sealer, b"packet");
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            assert_eq!(opener.open(counter, &mut changed, 0).err(), Some(Rejected::Unsigned), "byte {at}");
        }
        assert_eq!(opener.open(counter + 1, &mut bytes.clone(), 0).err(), Some(Rejected::Unsigned));
        assert_eq!(opener.open(counter, &mut bytes.clone(), 0).unwrap(), b"packet");
    }

    #[test]
    fn keys_move_on_and_the_receiver_follows_by_what_it_receives() {
        let (sealer, opener) = pair();
        let (old, mut late) = sealed(&sealer, b"late");
        let (oldest, mut latest) = sealed(&sealer, b"too late");
        assert!(sealer.advance(0) && sealer.advance(0), "the second time it has happened already");
        let (counter, mut bytes) = sealed(&sealer, b"next");
        assert_eq!((epoch(counter), sealer.is_used()), (1, (true, 1)));
        assert_eq!(opener.open(counter, &mut bytes, 0).unwrap(), b"next");
        assert_eq!(opener.open(old, &mut late, 0).unwrap(), b"late", "of the epoch before");
        for epoch in 1..1 + EPOCHS_AHEAD_MAX {
            assert!(sealer.advance(epoch));
        }
        let (counter, mut bytes) = sealed(&sealer, b"far");
        assert_eq!(opener.open(counter, &mut bytes, 0).unwrap(), b"far");
        assert_eq!(opener.open(oldest, &mut latest, 0).err(), Some(Rejected::Stale));
    }

    #[test]
    fn two_readers_that_enter_an_epoch_at_once_keep_the_key_of_the_one_before() {
        let (sealer, opener) = pair();
        let (old, mut late) = sealed(&sealer, b"late");
        assert!(sealer.advance(0));
        for text in [b"first", b"other"] {
            let (counter, mut bytes) = sealed(&sealer, text);
            // As by who has seen that the epoch is ahead, and then waited for the other.
            assert_eq!(opener.enter(1, counter, &mut bytes, 0).unwrap(), text);
        }
        assert_eq!(opener.open(old, &mut late, 0).unwrap(), b"late");
    }

    #[test]
    fn who_makes_up_epochs_is_turned_away_and_changes_nothing() {
        let (sealer, opener) = pair();
        let (counter, bytes) = sealed(&sealer, b"x");
        let ahead = counter + PACKETS_PER_EPOCH;
        assert_eq!(opener.open(ahead, &mut bytes.clone(), 0).err(), Some(Rejected::Unsigned));
        let far = counter + (u64::from(EPOCHS_AHEAD_MAX) + 1) * PACKETS_PER_EPOCH;
        assert_eq!(opener.open(far, &mut bytes.clone(), 0).err(), Some(Rejected::OverLimit));
        let flood = (0..TRIES_PER_SECOND).filter_map(|_| opener.open(ahead, &mut bytes.clone(), 0).err()).last();
        assert_eq!(flood, Some(Rejected::Flood));
        assert_eq!(opener.open(counter, &mut bytes.clone(), 0).unwrap(), b"x");
    }

    #[test]
    fn the_last_number_of_an_epoch_is_followed_by_the_first_of_the_next() {
        let (sealer, _) = pair();
        sealer.current.load().next.store(PACKETS_PER_EPOCH - 1, Ordering::Relaxed);
        assert_eq!(sealer.take(1).unwrap().1, PACKETS_PER_EPOCH - 1);
        assert_eq!(sealer.take(2).unwrap().1, PACKETS_PER_EPOCH);
    }
}
