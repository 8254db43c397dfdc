//! What a starting node finds in its store.

use serde::{Deserialize, Serialize};

use crate::record::{ProvenRecord, SignedRecord};
use crate::{PeerId, Verified};

/// What the store held, checked.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Loaded {
    /// Records that hold now.
    pub records: Vec<Verified<ProvenRecord>>,
    /// The newest version of this node's own records, those included that do not hold now.
    pub spoken: u64,
}

/// Checks what the store of node `me` held at the wall-clock time `unix_ms`. What does not verify was damaged or has
/// expired, and is left out: the neighbors have it if it still holds.
///
/// A node's own records count even when its clock says that they are stale: a host may wake up in another year, and
/// must not speak with versions that it has used before.
pub fn load(me: &PeerId, claims: impl IntoIterator<Item = SignedRecord>, unix_ms: u64) -> Loaded {
    let mut loaded = Loaded::default();
    for claim in claims {
        let Ok(proven) = claim.verify_signature() else { continue };
        if proven.record.id.origin == *me {
            loaded.spoken = loaded.spoken.max(proven.record.version);
        }
        if proven.record.check_time(unix_ms).is_ok() {
            loaded.records.push(proven);
        }
    }
    loaded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::record::{Body, Kind, Record, RecordId};

    const NOW_MS: u64 = 1_800_000_000_000;

    fn signed(identity: &Identity, version: u64) -> SignedRecord {
        let id = RecordId { origin: identity.peer(), kind: Kind::Service, key: "web".into() };
        let record = Record { id, version, issued_ms: NOW_MS, expires_ms: NOW_MS + 1000, body: Body::Service };
        record.sign(identity).signed.clone()
    }

    #[test]
    fn a_node_whose_clock_went_back_remembers_how_far_it_has_spoken() {
        let (me, other) = (Identity::from_secret(&[1; 32]), Identity::from_secret(&[2; 32]));
        let claims = [signed(&me, 7), signed(&other, 9)];
        let loaded = load(&me.peer(), claims.clone(), NOW_MS - 3_600_000);
        assert_eq!((loaded.records.len(), loaded.spoken), (0, 7));
        assert_eq!(load(&me.peer(), claims, NOW_MS).records.len(), 2);
    }

    #[test]
    fn what_was_damaged_is_left_out() {
        let me = Identity::from_secret(&[1; 32]);
        let mut damaged = signed(&me, 7);
        damaged.bytes[40] ^= 1;
        assert_eq!(load(&me.peer(), [damaged], NOW_MS), Loaded::default());
    }
}
