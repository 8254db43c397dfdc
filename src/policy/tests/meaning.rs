//! Verdicts: default deny, deny wins, attributes, explanations, remembered verdicts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::*;
use crate::policy::{Command, CommandKind, Facts, request::ActionName};

const EVERYBODY_CONNECTS: &str = "[[rule]]\neffect = 'allow'\nfrom = ['*']\naction = 'connect'\n";

fn every_action() -> [Action<'static>; 10] {
    [
        Action::Relay,
        Action::Ping,
        Action::Connect { service: "web" },
        Action::Message { agent: None },
        Action::Message { agent: Some("planner") },
        Action::Shell,
        Action::Command { command: Command::Status },
        Action::Flow { to: "tcp/22" },
        Action::Route { prefix: "10.20.0.0/16" },
        Action::Admit,
    ]
}

#[test]
fn what_no_rule_allows_is_denied_whatever_it_is() {
    for policy in [toml(""), cedar("")] {
        let engine = engine(policy);
        for action in every_action() {
            let verdict = engine.decide(&Request { from: peer(1), action }, &SameFacts(NodeFacts::sound()));
            assert!(!verdict.allowed && verdict.rules.is_empty(), "{action:?}");
            assert_eq!(verdict.reason, "denied: no rule allows it");
        }
    }
}

#[test]
fn a_rule_about_one_action_allows_no_other() {
    for name in ActionName::ALL {
        let engine = engine(toml(&format!("[[rule]]\neffect = 'allow'\nfrom = ['*']\naction = '{name}'\n")));
        for action in every_action() {
            let request = Request { from: peer(1), action };
            assert_eq!(allows(&engine, &request, &NodeFacts::sound()), action.name() == name, "{name}: {action:?}");
        }
    }
}

#[test]
fn a_network_is_announced_by_whoever_a_rule_lets_and_within_what_it_lets() {
    let by = |rule: &str| {
        engine(toml(&format!("[[rule]]\neffect = 'allow'\nfrom = ['{}']\naction = 'route'\n{rule}\n", peer(1))))
    };
    let route = |from: u8, prefix| Request { from: peer(from), action: Action::Route { prefix } };
    let sound = NodeFacts::sound();
    let some = by("route = ['10.20.0.0/16', 'fd00:20::/48']");
    for (prefix, is_allowed) in [
        ("10.20.0.0/16", true),
        ("10.20.7.0/24", true),
        ("10.0.0.0/8", false),
        ("10.21.0.0/16", false),
        ("fd00:20::/64", true),
        ("fd00:20::/32", false),
    ] {
        assert_eq!(allows(&some, &route(1, prefix), &sound), is_allowed, "{prefix}");
        assert!(!allows(&some, &route(2, prefix), &sound), "{prefix}");
    }
    assert!(allows(&by(""), &route(1, "192.168.0.0/24"), &sound), "a rule without networks means all");
    let cedar = engine(cedar(
        "permit (principal, action == Action::\"route\", resource)\n\
         when { context.prefix.isInRange(ip(\"10.0.0.0/8\")) && context.length >= 24 && context.prefix.isIpv4() };",
    ));
    assert!(allows(&cedar, &route(1, "10.20.7.0/24"), &sound) && !allows(&cedar, &route(1, "10.20.0.0/16"), &sound));
    for bad in ["route = ['10.20.0.1/16']", "route = ['x']", "flow = ['tcp/22']"] {
        let text = format!("[[rule]]\neffect = 'allow'\nfrom = ['*']\naction = 'route'\n{bad}\n");
        assert!(toml(&text).is_err(), "{bad}");
    }
}

