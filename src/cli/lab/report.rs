//! The lab's report: a table for people, one JSON object for programs, and the verdict.

use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;

use super::faults::FaultKind;
use super::machine::Machine;
use super::traffic::{Counts, Loss, LossJson, Measured, Summary};

/// Everything that the lab found out.
#[derive(Clone, Debug)]
pub(super) struct Report {
    /// Nodes of the mesh.
    pub(super) nodes: usize,
    /// The seed that repeats the lab's choices.
    pub(super) seed: u64,
    /// One row for each kind of fault.
    pub(super) rows: Vec<Row>,
    /// What became of all requests.
    pub(super) requests: Summary,
    /// What became of all GETs.
    pub(super) http: Counts,
    /// The requests that were not answered in time, and what the client saw of each.
    pub(super) losses: Vec<Loss>,
    /// How busy the machine was.
    pub(super) machine: Machine,
    /// What went wrong with the lab itself, such as a mesh that did not become whole again.
    pub(super) problems: Vec<String>,
}

/// What one kind of fault did.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The kind.
    pub(super) kind: FaultKind,
    /// How often it was injected; `kill-actor` kills every kind of actor each time.
    pub(super) runs: u32,
    /// The actors that were killed, by kind, in order, each once.
    pub(super) actors: Vec<&'static str>,
    /// What became of the traffic while each fault was in force and until the mesh was whole again.
    pub(super) measured: Vec<Measured>,
    /// The path in use before the first fault and while it was in force.
    pub(super) paths: Option<(String, String)>,
}

impl Row {
    fn lost(&self) -> u64 {
        self.measured.iter().map(|measured| measured.requests.lost()).sum()
    }

    fn is_intact(&self) -> bool {
        self.measured.iter().all(|measured| measured.bulk.damage.is_none())
    }

    fn gaps(&self) -> Gaps {
        Gaps::of(self.measured.iter().map(|measured| measured.requests.gap).collect())
    }

    fn stream_gaps(&self) -> Gaps {
        Gaps::of(self.measured.iter().map(|measured| measured.bulk.gap).collect())
    }

    fn faults(&self) -> Vec<String> {
        let (name, gaps) = (self.kind.name(), self.gaps());
        let mut faults = Vec::new();
        if self.measured.is_empty() {
            faults.push(format!("{name}: not one run was completed"));
        }
        for damage in self.measured.iter().filter_map(|measured| measured.bulk.damage.as_ref()) {
            faults.push(format!("{name}: a stream was not intact: {damage}"));
        }
        if gaps.max >= GAP_MS_MAX {
            faults.push(format!("{name}: a gap of {} ms, {GAP_MS_MAX} ms or more is too long", gaps.max));
        }
        if self.kind == FaultKind::KillActor && self.lost() > 0 {
            faults.push(format!("{name}: {} requests lost, none may be", self.lost()));
        }
        faults
    }
}

impl Report {
    /// Whether the mesh kept its promises.
    pub(super) fn is_ok(&self) -> bool {
        self.reasons().is_empty()
    }

    /// Why the mesh did not keep its promises; empty if it did.
    fn reasons(&self) -> Vec<String> {
        let mut reasons = self.problems.clone();
        reasons.extend(self.rows.iter().flat_map(Row::faults));
        let checks = [
            (self.requests.answered == 0, "no request was answered".to_owned()),
            (self.http.ok == 0, "no HTTP request was answered as expected".to_owned()),
            (
                self.requests.unaccounted() > 0,
                format!("{} requests had neither an answer nor an error in time", self.requests.unaccounted()),
            ),
            (
                self.http.unaccounted() > 0,
                format!("{} HTTP requests had a wrong answer, or none in time", self.http.unaccounted()),
            ),
        ];
        reasons.extend(checks.into_iter().filter(|(is_wrong, _)| *is_wrong).map(|(_, reason)| reason));
        reasons
    }

    fn stream(&self) -> Stream {
        let measured = self.rows.iter().flat_map(|row| &row.measured);
        let bytes = measured.map(|measured| measured.bulk.bytes).sum();
        Stream { bytes, intact: self.rows.iter().all(Row::is_intact) }
    }

