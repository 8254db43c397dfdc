//! The peer role: the life of the link to one neighbor.
//!
//! It hears what becomes of dials, links and probes, and asks for dials, probes and reports. Invariant: a link counts as
//! up only while round trips over it come back, because a packet that merely arrived proves the other direction only.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;

use crate::limits::ADDRESSES_MAX;
use crate::rng::Rng;
use crate::{Instant, Label, LinkId, Machine, PeerId};

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Input {
    /// Where the neighbor can be dialed: from the configuration, the store, or its node record.
    AddressesLearned(Vec<SocketAddr>),
    /// A link was established, by either side; it replaces an older one.
    LinkEstablished {
        /// The new link.
        link: LinkId,
        /// This node's label for it.
        label: Label,
    },
    /// The link's connection ended.
    LinkClosed {
        /// The link that ended; an older one than the current is ignored.
        link: LinkId,
    },
    /// A dial that was asked for did not end in a link.
    DialFailed,
    /// A probe came back.
    ProbeReturned {
        /// Over which link.
        link: LinkId,
        /// The probe's number.
        nonce: u64,
        /// Its round trip.
        rtt: Duration,
    },
    /// A plan wants the link re-established now.
    RedialRequested,
    /// Somebody who was restarted wants to know how the link is.
    ReportRequested,
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// Dial the neighbor; comes back as `LinkEstablished` or `DialFailed`.
    Dial {
        /// Whom.
        peer: PeerId,
        /// Where.
        address: SocketAddr,
    },
    /// Close a link that is past hope; comes back as `LinkClosed`.
    CloseLink {
        /// Which.
        link: LinkId,
    },
    /// Send a probe; comes back as `ProbeReturned`, or not.
    Probe {
        /// Over which link.
        link: LinkId,
        /// The probe's number.
        nonce: u64,
    },
    /// Let the datapath use the link, or not; nothing comes back.
    SetUsable {
        /// Which.
        link: LinkId,
        /// Whether frames may be sent over it.
        usable: bool,
    },
    /// How the link is; sent on every change, and about once a second while it is up.
    Report(LinkReport),
}

/// How a neighbor's link is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LinkReport {
    /// The neighbor.
    pub peer: PeerId,
    /// The link and this node's label for it; `None` while there is no connection.
    pub link: Option<(LinkId, Label)>,
    /// Its state.
    pub state: LinkState,
    /// Smoothed round trip.
    pub rtt: Duration,
    /// Lost probes, in thousandths.
    pub loss_permille: u16,
    /// How often a link to this neighbor was established.
    pub established: u64,
}

/// The states of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum LinkState {
    /// No connection, or none yet.
    Dialing,
    /// Connected, but probes do not come back.
    Down,
    /// Probes are overdue.
    Late,
    /// Probes come back.
    Up,
}

impl LinkState {
    /// Whether frames may be sent over the link.
    pub const fn is_usable(self) -> bool {
        matches!(self, LinkState::Up | LinkState::Late)
    }

    /// The state's name.
    pub const fn name(self) -> &'static str {
        match self {
            LinkState::Dialing => "dialing",
            LinkState::Down => "down",
            LinkState::Late => "late",
            LinkState::Up => "up",
        }
    }
}

/// How often to probe, and what silence means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Probing {
    /// Time between probes.
    pub interval: Duration,
    /// Silence after which a link or path is late: traffic moves elsewhere, nobody is accused.
    pub late_after: Duration,
    /// Silence after which it is down.
    pub dead_after: Duration,
}

/// The role.
#[derive(Debug)]
pub struct Peer {
    peer: PeerId,
    probing: Probing,
    rng: Rng,
    addresses: Vec<SocketAddr>,
    link: Option<Link>,
    dial: Dial,
    established: u64,
    next_report: Instant,
}

#[derive(Debug)]
struct Link {
    id: LinkId,
    label: Label,
    state: LinkState,
    rtt: Rtt,
    loss: Loss,
    nonce: u64,
    outstanding: VecDeque<(u64, Instant)>,
    next_probe: Instant,
    /// Silence is counted from here: the last return, or the moment from which this node could have heard one.
    heard: Instant,
    returns_since_down: u32,
    down_since: Option<Instant>,
}

