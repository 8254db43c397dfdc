//! What operators are given in `deploy/observability`: alerts and dashboards that use metrics which exist, and alerts that
//! were seen to fire and to be quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use prunella::metrics::schema::{Schema, Values};
use serde::Deserialize;

fn place(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/observability").join(file)
}

fn read(file: &str) -> String {
    std::fs::read_to_string(place(file)).unwrap()
}

#[derive(Deserialize)]
struct Rules {
    groups: Vec<Group>,
}

#[derive(Deserialize)]
struct Group {
    rules: Vec<Alert>,
}

#[derive(Deserialize)]
struct Alert {
    alert: String,
    expr: String,
    annotations: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Tests {
    tests: Vec<Test>,
}

#[derive(Deserialize)]
struct Test {
    input_series: Vec<Series>,
    alert_rule_test: Vec<Expected>,
}

#[derive(Deserialize)]
struct Series {
    series: String,
}

#[derive(Deserialize)]
struct Expected {
    alertname: String,
    exp_alerts: Vec<serde_json::Value>,
}

fn alerts() -> Vec<Alert> {
    let rules: Rules = serde_saphyr::from_str(&read("alerts.yml")).unwrap();
    rules.groups.into_iter().flat_map(|group| group.rules).collect()
}

/// Every expression of a dashboard, wherever it stands.
fn expressions(value: &serde_json::Value, found: &mut Vec<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            found.extend(fields.get("expr").and_then(|expr| expr.as_str()).map(str::to_owned));
            fields.values().for_each(|value| expressions(value, found));
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// Key, operator, value.
type Matcher = (String, String, String);

/// What of our metrics an expression names, with what stands behind each in braces.
fn selectors(expression: &str) -> Vec<(String, Vec<Matcher>)> {
    let mut found = Vec::new();
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut rest = expression;
    while let Some(start) = rest.find(is_word) {
        // What is quoted is no name.
        if let Some(quote) = rest[..start].find('"') {
            let inside = &rest[quote + 1..];
            rest = &inside[inside.find('"').unwrap() + 1..];
            continue;
        }
        let word = &rest[start..];
        let end = word.find(|c| !is_word(c)).unwrap_or(word.len());
        let (name, after) = word.split_at(end);
        rest = after;
        if !(name.starts_with("prunella_") || name.starts_with("process_")) {
            continue;
        }
        let mut labels = Vec::new();
        if let Some(inside) = after.strip_prefix('{') {
            let (inside, after) = inside.split_once('}').unwrap();
            rest = after;
            for matcher in inside.split(',') {
                let at = matcher.find(['=', '!']).unwrap();
                let (key, matched) = matcher.split_at(at);
                let (operator, value) = matched.split_once('"').unwrap();
                labels.push((key.to_owned(), operator.to_owned(), value.trim_end_matches('"').to_owned()));
            }
        }
        found.push((name.to_owned(), labels));
    }
    found
}

/// Why an expression cannot be right, if it cannot.
fn wrong(expression: &str) -> Option<String> {
    let schema = Schema::shared();
    for (name, labels) in selectors(expression) {
        let Some(metric) = schema.family(&name) else { return Some(format!("no metric is called {name}")) };
        for (key, operator, value) in labels {
            let values = match (metric.labels.get(&key), key.as_str()) {
                (Some(values), _) => values,
                (None, "job" | "instance" | "le") => continue,
                (None, _) => return Some(format!("{name} has no label {key}")),
            };
            if let (Values::Of(values), "=" | "!=") = (values, operator.as_str())
                && !values.contains(&value)
            {
                return Some(format!("{key} of {name} is never {value}"));
            }
        }
    }
    None
}

#[test]
fn a_wrong_expression_is_found() {
    let histogram = "rate(prunella_store_write_seconds_sum[5m])";
    for right in [histogram, "up{job=\"prunella_x\"}", "prunella_link_state{state=\"down\",job=\"a\"} == 1"] {
        assert_eq!(wrong(right), None, "{right}");
    }
    for (expression, why) in [
        ("sum(prunella_nothing)", "no metric is called prunella_nothing"),
        ("prunella_store_write_seconds > 1", "no metric is called prunella_store_write_seconds"),
        ("prunella_quorum{state=\"up\"}", "prunella_quorum has no label state"),
        ("1 + prunella_link_state{peer=\"x\",state=\"gone\"}", "state of prunella_link_state is never gone"),
    ] {
        assert_eq!(wrong(expression).as_deref(), Some(why));
    }
}

#[test]
fn alerts_and_dashboards_use_metrics_that_exist() {
    let mut checked = 0;
    for Alert { alert, expr, annotations } in alerts() {
        assert_eq!(wrong(&expr), None, "{alert}");
        assert!(expr.contains("up{") || !selectors(&expr).is_empty(), "{alert} is about nothing of ours");
        assert_eq!(annotations.keys().collect::<Vec<_>>(), ["description", "summary"], "{alert}");
        checked += 1;
    }
    for test in serde_saphyr::from_str::<Tests>(&read("alerts.test.yml")).unwrap().tests {
        test.input_series.iter().for_each(|series| assert_eq!(wrong(&series.series), None, "{}", series.series));
    }
    for file in std::fs::read_dir(place("dashboards")).unwrap() {
        let path = file.unwrap().path();
        let dashboard: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let mut found = Vec::new();
        expressions(&dashboard, &mut found);
        assert!(found.len() >= 6, "{}", path.display());
        for expression in found {
            assert_eq!(wrong(&expression), None, "{}: {expression}", path.display());
            checked += 1;
        }
    }
    assert!(checked > 80, "{checked}");
}

#[test]
fn every_alert_was_seen_to_fire_and_to_be_quiet() {
    let alerts = alerts();
    let names: BTreeSet<&str> = alerts.iter().map(|alert| alert.alert.as_str()).collect();
    assert_eq!(names.len(), alerts.len(), "two alerts have the same name");
    let tests: Tests = serde_saphyr::from_str(&read("alerts.test.yml")).unwrap();
    let expected: Vec<&Expected> = tests.tests.iter().flat_map(|test| &test.alert_rule_test).collect();
    let seen = |fires: bool| -> BTreeSet<&str> {
        let those = expected.iter().filter(|expected| expected.exp_alerts.is_empty() != fires);
        those.map(|expected| expected.alertname.as_str()).collect()
    };
    assert_eq!(seen(true), names, "these fire in a test");
    assert_eq!(seen(false), names, "these are quiet in a test");
}

/// Where Prometheus' own tool is at hand (Debian's package `prometheus`).
#[test]
#[allow(clippy::print_stderr, reason = "a test that was skipped says so")]
fn prometheus_itself_takes_the_rules_and_their_tests_pass() {
    for arguments in
        [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"], ["check", "config", "prometheus.yml"]]
    {
        let ran = Command::new("promtool").args(arguments).current_dir(place("")).output();
        let Ok(ran) = ran else {
            eprintln!("skipped: promtool is not installed; Debian's package `prometheus` has it");
            return;
        };
        let said = [ran.stdout, ran.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        assert!(ran.status.success(), "promtool {arguments:?}:\n{said}");
    }
}
