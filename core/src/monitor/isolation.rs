//! Nodes that misbehave: an incident until this node deals with them no more, or believes them again.

use super::{Effect, Monitor};
use crate::incident::{Evidence, IncidentKind};
use crate::limits::RECORDS_MAX;
use crate::reputation::TrustReport;
use crate::{Instant, PeerId};

impl Monitor {
    pub(super) fn on_trust_changed(&mut self, report: TrustReport, now: Instant, effects: &mut Vec<Effect>) {
        let TrustReport { peer, trusted, score_permille, faults, votes } = report;
        let kind = IncidentKind::Misbehaving { peer };
        if trusted {
            self.desk.clear(&kind, effects);
        } else if !self.quarantined.contains(&peer) {
            let own = Evidence::Distrusted { score_permille, faults };
            self.desk.raise(kind, votes.map_or(own, Evidence::Outvoted), now, effects);
        }
    }

    /// Who is not dealt with does no harm here.
    pub(super) fn on_quarantined(&mut self, peer: PeerId, quarantined: bool, effects: &mut Vec<Effect>) {
        if !quarantined {
            self.quarantined.remove(&peer);
        } else if self.quarantined.len() < RECORDS_MAX {
            self.quarantined.insert(peer);
            self.desk.clear(&IncidentKind::Misbehaving { peer }, effects);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Machine;
    use crate::monitor::{Config, Input, RTT_LIMIT};

    /// What the monitor opens (true) and closes (false) when it hears these, by kind.
    fn told(inputs: Vec<Input>) -> Vec<(bool, String)> {
        let me = PeerId::from_public_key([9; 32]);
        let config = Config { me, neighbors_target: 0, rtt_limit: RTT_LIMIT };
        let (mut monitor, mut effects) = (Monitor::new(config, 1, [], Instant::BOOT), Vec::new());
        inputs.into_iter().for_each(|input| monitor.handle(input, Instant::BOOT, &mut effects));
        let change = |effect: Effect| match effect {
            Effect::Raise(incident) => Some((true, incident.evidence.to_string())),
            Effect::Clear { .. } => Some((false, String::new())),
            _ => None,
        };
        effects.into_iter().filter_map(change).collect()
    }

    fn trusts(trusted: bool) -> Input {
        let (peer, faults) = (PeerId::from_public_key([1; 32]), vec!["malformed".to_owned()]);
        Input::TrustChanged(TrustReport { peer, trusted, score_permille: 400, faults, votes: None })
    }

    fn quarantines(quarantined: bool) -> Input {
        Input::Quarantined { peer: PeerId::from_public_key([1; 32]), quarantined }
    }

    #[test]
    fn who_misbehaves_is_an_incident_until_he_is_isolated() {
        let seen = (true, "believed to 400‰: malformed".to_owned());
        let over = (false, String::new());
        assert_eq!(told(vec![trusts(false), quarantines(true)]), [seen.clone(), over.clone()]);
        assert_eq!(told(vec![trusts(false), trusts(true)]), [seen.clone(), over]);
        assert_eq!(told(vec![quarantines(true), trusts(false)]), [], "it does no harm here");
        assert_eq!(told(vec![quarantines(true), quarantines(false), trusts(false)]), [seen]);
    }
}
