//! From a neighbor's claim to something that the role may hear.

use serde::Serialize;

use crate::limits::{DIGEST_ENTRIES_MAX, PUSH_RECORDS_MAX};
use crate::record::{ProvenRecord, RecordId};
use crate::wire::Control;
use crate::wire::control::Digest;
use crate::{Rejected, Verified};

/// A neighbor's message, checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Heard {
    /// Records whose origins signed them.
    Push(Vec<Verified<ProvenRecord>>),
    /// The neighbor's root.
    Summary {
        /// The hash over everything that it holds.
        root: [u8; 32],
    },
    /// A part of what it holds.
    Digest(Digest),
    /// Records that it asks for.
    Pull(Vec<RecordId>),
}

/// Checks a neighbor's message at the wall-clock time `unix_ms`. Bad records within a push are left out and named; the
/// good ones still count.
///
/// # Errors
/// [`Rejected::OverLimit`] if it holds more than a message may, [`Rejected::Malformed`] for a digest out of order,
/// [`Rejected::Unauthorized`] for a message that has no place here.
pub fn verify(control: Control, unix_ms: u64) -> Result<(Heard, Vec<Rejected>), Rejected> {
    let heard = match control {
        Control::Push(records) if records.len() > PUSH_RECORDS_MAX => return Err(Rejected::OverLimit),
        Control::Push(records) => {
            let (good, bad): (Vec<_>, Vec<_>) =
                records.into_iter().map(|claim| claim.verify(unix_ms)).partition(Result::is_ok);
            let good = good.into_iter().filter_map(Result::ok).collect();
            return Ok((Heard::Push(good), bad.into_iter().filter_map(Result::err).collect()));
        }
        Control::Summary { root } => Heard::Summary { root },
        Control::Digest(digest) if digest.entries.len() > DIGEST_ENTRIES_MAX => return Err(Rejected::OverLimit),
        Control::Digest(digest) if !is_ordered(&digest) => return Err(Rejected::Malformed),
        Control::Digest(digest) => Heard::Digest(digest),
        Control::Pull(ids) if ids.len() > DIGEST_ENTRIES_MAX => return Err(Rejected::OverLimit),
        Control::Pull(ids) => Heard::Pull(ids),
        Control::Hello { .. } => return Err(Rejected::Unauthorized),
    };
    Ok((heard, Vec::new()))
}

/// Ascending, and within the part that it claims to be.
fn is_ordered(digest: &Digest) -> bool {
    let ids = || digest.entries.iter().map(|(id, _)| id);
    let ascending = ids().zip(ids().skip(1)).all(|(a, b)| a < b);
    let after = digest.after.as_ref().is_none_or(|after| ids().next().is_none_or(|first| first > after));
    let until = digest.until.as_ref().is_none_or(|until| ids().next_back().is_none_or(|last| last <= until));
    let range = !matches!((&digest.after, &digest.until), (Some(a), Some(u)) if a > u);
    ascending && after && until && range
}
