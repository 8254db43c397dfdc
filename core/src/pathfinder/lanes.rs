//! Lanes: over which of the disjoint paths the bulk to a destination is spread.
//!
//! A lane is a session of its own: what is spread are whole streams, as flows are in equal-cost multi-path (RFC 2992), never
//! the packets of one, whose reordering QUIC would take for loss (RFC 9002, section 6.1). Lane 0 follows the route. Each
//! other lane prefers a path of its own, and follows the route as well while it has none. A path is fit to begin a lane if
//!
//! - its probes return, have returned for as long as damping wants, and nobody has doubted it for some time;
//! - it has no relay in common with the path in use or that of another lane: those would share a bottleneck;
//! - no link of it loses more than measurements cannot tell from nothing;
//! - its round trip is at most [`RTT_TIMES_MAX`] times the shortest of the path in use (or of [`RTT_FLOOR`], if that is
//!   longer).
//!
//! A lane's own traffic makes the round trip longer and loses packets now and then. So the round trip is judged before it
//! begins and not again, and it bears more loss ([`LOSS_BORNE_PERMILLE`]) before it leaves. It leaves a path at once that
//! is late, gone or in doubt; while a probe is overdue, its packets take a second path as well.
//!
//! Bulk that has just filled the queue of a bottleneck, and loses what finds it full, looks like a path that fails, for the
//! route and for lanes. Where one of two paths is enough, it does no harm to avoid the other for a minute; here it would
//! take away half of the capacity. So lanes come back soon, and then ever later: [`HOLD_MIN`] after the first failure, and
//! each time twice as long. And a path whose queue was seen to be full may be silent for longer ([`super::tracked`]).

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::damping::Damping;
use super::tracked::{Doubt, State, Tracked};
use super::{Effect, Way};
use crate::limits::{HEDGES_PER_SECOND, LANES_MAX};
use crate::paths::cost::LOSS_NOISE_PERMILLE;
use crate::token_bucket::TokenBucket;
use crate::{Instant, PeerId};

/// The way of a lane that has a path of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LaneWay {
    /// The lane, from 1 to [`LANES_MAX`] less one.
    pub lane: u8,
    /// How.
    pub way: Way,
    /// Where copies go as well, while a probe of that way is overdue.
    pub hedge: Option<Way>,
}

/// What the lanes of a destination are chosen from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground<'a> {
    pub(super) peer: PeerId,
    /// In the order of the search.
    pub(super) paths: &'a [Tracked],
    pub(super) in_use: Option<u32>,
    /// How many lanes there may be, the first included.
    pub(super) lanes: usize,
    pub(super) now: Instant,
}

/// The lanes of one destination beside the first.
#[derive(Debug)]
pub(super) struct Lanes {
    /// Those with a path of their own, as they were told last; `None` before. An earlier life of the role may have told
    /// others, so even that there are none is told once.
    told: Option<Vec<LaneWay>>,
    /// By lane, since when it has had its path.
    since: BTreeMap<u8, Instant>,
    /// How many there may be, the first included.
    most: u8,
    hedges: TokenBucket,
    damping: Damping,
}

