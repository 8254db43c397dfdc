//! One link under watch.

use std::time::Duration;

use serde::Serialize;

use crate::incident::{Evidence, IncidentKind};
use crate::monitor::detectors::{Doubt, Edge, Forecast, Hold, LatencyShift, LossShift, OneWay, Tolerance};
use crate::monitor::sample::LinkSample;
use crate::peer::{LinkReport, LinkState};
use crate::{Instant, PeerId, Rejected};

use super::Finding;

/// What a link is like now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LinkFigures {
    /// Smoothed round trip.
    pub rtt: Duration,
    /// How much round trips differ from one report to the next: the mean deviation with a gain of 1/16, as RFC 3550
    /// (section 6.4.1) has it for transit times.
    pub jitter: Duration,
    /// Lost probes, in thousandths: there and back.
    pub loss_permille: u16,
    /// Bytes of frames sent per second.
    pub sent_per_second: u64,
    /// Bytes of frames heard per second.
    pub heard_per_second: u64,
}

/// Whether a link is as it used to be.
#[derive(Debug)]
pub(in crate::monitor) struct LinkWatch {
    peer: PeerId,
    loss: LossShift,
    latency: LatencyShift,
    ahead: Forecast,
    one_way: OneWay,
    refusals: Hold,
    /// Probes returned and lost at the last report, if they may be compared with the next.
    probes: Option<(u64, u64)>,
    /// The last sample of each second.
    sampled: Option<(Instant, LinkSample)>,
    pub(in crate::monitor) figures: LinkFigures,
}

impl LinkWatch {
    pub(in crate::monitor) fn new(peer: PeerId, rtt_limit: Duration) -> Self {
        Self {
            peer,
            loss: LossShift::default(),
            latency: LatencyShift::new(BORNE),
            ahead: Forecast::new(rtt_limit),
            one_way: OneWay::new(),
            refusals: Hold::new(3, 3),
            probes: None,
            sampled: None,
            figures: LinkFigures::default(),
        }
    }

    /// How the peer role sees it.
    pub(in crate::monitor) fn on_reported(
        &mut self,
        report: &LinkReport,
        doubt: &Doubt,
        now: Instant,
        found: &mut Vec<Finding>,
    ) {
        let peer = self.peer;
        let figures = &mut self.figures;
        figures.jitter = (figures.jitter * 15 + figures.rtt.abs_diff(report.rtt)) / 16;
        (figures.rtt, figures.loss_permille) = (report.rtt, report.loss_permille);
        if report.link.is_some() {
            let answered = report.state == LinkState::Up || doubt_of_own(doubt, now);
            found.extend(self.one_way.answered(answered, now).map(|v| (IncidentKind::LinkOneWay { peer }, v)));
        }
        // What a link loses that is down says nothing about what it loses when it is not. One that is late has just lost
        // something, or it would not be late.
        if !report.state.is_usable() || !doubt.is_trusted(now) {
            self.probes = None;
            return;
        }
        let probes = (report.probes_returned, report.probes_lost);
        if let Some((returned, lost)) = self.probes.filter(|(r, l)| *r <= probes.0 && *l <= probes.1) {
            let edge = self.loss.observe(probes.1 - lost, probes.0 - returned, now);
            found.extend(edge.map(|v| (IncidentKind::LinkLossy { peer }, v)));
            if probes.0 > returned {
                found.extend(self.latency.observe(report.rtt).map(|v| (IncidentKind::LinkSlow { peer }, v)));
                found.extend(self.ahead.observe(report.rtt, now).map(|v| (IncidentKind::BreachAhead { peer }, v)));
            }
        }
        self.probes = Some(probes);
    }

    /// What the datapath has counted.
    pub(in crate::monitor) fn observe(
        &mut self,
        sample: LinkSample,
        doubt: &Doubt,
        now: Instant,
        found: &mut Vec<Finding>,
    ) {
        let peer = self.peer;
        let edge = self.one_way.heard(sample.heard, doubt, now);
        found.extend(edge.map(|v| (IncidentKind::LinkOneWay { peer }, v)));
        let Some((at, last)) = &self.sampled else {
            self.sampled = Some((now, sample));
            return;
        };
        let within = now.since(*at);
        if within < SECOND {
            return;
        }
        let rate = |now: u64, before: u64| {
            let nanos = within.as_nanos().max(1);
            (u128::from(now.saturating_sub(before)) * 1_000_000_000 / nanos) as u64
        };
        self.figures.sent_per_second = rate(sample.sent_bytes, last.sent_bytes);
        self.figures.heard_per_second = rate(sample.heard_bytes, last.heard_bytes);
        let refused = |i: usize| sample.rejected[i].saturating_sub(last.rejected[i]);
        let worst = (0..Rejected::ALL.len()).max_by_key(|i| refused(*i)).unwrap_or_default();
        let per_second = rate(refused(worst), 0);
        if let Some(raised) = self.refusals.observe(per_second >= REFUSALS_PER_SECOND) {
            let evidence = Evidence::Refused { reason: Rejected::ALL[worst], count: refused(worst), within };
            let edge = if raised { Edge::Wrong(evidence) } else { Edge::Well };
            found.push((IncidentKind::Refusals { peer }, edge));
        }
        self.sampled = Some((now, sample));
    }
}

/// Whether this process cannot tell silence from its own absence.
fn doubt_of_own(doubt: &Doubt, now: Instant) -> bool {
    !doubt.is_trusted(now)
}

/// A shift below this is no illness of a link, but somebody else's traffic.
const BORNE: Tolerance = Tolerance { shift: Duration::from_millis(30), factor: 2 };
/// Refused frames per second that are more than leftovers.
const REFUSALS_PER_SECOND: u64 = 50;
/// How long rates are taken over, at least.
const SECOND: Duration = Duration::from_secs(1);
