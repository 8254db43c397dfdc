//! Events as lines of text.

use super::quantity::{moment_ms, span};
use crate::api::PeerId;
use crate::api::harmless;
use crate::api::vocabulary::{Event, EventInfo};

/// The event on one line; `name` says how people call a node.
pub(in crate::cli) fn event(info: &EventInfo, name: &dyn Fn(PeerId) -> String) -> String {
    let names = |peers: &[PeerId]| peers.iter().map(|peer| name(*peer)).collect::<Vec<_>>().join(" ");
    let (what, told) = match &info.event {
        Event::NodeChanged { peer, name: called, region } => {
            let region = if region.is_empty() { String::new() } else { format!(" in {region}") };
            ("node", format!("{} is known as {called:?}{region}", peer.short()))
        }
        Event::NodeForgotten { peer } => ("node", format!("{} is known no more", name(*peer))),
        Event::MemberChanged { peer, from, to } => ("member", format!("{} was {from} and is {to}", name(*peer))),
        Event::LinksChanged { peer, added, removed } => {
            let part = |word: &str, peers: &[PeerId]| match peers {
                [] => String::new(),
                peers => format!(" {word} {}", names(peers)),
            };
            ("links", format!("{}:{}{}", name(*peer), part("up", added), part("gone", removed)))
        }
        Event::QuorumChanged { has_quorum, reachable, known } => {
            let word = if *has_quorum { "a quorum" } else { "no quorum" };
            ("quorum", format!("{word}: {reachable} of {known} within reach"))
        }
        Event::IncidentOpened { id, kind, subject, severity } => {
            let subject = subject.parse().map_or_else(|_| subject.clone(), name);
            ("incident", format!("#{id} opened: {kind} {subject} ({severity})"))
        }
        Event::IncidentAdvanced { id, phase, what } => ("incident", format!("#{id} {phase}: {what}")),
        Event::IncidentClosed { id, lasted_ms } => ("incident", format!("#{id} over after {}", span(*lasted_ms))),
        Event::ActorFailed { actor, reason } => ("actor", format!("{actor} failed: {reason}")),
        Event::ActorRestarted { actor } => ("actor", format!("{actor} runs again")),
        Event::ServiceChanged { name: service, provider, exposed } => {
            let word = if *exposed { "exposed by" } else { "no more at" };
            ("service", format!("{service} {word} {}", name(*provider)))
        }
        Event::NeighborMoved { peer, address } => ("links", format!("{} has moved to {address}", name(*peer))),
        Event::NetworkReached { prefix, peer } => ("network", format!("{prefix} is reached over {}", name(*peer))),
        Event::NetworkLost { prefix, peer } => {
            ("network", format!("{prefix} is reached no more, as it was over {}", name(*peer)))
        }
    };
    harmless(&format!("{}  {what:<8}  {told}", moment_ms(info.unix_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::vocabulary::Cursor;

    #[test]
    fn each_event_is_a_line_with_the_names_that_people_use() {
        let peer = |byte: u8| PeerId::from_public_key([byte; 32]);
        let name = |called: PeerId| if called == peer(1) { "a".to_owned() } else { "b".to_owned() };
        let told = |event: Event| {
            let info = EventInfo { cursor: Cursor { run: 1, number: 1 }, unix_ms: 1_700_000_000_042, event };
            super::event(&info, &name)
        };
        let links = Event::LinksChanged { peer: peer(1), added: vec![peer(2)], removed: vec![peer(1), peer(2)] };
        assert_eq!(told(links), "2023-11-14 22:13:20.042Z  links     a: up b gone a b");
        let opened = Event::IncidentOpened {
            id: 3,
            kind: "link-down".into(),
            subject: peer(2).to_string(),
            severity: "major".into(),
        };
        assert_eq!(told(opened), "2023-11-14 22:13:20.042Z  incident  #3 opened: link-down b (major)");
        let failed = Event::ActorFailed { actor: "gossip".into(), reason: "a\nb".into() };
        assert_eq!(told(failed), "2023-11-14 22:13:20.042Z  actor     gossip failed: a\u{fffd}b");
    }
}
