//! Questions about this node's actors.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use prunella_core::Instant;
use prunella_core::limits::{TAPPED_MAX, TAPPED_TIME_MAX};

use super::answers::Answers;
use super::error::{Error, ErrorKind};
use super::vocabulary::{
    ActorDetail, ActorInfo, ActorLink, AtInfo, FailureInfo, HandledInfo, KindInfo, Response, TapInfo, TappedInfo,
    TookInfo,
};
use crate::actors::insight::sent::RECEIVERS;
use crate::actors::stats::{Pace, Place, Stats};

impl Answers {
    pub(super) fn actors(&self) -> Vec<ActorInfo> {
        let all = self.shell().directory.register.all();
        let now = self.shell().clock.now();
        let mut actors = Vec::new();
        let mut below: Vec<(Option<String>, usize)> = vec![(None, 0)];
        while let Some((parent, depth)) = below.pop() {
            let mut children: Vec<_> = all.iter().filter(|(place, _)| place.parent == parent).collect();
            children.sort_by_key(|(place, _)| TREE_ORDER.iter().position(|name| *name == place.name));
            actors.extend(children.iter().map(|(place, stats)| info(place, depth, stats, now)));
            below.extend(children.iter().map(|(place, _)| (Some(place.name.clone()), depth + 1)));
        }
        in_tree_order(actors)
    }

    /// All that can be seen of an actor.
    pub(super) async fn actor(&self, name: &str, briefly: bool) -> Result<Response, Error> {
        let Some(info) = self.actors().into_iter().find(|actor| actor.name == name) else { return Err(unknown(name)) };
        let directory = &self.shell().directory;
        let stats = directory.register.named(name).ok_or_else(|| unknown(name))?;
        // One that is stuck answers nothing, and everything else is known all the same.
        let knows = match directory.look(name).filter(|_| !briefly) {
            Some(told) => tokio::time::timeout(LOOK_PATIENCE, told).await.ok().and_then(Result::ok),
            None => None,
        };
        let (knows, knows_is_whole) = knows.unwrap_or_default();
        let now = self.shell().clock.now();
        let ago_ms = |at: Instant| now.since(at).as_millis() as u64;
        let handling = &stats.insight.handling;
        let busy = handling.busy();
        let kind = |kind: crate::actors::insight::handling::KindTotal| KindInfo {
            kind: kind.name.to_owned(),
            count: kind.count,
            mean_us: micros(kind.took) / kind.count.max(1) as f64,
            longest_us: micros(kind.longest),
            share_permille: (1000.0 * kind.took.as_secs_f64() / busy.as_secs_f64().max(f64::MIN_POSITIVE)) as u16,
        };
        let handled = |handled: crate::actors::insight::handling::Handled| HandledInfo {
            ago_ms: ago_ms(Instant::BOOT + handled.at),
            kind: handled.kind.to_owned(),
            took_us: micros(handled.took),
        };
        let failures = stats.failures().into_iter();
        Ok(Response::Actor(Box::new(ActorDetail {
            info,
            dropped: stats.dropped.load(Ordering::Relaxed),
            at: handling.at().map(|(kind, at)| AtInfo { kind: kind.to_owned(), for_ms: ago_ms(Instant::BOOT + at) }),
            held_up: stats.hindrance.pace().map(|pace| match pace {
                Pace::Stalled => "takes no message".to_owned(),
                Pace::Slow(by) => format!("each message takes {} ms longer", by.as_millis()),
            }),
            took_p50_us: handling.quantile(500).map(micros),
            took: handling.took().map(|(at_most, count)| TookInfo { at_most_us: micros(at_most), count }).collect(),
            links: links(name, &directory.register.all()),
            kinds: handling.kinds().into_iter().map(kind).collect(),
            last: handling.last().into_iter().map(handled).collect(),
            failures: failures.map(|f| FailureInfo { ago_ms: ago_ms(f.at), reason: f.reason }).collect(),
            knows,
            knows_is_whole,
        })))
    }

    /// Has an actor begin anew.
    pub(super) fn restart(&self, name: &str) -> Result<Response, Error> {
        // What held it up holds up its next life no more, and is not in force any longer.
        let _ = self.resume(name);
        if self.shell().directory.restart(name) {
            return Ok(Response::Done);
        }
        let text =
            format!("no actor named {name} can be restarted; `prunella actors` lists them (not the supervisors)");
        Err(Error::new(ErrorKind::InvalidInput, text))
    }

