//! Answers about what has happened. They ask no actor, so they come whatever is stuck.

use std::time::Duration;

use prunella_core::limits::{EVENTS_PER_ANSWER_MAX, EVENTS_WAIT_MAX};

use super::answers::Answers;
use super::vocabulary::{Cursor, EventInfo, EventsInfo};
use crate::actors::event_log::Numbered;

impl Answers {
    /// What came after `after`, or the newest `last`; if nothing has come yet, what comes within `wait_ms`.
    pub(super) async fn events(&self, after: Option<Cursor>, last: Option<u64>, wait_ms: u64) -> EventsInfo {
        let (log, run) = (&self.shell().directory.events, self.run());
        // A number of another run, or one that this run has not reached, says nothing about this one.
        let (from, missed) = match after {
            Some(cursor) if cursor.run == run && cursor.number <= log.newest() => (cursor.number, false),
            Some(_) => (0, true),
            None => (last.map_or(0, |last| log.newest().saturating_sub(last)), false),
        };
        tokio::select! {
            () = log.wait(from, Duration::from_millis(wait_ms).min(EVENTS_WAIT_MAX)) => {}
            // Whoever waits for what may never come does not keep a node from stopping.
            () = self.stopping() => {}
        }
        let batch = log.after(from, EVENTS_PER_ANSWER_MAX);
        let (now, unix_ms) = (self.shell().clock.now(), self.shell().unix_ms());
        let info = |Numbered { number, at, event }| EventInfo {
            cursor: Cursor { run, number },
            unix_ms: unix_ms.saturating_sub(now.since(at).as_millis() as u64),
            event,
        };
        EventsInfo {
            cursor: Cursor { run, number: batch.next },
            // Whoever has asked for the oldest that is kept misses nothing.
            missed: missed || (after.is_some() && batch.missed),
            more: batch.next < log.newest(),
            events: batch.events.into_iter().map(info).collect(),
        }
    }
}
