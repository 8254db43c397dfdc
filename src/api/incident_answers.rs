//! Answers about incidents: the list, and the story of one.

use std::collections::BTreeMap;

use prunella_core::PeerId;
use prunella_core::limits::CONTROL_LINE_BYTES_MAX;

use super::answers::Answers;
use super::error::{Error, ErrorKind};
use super::vocabulary::{ActionInfo, IncidentInfo, PhaseInfo};
use crate::actors::shell::{Entry, Note, Phase, PhaseTimes};

impl Answers {
    /// Every incident that is remembered, newest first.
    fn incidents(&self) -> Vec<IncidentInfo> {
        let name = |subject: &str| match subject.parse::<PeerId>() {
            Ok(peer) => self.shell().known.name(&peer),
            Err(_) => subject.to_owned(),
        };
        let entries = self.shell().journal.entries();
        let mut explains: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        for entry in entries.iter().rev() {
            if let Some(root) = entry.follows_from {
                explains.entry(root).or_default().push(entry.id);
            }
        }
        let info = |e: Entry| IncidentInfo {
            id: e.id,
            kind: e.kind,
            subject: name(&e.subject),
            severity: e.severity,
            evidence: e.evidence,
            opened_unix_ms: e.opened_unix_ms,
            lasted_ms: e.lasted_ms,
            follows_from: e.follows_from,
            explains: explains.remove(&e.id).unwrap_or_default(),
            phases: phase_info(e.phases),
            actions: e.actions.into_iter().map(action_info).collect(),
        };
        entries.into_iter().map(info).collect()
    }

    /// The newest incidents, as many as fit an answer, without the plans: those are told of one incident at a time.
    pub(super) fn newest_incidents(&self) -> Vec<IncidentInfo> {
        newest(self.incidents())
    }

    /// One incident.
    ///
    /// # Errors
    /// [`ErrorKind::IncidentNotFound`] if it is not remembered.
    pub(super) fn incident(&self, id: u64) -> Result<IncidentInfo, Error> {
        let found = self.incidents().into_iter().find(|incident| incident.id == id);
        found.ok_or_else(|| {
            let text = format!("no incident #{id} is remembered; `prunella incidents` lists those that are");
            Error::new(ErrorKind::IncidentNotFound, text)
        })
    }
}

const fn phase_info(phases: PhaseTimes) -> PhaseInfo {
    let PhaseTimes { detect_us, analyze_us, plan_us, execute_us, verify_us } = phases;
    PhaseInfo { detect_us, analyze_us, plan_us, execute_us, verify_us }
}

fn action_info(action: Note) -> ActionInfo {
    ActionInfo { after_us: action.after_us, phase: action.phase.name().to_owned(), what: action.what }
}

fn newest(mut incidents: Vec<IncidentInfo>) -> Vec<IncidentInfo> {
    let mut bytes = 0;
    let fits = |incident: &mut IncidentInfo| {
        incident.actions.retain(|action| action.phase != Phase::Plan.name());
        bytes += serde_json::to_string(incident).map_or(usize::MAX, |text| text.len() + 1);
        bytes <= LIST_BYTES_MAX
    };
    let count = incidents.iter_mut().take(INCIDENTS_TOLD).map(fits).take_while(|fits| *fits).count();
    incidents.truncate(count);
    incidents
}

/// Incidents told at once, the newest.
const INCIDENTS_TOLD: usize = 200;
/// How long their list may be, so that the answer fits a line.
const LIST_BYTES_MAX: usize = CONTROL_LINE_BYTES_MAX / 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_long_stories_fits_a_line_and_has_the_newest() {
        let action = |phase: &str| ActionInfo { after_us: 5, phase: phase.to_owned(), what: "x".repeat(400) };
        let story = |id| IncidentInfo {
            id,
            kind: "link-down".to_owned(),
            subject: "b".to_owned(),
            severity: "major".to_owned(),
            evidence: "silence".to_owned(),
            opened_unix_ms: 1,
            lasted_ms: None,
            follows_from: None,
            explains: Vec::new(),
            phases: PhaseInfo::default(),
            actions: [vec![action("plan"); 8], vec![action("verify"); 24]].concat(),
        };
        let told = newest((0..512).rev().map(story).collect());
        assert!(told.len() > 8 && told[0].id == 511, "{}", told.len());
        assert!(serde_json::to_string(&told).unwrap().len() < CONTROL_LINE_BYTES_MAX);
        assert!(told.iter().all(|incident| incident.actions.len() == 24), "plans are told one incident at a time");
        let short = |id| IncidentInfo { actions: Vec::new(), ..story(id) };
        assert_eq!(newest((0..512).rev().map(short).collect()).len(), INCIDENTS_TOLD);
    }
}
