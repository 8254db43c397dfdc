//! A policy language so small that an oracle can read it: what a document means here is told apart from the program.
//!
//! One rule a line, `allow` or `deny`, then who (`*` or peer ids with commas), then what: `relay`, or `connect` and a
//! service or `*`. What no rule allows is denied, and a deny always wins.

use prunella_core::PeerId;
use prunella_core::policy::{Document, Source};

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) allows: bool,
    /// Whom it is about; empty: everybody.
    pub(crate) from: Vec<PeerId>,
    /// To which service it lets them connect; `None`: it is about relaying.
    pub(crate) service: Option<String>,
}

/// Writes rules down.
pub(crate) fn written(version: u64, rules: &[Rule]) -> Document {
    let line = |rule: &Rule| {
        let effect = if rule.allows { "allow" } else { "deny" };
        let from: Vec<String> = rule.from.iter().map(PeerId::to_string).collect();
        let from = if from.is_empty() { "*".to_owned() } else { from.join(",") };
        let what = rule.service.as_ref().map_or("relay".to_owned(), |service| format!("connect {service}"));
        format!("{effect} {from} {what}\n")
    };
    let text: String = rules.iter().map(line).collect();
    Document::new(version, Source::Mesh, "rules", text.into_bytes())
}

/// Whether a document lets somebody connect to a service.
pub(crate) fn lets_connect(document: &Document, who: &PeerId, service: &str) -> bool {
    let rules: Vec<Rule> = String::from_utf8_lossy(&document.text).lines().filter_map(read).collect();
    let speaks = |rule: &&Rule| {
        let named = rule.service.as_deref().is_some_and(|name| name == "*" || name == service);
        named && (rule.from.is_empty() || rule.from.contains(who))
    };
    let mut about = rules.iter().filter(speaks).peekable();
    about.peek().is_some() && about.all(|rule| rule.allows)
}

fn read(line: &str) -> Option<Rule> {
    let mut words = line.split(' ');
    let allows = words.next()? == "allow";
    let from = match words.next()? {
        "*" => Vec::new(),
        peers => peers.split(',').map(str::parse).collect::<Result<_, _>>().ok()?,
    };
    let service = match words.next()? {
        "connect" => Some(words.next()?.to_owned()),
        _ => None,
    };
    Some(Rule { allows, from, service })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(first: u8) -> PeerId {
        PeerId::from_public_key([first; 32])
    }

    fn rule(allows: bool, from: &[PeerId], service: Option<&str>) -> Rule {
        Rule { allows, from: from.to_vec(), service: service.map(str::to_owned) }
    }

    #[test]
    fn nothing_is_allowed_without_a_rule_and_a_deny_wins_wherever_it_stands() {
        let allow = rule(true, &[], Some("web"));
        let deny = rule(false, &[peer(2)], Some("*"));
        for rules in [[allow.clone(), deny.clone()], [deny, allow]] {
            let document = written(1, &rules);
            assert!(lets_connect(&document, &peer(1), "web"));
            assert!(!lets_connect(&document, &peer(2), "web"));
            assert!(!lets_connect(&document, &peer(1), "db"));
        }
        assert!(!lets_connect(&written(1, &[rule(true, &[], None)]), &peer(1), "web"));
        assert!(!lets_connect(&written(1, &[]), &peer(1), "web"));
    }

    #[test]
    fn a_rule_is_read_as_it_was_written() {
        for rule in [rule(true, &[], None), rule(false, &[peer(1), peer(2)], Some("web"))] {
            let text = written(1, std::slice::from_ref(&rule)).text;
            assert_eq!(read(String::from_utf8(text).unwrap().trim_end()), Some(rule));
        }
    }
}