#[test]
fn what_lies_behind_this_node_is_reached_only_if_a_rule_names_it() {
    let with =
        |effect: &str, flow: &str| format!("[[rule]]\neffect = '{effect}'\nfrom = ['*']\naction = 'flow'\n{flow}\n");
    let asked = |text: String, to| {
        allows(&engine(toml(&text)), &Request { from: peer(1), action: Action::Flow { to } }, &NodeFacts::sound())
    };
    let allow = |flow: &str, to| asked(with("allow", flow), to);
    assert!(allow("", "tcp/22") && !allow("", "tcp/22@10.20.0.5"), "nothing behind it in passing");
    assert!(allow("flow = ['tcp/22']", "tcp/22") && !allow("flow = ['tcp/22']", "tcp/22@10.20.0.5"));
    let within = "flow = ['tcp/22@10.20.0.0/16', 'any@fd00:20::/64']";
    for (to, is_allowed) in [
        ("tcp/22", false),
        ("tcp/22@10.20.0.5", true),
        ("tcp/23@10.20.0.5", false),
        ("tcp/22@10.21.0.5", false),
        ("icmp@fd00:20::5", true),
        ("udp/53@fd00:20::5", true),
        ("udp/53@fd00:21::5", false),
    ] {
        assert_eq!(allow(within, to), is_allowed, "{to}");
    }
    let all = with("allow", "flow = ['tcp', 'tcp@::/0', 'tcp@0.0.0.0/0']");
    for (deny, to, is_allowed) in [
        ("flow = ['tcp/22']", "tcp/22@10.20.0.5", false),
        ("flow = ['tcp/22']", "tcp/80@10.20.0.5", true),
        ("flow = ['any@10.20.0.0/16']", "tcp/80@10.20.0.5", false),
        ("flow = ['any@10.20.0.0/16']", "tcp/80", true),
        ("", "tcp/80@fd00:20::5", false),
    ] {
        assert_eq!(asked(format!("{all}{}", with("deny", deny)), to), is_allowed, "{deny}: {to}");
    }
}

#[test]
fn a_deny_wins_wherever_it_stands() {
    let deny = format!("[[rule]]\neffect = 'deny'\nfrom = ['{}']\naction = 'connect'\n", peer(2));
    for text in [format!("{EVERYBODY_CONNECTS}{deny}"), format!("{deny}{EVERYBODY_CONNECTS}")] {
        let engine = engine(toml(&text));
        assert!(allows(&engine, &connect(1, "web"), &NodeFacts::sound()), "{text}");
        assert!(!allows(&engine, &connect(2, "web"), &NodeFacts::sound()), "{text}");
    }
}

#[test]
fn a_deny_that_cannot_be_evaluated_denies_and_an_allow_does_not_allow() {
    let overflow = "principal.reputation * 9223372036854775807 > 0";
    let all = "permit (principal, action, resource);\n";
    let forbids =
        engine(cedar(&format!("{all}forbid (principal, action == Action::\"ping\", resource) when {{ {overflow} }};")));
    let ping = Request { from: peer(1), action: Action::Ping };
    let verdict = forbids.judge(&ping, &SameFacts(NodeFacts::sound()));
    assert!(!verdict.allowed && verdict.reason.contains("could not be evaluated"), "{}", verdict.reason);
    assert!(allows(&forbids, &ping, &NodeFacts { reputation: 0, ..NodeFacts::sound() }));
    assert!(allows(&forbids, &connect(1, "web"), &NodeFacts::sound()));
    let permits = engine(cedar(&format!("permit (principal, action, resource) when {{ {overflow} }};")));
    assert!(!allows(&permits, &ping, &NodeFacts::sound()));
}

/// A condition in the plain form, the same in Cedar, and facts of which the first satisfy it and the second do not.
fn conditions() -> Vec<(&'static str, &'static str, NodeFacts, NodeFacts)> {
    let sound = NodeFacts::sound;
    let age = |s| NodeFacts { certificate_age: Duration::from_secs(s), ..sound() };
    let reputation = |reputation| NodeFacts { reputation, ..sound() };
    let region = |region: &str| NodeFacts { region: region.into(), ..sound() };
    vec![
        (
            "region = ['eu', 'us']",
            "principal.region == \"eu\" || principal.region == \"us\"",
            region("us"),
            region("ap"),
        ),
        ("region = ['eu']", "principal in Region::\"eu\"", region("eu"), region("")),
        ("reputation_below = 0.5", "principal.reputation < 500", reputation(499), reputation(500)),
        ("reputation_above = 0.8", "principal.reputation > 800", reputation(801), reputation(800)),
        ("certificate_older_than_s = 3600", "principal.certificate_age_s > 3600", age(3601), age(3600)),
        ("quarantined = true", "principal.quarantined", NodeFacts { quarantined: true, ..sound() }, sound()),
        ("quarantined = false", "!principal.quarantined", sound(), NodeFacts { quarantined: true, ..sound() }),
        (
            "incident = ['link-down']",
            "principal.incident == \"link-down\"",
            NodeFacts { incident: "link-down".into(), ..sound() },
            sound(),
        ),
        (
            "trust_domain = ['mesh.example']",
            "principal.trust_domain == \"mesh.example\"",
            NodeFacts { trust_domain: "mesh.example".into(), ..sound() },
            NodeFacts { trust_domain: "other.example".into(), ..sound() },
        ),
    ]
}

