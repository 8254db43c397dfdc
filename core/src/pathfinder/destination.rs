//! One destination: its paths, and which of them carries the traffic.

use std::cmp::Reverse;
use std::time::Duration;

use super::damping::Damping;
use super::lanes::{Ground, Lanes};
use super::payload::PayloadDoubt;
use super::tracked::{Doubt, Found, State, Tracked};
use super::{Config, Effect, PathChange, PathReport, PathState, PathView, SwitchCause, Verdict};
use crate::limits::HEDGES_PER_SECOND;
use crate::rng::Rng;
use crate::token_bucket::TokenBucket;
use crate::{Instant, PeerId, Tag};

/// A probe that came back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Returned {
    pub(super) path: u32,
    pub(super) nonce: u64,
    pub(super) rtt: Duration,
}

/// What a path is judged by besides itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Standing {
    pub(super) now: Instant,
    /// How long a better path must have worked before traffic moves to it.
    pub(super) hold: Duration,
}

#[derive(Debug)]
pub(super) struct Destination {
    peer: PeerId,
    paths: Vec<Tracked>,
    in_use: Option<u32>,
    /// The path that carries copies, while a probe of the one in use is overdue.
    hedge: Option<u32>,
    hedges: TokenBucket,
    payload: PayloadDoubt,
    /// When paths were left because the destination wanted it.
    unanswered: PayloadDoubt,
    /// The relays of the path last used, to tell what was left.
    last_relays: Option<Vec<PeerId>>,
    born: Instant,
    touched: Instant,
    /// Until then users are taken to exchange something with it.
    busy_until: Instant,
    lost: bool,
    /// The failures of the path in use.
    damping: Damping,
    /// Which paths the lanes beside the first prefer.
    lanes: Lanes,
    /// Whether a report said that a path works, and none since that none does. An earlier life of the role may have
    /// reported a loss: the first path that is proven is always told.
    found: bool,
}

impl Destination {
    pub(super) fn new(peer: PeerId, now: Instant) -> Self {
        Self {
            peer,
            paths: Vec::new(),
            in_use: None,
            hedge: None,
            hedges: TokenBucket::full(HEDGES_PER_SECOND, now),
            payload: PayloadDoubt::default(),
            unanswered: PayloadDoubt::default(),
            last_relays: None,
            born: now,
            touched: now,
            busy_until: now + BUSY_FOR,
            lost: false,
            damping: Damping::new(HOLD_MIN, FORGIVEN_AFTER),
            lanes: Lanes::new(now),
            found: false,
        }
    }

    pub(super) fn peer(&self) -> PeerId {
        self.peer
    }

    pub(super) fn touch(&mut self, now: Instant) {
        self.touched = now;
    }

