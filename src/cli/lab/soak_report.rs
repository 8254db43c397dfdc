//! The report of a soak: what the faults did to the traffic, and what the nodes hold that they did not hold before.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::time::Duration;

use serde::Serialize;

use super::census::{Census, Holdings};
use super::healing::Healed;
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
    /// What the nodes noticed, and what was over in the end.
    pub(super) healed: Vec<Healed>,
    /// What the nodes held before the first fault.
    pub(super) before: Census,
    /// What they hold after the last; `None` after an interruption.
    pub(super) after: Option<Census>,
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
            reasons.push(format!("{lost} requests lost, none may be: {}", self.why_lost()));
        }
        reasons
    }

    /// How many requests were lost for which reason.
    fn why_lost(&self) -> String {
        let mut reasons: BTreeMap<String, u64> = BTreeMap::new();
        for loss in &self.report.losses {
            *reasons.entry(loss.why.to_string()).or_default() += loss.requests;
        }
        reasons.into_iter().map(|(why, count)| format!("{count} {why}")).collect::<Vec<_>>().join(", ")
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
            incidents: &self.healed,
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
    incidents: &'a [Healed],
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
        for healed in &self.healed {
            writeln!(f, "incidents   {}", line(healed))?;
        }
        let nothing = Census(Vec::new());
        let after = self.after.as_ref().unwrap_or(&nothing);
        for (before, after) in self.before.0.iter().zip(&after.0) {
            writeln!(f, "{}", change(before, after))?;
        }
        for reason in self.reasons() {
            writeln!(f, "problem     {reason}")?;
        }
        write!(f, "verdict     {}", if self.is_ok() { "ok" } else { "FAILED" })
    }
}

fn line(healed: &Healed) -> String {
    let Healed { kind, opened, healed: over, lasted_ms_p50, lasted_ms_max, .. } = healed;
    let [detect, plan, execute, verify] = healed.shares();
    format!(
        "{kind}: {opened} opened, {over} healed within {lasted_ms_p50} ms (p50), {lasted_ms_max} ms (max); \
         detect {detect} %, plan {plan} %, execute {execute} %, verify {verify} %"
    )
}

fn change(before: &Holdings, after: &Holdings) -> String {
    let restarted = if before.pid == after.pid { "" } else { "  (another process)" };
    format!(
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
    )
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::super::report::tests::report;
    use super::super::traffic::{Loss, Why};
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
            healed: Vec::new(),
            before: census.clone(),
            after: Some(census),
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
    fn the_verdict_says_why_requests_are_lost_and_the_incidents_what_was_healed() {
        let mut soak = soak();
        soak.report.requests.answered -= 3;
        soak.report.requests.failed += 1;
        let loss = |requests, why| Loss { requests, why, ..Loss::of(Why::Late) };
        soak.report.losses =
            vec![loss(1, Why::Late), loss(1, Why::Ended(ErrorKind::UnexpectedEof)), loss(1, Why::Late)];
        soak.healed = vec![Healed { kind: "link-down".to_owned(), opened: 3, healed: 2, ..Healed::default() }];
        let text = soak.to_string();
        let why =
            "3 requests lost, none may be: 2 answered too late, 1 their connection ended (unexpected end of file)";
        assert!(text.contains(why), "{text}");
        assert!(text.contains("incidents   link-down: 3 opened, 2 healed"), "{text}");
        let json: serde_json::Value = serde_json::from_str(&soak.to_json()).unwrap();
        assert_eq!((&json["soak"]["incidents"][0]["opened"], &json["machine"]["cores"]), (&3.into(), &2.into()));
    }

    #[test]
    fn an_interrupted_soak_reports_what_it_has() {
        let partial = SoakReport { after: None, interrupted: true, ..soak() };
        let text = partial.to_string();
        assert!(text.contains("interrupted") && text.contains("gossip 3"), "{text}");
        assert!(partial.to_json().contains("\"after\":null"));
    }
}
