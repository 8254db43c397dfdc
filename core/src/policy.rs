//! The policy role: default deny; who may do what, and the rule that says so.
//!
//! It hears rule sets and asks for them to be enforced. Invariant: what no rule allows is denied, and a rule set is
//! taken whole or not at all.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::POLICY_RULES_MAX;
use crate::{Instant, Machine, PeerId, Rejected};

/// What the role may hear.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// New rules, from the named source.
    RulesLoaded(RuleSet),
}

/// What the role may ask for.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Effect {
    /// From now on these rules decide; nothing comes back.
    Enforce(RuleSet),
    /// The rules were refused as a whole; the old ones stay.
    Refuse {
        /// Why.
        reason: Rejected,
    },
}

/// Rules in the order in which they are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleSet {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// What it says.
    pub effect: Verdict,
    /// Whom it speaks of.
    pub from: Subjects,
    /// Of which action.
    pub action: Action,
    /// For [`Action::Connect`]: of which services; empty: all.
    pub services: BTreeSet<String>,
}

/// Whom a rule speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subjects {
    /// Every member of the mesh.
    Members,
    /// These nodes.
    Nodes(BTreeSet<PeerId>),
}

/// What somebody wants to do at this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Have frames passed on to other nodes. Asked of the neighbor that hands them over.
    Relay,
    /// Be answered end to end.
    Ping,
    /// Connect to a service.
    Connect,
    /// Send messages to the program in which the node is embedded.
    Message,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It may.
    Allow,
    /// It may not.
    Deny,
}

/// A verdict and the rule that led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The verdict.
    pub verdict: Verdict,
    /// The rule's place, counted from 1; `None`: no rule fits, so it is denied.
    pub rule: Option<usize>,
}

impl RuleSet {
    /// The first rule that fits decides; if none does, the answer is no.
    pub fn decide(&self, from: &PeerId, action: Action, service: Option<&str>) -> Decision {
        let fits = |rule: &Rule| {
            rule.action == action
                && rule.from.contains(from)
                && (rule.services.is_empty() || service.is_some_and(|name| rule.services.contains(name)))
        };
        match self.rules.iter().position(fits) {
            Some(at) => Decision { verdict: self.rules[at].effect, rule: Some(at + 1) },
            None => Decision { verdict: Verdict::Deny, rule: None },
        }
    }
}

impl Subjects {
    fn contains(&self, peer: &PeerId) -> bool {
        match self {
            Subjects::Members => true,
            Subjects::Nodes(nodes) => nodes.contains(peer),
        }
    }
}

impl Decision {
    /// Whether it may.
    pub fn is_allowed(&self) -> bool {
        self.verdict == Verdict::Allow
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.verdict, self.rule) {
            (Verdict::Allow, Some(rule)) => write!(f, "allowed by rule {rule}"),
            (Verdict::Deny, Some(rule)) => write!(f, "denied by rule {rule}"),
            (_, None) => write!(f, "denied: no rule allows it"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let effect = if self.effect == Verdict::Allow { "allow" } else { "deny" };
        let from = match &self.from {
            Subjects::Members => "every member".to_owned(),
            Subjects::Nodes(nodes) => nodes.iter().map(PeerId::short).collect::<Vec<_>>().join(", "),
        };
        let action = match self.action {
            Action::Relay => "relay",
            Action::Ping => "ping",
            Action::Connect => "connect",
            Action::Message => "message",
        };
        write!(f, "{effect} {from} to {action}")?;
        if !self.services.is_empty() {
            write!(f, " to {}", self.services.iter().cloned().collect::<Vec<_>>().join(", "))?;
        }
        Ok(())
    }
}

/// The role.
#[derive(Debug, Default)]
pub struct Policy {
    rules: RuleSet,
}

impl Policy {
    /// The rules in force.
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }
}

impl Machine for Policy {
    type Input = Input;
    type Effect = Effect;

    fn handle(&mut self, input: Input, _now: Instant, effects: &mut Vec<Effect>) {
        let Input::RulesLoaded(rules) = input;
        if rules.rules.len() > POLICY_RULES_MAX {
            return effects.push(Effect::Refuse { reason: Rejected::OverLimit });
        }
        self.rules = rules;
        effects.push(Effect::Enforce(self.rules.clone()));
    }

    fn wake(&mut self, _now: Instant, _effects: &mut Vec<Effect>) {}

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(effect: Verdict, from: Subjects, action: Action, services: &[&str]) -> Rule {
        Rule { effect, from, action, services: services.iter().map(|s| s.to_string()).collect() }
    }

    fn node(i: u8) -> PeerId {
        PeerId::from_public_key([i; 32])
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        let decision = RuleSet::default().decide(&node(1), Action::Ping, None);
        assert_eq!(decision, Decision { verdict: Verdict::Deny, rule: None });
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = RuleSet {
            rules: vec![
                rule(Verdict::Deny, Subjects::Nodes([node(2)].into()), Action::Connect, &["web"]),
                rule(Verdict::Allow, Subjects::Members, Action::Connect, &["web"]),
            ],
        };
        assert!(rules.decide(&node(1), Action::Connect, Some("web")).is_allowed());
        assert_eq!(rules.decide(&node(2), Action::Connect, Some("web")).to_string(), "denied by rule 1");
        assert!(!rules.decide(&node(1), Action::Connect, Some("db")).is_allowed());
        assert!(!rules.decide(&node(1), Action::Message, None).is_allowed());
    }

    #[test]
    fn too_many_rules_leave_the_old_ones_in_force() {
        let mut policy = Policy::default();
        let one = RuleSet { rules: vec![rule(Verdict::Allow, Subjects::Members, Action::Ping, &[])] };
        let mut effects = Vec::new();
        policy.handle(Input::RulesLoaded(one.clone()), Instant::BOOT, &mut effects);
        let many = RuleSet { rules: vec![one.rules[0].clone(); POLICY_RULES_MAX + 1] };
        policy.handle(Input::RulesLoaded(many), Instant::BOOT, &mut effects);
        assert_eq!(effects, [Effect::Enforce(one.clone()), Effect::Refuse { reason: Rejected::OverLimit }]);
        assert_eq!(*policy.rules(), one);
    }
}
