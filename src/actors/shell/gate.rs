//! Policy at the door: asked for every stream that a peer opens. It reads the rules that the PolicyActor put in force, so
//! it needs no actor.

use std::sync::Arc;

use arc_swap::ArcSwap;
use prunella_core::PeerId;
use prunella_core::policy::{Action, RuleSet};
use prunella_core::wire::stream::StreamOpen;

use crate::transport::Gate;

/// Decides by the rules in force.
pub struct RulesGate(pub Arc<ArcSwap<RuleSet>>);

impl Gate for RulesGate {
    fn decide(&self, from: PeerId, request: &StreamOpen) -> Result<(), String> {
        let (action, service) = match request {
            StreamOpen::Service { name } => (Action::Connect, Some(name.as_str())),
            StreamOpen::Message => (Action::Message, None),
            StreamOpen::Ping => (Action::Ping, None),
        };
        let decision = self.0.load().decide(&from, action, service);
        match decision.rule {
            _ if decision.is_allowed() => Ok(()),
            Some(rule) => Err(format!("rule {rule}")),
            None => Err("default: no rule allows it".to_owned()),
        }
    }
}