#[test]
fn every_attribute_works_in_both_forms_to_allow_and_to_deny() {
    for (plain, in_cedar, yes, no) in conditions() {
        let head = "principal, action == Action::\"connect\", resource";
        for (effect, word) in [("allow", "permit"), ("deny", "forbid")] {
            let rest = if effect == "deny" { EVERYBODY_CONNECTS } else { "" };
            let rule = format!("[[rule]]\neffect = '{effect}'\nfrom = ['*']\naction = 'connect'\n{plain}\n{rest}");
            let rest = if effect == "deny" { format!("permit ({head});") } else { String::new() };
            for engine in [engine(toml(&rule)), engine(cedar(&format!("{word} ({head}) when {{ {in_cedar} }};{rest}")))]
            {
                let found = [&yes, &no].map(|facts| allows(&engine, &connect(1, "web"), facts));
                assert_eq!(found, [effect == "allow", effect == "deny"], "{effect} if {plain}");
            }
        }
    }
    let named = engine(cedar("permit (principal, action, resource) when { principal.name == \"a\" };"));
    assert!(allows(&named, &connect(1, "web"), &NodeFacts { name: "a".into(), ..NodeFacts::default() }));
    assert!(!allows(&named, &connect(1, "web"), &NodeFacts::sound()));
}

#[test]
fn services_commands_and_agents_are_told_apart_by_name() {
    let policy = "[[rule]]\neffect = 'allow'\nfrom = ['*']\naction = 'connect'\nservice = ['web', 'db']\n\
                  [[rule]]\neffect = 'allow'\nfrom = ['*']\naction = 'command'\ncommand = ['status', 'peers']\n\
                  [[rule]]\neffect = 'allow'\nfrom = ['*']\naction = 'connect'\nservice = ['mail']\n";
    let plain = engine(toml(policy));
    for (service, expected) in [("web", true), ("db", true), ("mail", true), ("status", false), ("", false)] {
        assert_eq!(allows(&plain, &connect(1, service), &NodeFacts::sound()), expected, "{service}");
    }
    for (command, expected) in [(Command::Status, true), (Command::Peers, true), (Command::Down, false)] {
        let request = Request { from: peer(1), action: Action::Command { command } };
        assert_eq!(allows(&plain, &request, &NodeFacts::sound()), expected, "{command}");
    }
    let in_cedar = engine(cedar("permit (principal, action, resource == Agent::\"planner\");"));
    for (agent, expected) in [(Some("planner"), true), (Some("other"), false), (None, false)] {
        let request = Request { from: peer(1), action: Action::Message { agent } };
        assert_eq!(allows(&in_cedar, &request, &NodeFacts::sound()), expected, "{agent:?}");
    }
}

#[test]
fn commands_are_meant_by_kind_and_nothing_grave_is_allowed_in_passing() {
    use CommandKind::{Change, Grave, Read};
    let rule =
        |effect: &str, rest: &str| format!("[[rule]]\neffect = '{effect}'\nfrom = ['*']\naction = 'command'\n{rest}\n");
    let all = rule("allow", "kind = ['read', 'change', 'grave']");
    let when = |condition: &str| {
        format!("permit (principal, action == Action::\"command\", resource) when {{ {condition} }};")
    };
    for (policy, allowed) in [
        (toml(&rule("allow", "")), vec![Read, Change]),
        (toml(&rule("allow", "kind = ['read']")), vec![Read]),
        (toml(&rule("allow", "kind = ['grave']")), vec![Grave]),
        (toml(&all), vec![Read, Change, Grave]),
        (toml(&(all.clone() + &rule("deny", ""))), vec![]),
        (toml(&(all.clone() + &rule("deny", "kind = ['change']"))), vec![Read, Grave]),
        (cedar(&when("context.kind != \"read\"")), vec![Change, Grave]),
    ] {
        let engine = engine(policy);
        for command in Command::ALL {
            let Ok(kind) = command.from_afar() else { continue };
            let request = Request { from: peer(1), action: Action::Command { command } };
            assert_eq!(
                allows(&engine, &request, &NodeFacts::sound()),
                allowed.contains(&kind),
                "{command}: {allowed:?}"
            );
        }
    }
    let named = toml(&rule("allow", "command = ['down']")).unwrap();
    assert_eq!(named.rules[0].text, "allow every member to command down");
    let down = Request { from: peer(1), action: Action::Command { command: Command::Down } };
    assert!(allows(&engine(Ok(named)), &down, &NodeFacts::sound()), "by its name");
    let sentences = [rule("allow", ""), rule("deny", ""), rule("allow", "kind = ['grave']")];
    let sentences = sentences.map(|text| toml(&text).unwrap().rules[0].text.clone());
    let expected = [
        "allow every member to command what reads or changes",
        "deny every member to command",
        "allow every member to command what is grave",
    ];
    assert_eq!(sentences, expected);
}

