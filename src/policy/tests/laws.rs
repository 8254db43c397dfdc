//! Laws, for any policy and any request: the index changes no verdict, and no name is more than a name.

use std::time::Duration;

use cedar_policy::PolicySet;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::policy::Command;
use crate::policy::compile::quoted;

const SERVICES: [&str; 3] = ["web", "db", "mail"];
const REGIONS: [&str; 3] = ["eu", "us", ""];

fn heads() -> impl Strategy<Value = String> {
    let principal = prop_oneof![
        Just("principal".to_owned()),
        Just("principal is Node".to_owned()),
        (0..4u8).prop_map(|i| format!("principal == Node::\"{}\"", peer(i))),
        (0..4u8).prop_map(|i| format!("principal in Node::\"{}\"", peer(i))),
        select(&["eu", "us"]).prop_map(|region| format!("principal in Region::\"{region}\"")),
        select(&["eu", "us"]).prop_map(|region| format!("principal is Node in Region::\"{region}\"")),
    ];
    let rest = prop_oneof![
        Just("action, resource".to_owned()),
        Just("action, resource is Service".to_owned()),
        Just("action == Action::\"connect\", resource".to_owned()),
        Just("action in [Action::\"connect\", Action::\"ping\"], resource".to_owned()),
        Just("action == Action::\"message\", resource == Agent::\"web\"".to_owned()),
        Just("action == Action::\"ping\", resource".to_owned()),
        select(&SERVICES).prop_map(|name| format!("action == Action::\"connect\", resource == Service::\"{name}\"")),
        select(&SERVICES).prop_map(|name| format!("action, resource == Service::\"{name}\"")),
        Just(format!("action, resource in Node::\"{}\"", me())),
    ];
    (principal, rest).prop_map(|(principal, rest)| format!("{principal}, {rest}"))
}

/// A policy in Cedar.
fn in_cedar() -> impl Strategy<Value = String> {
    let condition = select(&[
        "",
        " when { principal.reputation > 500 }",
        " when { principal.region == \"eu\" }",
        " unless { principal.quarantined }",
        " when { principal.reputation * 9000000000000000000 > 0 }",
    ]);
    (select(&["permit", "forbid"]), heads(), condition)
        .prop_map(|(effect, head, condition)| format!("{effect} ({head}){condition};\n"))
}

/// A plain rule.
fn plain() -> impl Strategy<Value = String> {
    let from = prop_oneof![
        Just("'*'".to_owned()),
        vec(0..4u8, 1..4).prop_map(|nodes| nodes
            .iter()
            .map(|i| format!("'{}'", peer(*i)))
            .collect::<Vec<_>>()
            .join(", ")),
    ];
    let about = prop_oneof![
        Just("action = 'ping'".to_owned()),
        Just("action = 'message'".to_owned()),
        Just("action = 'connect'".to_owned()),
        vec(select(&SERVICES), 1..3).prop_map(|names| format!("action = 'connect'\nservice = {names:?}")),
        vec(select(&["status", "peers", "down"]), 1..3)
            .prop_map(|names| format!("action = 'command'\ncommand = {names:?}")),
        select(&["", "kind = ['read']", "kind = ['change', 'grave']"])
            .prop_map(|kind| format!("action = 'command'\n{kind}")),
    ];
    let condition =
        select(&["", "region = ['eu', 'us']", "region = ['us']", "reputation_below = 0.5", "quarantined = true"]);
    (select(&["allow", "deny"]), from, about, condition).prop_map(|(effect, from, about, condition)| {
        format!("[[rule]]\neffect = '{effect}'\nfrom = [{from}]\n{about}\n{condition}\n")
    })
}

fn facts() -> impl Strategy<Value = NodeFacts> {
    (select(&REGIONS), select(&[0, 499, 1000]), any::<bool>()).prop_map(|(region, reputation, quarantined)| NodeFacts {
        region: region.to_owned(),
        reputation,
        quarantined,
        certificate_age: Duration::from_secs(7),
        ..NodeFacts::default()
    })
}

