//! The report of a soak: what the faults did to the traffic, and what the nodes hold that they did not hold before.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;

use super::census::{Census, Holdings};
use super::report::Report;

/// Everything that a soak found out.
#[derive(Clone, Debug)]
pub(super) struct SoakReport {
    /// What became of the traffic.
    pub(super) report: Report,
    /// How long faults were injected.
    pub(super) lasted: Duration,
    /// How often actors of each kind were killed.
    pub(super) kills: BTreeMap<String, u64>,
    /// What the nodes held before the first fault.
    pub(super) before: Census,
    /// What they hold after the last; `None` after an interruption.
    pub(super) after: Option<Census>,
    /// The machine's load average before the mesh was started, and at the end.
    pub(super) load: (f64, f64),
    /// Whether it ended early because somebody wanted so.
    pub(super) interrupted: bool,
}

impl SoakReport {
    /// Whether the mesh kept its promises: those of the lab, no request lost, and no leak.
    pub(super) fn is_ok(&self) -> bool {
        self.report.is_ok() && self.reasons().is_empty()
    }

    fn reasons(&self) -> Vec<String> {
        let lost = self.report.requests.lost();
        let mut reasons = self.leaks();
        if lost > 0 && !self.interrupted {
            reasons.push(format!("{lost} requests lost, none may be"));
        }
        reasons
    }

    fn leaks(&self) -> Vec<String> {
        self.after.as_ref().map(|after| after.leaks(&self.before)).unwrap_or_default()
    }

    /// The lab's report as JSON, with what the soak adds under `soak`.
    pub(super) fn to_json(&self) -> String {
        let mut json: serde_json::Value =
            serde_json::from_str(&self.report.to_json()).expect("BUG: the lab's report is JSON");
        let soak = SoakJson {
            seconds: self.lasted.as_secs(),
            interrupted: self.interrupted,
            lost: self.report.requests.lost(),
            actors_killed: &self.kills,
            load_before: self.load.0,
            load_after: self.load.1,
            before: &self.before.0,
            after: self.after.as_ref().map(|after| after.0.as_slice()),
            leaks: self.leaks(),
        };
        json["ok"] = self.is_ok().into();
        json["soak"] = serde_json::to_value(soak).expect("BUG: numbers and strings can always be written as JSON");
        json.to_string()
    }
}

#[derive(Serialize)]
struct SoakJson<'a> {
    seconds: u64,
    interrupted: bool,
    lost: u64,
    actors_killed: &'a BTreeMap<String, u64>,
    load_before: f64,
    load_after: f64,
    before: &'a [Holdings],
    after: Option<&'a [Holdings]>,
    leaks: Vec<String>,
}

impl Display for SoakReport {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.report)?;
        let killed: u64 = self.kills.values().sum();
        let each: Vec<String> = self.kills.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        writeln!(f)?;
        let early = if self.interrupted { ", interrupted" } else { "" };
        writeln!(f, "soak        {} s{early}, {} requests lost", self.lasted.as_secs(), self.report.requests.lost())?;
        writeln!(
            f,
            "actors      {killed} killed: {}",
            if each.is_empty() { "none".to_owned() } else { each.join(", ") }
        )?;
        writeln!(f, "load        {:.1} before, {:.1} after", self.load.0, self.load.1)?;
        let nothing = Census(Vec::new());
        let after = self.after.as_ref().unwrap_or(&nothing);
        for (before, after) in self.before.0.iter().zip(&after.0) {
            let restarted = if before.pid == after.pid { "" } else { "  (another process)" };
            writeln!(
                f,
                "{:<11} memory {} > {} MiB, files {} > {}, tasks {} > {}, actors {} > {}, services {} > {}{restarted}",
                before.name,
                before.memory_kib / 1024,
                after.memory_kib / 1024,
                before.files,
                after.files,
                before.tasks,
                after.tasks,
                before.actors,
                after.actors,
                before.services,
                after.services,
            )?;
        }
        for reason in self.reasons() {
            writeln!(f, "problem     {reason}")?;
        }
        write!(f, "verdict     {}", if self.is_ok() { "ok" } else { "FAILED" })
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::report;
    use super::*;

    fn soak() -> SoakReport {
        let mut report = report(Vec::new());
        (report.requests.answered, report.requests.failed) = (report.requests.sent, 0);
        let one = Holdings { name: "n0".to_owned(), pid: 1, memory_kib: 2048, actors: 14, ..Holdings::default() };
        let census = Census(vec![one]);
        SoakReport {
            report,
            lasted: Duration::from_secs(60),
            kills: BTreeMap::from_iter([("gossip".to_owned(), 3)]),
            before: census.clone(),
            after: Some(census),
            load: (0.5, 2.25),
            interrupted: false,
        }
    }

    #[test]
    fn a_lost_request_or_a_leak_is_a_failure() {
        assert!(soak().is_ok(), "{}", soak());
        let broken = |change: fn(&mut SoakReport)| {
            let mut soak = soak();
            change(&mut soak);
            !soak.is_ok() && soak.to_string().contains("FAILED") && soak.to_json().contains("\"ok\":false")
        };
        assert!(broken(|soak| {
            soak.report.requests.answered -= 1;
            soak.report.requests.failed += 1;
        }));
        assert!(broken(|soak| soak.after.as_mut().unwrap().0[0].files = 100));
        assert!(broken(|soak| soak.after.as_mut().unwrap().0[0].actors = 13));
    }

    #[test]
    fn an_interrupted_soak_reports_what_it_has() {
        let partial = SoakReport { after: None, interrupted: true, ..soak() };
        let text = partial.to_string();
        assert!(text.contains("interrupted") && text.contains("gossip 3"), "{text}");
        assert!(partial.to_json().contains("\"after\":null"));
    }
}
