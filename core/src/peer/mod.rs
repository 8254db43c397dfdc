//! The peer role: the life of the link to one neighbor.
//!
//! It hears what becomes of dials, links and probes, and asks for dials, probes and reports. Invariant: a link counts as
//! up only while round trips over it come back, because a packet that merely arrived proves the other direction only: no
//! probe of a link that is up is overdue, and the last probe was sent no longer ago than the link's pace allows (see
//! [`Probing`]).

mod link;
mod measure;
mod report;

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use link::Probing;
pub use measure::{ProbeWindow, Rtt};
pub use report::{LinkReport, LinkState};

use crate::latency::Latencies;
use crate::limits::ADDRESSES_MAX;
use crate::rng::Rng;
use crate::{Instant, Label, LinkId, Machine, PeerId};
use link::Link;

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Frames other than probes of this link and their echoes were sent or received over it in the last second; said
    /// again and again while that lasts.
    Carrying {
        /// The link; an older one than the current is ignored.
        link: LinkId,
    },
    /// A plan wants the link re-established now.
    RedialRequested,
    /// The neighbor is not wanted any more: the role ends.
    Forgotten,
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
    /// How the link is; sent on every change, and with its probes, though at most once a second.
    Report(LinkReport),
    /// There is nothing more to say of this neighbor: the last word of the role, which can be taken away now.
    Gone {
        /// Which neighbor.
        peer: PeerId,
    },
}

/// The role.
#[derive(Debug)]
pub struct Peer {
    peer: PeerId,
    probing: Probing,
    rng: Rng,
    addresses: Vec<SocketAddr>,
    link: Option<Link>,
    /// Of probes and of dials, over all links that this neighbor had.
    window: ProbeWindow,
    /// Over all links that this neighbor had.
    latencies: Latencies,
    dial: Dial,
    established: u64,
    carries_until: Instant,
    next_report: Instant,
    /// It has said its last word.
    gone: bool,
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
            window: ProbeWindow::default(),
            latencies: Latencies::default(),
            dial: Dial { next: None, in_flight: false, attempts: 0 },
            established: 0,
            carries_until: now,
            next_report: now,
            gone: false,
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
            probes_returned: link.map_or(0, |l| l.loss.returned),
            probes_lost: link.map_or(0, |l| l.loss.lost),
            heard: link.map(Link::heard),
            established: self.established,
            probed_every: link.map_or(Duration::ZERO, |l| l.pace(&self.probing)),
            carries_until: self.carries_until,
            failing: self.window.is_failing(),
            latency: self.latencies.summary(),
        }
    }

    fn on_link_established(&mut self, id: LinkId, label: Label, now: Instant, effects: &mut Vec<Effect>) {
        self.dial = Dial { next: None, in_flight: false, attempts: 0 };
        self.established += 1;
        if let Some(old) = self.link.replace(Link::new(id, label, now)) {
            old.end(&self.probing, &mut self.window, now);
        }
        effects.push(Effect::SetUsable { link: id, usable: true });
        self.tell(now, effects);
    }

    fn on_link_closed(&mut self, id: LinkId, now: Instant, effects: &mut Vec<Effect>) {
        if let Some(link) = self.link.take_if(|link| link.id == id) {
            link.end(&self.probing, &mut self.window, now);
            // Not at once: the end of a link that was replaced is told just before its successor, and a dial then
            // would replace that one in turn, without end.
            self.dial.next = Some(now + self.rng.jitter(REDIAL_MIN, 20));
            self.tell(now, effects);
        }
    }

    fn on_dial_failed(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        self.dial.in_flight = false;
        if self.link.is_none() {
            let was_failing = self.window.is_failing();
            self.window.note(true);
            if self.window.is_failing() != was_failing {
                self.tell(now, effects);
            }
            let backoff = REDIAL_MIN * 2u32.saturating_pow(self.dial.attempts.min(6));
            self.dial.attempts = self.dial.attempts.saturating_add(1);
            self.dial.next = Some(now + self.rng.jitter(backoff.min(REDIAL_MAX), 20));
        }
    }

    fn on_probe_returned(&mut self, id: LinkId, nonce: u64, rtt: Duration, now: Instant, effects: &mut Vec<Effect>) {
        let Some(link) = self.link.as_mut().filter(|l| l.id == id) else { return };
        let was_failing = self.window.is_failing();
        if !link.on_returned(nonce, rtt, &self.probing, &mut self.window, now) {
            return;
        }
        self.latencies.sample(rtt);
        let (recovers, measured) = (link.recovers(), link.returns == 1);
        if recovers {
            effects.push(Effect::SetUsable { link: id, usable: true });
        }
        if recovers || measured || self.window.is_failing() != was_failing {
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

    fn watch(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Some(link) = self.link.as_mut() else { return };
        let was = (link.state, self.window.is_failing());
        link.excuse(&self.probing, now);
        link.judge(&self.probing, &mut self.window, now, effects);
        link.probe_if_due(&self.probing, &self.window, &mut self.rng, now, effects);
        if (link.state, self.window.is_failing()) != was || self.next_report <= now {
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
        if self.gone {
            return;
        }
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
            Input::DialFailed => self.on_dial_failed(now, effects),
            Input::ProbeReturned { link, nonce, rtt } => self.on_probe_returned(link, nonce, rtt, now, effects),
            Input::Carrying { link } => {
                if let Some(link) = self.link.as_mut().filter(|l| l.id == link) {
                    link.on_carrying(now);
                    self.carries_until = link.carries_until;
                }
            }
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
            Input::Forgotten => {
                self.gone = true;
                return effects.push(Effect::Gone { peer: self.peer });
            }
        }
        self.wake(now, effects);
    }

    fn wake(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if self.gone {
            return;
        }
        self.dial_if_due(now, effects);
        self.watch(now, effects);
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.link {
            _ if self.gone => None,
            Some(link) => Some(link.deadline(&self.probing)),
            None if self.dial.in_flight || self.addresses.is_empty() => None,
            None => self.dial.next,
        }
    }
}

/// First wait before another dial, after a link has ended or a dial has failed; doubles with every failure.
const REDIAL_MIN: Duration = Duration::from_millis(100);
/// Longest wait between dials.
const REDIAL_MAX: Duration = Duration::from_secs(5);
/// Time between reports of a link that does not change.
const REPORT_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests;
