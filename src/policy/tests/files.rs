//! Files: both plain formats mean the same, what is wrong is told where it is, and the bounds hold.

use prunella_core::limits::{POLICY_FILE_BYTES_MAX, POLICY_RULES_MAX, POLICY_TESTS_MAX};

use super::*;
use crate::policy::Limits;

fn refused(text: &str, form: Form) -> String {
    let refused = PolicyFile::parse(text, "p", form).expect_err(text);
    assert_eq!(refused.to_string().lines().count(), 1, "{refused}");
    refused.to_string()
}

#[test]
fn toml_and_yaml_say_the_same() {
    let id = peer(1);
    let in_toml = format!(
        "[[rule]]\nname = 'a'\neffect = 'allow'\nfrom = ['{id}']\naction = 'connect'\nservice = ['web', 'db']\nregion = ['eu']\n\
         reputation_above = 0.5\n\n[[rule]]\neffect = 'deny'\nfrom = ['*']\naction = 'ping'\nquarantined = true\n\n[limits]\nconnections = 7\n\
         peers = ['{id}']\n[limits.peer]\nbytes = 5\nperiod_s = 60\nconnections_per_second = 3\n\n[[test]]\nfrom = '{id}'\naction = 'ping'\n\
         facts = {{ reputation = 0.4, quarantined = true }}\nexpect = 'deny'\nrule = 'rule 2'\n"
    );
    let in_yaml = format!(
        "rule:\n  - name: a\n    effect: allow\n    from: [{id}]\n    action: connect\n    service: [web, db]\n    region: [eu]\n    \
         reputation_above: 0.5\n  - effect: deny\n    from: ['*']\n    action: ping\n    quarantined: true\nlimits:\n  connections: 7\n  \
         peers: [{id}]\n  peer: {{ bytes: 5, period_s: 60, connections_per_second: 3 }}\ntest:\n  - from: {id}\n    action: ping\n    \
         facts: {{ reputation: 0.4, quarantined: true }}\n    expect: deny\n    rule: rule 2\n"
    );
    let (a, b) = (toml(&in_toml).unwrap(), PolicyFile::parse(&in_yaml, "p.yaml", Form::Yaml).unwrap());
    let compiled = |policy: &PolicyFile| policy.rules.iter().map(|rule| rule.cedar.clone()).collect::<Vec<_>>();
    assert_eq!(compiled(&a), compiled(&b));
    assert_eq!(a.limits, b.limits);
    assert_ne!(a.limits, Limits::default());
    assert_eq!(a.cases[0].facts, b.cases[0].facts);
    assert_eq!(b.rules.iter().map(|rule| rule.line).collect::<Vec<_>>(), [2, 9]);
    assert!(b.cases[0].differs(&engine(Ok(b.clone()))).is_none());
}

#[test]
fn a_plain_rule_compiles_to_one_readable_policy() {
    let text = format!(
        "[[rule]]\neffect = 'deny'\nfrom = ['{}', '{}']\naction = 'connect'\nservice = ['web']\nreputation_below = 0.5\n",
        peer(1),
        peer(2)
    );
    let policy = toml(&text).unwrap();
    let expected = format!(
        "@name(\"rule 1\")\nforbid (\n  principal,\n  action == Action::\"connect\",\n  resource == Service::\"web\"\n)\n\
         when {{ [Node::\"{}\", Node::\"{}\"].contains(principal) }}\nwhen {{ principal.reputation < 500 }};",
        peer(1),
        peer(2)
    );
    assert_eq!(policy.rules[0].cedar, expected);
    assert!(policy.warnings.is_empty(), "{:?}", policy.warnings);
}