fn actions() -> Vec<Action<'static>> {
    let mut all = vec![
        Action::Ping,
        Action::Relay,
        Action::Message { agent: None },
        Action::Message { agent: Some("web") },
        Action::Command { command: Command::Status },
        Action::Command { command: Command::SharedSet },
        Action::Command { command: Command::Down },
    ];
    all.extend(SERVICES.into_iter().chain(["x"]).map(|service| Action::Connect { service }));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_index_never_changes_a_verdict(
        rules in vec(plain(), 0..12),
        policies in vec(in_cedar(), 0..12),
        facts in facts(),
    ) {
        let text = format!("cedar = '''\n{}'''\n{}", policies.concat(), rules.concat());
        let engine = engine(toml(&text));
        prop_assert_eq!(engine.rules().len(), rules.len() + policies.len());
        let all = PolicySet::from_policies(engine.rules().iter().map(|rule| rule.policy.clone())).unwrap();
        for from in 0..5 {
            for action in actions() {
                let request = Request { from: peer(from), action };
                let known = SameFacts(facts.clone());
                let question = engine.question(&request, &known);
                let expected = engine.answer(&question, std::iter::once(&all));
                prop_assert_eq!(engine.judge(&request, &known), expected.clone());
                prop_assert_eq!(&*engine.decide(&request, &known), &expected);
                prop_assert_eq!(&*engine.decide(&request, &known), &expected, "remembered");
            }
        }
    }

    #[test]
    fn no_name_in_a_request_is_more_than_a_name(name in any_name(), other in any_name()) {
        let policy = engine(cedar("permit (principal, action == Action::\"connect\", resource == Service::\"web\");\n\
                                   forbid (principal, action, resource) when { principal.name == \"bad\" };"));
        let facts = NodeFacts { name: other.clone(), region: other.clone(), incident: other, ..NodeFacts::sound() };
        prop_assert_eq!(allows(&policy, &connect(1, &name), &facts), name == "web" && facts.name != "bad");
    }

    #[test]
    fn no_name_in_a_rule_is_more_than_a_name(name in any_name(), other in any_name()) {
        prop_assume!(!name.is_empty());
        let written = toml::Value::String(name.clone());
        let text = format!("[[rule]]\nname = 'x'\neffect = 'allow'\nfrom = ['*']\naction = 'message'\nincident = [{written}]\n\
                            trust_domain = [{written}]\n[[rule]]\nname = {written}\neffect = 'deny'\nfrom = ['*']\naction = 'ping'\n");
        prop_assume!(name != "x" && name.len() <= 128);
        let engine = engine(toml(&text));
        prop_assert_eq!(engine.rules().len(), 2);
        prop_assert_eq!(&*engine.rules()[1].name, name.as_str());
        let may = |incident: &str, domain: &str| {
            let request = Request { from: peer(1), action: Action::Message { agent: None } };
            let (incident, trust_domain) = (incident.to_owned(), domain.to_owned());
            allows(&engine, &request, &NodeFacts { incident, trust_domain, ..NodeFacts::sound() })
        };
        prop_assert!(may(&name, &name));
        prop_assert_eq!(may(&other, &name), other == name);
        prop_assert_eq!(may(&name, &other), other == name);
        prop_assert!(!allows(&engine, &connect(1, "web"), &NodeFacts::sound()));
    }

    #[test]
    fn a_string_literal_is_what_was_quoted(name in any_name()) {
        let engine = engine(cedar(&format!("permit (principal, action, resource) when {{ principal.name == {} }};", quoted(&name))));
        prop_assert_eq!(engine.rules().len(), 1);
        let may = |name: String| allows(&engine, &connect(1, "web"), &NodeFacts { name, ..NodeFacts::sound() });
        prop_assert!(may(name.clone()));
        prop_assert!(!may(name + "x"));
    }
}

/// Names that somebody might try.
fn any_name() -> impl Strategy<Value = String> {
    let hostile = select(&[
        "web",
        "bad",
        "web\" || true || \"",
        "\"); permit (principal, action, resource); //",
        "web\n};\npermit (principal, action, resource);",
        "\\\"",
        "\\",
        "*",
        "\u{0}",
        "\u{202e}bew",
        "we\\u{62}",
        "'''\n[[rule]]",
    ]);
    prop_oneof![2 => hostile.prop_map(str::to_owned), 1 => "\\PC{0,12}", 1 => "[\"\\\\\n;(){}a]{0,12}"]
}
