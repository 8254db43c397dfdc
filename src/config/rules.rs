//! The policy file: rules in TOML, read whole or refused whole.

use std::collections::BTreeSet;
use std::path::Path;

use prunella_core::PeerId;
use prunella_core::limits::POLICY_RULES_MAX;
use prunella_core::policy::{Action, Rule, RuleSet, Subjects, Verdict};
use prunella_core::record::is_service_name;
use serde::Deserialize;
use toml::Spanned;

use super::error::{ConfigError, Place};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<Spanned<Written>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    effect: Verdict,
    from: Vec<String>,
    action: Action,
    #[serde(default)]
    service: Vec<String>,
}

/// Reads the rules in `file`. Without a file there are no rules, and so everything is denied.
///
/// # Errors
/// [`ConfigError`] says the file, the line and what is wrong; nothing of the file counts then.
pub fn read_rules(file: &Path) -> Result<RuleSet, ConfigError> {
    match std::fs::read_to_string(file) {
        Ok(text) => parse(&text, file),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(RuleSet::default()),
        Err(source) => Err(ConfigError::Unreadable { file: file.to_path_buf(), source }),
    }
}

fn parse(text: &str, file: &Path) -> Result<RuleSet, ConfigError> {
    let place = |offset| Place::at(file, text, offset);
    let written: File = toml::from_str(text).map_err(|error| ConfigError::Syntax {
        place: place(error.span().map_or(0, |span| span.start)),
        reason: error.message().lines().next().unwrap_or_default().to_owned(),
    })?;
    if written.rule.len() > POLICY_RULES_MAX {
        return Err(ConfigError::OutOfRange {
            place: place(0),
            key: "rule".to_owned(),
            found: format!("given {} times", written.rule.len()),
            allowed: format!("given at most {POLICY_RULES_MAX} times"),
        });
    }
    let rule = |spanned: Spanned<Written>| {
        let at = place(spanned.span().start);
        convert(spanned.into_inner()).map_err(|(key, reason)| ConfigError::WrongValue {
            place: at,
            key: format!("rule.{key}"),
            reason,
        })
    };
    Ok(RuleSet { rules: written.rule.into_iter().map(rule).collect::<Result<_, _>>()? })
}

fn convert(written: Written) -> Result<Rule, (&'static str, String)> {
    let Written { effect, from, action, service } = written;
    if from.is_empty() {
        return Err(("from", "it names nobody; write [\"*\"] for every member".to_owned()));
    }
    if action != Action::Connect && !service.is_empty() {
        return Err(("service", "only the action \"connect\" is about services".to_owned()));
    }
    if let Some(bad) = service.iter().find(|name| !is_service_name(name)) {
        return Err(("service", format!("{bad:?} cannot be a service's name (a-z, 0-9 and the hyphen)")));
    }
    Ok(Rule { effect, from: subjects(from)?, action, services: service.into_iter().collect() })
}

/// Names are what nodes say of themselves, so no rule may rest on one: a peer id is the only way to mean a node.
fn subjects(from: Vec<String>) -> Result<Subjects, (&'static str, String)> {
    if from == ["*"] {
        return Ok(Subjects::Members);
    }
    let peer = |text: &String| {
        let reason =
            "is not a peer id; a rule names nodes by peer id (see `prunella peers`), or everybody by \"*\" alone";
        text.parse::<PeerId>().map_err(|_| ("from", format!("{text:?} {reason}")))
    };
    Ok(Subjects::Nodes(from.iter().map(peer).collect::<Result<BTreeSet<_>, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_read() {
        let rules = parse(include_str!("../../config/policy.example.toml"), Path::new("p")).unwrap();
        assert!(rules.rules.len() >= 3);
    }

    #[test]
    fn what_a_new_node_gets_allows_ping_and_relay_and_nothing_else() {
        let rules = parse(include_str!("../../config/policy.initial.toml"), Path::new("p")).unwrap();
        let somebody = PeerId::from_public_key([1; 32]);
        let allows = |action, service| rules.decide(&somebody, action, service).is_allowed();
        assert!(allows(Action::Ping, None) && allows(Action::Relay, None));
        assert!(!allows(Action::Connect, Some("web")) && !allows(Action::Message, None));
    }

    #[test]
    fn a_bad_rule_is_refused_with_its_line() {
        for (text, says) in [
            ("[[rule]]\neffect = \"maybe\"\nfrom = [\"*\"]\naction = \"ping\"", "p:2:"),
            ("[[rule]]\neffect = \"allow\"\nfrom = [\"bob\"]\naction = \"ping\"", "is not a peer id"),
            ("[[rule]]\neffect = \"allow\"\nfrom = []\naction = \"ping\"", "names nobody"),
            ("[[rule]]\neffect = \"allow\"\nfrom = [\"*\"]\naction = \"ping\"\nservice = [\"web\"]", "only the action"),
            ("[[rule]]\neffect = \"allow\"\nfrom = [\"*\"]\naction = \"connect\"\nservice = [\"W\"]", "service's name"),
            ("[[rules]]", "unknown field"),
        ] {
            let error = parse(text, Path::new("p")).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn no_file_means_no_rules() {
        assert_eq!(read_rules(Path::new("/nowhere/policy.toml")).unwrap(), RuleSet::default());
    }
}
