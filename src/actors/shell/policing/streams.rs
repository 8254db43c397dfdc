//! The streams that were let in: watched for as long as they are in use, counted against the limits, ended by name.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use prunella_core::PeerId;
use prunella_core::limits::WATCHED_STREAMS_MAX;
use tokio::sync::watch;

use super::{Count, Counters, lock};
use crate::actors::clock::Clock;
use crate::policy::{Action, Command, Exceeded, Limiter, Limits, Permit, Request};
use crate::transport::{Ending, Meter, Pass};

/// The streams, and what they use.
#[derive(Debug)]
pub(super) struct Streams {
    open: Mutex<BTreeMap<u64, Open>>,
    next: AtomicU64,
    limiter: Mutex<Limiter>,
    /// Whether bytes are counted at all.
    is_metered: AtomicBool,
    clock: Clock,
    pub(super) counters: Counters,
}

#[derive(Debug)]
struct Open {
    asked: Asked,
    ending: watch::Sender<Option<Ending>>,
}

/// Who asked for what: streams that are alike are judged together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Asked {
    pub(super) from: PeerId,
    pub(super) what: Wanted,
}

/// What a stream is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Wanted {
    /// Connections to the service of this name.
    Service(Arc<str>),
    /// Messages.
    Messages,
    /// This command.
    Command(Command),
    /// Commands, line by line.
    Shell,
    /// A tunnel of IP packets, each flow of which is judged by itself.
    Tunnel,
}

/// A stream that is watched; dropping it ends that.
pub(super) struct Watched {
    streams: Arc<Streams>,
    id: u64,
    from: PeerId,
    permit: Option<Permit>,
}

impl Streams {
    /// None is open, and nothing is limited.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            open: Mutex::default(),
            next: AtomicU64::new(0),
            limiter: Mutex::new(Limiter::new(Limits::default(), clock.now())),
            is_metered: AtomicBool::new(false),
            clock,
            counters: Counters::default(),
        }
    }

    pub(super) fn len(&self) -> usize {
        lock(&self.open).len()
    }

    /// Other limits from now on; what is in use goes on counting.
    pub(super) fn limit(&self, limits: &Limits) {
        self.is_metered.store(limits.quota.is_some(), Ordering::Relaxed);
        lock(&self.limiter).limit(limits.clone(), self.clock.now());
    }

    /// Watches a stream from now on; `None` if there are too many. It is entered before it is judged: whatever changes
    /// in between, one of the two looks at it.
    pub(super) fn enter(self: &Arc<Self>, asked: Asked) -> Option<(Watched, watch::Receiver<Option<Ending>>)> {
        let (ending, heard) = watch::channel(None);
        let (id, from) = (self.next.fetch_add(1, Ordering::Relaxed), asked.from);
        let mut open = lock(&self.open);
        if open.len() >= WATCHED_STREAMS_MAX {
            self.counters.add(Count::Tables);
            return None;
        }
        open.insert(id, Open { asked, ending });
        Some((Watched { streams: Arc::clone(self), id, from, permit: None }, heard))
    }

    /// What is open, and the streams that asked for it.
    pub(super) fn asked(&self) -> BTreeMap<Asked, Vec<u64>> {
        let mut all: BTreeMap<Asked, Vec<u64>> = BTreeMap::new();
        for (id, open) in &*lock(&self.open) {
            all.entry(open.asked.clone()).or_default().push(*id);
        }
        all
    }

    /// Ends these streams; how many of them had not ended before.
    pub(super) fn end(&self, ids: &[u64], reason: &Arc<str>) -> usize {
        let open = lock(&self.open);
        let ended = ids.iter().filter_map(|id| open.get(id)).filter(|stream| {
            stream.ending.send_if_modified(|ending| {
                let is_new = ending.is_none();
                ending.get_or_insert_with(|| Ending::Denied { reason: Arc::clone(reason) });
                is_new
            })
        });
        ended.inspect(|_| self.counters.add(Count::Ended)).count()
    }

    fn hit(&self, exceeded: &Exceeded) {
        self.counters.add(match exceeded {
            Exceeded::NotListed { .. } => Count::NotListed,
            Exceeded::Connections { .. } => Count::Connections,
            Exceeded::Rate { .. } => Count::Rate,
            Exceeded::Quota { .. } => Count::Quota,
            _ => Count::Tables,
        });
    }
}

