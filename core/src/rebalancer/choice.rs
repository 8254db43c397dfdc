//! The choice: which neighbor would be exchanged for which node, and which never.

use std::time::Duration;

use super::view::{View, cost, cost_at_least, told_cost};
use super::{Config, Pair};
use crate::{Instant, PeerId};

/// Why a neighbor stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needed {
    /// The operator wants it.
    Configured,
    /// It is next to this node in the ring of all nodes, which holds the mesh together.
    Ring,
    /// A path that is in use, or kept warm, leads over its link.
    Carries,
    /// Fewer links than wanted would be left.
    Few,
    /// It is one of the far ones that are kept at random.
    Fifth,
}

impl Needed {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Needed::Configured => "the configuration names the neighbor",
            Needed::Ring => "the neighbor is next in the ring of all nodes",
            Needed::Carries => "a path in use leads over the link",
            Needed::Few => "too few links would be left",
            Needed::Fifth => "the other far neighbors are too few",
        }
    }
}

/// The best exchange, if there is any that is worth it.
pub(super) fn choose(view: &View, config: &Config, declined: impl Fn(&PeerId) -> bool, now: Instant) -> Option<Pair> {
    if view.usable() < wanted(view, config) {
        return None;
    }
    let promised = view.promised(config.me);
    let known = |peer: &PeerId| view.measured(peer).or_else(|| promised.get(peer).copied());
    let nearest = view.strangers(config.me).filter_map(|(peer, _)| Some((known(peer)?, *peer))).min();
    let pair = |(near_us, near): (u64, PeerId)| {
        let (far_us, far) =
            farther(view, config, near_us, view.usable(), now).into_iter().find(|(_, far)| !declined(far))?;
        Some(Pair { far, near, far_us, near_us })
    };
    nearest.and_then(pair).or_else(|| explore(view, config, &declined, now))
}

/// A stranger that nobody knows enough of to promise anything, and the farthest neighbor that would be left for it. This
/// neighbor must be free to go even if the stranger costs half as much: at the least that it may cost even near neighbors
/// are farther, those that stay could be drawn among them, and who is far would look free until the stranger is measured.
fn explore(view: &View, config: &Config, declined: impl Fn(&PeerId) -> bool, now: Instant) -> Option<Pair> {
    let (near_us, near) = unexplored(view, config)?;
    let is_free = |&(far_us, far): &(u64, PeerId)| {
        let free = farther(view, config, near_us.max(far_us / 2), view.usable(), now);
        far_us >= FAR_MIN.as_micros() as u64 && !declined(&far) && free.iter().any(|(_, peer)| *peer == far)
    };
    let costs = view.neighbors.values().filter_map(|report| Some((cost_at_least(report)?, report.peer)));
    let (far_us, far) = costs.filter(is_free).max()?;
    Some(Pair { far, near, far_us, near_us })
}

/// The stranger that may be nearest, of those that nobody knows enough of to promise anything.
fn unexplored(view: &View, config: &Config) -> Option<(u64, PeerId)> {
    if view.measured_count() >= EXPLORED_MAX {
        return None;
    }
    let region = view.nodes.get(&config.me).map_or("", |own| own.region.as_str());
    view.strangers(config.me)
        .filter(|(peer, _)| view.measured(peer).is_none())
        .map(|(peer, known)| {
            let abroad = region.is_empty() || known.region != region;
            (abroad, view.least(peer), weight(&config.me, peer), *peer)
        })
        .min()
        .map(|(_, least, _, peer)| (least, peer))
}

/// Neighbors that may be left for a node that costs `near_us`, with what they cost, the farthest first. A fifth of the
/// links stay as they are, however far: those of the farther ones that are next in the ring, which are random enough, and
/// else those that a hash of both ends draws (the weights of rendezvous hashing, Thaler and Ravishankar, 1998). Without
/// them a mesh would end as cliques of nodes near each other. `links` is how many there are, without one on trial.
pub(super) fn farther(view: &View, config: &Config, near_us: u64, links: usize, now: Instant) -> Vec<(u64, PeerId)> {
    let far = view
        .neighbors
        .values()
        .filter_map(|report| Some((cost_at_least(report).filter(|far_us| is_better(near_us, *far_us))?, report.peer)));
    let mut far: Vec<(u64, PeerId)> = far.collect();
    keep_first(view, &config.me, &config.me, &mut far);
    let mut free = far.split_off(fifth(links).min(far.len()));
    free.retain(|(_, peer)| needed(view, config, peer, now).is_none() && !would_stay(view, config, peer));
    free.sort_by_key(|(far_us, peer)| (std::cmp::Reverse(*far_us), *peer));
    free
}