    /// The longest gap of each run, of all kinds of faults.
    fn gaps(&self) -> Gaps {
        let measured = self.rows.iter().flat_map(|row| &row.measured);
        Gaps::of(measured.map(|measured| measured.requests.gap).collect())
    }

    /// The report as one line of JSON.
    pub(super) fn to_json(&self) -> String {
        let faults = self.rows.iter().map(|row| FaultJson {
            kind: row.kind.name(),
            runs: row.runs,
            lost: row.lost(),
            intact: row.is_intact(),
            gap_ms: row.gaps(),
            stream_gap_ms: row.stream_gaps(),
            actors: &row.actors,
        });
        let Summary { sent, answered, failed, .. } = self.requests;
        let json = ReportJson {
            nodes: self.nodes,
            seed: self.seed,
            ok: self.is_ok(),
            requests: RequestsJson { sent, answered, failed },
            stream: self.stream(),
            http: HttpJson { requests: self.http.requests, ok: self.http.ok },
            faults: faults.collect(),
            gap_ms: self.gaps(),
            losses: self.losses.iter().take(LOSSES_MAX).map(LossJson::from).collect(),
            machine: self.machine,
        };
        serde_json::to_string(&json).expect("BUG: numbers, strings and flags can always be written as JSON")
    }
}

// --- For people ------------------------------------------------------------------------------------------------------

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let header =
            ["fault", "runs", "lost", "p50", "p99", "max", "stream", "p50", "p99", "max", "path before", "path after"];
        let mut lines = vec![header.map(str::to_owned)];
        lines.extend(self.rows.iter().map(cells));
        let widths: [usize; COLUMNS] = std::array::from_fn(|column| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
        });
        for line in &lines {
            writeln!(f, "{}", aligned(line, &widths).trim_end())?;
        }
        let Summary { sent, answered, failed, .. } = self.requests;
        let stream = self.stream();
        let (megabytes, intact) = (stream.bytes / 1_000_000, if stream.intact { "intact" } else { "NOT intact" });
        writeln!(f)?;
        writeln!(f, "gaps in ms: the longest time in each run without an answer, of requests sent every 5 ms;")?;
        writeln!(f, "            behind `stream` the longest time in which nothing new of the bulk stream arrived")?;
        let Gaps { p50, p99, max, count } = self.gaps();
        writeln!(f, "gaps        {count} runs: p50 {p50} ms, p99 {p99} ms, max {max} ms")?;
        writeln!(f, "requests    {sent} sent, {answered} answered, {failed} failed")?;
        for loss in self.losses.iter().take(LOSSES_MAX) {
            writeln!(f, "lost        {loss}")?;
        }
        if let more @ 1.. = self.losses.len().saturating_sub(LOSSES_MAX) {
            writeln!(f, "lost        and so on, {more} times more")?;
        }
        writeln!(f, "stream      {megabytes} MB, {intact}")?;
        writeln!(f, "http        {} requests, {} ok", self.http.requests, self.http.ok)?;
        writeln!(f, "machine     {}", self.machine)?;
        for reason in self.reasons() {
            writeln!(f, "problem     {reason}")?;
        }
        write!(f, "result      {} (seed {})", if self.is_ok() { "ok" } else { "FAILED" }, self.seed)
    }
}

const COLUMNS: usize = 12;

fn cells(row: &Row) -> [String; COLUMNS] {
    let runs = match row.actors.len() {
        0 => row.runs.to_string(),
        actors => format!("{}x{actors}", row.runs),
    };
    let (before, after) = row.paths.clone().unwrap_or_default();
    let stream = if row.is_intact() { "intact" } else { "DAMAGED" }.to_owned();
    let numbers = |gaps: Gaps| [gaps.p50, gaps.p99, gaps.max].map(|gap| gap.to_string());
    let ([p50, p99, max], [s50, s99, smax]) = (numbers(row.gaps()), numbers(row.stream_gaps()));
    [row.kind.name().to_owned(), runs, row.lost().to_string(), p50, p99, max, stream, s50, s99, smax, before, after]
}