#[derive(Debug)]
struct Dial {
    next: Option<Instant>,
    in_flight: bool,
    attempts: u32,
}

impl Peer {
    /// The role for the neighbor `peer`, without a link.
    pub fn new(peer: PeerId, probing: Probing, seed: u64, now: Instant) -> Self {
        Self {
            peer,
            probing,
            rng: Rng::from_seed(seed),
            addresses: Vec::new(),
            link: None,
            dial: Dial { next: None, in_flight: false, attempts: 0 },
            established: 0,
            next_report: now,
        }
    }

    /// How the link is now.
    pub fn report(&self) -> LinkReport {
        let link = self.link.as_ref();
        LinkReport {
            peer: self.peer,
            link: link.map(|l| (l.id, l.label)),
            state: link.map_or(LinkState::Dialing, |l| l.state),
            rtt: link.map_or(Duration::ZERO, |l| l.rtt.smoothed()),
            loss_permille: link.map_or(0, |l| l.loss.permille()),
            established: self.established,
        }
    }

    fn on_link_established(&mut self, id: LinkId, label: Label, now: Instant, effects: &mut Vec<Effect>) {
        self.dial = Dial { next: None, in_flight: false, attempts: 0 };
        self.established += 1;
        self.link = Some(Link::new(id, label, now));
        effects.push(Effect::SetUsable { link: id, usable: true });
        self.tell(now, effects);
    }

    fn on_link_closed(&mut self, id: LinkId, now: Instant, effects: &mut Vec<Effect>) {
        if self.link.as_ref().is_some_and(|l| l.id == id) {
            self.link = None;
            // Not at once: the end of a link that was replaced is told just before its successor, and a dial then
            // would replace that one in turn, without end.
            self.dial.next = Some(now + self.rng.jitter(REDIAL_MIN, 20));
            self.tell(now, effects);
        }
    }

    fn on_dial_failed(&mut self, now: Instant) {
        self.dial.in_flight = false;
        if self.link.is_none() {
            let backoff = REDIAL_MIN * 2u32.saturating_pow(self.dial.attempts.min(6));
            self.dial.attempts = self.dial.attempts.saturating_add(1);
            self.dial.next = Some(now + self.rng.jitter(backoff.min(REDIAL_MAX), 20));
        }
    }

    fn on_probe_returned(&mut self, id: LinkId, nonce: u64, rtt: Duration, now: Instant, effects: &mut Vec<Effect>) {
        let Some(link) = self.link.as_mut().filter(|l| l.id == id) else { return };
        if !link.on_returned(nonce, rtt, now) {
            return;
        }
        let was = link.state;
        if was == LinkState::Late || (was == LinkState::Down && link.returns_since_down >= RETURNS_TO_TRUST) {
            link.state = LinkState::Up;
            link.down_since = None;
            effects.push(Effect::SetUsable { link: id, usable: true });
            self.tell(now, effects);
        }
    }

    fn dial_if_due(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.link.is_some() || self.dial.in_flight || self.dial.next.is_none_or(|at| at > now) {
            return;
        }
        self.dial.next = None;
        if self.addresses.is_empty() {
            return;
        }
        let address = self.addresses[self.dial.attempts as usize % self.addresses.len()];
        self.dial.in_flight = true;
        effects.push(Effect::Dial { peer: self.peer, address });
    }

    fn probe_if_due(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Some(link) = self.link.as_mut().filter(|l| l.next_probe <= now) else { return };
        // A wake that comes late by a whole interval means that this process was starved: it may have missed the
        // returns by its own fault, so silence is counted afresh before anybody is judged.
        if now.since(link.next_probe) > self.probing.interval && link.nonce > 0 {
            link.heard = link.heard.max(now);
        }
        link.nonce += 1;
        link.outstanding.push_back((link.nonce, now));
        effects.push(Effect::Probe { link: link.id, nonce: link.nonce });
        link.next_probe = now + self.rng.jitter(self.probing.interval, 10);
    }

