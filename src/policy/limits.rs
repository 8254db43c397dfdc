//! Limits that stand beside the rules: who may come at all, how many connections, how fast, how much.

use std::collections::BTreeSet;
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::limits::{POLICY_CONNECTIONS_MAX, QUOTA_PERIOD_MAX};
use serde::Deserialize;

/// The limits of a policy. The default limits nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Who may connect at all; `None`: whoever the rules allow.
    pub peers: Option<BTreeSet<PeerId>>,
    /// Of all connections together.
    pub all: Bound,
    /// Of the connections of each peer.
    pub peer: Bound,
    /// Of the connections to each service.
    pub service: Bound,
    /// Of the bytes of each peer.
    pub quota: Option<Quota>,
}

/// Limits of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bound {
    /// Most that are open at once.
    pub connections: Option<u32>,
    /// Most that are opened per second, and at once after a pause (token bucket).
    pub per_second: Option<u32>,
}

/// How much a peer may transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Most bytes in one period, both directions together.
    pub bytes: u64,
    /// How long a period is; each peer's begins with its first byte.
    pub period: Duration,
}

impl Limits {
    /// Each limit as a sentence; none: nothing is limited.
    pub fn sentences(&self) -> Vec<String> {
        let mut all = Vec::new();
        all.extend(self.peers.as_ref().map(|peers| format!("only {} listed peers may connect", peers.len())));
        for (whose, bound) in [("in all", self.all), ("of each peer", self.peer), ("to each service", self.service)] {
            all.extend(bound.connections.map(|most| format!("{most} connections at once {whose}")));
            all.extend(bound.per_second.map(|most| format!("{most} new connections per second {whose}")));
        }
        let quota =
            self.quota.map(|Quota { bytes, period }| format!("{bytes} bytes of each peer in {} s", period.as_secs()));
        all.extend(quota);
        all
    }
}

/// The section `[limits]` as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenLimits {
    peers: Option<Vec<String>>,
    connections: Option<u32>,
    connections_per_second: Option<u32>,
    #[serde(default)]
    peer: WrittenPeer,
    #[serde(default)]
    service: WrittenBound,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenPeer {
    connections: Option<u32>,
    connections_per_second: Option<u32>,
    bytes: Option<u64>,
    period_s: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenBound {
    connections: Option<u32>,
    connections_per_second: Option<u32>,
}

impl WrittenLimits {
    /// The limits, or the key that is wrong and why.
    pub(super) fn check(self) -> Result<Limits, (&'static str, String)> {
        let peers = match self.peers {
            None => None,
            Some(written) => {
                let peer = |text: &String| text.parse().map_err(|_| ("peers", format!("{text:?} is not a peer id")));
                Some(written.iter().map(peer).collect::<Result<BTreeSet<_>, _>>()?)
            }
        };
        let WrittenPeer { connections, connections_per_second, bytes, period_s } = self.peer;
        let quota = match (bytes, period_s) {
            (None, None) => None,
            (Some(0), _) => return Err(("bytes", "a quota of nothing is a rule: deny it instead".to_owned())),
            (Some(bytes), Some(seconds)) if (1..=QUOTA_PERIOD_MAX.as_secs()).contains(&seconds) => {
                Some(Quota { bytes, period: Duration::from_secs(seconds) })
            }
            (Some(_), Some(_)) => {
                return Err(("period_s", format!("it must be 1 to {}", QUOTA_PERIOD_MAX.as_secs())));
            }
            _ => return Err(("peer", "a quota needs both `bytes` and `period_s`".to_owned())),
        };
        Ok(Limits {
            peers,
            all: bound(self.connections, self.connections_per_second)?,
            peer: bound(connections, connections_per_second)?,
            service: bound(self.service.connections, self.service.connections_per_second)?,
            quota,
        })
    }
}

fn bound(connections: Option<u32>, per_second: Option<u32>) -> Result<Bound, (&'static str, String)> {
    for (key, value) in [("connections", connections), ("connections_per_second", per_second)] {
        if value.is_some_and(|value| !(1..=POLICY_CONNECTIONS_MAX).contains(&value)) {
            return Err((key, format!("it must be 1 to {POLICY_CONNECTIONS_MAX}; to allow none, deny it by a rule")));
        }
    }
    Ok(Bound { connections, per_second })
}