/// One line of the table: numbers to the right, words to the left.
fn aligned(cells: &[String; COLUMNS], widths: &[usize; COLUMNS]) -> String {
    let is_number = |column| matches!(column, 1..=5 | 7..=9);
    let padded = cells.iter().zip(widths).enumerate().map(|(column, (cell, &width))| {
        if is_number(column) { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
    });
    padded.collect::<Vec<_>>().join("  ")
}

// --- For programs ----------------------------------------------------------------------------------------------------

#[derive(Serialize)]
struct ReportJson<'a> {
    nodes: usize,
    seed: u64,
    ok: bool,
    requests: RequestsJson,
    stream: Stream,
    http: HttpJson,
    faults: Vec<FaultJson<'a>>,
    gap_ms: Gaps,
    losses: Vec<LossJson>,
    machine: Machine,
}

#[derive(Serialize)]
struct RequestsJson {
    sent: u64,
    answered: u64,
    failed: u64,
}

#[derive(Serialize)]
struct Stream {
    bytes: u64,
    intact: bool,
}

#[derive(Serialize)]
struct HttpJson {
    requests: u64,
    ok: u64,
}

#[derive(Serialize)]
struct FaultJson<'a> {
    kind: &'static str,
    runs: u32,
    lost: u64,
    intact: bool,
    gap_ms: Gaps,
    stream_gap_ms: Gaps,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    actors: &'a [&'static str],
}

/// Percentiles of gaps, in whole milliseconds, rounded up so that none looks shorter than it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Gaps {
    p50: u64,
    p99: u64,
    max: u64,
    count: usize,
}

impl Gaps {
    fn of(mut gaps: Vec<Duration>) -> Self {
        gaps.sort_unstable();
        let at = |percent| percentile(&gaps, percent).map_or(0, milliseconds);
        Self { p50: at(50), p99: at(99), max: at(100), count: gaps.len() }
    }
}

/// The smallest of the `sorted` values that is not below `percent` of them (nearest rank); `None` if there are none.
fn percentile(sorted: &[Duration], percent: usize) -> Option<Duration> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_micros().div_ceil(1000) as u64
}

/// As many losses are told, each of requests in a row; thousands of lines would tell nobody anything.
const LOSSES_MAX: usize = 20;
/// A gap of this length or more breaks the promise.
const GAP_MS_MAX: u64 = 1200;

#[cfg(test)]
pub(super) mod tests {
    use super::super::traffic::{Sent, Why};
    use super::*;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn measured(gap_ms: u64, lost: u64) -> Measured {
        let requests = Summary { sent: 100, answered: 100 - lost, failed: lost, gap: ms(gap_ms) };
        Measured { requests, bulk: Sent { bytes: 1_000_000, gap: ms(gap_ms / 2), damage: None } }
    }

    fn row(kind: FaultKind, measured: Vec<Measured>) -> Row {
        let paths = Some(("n0 > n1 > n2".to_owned(), "n0 > n3 > n2".to_owned()));
        Row { kind, runs: 3, actors: Vec::new(), measured, paths }
    }

    pub(in super::super) fn report(rows: Vec<Row>) -> Report {
        let requests = Summary { sent: 300, answered: 299, failed: 1, gap: ms(30) };
        let http = Counts { requests: 10, ok: 9, failed: 1 };
        let machine = Machine { cores: 2, load_start: 0.5, load_end: 1.25 };
        Report { nodes: 5, seed: 7, rows, requests, http, losses: Vec::new(), machine, problems: Vec::new() }
    }

    #[test]
    fn percentiles_are_exact() {
        let hundred: Vec<_> = (1..=100).map(ms).collect();
        let at = |percent| percentile(&hundred, percent);
        assert_eq!([at(1), at(50), at(99), at(100)], [1, 50, 99, 100].map(|value| Some(ms(value))));
        assert_eq!(percentile(&[ms(10), ms(20), ms(30)], 50), Some(ms(20)));
        assert_eq!(percentile(&[ms(10), ms(20), ms(30)], 99), Some(ms(30)));
        assert_eq!(percentile(&[], 50), None);
    }