    fn judge(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Some(link) = self.link.as_mut() else { return };
        link.forget_lost(now, self.probing.dead_after);
        let silence = if link.outstanding.is_empty() && link.state == LinkState::Up {
            Duration::ZERO
        } else {
            now.since(link.heard)
        };
        let overdue = link.outstanding.front().map_or(Duration::ZERO, |(_, sent)| now.since(*sent));
        let was = link.state;
        if link.state.is_usable() && silence >= self.probing.dead_after {
            link.state = LinkState::Down;
            link.returns_since_down = 0;
            link.down_since = Some(now);
            effects.push(Effect::SetUsable { link: link.id, usable: false });
        } else if link.state == LinkState::Up
            && overdue >= self.probing.late_after
            && silence >= self.probing.late_after
        {
            link.state = LinkState::Late;
        }
        if link.down_since.is_some_and(|since| now.since(since) >= CLOSE_AFTER) {
            link.down_since = Some(now);
            effects.push(Effect::CloseLink { link: link.id });
        }
        if link.state != was {
            self.tell(now, effects);
        }
    }

    fn tell(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.next_report = now + REPORT_EVERY;
        effects.push(Effect::Report(self.report()));
    }
}

impl Machine for Peer {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, now: Instant, effects: &mut Vec<Effect>) {
        match input {
            Input::AddressesLearned(mut addresses) => {
                addresses.truncate(ADDRESSES_MAX);
                if self.addresses.is_empty() && self.link.is_none() && !self.dial.in_flight {
                    self.dial.next = Some(now);
                }
                self.addresses = addresses;
            }
            Input::LinkEstablished { link, label } => self.on_link_established(link, label, now, effects),
            Input::LinkClosed { link } => self.on_link_closed(link, now, effects),
            Input::DialFailed => self.on_dial_failed(now),
            Input::ProbeReturned { link, nonce, rtt } => self.on_probe_returned(link, nonce, rtt, now, effects),
            Input::RedialRequested => match &self.link {
                Some(link) if link.state == LinkState::Down => effects.push(Effect::CloseLink { link: link.id }),
                Some(_) => {}
                // Soon, but not at once, for the same reason as after the end of a link.
                None => {
                    let soon = now + REDIAL_MIN;
                    let next = self.dial.next.map_or(soon, |at| at.min(soon));
                    self.dial = Dial { next: Some(next), in_flight: self.dial.in_flight, attempts: 0 };
                }
            },
            Input::ReportRequested => self.tell(now, effects),
        }
        self.wake(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.dial_if_due(now, effects);
        self.probe_if_due(now, effects);
        self.judge(now, effects);
        if self.link.is_some() && self.next_report <= now {
            self.tell(now, effects);
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.link {
            Some(link) => {
                let verdict = match link.state {
                    LinkState::Up => {
                        link.outstanding.front().map(|(_, sent)| *sent.max(&link.heard) + self.probing.late_after)
                    }
                    LinkState::Late => Some(link.heard + self.probing.dead_after),
                    LinkState::Down | LinkState::Dialing => None,
                };
                Some(verdict.map_or(link.next_probe, |at| at.min(link.next_probe)))
            }
            None if self.dial.in_flight || self.addresses.is_empty() => None,
            None => self.dial.next,
        }
    }
}

impl Link {
    fn new(id: LinkId, label: Label, now: Instant) -> Self {
        Self {
            id,
            label,
            state: LinkState::Up,
            rtt: Rtt::default(),
            loss: Loss::default(),
            nonce: 0,
            outstanding: VecDeque::new(),
            next_probe: now,
            heard: now,
            returns_since_down: 0,
            down_since: None,
        }
    }

    /// Takes a return into account; false if that probe is not outstanding (an echo of nothing proves nothing).
    fn on_returned(&mut self, nonce: u64, rtt: Duration, now: Instant) -> bool {
        let Some(at) = self.outstanding.iter().position(|(n, _)| *n == nonce) else { return false };
        // Earlier ones stay: they may be reordered, or lost.
        self.outstanding.remove(at);
        self.rtt.sample(rtt);
        self.loss.sample(false);
        self.heard = now;
        self.returns_since_down += 1;
        true
    }

