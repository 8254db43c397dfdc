//! Ledgers that are not what they were: this node's until it is repaired, another's until half of its cost is forgotten.

use super::{Effect, Monitor};
use crate::Instant;
use crate::incident::{Evidence, IncidentKind};
use crate::ledger::Report;
use crate::reputation::LEDGER_HALF_LIFE;

impl Monitor {
    pub(super) fn on_ledger_reported(&mut self, report: Report, now: Instant, effects: &mut Vec<Effect>) {
        match report {
            Report::Damaged { how: reason } => {
                self.desk.raise(IncidentKind::LedgerDamaged, Evidence::Failed { reason }, now, effects);
            }
            Report::Sound => self.desk.clear(&IncidentKind::LedgerDamaged, effects),
            Report::SetBack { found, witnessed } => {
                let evidence = Evidence::SetBack { found, witnessed };
                self.desk.raise(IncidentKind::LedgerSetBack, evidence, now, effects);
            }
            Report::Broken { ledger, fault, evidence } => {
                let kind = IncidentKind::LedgerBroken { peer: ledger, fault };
                let told =
                    if evidence.starts_with(fault.name()) { evidence } else { format!("{}: {evidence}", fault.name()) };
                // What is missing stays missing; it ends as the reputation does that it has cost.
                self.desk.raise_for(LEDGER_HALF_LIFE, kind, Evidence::Heads { told }, now, effects);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::Fault;
    use crate::monitor::{Config, Input, RTT_LIMIT};
    use crate::{Machine, PeerId};

    fn monitor() -> Monitor {
        let config = Config { me: PeerId::from_public_key([9; 32]), neighbors_target: 0, rtt_limit: RTT_LIMIT };
        Monitor::new(config, 1, [], Instant::BOOT)
    }

    fn broken(fault: Fault) -> Report {
        Report::Broken { ledger: PeerId::from_public_key([1; 32]), fault, evidence: "two heads".to_owned() }
    }

    /// What the monitor opens and closes when it hears these; the closed ones as their number.
    fn told(monitor: &mut Monitor, reports: Vec<Report>) -> Vec<String> {
        let mut effects = Vec::new();
        reports
            .into_iter()
            .for_each(|report| monitor.handle(Input::LedgerReported(report), Instant::BOOT, &mut effects));
        changes(effects)
    }

    fn changes(effects: Vec<Effect>) -> Vec<String> {
        let change = |effect: Effect| match effect {
            Effect::Raise(incident) => Some(format!("{} {}", incident.kind.name(), incident.evidence)),
            Effect::Clear { incident } => Some(incident.to_string()),
            _ => None,
        };
        effects.into_iter().filter_map(change).collect()
    }

    #[test]
    fn damage_of_the_own_ledger_is_an_incident_until_it_is_repaired() {
        let damaged = || Report::Damaged { how: "entries of this ledger: 4: not what was written".to_owned() };
        let mut monitor = monitor();
        let opened = told(&mut monitor, vec![Report::Sound, damaged(), damaged()]);
        assert_eq!(opened, ["ledger-damaged entries of this ledger: 4: not what was written"]);
        assert_eq!(told(&mut monitor, vec![Report::Sound, Report::Sound]), ["1"]);
        let set_back = Report::SetBack { found: 3, witnessed: 7 };
        let opened = told(&mut monitor, vec![set_back.clone(), set_back, Report::Sound]);
        assert_eq!(opened, ["ledger-set-back others have seen 7 entries that are not these 3"]);
    }

    #[test]
    fn a_broken_ledger_is_an_incident_once_for_each_fault_and_ends_as_its_cost_does() {
        let mut monitor = monitor();
        let reports = vec![broken(Fault::Forked), broken(Fault::Truncated), broken(Fault::Forked)];
        let opened = told(&mut monitor, reports);
        assert_eq!(opened, ["ledger-broken forked: two heads", "ledger-broken truncated: two heads"]);
        let mut effects = Vec::new();
        let end = Instant::BOOT + LEDGER_HALF_LIFE;
        monitor.wake(Instant::BOOT + (LEDGER_HALF_LIFE - Duration::from_secs(1)), &mut effects);
        assert_eq!(changes(std::mem::take(&mut effects)), Vec::<String>::new());
        monitor.wake(end, &mut effects);
        assert_eq!(changes(effects), ["1", "2"]);
    }
}
