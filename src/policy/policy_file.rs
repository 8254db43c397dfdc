//! A policy file: read whole or refused whole.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use cedar_policy::{Effect, Policy};
use prunella_core::limits::{POLICY_FILE_BYTES_MAX, POLICY_RULES_MAX, POLICY_TESTS_MAX};

use super::case::Case;
use super::cedar::{self, Placed};
use super::compile::PlainRule;
use super::limits::Limits;
use super::plain::{self, Written};
use super::refused::{Refused, Source};
use super::scope::Scope;

/// What a policy file holds.
#[derive(Clone, Debug, Default)]
pub struct PolicyFile {
    /// The rules, in the order in which they are written; the order means nothing.
    pub rules: Vec<Rule>,
    /// The limits.
    pub limits: Limits,
    /// The tests.
    pub cases: Vec<Case>,
    /// The policy that the tests are about, if it is in another file; as it is written.
    pub tested: Option<String>,
    /// What is odd but no error: a rule that can never apply, letters that look like others.
    pub warnings: Vec<Refused>,
}

/// One rule: a policy that was validated, and where it stands.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its name; no other rule of the file has it.
    pub name: Arc<str>,
    /// The file that it stands in.
    pub file: Arc<str>,
    /// Its line, from 1.
    pub line: usize,
    /// Whether it allows; otherwise it denies.
    pub allows: bool,
    /// What it says: a sentence for a plain rule, otherwise its text.
    pub text: String,
    /// It in Cedar.
    pub cedar: String,
    /// Ready to be evaluated. Its id is its place among the rules, from 0.
    pub(super) policy: Policy,
    /// Which requests it can be about.
    pub(super) scope: Scope,
}

/// How a policy is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Plain, in TOML.
    Toml,
    /// Plain, in YAML.
    Yaml,
    /// In Cedar.
    Cedar,
}

impl Form {
    /// As the end of the file's name says; TOML if it says nothing else.
    pub fn of(file: &Path) -> Self {
        match file.extension().and_then(|end| end.to_str()) {
            Some("yaml" | "yml") => Form::Yaml,
            Some("cedar") => Form::Cedar,
            _ => Form::Toml,
        }
    }
}

