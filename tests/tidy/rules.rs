//! The rules of the house, and what breaks them.

use crate::functions::{closing, functions, test_modules};
use crate::imports::{Place, Target, imports};
use crate::scanner::{Kind, Token, contains_word, normal, words_after};
use crate::tree::{Finding, Source, is_test_file};

/// Lines of one function, from `fn` to its closing brace.
pub(crate) const FUNCTION_LINES_MAX: usize = 70;
/// Lines of one file without its test modules.
pub(crate) const FILE_LINES_MAX: usize = 500;

/// Who may import whom: a layer, then what it may name besides itself. What is not listed is forbidden.
pub(crate) const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["cli", "api", "sim"]),
    ("cli", &["api"]),
    (
        "api",
        &[
            "supervision",
            "metrics",
            "actors",
            "messages",
            "transport",
            "host",
            "datapath",
            "security",
            "spans",
            "names",
            "config",
            "policy",
            "storage",
            "core",
        ],
    ),
    (
        "supervision",
        &["actors", "messages", "transport", "host", "datapath", "security", "config", "policy", "storage", "core"],
    ),
    ("metrics", &["actors", "messages", "transport", "host", "datapath", "spans", "core"]),
    (
        "actors",
        &["messages", "transport", "host", "datapath", "security", "spans", "config", "policy", "storage", "core"],
    ),
    ("messages", &["storage", "core"]),
    ("transport", &["host", "datapath", "security", "spans", "core"]),
    ("spans", &["host", "core"]),
    ("names", &["host", "core"]),
    ("host", &["datapath", "storage"]),
    ("datapath", &["core", "ebpf_common"]),
    ("security", &["core"]),
    ("config", &["core"]),
    ("policy", &["core"]),
    ("sim", &["core"]),
    ("storage", &[]),
    ("bench", &[]),
    ("core", &[]),
    ("ebpf_common", &[]),
];

/// What every actor's file may share; any other file of `src/actors/` is an actor that no other one imports.
pub(crate) const SHARED_BY_ACTORS: &[&str] =
    &["driver", "directory", "backlog", "stats", "tally", "insight", "shell", "clock", "recorder", "event_log"];

/// Words that no file's or folder's name is made of, because they say nothing about what is inside.
pub(crate) const EMPTY_NAMES: &[&str] =
    &["util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"];

/// Names that break the rule above, each with its reason.
pub(crate) const EMPTY_NAMES_ALLOWED: &[(&str, &str)] =
    &[("ebpf/common", "the customary name of the crate that kernel and user space both build")];

/// Words that stand in no source and no document. Written in two halves, or this file would find itself.
pub(crate) const BANNED_WORDS: &[(&str, &str)] = &[
    (concat!("to", "do!"), "finish it or leave it out"),
    (concat!("unimple", "mented!"), "finish it or leave it out"),
    (concat!("db", "g!"), "use `tracing`"),
    (concat!("FIX", "ME"), "fix it, or say in words what is missing"),
    (concat!("XX", "X"), "say in words what is missing"),
    (concat!("sim", "ply"), "if it were, nobody would need to be told"),
    (concat!("obvi", "ously"), "if it were, nobody would need to be told"),
];

/// Imports that point up, sideways to another actor, or to the crate's root.
pub(crate) fn layering(source: &Source) -> Vec<Finding> {
    let Some(place) = Place::of(&source.path) else { return Vec::new() };
    let Some(allowed) = LAYERS.iter().find(|(layer, _)| *layer == place.layer).map(|(_, allowed)| *allowed) else {
        let text = format!("`{}` has no place in the order of layers", place.layer);
        return vec![source.finding(1, "layering", text)];
    };
    let refused = |target: &Target| {
        let layer = target.layer();
        if layer == place.layer {
            return place.layer == "actors" && is_foreign_actor(&place.modules, &target.modules);
        }
        !allowed.contains(&layer)
    };
    imports(&source.tokens, &place)
        .into_iter()
        .filter(refused)
        .map(|target| {
            let text = format!("{} may not import {}", place.modules_or_layer(), target);
            source.finding(target.line, "layering", text)
        })
        .collect()
}

/// Whether the second module path is an actor's file, and not the one that the first is in.
pub(crate) fn is_foreign_actor(from: &[String], to: &[String]) -> bool {
    let (Some(own), Some(other)) = (from.get(1), to.get(1)) else { return false };
    own != other && !SHARED_BY_ACTORS.contains(&other.as_str())
}

pub(crate) fn long_functions(source: &Source) -> Vec<Finding> {
    functions(&source.tokens)
        .into_iter()
        .filter(|function| function.lines() > FUNCTION_LINES_MAX)
        .map(|function| {
            let text = format!("`{}` has {} lines, at most {FUNCTION_LINES_MAX}", function.name, function.lines());
            source.finding(function.first, "function length", text)
        })
        .collect()
}

pub(crate) fn long_file(source: &Source) -> Option<Finding> {
    if is_test_file(&source.path) {
        return None;
    }
    let lines = source.text.lines().count();
    let tests: usize = test_modules(&source.tokens).iter().map(|(first, last)| last - first + 1).sum();
    let lines = lines - tests;
    (lines > FILE_LINES_MAX)
        .then(|| source.finding(1, "file length", format!("{lines} lines without its tests, at most {FILE_LINES_MAX}")))
}

