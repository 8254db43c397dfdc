//! Lies: what a Byzantine node says, and what must become of it.
//!
//! A liar runs an honest core, so that it has links and is believed, and besides it says whatever it likes over those
//! links: forgeries, contradictions, old messages, garbage, and too much of everything.

use std::collections::VecDeque;
use std::time::Duration;

use prunella_core::Rejected;
use prunella_core::limits::{CONTROL_MESSAGE_BYTES_MAX, CONTROL_RATE_PER_SECOND};
use prunella_core::rng::Rng;
use prunella_core::wire::codec;

use crate::event::Event;
use crate::forge::{Forge, OVERSIZED};
use crate::world::World;

/// A message on a control stream.
#[derive(Clone, Debug)]
pub(crate) struct Utterance {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lie: Option<Lie>,
}

impl Utterance {
    pub(crate) fn honestly(bytes: Vec<u8>) -> Self {
        Self { bytes, lie: None }
    }

    pub(crate) fn is_honest(&self) -> bool {
        self.lie.is_none()
    }
}

/// A kind of lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lie {
    pub(crate) name: &'static str,
    /// Why it must be turned away, one of these; empty: it need not be.
    pub(crate) reasons: &'static [Rejected],
    /// How many records in it must be turned away; 0: the message as a whole.
    pub(crate) records: usize,
}

impl Lie {
    /// What is wrong, if a lie that must be turned away by name was not. Whoever's own clock is wrong may give any reason.
    pub(crate) fn got_through(self, taken: &Taken, on_time: bool) -> Option<String> {
        let reasons: Vec<Rejected> = taken.reasons().into_iter().filter(|r| *r != Rejected::Replayed).collect();
        if self.reasons.is_empty() || *taken == Taken::TooFast {
            None
        } else if reasons.len() < self.records.max(1) {
            Some(format!("believes a lie ({})", self.name))
        } else if on_time && !reasons.iter().all(|reason| self.reasons.contains(reason)) {
            Some(format!("rejects a lie ({}) as {reasons:?}", self.name))
        } else {
            None
        }
    }
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is longer than any message: nothing after it can be read.
    Unframed,
    /// The neighbor says more than it may.
    TooFast,
    /// It was refused as a whole.
    Refused(Rejected),
    /// It was heard, but for these of its records.
    Heard(Vec<Rejected>),
}

impl Taken {
    pub(crate) fn reasons(&self) -> Vec<Rejected> {
        match self {
            Taken::Unframed => vec![Rejected::OverLimit],
            Taken::TooFast => vec![Rejected::Flood],
            Taken::Refused(reason) => vec![*reason],
            Taken::Heard(reasons) => reasons.clone(),
        }
    }
}

/// What a liar has overheard and what it draws.
#[derive(Debug)]
pub(crate) struct Liar {
    pub(crate) host: usize,
    pub(crate) rng: Rng,
    /// Messages that others have sent to it, to be replayed.
    pub(crate) overheard: VecDeque<Vec<u8>>,
    /// Its favorite lies, by number.
    likes: Vec<usize>,
    /// Versions of its own lies grow, or nobody would take them.
    pub(crate) version: u64,
}

impl Liar {
    /// A liar with some favorite kinds of lies.
    pub(crate) fn new(host: usize, mut rng: Rng) -> Self {
        let mut likes: Vec<usize> = (0..LIES.len()).filter(|_| rng.below(2) == 0).collect();
        if likes.is_empty() {
            likes.push(rng.below(LIES.len()));
        }
        Self { host, rng, overheard: VecDeque::new(), likes, version: 0 }
    }

    pub(crate) fn overhear(&mut self, bytes: &[u8]) {
        if self.overheard.len() >= OVERHEARD_MAX {
            self.overheard.pop_front();
        }
        self.overheard.push_back(bytes.to_vec());
    }
}

impl World {
    /// Whether a node lies.
    pub(crate) fn is_liar(&self, host: usize) -> bool {
        self.liars.iter().any(|liar| liar.host == host)
    }

    /// A liar says its next lie, as long as the storm lasts.
    pub(crate) fn on_lie(&mut self, host: usize) {
        if self.now >= self.stormy_until {
            return;
        }
        let Some(at) = self.liars.iter().position(|liar| liar.host == host) else { return };
        let liar = &mut self.liars[at];
        let next = liar.rng.jitter(LIE_EVERY, 80);
        let kind = LIES[liar.likes[liar.rng.below(liar.likes.len())]];
        self.queue.push(self.now + next, Event::Lie { host });
        let neighbors: Vec<usize> = self.hosts[host].links.values().map(|link| link.peer).collect();
        if !self.hosts[host].is_running() || neighbors.is_empty() {
            return;
        }
        self.lies_told += 1;
        for (to, said) in self.lie(at, kind, &neighbors) {
            self.send_bytes(host, to, said);
        }
    }

