//! The reference of metrics for people, made of the schema.

use std::fmt::Write;

use super::schema::{Metric, Schema, Values};

/// `docs/metrics.md`.
pub fn reference(schema: &Schema) -> String {
    let mut text = HEAD.to_owned();
    for section in &schema.sections {
        let _ = writeln!(text, "\n## {}", section.title);
        for metric in &section.metrics {
            one(metric, &mut text);
        }
    }
    text
}

fn one(metric: &Metric, text: &mut String) {
    let Metric { name, kind, unit, help, when, labels } = metric;
    let unit = match unit.as_str() {
        "1" => "1",
        "bool" => "0 or 1",
        "ratio" => "0 to 1",
        unit => unit,
    };
    let said = format!("{}, {unit}. {help}", capital(kind.name()));
    let _ = writeln!(text, "\n### `{name}`\n\n{}", wrapped(said.split(' '), " ", ""));
    if let Some(when) = when {
        let _ = writeln!(text, "\nOnly when {when}.");
    }
    if !labels.is_empty() {
        text.push('\n');
    }
    for (label, values) in labels {
        let words: Vec<String> = match values {
            Values::Of(values) => values.iter().map(|value| format!("`{value}`")).collect(),
            Values::Words(words) => vec![words.clone()],
        };
        let words = wrapped(words.iter().map(String::as_str), ", ", "  ");
        let _ = writeln!(text, "- `{label}`: {words}");
    }
}

/// Words over as many lines as they need, each behind an indent but the first, for which something may stand already.
fn wrapped<'a>(words: impl Iterator<Item = &'a str>, between: &str, indent: &str) -> String {
    let (mut text, mut column) = (String::new(), BEFORE_MAX);
    for word in words {
        let length = word.chars().count() + between.len();
        if column + length > LINE_MAX {
            text.truncate(text.trim_end().len());
            text.push('\n');
            text.push_str(indent);
            column = indent.len();
        }
        text.push_str(word);
        text.push_str(between);
        column += length;
    }
    text.truncate(text.len() - between.len().min(text.len()));
    text
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

const LINE_MAX: usize = 120;
/// A label's name, in front of its values.
const BEFORE_MAX: usize = 16;
const HEAD: &str = "\
# Metrics

Every metric that a node exports, in the text format of Prometheus. This page is made from `src/metrics/schema.toml`
(`REWRITE=1 cargo test --lib metrics`), and a test holds what a running node exports against the same file.

A program that embeds a node asks for them with `MeshNode::metrics`. How to collect them, alerts and dashboards:
[deploy/observability](../deploy/observability/README.md).

- Nothing is kept for a scrape: it reads counters that are there anyway, and asks some actors, all at once and for at
  most 100 ms. Who does not answer is counted in `prunella_scrape_unanswered`, and what only it knows is left out.
- Nothing is labeled by a known node: labels are neighbors (at most 64), names of actors, and words of the program. All
  PeerActors are one actor, `peer`. The text stays under 500 KB however many nodes are known.
- Counters begin at 0 when the node starts; those of a link when it is established. Histograms have bounds that are
  powers of two of a nanosecond, because that is how actors count.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_is_made_from_the_schema() {
        let place = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let text = reference(Schema::shared());
        if std::env::var_os("REWRITE").is_some() {
            std::fs::write(place, &text).unwrap();
        }
        let written = std::fs::read_to_string(place).unwrap_or_default();
        assert!(written == text, "docs/metrics.md is not what the schema says: `REWRITE=1 cargo test --lib metrics`");
        assert!(text.lines().all(|line| line.chars().count() <= LINE_MAX));
    }
}
