//! Actors and incidents: what runs, what failed, what was done about it.

use super::page::Page;
use super::quantity::{moment, span};
use super::table::{Column, Table};
use super::tree;
use crate::api::vocabulary::{ActorInfo, IncidentInfo};

pub(super) fn actors(actors: &[ActorInfo], page: &mut Page) {
    let mut table = Table::new([
        Column::Left("ACTOR"),
        Column::Left("STATE"),
        Column::Right("MAILBOX"),
        Column::Right("HANDLED"),
        Column::Right("RESTARTS"),
        Column::Left("LAST FAILURE"),
    ]);
    let depths: Vec<usize> = actors.iter().map(|actor| actor.depth).collect();
    for (actor, branches) in actors.iter().zip(tree::branches(&depths)) {
        table.row([
            format!("{branches}{}", actor.name),
            actor.state.clone(),
            actor.mailbox.to_string(),
            actor.handled.to_string(),
            actor.restarts.to_string(),
            actor.last_failure.clone().unwrap_or_default(),
        ]);
    }
    table.write(page, "no actors");
}

pub(super) fn incidents(incidents: &[IncidentInfo], now_unix_ms: u64, page: &mut Page) {
    if incidents.is_empty() {
        page.line("no incidents");
    }
    for incident in incidents {
        let state = match incident.lasted_ms {
            Some(lasted) => format!("lasted {}", span(lasted)),
            None => format!("OPEN for {}", span(now_unix_ms.saturating_sub(incident.opened_unix_ms))),
        };
        let opened = moment(incident.opened_unix_ms);
        page.line(&format!("#{}  {opened}  {}  {}  {state}", incident.id, incident.kind, incident.subject));
        page.line(&format!("    seen  {}", incident.evidence));
        for action in &incident.actions {
            page.line(&format!("    done  {action}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(name: &str, depth: usize, restarts: u64, last_failure: Option<&str>) -> ActorInfo {
        ActorInfo {
            name: name.into(),
            parent: None,
            depth,
            state: "running".into(),
            mailbox: 0,
            handled: 12,
            restarts,
            last_failure: last_failure.map(Into::into),
        }
    }

    #[test]
    fn actors_are_drawn_as_a_tree() {
        let tree = [
            actor("root", 0, 0, None),
            actor("peers", 1, 0, None),
            actor("peer/aaa", 2, 1, Some("panicked")),
            actor("healing", 1, 0, None),
        ];
        let mut page = Page::default();
        actors(&tree, &mut page);
        let expected = "\
ACTOR           STATE    MAILBOX  HANDLED  RESTARTS  LAST FAILURE
root            running        0       12         0  -
├─ peers        running        0       12         0  -
│  └─ peer/aaa  running        0       12         1  panicked
└─ healing      running        0       12         0  -
";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn an_incident_tells_cause_and_action() {
        let link_down = |id, lasted_ms| IncidentInfo {
            id,
            kind: "link-down".into(),
            subject: "b".into(),
            evidence: "no answer for 1000 ms".into(),
            opened_unix_ms: 1_700_000_000_000,
            lasted_ms,
            actions: vec!["dialed b".into()],
        };
        let mut page = Page::default();
        incidents(&[link_down(2, None), link_down(1, Some(250))], 1_700_000_005_000, &mut page);
        let expected = "\
#2  2023-11-14 22:13:20Z  link-down  b  OPEN for 5.0 s
    seen  no answer for 1000 ms
    done  dialed b
#1  2023-11-14 22:13:20Z  link-down  b  lasted 250 ms
    seen  no answer for 1000 ms
    done  dialed b
";
        assert_eq!(page.into_text(), expected);
    }
}