impl Asked {
    /// The question to the policy; `None` where only quarantine forbids it.
    pub(super) fn request(&self) -> Option<Request<'_>> {
        let action = match &self.what {
            Wanted::Service(service) => Action::Connect { service },
            Wanted::Messages => Action::Message { agent: None },
            Wanted::Command(command) => Action::Command { command: *command },
            Wanted::Shell => Action::Shell,
            Wanted::Tunnel => return None,
        };
        Some(Request { from: self.from, action })
    }
}

impl Watched {
    /// Counts it as a connection to a service.
    ///
    /// # Errors
    /// The limit that is in the way.
    pub(super) fn admit(&mut self, service: &str) -> Result<(), Exceeded> {
        let admitted = lock(&self.streams.limiter).admit(&self.from, service, self.streams.clock.now());
        self.permit = Some(admitted.inspect_err(|exceeded| self.streams.hit(exceeded))?);
        Ok(())
    }

    /// What goes with the stream.
    pub(super) fn pass(self, heard: watch::Receiver<Option<Ending>>) -> Pass {
        Pass::new(heard, Box::new(self))
    }
}

impl Meter for Watched {
    /// Only connections to services count.
    fn spend(&self, bytes: usize) -> Result<(), Arc<str>> {
        if self.permit.is_none() || !self.streams.is_metered.load(Ordering::Relaxed) {
            return Ok(());
        }
        let spent = lock(&self.streams.limiter).spend(&self.from, bytes as u64, self.streams.clock.now());
        spent.map_err(|exceeded| {
            self.streams.hit(&exceeded);
            tracing::info!(peer = %self.from.short(), %exceeded, "a connection was ended");
            exceeded.to_string().into()
        })
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        lock(&self.streams.open).remove(&self.id);
        if let Some(permit) = self.permit.take() {
            lock(&self.streams.limiter).release(permit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(first: u8) -> PeerId {
        PeerId::from_public_key([first; 32])
    }

    fn asked(first: u8) -> Asked {
        Asked { from: peer(first), what: Wanted::Service("web".into()) }
    }

    #[tokio::test]
    async fn a_stream_is_ended_once_and_forgotten_when_its_pass_is_dropped() {
        let streams = Arc::new(Streams::new(Clock::start()));
        let (watched, heard) = streams.enter(asked(1)).unwrap();
        let pass = watched.pass(heard);
        let ids = streams.asked().remove(&asked(1)).unwrap();
        let reason: Arc<str> = "denied by x".into();
        assert_eq!((streams.end(&ids, &reason), streams.end(&ids, &"again".into())), (1, 0));
        assert_eq!(pass.ended().await, Ending::Denied { reason });
        drop(pass);
        assert_eq!((streams.len(), streams.asked().len()), (0, 0));
    }

    #[tokio::test]
    async fn what_is_dropped_gives_its_place_back_and_what_is_refused_had_none() {
        let streams = Arc::new(Streams::new(Clock::start()));
        let mut limits = Limits::default();
        limits.peer.connections = Some(1);
        streams.limit(&limits);
        let (mut one, _heard) = streams.enter(asked(1)).unwrap();
        one.admit("web").unwrap();
        let (mut two, _heard) = streams.enter(asked(1)).unwrap();
        assert!(matches!(two.admit("web"), Err(Exceeded::Connections { max: 1, .. })));
        drop(two);
        let (mut two, _heard) = streams.enter(asked(1)).unwrap();
        assert!(two.admit("web").is_err(), "the place of the first is not given back by the second");
        drop(one);
        two.admit("web").unwrap();
    }

    #[tokio::test]
    async fn there_is_a_bound() {
        let streams = Arc::new(Streams::new(Clock::start()));
        let all: Vec<_> = (0..WATCHED_STREAMS_MAX).map(|_| streams.enter(asked(1)).unwrap()).collect();
        assert!(streams.enter(asked(2)).is_none());
        drop(all);
        assert!(streams.enter(asked(2)).is_some());
    }
}
