//! The sampler: tells the monitor how this process, its actors, links and sessions are, at a steady pace.
//!
//! How late it is itself is the first thing that it tells: a process that was not run has no verdict about others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::monitor::sample::{ActorSample, LinkSample, PathSample, ProcessSample};
use prunella_core::wiring::Route;
use prunella_core::{monitor, pathfinder};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Shell;
use crate::actors::stats::{Place, Stats};
use crate::datapath::LinkStats;
use crate::host::Usage;
use crate::transport::{Awaited, Overdue, Sent};

/// Samples for as long as it is polled.
pub(super) async fn sample(shell: &Shell) {
    // Where there is no other thread there is no lateness either: time waits for whoever runs.
    let process_every = if shell.host.has_threads() { PROCESS_EVERY } else { COUNTERS_EVERY };
    let mut ticker = interval(PROCESS_EVERY);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let [mut process_at, mut counters_at, mut usage_at, mut certificate_at] = [Instant::now(); 4];
    let mut certificate = Certificate::default();
    let (mut awaited, mut exchanged) = (Awaited::default(), BTreeMap::new());
    loop {
        let due = ticker.tick().await;
        let now = Instant::now();
        let late = now.saturating_duration_since(due);
        shell.tallies.lateness.note(late, shell.clock.now());
        if process_every == PROCESS_EVERY || is_due(&mut process_at, process_every, now) {
            let usage = is_due(&mut usage_at, USAGE_EVERY, now).then(|| shell.host.usage()).flatten();
            shell.tell_process(late, usage);
        }
        shell.tell_overdue(&mut awaited, late);
        if is_due(&mut counters_at, COUNTERS_EVERY, now) {
            shell.keep_out();
            shell.tell_links();
            shell.tell_sessions(&mut exchanged);
        }
        if is_due(&mut certificate_at, CERTIFICATE_EVERY, now) {
            shell.tell_certificate(&mut certificate);
        }
    }
}

/// Whether it is time, and if so, when the next time is.
fn is_due(at: &mut Instant, every: Duration, now: Instant) -> bool {
    let due = *at <= now;
    if due {
        *at = now + every;
    }
    due
}

/// The certificate as it was first seen: an issuer may grant less than this node's configuration expects.
#[derive(Debug, Default)]
struct Certificate {
    expiry_unix: u64,
    life: Duration,
}

impl Shell {
    fn tell_monitor(&self, input: monitor::Input) {
        self.directory.deliver(Route::Monitor(input));
    }

    fn tell_process(&self, late: Duration, usage: Option<Usage>) {
        let process = ProcessSample {
            late,
            unix_ms: self.unix_ms(),
            processor: usage.map(|usage| usage.processor),
            memory: usage.map(|usage| usage.memory),
            descriptors: usage.map(|usage| usage.descriptors),
        };
        let running = self.directory.register.all().into_iter().filter(|(_, s)| s.running.load(Ordering::Relaxed));
        let actor = |(place, stats): (Place, Arc<Stats>)| {
            let handled = stats.handled.load(Ordering::Relaxed);
            ActorSample { actor: place.name, handled, waiting: stats.waiting(), oldest: None }
        };
        let actors = running.map(actor).collect();
        self.tell_monitor(monitor::Input::ProcessSampled { process, actors });
    }

    fn tell_links(&self) {
        let sample = |link: LinkStats| LinkSample {
            peer: link.peer,
            sent: link.frames_sent,
            sent_bytes: link.bytes_sent,
            heard: link.frames_received,
            heard_bytes: link.bytes_received,
            rejected: link.rejected,
        };
        let samples: Vec<LinkSample> = self.port.link_stats().into_iter().map(sample).collect();
        self.tallies.link_peaks.note(&samples, self.clock.now());
        if !samples.is_empty() {
            self.tell_monitor(monitor::Input::LinksSampled(samples));
        }
    }

    /// Tells how much was lost, and with whom something was `exchanged` since the last time.
    fn tell_sessions(&self, exchanged: &mut BTreeMap<PeerId, u64>) {
        let Some(sessions) = self.sessions.get() else { return };
        let sent = sessions.sent();
        let mut now: BTreeMap<PeerId, u64> = sent.iter().map(|sent| (sent.peer, sent.exchanged)).collect();
        for tunnel in self.port.overlay().map(|overlay| overlay.tunnels()).unwrap_or_default() {
            *now.entry(tunnel.peer()).or_default() += tunnel.exchanged();
        }
        let before = std::mem::replace(exchanged, now);
        let is_busy = |(peer, exchanged): &(&PeerId, &u64)| before.get(*peer) != Some(*exchanged);
        let destinations: Vec<PeerId> = exchanged.iter().filter(is_busy).map(|(peer, _)| *peer).collect();
        if !destinations.is_empty() {
            self.directory.deliver(Route::Pathfinder(pathfinder::Input::Busy { destinations }));
        }
        let sample = |sent: Sent| PathSample {
            destination: sent.peer,
            sent: sent.packets,
            lost: sent.lost,
            acknowledged: sent.acknowledgments,
        };
        let samples: Vec<PathSample> = sent.into_iter().map(sample).collect();
        if !samples.is_empty() {
            self.tell_monitor(monitor::Input::PathsSampled(samples));
        }
    }

    /// A session's peer that is silent is told at once to whoever chooses its path.
    fn tell_overdue(&self, awaited: &mut Awaited, late: Duration) {
        let Some(sessions) = self.sessions.get() else { return };
        if late > LATE_MYSELF {
            awaited.excuse(late);
        }
        for Overdue { peer: destination, lane, silent } in sessions.overdue(awaited, self.config.probe.hedge_after()) {
            self.directory.deliver(Route::Pathfinder(match lane {
                0 => pathfinder::Input::PayloadOverdue { destination, silent },
                lane => pathfinder::Input::LaneOverdue { destination, lane, silent },
            }));
        }
    }

    fn tell_certificate(&self, seen: &mut Certificate) {
        let expiry_unix = self.credentials.certificate_expiry_unix();
        let left = Duration::from_secs(expiry_unix).saturating_sub(self.host.unix_time());
        if seen.expiry_unix != expiry_unix {
            *seen = Certificate { expiry_unix, life: left.min(self.config.certificate.validity()) };
        }
        let life = seen.life;
        self.tell_monitor(monitor::Input::CertificateChecked { left, life });
    }
}

/// Lateness of this process after which nobody else is held to be late.
const LATE_MYSELF: Duration = Duration::from_millis(5);
/// How often the process, its actors and what its sessions wait for are looked at.
const PROCESS_EVERY: Duration = Duration::from_millis(10);
/// How often the counters of links and sessions are.
const COUNTERS_EVERY: Duration = Duration::from_millis(100);
/// How often the operating system is asked what the process uses.
const USAGE_EVERY: Duration = Duration::from_secs(1);
/// How often the certificate is looked at: the clock may be set at any time.
const CERTIFICATE_EVERY: Duration = Duration::from_secs(1);
