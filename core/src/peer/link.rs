//! One link under watch: when it is probed, and what the answers, or their absence, say about it.
//!
//! A link is probed at one of two paces. While it is *hurried* a probe leaves every [`Probing::interval`]: it carries
//! frames, is fresh, is anything but up, has a probe overdue, or one of its last ten probes failed. Every other link is
//! *at rest* and probed every [`Probing::idle_interval`]. A link at rest that becomes hurried is probed at once.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::measure::{Loss, ProbeWindow, Rtt};
use super::{Effect, LinkState};
use crate::rng::Rng;
use crate::{Instant, Label, LinkId};

/// How often to probe, and what silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probing {
    /// Time between probes of what carries traffic, or is under suspicion.
    pub interval: Duration,
    /// Time between probes of a link at rest; at least `interval`. Paths are probed only while they may be needed: they
    /// have no use for it.
    pub idle_interval: Duration,
    /// How long a probe may take until a link or path is late: traffic moves elsewhere, nobody is accused.
    pub late_after: Duration,
    /// Silence after which it is down; more than `interval`.
    pub dead_after: Duration,
}

#[derive(Debug)]
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) label: Label,
    pub(super) state: LinkState,
    pub(super) rtt: Rtt,
    pub(super) loss: Loss,
    born: Instant,
    nonce: u64,
    outstanding: VecDeque<(u64, Instant)>,
    next_probe: Instant,
    /// The last return, or the moment from which this node could have heard one.
    heard: Instant,
    /// When the first probe since `heard` was sent: nobody is silent who was not asked.
    asked: Option<Instant>,
    /// Until when it counts as carrying frames.
    pub(super) carries_until: Instant,
    hurried: bool,
    pub(super) returns: u32,
    /// The shortest round trip so far, which tells how far away the neighbor is.
    nearest: Option<Duration>,
    returns_since_down: u32,
    down_since: Option<Instant>,
}

impl Link {
    pub(super) fn new(id: LinkId, label: Label, now: Instant) -> Self {
        Self {
            id,
            label,
            state: LinkState::Up,
            rtt: Rtt::default(),
            loss: Loss::default(),
            born: now,
            nonce: 0,
            outstanding: VecDeque::new(),
            next_probe: now,
            heard: now,
            asked: None,
            carries_until: now,
            hurried: true,
            returns: 0,
            nearest: None,
            returns_since_down: 0,
            down_since: None,
        }
    }

    /// The last return, or the moment from which this node could have heard one.
    pub(super) fn heard(&self) -> Instant {
        self.heard
    }

    /// Notes that frames other than its own probes pass over it.
    pub(super) fn on_carrying(&mut self, now: Instant) {
        self.carries_until = now + CARRIES_FOR;
    }

    /// Takes a return into account; false if that probe is not outstanding (an echo of nothing proves nothing).
    pub(super) fn on_returned(
        &mut self,
        nonce: u64,
        rtt: Duration,
        probing: &Probing,
        window: &mut ProbeWindow,
        now: Instant,
    ) -> bool {
        let Some(at) = self.outstanding.iter().position(|(n, _)| *n == nonce) else { return false };
        // Earlier ones stay: they may be reordered, or lost.
        self.outstanding.remove(at);
        if self.returns == 0 {
            // What was sent at the very first may have come before the neighbor had its end of the link: that is no loss.
            let ready = self.born + probing.late_after.max(rtt * 2);
            self.outstanding.retain(|(n, sent)| *n > nonce || *sent >= ready);
        }
        self.rtt.sample(rtt);
        self.nearest = Some(self.nearest.map_or(rtt, |nearest| nearest.min(rtt)));
        self.loss.sample(false);
        window.note(false);
        self.heard = now;
        self.asked = None;
        self.returns = self.returns.saturating_add(1);
        self.returns_since_down += 1;
        true
    }

    /// Whether this return made the link usable without doubt.
    pub(super) fn recovers(&mut self) -> bool {
        let trusted = match self.state {
            LinkState::Late => true,
            LinkState::Down => self.returns_since_down >= RETURNS_TO_TRUST,
            LinkState::Up | LinkState::Dialing => false,
        };
        if trusted {
            self.state = LinkState::Up;
            self.down_since = None;
        }
        trusted
    }

    /// Counts silence afresh if this process was starved: woken late by a whole interval, it may have missed the
    /// returns by its own fault. Comes before anybody is judged.
    pub(super) fn excuse(&mut self, probing: &Probing, now: Instant) {
        if now.since(self.deadline(probing)) > probing.interval {
            self.outstanding.clear();
            self.heard = now;
            self.asked = None;
            self.next_probe = now;
        }
    }