    #[test]
    fn a_gap_never_looks_shorter_than_it_was() {
        let gaps = Gaps::of(vec![Duration::from_micros(1_199_001), ms(3), ms(1)]);
        assert_eq!(gaps, Gaps { p50: 3, p99: 1200, max: 1200, count: 3 });
    }

    #[test]
    fn the_json_has_exactly_the_promised_shape() {
        let runs = vec![measured(30, 0), measured(10, 1), measured(20, 0)];
        let json = report(vec![row(FaultKind::KillNode, runs)]).to_json();
        assert_eq!(
            json,
            concat!(
                r#"{"nodes":5,"seed":7,"ok":true,"requests":{"sent":300,"answered":299,"failed":1},"#,
                r#""stream":{"bytes":3000000,"intact":true},"http":{"requests":10,"ok":9},"#,
                r#""faults":[{"kind":"kill-node","runs":3,"lost":1,"intact":true,"#,
                r#""gap_ms":{"p50":20,"p99":30,"max":30,"count":3},"#,
                r#""stream_gap_ms":{"p50":10,"p99":15,"max":15,"count":3}}],"#,
                r#""gap_ms":{"p50":20,"p99":30,"max":30,"count":3},"losses":[],"#,
                r#""machine":{"cores":2,"load_start":0.5,"load_end":1.25}}"#
            )
        );
    }

    #[test]
    fn the_actors_that_were_killed_are_told() {
        let mut killed = row(FaultKind::KillActor, vec![measured(5, 0)]);
        killed.actors = vec!["gossip", "peer"];
        let report = report(vec![killed]);
        assert!(report.to_json().contains(r#""actors":["gossip","peer"]}"#), "{}", report.to_json());
        assert!(report.to_string().contains("kill-actor   3x2"), "{report}");
    }

    #[test]
    fn every_lost_request_has_a_reason_but_not_thousands_of_lines() {
        let mut report = report(Vec::new());
        let during = "3: flap".to_owned();
        let loss = Loss { at: ms(7200), requests: 56, why: Why::Late, waited: ms(2280), starved: ms(40), during };
        report.losses = vec![loss; LOSSES_MAX + 2];
        let text = report.to_string();
        assert!(
            text.contains("lost        56 from 7.2 s on: answered too late, after 2280 ms (own standstill 40 ms), during 3: flap\n"),
            "{text}"
        );
        assert!(text.contains("and so on, 2 times more"), "{text}");
        assert_eq!(report.to_json().matches(r#""why":"answered too late","waited_ms":2280"#).count(), LOSSES_MAX);
    }

    #[test]
    fn the_machine_and_its_load_stand_beside_the_figures() {
        let text = report(Vec::new()).to_string();
        assert!(text.contains("machine     2 cores, load average 0.50 at the start, 1.25 at the end"), "{text}");
    }

    #[test]
    fn every_broken_promise_is_a_failure() {
        let broken = |change: fn(&mut Report)| {
            let mut report = report(vec![row(FaultKind::KillNode, vec![measured(1199, 1)])]);
            assert!(report.is_ok(), "{report}");
            change(&mut report);
            !report.is_ok() && report.to_json().contains("\"ok\":false") && report.to_string().contains("FAILED")
        };
        assert!(broken(|report| report.rows[0].measured[0].requests.gap = ms(1200)));
        assert!(broken(|report| report.rows[0].measured[0].bulk.damage = Some("no hash came back".to_owned())));
        assert!(broken(|report| report.rows[0].kind = FaultKind::KillActor));
        assert!(broken(|report| report.rows[0].measured.clear()));
        assert!(broken(|report| report.requests.failed = 0));
        assert!(broken(|report| report.http.failed = 0));
        assert!(broken(|report| report.http.ok = 0));
        assert!(broken(|report| report.problems.push("n1 did not come back".to_owned())));
    }

    #[test]
    fn the_table_names_the_paths_and_the_gaps() {
        let text = report(vec![row(FaultKind::CutLink, vec![measured(42, 0)])]).to_string();
        let line = text.lines().nth(1).unwrap();
        assert_eq!(line, "cut-link     3     0   42   42   42  intact   21   21   21  n0 > n1 > n2  n0 > n3 > n2");
    }
}
