//! What the mesh itself noticed and healed: the incidents of all nodes, by kind, with what each phase took of the time.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::mesh::Mesh;
use crate::api::vocabulary::{IncidentInfo, PhaseInfo};
use crate::api::{Request, Response};

/// The incidents of a mesh, gathered again and again: nodes forget the oldest, and may be restarted.
#[derive(Clone, Debug, Default)]
pub(super) struct Healing {
    incidents: BTreeMap<Key, Seen>,
}

/// The node's number, the incident's number there, and when it was opened: a node that is killed may use a number again.
type Key = (usize, u64, u64);

#[derive(Clone, Debug)]
struct Seen {
    kind: String,
    lasted: Option<Duration>,
    phases: PhaseInfo,
    /// Whether it is older than what is to be told.
    is_old: bool,
}

impl Healing {
    /// Those that there are before anything is broken: they are not told.
    pub(super) async fn begin(mesh: &Mesh) -> Self {
        let mut healing = Self::default();
        healing.gather(mesh).await;
        for seen in healing.incidents.values_mut() {
            seen.is_old = true;
        }
        healing
    }

    /// Asks every node. One that is down or busy now is asked the next time.
    pub(super) async fn gather(&mut self, mesh: &Mesh) {
        for (number, node) in mesh.nodes().iter().enumerate() {
            if let Ok(Response::Incidents { incidents }) = node.control.ask(&Request::Incidents).await {
                self.learn(number, incidents);
            }
        }
    }

    fn learn(&mut self, node: usize, incidents: Vec<IncidentInfo>) {
        for IncidentInfo { id, kind, opened_unix_ms, lasted_ms, phases, .. } in incidents {
            let seen = self.incidents.entry((node, id, opened_unix_ms));
            let seen = seen.or_insert(Seen { kind, lasted: None, phases, is_old: false });
            (seen.lasted, seen.phases) = (lasted_ms.map(Duration::from_millis), phases);
        }
    }

    /// One entry for each kind, ordered by name.
    pub(super) fn kinds(&self) -> Vec<Healed> {
        let mut kinds: BTreeMap<&str, Vec<&Seen>> = BTreeMap::new();
        for seen in self.incidents.values().filter(|seen| !seen.is_old) {
            kinds.entry(&seen.kind).or_default().push(seen);
        }
        kinds.into_iter().map(|(kind, seen)| Healed::of(kind, &seen)).collect()
    }
}

/// The incidents of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Healed {
    /// The kind.
    pub(super) kind: String,
    /// How many were opened.
    pub(super) opened: usize,
    /// How many of those were over in the end.
    pub(super) healed: usize,
    /// Half of those that were over lasted no longer, in milliseconds.
    pub(super) lasted_ms_p50: u64,
    /// The longest of those that were over, in milliseconds.
    pub(super) lasted_ms_max: u64,
    /// What each phase took, of all of them together, in microseconds.
    pub(super) phases_us: Phases,
}

/// Times of the phases in microseconds; the analysis goes on beside the planning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Phases {
    detect: u64,
    analyze: u64,
    plan: u64,
    execute: u64,
    verify: u64,
}

impl Healed {
    fn of(kind: &str, seen: &[&Seen]) -> Self {
        let mut lasted: Vec<u64> = seen.iter().filter_map(|s| s.lasted).map(|l| l.as_millis() as u64).collect();
        lasted.sort_unstable();
        let sum = |phase: fn(&PhaseInfo) -> Option<u64>| seen.iter().filter_map(|seen| phase(&seen.phases)).sum();
        Self {
            kind: kind.to_owned(),
            opened: seen.len(),
            healed: lasted.len(),
            lasted_ms_p50: lasted.get(lasted.len().div_ceil(2).saturating_sub(1)).copied().unwrap_or_default(),
            lasted_ms_max: lasted.last().copied().unwrap_or_default(),
            phases_us: Phases {
                detect: sum(|phases| phases.detect_us),
                analyze: sum(|phases| phases.analyze_us),
                plan: sum(|phases| phases.plan_us),
                execute: sum(|phases| phases.execute_us),
                verify: sum(|phases| phases.verify_us),
            },
        }
    }

    /// What each phase took of the time from the last good sign to the end, in percent: detect, plan, execute, verify.
    pub(super) fn shares(&self) -> [u64; 4] {
        let Phases { detect, plan, execute, verify, .. } = self.phases_us;
        let total = (detect + plan + execute + verify).max(1);
        [detect, plan, execute, verify].map(|phase| (100 * phase + total / 2) / total)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(id: u64, kind: &str, lasted_ms: Option<u64>) -> IncidentInfo {
        let text = String::new;
        let phases =
            PhaseInfo { detect_us: Some(300), plan_us: Some(100), verify_us: Some(600), ..PhaseInfo::default() };
        IncidentInfo {
            id,
            kind: kind.to_owned(),
            subject: text(),
            severity: text(),
            evidence: text(),
            opened_unix_ms: 1000 + id,
            lasted_ms,
            follows_from: None,
            explains: Vec::new(),
            phases,
            actions: Vec::new(),
        }
    }

    #[test]
    fn incidents_are_counted_once_however_often_they_are_told_and_old_ones_not_at_all() {
        let mut healing = Healing::default();
        healing.learn(0, vec![incident(1, "link-down", None)]);
        healing.incidents.values_mut().for_each(|seen| seen.is_old = true);
        healing.learn(0, vec![incident(1, "link-down", Some(5)), incident(2, "link-down", None)]);
        healing.learn(0, vec![incident(2, "link-down", Some(40)), incident(3, "starved", Some(7))]);
        healing.learn(1, vec![incident(2, "link-down", Some(60)), incident(4, "link-down", None)]);
        let kinds = healing.kinds();
        let told: Vec<_> = kinds.iter().map(|k| (k.kind.as_str(), k.opened, k.healed, k.lasted_ms_max)).collect();
        assert_eq!(told, [("link-down", 3, 2, 60), ("starved", 1, 1, 7)]);
        assert_eq!(kinds[0].lasted_ms_p50, 40);
        assert_eq!(kinds[0].shares(), [30, 10, 0, 60]);
    }

    #[test]
    fn a_number_that_is_used_again_after_a_restart_is_another_incident() {
        let mut healing = Healing::default();
        let again = IncidentInfo { opened_unix_ms: 9999, ..incident(1, "link-down", None) };
        healing.learn(0, vec![incident(1, "link-down", Some(5)), again]);
        assert_eq!(healing.kinds()[0].opened, 2);
    }
}
