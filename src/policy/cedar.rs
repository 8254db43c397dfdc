//! Cedar's own text: taken apart policy by policy, so that each has its place, and bounded before anything recurses.

use std::fmt::Display;

use cedar_policy::{EntityUid, Policy, PolicyId, PolicySet, ValidationMode, Validator};
use miette::Diagnostic;
use prunella_core::PeerId;
use prunella_core::limits::{POLICY_NESTING_MAX, POLICY_OPERATORS_MAX, POLICY_RULES_MAX};
use prunella_core::record::is_service_name;

use super::refused::{Refused, Source};
use super::schema::SCHEMA;

/// A policy and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    /// The policy; its id is its number.
    pub(super) policy: Policy,
    /// The offset of its first byte.
    pub(super) at: usize,
    /// The offset that its errors count from; `None`: they count within a text that was made of something else.
    pub(super) base: Option<usize>,
}

/// The policies of `text`, which stands in the source at `base`; the first one gets the number `first`.
pub(super) fn parse(text: &str, base: usize, first: usize, source: Source<'_>) -> Result<Vec<Placed>, Refused> {
    let chunks = split(text).map_err(|(at, reason)| source.refuse(base + at, reason))?;
    let mut placed = Vec::new();
    for (number, chunk) in chunks.into_iter().enumerate() {
        let id = PolicyId::new((first + number).to_string());
        let policy = Policy::parse(Some(id), &text[chunk.start..chunk.end]).map_err(|errors| {
            let error = errors.iter().next();
            let at = error.map_or(0, |error| label(error));
            let reason = error.map_or_else(|| errors.to_string(), told);
            source.refuse(base + chunk.start + at, reason)
        })?;
        let at = base + chunk.start;
        placed.push(Placed { policy, at, base: Some(at) });
    }
    Ok(placed)
}

/// Checks policies against the schema, strictly, and that what they name can exist. Gives what is odd but no error.
pub(super) fn validate(policies: &[Placed], source: Source<'_>) -> Result<Vec<Refused>, Refused> {
    for placed in policies {
        if let Some(reason) = placed.policy.entity_literals().iter().find_map(impossible) {
            return Err(source.refuse(placed.at, reason));
        }
    }
    let place = |id: &PolicyId, labeled: usize| {
        let number: Option<usize> = AsRef::<str>::as_ref(id).parse().ok();
        let placed = number.and_then(|number| {
            policies.iter().find(|placed| AsRef::<str>::as_ref(placed.policy.id()).parse() == Ok(number))
        });
        placed.map_or(0, |placed| placed.base.map_or(placed.at, |base| base + labeled))
    };
    let set = PolicySet::from_policies(policies.iter().map(|placed| placed.policy.clone()))
        .expect("BUG: every policy has a number of its own");
    let result = Validator::new(SCHEMA.clone()).validate(&set, ValidationMode::Strict);
    if let Some(error) = result.validation_errors().next() {
        return Err(source.refuse(place(error.policy_id(), label(error)), plain(error)));
    }
    let warnings = result.validation_warnings();
    Ok(warnings.map(|warning| source.refuse(place(warning.policy_id(), label(warning)), plain(warning))).collect())
}

/// Why an entity that a policy names cannot exist: such a policy would be about nobody, without a word.
fn impossible(of: &EntityUid) -> Option<String> {
    let id = of.id().unescaped();
    match of.type_name().basename() {
        "Node" if id.parse::<PeerId>().is_err() => {
            Some(format!("{id:?} is not a peer id, so there is no such Node (see `prunella peers`)"))
        }
        "Service" if !is_service_name(id) => {
            Some(format!("{id:?} cannot be a service's name (a-z, 0-9 and the hyphen)"))
        }
        _ => None,
    }
}

/// Where an error points, within the text that was parsed.
fn label(error: &dyn Diagnostic) -> usize {
    error.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset())
}

/// An error with what would have been expected, which Cedar tells beside the message.
fn told<E: Diagnostic + Display>(error: &E) -> String {
    let expected = error.labels().and_then(|mut labels| labels.find_map(|label| label.label().map(str::to_owned)));
    match expected.filter(|text| !text.is_empty()) {
        Some(expected) => format!("{error}: {expected}"),
        None => match error.help() {
            Some(help) => format!("{error}; {help}"),
            None => error.to_string(),
        },
    }
}

/// What Cedar says of a policy, without its number, which the reader has never seen.
fn plain<E: Diagnostic + Display>(error: &E) -> String {
    let text = told(error);
    match text.split_once("for policy `").and_then(|(before, rest)| Some((before, rest.split_once("`, ")?.1))) {
        Some((before, rest)) => format!("{before}{rest}"),
        None => text,
    }
}

/// A policy's bytes within the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    start: usize,
    end: usize,
}

