//! What a shell's sampler tells the monitor: how late the process itself was run, and what each link has carried.
//!
//! What a simulated host does not have (memory, descriptors, sessions that await acknowledgments) is left out, and the
//! detectors that look at it are silent.

use std::time::Duration;

use prunella_core::monitor::sample::{LinkSample, ProcessSample};
use prunella_core::wiring::Route;
use prunella_core::{Instant, Rejected, monitor};

use crate::event::Event;
use crate::host::Link;
use crate::world::World;

/// What one end of a connection has carried.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Carriage {
    pub(crate) sent_bytes: u64,
    pub(crate) heard: u64,
    pub(crate) heard_bytes: u64,
    /// Frames turned away, by reason.
    pub(crate) rejected: [u64; Rejected::ALL.len()],
}

impl World {
    /// Tells the samples that were due at `due`: later, if the process was held still.
    pub(crate) fn on_sample(&mut self, host: usize, life: u64, due: Instant) {
        let state = &self.hosts[host];
        if state.life != life || state.process.is_none() {
            return;
        }
        let next = self.now + SAMPLE_EVERY;
        self.queue.push(next, Event::Sample { host, life, due: next });
        let (late, unix_ms) = (self.now.since(due), state.unix_ms(self.now));
        let links = state.links.values().map(|link| self.sample_of(link)).collect();
        let process = ProcessSample { late, unix_ms, ..ProcessSample::default() };
        self.tell(host, Route::Monitor(monitor::Input::ProcessSampled { process, actors: Vec::new() }));
        self.tell(host, Route::Monitor(monitor::Input::LinksSampled(links)));
    }

    fn sample_of(&self, link: &Link) -> LinkSample {
        let Carriage { sent_bytes, heard, heard_bytes, rejected } = link.carriage;
        let peer = self.hosts[link.peer].peer_id();
        LinkSample { peer, sent: link.sequence, sent_bytes, heard, heard_bytes, rejected }
    }
}

/// Time between two samples: that of a shell whose host has no other threads.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);