    /// The link is over, or another has taken its place: probes that are overdue will not return, and must not be forgotten.
    /// Or else a neighbor that is heard now and then would look well, if only its links are replaced often enough.
    pub(super) fn end(mut self, probing: &Probing, window: &mut ProbeWindow, now: Instant) {
        self.excuse(probing, now);
        let late_after = self.late_after(probing);
        let overdue = self.outstanding.iter().filter(|(_, sent)| now.since(*sent) >= late_after);
        overdue.for_each(|_| window.note(true));
    }

    /// Judges the silence.
    pub(super) fn judge(
        &mut self,
        probing: &Probing,
        window: &mut ProbeWindow,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        while self.outstanding.front().is_some_and(|(_, sent)| now.since(*sent) >= probing.dead_after) {
            self.outstanding.pop_front();
            self.loss.sample(true);
            window.note(true);
        }
        if self.state.is_usable() && self.down_at(probing).is_some_and(|at| at <= now) {
            self.state = LinkState::Down;
            self.returns_since_down = 0;
            self.down_since = Some(now);
            effects.push(Effect::SetUsable { link: self.id, usable: false });
        } else if self.state == LinkState::Up && self.late_at(probing).is_some_and(|at| at <= now) {
            self.state = LinkState::Late;
        }
        if self.down_since.is_some_and(|since| now.since(since) >= CLOSE_AFTER) {
            self.down_since = Some(now);
            effects.push(Effect::CloseLink { link: self.id });
        }
    }

    /// Sends a probe if one is due, at the pace that the link deserves now. Comes after the judgement.
    pub(super) fn probe_if_due(
        &mut self,
        probing: &Probing,
        window: &ProbeWindow,
        rng: &mut Rng,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let hurried = self.deserves_hurry(probing, window, now);
        if hurried && !self.hurried {
            self.next_probe = now;
        }
        self.hurried = hurried;
        if self.next_probe > now {
            return;
        }
        self.nonce += 1;
        self.outstanding.push_back((self.nonce, now));
        self.asked.get_or_insert(now);
        self.next_probe = now + rng.jitter(self.pace(probing), 10);
        effects.push(Effect::Probe { link: self.id, nonce: self.nonce });
    }

    /// The time between two probes as it is now.
    pub(super) fn pace(&self, probing: &Probing) -> Duration {
        if self.hurried { probing.interval } else { probing.idle_interval }
    }

    /// When there is something to do or to judge.
    pub(super) fn deadline(&self, probing: &Probing) -> Instant {
        let late = self.late_at(probing).filter(|_| self.state == LinkState::Up);
        let down = self.down_at(probing).filter(|_| self.state.is_usable());
        [late, down].into_iter().flatten().fold(self.next_probe, Instant::min)
    }

    fn deserves_hurry(&self, probing: &Probing, window: &ProbeWindow, now: Instant) -> bool {
        let overdue = self.outstanding.front().is_some_and(|(_, sent)| now.since(*sent) >= self.late_after(probing));
        now < self.carries_until
            || self.state != LinkState::Up
            || self.returns < RETURNS_TO_SETTLE
            || !window.is_clean()
            || overdue
    }

    /// When the link is late, unless something returns before.
    fn late_at(&self, probing: &Probing) -> Option<Instant> {
        Some(self.asked? + self.late_after(probing))
    }

    /// When the link is down, unless something returns before. Silence begins with the last return, but at most one
    /// interval before the first probe that is unanswered: at rest nobody was asked for longer than that.
    fn down_at(&self, probing: &Probing) -> Option<Instant> {
        let since_return = self.heard + probing.dead_after;
        let since_asked = self.asked? + probing.dead_after.saturating_sub(probing.interval);
        Some(since_return.max(since_asked))
    }

    /// A far neighbor may take its time: two round trips. The shortest one counts, for a neighbor that stood still once
    /// must not be given more patience for it.
    fn late_after(&self, probing: &Probing) -> Duration {
        probing.late_after.max(self.nearest.unwrap_or_default() * 2)
    }
}

/// How long a link counts as carrying after the shell last said so. The shell says so every half second or so while it
/// lasts, which bears the loss of single messages, and tells an actor that was restarted.
const CARRIES_FOR: Duration = Duration::from_secs(2);
/// Returns over a fresh link until its round trip is known well enough.
const RETURNS_TO_SETTLE: u32 = 5;
/// Returns in a row before a link that was down carries traffic again.
const RETURNS_TO_TRUST: u32 = 2;
/// How long a link may be down before its connection is closed, so that a fresh dial can find another way.
const CLOSE_AFTER: Duration = Duration::from_secs(5);
