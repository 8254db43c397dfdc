//! Reads the source tree and fails where it breaks the rules of the house: layers, lengths, names, words, documents.
//!
//! No parser: a scanner that knows comments, strings and braces is enough, and the rules have tests of their own, so that
//! one that stopped finding anything is noticed. Every finding is one line, `path:line: rule: text`.

mod functions;
mod imports;
mod own;
mod rules;
mod scanner;
mod tree;

use std::collections::BTreeSet;

use crate::functions::function_names;
use crate::rules::{
    another_test_binary, banned_words, dead_links, empty_name, headless, layering, long_file, long_functions,
    loud_frames, named_in, named_tests, undocumented,
};
use crate::tree::{Source, files, report, root, tree};

#[test]
fn imports_follow_the_layers() {
    report(tree().iter().flat_map(layering));
}

#[test]
fn functions_are_short() {
    report(tree().iter().flat_map(long_functions));
}

#[test]
fn files_are_short() {
    report(tree().iter().flat_map(long_file));
}

#[test]
fn banned_words_stand_nowhere() {
    let documents = files("md").into_iter().map(|path| Source::read(&path));
    report(tree().into_iter().chain(documents).flat_map(|source| banned_words(&source)));
}

#[test]
fn nothing_is_logged_for_a_frame_above_trace() {
    report(tree().iter().flat_map(loud_frames));
}

#[test]
fn names_say_what_is_inside() {
    report(tree().iter().filter_map(empty_name));
}

#[test]
fn every_module_says_its_responsibility() {
    report(tree().iter().filter_map(headless));
}

#[test]
fn every_public_item_is_documented() {
    report(tree().iter().flat_map(undocumented));
}

#[test]
fn integration_tests_are_one_binary() {
    let binaries = tree().into_iter().filter(|source| another_test_binary(&source.path));
    report(binaries.map(|source| source.finding(1, "tests", "belongs below tests/integration/".into())));
}

#[test]
fn documents_link_to_files_that_exist() {
    let root = root();
    let exists = |path: &str| root.join(path).exists();
    report(files("md").into_iter().flat_map(|path| dead_links(&Source::read(&path), exists)));
}

#[test]
fn architecture_names_tests_that_exist() {
    let functions: BTreeSet<String> = tree().iter().flat_map(function_names).collect();
    let architecture = Source::read(&root().join("ARCHITECTURE.md"));
    let named = named_tests(&architecture.text);
    assert!(!named.is_empty(), "ARCHITECTURE.md: its invariants name no test at all");
    report(named.into_iter().filter(|(_, name)| !functions.contains(name)).map(|(line, name)| {
        architecture.finding(line, "architecture", format!("no function of the tree is called `{name}`"))
    }));
}

/// What the threat model claims is shown by tests that are there.
#[test]
fn the_threat_model_names_tests_that_exist() {
    let functions: BTreeSet<String> = tree().iter().flat_map(function_names).collect();
    let model = Source::read(&root().join("docs/threat-model.md"));
    let named = named_in(&model.text, |_| true);
    assert!(named.len() >= 40, "docs/threat-model.md names {} tests", named.len());
    report(named.into_iter().filter(|(_, name)| !functions.contains(name)).map(|(line, name)| {
        model.finding(line, "threat model", format!("no function of the tree is called `{name}`"))
    }));
}
