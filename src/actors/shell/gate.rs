//! Policy at the door: asked for every stream that a peer opens. It reads the rules that the PolicyActor put in force, so
//! it needs no actor.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prunella_core::PeerId;
use prunella_core::policy::{Action, RuleSet};
use prunella_core::wire::stream::StreamOpen;

use super::quarantine::Quarantine;
use crate::transport::Gate;

/// Decides by the rules in force, and lets nobody in who is quarantined.
pub struct RulesGate {
    /// The rules.
    pub rules: Arc<ArcSwap<RuleSet>>,
    /// Who is quarantined.
    pub quarantine: Arc<Quarantine>,
}

impl Gate for RulesGate {
    fn decide(&self, from: PeerId, request: &StreamOpen) -> Result<(), String> {
        let (action, service) = match request {
            StreamOpen::Service { name } => (Action::Connect, Some(name.as_str())),
            StreamOpen::Message => (Action::Message, None),
            StreamOpen::Ping => (Action::Ping, None),
        };
        if self.quarantine.contains(&from) {
            return Err("quarantine".to_owned());
        }
        let decision = self.rules.load().decide(&from, action, service);
        match decision.rule {
            _ if decision.is_allowed() => Ok(()),
            Some(rule) => Err(format!("rule {rule}")),
            None => Err("default: no rule allows it".to_owned()),
        }
    }
}