impl PolicyFile {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Refused`] says where and why; nothing of the file counts then.
    pub fn read(path: &Path) -> Result<Self, Refused> {
        Self::of_bytes(&Self::bytes(path)?, &path.display().to_string())
    }

    /// What a file holds, not looked at yet; at most a byte more than a policy may be long.
    ///
    /// # Errors
    /// [`Refused`] says why it cannot be read.
    pub fn bytes(path: &Path) -> Result<Vec<u8>, Refused> {
        let file = path.display().to_string();
        let unread = |error: io::Error| {
            let reason = format!("cannot be read ({error}); check the path and its permissions");
            Source { file: &file, text: "" }.refuse(0, reason)
        };
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(POLICY_FILE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes))
            .map_err(unread)?;
        Ok(bytes)
    }

    /// Reads a policy from what its file holds; the end of the file's name says how it is written.
    ///
    /// # Errors
    /// As [`PolicyFile::read`].
    pub fn of_bytes(bytes: &[u8], file: &str) -> Result<Self, Refused> {
        match str::from_utf8(bytes) {
            Ok(text) => Self::parse(text, file, Form::of(Path::new(file))),
            Err(error) => {
                let text = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
                Err(Source { file, text: &text }.refuse(text.len(), "this is not UTF-8"))
            }
        }
    }

    /// Reads a policy from its text; `file` is what it is called in what is told of it.
    ///
    /// # Errors
    /// As [`PolicyFile::read`].
    pub fn parse(text: &str, file: &str, form: Form) -> Result<Self, Refused> {
        let source = Source { file, text };
        if text.len() > POLICY_FILE_BYTES_MAX {
            return Err(source.refuse(0, format!("the file is longer than {POLICY_FILE_BYTES_MAX} bytes")));
        }
        let written = match form {
            Form::Toml => plain::toml(source)?,
            Form::Yaml => plain::yaml(source)?,
            Form::Cedar => {
                let placed = cedar::parse(text, 0, 0, source)?;
                let warnings = cedar::validate(&placed, source)?;
                let rules = named(placed.into_iter().map(|placed| written_in_cedar(placed, source)).collect(), source)?;
                return Ok(Self { rules, warnings, ..Self::default() });
            }
        };
        Self::from_plain(written, source)
    }

    fn from_plain(written: Written, source: Source<'_>) -> Result<Self, Refused> {
        let Written { rules, limits, tests, cedar, policy } = written;
        if rules.len() > POLICY_RULES_MAX {
            return Err(
                source.refuse(rules[POLICY_RULES_MAX].0, format!("there are more than {POLICY_RULES_MAX} rules"))
            );
        }
        if tests.len() > POLICY_TESTS_MAX {
            return Err(
                source.refuse(tests[POLICY_TESTS_MAX].0, format!("there are more than {POLICY_TESTS_MAX} tests"))
            );
        }
        let wrong = |at: usize, (key, reason): (&str, String)| {
            source.refuse(source.key(at, key), format!("`{key}` is wrong: {reason}"))
        };
        let (mut placed, mut found) = (Vec::new(), Vec::new());
        for (number, (at, rule)) in rules.into_iter().enumerate() {
            let rule = rule.check(number + 1).map_err(|error| wrong(at, error))?;
            let one = compiled(&rule, number, at, source)?;
            found.push((at, written_plainly(&rule, at, source, &one.policy)));
            placed.push(one);
        }
        if let Some((at, text)) = cedar {
            let base = source.text[at..].find(&text).map(|within| at + within).ok_or_else(|| {
                source.refuse(at, "Cedar must stand here letter by letter: write it between ''' in a TOML file")
            })?;
            let policies = cedar::parse(&text, base, placed.len(), source)?;
            found.extend(policies.iter().cloned().map(|placed| written_in_cedar(placed, source)));
            placed.extend(policies);
        }
        if found.len() > POLICY_RULES_MAX {
            return Err(
                source.refuse(found[POLICY_RULES_MAX].0, format!("there are more than {POLICY_RULES_MAX} rules"))
            );
        }
        let warnings = cedar::validate(&placed, source)?;
        let limits = match limits {
            Some((at, limits)) => limits.check().map_err(|error| wrong(at, error))?,
            None => Limits::default(),
        };
        let mut cases = Vec::new();
        for (number, (at, case)) in tests.into_iter().enumerate() {
            cases.push(case.check(number + 1, source.line(at)).map_err(|error| wrong(at, error))?);
        }
        Ok(Self { rules: named(found, source)?, limits, cases, tested: policy, warnings })
    }
}

/// The policy that a plain rule becomes.
fn compiled(rule: &PlainRule, number: usize, at: usize, source: Source<'_>) -> Result<Placed, Refused> {
    let cedar = rule.to_cedar();
    let inner = Source { file: source.file, text: &cedar };
    let refuse = |reason: String| source.refuse(at, format!("this rule does not compile: {reason}"));
    let mut policies = cedar::parse(&cedar, 0, number, inner).map_err(|error| refuse(error.reason))?;
    match (policies.pop(), policies.is_empty()) {
        (Some(placed), true) => Ok(Placed { at, base: None, ..placed }),
        _ => Err(refuse("it is not one policy".to_owned())),
    }
}

fn written_plainly(rule: &PlainRule, at: usize, source: Source<'_>, policy: &Policy) -> Rule {
    Rule {
        name: rule.name.as_str().into(),
        file: source.file.into(),
        line: source.line(at),
        allows: rule.allows,
        text: rule.sentence(),
        cedar: rule.to_cedar(),
        policy: policy.clone(),
        scope: rule.scope(),
    }
}

fn written_in_cedar(placed: Placed, source: Source<'_>) -> (usize, Rule) {
    let Placed { policy, at, .. } = placed;
    let number: usize = AsRef::<str>::as_ref(policy.id()).parse().unwrap_or_default();
    let name = policy.annotation("name").map_or_else(|| format!("policy {}", number + 1), str::to_owned);
    let text = policy.to_cedar().unwrap_or_default();
    let rule = Rule {
        name: name.into(),
        file: source.file.into(),
        line: source.line(at),
        allows: policy.effect() == Effect::Permit,
        cedar: text.clone(),
        text,
        scope: Scope::of(&policy),
        policy,
    };
    (at, rule)
}

/// The rules, if each has a name of its own: a verdict names the rules that led to it.
fn named(rules: Vec<(usize, Rule)>, source: Source<'_>) -> Result<Vec<Rule>, Refused> {
    let mut lines = BTreeMap::new();
    for (at, rule) in &rules {
        if let Some(line) = lines.insert(Arc::clone(&rule.name), rule.line) {
            let reason = format!("the name {:?} is taken by the rule in line {line}", rule.name);
            return Err(source.refuse(source.key(*at, "name"), reason));
        }
    }
    Ok(rules.into_iter().map(|(_, rule)| rule).collect())
}
