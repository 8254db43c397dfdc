//! What happened while somebody looked on: told by comparing each answer with the one before it.

use std::collections::VecDeque;

use super::rows::Mark;
use crate::api::vocabulary::{IncidentInfo, LinkInfo};
use crate::cli::render::quantity::span;

/// What happened, the newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Story {
    happened: VecDeque<Happened>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Happened {
    /// When, in milliseconds since the Unix epoch.
    pub(super) unix_ms: u64,
    /// What, in words.
    pub(super) what: String,
    /// Whether it is good.
    pub(super) mark: Mark,
}

impl Story {
    /// The newest first.
    pub(super) fn newest(&self) -> impl Iterator<Item = &Happened> {
        self.happened.iter()
    }

    /// Something that is not told by comparing.
    pub(super) fn tell(&mut self, unix_ms: u64, what: impl Into<String>, mark: Mark) {
        self.happened.truncate(HAPPENED_MAX - 1);
        self.happened.push_front(Happened { unix_ms, what: what.into(), mark });
    }

    /// Incidents that opened or healed; at first, those that are open.
    pub(super) fn incidents(&mut self, before: Option<&[IncidentInfo]>, now: &[IncidentInfo]) {
        // The oldest first, as they are listed the newest first.
        for incident in now.iter().rev() {
            let IncidentInfo { id, kind, subject, opened_unix_ms, .. } = incident;
            let known = before.and_then(|before| before.iter().find(|old| old.id == *id));
            let is_new = known.is_none() && (before.is_some() || incident.lasted_ms.is_none());
            if is_new {
                self.tell(*opened_unix_ms, format!("#{id} {kind} of {subject}: opened"), Mark::Bad);
            }
            if let Some(lasted) = incident.lasted_ms
                && (is_new || known.is_some_and(|old| old.lasted_ms.is_none()))
            {
                let when = opened_unix_ms.saturating_add(lasted);
                self.tell(when, format!("#{id} {kind} of {subject}: healed after {}", span(lasted)), Mark::Good);
            }
        }
    }

    /// Links whose state changed.
    pub(super) fn links(&mut self, before: Option<&[LinkInfo]>, now: &[LinkInfo], unix_ms: u64) {
        let Some(before) = before else { return };
        for link in now {
            let was = before.iter().find(|old| old.peer == link.peer).map_or("unknown", |old| old.state.as_str());
            if was != link.state {
                let what = format!("link to {}: {was}, now {}", super::rows::called(&link.name, link.peer), link.state);
                self.tell(unix_ms, what, Mark::of_link(link));
            }
        }
    }
}

/// How much is remembered.
const HAPPENED_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn told(story: &Story) -> Vec<&str> {
        story.newest().map(|happened| happened.what.as_str()).collect()
    }

    #[test]
    fn incidents_are_told_as_they_open_and_heal() {
        let mut story = Story::default();
        let first = [fixture::incident(2, None), fixture::incident(1, Some(400))];
        story.incidents(None, &first);
        assert_eq!(told(&story), ["#2 link-down of n1: opened"], "what is over at first is no news");
        let second = [fixture::incident(3, Some(100)), fixture::incident(2, Some(1500)), first[1].clone()];
        story.incidents(Some(&first), &second);
        let expected = [
            "#3 link-down of n1: healed after 100 ms",
            "#3 link-down of n1: opened",
            "#2 link-down of n1: healed after 1.5 s",
            "#2 link-down of n1: opened",
        ];
        assert_eq!(told(&story), expected);
    }

    #[test]
    fn links_are_told_when_they_change_and_no_more_than_there_is_room_for() {
        let mut story = Story::default();
        let (up, mut down) = (fixture::links(), fixture::links());
        down[0].state = "down".to_owned();
        story.links(None, &up, 1);
        story.links(Some(&up), &up, 2);
        assert_eq!(told(&story).len(), 0);
        for round in 0..HAPPENED_MAX {
            story.links(Some(&up), &down, 2 * round as u64);
            story.links(Some(&down), &up, 2 * round as u64 + 1);
        }
        assert_eq!(told(&story)[..2], ["link to n1: down, now up", "link to n1: up, now down"]);
        assert_eq!(told(&story).len(), HAPPENED_MAX);
    }
}
