//! What has happened on this node and in its mesh, in the order in which this node heard of it: what surfaces follow.
//!
//! The newest are kept, with numbers that only rise, so that whoever was away for a while can go on where it was, and is
//! told when it has missed something.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prunella_core::limits::{EVENT_TEXT_BYTES_MAX, EVENTS_KEPT};
use prunella_core::{Instant, PeerId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Something that has happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A node is known now, or says another name or region.
    NodeChanged {
        /// Which.
        peer: PeerId,
        /// Its name for people; empty: none.
        name: String,
        /// Where it stands; empty: nowhere in particular.
        region: String,
    },
    /// Nothing is known of a node any more.
    NodeForgotten {
        /// Which.
        peer: PeerId,
    },
    /// The mesh has come to another verdict about a member.
    MemberChanged {
        /// Whom.
        peer: PeerId,
        /// What it was: `alive`, `suspect` or `down`.
        from: String,
        /// What it is.
        to: String,
    },
    /// A node says that it has other links.
    LinksChanged {
        /// Whose.
        peer: PeerId,
        /// The neighbors that it has now and had not.
        added: Vec<PeerId>,
        /// The neighbors that it had and has no more.
        removed: Vec<PeerId>,
    },
    /// This node is cut off from the majority, or is back.
    QuorumChanged {
        /// Whether more than half of the members are within reach.
        has_quorum: bool,
        /// Members within reach.
        reachable: usize,
        /// Members that a quorum is counted of.
        known: usize,
    },
    /// Something is wrong.
    IncidentOpened {
        /// Its number on this node.
        id: u64,
        /// What kind of thing.
        kind: String,
        /// Whom or what it concerns.
        subject: String,
        /// How bad it is.
        severity: String,
    },
    /// Something was found out, planned or tried about an incident.
    IncidentAdvanced {
        /// Its number on this node.
        id: u64,
        /// In which phase: `analyze`, `plan`, `execute`, `verify` or `escalate`.
        phase: String,
        /// What, in words.
        what: String,
    },
    /// An incident is over.
    IncidentClosed {
        /// Its number on this node.
        id: u64,
        /// How long it lasted, in milliseconds.
        lasted_ms: u64,
    },
    /// An actor has failed, or was stopped.
    ActorFailed {
        /// Its name.
        actor: String,
        /// Why.
        reason: String,
    },
    /// An actor that had failed runs again.
    ActorRestarted {
        /// Its name.
        actor: String,
    },
    /// A service is exposed, or not any more.
    ServiceChanged {
        /// Its name.
        name: String,
        /// Who exposes it.
        provider: PeerId,
        /// Whether it is exposed.
        exposed: bool,
    },
    /// A neighbor answers at another address than before, and its link leads there now.
    NeighborMoved {
        /// The neighbor.
        peer: PeerId,
        /// Where it is.
        address: SocketAddr,
    },
    /// Packets for a network behind other nodes go to this one now.
    NetworkReached {
        /// The network, such as `10.20.0.0/16`.
        prefix: String,
        /// Over whom.
        peer: PeerId,
    },
    /// Nobody is sent packets for a network any more.
    NetworkLost {
        /// The network.
        prefix: String,
        /// Over whom it was reached.
        peer: PeerId,
    },
}

/// An event with its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbered {
    /// Its number: one more than that of the event before.
    pub number: u64,
    /// When this node heard of it, by its clock.
    pub at: Instant,
    /// What.
    pub event: Event,
}

/// What came after a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// The events, oldest first.
    pub events: Vec<Numbered>,
    /// Whether some that came after the number are kept no more.
    pub missed: bool,
    /// The number to go on from.
    pub next: u64,
}

/// The newest events.
#[derive(Debug)]
pub struct EventLog {
    kept: Mutex<VecDeque<Numbered>>,
    /// The number of the newest; 0: nothing has happened yet.
    newest: watch::Sender<u64>,
}

impl Default for EventLog {
    fn default() -> Self {
        Self { kept: Mutex::default(), newest: watch::Sender::new(0) }
    }
}

