//! Proof that an origin said two different things under one id and version.
//!
//! An honest node never does: whoever sees both statements can show them to everybody, and everybody can check them.

use bincode::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::signature::Known;
use super::{Kind, ProvenRecord, Record, SignedRecord, verify};
use crate::limits::RECORD_LIFE_MAX;
use crate::{PeerId, Rejected};

/// Two records of one origin with the same id and version and different bytes, each with its own signature.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Encode, Decode)]
pub struct Equivocation {
    /// The one whose bytes come first, so that there are not two proofs of one thing.
    first: SignedRecord,
    /// The other one.
    second: SignedRecord,
    /// Who said both. It stands here so that nobody has to decode the records to see whom the proof accuses.
    accused: PeerId,
    /// When the later of the two was issued, in milliseconds since the Unix epoch.
    issued_ms: u64,
}

impl Equivocation {
    /// The proof that `a` and `b` make together; `None` if they prove nothing, or are themselves such proofs.
    pub fn of(a: &ProvenRecord, b: &ProvenRecord) -> Option<Self> {
        let (first, second) = if a.signed.bytes <= b.signed.bytes { (a, b) } else { (b, a) };
        contradict(first, second).then(|| Self {
            first: first.signed.clone(),
            second: second.signed.clone(),
            accused: a.record.id.origin,
            issued_ms: a.record.issued_ms.max(b.record.issued_ms),
        })
    }

    /// Who said two things at once.
    pub fn accused(&self) -> PeerId {
        self.accused
    }

    /// When the proof ends at the latest, in milliseconds since the Unix epoch: as long after the later statement as a
    /// record may live. So nobody can hold an old fault against a node for ever.
    pub fn ends_ms(&self) -> u64 {
        self.issued_ms.saturating_add(RECORD_LIFE_MAX.as_millis() as u64)
    }

    /// Checks that the proof proves what `record`, in which it stands, says by its key.
    ///
    /// # Errors
    /// [`Rejected::WrongOrigin`] if the key is not the accused, [`Rejected::OverLimit`] if the record outlives the proof,
    /// [`Rejected::Inconsistent`] if the two records prove nothing, and whatever is wrong with one of them.
    pub(super) fn check(&self, record: &Record, known: &mut impl Known) -> Result<(), Rejected> {
        if record.id.key != self.accused.to_string() {
            return Err(Rejected::WrongOrigin);
        }
        if record.expires_ms > self.ends_ms() {
            return Err(Rejected::OverLimit);
        }
        // Their forms first: a proof within the proof is refused before anything in it is looked at.
        let (first, second) = (verify::decode(&self.first.bytes)?, verify::decode(&self.second.bytes)?);
        let as_told = first.id.origin == self.accused && first.issued_ms.max(second.issued_ms) == self.issued_ms;
        let ordered = self.first.bytes < self.second.bytes;
        if !as_told || !ordered || !same_statement(&first, &second) {
            return Err(Rejected::Inconsistent);
        }
        verify::check_signature(&self.first, &self.accused, known)?;
        verify::check_signature(&self.second, &self.accused, known)
    }
}

fn contradict(a: &ProvenRecord, b: &ProvenRecord) -> bool {
    a.signed.bytes != b.signed.bytes && same_statement(&a.record, &b.record)
}

/// Whether both speak under the same id and version, and neither is a proof: so a proof never holds another one.
fn same_statement(a: &Record, b: &Record) -> bool {
    a.id == b.id && a.version == b.version && a.id.kind != Kind::Equivocation
}