#[test]
fn a_service_is_in_the_node_that_exposes_it_and_in_no_other() {
    for (node, expected) in [(me(), true), (peer(1), false)] {
        let engine = engine(cedar(&format!("permit (principal, action, resource in Node::\"{node}\");")));
        assert_eq!(allows(&engine, &connect(1, "web"), &NodeFacts::sound()), expected);
    }
}

#[test]
fn a_node_may_ask_itself() {
    let engine = engine(cedar("permit (principal, action, resource) when { principal == resource };"));
    let ping = |from| Request { from, action: Action::Ping };
    assert!(allows(&engine, &ping(me()), &NodeFacts::sound()) && !allows(&engine, &ping(peer(1)), &NodeFacts::sound()));
}

#[test]
fn an_explanation_names_the_rules_that_led_to_it() {
    let text = format!(
        "# first\n{EVERYBODY_CONNECTS}\n[[rule]]\nname = 'no strangers'\neffect = 'deny'\nfrom = ['*']\naction = 'connect'\nreputation_below = 0.5\n"
    );
    let engine = engine(toml(&text));
    let explain =
        |reputation| engine.explain(&connect(1, "web"), &SameFacts(NodeFacts { reputation, ..NodeFacts::default() }));
    assert_eq!(explain(900).verdict.reason, "allowed by rule 1 (p.toml:2)");
    let denied = explain(400);
    assert_eq!(denied.verdict.reason, "denied by no strangers (p.toml:7)");
    assert_eq!(denied.said, ["deny every member to connect if its reputation is below 0.5"]);
    assert!(denied.near.is_empty(), "it is denied by a rule, not for want of one");
}

#[test]
fn an_explanation_says_what_was_missing() {
    let policy = format!(
        "permit (principal == Node::\"{}\", action == Action::\"connect\", resource == Service::\"web\");\n\
         permit (principal, action == Action::\"connect\", resource)\n\
         when {{ principal.region == \"eu\" && principal.reputation > 500 }} unless {{ principal.quarantined }};\n\
         permit (principal, action == Action::\"ping\", resource);",
        peer(2)
    );
    let engine = engine(cedar(&policy));
    let facts = NodeFacts { region: "eu".into(), reputation: 400, quarantined: true, ..NodeFacts::default() };
    let explained = engine.explain(&connect(1, "db"), &SameFacts(facts));
    let near: Vec<(usize, Vec<String>)> =
        explained.near.iter().map(|near| (near.rule.line, near.unsatisfied.clone())).collect();
    let head = format!("principal == Node::\"{}\"", peer(2));
    assert_eq!(
        near,
        [
            (1, vec![head, "resource == Service::\"web\"".to_owned()]),
            (2, vec!["principal.reputation > 500".to_owned(), "!principal.quarantined".to_owned()]),
        ]
    );
}

/// Facts that change.
struct Changing {
    generation: AtomicU64,
    asked: AtomicU64,
    bad: PeerId,
}

impl Facts for Changing {
    fn generation(&self, about: &PeerId) -> u64 {
        if *about == self.bad { self.generation.load(Ordering::Relaxed) } else { 0 }
    }

