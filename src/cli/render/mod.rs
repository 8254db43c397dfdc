//! Responses as text for people and as JSON for programs. Pure: the same response at the same time gives the same text.

mod actor;
pub(super) mod authority;
mod certificate;
mod chaos;
mod configuration;
mod event;
mod explanation;
mod gossip;
mod healing;
mod journal;
mod kernel;
mod ledger;
mod membership;
mod page;
mod policy;
pub(super) mod quantity;
mod record;
mod region;
mod replay;
mod routing;
mod service;
mod shared;
mod status;
mod store;
mod table;
mod token;
mod topology;
mod tree;
mod tun;
mod vitals;

use serde::Serialize;

use self::page::Page;
use crate::api::{PeerId, Response};

pub(super) use actor::{inbox, ranking as actor_ranking, short as short_time};
pub(super) use event::event;
pub(super) use explanation::explanation;
pub(super) use ledger::line as ledger_line;
pub(super) use policy::{policy_as_cedar, policy_check, policy_explanation, policy_test};
pub(super) use replay::replay;
pub(super) use token::tokens;

/// The response as JSON over several lines, in the order of the vocabulary.
pub(super) fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("BUG: every response has a JSON form");
    text.push('\n');
    text
}

/// The same on one line.
pub(super) fn json_line(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string(value).expect("BUG: every response has a JSON form");
    text.push('\n');
    text
}

/// The response as text; `now_unix_ms` is the time that ages are told from.
pub(super) fn text(response: &Response, now_unix_ms: u64) -> String {
    let mut page = Page::default();
    match response {
        Response::Status(status) => status::glance(status, now_unix_ms, &mut page),
        Response::Reputation { peer, score, parts } => membership::reputation(*peer, *score, parts, &mut page),
        Response::Vitals(info) => vitals::vitals(info, now_unix_ms, &mut page),
        Response::Members(standing) => membership::members(standing, &mut page),
        Response::Peers { peers, .. } => routing::peers(peers, &mut page),
        Response::Links { links } => routing::links(links, &mut page),
        Response::Certificates(info) => certificate::list(info, now_unix_ms, &mut page),
        Response::Smoke(info) => certificate::smoke(info, &mut page),
        Response::Certificate { certificates } => certificates.iter().for_each(|one| certificate::one(one, &mut page)),
        Response::Problems { problems } => certificate::problems(problems, &mut page),
        Response::Gossip(info) => gossip::gossip(info, &mut page),
        Response::Records { records, .. } => record::list(records, now_unix_ms, &mut page),
        Response::Record(detail) => record::one(detail, now_unix_ms, &mut page),
        Response::Store(info) => store::store(info, &mut page),
        Response::Tun(info) => tun::tun(info, &mut page),
        Response::Kernel(info) => kernel::kernel(info, &mut page),
        Response::Journal(info) => journal::journal(info, now_unix_ms, &mut page),
        Response::Regions(info) => region::regions(info, &mut page),
        Response::Configuration { settings } => configuration::settings(settings, &mut page),
        Response::Log { filter } => page.line(filter),
        Response::Topology(info) => topology::graph(info, &mut page),
        Response::Events(info) => {
            info.events.iter().for_each(|one| page.line(&event(one, &|peer| peer.short())));
        }
        Response::Paths { destination, paths } => routing::paths(*destination, paths, &mut page),
        Response::Ping { peer, rtt_us, via } => routing::ping(*peer, *rtt_us, via, &mut page),
        Response::Trace { destination, hops } => routing::trace(*destination, hops, &mut page),
        Response::Actors { actors } => actor::tree(actors, &mut page),
        Response::Actor(actor) => actor::one(actor, &mut page),
        Response::Tapped(info) => actor::tapped(info, &mut page),
        Response::Incidents { incidents } => healing::incidents(incidents, now_unix_ms, &mut page),
        Response::Incident(incident) => healing::incident(incident, now_unix_ms, &mut page),
        Response::Services { services, forwards, .. } => service::list(services, forwards, &mut page),
        Response::Forwarding { listen } => page.line(&format!("listening on {listen}")),
        Response::Shared(info) => shared::one(info, now_unix_ms, &mut page),
        Response::SharedList { shared, .. } => shared::list(shared, now_unix_ms, &mut page),
        Response::Policy(info) => policy::in_force(info, &mut page),
        Response::PolicyExplained(explained) => policy::explanation(explained, &mut page),
        Response::Ledger(info) => ledger::show(info, &mut page),
        Response::LedgerLines { lines, .. } => lines.iter().for_each(|line| page.line(&ledger::line(line))),
        Response::LedgerVerified(report) => ledger::report(report, &mut page),
        Response::LedgerProof(proof) => ledger::proof(proof, &mut page),
        Response::Faults { faults } => chaos::faults(faults, &mut page),
        Response::Done => page.line("done"),
        Response::Error { error } => page.line(&format!("error: {error}")),
    }
    page.into_text()
}

/// A node as people know it: its name, or else the beginning of its id.
fn called(name: &str, peer: PeerId) -> String {
    if name.is_empty() { peer.short() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Error, ErrorKind};

    #[test]
    fn an_error_keeps_its_kind_in_json() {
        let error = Error::new(ErrorKind::NoPath, "no path to b");
        let expected = "{\n  \"response\": \"error\",\n  \"error\": {\n    \"kind\": \"no-path\",\n    \"message\": \"no path to b\"\n  }\n}\n";
        assert_eq!(json(&Response::Error { error }), expected);
    }
}