#[test]
fn what_is_wrong_in_a_plain_file_is_told_with_its_place() {
    let rule = |rest: &str| format!("\n[[rule]]\neffect = 'allow'\nfrom = ['*']\naction = 'connect'\n{rest}\n");
    let command = |rest: &str| format!("[[rule]]\neffect = 'allow'\nfrom = ['*']\naction = 'command'\n{rest}\n");
    for (text, says) in [
        ("[[rule]]\neffect = 'maybe'\nfrom = ['*']\naction = 'ping'".to_owned(), "p:2:10: "),
        (rule("color = 'red'"), "p:6:1: unknown field"),
        (rule("service = ['A']"), "p:6:1: `service` is wrong: \"A\" cannot be a service's name"),
        (rule("reputation_below = 1.5"), "p:6:1: `reputation_below` is wrong: \"1.5\" is not a number from 0 to 1"),
        (rule("region = []"), "p:6:1: `region` is wrong: it must name something"),
        (rule("region = ['a-region-whose-name-is-far-too-long']"), "p:6:1: `region` is wrong"),
        (rule("certificate_older_than_s = -1"), "p:6:28: "),
        (rule("command = ['x']"), "p:6:1: `command` is wrong"),
        (rule("kind = ['read']"), "p:6:1: `kind` is wrong: only the action \"command\""),
        (command("command = ['dance']"), "p:5:1: `command` is wrong: there is no command \"dance\""),
        (command("command = ['chaos']"), "p:5:1: `command` is wrong: the command chaos is never done from afar"),
        (command("kind = ['loud']"), "p:5:9: unknown variant `loud`"),
        (command("kind = []"), "p:5:1: `kind` is wrong: it must name something"),
        (command("command = ['status']\nkind = ['read']"), "p:6:1: `kind` is wrong: commands are named, or"),
        (
            "[[rule]]\neffect = 'allow'\nfrom = ['bob']\naction = 'ping'".to_owned(),
            "p:3:1: `from` is wrong: \"bob\" is not a peer id",
        ),
        (
            "[[rule]]\neffect = 'allow'\nfrom = []\naction = 'ping'".to_owned(),
            "p:3:1: `from` is wrong: it names nobody",
        ),
        (rule("name = 'a'") + &rule("name = 'a'"), "p:12:1: the name \"a\" is taken by the rule in line 2"),
        ("[limits]\n\nconnections = 0".to_owned(), "p:3:1: `connections` is wrong: it must be 1 to 1000000"),
        ("[limits.peer]\nbytes = 5".to_owned(), "a quota needs both"),
        ("[limits]\npeers = ['x']".to_owned(), "p:2:1: `peers` is wrong: \"x\" is not a peer id"),
        ("[[test]]\nfrom = 'x'\naction = 'ping'\nexpect = 'deny'".to_owned(), "p:2:1: `from` is wrong"),
        (
            format!("[[test]]\nfrom = '{}'\naction = 'connect'\nexpect = 'deny'", peer(1)),
            "p:3:1: `action` is wrong: the action \"connect\" needs a service",
        ),
        ("cedar = '''\n\npermit (principal, action, nothing);\n'''".to_owned(), "p:3:28: "),
        (
            "cedar = \"permit (principal, action, resource) when { principal.name == \\\"a\\\" };\"".to_owned(),
            "letter by letter",
        ),
    ] {
        let error = refused(&text, Form::Toml);
        assert!(error.contains(says), "{error}\n{text}");
    }
    for (text, says) in [
        (
            "rule:\n  - effect: allow\n    from: [bob]\n    action: ping\n",
            "p:3:5: `from` is wrong: \"bob\" is not a peer id",
        ),
        ("rule:\n  - effect: allow\n    color: red\n    action: ping\n", "p:3:"),
        ("rule: &a []\ntest: *a\n", "p:1:"),
        ("rule: [\n", "p:"),
        ("rule: []\nrule: []\n", "p:2:"),
    ] {
        let error = refused(text, Form::Yaml);
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn the_bounds_of_a_file_hold() {
    let rule = "[[rule]]\neffect = 'allow'\nfrom = ['*']\naction = 'ping'\n";
    assert!(refused(&rule.repeat(POLICY_RULES_MAX + 1), Form::Toml).contains("more than 1024 rules"));
    let test = format!("[[test]]\nfrom = '{}'\naction = 'ping'\nexpect = 'deny'\n", peer(1));
    assert!(refused(&test.repeat(POLICY_TESTS_MAX + 1), Form::Toml).contains("more than 1024 tests"));
    let long = "#".repeat(POLICY_FILE_BYTES_MAX + 1);
    for form in [Form::Toml, Form::Yaml, Form::Cedar] {
        assert!(refused(&long, form).contains("longer than 1048576 bytes"));
        let _ = PolicyFile::parse(&"[".repeat(POLICY_FILE_BYTES_MAX), "p", form).unwrap_err();
        let _ = PolicyFile::parse(&"- ".repeat(POLICY_FILE_BYTES_MAX / 2), "p", form).unwrap_err();
    }
    let both = format!("cedar = '''{}'''\n{rule}", "permit (principal, action, resource);".repeat(POLICY_RULES_MAX));
    assert!(refused(&both, Form::Toml).contains("more than 1024 rules"));
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let error = PolicyFile::read(std::path::Path::new("/nowhere/policy.toml")).unwrap_err().to_string();
    assert!(error.starts_with("/nowhere/policy.toml:1:1: cannot be read"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("policy.toml");
    std::fs::write(&file, b"# one\n\xff").unwrap();
    assert!(PolicyFile::read(&file).unwrap_err().to_string().ends_with(":2:1: this is not UTF-8"));
}

#[test]
fn a_policy_test_tells_what_differed() {
    let id = peer(1);
    let rules =
        "[[rule]]\nname = 'web for all'\neffect = 'allow'\nfrom = ['*']\naction = 'connect'\nservice = ['web']\n";
    let case = |rest: &str| format!("[[test]]\nfrom = '{id}'\naction = 'connect'\nservice = 'web'\n{rest}\n");
    for (rest, differs) in [
        ("expect = 'allow'", None),
        ("expect = 'allow'\nrule = 'web for all'", None),
        ("expect = 'allow'\nrule = 'another'", Some("allowed by another")),
        ("expect = 'deny'", Some("denied")),
    ] {
        let policy = toml(&format!("{rules}{}", case(rest))).unwrap();
        let case = policy.cases[0].clone();
        let found = case.differs(&engine(Ok(policy)));
        assert_eq!(found.as_ref().map(|found| found.expected.as_str()), differs);
        if let Some(found) = found {
            assert_eq!((found.line, found.found.as_str()), (7, "allowed by web for all (p.toml:1)"));
        }
    }
}