    /// A liar says something else to every second of its neighbors.
    pub(crate) fn equivocate(&mut self, host: usize) {
        let Some(at) = self.liars.iter().position(|liar| liar.host == host) else { return };
        let neighbors: Vec<usize> = self.hosts[host].links.values().map(|link| link.peer).collect();
        self.lies_told += 1;
        for (to, said) in self.lie(at, LieKind::Equivocation, &neighbors) {
            self.send_bytes(host, to, said);
        }
    }

    /// A liar sends a neighbor this many messages at once, each of them well-formed.
    pub(crate) fn flood(&mut self, host: usize, to: usize, messages: usize) {
        let Some(at) = self.liars.iter().position(|liar| liar.host == host) else { return };
        for _ in 0..messages {
            let said = Forge::new(self, at).noise();
            self.lies_told += 1;
            self.send_bytes(host, to, said);
        }
    }

    /// Invents a lie: what is said to whom.
    fn lie(&mut self, at: usize, kind: LieKind, neighbors: &[usize]) -> Vec<(usize, Utterance)> {
        let mut forge = Forge::new(self, at);
        let to = forge.pick(neighbors);
        let one = |said| vec![(to, said)];
        let maybe = |said: Option<Utterance>| said.map(|said| (to, said)).into_iter().collect();
        let all = |said: Utterance| neighbors.iter().map(|to| (*to, said.clone())).collect();
        match kind {
            LieKind::Forgery => one(forge.forgery()),
            LieKind::WrongForm => one(forge.wrong_form()),
            LieKind::Tampering => maybe(forge.tampering()),
            LieKind::FalseLinks => one(forge.false_links()),
            LieKind::FalseAccusation => all(forge.false_accusation(neighbors)),
            LieKind::Equivocation => forge.equivocation(neighbors),
            LieKind::Replay => maybe(forge.replay()),
            LieKind::Flood => (0..2 * CONTROL_RATE_PER_SECOND).map(|_| (to, forge.noise())).collect(),
            LieKind::Garbage => one(forge.garbage()),
            LieKind::Greeting => one(forge.greeting()),
            LieKind::Oversized => one(forge.said(vec![codec::VERSION; CONTROL_MESSAGE_BYTES_MAX + 1], OVERSIZED)),
            LieKind::WrongVersion => one(forge.wrong_version()),
            LieKind::Disorder => one(forge.disorder()),
            LieKind::TooManyItems => one(forge.too_many_items()),
            LieKind::FalseItems => one(forge.false_items()),
            LieKind::FalseSketch => one(forge.false_sketch()),
            LieKind::Stale => one(forge.stale()),
            LieKind::Future => one(forge.future()),
            LieKind::Crowd => forge.crowd().into_iter().map(|said| (to, said)).collect(),
        }
    }
}

/// The kinds of lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LieKind {
    Forgery,
    WrongForm,
    Tampering,
    FalseLinks,
    FalseAccusation,
    Equivocation,
    Replay,
    Flood,
    Garbage,
    Greeting,
    Oversized,
    WrongVersion,
    Disorder,
    TooManyItems,
    FalseItems,
    FalseSketch,
    Stale,
    Future,
    Crowd,
}

const LIES: [LieKind; 19] = [
    LieKind::Forgery,
    LieKind::WrongForm,
    LieKind::Tampering,
    LieKind::FalseLinks,
    LieKind::FalseAccusation,
    LieKind::Equivocation,
    LieKind::Replay,
    LieKind::Flood,
    LieKind::Garbage,
    LieKind::Greeting,
    LieKind::Oversized,
    LieKind::WrongVersion,
    LieKind::Disorder,
    LieKind::TooManyItems,
    LieKind::FalseItems,
    LieKind::FalseSketch,
    LieKind::Stale,
    LieKind::Future,
    LieKind::Crowd,
];

/// Time between two lies of one liar, on average.
const LIE_EVERY: Duration = Duration::from_millis(700);
/// Most messages that a liar remembers.
const OVERHEARD_MAX: usize = 256;