impl Lanes {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            told: None,
            since: BTreeMap::new(),
            most: 1,
            hedges: TokenBucket::full(HEDGES_PER_SECOND, now),
            damping: Damping::new(HOLD_MIN, FORGIVEN_AFTER),
        }
    }

    /// The path of a lane, if it has one of its own.
    pub(super) fn path_of(&self, lane: u8) -> Option<u32> {
        self.told(lane).map(|told| told.way.path)
    }

    /// Whether a lane has this path as its own.
    pub(super) fn use_path(&self, path: u32) -> bool {
        self.told.iter().flatten().any(|told| told.way.path == path)
    }

    /// The lanes whose traffic takes this path; none where traffic is not spread.
    pub(super) fn over(&self, path: u32, in_use: Option<u32>) -> Vec<u8> {
        let takes = |lane: &u8| self.path_of(*lane).or(in_use) == Some(path);
        if self.told.is_none() { Vec::new() } else { (0..self.most).filter(takes).collect() }
    }

    /// Decides which lane prefers which path, and says so if that changed.
    pub(super) fn spread(&mut self, ground: Ground<'_>, effects: &mut Vec<Effect>) {
        self.most = ground.lanes.min(LANES_MAX) as u8;
        let Some(used) = ground.paths.iter().find(|path| Some(path.way.path) == ground.in_use) else {
            // Who withdraws the route withdraws the lanes' ways with it.
            self.told.iter_mut().for_each(Vec::clear);
            self.since.clear();
            return;
        };
        // Whatever was told in an earlier life is not taken back for want of a moment's patience.
        if self.told.is_none() && ground.paths.iter().any(|path| path.state() == State::Fresh) {
            return;
        }
        let chosen = self.choose(used, ground);
        let lanes: Vec<LaneWay> =
            chosen.into_iter().map(|(lane, path)| self.lane_way(lane, path, used, ground)).collect();
        if self.told.as_ref() != Some(&lanes) {
            effects.push(Effect::SpreadTraffic { destination: ground.peer, lanes: lanes.clone() });
            self.told = Some(lanes);
        }
    }

    /// The lanes that have a path of their own, and which: first those that keep theirs, then the others in the order of the
    /// search.
    fn choose<'a>(&mut self, used: &'a Tracked, ground: Ground<'a>) -> Vec<(u8, &'a Tracked)> {
        let (mut taken, mut chosen, now) = (vec![used], BTreeMap::new(), ground.now);
        for (lane, since) in std::mem::take(&mut self.since) {
            let own = self.path_of(lane);
            let Some(path) = ground.paths.iter().find(|path| Some(path.way.path) == own) else { continue };
            if path.state() < State::Overdue || path.doubted(now).is_some_and(|(doubted, _)| doubted >= since) {
                self.damping.on_failure(now);
            } else if path.loss_permille() <= LOSS_BORNE_PERMILLE && is_apart(path, &taken) {
                taken.push(path);
                chosen.insert(lane, path);
                self.since.insert(lane, since);
            }
        }
        let hold = self.damping.hold(now);
        for lane in (1..self.most).filter(|lane| !chosen.contains_key(lane)).collect::<Vec<_>>() {
            let fits = |path: &&Tracked| may_begin(path, used, hold, now) && is_apart(path, &taken);
            let Some(path) = ground.paths.iter().find(fits) else { break };
            taken.push(path);
            chosen.insert(lane, path);
            self.since.insert(lane, now);
        }
        chosen.into_iter().collect()
    }

    /// While a probe of its path is overdue, a lane takes the path in use as well, or else another that works.
    fn lane_way(&mut self, lane: u8, path: &Tracked, used: &Tracked, ground: Ground<'_>) -> LaneWay {
        let works = |other: &&Tracked| other.way.path != path.way.path && other.state() > State::Overdue;
        let wanted = || std::iter::once(used).chain(ground.paths).find(works).map(|other| other.way.clone());
        let is_hedged = self.told(lane).is_some_and(|told| told.way.path == path.way.path && told.hedge.is_some());
        let hedge =
            if path.state() == State::Overdue && (is_hedged || self.hedges.take(ground.now)) { wanted() } else { None };
        LaneWay { lane, way: path.way.clone(), hedge }
    }

    fn told(&self, lane: u8) -> Option<&LaneWay> {
        self.told.iter().flatten().find(|told| told.lane == lane)
    }
}

fn may_begin(path: &Tracked, used: &Tracked, hold: Duration, now: Instant) -> bool {
    let rtt_max = used.rtt_least().unwrap_or_default().max(RTT_FLOOR) * RTT_TIMES_MAX;
    let is_doubted = path.doubted(now).is_some_and(|(doubted, why)| match why {
        Doubt::Unacknowledged => now.since(doubted) < hold.max(HOLD_MIN),
        Doubt::Rising => true,
    });
    path.state() == State::Good
        && path.good_for(now) >= hold
        && !is_doubted
        && path.loss_permille() <= LOSS_NOISE_PERMILLE
        && path.rtt() <= rtt_max
}

/// Whether a path has nothing in common with the others but its ends.
fn is_apart(path: &Tracked, others: &[&Tracked]) -> bool {
    let shares = |other: &&Tracked| {
        path.way.path == other.way.path || path.relays().iter().any(|relay| other.relays().contains(relay))
    };
    !others.iter().any(shares)
}

/// How many times as long as the shortest round trip of the path in use that of a lane's path may be when it begins.
const RTT_TIMES_MAX: u32 = 4;
/// How long a path must have worked after a lane left one that failed: longer than it takes a sender to find out how much a
/// bottleneck passes.
const HOLD_MIN: Duration = Duration::from_secs(1);
/// How long after the last failure all of them are forgotten.
const FORGIVEN_AFTER: Duration = Duration::from_secs(60);
/// Below this, round trips are all alike to bulk.
const RTT_FLOOR: Duration = Duration::from_millis(5);
/// The loss on its worst link at which a lane leaves its path, in thousandths: more than two lost probes in a row leave in
/// the measurement.
const LOSS_BORNE_PERMILLE: u16 = 150;
