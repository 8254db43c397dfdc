//! What sessions need to know of reroutes: packets lost with the old path say nothing of the new one.
//!
//! A session's peer keeps its address whatever path its packets take, so QUIC does not notice that the path has changed.
//! Left alone it takes the packets that were under way for a sign of congestion, and while a whole window is missing, it
//! sends nothing until a timer fires that has doubled with every failure.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use quinn::Connection;
use quinn::congestion::{Controller, ControllerFactory, ControllerMetrics, CubicConfig};
use quinn_proto::RttEstimator;

use prunella_core::limits::SESSIONS_MAX;

use crate::datapath::SessionName;

/// When the traffic for each peer and lane was last rerouted.
pub(super) struct Reroutes {
    start: Instant,
    by_name: Mutex<BTreeMap<SessionName, Weak<Reroute>>>,
}

/// When the traffic for one peer and lane was last rerouted; makes the congestion controllers of its sessions.
pub(super) struct Reroute {
    start: Instant,
    /// Nanoseconds since `start`; zero: never.
    at: AtomicU64,
}

impl Reroutes {
    pub(super) fn new() -> Self {
        Self { start: now(), by_name: Mutex::default() }
    }

    /// What the sessions of this name share.
    pub(super) fn of(&self, name: SessionName) -> Arc<Reroute> {
        let mut by_name = self.by_name.lock().expect("BUG: nothing panics while it holds the reroutes");
        if let Some(reroute) = by_name.get(&name).and_then(Weak::upgrade) {
            return reroute;
        }
        if by_name.len() >= 2 * SESSIONS_MAX {
            by_name.retain(|_, reroute| reroute.strong_count() > 0);
        }
        let reroute = Arc::new(Reroute { start: self.start, at: AtomicU64::new(0) });
        by_name.insert(name, Arc::downgrade(&reroute));
        reroute
    }

    /// Notes that the traffic of these sessions takes another path from now on. Returns whether there is one.
    pub(super) fn note(&self, name: SessionName) -> bool {
        let by_name = self.by_name.lock().expect("BUG: nothing panics while it holds the reroutes");
        let reroute = by_name.get(&name).and_then(Weak::upgrade);
        reroute.inspect(|reroute| reroute.at.store(reroute.nanos(now()), Ordering::Relaxed)).is_some()
    }
}

impl Reroute {
    fn nanos(&self, moment: Instant) -> u64 {
        u64::try_from(moment.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }
}

impl ControllerFactory for Reroute {
    fn build(self: Arc<Self>, now: Instant, current_mtu: u16) -> Box<dyn Controller> {
        let cubic = Arc::new(CubicConfig::default()).build(now, current_mtu);
        Box::new(Rerouted { confirmed: self.nanos(now), packets: 0, reroute: self, cubic })
    }
}

/// What a session's peer has acknowledged of what was sent to it. A frame of acknowledgments that says again what was said
/// before adds nothing to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Acknowledged {
    /// How many packets.
    pub(super) packets: u64,
    /// When the latest of them was sent; `None` before the first.
    pub(super) sent: Option<Instant>,
}

impl Acknowledged {
    /// As it is now: what the session's congestion controller was told.
    pub(super) fn of(session: &Connection) -> Self {
        let controller = session.congestion_state().into_any();
        controller.downcast_ref::<Rerouted>().map(Rerouted::acknowledged).unwrap_or_default()
    }
}

/// CUBIC (RFC 9438) that ignores what was lost with a path that is not used any more, and that allows a second window
/// until the new path is confirmed: what fills the first is presumed lost.
struct Rerouted {
    reroute: Arc<Reroute>,
    /// When the latest acknowledged packet was sent.
    confirmed: u64,
    /// How many packets were acknowledged.
    packets: u64,
    cubic: Box<dyn Controller>,
}

impl Rerouted {
    fn rerouted_at(&self) -> u64 {
        self.reroute.at.load(Ordering::Relaxed)
    }

    fn confirm(&mut self, sent: Instant) {
        self.confirmed = self.confirmed.max(self.reroute.nanos(sent));
        self.packets += 1;
    }

    fn acknowledged(&self) -> Acknowledged {
        let sent = self.reroute.start + Duration::from_nanos(self.confirmed);
        Acknowledged { packets: self.packets, sent: (self.packets > 0).then_some(sent) }
    }
}

