//! From a neighbor's claim to something that the role may hear.

use serde::Serialize;

use crate::limits::{BROADCAST_IDS_MAX, PUSH_RECORDS_MAX};
use crate::reconcile;
use crate::record::{ProvenRecord, SignedRecord};
use crate::wire::Control;
use crate::{ItemId, Rejected, Verified};

/// A neighbor's message, checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Heard {
    /// Records whose origins signed them, along the tree.
    Push(Vec<Verified<ProvenRecord>>),
    /// Records whose origins signed them, because they were missing here.
    Give(Vec<Verified<ProvenRecord>>),
    /// Items that the neighbor holds.
    Announced(Vec<ItemId>),
    /// Items that the neighbor wants, and pushes from now on.
    Grafted(Vec<ItemId>),
    /// The neighbor wants no more pushes.
    Pruned,
    /// A part of finding out what differs.
    Reconcile(reconcile::Message),
}

/// Checks a neighbor's message at the wall-clock time `unix_ms`. Bad records within a push are left out and named; the
/// good ones still count.
///
/// # Errors
/// [`Rejected::OverLimit`] if it holds more than a message may, what [`reconcile::Message::check`] says, and
/// [`Rejected::Unauthorized`] for a message that has no place here.
pub fn verify(control: Control, unix_ms: u64) -> Result<(Heard, Vec<Rejected>), Rejected> {
    let heard = match control {
        Control::Push(claims) => return verify_all(claims, unix_ms).map(|(good, bad)| (Heard::Push(good), bad)),
        Control::Give(claims) => return verify_all(claims, unix_ms).map(|(good, bad)| (Heard::Give(good), bad)),
        Control::Announce(items) => Heard::Announced(bounded(items)?),
        Control::Graft(items) => Heard::Grafted(bounded(items)?),
        Control::Prune => Heard::Pruned,
        Control::Reconcile(message) => {
            message.check()?;
            Heard::Reconcile(message)
        }
        Control::Hello { .. } => return Err(Rejected::Unauthorized),
    };
    Ok((heard, Vec::new()))
}

type Checked = (Vec<Verified<ProvenRecord>>, Vec<Rejected>);

fn verify_all(claims: Vec<SignedRecord>, unix_ms: u64) -> Result<Checked, Rejected> {
    if claims.len() > PUSH_RECORDS_MAX {
        return Err(Rejected::OverLimit);
    }
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for claim in claims {
        match claim.verify(unix_ms) {
            Ok(proven) => good.push(proven),
            Err(reason) => bad.push(reason),
        }
    }
    Ok((good, bad))
}

fn bounded(items: Vec<ItemId>) -> Result<Vec<ItemId>, Rejected> {
    if items.len() > BROADCAST_IDS_MAX { Err(Rejected::OverLimit) } else { Ok(items) }
}
