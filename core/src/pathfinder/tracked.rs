//! One path under watch.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use super::{Config, Way};
use crate::paths::Path;
use crate::peer::Rtt;
use crate::rng::Rng;
use crate::{Instant, LinkId, PeerId, Tag};

/// A path, its probes and what they say.
#[derive(Debug)]
pub(super) struct Tracked {
    pub(super) path: Path,
    pub(super) way: Way,
    state: State,
    /// When it was last proven to work after it had not been.
    good_since: Instant,
    rtt: Rtt,
    /// The shortest of its round trips: that of the path with nothing waiting on it.
    rtt_least: Option<Duration>,
    /// The share of probes lost on its worst link, in thousandths, as nodes say.
    loss_permille: u16,
    nonce: u64,
    outstanding: VecDeque<(u64, Instant)>,
    /// Silence is counted from here.
    heard: Instant,
    /// When the latest probe that has returned was sent.
    proven: Instant,
    /// No probe is overdue before this and its usual time: this process was late itself.
    excused: Instant,
    next_probe: Instant,
    returns: u32,
    /// When it was left though its probes return, and why.
    doubted: Option<(Instant, Doubt)>,
    /// The longest round trip lately at which the path was already taken for late, and when.
    queued: Option<(Instant, Duration)>,
}

/// A path as a search finds it.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) path: Path,
    /// The link to its first hop.
    pub(super) first: LinkId,
    /// The share of probes lost on its worst link, in thousandths.
    pub(super) loss_permille: u16,
}

/// Why a path is left whose probes return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Doubt {
    /// It carries probes and perhaps nothing else: payload was not acknowledged on it.
    Unacknowledged,
    /// Its round trip rises towards its limit.
    Rising,
}

/// What the probes say; ordered from worst to best.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// No round trip for long, or a relay said so.
    Dead,
    /// Probes have been overdue for long.
    Late,
    /// A probe is overdue: a reason to send on another path as well, and to judge nobody.
    Overdue,
    /// Not proven yet.
    Fresh,
    /// Round trips come back.
    Good,
}