    fn node(&self, about: &PeerId) -> NodeFacts {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let bad = *about == self.bad && self.generation.load(Ordering::Relaxed) > 0;
        NodeFacts { reputation: if bad { 100 } else { 1000 }, ..NodeFacts::default() }
    }
}

#[test]
fn a_verdict_is_remembered_until_what_it_rests_on_changes() {
    let engine = engine(toml("[[rule]]\neffect = 'allow'\nfrom = ['*']\naction = 'connect'\nreputation_above = 0.5\n"));
    let facts = Changing { generation: AtomicU64::new(0), asked: AtomicU64::new(0), bad: peer(2) };
    let open = [connect(1, "web"), connect(2, "web"), connect(2, "db")];
    assert!(engine.reconsider(open, &facts).is_empty());
    let asked = facts.asked.load(Ordering::Relaxed);
    assert!(engine.reconsider(open, &facts).is_empty());
    assert_eq!(facts.asked.load(Ordering::Relaxed), asked, "nothing was found anew");
    facts.generation.store(1, Ordering::Relaxed);
    let over: Vec<Request<'_>> = engine.reconsider(open, &facts).into_iter().map(|(request, _)| request).collect();
    assert_eq!(over, open[1..], "whose reputation fell is not allowed any more, and nobody else is affected");
    let verdict = engine.decide(&connect(1, "web"), &facts);
    assert_eq!(facts.asked.load(Ordering::Relaxed), asked + 4, "the other's verdict was still remembered");
    assert!(verdict.allowed);
}

#[test]
fn a_remembered_verdict_costs_no_allocation() {
    let engine = engine(toml(EVERYBODY_CONNECTS));
    let facts = SameFacts(NodeFacts::sound());
    let request = connect(1, "web");
    drop(engine.decide(&request, &facts));
    let counted = allocation_counter::measure(|| assert!(engine.decide(&request, &facts).allowed));
    assert_eq!(counted.count_total, 0);
}

#[test]
fn names_longer_than_any_service_are_judged_and_not_remembered() {
    let engine = engine(toml(EVERYBODY_CONNECTS));
    let long = "x".repeat(1_000_000);
    assert!(allows(&engine, &connect(1, &long), &NodeFacts::sound()), "an allow of all services means all");
}

/// Rules that were there before anybody was federated do not begin to mean strangers.
#[test]
fn what_is_allowed_to_everybody_is_allowed_to_the_mesh_s_own() {
    let ping = Request { from: peer(1), action: Action::Ping };
    let partner = NodeFacts {
        trust_domain: "partner.example".into(),
        spiffe_id: "spiffe://partner.example/web".into(),
        federated: true,
        ..NodeFacts::sound()
    };
    let own = NodeFacts { trust_domain: "mesh.example".into(), ..NodeFacts::sound() };
    let rule = |effect: &str, from: &str, condition: &str| {
        engine(toml(&format!(
            "[[rule]]\nname = 'x'\neffect = '{effect}'\nfrom = ['{from}']\naction = 'ping'\n{condition}\n"
        )))
    };
    let one = peer(1).to_string();
    for (from, condition, to_own, to_partner) in [
        ("*", "", true, false),
        ("*", "reputation_above = 0.5", true, false),
        ("*", "trust_domain = ['partner.example']", false, true),
        ("*", "trust_domain = ['other.example']", false, false),
        ("*", "spiffe_id = ['spiffe://partner.example/web', 'spiffe://x/y']", false, true),
        ("*", "spiffe_id = ['spiffe://partner.example/we']", false, false),
        ("*", "federated = true", false, true),
        ("*", "federated = false", true, false),
        // Whoever is named is meant.
        (one.as_str(), "", true, true),
    ] {
        let allow = rule("allow", from, condition);
        assert_eq!((allows(&allow, &ping, &own), allows(&allow, &ping, &partner)), (to_own, to_partner), "{condition}");
    }
    let both =
        "[[rule]]\nname = 'all'\neffect = 'allow'\nfrom = ['*']\naction = 'ping'\ntrust_domain = ['partner.example']\n";
    let deny = "[[rule]]\nname = 'none'\neffect = 'deny'\nfrom = ['*']\naction = 'ping'\n";
    let denies = engine(toml(&format!("{both}{deny}")));
    assert_eq!(denies.decide(&ping, &SameFacts(partner)).names(), "none", "a denial means everybody");
}
