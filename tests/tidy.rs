//! Reads the source tree and fails where it breaks the rules of the house: layers, lengths, names, words, documents.
//!
//! No parser: a scanner that knows comments, strings and braces is enough, and its own tests stand at the bottom, so
//! that a rule that stopped finding anything is noticed. Every finding is one line, `path:line: rule: text`.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of one function, from `fn` to its closing brace.
const FUNCTION_LINES_MAX: usize = 70;
/// Lines of one file without its test modules.
const FILE_LINES_MAX: usize = 500;

/// Who may import whom: a layer, then what it may name besides itself. What is not listed is forbidden.
const LAYERS: &[(&str, &[&str])] = &[
    ("main", &["cli", "api", "sim"]),
    ("cli", &["api"]),
    (
        "api",
        &[
            "supervision",
            "actors",
            "messages",
            "transport",
            "host",
            "datapath",
            "security",
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
    ("actors", &["messages", "transport", "host", "datapath", "security", "config", "policy", "storage", "core"]),
    ("messages", &["storage", "core"]),
    ("transport", &["host", "datapath", "security", "core"]),
    ("host", &["datapath", "storage"]),
    ("datapath", &["core", "ebpf_common"]),
    ("security", &["core"]),
    ("config", &["core"]),
    ("policy", &["core"]),
    ("sim", &["core"]),
    ("storage", &[]),
    ("core", &[]),
    ("ebpf_common", &[]),
];

/// What every actor's file may share; any other file of `src/actors/` is an actor that no other one imports.
const SHARED_BY_ACTORS: &[&str] = &["driver", "directory", "backlog", "stats", "insight", "shell", "clock", "recorder"];

/// Words that no file's or folder's name is made of, because they say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"];

/// Names that break the rule above, each with its reason.
const EMPTY_NAMES_ALLOWED: &[(&str, &str)] =
    &[("ebpf/common", "the customary name of the crate that kernel and user space both build")];

/// Words that stand in no source and no document. Written in two halves, or this file would find itself.
const BANNED_WORDS: &[(&str, &str)] = &[
    (concat!("to", "do!"), "finish it or leave it out"),
    (concat!("unimple", "mented!"), "finish it or leave it out"),
    (concat!("db", "g!"), "use `tracing`"),
    (concat!("FIX", "ME"), "fix it, or say in words what is missing"),
    (concat!("XX", "X"), "say in words what is missing"),
    (concat!("sim", "ply"), "if it were, nobody would need to be told"),
    (concat!("obvi", "ously"), "if it were, nobody would need to be told"),
];

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

// ---- the rules ----

/// Imports that point up, sideways to another actor, or to the crate's root.
fn layering(source: &Source) -> Vec<Finding> {
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
fn is_foreign_actor(from: &[String], to: &[String]) -> bool {
    let (Some(own), Some(other)) = (from.get(1), to.get(1)) else { return false };
    own != other && !SHARED_BY_ACTORS.contains(&other.as_str())
}

fn long_functions(source: &Source) -> Vec<Finding> {
    functions(&source.tokens)
        .into_iter()
        .filter(|function| function.lines() > FUNCTION_LINES_MAX)
        .map(|function| {
            let text = format!("`{}` has {} lines, at most {FUNCTION_LINES_MAX}", function.name, function.lines());
            source.finding(function.first, "function length", text)
        })
        .collect()
}

fn long_file(source: &Source) -> Option<Finding> {
    if is_test_file(&source.path) {
        return None;
    }
    let lines = source.text.lines().count();
    let tests: usize = test_modules(&source.tokens).iter().map(|(first, last)| last - first + 1).sum();
    let lines = lines - tests;
    (lines > FILE_LINES_MAX)
        .then(|| source.finding(1, "file length", format!("{lines} lines without its tests, at most {FILE_LINES_MAX}")))
}

fn banned_words(source: &Source) -> Vec<Finding> {
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

fn empty_name(source: &Source) -> Option<Finding> {
    let path = EMPTY_NAMES_ALLOWED.iter().fold(source.path.clone(), |path, (allowed, _)| path.replace(allowed, ""));
    let word = path.split(['/', '.', '_', '-']).find(|word| EMPTY_NAMES.contains(word))?;
    Some(source.finding(1, "name", format!("`{word}` does not say what is inside")))
}

fn headless(source: &Source) -> Option<Finding> {
    let in_source_folder = source.path.starts_with("src/") || source.path.contains("/src/");
    (in_source_folder && !source.text.starts_with("//! "))
        .then(|| source.finding(1, "heading", "the first line does not say what the module is for (`//! ...`)".into()))
}

/// Items and fields that are `pub` without restriction and have no `///`. The compiler's own lint passes over those
/// that cannot be reached from outside; a reader of the source wants them explained all the same.
fn undocumented(source: &Source) -> Vec<Finding> {
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
fn is_explained_item(after: &[Token]) -> bool {
    const ITEMS: &[&str] =
        &["fn", "struct", "enum", "trait", "type", "static", "const", "union", "async", "unsafe", "extern"];
    let Some(first) = after.first().and_then(Token::word) else { return false };
    match first {
        "mod" => after.get(2).is_some_and(|token| token.is('{')),
        first => ITEMS.contains(&first) || after.get(1).is_some_and(|token| token.is(':')),
    }
}

fn another_test_binary(path: &str) -> bool {
    let parts: Vec<&str> = path.split('/').collect();
    parts.len() == 2 && parts[0] == "tests" && !["tidy.rs", "sim.rs"].contains(&parts[1])
}

/// Links of a document, relative to its folder, whose file is missing.
fn dead_links(document: &Source, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
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
fn named_tests(text: &str) -> Vec<(usize, String)> {
    named_in(text, |section| section == "## Invariants")
}

/// The words in backquotes that have the form of a test's name, in the sections whose headings are meant.
fn named_in(text: &str, is_meant: impl Fn(&str) -> bool) -> Vec<(usize, String)> {
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

// ---- where a file belongs, and what it imports ----

/// A file's layer and its module path inside the crate.
struct Place {
    layer: String,
    modules: Vec<String>,
}

impl Place {
    /// None for what no layer binds: integration tests, benches, examples, and the library's root.
    fn of(path: &str) -> Option<Self> {
        let (crate_layer, inside) =
            [("core/", "core"), ("storage/", "storage"), ("sim/", "sim"), ("ebpf/common/", "ebpf_common")]
                .iter()
                .find_map(|(folder, layer)| path.strip_prefix(folder).map(|inside| (Some(*layer), inside)))
                .unwrap_or((None, path));
        let Some(inside) = inside.strip_prefix("src/") else {
            return crate_layer.map(|layer| Self { layer: layer.into(), modules: Vec::new() });
        };
        let mut modules: Vec<String> = inside.trim_end_matches(".rs").split('/').map(str::to_owned).collect();
        let stem = modules.last().cloned().unwrap_or_default();
        if stem == "mod" || stem == "lib" {
            modules.pop();
        }
        match (crate_layer, modules.first()) {
            (Some(layer), _) => Some(Self { layer: layer.into(), modules }),
            (None, Some(first)) => Some(Self { layer: first.clone(), modules }),
            (None, None) => None,
        }
    }

    fn modules_or_layer(&self) -> String {
        if self.modules.is_empty() { self.layer.clone() } else { self.modules.join("::") }
    }

    /// Whether paths that begin with `crate` stay inside one layer, as in `core`, or name layers, as in `prunella`.
    fn is_one_layer_crate(&self) -> bool {
        matches!(self.layer.as_str(), "core" | "storage" | "sim" | "ebpf_common")
    }
}

/// What an import names: another crate of ours, or a module path of the library.
struct Target {
    line: usize,
    /// The crate's layer when it is another crate of ours.
    package: Option<String>,
    modules: Vec<String>,
}

impl Target {
    fn layer(&self) -> &str {
        match (&self.package, self.modules.first()) {
            (Some(package), _) => package,
            (None, Some(first)) => first,
            (None, None) => "the crate's root",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.package {
            Some(package) => write!(f, "the crate {package}"),
            None if self.modules.is_empty() => write!(f, "the crate's root"),
            None => write!(f, "{}", self.modules.join("::")),
        }
    }
}

/// Everything of ours that the tokens name by `crate`, `super`, `prunella` or a sister crate's name.
fn imports(tokens: &[Token], place: &Place) -> Vec<Target> {
    let mut found = Vec::new();
    let mut inline: Vec<(String, usize)> = Vec::new();
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate() {
        match &token.kind {
            Kind::Mark('{') => {
                if let Some(name) = inline_module(tokens, at) {
                    inline.push((name, depth));
                }
                depth += 1;
            }
            Kind::Mark('}') => {
                depth = depth.saturating_sub(1);
                inline.pop_if(|(_, opened)| *opened == depth);
            }
            Kind::Word(word) => {
                let inner = inline.iter().map(|(name, _)| name.clone());
                let here: Vec<String> = place.modules.iter().cloned().chain(inner).collect();
                found.extend(named_by(word, tokens, at, &here, place));
            }
            _ => {}
        }
    }
    found
}

/// What the path that begins with this word names.
fn named_by(word: &str, tokens: &[Token], at: usize, here: &[String], place: &Place) -> Vec<Target> {
    let begins = at == 0 || !tokens[at - 1].is_path_separator();
    let goes_on = tokens.get(at + 1).is_some_and(Token::is_path_separator);
    let imported = at > 0 && tokens[at - 1].word().is_some_and(|before| before == "use" || before == "crate");
    if !begins || !(goes_on || imported) {
        return Vec::new();
    }
    let line = tokens[at].line;
    let below = |base: &[String], at: usize| {
        let full = |path: Vec<String>| Target { line, package: None, modules: [base.to_vec(), path].concat() };
        use_tree(tokens, at).into_iter().map(full).collect::<Vec<_>>()
    };
    match word {
        "crate" | "prunella" if !place.is_one_layer_crate() => below(&[], at + 2),
        "super" if !place.is_one_layer_crate() => {
            let mut base = here.to_vec();
            let mut at = at;
            while tokens.get(at).and_then(Token::word) == Some("super") {
                base.pop();
                at += 2;
            }
            below(&base, at)
        }
        "prunella" => vec![Target { line, package: Some("prunella".into()), modules: Vec::new() }],
        _ => match word.strip_prefix("prunella_") {
            Some(layer) => vec![Target { line, package: Some(layer.into()), modules: Vec::new() }],
            None => Vec::new(),
        },
    }
}

/// The paths of a use tree that begins here: `a::{b, c::d}` is `a::b` and `a::c::d`; a glob names its parent.
fn use_tree(tokens: &[Token], mut at: usize) -> Vec<Vec<String>> {
    let mut path = Vec::new();
    loop {
        match tokens.get(at).map(|token| &token.kind) {
            Some(Kind::Word(word)) => path.push(word.clone()),
            Some(Kind::Mark('{')) => return branches(tokens, at, &path),
            _ => return vec![path],
        }
        if !tokens.get(at + 1).is_some_and(Token::is_path_separator) {
            return vec![path];
        }
        at += 2;
    }
}

/// The branches of a use tree's braces, each behind the path that leads to them.
fn branches(tokens: &[Token], open: usize, path: &[String]) -> Vec<Vec<String>> {
    let end = closing(tokens, open);
    let mut found = Vec::new();
    let mut at = open + 1;
    while at < end {
        found.extend(use_tree(tokens, at).into_iter().map(|branch| [path.to_vec(), branch].concat()));
        while at < end && !tokens[at].is(',') {
            at = if tokens[at].is('{') { closing(tokens, at) + 1 } else { at + 1 };
        }
        at += 1;
    }
    found
}

/// The module's name when this brace opens one.
fn inline_module(tokens: &[Token], brace: usize) -> Option<String> {
    let keyword = brace.checked_sub(2)?;
    (tokens[keyword].word() == Some("mod")).then(|| tokens[brace - 1].word().map(str::to_owned))?
}

// ---- functions and test modules ----

struct Function {
    name: String,
    first: usize,
    last: usize,
}

impl Function {
    fn lines(&self) -> usize {
        self.last - self.first + 1
    }
}

/// Every function with a body.
fn functions(tokens: &[Token]) -> Vec<Function> {
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let name = tokens.get(at + 1).and_then(Token::word);
        let (Some("fn"), Some(name)) = (tokens[at].word(), name) else { continue };
        let Some(open) = body(tokens, at + 2) else { continue };
        let last = tokens.get(closing(tokens, open)).map_or(tokens[open].line, |token| token.line);
        found.push(Function { name: name.to_owned(), first: tokens[at].line, last });
    }
    found
}

/// The brace that opens the body, or none when the signature ends with a semicolon.
fn body(tokens: &[Token], mut at: usize) -> Option<usize> {
    loop {
        match tokens.get(at)?.kind {
            Kind::Mark('(' | '[') => at = closing(tokens, at),
            Kind::Mark('{') => return Some(at),
            Kind::Mark(';') => return None,
            _ => {}
        }
        at += 1;
    }
}

/// First and last line of every `#[cfg(test)] mod name { ... }`.
fn test_modules(tokens: &[Token]) -> Vec<(usize, usize)> {
    let written = |token: &Token| match &token.kind {
        Kind::Word(word) => word.clone(),
        Kind::Mark(mark) => mark.to_string(),
        Kind::PathSeparator | Kind::Doc => String::new(),
    };
    let mut found = Vec::new();
    for at in 0..tokens.len() {
        let Some(next) = tokens.get(at..at + 10) else { break };
        let head: String = next[..8].iter().map(written).collect();
        if head == "#[cfg(test)]mod" && next[9].is('{') {
            let last = tokens.get(closing(tokens, at + 9)).map_or(next[9].line, |token| token.line);
            found.push((next[0].line, last));
        }
    }
    found
}

fn function_names(source: &Source) -> Vec<String> {
    functions(&source.tokens).into_iter().map(|function| function.name).collect()
}

/// The bracket that closes the one at `open`; past the end when it is never closed.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Mark('(' | '[' | '{') => depth += 1,
            Kind::Mark(')' | ']' | '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

// ---- the scanner ----

#[derive(Debug, PartialEq)]
enum Kind {
    Word(String),
    PathSeparator,
    Mark(char),
    /// An outer documentation comment.
    Doc,
}

#[derive(Debug)]
struct Token {
    kind: Kind,
    line: usize,
}

impl Token {
    fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }

    fn is(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    fn is_path_separator(&self) -> bool {
        self.kind == Kind::PathSeparator
    }
}

/// Splits Rust source into words and marks; comments, strings, characters, numbers and lifetimes are left out.
fn scan(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < chars.len() {
        let (kind, end) = token(&chars, at);
        tokens.extend(kind.map(|kind| Token { kind, line }));
        line += chars[at..end].iter().filter(|c| **c == '\n').count();
        at = end;
    }
    tokens
}

/// What begins here, if it matters, and where it ends.
fn token(chars: &[char], at: usize) -> (Option<Kind>, usize) {
    let next = |ahead: usize| chars.get(at + ahead).copied().unwrap_or('\0');
    match chars[at] {
        '/' if next(1) == '/' => {
            let outer = next(2) == '/' && next(3) != '/';
            let end = (at..chars.len()).find(|i| chars[*i] == '\n').unwrap_or(chars.len());
            (outer.then_some(Kind::Doc), end)
        }
        '/' if next(1) == '*' => (None, after_block_comment(chars, at)),
        '"' => (None, after_string(chars, at + 1)),
        '\'' => (None, after_quote(chars, at)),
        ':' if next(1) == ':' => (Some(Kind::PathSeparator), at + 2),
        c if c.is_alphabetic() || c == '_' => word(chars, at),
        c if c.is_ascii_digit() => (None, (at..chars.len()).find(|i| !is_word(chars[*i])).unwrap_or(chars.len())),
        c if c.is_whitespace() => (None, at + 1),
        c => (Some(Kind::Mark(c)), at + 1),
    }
}

/// A word, unless it is the prefix of a string or character.
fn word(chars: &[char], at: usize) -> (Option<Kind>, usize) {
    let end = (at..chars.len()).find(|i| !is_word(chars[*i])).unwrap_or(chars.len());
    let word: String = chars[at..end].iter().collect();
    let hashes = chars[end..].iter().take_while(|c| **c == '#').count();
    let quote = chars.get(end + hashes).copied();
    match (word.as_str(), quote) {
        ("r" | "br" | "cr", Some('"')) => (None, after_raw_string(chars, end + hashes + 1, hashes)),
        ("b" | "c", Some('"')) if hashes == 0 => (None, after_string(chars, end + 1)),
        ("b", Some('\'')) if hashes == 0 => (None, after_quote(chars, end)),
        ("r", Some(_)) if hashes == 1 => (None, end + 1),
        _ => (Some(Kind::Word(word)), end),
    }
}

fn after_block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    at
}

fn after_string(chars: &[char], mut at: usize) -> usize {
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

fn after_raw_string(chars: &[char], from: usize, hashes: usize) -> usize {
    let closes = |at: &usize| chars[*at] == '"' && chars[at + 1..].iter().take_while(|c| **c == '#').count() >= hashes;
    (from..chars.len()).find(closes).map_or(chars.len(), |at| at + 1 + hashes)
}

/// Behind a character, or behind the quote that begins a lifetime.
fn after_quote(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), _) => (at + 3..chars.len()).find(|i| chars[*i] == '\'').map_or(chars.len(), |end| end + 1),
        (Some(_), Some('\'')) => at + 3,
        _ => (at + 1..chars.len()).find(|i| !is_word(chars[*i])).unwrap_or(chars.len()),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether the line has the word by itself; a word in small letters is found in any case.
fn contains_word(line: &str, word: &str) -> bool {
    let shouted = word.chars().any(char::is_uppercase);
    let line = if shouted { line.to_owned() } else { line.to_lowercase() };
    line.match_indices(word).any(|(at, _)| {
        let free = |neighbor: Option<char>| !neighbor.is_some_and(is_word);
        free(line[..at].chars().next_back()) && (word.ends_with('!') || free(line[at + word.len()..].chars().next()))
    })
}

/// The words that follow, up to the first mark.
fn words_after(tokens: &[Token], at: usize) -> String {
    let words: Vec<&str> = tokens[at..].iter().map_while(Token::word).take(3).collect();
    words.join(" ")
}

/// A relative link's target as a path from the root.
fn normal(folder: &str, target: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

// ---- the tree ----

/// One broken rule.
#[derive(Debug)]
struct Finding {
    path: String,
    line: usize,
    rule: &'static str,
    text: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.path, self.line, self.rule, self.text)
    }
}

/// A file with its path from the root, `/` between the parts.
struct Source {
    path: String,
    text: String,
    tokens: Vec<Token>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let tokens = if path.ends_with(".rs") { scan(text) } else { Vec::new() };
        Self { path: path.to_owned(), text: text.to_owned(), tokens }
    }

    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let relative = path.strip_prefix(root()).unwrap_or(path);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
        Self::new(&parts.join("/"), &text)
    }

    fn finding(&self, line: usize, rule: &'static str, text: String) -> Finding {
        Finding { path: self.path.clone(), line, rule, text }
    }
}

/// Fails with every finding on a line of its own.
fn report(findings: impl IntoIterator<Item = Finding>) {
    let lines: Vec<String> = findings.into_iter().map(|finding| finding.to_string()).collect();
    assert!(lines.is_empty(), "{} findings:\n{}", lines.len(), lines.join("\n"));
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of the project.
fn tree() -> Vec<Source> {
    let sources: Vec<Source> = files("rs").iter().map(|path| Source::read(path)).collect();
    assert!(sources.iter().any(|source| source.path == "src/lib.rs"), "the tree was not found at {:?}", root());
    sources
}

/// Every file with this extension, sorted; what is built, hidden or fetched is passed over.
fn files(extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap_or_else(|error| panic!("{}: {error}", folder.display())).path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            if path.is_dir() && !name.starts_with('.') && !name.starts_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.starts_with("tests/") || path.contains("/tests/")
}

// ---- the scanner's own tests ----

fn lines(findings: impl IntoIterator<Item = Finding>) -> Vec<String> {
    findings.into_iter().map(|finding| finding.to_string()).collect()
}

#[test]
fn an_import_that_points_up_is_found_with_its_line() {
    let source =
        Source::new("src/transport/link.rs", "//! Links.\n\nuse crate::{datapath, actors::{peer, shell::Shell}};\n");
    assert_eq!(
        lines(layering(&source)),
        [
            "src/transport/link.rs:3: layering: transport::link may not import actors::peer",
            "src/transport/link.rs:3: layering: transport::link may not import actors::shell::Shell",
        ]
    );
}

#[test]
fn a_path_in_the_middle_of_code_is_an_import_too() {
    let source = Source::new("src/cli/up.rs", "fn run() {\n    crate::actors::surfaces::start();\n}\n");
    assert_eq!(lines(layering(&source)), ["src/cli/up.rs:2: layering: cli::up may not import actors::surfaces::start"]);
}

#[test]
fn supers_are_followed_to_where_they_lead() {
    let text = "use super::super::actors::gossip;\nmod tests { use super::*; use super::super::super::api; }\n";
    let source = Source::new("src/security/tls.rs", text);
    assert_eq!(
        lines(layering(&source)),
        [
            "src/security/tls.rs:1: layering: security::tls may not import actors::gossip",
            "src/security/tls.rs:2: layering: security::tls may not import api",
        ]
    );
}

#[test]
fn an_actor_may_import_the_driver_but_no_other_actor() {
    let text = "use super::driver::Role;\nuse super::gossip::Gossip;\nuse crate::actors::{clock, planner};\n";
    let source = Source::new("src/actors/peer.rs", text);
    assert_eq!(
        lines(layering(&source)),
        [
            "src/actors/peer.rs:2: layering: actors::peer may not import actors::gossip::Gossip",
            "src/actors/peer.rs:3: layering: actors::peer may not import actors::planner",
        ]
    );
}

#[test]
fn sister_crates_obey_the_layers() {
    let refused = |path: &str, text: &str| lines(layering(&Source::new(path, text))).len();
    assert_eq!(refused("core/src/peer.rs", "use prunella_storage::Store;"), 1);
    assert_eq!(refused("core/src/peer.rs", "use prunella::api;"), 1);
    assert_eq!(refused("core/src/peer.rs", "use crate::ids::PeerId;"), 0);
    assert_eq!(refused("sim/src/mesh.rs", "use prunella_core::peer; use prunella_storage as store;"), 1);
    assert_eq!(refused("src/cli/lab.rs", "use prunella_core::PeerId;"), 1);
    assert_eq!(refused("src/messages/mod.rs", "use prunella_storage::Batch; use prunella_core::peer;"), 0);
    assert_eq!(refused("src/main.rs", "fn main() { prunella::cli::main(prunella_sim::run); }"), 0);
    assert_eq!(refused("src/cli/sim.rs", "use prunella_sim::Report;"), 1);
    assert_eq!(refused("src/main.rs", "use prunella::transport::Links;"), 1);
}

#[test]
fn a_new_folder_needs_a_place_in_the_order() {
    let source = Source::new("src/gadgets/mod.rs", "//! Gadgets.\n");
    assert_eq!(
        lines(layering(&source)),
        ["src/gadgets/mod.rs:1: layering: `gadgets` has no place in the order of layers"]
    );
}

#[test]
fn comments_and_strings_import_nothing() {
    let text = r##"
// use crate::actors::peer;
/* crate::api /* nested */ crate::cli */
const A: &str = "crate::api::node"; const B: &str = r#"use crate::cli; "quoted" "#; const C: char = '"';
fn f<'a>(x: &'a str) -> char { '\'' }
use crate::cli;
"##;
    let found = lines(layering(&Source::new("src/config/mod.rs", text)));
    assert_eq!(found, ["src/config/mod.rs:6: layering: config may not import cli"]);
}

#[test]
fn a_function_one_line_too_long_is_found() {
    let function = |lines: usize| {
        let body = "    let brace = '{';\n".repeat(lines - 2);
        Source::new(
            "src/api/node.rs",
            &format!("//! Node.\nfn long(list: [u8; 2]) -> [u8; 2] {{\n{body}}}\nfn short();\n"),
        )
    };
    assert_eq!(lines(long_functions(&function(70))), Vec::<String>::new());
    let found = lines(long_functions(&function(71)));
    assert_eq!(found, ["src/api/node.rs:2: function length: `long` has 71 lines, at most 70"]);
}

#[test]
fn tests_do_not_count_towards_a_files_length() {
    let file = |lines: usize| {
        let code = "const A: u8 = 1;\n".repeat(lines);
        let tests = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", "    // a line\n".repeat(400));
        Source::new("src/api/node.rs", &format!("{code}{tests}"))
    };
    assert!(long_file(&file(500)).is_none());
    let found = long_file(&file(501)).map(|finding| finding.to_string());
    assert_eq!(found.as_deref(), Some("src/api/node.rs:1: file length: 501 lines without its tests, at most 500"));
}

#[test]
fn banned_words_are_found_in_code_and_prose_but_not_inside_other_words() {
    let found = |text: &str| banned_words(&Source::new("docs/page.md", text)).len();
    for (word, _) in BANNED_WORDS {
        assert_eq!(found(&format!("before {word} after")), 1, "{word}");
        assert_eq!(found(&format!("before x{word} after")), 0, "{word}");
    }
    assert_eq!(found(&format!("{}, it works", concat!("Sim", "ply"))), 1);
    assert_eq!(found(&format!("{}(value)", concat!("db", "g!"))), 1);
}

#[test]
fn a_name_that_says_nothing_is_found() {
    let found = |path: &str| empty_name(&Source::new(path, "")).is_some();
    assert!(found("src/actors/util.rs"));
    assert!(found("src/misc/mod.rs"));
    assert!(found("src/actors/path_manager.rs"));
    assert!(!found("src/actors/utility_bill.rs"));
    assert!(!found("ebpf/common/src/lib.rs"));
    assert!(found("ebpf/common/src/common.rs"));
}

#[test]
fn a_module_without_a_heading_is_found() {
    assert!(headless(&Source::new("core/src/peer.rs", "use std::fmt;\n")).is_some());
    assert!(headless(&Source::new("src/lib.rs", "")).is_some());
    assert!(headless(&Source::new("src/lib.rs", "//! Prunella.\n")).is_none());
}

#[test]
fn a_public_item_without_documentation_is_found() {
    let text = "pub fn bare() {}\n/// Said.\n#[derive(\n    Debug,\n)]\npub struct Said {\n    pub bare: u8,\n    /// Said.\n    pub said: u8,\n}\n\
                pub use said::Said;\npub mod child;\npub(crate) fn inner() {}\n/// Said.\npub struct Tag(pub u64);\n#[cfg(test)]\nmod tests {\n    pub fn free() {}\n}\n";
    assert_eq!(
        lines(undocumented(&Source::new("src/api/node.rs", text))),
        [
            "src/api/node.rs:1: documentation: `pub fn bare` has none",
            "src/api/node.rs:7: documentation: `pub bare` has none",
        ]
    );
}

#[test]
fn a_second_test_binary_is_found() {
    assert!(another_test_binary("tests/forwarding.rs"));
    assert!(!another_test_binary("tests/integration/main.rs"));
    assert!(!another_test_binary("tests/tidy.rs"));
}

#[test]
fn a_dead_link_is_found() {
    let text = "[a](../README.md) [b](gone.md#part) [c](https://example.org/x) [d](#here)\n";
    let found = dead_links(&Source::new("docs/page.md", text), |path| path == "README.md");
    assert_eq!(lines(found), ["docs/page.md:1: link: `gone.md` does not exist"]);
}

#[test]
fn only_the_invariants_name_tests() {
    let text = "## Code map\n`not_a_test`\n## Invariants\n`a_test_with_a_name` and `PeerId` in `core/src/ids.rs`\n## End\n`nor_this_one`\n";
    assert_eq!(named_tests(text), [(4, "a_test_with_a_name".to_owned())]);
}