    /// Users exchange something with it: its paths are probed often, and at once if they were not.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.touch(now);
        if self.busy_until <= now {
            self.paths.iter_mut().for_each(|path| path.probe_at_once(now));
        }
        self.busy_until = now + BUSY_FOR;
    }

    pub(super) fn touched(&self) -> Instant {
        self.touched
    }

    pub(super) fn has_path(&self, id: u32) -> bool {
        self.paths.iter().any(|p| p.way.path == id)
    }

    pub(super) fn views(&self) -> Vec<PathView> {
        let view = |t: &Tracked| PathView {
            path: t.path.clone(),
            state: match t.state() {
                _ if self.in_use == Some(t.way.path) => PathState::InUse,
                _ if self.hedge == Some(t.way.path) => PathState::Hedge,
                State::Good | State::Fresh => PathState::Warm,
                State::Overdue => PathState::Overdue,
                State::Late => PathState::Late,
                State::Dead => PathState::Dead,
            },
            rtt: t.rtt(),
            way: Some(t.way.clone()),
            lanes: self.lanes.over(t.way.path, self.in_use),
        };
        self.paths.iter().map(view).collect()
    }

    /// What decided for or against each path, in their order.
    pub(super) fn verdicts(&self, now: Instant) -> Vec<Verdict> {
        let in_use = self.paths.iter().find(|path| Some(path.way.path) == self.in_use);
        let standing = Standing { now, hold: self.damping.hold(now) };
        let verdict = |path: &Tracked| match in_use {
            Some(used) if used.way.path == path.way.path => match path.state() {
                State::Good | State::Fresh => Verdict::Chosen,
                _ => Verdict::Least,
            },
            _ => Verdict::beside(path, in_use, standing),
        };
        self.paths.iter().map(verdict).collect()
    }

    /// Takes the result of a search; paths that stay keep what their probes have shown.
    pub(super) fn replace_paths(&mut self, found: Vec<Found>, next_id: &mut u32, now: Instant) {
        let mut old = std::mem::take(&mut self.paths);
        for found in found {
            let tracked = match old.iter().position(|t| t.is_same(&found)) {
                Some(at) => {
                    let mut same = old.swap_remove(at);
                    same.on_found(found);
                    same
                }
                None => {
                    *next_id = next_id.wrapping_add(1).max(1);
                    Tracked::new(found, *next_id, now)
                }
            };
            self.paths.push(tracked);
        }
    }

    /// Decides which path carries the traffic, and says so if that changed.
    pub(super) fn choose(&mut self, config: &Config, now: Instant, effects: &mut Vec<Effect>) {
        let current = self.paths.iter().position(|p| Some(p.way.path) == self.in_use);
        let best = self.best(now);
        match (current, best) {
            (None, None) => {
                self.hedge = None;
                if self.in_use.take().is_some() {
                    effects.push(Effect::WithdrawRoute { destination: self.peer });
                }
                self.tell_lost(now, config, effects);
            }
            (None, Some(to)) => self.switch(to, SwitchCause::Gone, now, effects),
            (Some(from), Some(to)) => match self.reason_to_leave(from, to, now) {
                Some(cause) => self.switch(to, cause, now, effects),
                None => self.hedge_or_stop((from, to), config, now, effects),
            },
            (Some(_), None) => {}
        }
        self.tell_found_or_lost(now, config, effects);
        if config.lanes > 1 {
            let (peer, paths, in_use, lanes) = (self.peer, &*self.paths, self.in_use, config.lanes);
            self.lanes.spread(Ground { peer, paths, in_use, lanes, now }, effects);
        }
    }

    /// While a probe of the path in use is overdue, traffic takes the best other path that works as well.
    fn hedge_or_stop(&mut self, (at, best): (usize, usize), config: &Config, now: Instant, effects: &mut Vec<Effect>) {
        let hedges = !config.hedge_after.is_zero();
        let doubted = hedges && self.paths[at].state() == State::Overdue && self.paths[best].state() > State::Overdue;
        let wanted = doubted.then(|| self.paths[best].way.path);
        let begins = self.hedge.is_none() && wanted.is_some();
        if wanted == self.hedge || begins && !self.hedges.take(now) {
            return;
        }
        self.hedge = wanted;
        let hedge = doubted.then(|| self.paths[best].way.clone());
        effects.push(Effect::InstallRoute { destination: self.peer, way: self.paths[at].way.clone(), hedge });
    }

    /// The path to use: proven before unproven before late, then those that nobody doubts, then by cost (the order of the
    /// search).
    fn best(&self, now: Instant) -> Option<usize> {
        (0..self.paths.len()).max_by_key(|i| {
            let path = &self.paths[*i];
            (path.state(), Reverse(path.doubted(now).map(|(when, _)| when)), Reverse(*i))
        })
    }

    fn reason_to_leave(&self, from: usize, to: usize, now: Instant) -> Option<SwitchCause> {
        if from == to {
            return None;
        }
        let (here, there) = (&self.paths[from], &self.paths[to]);
        match (here.state(), there.state()) {
            (State::Dead, s) if s > State::Dead => Some(SwitchCause::Broken),
            (State::Late, State::Good | State::Fresh) => Some(SwitchCause::Late),
            // Both work: only a notably better path is worth a change, so that measurements do not make routes flap, and
            // only one that has worked for long enough, so that a link that comes and goes does not.
            (State::Good | State::Fresh, State::Good)
                if there.path.cost * 1000 < here.path.cost * BETTER_PERMILLE
                    && there.doubted(now).is_none()
                    && there.good_for(now) >= self.damping.hold(now) =>
            {
                Some(SwitchCause::Better)
            }
            _ => None,
        }
    }

    fn switch(&mut self, to: usize, cause: SwitchCause, now: Instant, effects: &mut Vec<Effect>) {
        let left = self.paths.iter().find(|path| Some(path.way.path) == self.in_use);
        let silent = left.map_or(Duration::ZERO, |path| path.silent(now));
        self.switch_after(silent, to, cause, now, effects);
    }

    fn switch_after(
        &mut self,
        silent: Duration,
        to: usize,
        cause: SwitchCause,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let target = &self.paths[to];
        let relays = target.relays();
        effects.push(Effect::InstallRoute { destination: self.peer, way: target.way.clone(), hedge: None });
        (self.in_use, self.hedge) = (Some(target.way.path), None);
        let from = self.last_relays.replace(relays.clone());
        if let Some(from) = from.filter(|from| *from != relays) {
            // A path whose links are gone was closed or replaced, as is usual while a mesh forms; one that fails is
            // late first.
            if !matches!(cause, SwitchCause::Gone | SwitchCause::Better | SwitchCause::Rising) {
                self.damping.on_failure(now);
            }
            let change = PathChange::Switched { from, to: relays, cause, silent };
            effects.push(Effect::Report(PathReport { destination: self.peer, change }));
        }
    }

    fn tell_lost(&mut self, now: Instant, config: &Config, effects: &mut Vec<Effect>) {
        // A destination that was only just asked for gets the time in which a path would be declared dead.
        if !self.lost && now.since(self.born) < config.probing.dead_after && self.last_relays.is_none() {
            return;
        }
        self.found = false;
        if !std::mem::replace(&mut self.lost, true) {
            effects.push(Effect::Report(PathReport { destination: self.peer, change: PathChange::Lost }));
        }
    }

    fn tell_found_or_lost(&mut self, now: Instant, config: &Config, effects: &mut Vec<Effect>) {
        let state = self.paths.iter().find(|p| Some(p.way.path) == self.in_use).map(Tracked::state);
        match state {
            Some(State::Dead) => self.tell_lost(now, config, effects),
            Some(State::Good) if !std::mem::replace(&mut self.found, true) => {
                self.lost = false;
                effects.push(Effect::Report(PathReport { destination: self.peer, change: PathChange::Found }));
            }
            _ => {}
        }
    }

    pub(super) fn on_probe_returned(
        &mut self,
        returned: Returned,
        config: &Config,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(path) = self.paths.iter_mut().find(|p| p.way.path == returned.path) {
            path.on_returned(returned.nonce, returned.rtt, config, now);
            self.choose(config, now, effects);
        }
    }

    pub(super) fn on_broken(&mut self, id: u32, config: &Config, now: Instant, effects: &mut Vec<Effect>) {
        if let Some(path) = self.paths.iter_mut().find(|p| p.way.path == id) {
            path.on_broken();
            self.choose(config, now, effects);
        }
    }

    /// Nothing was acknowledged for so long: if a probe of the path in use returned meanwhile, traffic moves to another path
    /// that works, and the destination is told what was left.
    pub(super) fn on_payload_overdue(
        &mut self,
        silent: Duration,
        config: &Config,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let Some(at) = self.proven() else { return };
        let path = &self.paths[at];
        // Where bulk is spread, no path is spared to fall back on, and queues are full: see `on_lane_overdue`.
        if path.silent(now) >= silent || (config.lanes > 1 && path.proven_for(now) >= silent) {
            return;
        }
        let relays = self.paths[at].blamed();
        let tags: Vec<Tag> = relays.iter().map(PeerId::tag).collect();
        if let Some(other) = self.unlike(at, &tags, now)
            && self.payload.may_leave(silent, now)
        {
            self.paths[at].on_doubt(Doubt::Unacknowledged, now);
            self.switch_after(silent, other, SwitchCause::Unacknowledged, now, effects);
            self.payload.tell(relays);
        }
        let used = self.paths.iter().find(|path| Some(path.way.path) == self.in_use).map(Tracked::blamed);
        if let Some(relays) = self.payload.may_tell(&used.unwrap_or_default(), now) {
            effects.push(Effect::TellUnacknowledged { destination: self.peer, relays });
        }
    }

    /// Nothing that was sent on a lane was acknowledged for so long: if its path is its own, and a probe of it that was sent
    /// later has returned, the lane leaves it, and the destination is told; otherwise it is a matter of the path in use. A
    /// probe that was sent earlier proves nothing here: the queue of a bottleneck may have grown behind it.
    pub(super) fn on_lane_overdue(
        &mut self,
        lane: u8,
        silent: Duration,
        config: &Config,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let own = self.lanes.path_of(lane);
        let Some(path) = self.paths.iter_mut().find(|path| Some(path.way.path) == own) else {
            return self.on_payload_overdue(silent, config, now, effects);
        };
        if path.state() != State::Good || path.proven_for(now) >= silent {
            return;
        }
        path.on_doubt(Doubt::Unacknowledged, now);
        self.payload.tell(path.blamed());
        self.choose(config, now, effects);
        if let Some(relays) = self.payload.may_tell(&[], now) {
            effects.push(Effect::TellUnacknowledged { destination: self.peer, relays });
        }
    }

    /// The destination has left a path over these relays, since nothing that it sent was acknowledged: what is sent to it over
    /// any of them may be what was lost. A path that has nothing in common with what it left stays in use, so that both ends
    /// come to meet on what works. How often this end has moved by itself does not count: both may have changed places.
    pub(super) fn on_unanswered(&mut self, relays: &[Tag], now: Instant, effects: &mut Vec<Effect>) {
        // No lane has to stay on a path that is in doubt: the route is as good as any.
        let lanes = self.paths.iter_mut().filter(|path| self.lanes.use_path(path.way.path) && path.shares(relays));
        lanes.for_each(|path| path.on_doubt(Doubt::Unacknowledged, now));
        let Some(at) = self.proven().filter(|at| self.paths[*at].shares(relays)) else { return };
        if let Some(other) = self.unlike(at, relays, now)
            && self.unanswered.may_leave(Duration::ZERO, now)
        {
            self.paths[at].on_doubt(Doubt::Unacknowledged, now);
            self.switch_after(Duration::ZERO, other, SwitchCause::Unanswered, now, effects);
        }
    }

    /// The round trip of the link to `neighbor` will reach `limit` soon: traffic moves before, to a path that works, does not
    /// begin with that link and is itself within the limit. If there is none, it stays: what is foreseen is not there yet.
    pub(super) fn on_breach_ahead(
        &mut self,
        neighbor: PeerId,
        limit: Duration,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let begins = |path: &Tracked| path.first_hop() == Some(neighbor);
        let lanes = self.paths.iter_mut().filter(|path| self.lanes.use_path(path.way.path) && begins(path));
        lanes.for_each(|path| path.on_doubt(Doubt::Rising, now));
        if !self.proven().is_some_and(|at| begins(&self.paths[at])) {
            return;
        }
        let fits = |path: &Tracked| {
            path.state() == State::Good && !begins(path) && path.rtt() < limit && path.doubted(now).is_none()
        };
        if let Some(other) = self.paths.iter().position(fits) {
            // All of them: what is known of their cost is older than the rise.
            self.paths.iter_mut().filter(|path| begins(path)).for_each(|path| path.on_doubt(Doubt::Rising, now));
            self.switch_after(Duration::ZERO, other, SwitchCause::Rising, now, effects);
        }
    }

    /// The path in use, if its probes return.
    fn proven(&self) -> Option<usize> {
        self.paths.iter().position(|path| Some(path.way.path) == self.in_use && path.state() == State::Good)
    }

    /// The path that works and is likest not to suffer with the one at `at`: preferably over none of these relays, and not
    /// doubted lately.
    fn unlike(&self, at: usize, relays: &[Tag], now: Instant) -> Option<usize> {
        let good = (0..self.paths.len()).filter(|other| *other != at && self.paths[*other].state() == State::Good);
        good.min_by_key(|other| {
            (self.paths[*other].shares(relays), self.paths[*other].doubted(now).map(|(when, _)| when), *other)
        })
    }

    /// The path in use counts as broken until its probes return, whatever they say now; and as they do return, it is doubted
    /// for longer.
    pub(super) fn on_switch_requested(&mut self, config: &Config, now: Instant, effects: &mut Vec<Effect>) {
        if let Some(path) = self.paths.iter_mut().find(|path| Some(path.way.path) == self.in_use) {
            path.on_doubt(Doubt::Unacknowledged, now);
            let id = path.way.path;
            self.on_broken(id, config, now, effects);
        }
    }

    pub(super) fn wake(&mut self, config: &Config, rng: &mut Rng, now: Instant, effects: &mut Vec<Effect>) {
        let probing = &config.probing;
        for (rank, path) in self.paths.iter_mut().enumerate() {
            let carries = Some(path.way.path) == self.in_use || self.lanes.use_path(path.way.path);
            let warm = rank < config.warm || carries;
            let interval = match (warm, self.busy_until > now || path.is_suspect()) {
                (true, true) => probing.interval,
                (false, true) => probing.interval * SPARE_FACTOR,
                (_, false) => probing.idle_interval,
            };
            if let Some(nonce) = path.wake(config, interval, rng, now) {
                effects.push(Effect::Probe { way: path.way.clone(), nonce });
            }
        }
        self.choose(config, now, effects);
    }

    pub(super) fn deadline(&self, config: &Config) -> Instant {
        let patience = self.born + config.probing.dead_after;
        self.paths.iter().map(|p| p.deadline(config)).min().unwrap_or(if self.lost { FAR } else { patience })
    }
}

/// The share of the cost of a path that works below which another one is worth a change, in thousandths.
pub(super) const BETTER_PERMILLE: u64 = 700;
/// How long a better path must have worked after the path in use failed for the first time.
const HOLD_MIN: Duration = Duration::from_secs(1);
/// How long after the last failure all of them are forgotten.
const FORGIVEN_AFTER: Duration = Duration::from_secs(300);
/// How long after the last exchange paths are probed as often as while there is one.
const BUSY_FOR: Duration = Duration::from_secs(10);
/// How much more seldom the others are probed.
const SPARE_FACTOR: u32 = 5;
/// Later than any deadline that matters.
const FAR: Instant = Instant::from_nanos(u64::MAX);