    fn forget_lost(&mut self, now: Instant, after: Duration) {
        while self.outstanding.front().is_some_and(|(_, sent)| now.since(*sent) >= after) {
            self.outstanding.pop_front();
            self.loss.sample(true);
        }
    }
}

/// A smoothed round trip: the estimator of RFC 6298, section 2, with its gain of 1/8.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Rtt(Option<Duration>);

impl Rtt {
    /// Takes a measured round trip into account.
    pub fn sample(&mut self, rtt: Duration) {
        self.0 = Some(self.0.map_or(rtt, |smoothed| (smoothed * 7 + rtt) / 8));
    }

    /// The smoothed round trip; zero before the first sample.
    pub fn smoothed(&self) -> Duration {
        self.0.unwrap_or_default()
    }
}

/// The share of lost probes: an exponentially weighted mean with a gain of 1/16.
#[derive(Clone, Copy, Debug, Default, Serialize)]
struct Loss(u32);

impl Loss {
    fn sample(&mut self, lost: bool) {
        let target = if lost { 1_000_000 } else { 0 };
        self.0 = (self.0 * 15 + target) / 16;
    }

    fn permille(&self) -> u16 {
        (self.0 / 1000) as u16
    }
}

/// First wait before another dial, after a link has ended or a dial has failed; doubles with every failure.
const REDIAL_MIN: Duration = Duration::from_millis(100);
/// Longest wait between dials.
const REDIAL_MAX: Duration = Duration::from_secs(5);
/// Time between reports of a link that does not change.
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Returns in a row before a link that was down carries traffic again.
const RETURNS_TO_TRUST: u32 = 2;
/// How long a link may be down before its connection is closed, so that a fresh dial can find another way.
const CLOSE_AFTER: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const LINK: LinkId = LinkId(1);

    fn probing() -> Probing {
        Probing { interval: 100 * MS, late_after: 120 * MS, dead_after: 500 * MS }
    }

    fn feed(peer: &mut Peer, input: Input, ms: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        peer.handle(input, Instant::from_millis(ms), &mut effects);
        effects
    }

    fn wake(peer: &mut Peer, ms: u64) -> Vec<Effect> {
        let mut effects = Vec::new();
        peer.wake(Instant::from_millis(ms), &mut effects);
        effects
    }

    fn peer_with_link() -> Peer {
        let mut peer = Peer::new(PeerId::from_public_key([1; 32]), probing(), 1, Instant::BOOT);
        feed(&mut peer, Input::LinkEstablished { link: LINK, label: Label(7) }, 0);
        peer
    }

    /// Runs the peer's own deadlines up to `until_ms`, answering probes if `answer`.
    fn run(peer: &mut Peer, until_ms: u64, answer: bool) {
        while let Some(at) = peer.deadline().filter(|at| at.as_millis() < until_ms) {
            let mut effects = Vec::new();
            peer.wake(at, &mut effects);
            for effect in effects {
                if let (Effect::Probe { link, nonce }, true) = (effect, answer) {
                    peer.handle(Input::ProbeReturned { link, nonce, rtt: MS }, at + MS, &mut Vec::new());
                }
            }
        }
    }

    #[test]
    fn a_neighbor_with_an_address_is_dialed_at_once() {
        let mut peer = Peer::new(PeerId::from_public_key([1; 32]), probing(), 1, Instant::BOOT);
        let address = "127.0.0.1:1".parse().unwrap();
        let effects = feed(&mut peer, Input::AddressesLearned(vec![address]), 0);
        assert!(matches!(effects[..], [Effect::Dial { .. }]), "{effects:?}");
        assert_eq!(wake(&mut peer, 10), []);
    }