/// Why a neighbor that asks to leave must stay.
pub(super) fn needs(view: &View, config: &Config, peer: &PeerId, now: Instant) -> Option<Needed> {
    needed(view, config, peer, now).or_else(|| {
        let left = view.usable().saturating_sub(usize::from(view.is_usable(peer)));
        if left < wanted(view, config) {
            return Some(Needed::Few);
        }
        let links = view.neighbors.values().filter_map(|report| Some((cost(report)?, report.peer))).collect();
        keeps(view, &config.me, &config.me, links, peer).then_some(Needed::Fifth)
    })
}

/// Whether this neighbor would want to stay, as far as what it tells of its links says: who asks in vain has dialed
/// somebody in vain.
fn would_stay(view: &View, config: &Config, peer: &PeerId) -> bool {
    let Some(links) = view.links.get(peer) else { return false };
    let links: Vec<(u64, PeerId)> = links.iter().map(|link| (told_cost(link), link.neighbor)).collect();
    links.len() <= wanted(view, config) || keeps(view, &config.me, peer, links, &config.me)
}

/// Whether the node `of`, whose links these are, keeps the one to `peer` as one of the far ones.
fn keeps(view: &View, me: &PeerId, of: &PeerId, mut links: Vec<(u64, PeerId)>, peer: &PeerId) -> bool {
    let kept = fifth(links.len());
    let Some(nearest) = links.iter().filter(|(_, other)| other != peer).map(|(us, _)| *us).min() else { return true };
    links.retain(|(us, _)| is_better(nearest, *us));
    keep_first(view, me, of, &mut links);
    links.iter().take(kept).any(|(_, other)| other == peer)
}

/// Orders links of the node `of` by who stays first.
fn keep_first(view: &View, me: &PeerId, of: &PeerId, links: &mut [(u64, PeerId)]) {
    let ring = ring(view, me, of);
    links.sort_by_key(|(_, peer)| (!ring.contains(&Some(*peer)), std::cmp::Reverse(weight(of, peer))));
}

/// Who stands next to a node in the ring of all nodes, after and before it.
fn ring(view: &View, me: &PeerId, of: &PeerId) -> [Option<PeerId>; 2] {
    let others = || view.others(*me).chain([*me]).filter(|peer| peer != of);
    let next = others().filter(|peer| peer > of).min().or_else(|| others().min());
    let last = others().filter(|peer| peer < of).max().or_else(|| others().max());
    [next, last]
}

/// Why a neighbor stays, whatever other neighbors there are.
pub(super) fn needed(view: &View, config: &Config, peer: &PeerId, now: Instant) -> Option<Needed> {
    if config.configured.contains(peer) {
        return Some(Needed::Configured);
    }
    if ring(view, &config.me, &config.me).contains(&Some(*peer)) {
        return Some(Needed::Ring);
    }
    let carries = view.neighbors.get(peer).is_some_and(|report| report.carries_until > now);
    carries.then_some(Needed::Carries)
}

/// Links that must be up: there cannot be more than other nodes.
pub(super) fn wanted(view: &View, config: &Config) -> usize {
    config.target.min(view.others(config.me).count())
}

/// Whether it is worth an exchange.
pub(super) fn is_better(near_us: u64, far_us: u64) -> bool {
    near_us.saturating_mul(100) <= far_us.saturating_mul(COST_PERCENT_MAX)
        && far_us.saturating_sub(near_us) >= SAVES_MIN.as_micros() as u64
}

fn fifth(links: usize) -> usize {
    links.div_ceil(KEPT_ONE_IN)
}

/// The same at both ends of a link.
fn weight(a: &PeerId, b: &PeerId) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(a.min(b).as_bytes()).update(a.max(b).as_bytes());
    *hasher.finalize().as_bytes()
}

/// What a nearer neighbor may cost at most, in percent of what the farther one does: what differs less is not worth the
/// unrest, and would follow the weather.
const COST_PERCENT_MAX: u64 = 70;
/// What an exchange must save at least: half a round trip within a site is not worth it.
const SAVES_MIN: Duration = Duration::from_micros(500);
/// What a neighbor costs at least for whose sake strangers are tried that nobody promises to be near: more than is usual
/// within a site.
const FAR_MIN: Duration = Duration::from_micros(1_750);
/// Strangers that are tried while nothing promises that they are near, within the time for which it is remembered how far
/// they were: where everybody is as far from everybody, trying must end.
const EXPLORED_MAX: usize = 8;
/// Of so many links, one stays however far it leads.
const KEPT_ONE_IN: usize = 5;
