//! Policy files: what they hold, what they say to a request, and what their tests have come to.

use super::page::Page;
use crate::api::policy::{Explanation, NearRule, PolicyCheck, PolicyTest, Refused};

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

pub(in crate::cli) fn policy_explanation(explained: &Explanation) -> String {
    let mut page = Page::default();
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
        "facts  name={:?} region={:?} reputation={} certificate_age_s={} quarantined={} incident={:?} trust_domain={:?}",
        facts.name,
        facts.region,
        f64::from(facts.reputation) / 1000.0,
        facts.certificate_age.as_secs(),
        facts.quarantined,
        facts.incident,
        facts.trust_domain,
    ));
    page.into_text()
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
