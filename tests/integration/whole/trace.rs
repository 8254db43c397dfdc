//! What happened in a world, in order: every datagram, and what the nodes said of themselves.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    /// Since the world began.
    at: Duration,
    what: What,
}

impl Event {
    /// Whether it is told in words.
    pub(crate) fn is_told(&self) -> bool {
        matches!(self.what, What::Told(_))
    }
}

/// What can happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// A datagram was sent.
    Sent { from: SocketAddr, to: SocketAddr, length: usize, head: Head, fate: Fate },
    /// Something that is told in words.
    Told(String),
}

/// What of a datagram does not depend on keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// A QUIC packet on the underlay: all of it that could be told is encrypted.
    Quic,
    /// A frame: its header up to the MAC.
    Frame(Vec<u8>),
}

/// What became of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It arrives after this time.
    Arrives(Duration),
    /// It was lost.
    Lost,
    /// Its wire is cut.
    Cut,
    /// Nobody listens there.
    Nobody,
}

/// Everything that happened so far.
#[derive(Debug)]
pub(crate) struct Trace {
    start: Instant,
    events: Mutex<Vec<Event>>,
}

impl Trace {
    /// An empty trace of a world that begins now.
    pub(crate) fn begin() -> Self {
        Self { start: Instant::now(), events: Mutex::default() }
    }

    /// The time since the world began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// Notes that something happened now.
    pub(crate) fn note(&self, what: What) {
        self.events.lock().unwrap().push(Event { at: self.elapsed(), what });
    }

    /// Notes something in words.
    pub(crate) fn tell(&self, words: impl Into<String>) {
        self.note(What::Told(words.into()));
    }

    /// Everything that happened.
    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock().unwrap())
    }
}

/// One hash over a trace, to be written down with a seed.
pub(crate) fn hash(events: &[Event]) -> String {
    let mut hasher = blake3::Hasher::new();
    for event in events {
        hasher.update(format!("{event}\n").as_bytes());
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

/// Where two runs part: the last things that they share, and then what each has of its own.
pub(crate) fn difference(one: &[Event], two: &[Event]) -> Option<String> {
    let shared = one.iter().zip(two).take_while(|(a, b)| a == b).count();
    if shared == one.len() && shared == two.len() {
        return None;
    }
    let lines = |events: &[Event], from: usize| {
        events.iter().skip(from).take(6).map(|event| format!("  {event}\n")).collect::<String>()
    };
    let before = shared.saturating_sub(4);
    let common = lines(&one[..shared], before);
    let (left, right) = (lines(one, shared), lines(two, shared));
    let lengths = (one.len(), two.len());
    Some(format!(
        "{shared} of {lengths:?} events agree, the last of them\n{common}then one\n{left}and the other\n{right}"
    ))
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ", self.at)?;
        match &self.what {
            What::Told(words) => f.write_str(words),
            What::Sent { from, to, length, head: Head::Quic, fate } => {
                write!(f, "{from} > {to} quic {length} {fate:?}")
            }
            What::Sent { from, to, length, head: Head::Frame(bytes), fate } => {
                let header = data_encoding::HEXLOWER.encode(bytes);
                write!(f, "{from} > {to} frame {length} {header} {fate:?}")
            }
        }
    }
}
