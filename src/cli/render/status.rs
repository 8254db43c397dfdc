//! The node at a glance.

use super::page::Page;
use super::quantity::{moment, span};
use crate::api::vocabulary::{MemberCounts, Status};

pub(super) fn glance(status: &Status, now_unix_ms: u64, page: &mut Page) {
    let fact = |page: &mut Page, title: &str, fact: String| page.line(&format!("{title:<13} {fact}"));
    if !status.name.is_empty() {
        fact(page, "name", status.name.clone());
    }
    fact(page, "peer", status.peer.to_string());
    fact(page, "trust domain", status.trust_domain.clone());
    fact(page, "listen", status.listen.to_string());
    fact(page, "http", status.http.clone().unwrap_or_else(|| "only http.sock in the node's directory".to_owned()));
    fact(page, "overlay", status.overlay_address.to_string());
    fact(page, "running", format!("{} (process {}, version {})", span(status.uptime_ms), status.pid, status.version));
    fact(page, "links", format!("{} up", status.links_up));
    let others = status.peers_known.saturating_sub(1);
    fact(page, "peers", format!("{} of {others} others reachable", status.peers_reachable));
    let MemberCounts { alive, suspect, down } = status.members;
    let quorum = if status.has_quorum { "a quorum within reach" } else { "NO QUORUM within reach" };
    fact(page, "members", format!("{alive} alive, {suspect} suspect, {down} down; {quorum}"));
    let records =
        if status.converged { "the same as at every neighbor" } else { "not yet the same as at every neighbor" };
    fact(page, "records", records.to_owned());
    fact(page, "incidents", format!("{} open", status.incidents_open));
    let entries =
        status.ledger.entries.map_or_else(|| "being restarted".to_owned(), |count| format!("{count} entries"));
    let trouble = status.ledger.trouble.as_ref().map_or_else(String::new, |trouble| format!("; TROUBLE: {trouble}"));
    fact(page, "ledger", format!("{entries}{trouble}"));
    if let Some(refused) = &status.policy_refused {
        fact(page, "policy", format!("REFUSED as a whole: {refused}"));
    }
    fact(page, "certificate", certificate(status.certificate_expires_unix.saturating_mul(1000), now_unix_ms));
    if status.counters.is_empty() {
        return;
    }
    page.line("counters");
    let width = status.counters.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    for (name, count) in &status.counters {
        page.line(&format!("  {name:<width$}  {count}"));
    }
}

fn certificate(expires_unix_ms: u64, now_unix_ms: u64) -> String {
    let when = moment(expires_unix_ms);
    match expires_unix_ms.checked_sub(now_unix_ms) {
        Some(left) => format!("valid until {when} (for {})", span(left)),
        None => format!("EXPIRED at {when} ({} ago)", span(now_unix_ms - expires_unix_ms)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PeerId;
    use crate::api::vocabulary::LedgerGlance;

    #[test]
    fn a_glance_tells_the_essentials() {
        let peer = PeerId::from_public_key([1; 32]);
        let status = Status {
            peer,
            name: "a".into(),
            trust_domain: "mesh.example".into(),
            version: "0.1.0".into(),
            pid: 42,
            listen: "127.0.0.1:4600".parse().unwrap(),
            http: Some("http://127.0.0.1:9090".into()),
            overlay_address: std::net::Ipv6Addr::LOCALHOST,
            uptime_ms: 61_000,
            links_up: 2,
            peers_known: 4,
            peers_reachable: 3,
            members: MemberCounts { alive: 4, suspect: 0, down: 0 },
            has_quorum: true,
            converged: true,
            incidents_open: 0,
            ledger: LedgerGlance { entries: Some(12), trouble: None },
            policy_refused: Some("p.toml:1:1: no".into()),
            certificate_expires_unix: 1_700_003_600,
            counters: [("forwarded".to_owned(), 7), ("no-path".to_owned(), 0)].into(),
        };
        let mut page = Page::default();
        glance(&status, 1_700_000_000_000, &mut page);
        let expected = format!(
            "name          a
peer          {peer}
trust domain  mesh.example
listen        127.0.0.1:4600
http          http://127.0.0.1:9090
overlay       ::1
running       1 min 1 s (process 42, version 0.1.0)
links         2 up
peers         3 of 3 others reachable
members       4 alive, 0 suspect, 0 down; a quorum within reach
records       the same as at every neighbor
incidents     0 open
ledger        12 entries
policy        REFUSED as a whole: p.toml:1:1: no
certificate   valid until 2023-11-14 23:13:20Z (for 1 h 0 min)
counters
  forwarded  7
  no-path    0
"
        );
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn an_expired_certificate_is_told() {
        assert_eq!(certificate(0, 5_000), "EXPIRED at 1970-01-01 00:00:00Z (5.0 s ago)");
    }
}
