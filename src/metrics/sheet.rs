//! One scrape: what is to be exported, and its text.
//!
//! Counters and gauges go through a recorder that lives as long as the scrape: several nodes may live in one process, so
//! there is no recorder that belongs to the process. Its handles hold whole numbers in counters and take single
//! observations in histograms; counters of seconds go through gauges therefore, and histograms, which are counted already,
//! are written here. The lines HELP and TYPE come from the schema, and everything is in its order.

use std::collections::BTreeMap;
use std::fmt::Write;

use metrics::{Label, counter, gauge, with_local_recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusRecorder};

use super::schema::{Kind, Metric, Schema};
use crate::actors::tally::Spread;

/// What is to be exported.
pub struct Sheet {
    recorder: PrometheusRecorder,
    histograms: BTreeMap<&'static str, Vec<String>>,
}

/// A label and what it says.
pub type Said<'a> = (&'static str, &'a str);

impl Default for Sheet {
    fn default() -> Self {
        Self { recorder: PrometheusBuilder::new().build_recorder(), histograms: BTreeMap::new() }
    }
}

impl Sheet {
    /// What has been counted.
    pub fn count(&mut self, name: &'static str, labels: &[Said<'_>], count: u64) {
        with_local_recorder(&self.recorder, || counter!(name, kept(labels)).absolute(count));
    }

    /// What has been counted for each value of a label.
    pub fn counts(&mut self, name: &'static str, label: &'static str, counts: &[(&str, u64)]) {
        counts.iter().for_each(|(value, count)| self.count(name, &[(label, value)], *count));
    }

    /// What has been counted in fractions.
    pub fn count_seconds(&mut self, name: &'static str, labels: &[Said<'_>], seconds: f64) {
        self.show(name, labels, seconds);
    }

    /// How much there is.
    pub fn show(&mut self, name: &'static str, labels: &[Said<'_>], value: f64) {
        with_local_recorder(&self.recorder, || gauge!(name, kept(labels)).set(value));
    }

    /// How many there are.
    pub fn show_count(&mut self, name: &'static str, labels: &[Said<'_>], count: usize) {
        self.show(name, labels, count as f64);
    }

    /// Whether it is so.
    pub fn show_whether(&mut self, name: &'static str, labels: &[Said<'_>], is_so: bool) {
        self.show(name, labels, f64::from(u8::from(is_so)));
    }

    /// How long things took, by powers of two of a nanosecond: how many took at most 2^n, for each of `exponents`.
    pub fn spread(
        &mut self,
        name: &'static str,
        label: Option<(&'static str, &'static str)>,
        spread: &Spread,
        exponents: &[usize],
    ) {
        let mut text = String::new();
        let (inside, alone) = match label {
            Some((key, value)) => (format!("{key}=\"{value}\","), format!("{{{key}=\"{value}\"}}")),
            None => (String::new(), String::new()),
        };
        // Text is written into a string, which does not fail.
        for exponent in exponents {
            let bound = (1u64 << exponent) as f64 / 1e9;
            let _ = writeln!(text, "{name}_bucket{{{inside}le=\"{bound}\"}} {}", spread.at_most(*exponent));
        }
        let _ = writeln!(text, "{name}_bucket{{{inside}le=\"+Inf\"}} {}", spread.count());
        let _ = writeln!(text, "{name}_sum{alone} {}", spread.sum.as_secs_f64());
        let _ = writeln!(text, "{name}_count{alone} {}", spread.count());
        self.histograms.entry(name).or_default().push(text);
    }

    /// All of it, in the text format of Prometheus, version 0.0.4, in the order of the schema.
    pub fn into_text(self) -> String {
        let rendered = self.recorder.handle().render();
        let mut samples: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for line in rendered.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            samples.entry(name).or_default().push(line);
        }
        samples.values_mut().for_each(|lines| lines.sort_unstable());
        let (mut text, mut known) = (String::with_capacity(2 * rendered.len()), 0);
        for metric in Schema::shared().metrics() {
            if let Some(lines) = samples.get(metric.name.as_str()) {
                known += 1;
                head(metric, &mut text);
                lines.iter().for_each(|line| {
                    text.push_str(line);
                    text.push('\n');
                });
            }
            if let Some(lines) = self.histograms.get(metric.name.as_str()) {
                known += 1;
                head(metric, &mut text);
                lines.iter().for_each(|lines| text.push_str(lines));
            }
        }
        debug_assert_eq!(known, samples.len() + self.histograms.len(), "BUG: something is not in schema.toml");
        text
    }
}

fn kept(labels: &[Said<'_>]) -> Vec<Label> {
    labels.iter().map(|(key, value)| Label::new(*key, (*value).to_owned())).collect()
}

fn head(metric: &Metric, text: &mut String) {
    let Metric { name, kind, help, .. } = metric;
    let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {}\n", Kind::name(*kind));
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::actors::tally::Durations;

    #[test]
    fn what_is_exported_has_its_head_and_is_in_the_order_of_the_schema() {
        let mut sheet = Sheet::default();
        let writes = Durations::default();
        [1, 3, 3000].iter().for_each(|ms| writes.note(Duration::from_millis(*ms)));
        sheet.spread("prunella_store_write_seconds", None, &writes.spread(), &[20, 30]);
        sheet.count_seconds("process_cpu_seconds_total", &[], 0.25);
        sheet.count("prunella_rejected_total", &[("reason", "stale")], u64::MAX);
        sheet.count("prunella_rejected_total", &[("reason", "flood")], 7);
        sheet.show_whether("prunella_link_usable", &[("peer", "a\"b\\c\nd")], true);
        let expected = r##"# HELP prunella_link_usable Whether data may be sent over the link.
# TYPE prunella_link_usable gauge
prunella_link_usable{peer="a\"b\\c\nd"} 1
# HELP prunella_rejected_total What came from outside and was turned away, by the reason's name: frames, control messages and records.
# TYPE prunella_rejected_total counter
prunella_rejected_total{reason="flood"} 7
prunella_rejected_total{reason="stale"} 18446744073709551615
# HELP prunella_store_write_seconds How long the store took until what was written was durable.
# TYPE prunella_store_write_seconds histogram
prunella_store_write_seconds_bucket{le="0.001048576"} 1
prunella_store_write_seconds_bucket{le="1.073741824"} 2
prunella_store_write_seconds_bucket{le="+Inf"} 3
prunella_store_write_seconds_sum 3.004
prunella_store_write_seconds_count 3
# HELP process_cpu_seconds_total Processor time of the process, user and system.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 0.25
"##;
        assert_eq!(sheet.into_text(), expected);
    }
}
