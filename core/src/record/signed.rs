//! A record as it travels, and how one is made.

use std::ops::Deref;
use std::sync::Arc;

use bincode::{Decode, Encode};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::batch::{self, Path};
use super::signature::{Statement, VerifiedCache};
use super::{Record, verify};
use crate::identity::Identity;
use crate::limits::BATCH_RECORDS_MAX;
use crate::signer::Signer;
use crate::wire::codec;
use crate::{ItemId, PeerId, Rejected, Verified};

/// A record as it travels: the bytes, and what proves that their origin signed them. A claim, until
/// [`SignedRecord::verify`] or [`verify_all`](super::verify_all) vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct SignedRecord {
    /// The encoded [`Record`].
    pub bytes: Vec<u8>,
    /// The origin's Ed25519 signature, 64 bytes: over a domain prefix and `bytes`, or, within a batch, over another
    /// prefix, the batch's size (16 bits, little-endian) and its root.
    pub signature: Vec<u8>,
    /// The place in the batch; `None` for a record that was signed alone.
    pub path: Option<Path>,
}

/// A record and the signed bytes that prove it, so that it can be passed on. Shared: a record is handed on many times,
/// to the role, to its store, to neighbors, and never changed.
#[derive(Clone, Debug, PartialEq)]
pub struct ProvenRecord(Arc<Proven>);

/// What a [`ProvenRecord`] is made of.
#[derive(Debug, PartialEq, Serialize)]
pub struct Proven {
    /// The decoded statement.
    pub record: Record,
    /// The proof, as received.
    pub signed: SignedRecord,
    /// What tells it from every other record.
    pub item: ItemId,
}

impl ProvenRecord {
    /// The record is what the signed bytes say. That they are signed is for [`Verified`] to say.
    #[inline]
    pub(super) fn new(record: Record, signed: SignedRecord, item: ItemId) -> Self {
        Self(Arc::new(Proven { record, signed, item }))
    }
}

impl Deref for ProvenRecord {
    type Target = Proven;

    fn deref(&self) -> &Proven {
        &self.0
    }
}

impl Serialize for ProvenRecord {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}

impl Record {
    /// Signs the record as its origin.
    ///
    /// # Panics
    /// If `identity` is not the record's origin, or the record is over the limits: both are bugs of this node.
    pub fn sign(self, identity: &Identity) -> Verified<ProvenRecord> {
        let bytes = self.encode_as(&identity.peer());
        let hash = batch::leaf(&bytes);
        let signature = Statement::Single(&bytes, hash).sign(identity);
        let signed = SignedRecord { bytes, signature, path: None };
        Verified::vouch(ProvenRecord::new(self, signed, ItemId::of_hash(&hash)))
    }

    /// As [`Record::sign`]; `None` if the signer has no signature for it.
    pub(crate) fn sign_with(self, signer: &mut Signer) -> Option<Verified<ProvenRecord>> {
        let bytes = self.encode_as(&signer.peer());
        let hash = batch::leaf(&bytes);
        let signature = signer.sign(&Statement::Single(&bytes, hash).signed_bytes())?.to_vec();
        let signed = SignedRecord { bytes, signature, path: None };
        Some(Verified::vouch(ProvenRecord::new(self, signed, ItemId::of_hash(&hash))))
    }

    /// Signs records as their origin, with one signature for each [`BATCH_RECORDS_MAX`] of them, in their order. A batch
    /// of one is a record signed alone.
    ///
    /// # Panics
    /// As [`Record::sign`].
    pub fn sign_batch(records: Vec<Record>, identity: &Identity) -> Vec<Verified<ProvenRecord>> {
        let mut signed = Vec::with_capacity(records.len());
        let mut records = records.into_iter().peekable();
        while records.peek().is_some() {
            let mut part: Vec<Record> = records.by_ref().take(BATCH_RECORDS_MAX).collect();
            match part.len() {
                1 => signed.extend(part.pop().map(|record| record.sign(identity))),
                _ => signed.extend(sign_tree(part, identity)),
            }
        }
        signed
    }

    fn encode_as(&self, peer: &PeerId) -> Vec<u8> {
        assert_eq!(self.id.origin, *peer, "BUG: a node signs only for itself");
        self.check().expect("BUG: a node's own record is within the limits");
        let bytes = codec::encode(self);
        self.check_length(bytes.len()).expect("BUG: a node's own record is within the limits");
        bytes
    }
}

fn sign_tree(records: Vec<Record>, identity: &Identity) -> impl Iterator<Item = Verified<ProvenRecord>> {
    let encoded: Vec<Vec<u8>> = records.iter().map(|record| record.encode_as(&identity.peer())).collect();
    let leaves: Vec<_> = encoded.iter().map(|bytes| batch::leaf(bytes)).collect();
    let items: Vec<ItemId> = leaves.iter().map(ItemId::of_hash).collect();
    let (root, paths) = batch::tree(leaves);
    let signature = Statement::Batch(records.len() as u16, root).sign(identity);
    records.into_iter().zip(encoded).zip(paths).zip(items).map(move |(((record, bytes), path), item)| {
        let signed = SignedRecord { bytes, signature: signature.clone(), path: Some(path) };
        Verified::vouch(ProvenRecord::new(record, signed, item))
    })
}

impl SignedRecord {
    /// About how long it is in a message, in bytes; never shorter than it really is.
    pub fn wire_bytes(&self) -> usize {
        let path = self.path.as_ref().map_or(0, |path| 32 * path.siblings.len());
        self.bytes.len() + self.signature.len() + path + 24
    }

    /// Decodes and checks a claim at the wall-clock time `unix_ms`.
    ///
    /// # Errors
    /// [`Rejected::OverLimit`], [`Rejected::Malformed`] or [`Rejected::NonCanonical`] for its form, [`Rejected::Stale`] if
    /// it has expired, [`Rejected::Future`] if it was issued further ahead than clocks may differ,
    /// [`Rejected::Unsigned`] if the origin did not sign it, [`Rejected::Inconsistent`] for a proof that proves nothing.
    pub fn verify(self, unix_ms: u64) -> Result<Verified<ProvenRecord>, Rejected> {
        verify::verify_one(self, unix_ms, &mut VerifiedCache::with_room_for(0))
    }

    /// Decodes and checks a claim, whenever it was or will be true: for a node's own store.
    ///
    /// # Errors
    /// As [`SignedRecord::verify`], but neither [`Rejected::Stale`] nor [`Rejected::Future`].
    pub fn verify_signature(self) -> Result<Verified<ProvenRecord>, Rejected> {
        verify::verify_signature(self)
    }
}

/// What was written down as verified is verified again when it is read, whatever the time is: its signature, and that the
/// statement beside it is the signed one.
impl<'de> Deserialize<'de> for Verified<ProvenRecord> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Claim {
            record: Record,
            signed: SignedRecord,
            item: ItemId,
        }
        let Claim { record, signed, item } = Claim::deserialize(deserializer)?;
        let proven = signed.verify_signature().map_err(D::Error::custom)?;
        let is_same = proven.record == record && proven.item == item;
        is_same.then_some(proven).ok_or_else(|| D::Error::custom(Rejected::Inconsistent))
    }
}
