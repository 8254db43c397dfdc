//! Incidents: what was wrong, what was done about it.

use super::page::Page;
use super::quantity::{moment, round_trip, span};
use crate::api::vocabulary::{IncidentInfo, PhaseInfo};

pub(super) fn incidents(incidents: &[IncidentInfo], now_unix_ms: u64, page: &mut Page) {
    if incidents.is_empty() {
        page.line("no incidents");
    }
    for incident in incidents {
        let opened = moment(incident.opened_unix_ms);
        let state = state(incident, now_unix_ms);
        page.line(&format!("#{}  {opened}  {}  {}  {state}", incident.id, incident.kind, incident.subject));
        page.line(&format!("    seen  {}", incident.evidence));
        // How things were ranked is told by the story of the one incident.
        for action in incident.actions.iter().filter(|action| action.phase != PLAN) {
            page.line(&format!("    done  {}", action.what));
        }
        if let Some(phases) = phases(&incident.phases) {
            page.line(&format!("    took  {phases}"));
        }
    }
}

pub(super) fn incident(incident: &IncidentInfo, now_unix_ms: u64, page: &mut Page) {
    let IncidentInfo { id, kind, subject, severity, .. } = incident;
    page.line(&format!("#{id}  {kind}  {subject}  {severity}  {}", state(incident, now_unix_ms)));
    page.line(&format!("opened    {}", moment(incident.opened_unix_ms)));
    page.line(&format!("seen      {}", incident.evidence));
    if let Some(root) = incident.follows_from {
        page.line(&format!("follows   from #{root}"));
    }
    if !incident.explains.is_empty() {
        let explains: Vec<String> = incident.explains.iter().map(|id| format!("#{id}")).collect();
        page.line(&format!("explains  {}", explains.join(", ")));
    }
    if let Some(phases) = phases(&incident.phases) {
        page.line(&format!("took      {phases}"));
    }
    for action in &incident.actions {
        let after = format!("+{}", round_trip(action.after_us.max(1)));
        let mut parts = action.what.split(BETWEEN_CANDIDATES);
        page.line(&format!("{after:>10}  {:8}  {}", action.phase, parts.next().unwrap_or_default()));
        parts.for_each(|part| page.line(&format!("{:10}  {:8}  {part}", "", "")));
    }
    page.line(&format!("effect    {}", effect(incident)));
}

fn state(incident: &IncidentInfo, now_unix_ms: u64) -> String {
    match incident.lasted_ms {
        Some(lasted) => format!("lasted {}", span(lasted)),
        None => format!("OPEN for {}", span(now_unix_ms.saturating_sub(incident.opened_unix_ms))),
    }
}

/// What the phases took; `None` if nothing is known of any.
fn phases(phases: &PhaseInfo) -> Option<String> {
    let PhaseInfo { detect_us, analyze_us, plan_us, execute_us, verify_us } = *phases;
    let named = [
        ("detect", detect_us),
        ("analyze", analyze_us),
        ("plan", plan_us),
        ("execute", execute_us),
        ("verify", verify_us),
    ];
    let told: Vec<String> =
        named.into_iter().filter_map(|(name, us)| Some(format!("{name} {}", round_trip(us?.max(1))))).collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// What came of it all.
fn effect(incident: &IncidentInfo) -> String {
    let last = incident.actions.iter().rev().find(|action| action.phase == VERIFY);
    match (last, incident.lasted_ms) {
        (Some(last), Some(_)) if incident.phases.verify_us.is_some() => last.what.clone(),
        (None, Some(_)) => "it ended before a step was judged".to_owned(),
        (_, Some(_)) => "it ended without a step that helped".to_owned(),
        (Some(_), None) => "nothing has helped yet".to_owned(),
        (None, None) => "nothing is known of it yet".to_owned(),
    }
}

/// Phases by the names that the answers give them.
const PLAN: &str = "plan";
const VERIFY: &str = "verify";
/// What stands between the candidates of a plan.
const BETWEEN_CANDIDATES: &str = "; ";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::vocabulary::ActionInfo;

    fn link_down(id: u64, lasted_ms: Option<u64>) -> IncidentInfo {
        let action =
            |after_us, phase: &str, what: &str| ActionInfo { after_us, phase: phase.into(), what: what.into() };
        IncidentInfo {
            id,
            kind: "link-down".into(),
            subject: "b".into(),
            severity: "major".into(),
            evidence: "no probe has returned for 1004 ms; loss 0‰".into(),
            opened_unix_ms: 1_700_000_000_000,
            lasted_ms,
            follows_from: Some(7),
            explains: vec![3, 4],
            phases: PhaseInfo {
                detect_us: Some(1_004_000),
                plan_us: Some(80),
                execute_us: Some(20),
                verify_us: lasted_ms.map(|ms| ms * 1000 - 100),
                ..PhaseInfo::default()
            },
            actions: vec![
                action(80, "plan", "wait 500 = 500 (helped 0 of 0) - 0 cost - 0 risk; redial 480"),
                action(100, "execute", "wait: begun"),
                action(250_000, "verify", "wait: helped after 250 ms"),
            ],
        }
    }

    #[test]
    fn an_incident_tells_cause_and_action() {
        let mut page = Page::default();
        let open = IncidentInfo { actions: vec![], phases: PhaseInfo::default(), ..link_down(2, None) };
        incidents(&[open, link_down(1, Some(250))], 1_700_000_005_000, &mut page);
        let expected = "\
#2  2023-11-14 22:13:20Z  link-down  b  OPEN for 5.0 s
    seen  no probe has returned for 1004 ms; loss 0‰
#1  2023-11-14 22:13:20Z  link-down  b  lasted 250 ms
    seen  no probe has returned for 1004 ms; loss 0‰
    done  wait: begun
    done  wait: helped after 250 ms
    took  detect 1.00 s, plan 80 µs, execute 20 µs, verify 249.9 ms
";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn the_story_of_an_incident_has_its_times_its_ranking_and_its_effect() {
        let mut page = Page::default();
        incident(&link_down(1, Some(250)), 1_700_000_005_000, &mut page);
        let expected = "\
#1  link-down  b  major  lasted 250 ms
opened    2023-11-14 22:13:20Z
seen      no probe has returned for 1004 ms; loss 0‰
follows   from #7
explains  #3, #4
took      detect 1.00 s, plan 80 µs, execute 20 µs, verify 249.9 ms
    +80 µs  plan      wait 500 = 500 (helped 0 of 0) - 0 cost - 0 risk
                      redial 480
   +100 µs  execute   wait: begun
 +250.0 ms  verify    wait: helped after 250 ms
effect    wait: helped after 250 ms
";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn the_effect_is_told_as_it_was() {
        let open = link_down(1, None);
        assert_eq!(effect(&open), "nothing has helped yet");
        assert_eq!(effect(&IncidentInfo { actions: vec![], ..open }), "nothing is known of it yet");
        let unplanned = IncidentInfo { actions: vec![], ..link_down(1, Some(5)) };
        assert_eq!(effect(&unplanned), "it ended before a step was judged");
        let ended = IncidentInfo { phases: PhaseInfo::default(), ..link_down(1, Some(5)) };
        assert_eq!(effect(&ended), "it ended without a step that helped");
    }
}
