//! Policy files: what they hold, what they say to a request, and what their tests have come to.

use super::page::Page;
use crate::api::policy::{Explanation, NearRule, NodeFacts, PolicyCheck, PolicyTest, Refused};
use crate::api::vocabulary::PolicyInfo;

pub(in crate::cli) fn policy_check(check: &PolicyCheck) -> String {
    let mut page = Page::default();
    if let Some(refused) = &check.refused {
        picture("error", refused, &mut page);
        page.line("the file is refused as a whole; what was in force stays in force");
        return page.into_text();
    }
    let PolicyCheck { file, rules, limits, tests, .. } = check;
    page.line(&format!(
        "{file}: {}, {}, {}",
        count(rules.len(), "rule"),
        count(limits.len(), "limit"),
        count(*tests, "test")
    ));
    let lines = rules.iter().map(|rule| rule.line.to_string().len()).max().unwrap_or(0);
    let names = rules.iter().map(|rule| rule.name.chars().count()).max().unwrap_or(0);
    for rule in rules {
        for (number, text) in rule.text.lines().enumerate() {
            let head = match number {
                0 => format!("{:>lines$}  {:<names$}", rule.line, rule.name),
                _ => " ".repeat(lines + 2 + names),
            };
            page.line(&format!("{head}  {text}"));
        }
    }
    limits.iter().for_each(|limit| page.line(&format!("limit: {limit}")));
    check.warnings.iter().for_each(|warning| picture("warning", warning, &mut page));
    page.line("what no rule allows is denied; a deny wins, wherever it stands");
    page.into_text()
}

pub(in crate::cli) fn policy_as_cedar(check: &PolicyCheck) -> String {
    if check.refused.is_some() {
        return policy_check(check);
    }
    let mut page = Page::default();
    for rule in &check.rules {
        page.line(&format!("// {}:{}", check.file, rule.line));
        rule.cedar.lines().for_each(|line| page.line(line));
        page.line("");
    }
    page.into_text()
}

/// The policy in force at a node.
pub(super) fn in_force(info: &PolicyInfo, page: &mut Page) {
    let PolicyInfo { source, is_of_mesh, version, digest, rules, limits, streams, refused } = info;
    match (is_of_mesh, version) {
        (true, _) => page.line(&format!("version {version}, set for the whole mesh: {source} ({digest})")),
        (false, 0) => page.line(&format!("from {source} ({digest})")),
        (false, _) => page.line(&format!("from {source} ({digest}), as version {version} of the mesh's policy says")),
    }
    rules.iter().for_each(|rule| page.line(rule));
    limits.iter().for_each(|limit| page.line(&format!("limit: {limit}")));
    page.line("what no rule allows is denied; a deny wins, wherever it stands");
    if *streams > 0 {
        page.line(&format!("{} that peers opened", count(*streams, "stream")));
    }
    if let Some(refused) = refused {
        page.line(&format!("REFUSED as a whole: {refused}"));
    }
}

pub(in crate::cli) fn policy_explanation(explained: &Explanation) -> String {
    let mut page = Page::default();
    explanation(explained, &mut page);
    page.into_text()
}

pub(super) fn explanation(explained: &Explanation, page: &mut Page) {
    let Explanation { verdict, said, near, more, facts } = explained;
    page.line(&verdict.reason);
    for (rule, text) in verdict.rules.iter().zip(said) {
        page.line(&format!("rule   {rule}"));
        text.lines().for_each(|line| page.line(&format!("       {line}")));
    }
    for NearRule { rule, text, unsatisfied } in near {
        page.line(&format!("near   {rule}"));
        text.lines().for_each(|line| page.line(&format!("       {line}")));
        unsatisfied.iter().for_each(|part| page.line(&format!("       not so: {part}")));
    }
    if *more > 0 {
        page.line(&format!("       and {} more about this action", count(*more, "rule")));
    }
    page.line(&format!(
        "facts  name={:?} region={:?} reputation={} certificate_age_s={} quarantined={} incident={:?} trust_domain={:?}{}",
        facts.name,
        facts.region,
        f64::from(facts.reputation) / 1000.0,
        facts.certificate_age.as_secs(),
        facts.quarantined,
        facts.incident,
        facts.trust_domain,
        origin(facts),
    ));
}

/// Of whoever came with an SVID.
fn origin(facts: &NodeFacts) -> String {
    if facts.spiffe_id.is_empty() && !facts.federated {
        return String::new();
    }
    format!(" spiffe_id={:?} federated={}", facts.spiffe_id, facts.federated)
}

pub(in crate::cli) fn policy_test(report: &PolicyTest) -> String {
    let mut page = Page::default();
    let PolicyTest { file, policy, passed, differences } = report;
    for difference in differences {
        page.line(&format!("{file}:{}: {}", difference.line, difference.test));
        page.line(&format!("    expected  {}", difference.expected));
        page.line(&format!("    found     {}", difference.found));
    }
    page.line(&format!("{policy}: {} passed, {} failed", count(*passed, "test"), differences.len()));
    page.into_text()
}

/// The picture of a refusal, under another heading for what is only odd.
fn picture(kind: &str, refused: &Refused, page: &mut Page) {
    let picture = refused.picture().to_string();
    let rest = picture.strip_prefix("error").unwrap_or(&picture);
    format!("{kind}{rest}").lines().for_each(|line| page.line(line));
}

fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(info: &PolicyInfo) -> String {
        let mut page = Page::default();
        in_force(info, &mut page);
        page.into_text()
    }

    #[test]
    fn what_is_in_force_is_told_with_where_it_comes_from_and_what_was_refused() {
        let file = PolicyInfo {
            source: "/d/policy.toml".into(),
            digest: "00ff".into(),
            rules: vec!["rule 1: allow every member to ping".into()],
            ..PolicyInfo::default()
        };
        let expected = "from /d/policy.toml (00ff)\nrule 1: allow every member to ping\n\
                        what no rule allows is denied; a deny wins, wherever it stands\n";
        assert_eq!(drawn(&file), expected);
        let back = drawn(&PolicyInfo { version: 3, ..file.clone() });
        assert!(back.starts_with("from /d/policy.toml (00ff), as version 3 of the mesh's policy says\n"), "{back}");
        let mesh = PolicyInfo {
            source: "p.toml".into(),
            is_of_mesh: true,
            version: 2,
            limits: vec!["1 connections at once in all".into()],
            streams: 1,
            refused: Some("version 3, set for the whole mesh: p.toml:1:1: no".into()),
            ..file
        };
        let text = drawn(&mesh);
        assert!(text.starts_with("version 2, set for the whole mesh: p.toml (00ff)\n"), "{text}");
        assert!(text.contains("limit: 1 connections at once in all\n"), "{text}");
        let end = "1 stream that peers opened\nREFUSED as a whole: version 3, set for the whole mesh: p.toml:1:1: no\n";
        assert!(text.ends_with(end), "{text}");
    }
}