impl Tracked {
    pub(super) fn new(found: Found, id: u32, now: Instant) -> Self {
        let Found { path, first, loss_permille } = found;
        let way = Way { path: id, first, labels: path.labels.clone() };
        Self {
            path,
            way,
            state: State::Fresh,
            good_since: now,
            rtt: Rtt::default(),
            rtt_least: None,
            loss_permille,
            nonce: 0,
            outstanding: VecDeque::new(),
            heard: now,
            proven: now,
            excused: now,
            next_probe: now,
            returns: 0,
            doubted: None,
            queued: None,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn rtt(&self) -> Duration {
        self.rtt.smoothed()
    }

    /// The same hops and labels over the same link, so that what was learned still holds.
    pub(super) fn is_same(&self, found: &Found) -> bool {
        let Found { path, first, .. } = found;
        self.way.first == *first && self.path.hops == path.hops && self.path.labels == path.labels
    }

    /// The same path was found again, perhaps at another cost.
    pub(super) fn on_found(&mut self, found: Found) {
        (self.path, self.loss_permille) = (found.path, found.loss_permille);
    }

    /// The shortest of its round trips; `None` before the first.
    pub(super) fn rtt_least(&self) -> Option<Duration> {
        self.rtt_least
    }

    /// The share of probes lost on its worst link, in thousandths.
    pub(super) fn loss_permille(&self) -> u16 {
        self.loss_permille
    }

    pub(super) fn relays(&self) -> Vec<PeerId> {
        self.path.relays().to_vec()
    }

    pub(super) fn on_returned(&mut self, nonce: u64, rtt: Duration, config: &Config, now: Instant) {
        let Some(at) = self.outstanding.iter().position(|(n, _)| *n == nonce) else { return };
        // Where bulk is spread, it was in the queue that the bulk filled: to call the path late was wrong, and would be
        // again as soon as there is bulk on it (as a timeout that was spurious makes TCP more patient, RFC 4015).
        if config.lanes > 1 && rtt > config.probing.late_after.max(self.queued.map_or(Duration::ZERO, |(_, rtt)| rtt)) {
            self.queued = Some((now, rtt));
        }
        // What was sent before it and did not return is lost, and says nothing of what is now.
        self.proven = self.outstanding[at].1;
        self.outstanding.drain(..=at);
        self.rtt.sample(rtt);
        self.rtt_least = Some(self.rtt_least.map_or(rtt, |least| least.min(rtt)));
        self.heard = now;
        self.returns += 1;
        if self.state != State::Dead || self.returns >= RETURNS_TO_TRUST {
            if self.state != State::Good {
                self.good_since = now;
            }
            self.state = State::Good;
        }
    }

    /// For how long no probe has returned.
    pub(super) fn silent(&self, now: Instant) -> Duration {
        now.since(self.heard)
    }

    /// How long ago the latest probe that has returned was sent.
    pub(super) fn proven_for(&self, now: Instant) -> Duration {
        now.since(self.proven)
    }

    /// For how long it has worked without a doubt.
    pub(super) fn good_for(&self, now: Instant) -> Duration {
        if self.state == State::Good { now.since(self.good_since) } else { Duration::ZERO }
    }

    /// It is left, whatever its probes say: for a while others are preferred.
    pub(super) fn on_doubt(&mut self, doubt: Doubt, now: Instant) {
        self.doubted = Some((now, doubt));
    }

    /// When it was left though its probes return, and why, unless that is long ago.
    pub(super) fn doubted(&self, now: Instant) -> Option<(Instant, Doubt)> {
        self.doubted.filter(|(doubted, _)| now.since(*doubted) < DOUBTED_FOR)
    }

    /// The neighbor that it leads to first.
    pub(super) fn first_hop(&self) -> Option<PeerId> {
        self.path.first_hop()
    }

    /// Its relays, as the two ends name them to each other: for the link between them stands who names it.
    pub(super) fn blamed(&self) -> Vec<PeerId> {
        if self.path.relays().is_empty() {
            self.path.hops.first().copied().into_iter().collect()
        } else {
            self.relays()
        }
    }

    /// Whether it leads over one of these relays, or is the link that one of the two ends stands for.
    pub(super) fn shares(&self, relays: &[Tag]) -> bool {
        let over = if self.path.relays().is_empty() { &self.path.hops } else { self.path.relays() };
        over.iter().any(|node| relays.contains(&node.tag()))
    }

    pub(super) fn probe_at_once(&mut self, now: Instant) {
        self.next_probe = self.next_probe.min(now);
    }

    /// Whether more probes are to tell soon what is the matter: one that is lost says little.
    pub(super) fn is_suspect(&self) -> bool {
        matches!(self.state, State::Fresh | State::Overdue | State::Late)
    }

    pub(super) fn on_broken(&mut self) {
        self.state = State::Dead;
        self.returns = 0;
    }

    /// Judges the silence, and says whether a probe is due (and counts it as sent).
    pub(super) fn wake(&mut self, config: &Config, interval: Duration, rng: &mut Rng, now: Instant) -> Option<u64> {
        let probing = &config.probing;
        let due = self.next_probe <= now;
        self.queued = self.queued.filter(|(seen, _)| now.since(*seen) < QUEUED_FOR);
        // Returns may wait in the mailbox of a process that was late: it doubts itself first.
        if now.since(self.deadline(config)) > config.hedge_after / 2 {
            self.excused = now;
        }
        // Woken late by several intervals: this process was starved, and may have missed the returns by its own fault.
        if due && self.nonce > 0 && now.since(self.next_probe) > probing.interval {
            self.outstanding.clear();
            self.heard = self.heard.max(now);
        }
        let before = self.state;
        self.judge(config, now);
        if before == State::Good && self.state != before {
            self.next_probe = self.next_probe.min(now + probing.interval);
        }
        if !due {
            return None;
        }
        self.nonce += 1;
        if self.outstanding.len() >= OUTSTANDING_MAX {
            self.outstanding.pop_front();
        }
        self.outstanding.push_back((self.nonce, now));
        self.next_probe = now + rng.jitter(interval, 10);
        Some(self.nonce)
    }

    fn judge(&mut self, config: &Config, now: Instant) {
        let probing = &config.probing;
        let Some((_, oldest)) = self.outstanding.front() else { return };
        let silence = now.since(*oldest.max(&self.heard));
        if silence >= probing.dead_after && self.state != State::Dead {
            self.state = State::Dead;
            self.returns = 0;
        } else if silence >= self.late_after(config) && self.state > State::Late {
            self.state = State::Late;
        } else if self.state == State::Good && self.overdue_at(config).is_some_and(|at| at <= now) {
            self.state = State::Overdue;
        }
        while self.outstanding.front().is_some_and(|(_, sent)| now.since(*sent) >= probing.dead_after) {
            self.outstanding.pop_front();
        }
    }

    pub(super) fn deadline(&self, config: &Config) -> Instant {
        let verdict =
            self.outstanding.front().map(|(_, oldest)| *oldest.max(&self.heard)).and_then(|since| match self.state {
                State::Good => self.overdue_at(config).into_iter().chain([since + self.late_after(config)]).min(),
                State::Fresh | State::Overdue => Some(since + self.late_after(config)),
                State::Late => Some(since + config.probing.dead_after),
                State::Dead => None,
            });
        verdict.map_or(self.next_probe, |at| at.min(self.next_probe))
    }

    /// When the oldest probe that may still return has taken longer than probes of this path do.
    fn overdue_at(&self, config: &Config) -> Option<Instant> {
        if config.hedge_after.is_zero() {
            return None;
        }
        let (_, sent) = self.outstanding.front()?;
        Some(*sent.max(&self.excused) + self.rtt.overdue_after(config.hedge_after)?)
    }

    /// A far path may take its time: several of its own round trips; and so may one whose queue bulk has filled before.
    fn late_after(&self, config: &Config) -> Duration {
        let queued = self.queued.map_or(Duration::ZERO, |(_, rtt)| (rtt * 2).min(config.probing.dead_after / 2));
        config.probing.late_after.max(self.rtt.smoothed() * 4).max(queued)
    }
}

/// A path as it is told.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PathView {
    /// The path.
    pub path: Path,
    /// Its state.
    pub state: PathState,
    /// Smoothed round trip of its probes; zero while unknown.
    pub rtt: Duration,
    /// How frames are sent over it; `None` for a path that is not under watch.
    pub way: Option<Way>,
    /// The lanes whose traffic takes it; none unless traffic is spread.
    pub lanes: Vec<u8>,
}

impl PathView {
    pub(super) fn spare(path: Path) -> Self {
        Self { path, state: PathState::Spare, rtt: Duration::ZERO, way: None, lanes: Vec::new() }
    }
}

/// The states of a path as they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum PathState {
    /// Traffic takes it.
    InUse,
    /// Traffic takes it as well, because a probe of the path in use is overdue.
    Hedge,
    /// Probed and ready.
    Warm,
    /// A probe is overdue.
    Overdue,
    /// Its probes have been overdue for long.
    Late,
    /// Its probes do not come back.
    Dead,
    /// Known, not watched.
    Spare,
}

impl PathState {
    /// The state's name.
    pub const fn name(self) -> &'static str {
        match self {
            PathState::InUse => "in-use",
            PathState::Hedge => "hedge",
            PathState::Warm => "warm",
            PathState::Overdue => "overdue",
            PathState::Late => "late",
            PathState::Dead => "dead",
            PathState::Spare => "spare",
        }
    }
}

/// Most probes of one path that are remembered as under way.
const OUTSTANDING_MAX: usize = 64;
/// How long a path is avoided that was left though its probes return.
pub const DOUBTED_FOR: Duration = Duration::from_secs(60);
/// How long a path may take longer whose queue was seen to be full.
const QUEUED_FOR: Duration = Duration::from_secs(60);
/// Returns in a row before a path that was dead carries traffic again.
const RETURNS_TO_TRUST: u32 = 2;
