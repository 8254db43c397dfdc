//! Policy tests: who wants to do what, what is known of it, and what the verdict must be.

use std::time::Duration;

use prunella_core::PeerId;
use serde::{Deserialize, Serialize};

use super::engine::{Engine, Verdict};
use super::facts::{NodeFacts, SameFacts, permille};
use super::plain::Effect;
use super::request::{About, ActionName, Request};

/// A test of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// Its line in its file, from 1.
    pub line: usize,
    /// Who asks.
    pub from: PeerId,
    /// For what.
    pub action: ActionName,
    /// About which service, agent, command, flow or network.
    pub about: Option<String>,
    /// What is known of whoever asks.
    pub facts: NodeFacts,
    /// Whether it must be allowed.
    pub allowed: bool,
    /// A rule that must be among those that led to the verdict.
    pub rule: Option<String>,
}

/// What came out other than a test says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// The test.
    pub test: String,
    /// Its line, from 1.
    pub line: usize,
    /// What should have come.
    pub expected: String,
    /// What came.
    pub found: String,
}

impl Case {
    /// Asks the policy; `None`: it answers as it must.
    pub fn differs(&self, engine: &Engine) -> Option<Difference> {
        let about = self.about.as_deref();
        let about = match self.action {
            ActionName::Connect => About { service: about, ..About::default() },
            ActionName::Command => About { command: about, ..About::default() },
            ActionName::Flow => About { flow: about, ..About::default() },
            ActionName::Route => About { route: about, ..About::default() },
            _ => About { agent: about, ..About::default() },
        };
        let action = self.action.on(about).expect("BUG: a test is checked when it is read");
        let verdict = engine.decide(&Request { from: self.from, action }, &SameFacts(self.facts.clone()));
        let named = |rule: &String| verdict.rules.iter().any(|led| *led.name == **rule);
        if verdict.allowed == self.allowed && self.rule.as_ref().is_none_or(named) {
            return None;
        }
        let expected = match (&self.rule, self.allowed) {
            (Some(rule), true) => format!("allowed by {rule}"),
            (Some(rule), false) => format!("denied by {rule}"),
            (None, true) => "allowed".to_owned(),
            (None, false) => "denied".to_owned(),
        };
        let Verdict { reason, .. } = &*verdict;
        Some(Difference { test: self.name.clone(), line: self.line, expected, found: reason.clone() })
    }
}

/// A test as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenCase {
    name: Option<String>,
    from: String,
    action: ActionName,
    service: Option<String>,
    agent: Option<String>,
    command: Option<String>,
    flow: Option<String>,
    route: Option<String>,
    #[serde(default)]
    facts: WrittenFacts,
    expect: Effect,
    rule: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFacts {
    name: Option<String>,
    region: Option<String>,
    reputation: Option<f64>,
    certificate_age_s: Option<u64>,
    quarantined: Option<bool>,
    incident: Option<String>,
    trust_domain: Option<String>,
    spiffe_id: Option<String>,
    federated: Option<bool>,
}

impl WrittenCase {
    /// The test, or the key that is wrong and why. `number` is its place in the file, from 1.
    pub(super) fn check(self, number: usize, line: usize) -> Result<Case, (&'static str, String)> {
        let Self { name, from, action, service, agent, command, flow, route, facts, expect, rule } = self;
        let (service, agent, command) = (service.as_deref(), agent.as_deref(), command.as_deref());
        let (flow, route) = (flow.as_deref(), route.as_deref());
        let about = About { service, agent, command, flow, route };
        action.on(about).map_err(|reason| ("action", reason))?;
        Ok(Case {
            name: name.unwrap_or_else(|| format!("test {number}")),
            line,
            from: from.parse().map_err(|_| ("from", format!("{from:?} is not a peer id")))?,
            action,
            about: service.or(agent).or(command).or(flow).or(route).map(str::to_owned),
            facts: facts.check()?,
            allowed: expect == Effect::Allow,
            rule,
        })
    }
}

impl WrittenFacts {
    /// A sound node, apart from what is written.
    fn check(self) -> Result<NodeFacts, (&'static str, String)> {
        let sound = NodeFacts::sound();
        let reputation = self.reputation.map(|share| permille(&share.to_string())).transpose();
        Ok(NodeFacts {
            name: self.name.unwrap_or_default(),
            region: self.region.unwrap_or_default(),
            reputation: reputation.map_err(|reason| ("facts", reason))?.unwrap_or(sound.reputation),
            certificate_age: Duration::from_secs(self.certificate_age_s.unwrap_or_default()),
            quarantined: self.quarantined.unwrap_or_default(),
            incident: self.incident.unwrap_or_default(),
            trust_domain: self.trust_domain.unwrap_or_default(),
            spiffe_id: self.spiffe_id.unwrap_or_default(),
            federated: self.federated.unwrap_or_default(),
        })
    }
}