    /// Looks on what an actor is sent, until there were `most` messages or `ms` have passed.
    pub(super) async fn tap(&self, actor: &str, kind: Option<&str>, most: usize, ms: u64) -> Result<Response, Error> {
        let stats = self.shell().directory.register.named(actor).ok_or_else(|| unknown(actor))?;
        let (most, time) = (most.min(TAPPED_MAX), Duration::from_millis(ms).min(TAPPED_TIME_MAX));
        let began = self.shell().clock.now();
        let looking = stats.insight.tap.open(kind, began);
        let mut looking = looking.map_err(|taken| Error::new(ErrorKind::Overloaded, taken.to_string()))?;
        let mut messages = Vec::new();
        let all = async {
            while messages.len() < most
                && let Some(tapped) = looking.next().await
            {
                let after_us = (Instant::BOOT + tapped.at).since(began).as_micros() as u64;
                messages.push(TappedInfo { after_us, kind: tapped.kind.to_owned(), text: tapped.text });
            }
        };
        // That time was up is no failure.
        let _ = tokio::time::timeout(time, all).await;
        let lasted_ms = self.shell().clock.now().since(began).as_millis() as u64;
        Ok(Response::Tapped(TapInfo { actor: actor.to_owned(), messages, missed: looking.missed(), lasted_ms }))
    }
}

fn info(place: &Place, depth: usize, stats: &Stats, now: Instant) -> ActorInfo {
    let handling = &stats.insight.handling;
    ActorInfo {
        name: place.name.clone(),
        parent: place.parent.clone(),
        depth,
        state: if stats.running.load(Ordering::Relaxed) { "running" } else { "restarting" }.to_owned(),
        strategy: stats.strategy.get().map(|name| (*name).to_owned()),
        age_ms: now.since(stats.born()).as_millis() as u64,
        mailbox: stats.waiting(),
        handled: stats.handled.load(Ordering::Relaxed),
        busy_us: handling.busy().as_micros() as u64,
        took_p99_us: handling.quantile(990).map(micros),
        restarts: stats.restarts.load(Ordering::Relaxed),
        last_failure: stats.last_failure(),
    }
}

/// Whom the actor sends something, and who sends it something.
fn links(name: &str, all: &[(Place, Arc<Stats>)]) -> Vec<ActorLink> {
    let role = |name: &str| RECEIVERS.iter().position(|role| *role == name.split('/').next().unwrap_or_default());
    let Some(own) = role(name) else { return Vec::new() };
    let mut links = RECEIVERS.map(|actor| ActorLink { actor: actor.to_owned(), sent: 0, heard: None });
    let is_one_of_many = name.contains('/');
    for (place, stats) in all {
        let sent = stats.insight.sent.read();
        if place.name == name {
            links.iter_mut().zip(sent).for_each(|(link, sent)| link.sent = sent);
        }
        if let Some(from) = role(&place.name).filter(|_| !is_one_of_many) {
            *links[from].heard.get_or_insert(0) += sent[own];
        }
    }
    links.into_iter().filter(|link| link.sent > 0 || link.heard.is_some_and(|heard| heard > 0)).collect()
}

fn unknown(name: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("no actor is named {name}; `prunella actors` lists them"))
}

fn micros(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1000.0
}

/// Parents before children, siblings in the order of the tree.
fn in_tree_order(actors: Vec<ActorInfo>) -> Vec<ActorInfo> {
    fn append(parent: Option<&str>, actors: &[ActorInfo], ordered: &mut Vec<ActorInfo>) {
        for actor in actors.iter().filter(|a| a.parent.as_deref() == parent) {
            ordered.push(actor.clone());
            append(Some(&actor.name), actors, ordered);
        }
    }
    let mut ordered = Vec::new();
    append(None, &actors, &mut ordered);
    ordered
}

/// How long an actor may take to tell what it knows.
const LOOK_PATIENCE: Duration = Duration::from_millis(500);
/// The order in which siblings are told.
const TREE_ORDER: [&str; 13] = [
    "root",
    "knowledge",
    "policy",
    "gossip",
    "peers",
    "healing",
    "monitor",
    "pathfinder",
    "planner",
    "executor",
    "rebalancer",
    "surfaces",
    "ledger",
];

#[cfg(test)]
mod tests {
    use prunella_core::gossip;
    use prunella_core::wiring::Route;

    use super::*;
    use crate::actors::stats::Register;

    #[test]
    fn who_sends_whom_how_much_is_told_at_both_ends() {
        let register = Register::default();
        let at = |name: &str| register.at(&Place { name: name.to_owned(), parent: None });
        let to_gossip = || Route::Gossip(gossip::Input::ResyncRequested);
        at("peer/a").insight.sent.note(&[to_gossip()]);
        at("peer/b").insight.sent.note(&[to_gossip(), to_gossip()]);
        at("monitor").insight.sent.note(&[to_gossip()]);
        let told = |name: &str| -> Vec<(String, u64, Option<u64>)> {
            links(name, &register.all()).into_iter().map(|link| (link.actor, link.sent, link.heard)).collect()
        };
        at("gossip");
        assert_eq!(told("gossip"), [("peer".to_owned(), 0, Some(3)), ("monitor".to_owned(), 0, Some(1))]);
        assert_eq!(told("peer/b"), [("gossip".to_owned(), 2, None)]);
        assert_eq!(told("monitor"), [("gossip".to_owned(), 1, Some(0))]);
        assert_eq!(told("knowledge"), []);
    }
}