/// Cuts the text behind each semicolon that is neither in a string nor in a comment: in Cedar it ends a policy, and
/// stands nowhere else. Whatever is cut wrongly is no policy, so a cut changes no meaning; it is only refused.
fn split(text: &str) -> Result<Vec<Chunk>, (usize, String)> {
    let bytes = text.as_bytes();
    let mut chunks = Vec::new();
    let mut size = Size::default();
    let (mut at, mut start) = (0, None);
    while at < bytes.len() {
        let (byte, here) = (bytes[at], at);
        at += 1;
        match byte {
            b'/' if bytes.get(at) == Some(&b'/') => {
                at += bytes[at..].iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(bytes.len() - at);
                continue;
            }
            byte if byte.is_ascii_whitespace() => continue,
            b'"' => at = string_end(bytes, at).ok_or((here, "this string does not end".to_owned()))?,
            _ => {}
        }
        let begun = *start.get_or_insert(here);
        if byte == b';' {
            if chunks.len() == POLICY_RULES_MAX {
                return Err((begun, format!("there are more than {POLICY_RULES_MAX} policies")));
            }
            chunks.push(Chunk { start: begun, end: at });
            (start, size) = (None, Size::default());
        } else {
            size.add(byte, bytes, here).map_err(|reason| (here, reason))?;
        }
    }
    match start {
        Some(start) => Err((start, "this policy does not end with a semicolon".to_owned())),
        None => Ok(chunks),
    }
}

/// The offset behind the quote that ends the string whose inside begins at `at`.
fn string_end(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// How large a tree a policy may become at most.
#[derive(Debug, Default)]
struct Size {
    open: usize,
    ifs: usize,
    operators: usize,
}

impl Size {
    fn add(&mut self, byte: u8, bytes: &[u8], at: usize) -> Result<(), String> {
        match byte {
            b'(' | b'[' | b'{' => {
                self.open += 1;
                // A bracket behind a value reads an attribute of it.
                self.operators += usize::from(byte == b'[');
            }
            b')' | b']' | b'}' => self.open = self.open.saturating_sub(1),
            b'.' | b'&' | b'|' | b'+' | b'-' | b'*' | b'!' | b'<' | b'>' | b'=' => self.operators += 1,
            b'i' if is_word(bytes, at, b"if") => self.ifs += 1,
            _ => {}
        }
        if self.open.max(self.ifs) > POLICY_NESTING_MAX {
            return Err(format!("this policy is nested deeper than {POLICY_NESTING_MAX}"));
        }
        if self.operators > 2 * POLICY_OPERATORS_MAX {
            return Err(format!("this policy has more than {POLICY_OPERATORS_MAX} operators; make several of it"));
        }
        Ok(())
    }
}

/// Whether this word stands at `at` on its own.
fn is_word(bytes: &[u8], at: usize, word: &[u8]) -> bool {
    let letter = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    bytes[at..].starts_with(word)
        && !letter(bytes.get(at + word.len()))
        && !letter(at.checked_sub(1).and_then(|before| bytes.get(before)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source<'_> {
        Source { file: "p.cedar", text }
    }

    fn read(text: &str) -> Result<usize, String> {
        let placed = parse(text, 0, 0, source(text)).map_err(|refused| refused.to_string())?;
        validate(&placed, source(text)).map_err(|refused| refused.to_string())?;
        Ok(placed.len())
    }

    #[test]
    fn policies_are_cut_where_cedar_ends_them() {
        let text = "// one; two\npermit (principal, action, resource)\nwhen { principal.name == \"a;\\\";//\" };\n\
                    @name(\"x;\") forbid (principal, action == Action::\"ping\", resource); // done;\n";
        let placed = parse(text, 0, 0, source(text)).unwrap();
        assert_eq!(placed.iter().map(|placed| source(text).line(placed.at)).collect::<Vec<_>>(), [2, 4]);
        let whole: PolicySet = text.parse().unwrap();
        assert_eq!(whole.num_of_policies(), placed.len());
        assert_eq!(placed[1].policy.annotation("name"), Some("x;"));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        for (text, says) in [
            ("permit (principal, action, resource)", "p.cedar:1:1: this policy does not end with a semicolon"),
            (
                "\npermit (principal, action, resource) when { principal.color == 1 };",
                "p.cedar:2:45: attribute `color`",
            ),
            (
                "permit (principal, action, resource) when { principal.region == 1 };",
                "p.cedar:1:45: the types Long and String are not compatible; both operands",
            ),
            ("permit (principal == Node::\"bob\", action, resource);", "is not a peer id"),
            ("permit (principal, action, resource == Service::\"A b\");", "cannot be a service's name"),
            ("permit (principal, action == Action::\"dance\", resource);", "p.cedar:1:30: unrecognized action"),
            ("permit (principal == ?principal, action, resource);", "p.cedar:1:"),
            ("permit (principal, action, resource) when { \"", "p.cedar:1:45: this string does not end"),
            ("\n\npermit principal;", "p.cedar:3:8: "),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(says), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn nothing_too_deep_reaches_the_parser() {
        let condition = |text: String| format!("permit (principal, action, resource) when {{ {text} }};");
        for deep in [
            condition(format!("{}true{}", "(".repeat(40), ")".repeat(40))),
            condition("true && ".repeat(20_000) + "true"),
            condition(format!("principal{} == 1", ".a".repeat(20_000))),
            condition(format!("principal{} == 1", "[\"a\"]".repeat(20_000))),
            condition("if true then true else ".repeat(20_000) + "true"),
            condition(format!("{}1 == 1", "-".repeat(20_000))),
        ] {
            let error = read(&deep).unwrap_err();
            assert!(error.contains("nested deeper") || error.contains("operators"), "{error}");
        }
        let many = "permit (principal, action, resource);".repeat(POLICY_RULES_MAX + 1);
        assert!(read(&many).unwrap_err().contains("more than 1024 policies"));
        assert_eq!(read(&condition("true && ".repeat(POLICY_OPERATORS_MAX - 8) + "true")), Ok(1));
    }
}
