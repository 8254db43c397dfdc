//! Which lane a new stream takes.
//!
//! The one with the fewest streams that this node opened for bulk, of those whose path is their own now and that could be
//! dialed; of equals the first. Streams are counted, and not bytes, because what a stream will carry is not known when it
//! is opened, and what others carried says little of it: the count shares a bottleneck's capacity fairly once all of them
//! are busy, and a stream that rests costs no more than a place. A stream stays on its lane.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use prunella_core::PeerId;
use prunella_core::limits::LANES_MAX;
use quinn::Connection;
use tokio::time::Instant;

use crate::datapath::{Port, SessionName};

/// The lanes to all peers.
#[derive(Debug)]
pub(super) struct Lanes {
    port: Arc<Port>,
    /// How many are used to one peer, the first included.
    most: u8,
    loads: Loads,
}

type Loads = Arc<Mutex<BTreeMap<PeerId, [Load; LANES_MAX]>>>;

/// What a lane carries.
#[derive(Clone, Copy, Debug, Default)]
struct Load {
    streams: u64,
    /// When it could not be dialed.
    failed: Option<Instant>,
}

/// A place on a lane: the lane counts one stream more for as long as it is kept.
#[derive(Debug)]
pub struct Place {
    loads: Loads,
    peer: PeerId,
    lane: u8,
}

/// A lane as it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneLoad {
    /// Its number.
    pub lane: u8,
    /// Streams for bulk that this node has opened on it and that are not over.
    pub streams: u64,
    /// Bytes of packets that were sent to the peer on it.
    pub sent_bytes: u64,
}

impl Lanes {
    /// Up to `most` lanes to each peer.
    pub(super) fn new(port: Arc<Port>, most: usize) -> Self {
        Self { port, most: most.clamp(1, LANES_MAX) as u8, loads: Arc::default() }
    }

    /// A place on the lane that the next stream to `peer` should take.
    pub(super) fn lightest(&self, peer: PeerId) -> Place {
        let own = if self.most > 1 { self.port.lanes(peer) } else { Vec::new() };
        let mut all = lock(&self.loads);
        let loads = all.entry(peer).or_default();
        let rested = |lane: &u8| loads[usize::from(*lane)].failed.is_none_or(|at| at.elapsed() >= DIALED_AGAIN_AFTER);
        let usable = own.into_iter().filter(|lane| *lane < self.most && rested(lane));
        let lane = std::iter::once(0).chain(usable).min_by_key(|lane| loads[usize::from(*lane)].streams).unwrap_or(0);
        loads[usize::from(lane)].streams += 1;
        Place { loads: self.loads.clone(), peer, lane }
    }

    /// A lane could not be dialed: for a while streams take others.
    pub(super) fn failed(&self, peer: PeerId, lane: u8) {
        if let Some(loads) = lock(&self.loads).get_mut(&peer) {
            loads[usize::from(lane)].failed = Some(Instant::now());
        }
    }

    /// All lanes to `peer`, in ascending order.
    pub(super) fn loads(&self, peer: PeerId) -> Vec<LaneLoad> {
        let bytes = self.port.lane_bytes(peer);
        let loads = lock(&self.loads).get(&peer).copied().unwrap_or_default();
        let load = |(lane, (load, sent_bytes)): (u8, (Load, u64))| LaneLoad { lane, streams: load.streams, sent_bytes };
        (0..self.most).zip(loads.into_iter().zip(bytes)).map(load).collect()
    }
}

impl Place {
    /// The lane.
    pub(super) fn lane(&self) -> u8 {
        self.lane
    }

    /// The stream took another lane in the end.
    pub(super) fn move_to(&mut self, lane: u8) {
        if let Some(loads) = lock(&self.loads).get_mut(&self.peer) {
            loads[usize::from(self.lane)].streams -= 1;
            loads[usize::from(lane)].streams += 1;
        }
        self.lane = lane;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = lock(&self.loads);
        let Some(loads) = all.get_mut(&self.peer) else { return };
        loads[usize::from(self.lane)].streams -= 1;
        let is_over =
            |load: &Load| load.streams == 0 && load.failed.is_none_or(|at| at.elapsed() >= DIALED_AGAIN_AFTER);
        if loads.iter().all(is_over) {
            all.remove(&self.peer);
        }
    }
}

/// The lane of a session.
pub(super) fn lane_of(session: &Connection) -> u8 {
    SessionName::of(session.remote_address()).map_or(0, |name| name.lane)
}

fn lock<T>(loads: &Mutex<T>) -> MutexGuard<'_, T> {
    loads.lock().expect("BUG: nothing panics while it holds the loads of lanes")
}

/// How long a lane is left alone that could not be dialed.
const DIALED_AGAIN_AFTER: Duration = Duration::from_secs(10);
