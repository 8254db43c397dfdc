//! From claims to records that a role may hear.

use super::batch::{self, Hash, ProvenTree};
use super::signature::{Known, Statement, VerifiedCache};
use super::{Body, Kind, Path, ProvenRecord, Record, SignedRecord};
use crate::ledger::SignedHead;
use crate::limits::{
    BAD_SIGNATURES_PER_PUSH_MAX, CLOCK_SKEW_MAX, EQUIVOCATION_BYTES_MAX, PLACE_BYTES_MAX, RECORD_BYTES_MAX,
    STATEMENT_RECORD_BYTES_MAX,
};
use crate::wire::codec;
use crate::{ItemId, PeerId, Rejected, Verified};

/// Decodes and checks claims at the wall-clock time `unix_ms`: the good ones in their order, and why the others are bad.
///
/// Claims of one batch that stand side by side cost one signature check together, and each the hashes that the ones
/// before it did not have; a signature that `known` holds costs none. An honest neighbor passes on only what it checked
/// itself, so after [`BAD_SIGNATURES_PER_PUSH_MAX`] bad signatures the rest is [`Rejected::Distrusted`], unseen.
pub fn verify_all(
    claims: Vec<SignedRecord>,
    unix_ms: u64,
    known: &mut impl Known,
) -> (Vec<Verified<ProvenRecord>>, Vec<Rejected>) {
    let mut good = Vec::with_capacity(claims.len());
    let mut bad = Vec::new();
    let mut bad_signatures = 0;
    let mut last = None;
    for claim in claims {
        let checked = if bad_signatures < BAD_SIGNATURES_PER_PUSH_MAX {
            verify_next(claim, unix_ms, &mut last, known)
        } else {
            Err(Rejected::Distrusted)
        };
        match checked {
            Ok(proven) => good.push(proven),
            Err(reason) => {
                bad_signatures += usize::from(reason == Rejected::Unsigned);
                bad.push(reason);
            }
        }
    }
    (good, bad)
}

/// Decodes and checks one claim.
pub(super) fn verify_one(
    claim: SignedRecord,
    unix_ms: u64,
    known: &mut impl Known,
) -> Result<Verified<ProvenRecord>, Rejected> {
    verify_next(claim, unix_ms, &mut None, known)
}

/// Decodes and checks one claim, whenever it was or will be true.
pub(super) fn verify_signature(claim: SignedRecord) -> Result<Verified<ProvenRecord>, Rejected> {
    let (opened, hash) = open(claim)?;
    prove(opened, hash, &mut None, &mut VerifiedCache::with_room_for(0))
}

#[inline]
fn verify_next(
    claim: SignedRecord,
    unix_ms: u64,
    last: &mut Option<SignedBatch>,
    known: &mut impl Known,
) -> Result<Verified<ProvenRecord>, Rejected> {
    let (opened, hash) = open(claim)?;
    opened.record.check_time(unix_ms)?;
    prove(opened, hash, last, known)
}

/// Decodes a claim and hashes it. It has its form then, and nothing proves it yet.
#[inline]
fn open(claim: SignedRecord) -> Result<(ProvenRecord, Hash), Rejected> {
    let record = decode(&claim.bytes)?;
    let hash = batch::leaf(&claim.bytes);
    Ok((ProvenRecord::new(record, claim, ItemId::of_hash(&hash)), hash))
}

/// Checks who said it.
fn prove(
    opened: ProvenRecord,
    hash: Hash,
    last: &mut Option<SignedBatch>,
    known: &mut impl Known,
) -> Result<Verified<ProvenRecord>, Rejected> {
    let record = &opened.record;
    check_origin(&opened.signed, hash, &record.id.origin, last, known)?;
    match &record.body {
        Body::Equivocation(proof) => proof.check(record, known)?,
        Body::Place(place) => place.check(record, known)?,
        Body::LedgerHead(SignedHead { head, signature }) => {
            let bytes = head.signed_bytes();
            Statement::Head(&bytes, batch::leaf(&bytes)).verify(&head.ledger, signature, known)?;
        }
        _ => {}
    }
    Ok(Verified::vouch(opened))
}

/// Decodes a record and checks its form; its times and its signature are not looked at.
#[inline]
pub(super) fn decode(bytes: &[u8]) -> Result<Record, Rejected> {
    if bytes.len() > EQUIVOCATION_BYTES_MAX {
        return Err(Rejected::OverLimit);
    }
    let record: Record = codec::decode_canonical(bytes)?;
    record.check_length(bytes.len())?;
    record.check()?;
    Ok(record)
}

impl Record {
    /// Only statements and proofs may be longer than other records are.
    pub(super) fn check_length(&self, bytes: usize) -> Result<(), Rejected> {
        let most = match self.id.kind {
            Kind::Equivocation => EQUIVOCATION_BYTES_MAX,
            Kind::Place => PLACE_BYTES_MAX,
            Kind::Statement | Kind::Endorsement => STATEMENT_RECORD_BYTES_MAX,
            _ => RECORD_BYTES_MAX,
        };
        if bytes <= most { Ok(()) } else { Err(Rejected::OverLimit) }
    }

    /// Whether it holds at the wall-clock time `unix_ms`.
    ///
    /// # Errors
    /// [`Rejected::Stale`] if it has expired, [`Rejected::Future`] if it was issued further ahead than clocks may differ.
    pub fn check_time(&self, unix_ms: u64) -> Result<(), Rejected> {
        if self.expires_ms <= unix_ms {
            return Err(Rejected::Stale);
        }
        if self.issued_ms > unix_ms.saturating_add(CLOCK_SKEW_MAX.as_millis() as u64) {
            return Err(Rejected::Future);
        }
        Ok(())
    }
}

/// Checks that the origin of a decoded record signed it, by itself or within a batch.
pub(super) fn check_signature(claim: &SignedRecord, origin: &PeerId, known: &mut impl Known) -> Result<(), Rejected> {
    check_origin(claim, batch::leaf(&claim.bytes), origin, &mut None, known)
}

fn check_origin(
    claim: &SignedRecord,
    hash: Hash,
    origin: &PeerId,
    last: &mut Option<SignedBatch>,
    known: &mut impl Known,
) -> Result<(), Rejected> {
    let Some(path) = &claim.path else {
        return Statement::Single(&claim.bytes, hash).verify(origin, &claim.signature, known);
    };
    if let Some(batch) = last
        && batch.signature == claim.signature
    {
        batch.prove(path, hash)?;
        return if batch.origin == *origin { Ok(()) } else { Err(Rejected::WrongOrigin) };
    }
    let root = path.root(hash)?;
    Statement::Batch(path.size, root).verify(origin, &claim.signature, known)?;
    *last = Some(SignedBatch { origin: *origin, signature: claim.signature.clone(), root, tree: None });
    Ok(())
}

/// A batch whose root is signed.
struct SignedBatch {
    origin: PeerId,
    signature: Vec<u8>,
    root: Hash,
    /// Kept once a second record of the batch has come: for one alone it would not pay.
    tree: Option<ProvenTree>,
}

impl SignedBatch {
    fn prove(&mut self, path: &Path, leaf: Hash) -> Result<(), Rejected> {
        let mut tree = match self.tree.take() {
            Some(tree) => tree,
            None => ProvenTree::new(path, self.root)?,
        };
        let proven = tree.prove(path, leaf);
        self.tree = Some(tree);
        proven
    }
}

#[cfg(test)]
mod tests;