pub(crate) fn banned_words(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        for (word, advice) in BANNED_WORDS {
            if contains_word(line, word) {
                findings.push(source.finding(number + 1, "banned word", format!("`{word}`: {advice}")));
            }
        }
    }
    findings
}

/// Log messages above the level TRACE where code runs for each frame.
pub(crate) fn loud_frames(source: &Source) -> Vec<Finding> {
    let is_quiet = ["src/datapath/", "core/src/"].iter().any(|folder| source.path.starts_with(folder));
    let loud = |line: &str| ["error!", "warn!", "info!", "debug!"].into_iter().find(|word| contains_word(line, word));
    let lines = source.text.lines().enumerate().filter(|_| is_quiet);
    let found = lines.filter_map(|(number, line)| Some((number + 1, loud(line)?)));
    found.map(|(line, word)| source.finding(line, "logging", format!("`{word}` where frames pass"))).collect()
}

pub(crate) fn empty_name(source: &Source) -> Option<Finding> {
    let path = EMPTY_NAMES_ALLOWED.iter().fold(source.path.clone(), |path, (allowed, _)| path.replace(allowed, ""));
    let word = path.split(['/', '.', '_', '-']).find(|word| EMPTY_NAMES.contains(word))?;
    Some(source.finding(1, "name", format!("`{word}` does not say what is inside")))
}

pub(crate) fn headless(source: &Source) -> Option<Finding> {
    let in_source_folder = source.path.starts_with("src/") || source.path.contains("/src/");
    (in_source_folder && !source.text.starts_with("//! "))
        .then(|| source.finding(1, "heading", "the first line does not say what the module is for (`//! ...`)".into()))
}

/// Items and fields that are `pub` without restriction and have no `///`. The compiler's own lint passes over those
/// that cannot be reached from outside; a reader of the source wants them explained all the same.
pub(crate) fn undocumented(source: &Source) -> Vec<Finding> {
    if is_test_file(&source.path) || source.path.starts_with("benches/") {
        return Vec::new();
    }
    let tests = test_modules(&source.tokens);
    let in_tests = |line: usize| tests.iter().any(|(first, last)| (*first..=*last).contains(&line));
    let tokens = &source.tokens;
    let mut findings = Vec::new();
    let mut documented = false;
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at].kind {
            Kind::Doc => documented = true,
            Kind::Mark('#') if tokens.get(at + 1).is_some_and(|next| next.is('[')) => at = closing(tokens, at + 1),
            Kind::Word(word) if word == "pub" => {
                let needs = is_explained_item(&tokens[at + 1..]);
                if needs && !documented && !in_tests(tokens[at].line) {
                    let name = words_after(tokens, at + 1);
                    findings.push(source.finding(tokens[at].line, "documentation", format!("`pub {name}` has none")));
                }
                documented = false;
            }
            _ => documented = false,
        }
        at += 1;
    }
    findings
}

/// Whether what stands behind `pub` needs a word: an item or a named field, but no import, no tuple's field, and no
/// module with a file of its own, which begins with its heading.
pub(crate) fn is_explained_item(after: &[Token]) -> bool {
    const ITEMS: &[&str] =
        &["fn", "struct", "enum", "trait", "type", "static", "const", "union", "async", "unsafe", "extern"];
    let Some(first) = after.first().and_then(Token::word) else { return false };
    match first {
        "mod" => after.get(2).is_some_and(|token| token.is('{')),
        first => ITEMS.contains(&first) || after.get(1).is_some_and(|token| token.is(':')),
    }
}

pub(crate) fn another_test_binary(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    parts.len() == 2 && parts[0] == "tests" && parts[1] != "sim.rs"
}

/// Links of a document, relative to its folder, whose file is missing.
pub(crate) fn dead_links(document: &Source, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let folder = document.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut findings = Vec::new();
    for (number, line) in document.text.lines().enumerate() {
        for link in line.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            if !exists(&normal(folder, target)) {
                findings.push(document.finding(number + 1, "link", format!("`{target}` does not exist")));
            }
        }
    }
    findings
}

/// The tests named in the section "Invariants": words in back-quotes that read as a sentence.
pub(crate) fn named_tests(text: &str) -> Vec<(usize, String)> {
    named_in(text, |section| section == "## Invariants")
}

/// The words in backquotes that have the form of a test's name, in the sections whose headings are meant.
pub(crate) fn named_in(text: &str, is_meant: impl Fn(&str) -> bool) -> Vec<(usize, String)> {
    let mut named = Vec::new();
    let mut inside = is_meant("");
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("## ") {
            inside = is_meant(line);
        }
        let quoted = line.split('`').skip(1).step_by(2).filter(|_| inside);
        let sentences = quoted.filter(|word| {
            word.matches('_').count() >= 2
                && word.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        });
        named.extend(sentences.map(|word| (number + 1, word.to_owned())));
    }
    named
}
