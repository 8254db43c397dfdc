//! The one list of what is exported: names, kinds, units, labels, and what they mean.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The list, by sections.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// The sections in their order.
    #[serde(rename = "section")]
    pub sections: Vec<Section>,
}

/// Metrics that belong together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// What they are about.
    pub title: String,
    /// The metrics in their order.
    #[serde(rename = "metric")]
    pub metrics: Vec<Metric>,
}

/// One metric.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// Its name; of a histogram without `_bucket`, `_sum` and `_count`.
    pub name: String,
    /// How it behaves.
    pub kind: Kind,
    /// `seconds`, `bytes`, `ratio`, `bool`, `1`, or what is counted.
    pub unit: String,
    /// What it says, in a sentence.
    pub help: String,
    /// It is exported only then.
    pub when: Option<String>,
    /// Its labels.
    #[serde(default)]
    pub labels: BTreeMap<String, Values>,
}

/// How a metric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// It grows, until the node starts anew.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many were at most so large.
    Histogram,
}

/// What a label may say.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Values {
    /// One of these.
    Of(Vec<String>),
    /// Something else, in words.
    Words(String),
}

impl Schema {
    /// The list that this program was built with.
    pub fn shared() -> &'static Self {
        static SCHEMA: LazyLock<Schema> =
            LazyLock::new(|| toml::from_str(TEXT).expect("BUG: a test reads the list of metrics"));
        &SCHEMA
    }

    /// Every metric in its order.
    pub fn metrics(&self) -> impl Iterator<Item = &Metric> {
        self.sections.iter().flat_map(|section| &section.metrics)
    }

    /// The metric of this name.
    pub fn metric(&self, name: &str) -> Option<&Metric> {
        self.metrics().find(|metric| metric.name == name)
    }

    /// The metric to which a sample of this name belongs: one of a histogram ends in `_bucket`, `_sum` or `_count`.
    pub fn family(&self, sample: &str) -> Option<&Metric> {
        let whole = self.metric(sample).filter(|metric| metric.kind != Kind::Histogram);
        whole.or_else(|| {
            let stem = ["_bucket", "_sum", "_count"].iter().find_map(|end| sample.strip_suffix(end))?;
            self.metric(stem).filter(|metric| metric.kind == Kind::Histogram)
        })
    }
}

impl Kind {
    /// As it is written in a TYPE line.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

const TEXT: &str = include_str!("schema.toml");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prunella_core::Rejected;
    use prunella_core::wire::admission::Refusal;

    use super::*;
    use crate::transport::CONTROL_KINDS;

    /// Metric and label names, base units and suffixes: <https://prometheus.io/docs/practices/naming/>.
    #[test]
    fn names_follow_the_guide() {
        let schema = Schema::shared();
        let names: BTreeSet<&str> = schema.metrics().map(|metric| metric.name.as_str()).collect();
        assert_eq!(names.len(), schema.metrics().count(), "two have the same name");
        for metric in schema.metrics() {
            let (name, unit) = (metric.name.as_str(), metric.unit.as_str());
            assert!(name.starts_with("prunella_") || name.starts_with("process_"), "{name}");
            assert!(name.bytes().all(|b| b == b'_' || b.is_ascii_lowercase()), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert_eq!(name.ends_with("_info"), unit == "1", "{name}");
            let stem = name.trim_end_matches("_total");
            for base in ["seconds", "bytes", "ratio"] {
                assert_eq!(stem.ends_with(&format!("_{base}")), unit == base, "{name} in {unit}");
            }
            assert!(metric.help.ends_with('.') && !metric.help.contains(['\n', '\\']), "{name}: {}", metric.help);
            assert!(metric.labels.keys().all(|label| !["le", "job", "instance"].contains(&label.as_str())), "{name}");
        }
    }

    #[test]
    fn what_the_code_counts_by_name_is_listed_with_these_names() {
        let values = |metric: &str, label: &str| match &Schema::shared().metric(metric).unwrap().labels[label] {
            Values::Of(values) => values.clone(),
            Values::Words(words) => panic!("{metric}: {words}"),
        };
        assert_eq!(values("prunella_rejected_total", "reason"), Rejected::ALL.map(Rejected::name));
        assert_eq!(values("prunella_admissions_refused_total", "reason"), Refusal::ALL.map(|(_, name)| name));
        assert_eq!(values("prunella_control_messages_total", "kind"), CONTROL_KINDS);
    }

    #[test]
    fn a_sample_is_found_in_its_family() {
        let schema = Schema::shared();
        let family = |sample: &str| schema.family(sample).map(|metric| metric.name.as_str());
        assert_eq!(family("prunella_store_write_seconds_bucket"), Some("prunella_store_write_seconds"));
        assert_eq!(family("prunella_store_write_seconds_sum"), Some("prunella_store_write_seconds"));
        assert_eq!(family("prunella_store_write_seconds"), None);
        assert_eq!(family("prunella_routes"), Some("prunella_routes"));
        assert_eq!((family("prunella_routes_count"), family("up")), (None, None));
    }
}