    #[test]
    fn failed_dials_back_off_up_to_a_bound() {
        let mut peer = Peer::new(PeerId::from_public_key([1; 32]), probing(), 1, Instant::BOOT);
        feed(&mut peer, Input::AddressesLearned(vec!["127.0.0.1:1".parse().unwrap()]), 0);
        let (mut now, mut waits) = (Instant::BOOT, Vec::new());
        for _ in 0..12 {
            peer.handle(Input::DialFailed, now, &mut Vec::new());
            let next = peer.deadline().unwrap();
            waits.push(next.since(now));
            now = next;
            let mut effects = Vec::new();
            peer.wake(now, &mut effects);
            assert!(matches!(effects[..], [Effect::Dial { .. }]));
        }
        assert!(waits[0] < 130 * MS && waits[4] > 1000 * MS, "{waits:?}");
        assert!(waits.iter().all(|w| *w <= REDIAL_MAX.mul_f32(1.2)), "{waits:?}");
    }

    #[test]
    fn a_link_whose_probes_return_stays_up() {
        let mut peer = peer_with_link();
        run(&mut peer, 10_000, true);
        let report = peer.report();
        assert_eq!((report.state, report.loss_permille, report.rtt), (LinkState::Up, 0, MS));
    }

    #[test]
    fn a_silent_link_is_late_then_down_then_closed() {
        let mut peer = peer_with_link();
        run(&mut peer, 300, false);
        assert_eq!(peer.report().state, LinkState::Late);
        run(&mut peer, 800, false);
        assert_eq!(peer.report().state, LinkState::Down);
        let mut closed = false;
        while let Some(at) = peer.deadline().filter(|at| at.as_millis() < 10_000) {
            let mut effects = Vec::new();
            peer.wake(at, &mut effects);
            closed |= effects.contains(&Effect::CloseLink { link: LINK });
        }
        assert!(closed);
    }

    #[test]
    fn a_link_that_was_down_is_trusted_after_two_returns() {
        let mut peer = peer_with_link();
        run(&mut peer, 900, false);
        assert_eq!(peer.report().state, LinkState::Down);
        run(&mut peer, 1300, true);
        assert_eq!(peer.report().state, LinkState::Up);
    }

    #[test]
    fn an_echo_of_nothing_proves_nothing() {
        let mut peer = peer_with_link();
        run(&mut peer, 900, false);
        for nonce in 1000..1010 {
            feed(&mut peer, Input::ProbeReturned { link: LINK, nonce, rtt: MS }, 900);
        }
        assert_eq!(peer.report().state, LinkState::Down);
    }

    #[test]
    fn a_starved_process_does_not_accuse() {
        let mut peer = peer_with_link();
        run(&mut peer, 200, true);
        wake(&mut peer, 210);
        // Nothing ran for three seconds: the first wake afterwards must not judge.
        wake(&mut peer, 3_300);
        assert_eq!(peer.report().state, LinkState::Up);
    }

    #[test]
    fn a_closed_link_is_dialed_again() {
        let mut peer = peer_with_link();
        feed(&mut peer, Input::AddressesLearned(vec!["127.0.0.1:1".parse().unwrap()]), 1);
        feed(&mut peer, Input::LinkClosed { link: LINK }, 2);
        let effects = wake(&mut peer, 150);
        assert!(matches!(effects[..], [Effect::Dial { .. }]), "{effects:?}");
        assert_eq!(feed(&mut peer, Input::LinkClosed { link: LINK }, 151), []);
    }

    #[test]
    fn a_link_that_was_replaced_is_not_dialed_again() {
        let mut peer = peer_with_link();
        feed(&mut peer, Input::AddressesLearned(vec!["127.0.0.1:1".parse().unwrap()]), 1);
        let mut effects = feed(&mut peer, Input::LinkClosed { link: LINK }, 2);
        effects.extend(feed(&mut peer, Input::RedialRequested, 2));
        effects.extend(feed(&mut peer, Input::LinkEstablished { link: LinkId(2), label: Label(7) }, 2));
        for ms in (10..300).step_by(10) {
            effects.extend(wake(&mut peer, ms));
        }
        assert!(!effects.iter().any(|e| matches!(e, Effect::Dial { .. })), "{effects:?}");
    }
}