impl Controller for Rerouted {
    fn on_sent(&mut self, now: Instant, bytes: u64, last_packet_number: u64) {
        self.cubic.on_sent(now, bytes, last_packet_number);
    }

    fn on_ack(&mut self, now: Instant, sent: Instant, bytes: u64, app_limited: bool, rtt: &RttEstimator) {
        self.confirm(sent);
        self.cubic.on_ack(now, sent, bytes, app_limited, rtt);
    }

    fn on_end_acks(&mut self, now: Instant, in_flight: u64, app_limited: bool, largest_acked: Option<u64>) {
        self.cubic.on_end_acks(now, in_flight, app_limited, largest_acked);
    }

    fn on_congestion_event(&mut self, now: Instant, sent: Instant, is_persistent: bool, lost_bytes: u64) {
        if self.reroute.nanos(sent) >= self.rerouted_at() {
            self.cubic.on_congestion_event(now, sent, is_persistent, lost_bytes);
        }
    }

    fn on_mtu_update(&mut self, new_mtu: u16) {
        self.cubic.on_mtu_update(new_mtu);
    }

    fn window(&self) -> u64 {
        let window = self.cubic.window();
        if self.confirmed < self.rerouted_at() { window.saturating_mul(2) } else { window }
    }

    fn metrics(&self) -> ControllerMetrics {
        self.cubic.metrics()
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        let (reroute, confirmed, packets) = (self.reroute.clone(), self.confirmed, self.packets);
        Box::new(Self { reroute, confirmed, packets, cubic: self.cubic.clone_box() })
    }

    fn initial_window(&self) -> u64 {
        self.cubic.initial_window()
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

/// The time by which quinn tells its congestion controllers what happened when: the runtime's.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests {
    use prunella_core::Tag;

    use super::*;

    const PEER: SessionName = SessionName::first(Tag(7));

    #[test]
    fn losses_of_the_old_path_do_not_shrink_the_window_and_those_of_the_new_one_do() {
        let reroutes = Reroutes::new();
        let before = Instant::now();
        let mut controller = reroutes.of(PEER).build(before, 1200);
        let window = controller.window();
        assert!(reroutes.note(PEER));
        let after = Instant::now();
        controller.on_congestion_event(after, before, false, 1200);
        assert_eq!(controller.window(), 2 * window, "and a second window is open");
        controller.on_congestion_event(after, after + Duration::from_millis(1), false, 1200);
        assert!(controller.window() < 2 * window);
    }

    #[test]
    fn what_was_acknowledged_is_counted_by_packets_and_the_latest_is_known() {
        let start = Instant::now();
        let built = Reroutes::new().of(PEER).build(start, 1200).into_any();
        let mut controller = *built.downcast::<Rerouted>().unwrap();
        assert_eq!(controller.acknowledged(), Acknowledged::default());
        let at = |ms| start + Duration::from_millis(ms);
        controller.confirm(at(7));
        controller.confirm(at(3));
        let copy = controller.clone_box().into_any().downcast::<Rerouted>().unwrap();
        assert_eq!(copy.acknowledged(), Acknowledged { packets: 2, sent: Some(at(7)) });
    }

    #[test]
    fn without_a_reroute_it_is_cubic() {
        let reroutes = Reroutes::new();
        let mut controller = reroutes.of(PEER).build(Instant::now(), 1200);
        let window = controller.window();
        assert_eq!(window, controller.initial_window());
        controller.on_congestion_event(Instant::now(), Instant::now(), false, 1200);
        assert!(controller.window() < window);
    }

    #[test]
    fn only_sessions_that_live_are_remembered() {
        let reroutes = Reroutes::new();
        assert!(!reroutes.note(PEER));
        let reroute = reroutes.of(PEER);
        assert!(Arc::ptr_eq(&reroute, &reroutes.of(PEER)));
        assert!(reroutes.note(PEER));
        drop(reroute);
        assert!(!reroutes.note(PEER));
        for i in 0..10 * SESSIONS_MAX as u64 {
            reroutes.of(SessionName::first(Tag(i)));
        }
        assert!(reroutes.by_name.lock().unwrap().len() <= 2 * SESSIONS_MAX);
    }
}
