//! A cable that holds frames back: two TAP devices and threads between them, as kernels without netem need it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::{End, Host};
use crate::waiting::LabError;

/// How long a cable holds each frame, one way.
#[derive(Clone, Copy, Debug)]
pub struct Delay {
    /// At least so long.
    pub least: Duration,
    /// Up to so much longer, at random; frames keep their order.
    pub jitter: Duration,
}

impl Delay {
    /// The same for every frame.
    pub fn of(least: Duration) -> Self {
        Self { least, jitter: Duration::ZERO }
    }
}

/// A cable whose frames are under way for a while. Dropping it ends its threads and removes its devices.
#[derive(Debug)]
pub struct DelayedCable {
    /// Where it ends.
    pub ends: [End; 2],
    flows: [Arc<Flow>; 2],
    threads: Vec<JoinHandle<()>>,
}

impl DelayedCable {
    pub(super) fn lay(a: &Host, b: &Host, segment: u8, delay: Delay) -> Result<Self, LabError> {
        let ends = [End::new(a, segment, 1), End::new(b, segment, 2)];
        let devices = [Arc::new(tap(&ends[0])?), Arc::new(tap(&ends[1])?)];
        let flows = [Arc::new(Flow::new(delay, 1)), Arc::new(Flow::new(delay, 2))];
        let mut threads = Vec::new();
        for (at, flow) in flows.iter().enumerate() {
            let (source, target) = (devices[at].clone(), devices[1 - at].clone());
            let (filling, emptying) = (flow.clone(), flow.clone());
            threads.push(thread::spawn(move || filling.fill(&source)));
            threads.push(thread::spawn(move || emptying.empty(&target)));
        }
        let cable = Self { ends, flows, threads };
        cable.ends.iter().try_for_each(End::configure)?;
        cable.ends[0].await_reach(cable.ends[1].v4.into())?;
        Ok(cable)
    }

    /// How many frames were dropped because too many were under way already.
    pub fn overflown(&self) -> u64 {
        self.flows.iter().map(|flow| flow.overflown.load(Ordering::Relaxed)).sum()
    }
}

impl Drop for DelayedCable {
    fn drop(&mut self) {
        self.flows.iter().for_each(|flow| flow.close());
        for thread in self.threads.drain(..) {
            // One that has panicked has said so.
            let _ = thread.join();
        }
    }
}

fn tap(end: &End) -> Result<SyncDevice, LabError> {
    let open = || DeviceBuilder::new().name(&end.device).layer(Layer::L2).enable(false).build_sync();
    let device = end.host.inside(open)?.map_err(LabError::system("open a TAP device"))?;
    device.set_nonblocking(true).map_err(LabError::system("set up a TAP device"))?;
    Ok(device)
}

/// One direction of a cable.
#[derive(Debug)]
struct Flow {
    delay: Delay,
    frames: Mutex<VecDeque<(Instant, Vec<u8>)>>,
    filled: Condvar,
    closed: AtomicBool,
    overflown: AtomicU64,
    /// The state of a xorshift generator, for the jitter alone.
    random: AtomicU64,
}

impl Flow {
    fn new(delay: Delay, seed: u64) -> Self {
        Self {
            delay,
            frames: Mutex::default(),
            filled: Condvar::new(),
            closed: AtomicBool::new(false),
            overflown: AtomicU64::new(0),
            random: AtomicU64::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
        }
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        self.filled.notify_all();
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn frames(&self) -> MutexGuard<'_, VecDeque<(Instant, Vec<u8>)>> {
        self.frames.lock().expect("BUG: nobody panics with the lock")
    }

    /// When a frame that came now is due, never before the one in front of it.
    fn due(&self, before: Option<Instant>) -> Instant {
        let mut x = self.random.load(Ordering::Relaxed);
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.random.store(x, Ordering::Relaxed);
        let share = (x >> 40) as f64 / (1u64 << 24) as f64;
        let due = Instant::now() + self.delay.least + self.delay.jitter.mul_f64(share);
        before.map_or(due, |before| due.max(before))
    }

    /// Takes what comes in, until the cable or its device is gone.
    fn fill(&self, source: &SyncDevice) {
        let mut buffer = vec![0; FRAME_BYTES_MAX];
        while !self.is_closed() {
            let length = match source.recv(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    await_readable(source);
                    continue;
                }
                // A device that is down for the moment, or the namespace's end, which closes the cable soon.
                Err(_) => {
                    thread::sleep(POLL);
                    continue;
                }
            };
            let mut frames = self.frames();
            if frames.len() >= FRAMES_MAX {
                self.overflown.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let due = self.due(frames.back().map(|(due, _)| *due));
            frames.push_back((due, buffer[..length].to_vec()));
            drop(frames);
            self.filled.notify_one();
        }
    }

    /// Sends what is due, until the cable is gone.
    fn empty(&self, target: &SyncDevice) {
        while !self.is_closed() {
            let mut frames = self.frames();
            let Some((due, _)) = frames.front() else {
                let waited = self.filled.wait_timeout(frames, POLL);
                drop(waited.expect("BUG: nobody panics with the lock"));
                continue;
            };
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let (_, frame) = frames.pop_front().expect("BUG: it was there");
                drop(frames);
                // A device that takes nothing more drops it, as a cable's far end would.
                let _ = target.send(&frame);
            } else {
                drop(frames);
                thread::sleep(left);
            }
        }
    }
}

fn await_readable(device: &SyncDevice) {
    let timeout = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    // Whatever it says, the caller looks again.
    let _ = poll(&mut [PollFd::new(device, PollFlags::IN)], Some(&timeout));
}

/// Frames under way in one direction: at full size 100 ms of 1.2 Gbit/s.
const FRAMES_MAX: usize = 10_000;
const FRAME_BYTES_MAX: usize = 65_536 + 64;
const POLL: Duration = Duration::from_millis(100);