impl EventLog {
    /// Writes down what has happened. The oldest event makes room.
    pub fn tell(&self, at: Instant, event: Event) {
        let mut kept = self.kept();
        let number = *self.newest.borrow() + 1;
        if kept.len() == EVENTS_KEPT {
            kept.pop_front();
        }
        kept.push_back(Numbered { number, at, event: event.cut() });
        // Under the lock, so that who sees the number finds the event.
        self.newest.send_replace(number);
    }

    /// The number of the newest event.
    pub fn newest(&self) -> u64 {
        *self.newest.borrow()
    }

    /// At most `most` events that came after the one with this number.
    pub fn after(&self, number: u64, most: usize) -> Batch {
        let kept = self.kept();
        let oldest = kept.front().map_or(1, |oldest| oldest.number);
        let skipped = number.saturating_add(1).saturating_sub(oldest) as usize;
        let events: Vec<Numbered> = kept.iter().skip(skipped).take(most).cloned().collect();
        let next = events.last().map_or(number, |last| last.number);
        Batch { missed: number < oldest - 1, events, next }
    }

    /// Waits until there is an event after the one with this number, but no longer than `patience`.
    pub async fn wait(&self, number: u64, patience: Duration) {
        let mut newest = self.newest.subscribe();
        // The sender lives as long as this borrow of it.
        let _ = tokio::time::timeout(patience, newest.wait_for(|newest| *newest > number)).await;
    }

    fn kept(&self) -> MutexGuard<'_, VecDeque<Numbered>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Event {
    /// Without what is longer than a log of bounded size bears. Names and lists are bounded where they come from.
    fn cut(mut self) -> Self {
        if let Event::ActorFailed { reason: text, .. } | Event::IncidentAdvanced { what: text, .. } = &mut self {
            text.truncate(text.floor_char_boundary(EVENT_TEXT_BYTES_MAX));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restarted(actor: &str) -> Event {
        Event::ActorRestarted { actor: actor.to_owned() }
    }

    #[test]
    fn whoever_was_away_goes_on_where_it_was_and_hears_what_it_has_missed() {
        let log = EventLog::default();
        assert_eq!(log.after(0, 10), Batch { events: Vec::new(), missed: false, next: 0 });
        for n in 0..EVENTS_KEPT as u64 + 5 {
            log.tell(Instant::from_millis(n), restarted("gossip"));
        }
        let newest = EVENTS_KEPT as u64 + 5;
        assert_eq!(log.newest(), newest);
        let behind = log.after(0, 3);
        assert!(behind.missed);
        assert_eq!(behind.events.iter().map(|event| event.number).collect::<Vec<_>>(), [6, 7, 8]);
        let rest = log.after(behind.next, usize::MAX);
        assert!(!rest.missed && rest.events.len() == EVENTS_KEPT - 3 && rest.next == newest);
        assert_eq!(log.after(newest, 9), Batch { events: Vec::new(), missed: false, next: newest });
    }

    #[test]
    fn a_long_reason_is_cut_between_letters() {
        let log = EventLog::default();
        let reason = "ä".repeat(EVENT_TEXT_BYTES_MAX);
        log.tell(Instant::BOOT, Event::ActorFailed { actor: "gossip".to_owned(), reason });
        let Event::ActorFailed { reason, .. } = log.after(0, 1).events.remove(0).event else { panic!("another event") };
        assert_eq!(reason.len(), EVENT_TEXT_BYTES_MAX);
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_with_the_next_event_or_in_time() {
        let log = std::sync::Arc::new(EventLog::default());
        let since = tokio::time::Instant::now();
        log.wait(0, Duration::from_secs(5)).await;
        assert_eq!(since.elapsed(), Duration::from_secs(5));
        let telling = std::sync::Arc::clone(&log);
        tokio::spawn(async move { telling.tell(Instant::BOOT, restarted("gossip")) });
        log.wait(0, Duration::from_secs(5)).await;
        assert_eq!(since.elapsed(), Duration::from_secs(5));
    }
}
