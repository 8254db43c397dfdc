//! Policy files without a running node: the examples, what the commands say, and the fuzz target's corpus.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use prunella::policy::PolicyFile;
use prunella_core::rng::Rng;

use crate::policy_file;

const SOMEBODY: &str = "appaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs `prunella policy` with these words in the project's root, where nothing names a node's directory.
fn policy(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_prunella"));
    command.arg("policy").args(words).current_dir(root());
    command.env_remove("HOME").env_remove("PRUNELLA_DIR").env_remove("XDG_STATE_HOME");
    command.output().unwrap()
}

fn told(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8(output.stdout.clone()).unwrap())
}

#[test]
fn every_example_is_good_and_passes_its_tests() {
    let examples: Vec<PathBuf> = std::fs::read_dir(root().join("config"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("policy."))
        .collect();
    assert!(examples.len() >= 6, "{examples:?}");
    for file in &examples {
        let found = PolicyFile::read(file).unwrap_or_else(|refused| panic!("{}", refused.picture()));
        assert!(found.warnings.is_empty(), "{:?}", found.warnings);
        let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
        assert_eq!(told(&policy(&["check", name])).0, Some(0), "{name}");
        if !found.cases.is_empty() {
            let (code, text) = told(&policy(&["test", name]));
            assert!(
                code == Some(0) && text.contains(&format!("{} tests passed, 0 failed", found.cases.len())),
                "{text}"
            );
        }
    }
}

#[test]
fn the_examples_in_toml_and_in_yaml_compile_to_the_same() {
    let cedar = |name: &str| -> Vec<String> {
        let file = PolicyFile::read(&root().join("config").join(name)).unwrap();
        file.rules.into_iter().map(|rule| rule.cedar).collect()
    };
    assert_eq!(cedar("policy.example.toml"), cedar("policy.example.yaml"));
}

#[test]
fn a_bad_file_is_shown_with_a_caret() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.toml");
    std::fs::write(&file, "[[rule]]\neffect = \"allow\"\nfrom = [\"bob\"]\naction = \"ping\"\n").unwrap();
    let name = file.to_str().unwrap();
    let (code, text) = told(&policy(&["check", name]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains(&format!("--> {name}:3:1\n  |\n3 | from = [\"bob\"]\n  | ^\n")), "{text}");
    let (code, json) = told(&policy(&["check", name, "--json"]));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["refused"]["line"], &json["rules"]), (Some(1), &3.into(), &serde_json::json!([])));
    let asked = policy(&["explain", name, "--from", SOMEBODY, "--action", "ping"]);
    let said = String::from_utf8(asked.stderr.clone()).unwrap();
    assert!(asked.status.code() == Some(1) && said.contains("p.toml:3:1: `from` is wrong"), "{said}");
}

#[test]
fn an_explanation_says_which_rule_and_what_was_missing() {
    let ask = |words: &[&str]| {
        let mut all = vec!["explain", "config/policy.conditions.toml", "--from", SOMEBODY, "--action", "connect"];
        all.extend(words);
        told(&policy(&all))
    };
    let (code, text) = ask(&["--service", "database", "--fact", "region=eu", "--fact", "reputation=0.7"]);
    assert_eq!(code, Some(0), "an explanation is what was asked for, whatever the verdict");
    assert!(text.starts_with("denied: no rule allows it\n"), "{text}");
    assert!(text.contains("near   database for two regions (config/policy.conditions.toml:"), "{text}");
    assert!(text.contains("not so: principal.reputation > 800\n"), "{text}");
    let (_, text) = ask(&["--service", "web", "--fact", "reputation=0.4"]);
    assert!(text.starts_with("denied by not trusted (config/policy.conditions.toml:"), "{text}");
    let (_, json) = ask(&["--service", "web", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["verdict"]["allowed"], &json["verdict"]["rules"][0]["name"]),
        (&true.into(), &"web for all".into())
    );
    let (code, _) = ask(&["--command", "status"]);
    assert_eq!(code, Some(2), "a question that cannot be asked is wrong usage");
}

#[test]
fn a_policy_test_that_fails_says_what_differed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.toml");
    let text = format!("[[test]]\nname = 'all may ping'\nfrom = '{SOMEBODY}'\naction = 'ping'\nexpect = 'allow'\n");
    std::fs::write(&file, text).unwrap();
    let name = file.to_str().unwrap();
    let (code, text) = told(&policy(&["test", name]));
    let expected = format!(
        "{name}:1: all may ping\n    expected  allowed\n    found     denied: no rule allows it\n{name}: 0 tests passed, 1 failed\n"
    );
    assert_eq!((code, text), (Some(1), expected));
}

#[test]
fn what_a_plain_file_compiles_to_is_a_good_policy_itself() {
    let (code, text) = told(&policy(&["check", "config/policy.conditions.toml", "--cedar"]));
    assert_eq!(code, Some(0));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("p.cedar");
    std::fs::write(&file, &text).unwrap();
    let plain = PolicyFile::read(&root().join("config/policy.conditions.toml")).unwrap();
    let again = PolicyFile::read(&file).unwrap();
    let names = |file: &PolicyFile| file.rules.iter().map(|rule| rule.name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&again), names(&plain));
}

/// The fuzz target's corpus, in the order of its names.
fn corpus() -> Vec<Vec<u8>> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(root().join("fuzz/corpus/policy")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

#[test]
fn every_policy_parser_answers_to_the_whole_corpus() {
    let rules: Vec<[usize; 3]> = corpus().iter().map(|bytes| policy_file::read(bytes)).collect();
    for form in 0..3 {
        assert!(rules.iter().any(|rules| rules[form] >= 1), "the corpus holds a good file of each form: {rules:?}");
    }
    assert!(rules.iter().filter(|rules| **rules == [0; 3]).count() >= 4, "and bad ones: {rules:?}");
}

#[test]
fn every_policy_parser_answers_to_corpus_files_that_were_bent() {
    let files = corpus();
    let mut rng = Rng::from_seed(1);
    for _ in 0..1500 {
        let mut bytes = files[rng.below(files.len())].clone();
        let other = &files[rng.below(files.len())];
        for _ in 0..=rng.below(3) {
            let at = rng.below(bytes.len() + 1);
            match rng.below(3) {
                0 => bytes.truncate(at),
                1 if at < bytes.len() => bytes[at] = *rng.pick(b"\"'\\;{}()[]\n=:.&*-a0").unwrap(),
                _ => {
                    let from = rng.below(other.len() + 1);
                    let until = other.len().min(from + 40);
                    bytes.splice(at..at, other[from..until].iter().copied());
                }
            }
        }
        policy_file::read(&bytes);
    }
}
