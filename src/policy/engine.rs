//! The engine: a policy that is ready to decide.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Decision, Entities, Entity, EntityUid, PolicyId, PolicySet,
    RestrictedExpression,
};
use prunella_core::PeerId;
use prunella_core::overlay::Prefix;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::command::CommandKind;
use super::facts::{Facts, NodeFacts};
use super::index::Index;
use super::policy_file::{PolicyFile, Rule};
use super::request::{Action, Request, flow_name};
use super::schema;
use super::verdict_cache::VerdictCache;

/// Decides by one policy, for one node. Another policy is another engine: swap the whole.
///
/// What no rule allows is denied. A rule that denies always wins, wherever it stands; so does one that cannot be
/// evaluated, such as for an overflow, whereas a rule that allows and cannot be evaluated does not count.
pub struct Engine {
    me: PeerId,
    rules: Vec<Rule>,
    index: Index,
    authorizer: Authorizer,
    cache: VerdictCache,
}

/// Yes or no, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Verdict {
    /// Whether it may.
    pub allowed: bool,
    /// The rules that led to it, in the order in which they are written; none: nothing allows it.
    pub rules: Vec<RuleRef>,
    /// The verdict as a sentence.
    pub reason: String,
}

/// A rule by its name and place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleRef {
    /// Its name.
    pub name: Arc<str>,
    /// The file that it stands in.
    pub file: Arc<str>,
    /// Its line, from 1.
    pub line: usize,
}

impl Engine {
    /// An engine of the node `me`.
    pub fn new(policy: PolicyFile, me: PeerId) -> Self {
        let index = Index::of(&policy.rules);
        Self { me, rules: policy.rules, index, authorizer: Authorizer::new(), cache: VerdictCache::empty() }
    }

    /// The rules in force.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether this may be done. A verdict that is remembered costs neither a lock nor an allocation.
    pub fn decide(&self, request: &Request<'_>, facts: &dyn Facts) -> Arc<Verdict> {
        // Before the facts themselves: if they change in between, the verdict is remembered under what is over.
        let generations = [facts.generation(&request.from), facts.generation(&self.me)];
        if let Some(verdict) = self.cache.recall(request, generations) {
            return verdict;
        }
        let verdict = Arc::new(self.judge(request, facts));
        self.cache.remember(request, generations, &verdict);
        verdict
    }

    /// How often a verdict was remembered, and how often it had to be found.
    pub fn recalled(&self) -> [u64; 2] {
        self.cache.recalled()
    }

    /// Whether this may be done, found anew.
    pub fn judge(&self, request: &Request<'_>, facts: &dyn Facts) -> Verdict {
        let question = self.question(request, facts);
        self.answer(&question, self.index.candidates(request, &question.region))
    }

    /// Those of the open requests that are not allowed any more, and why.
    pub fn reconsider<'a>(
        &self,
        open: impl IntoIterator<Item = Request<'a>>,
        facts: &dyn Facts,
    ) -> Vec<(Request<'a>, Arc<Verdict>)> {
        let judged = open.into_iter().map(|request| (request, self.decide(&request, facts)));
        judged.filter(|(_, verdict)| !verdict.allowed).collect()
    }

    /// The request with everything that is known, as Cedar takes it.
    pub(super) fn question(&self, request: &Request<'_>, facts: &dyn Facts) -> Question {
        Question::new(request, &self.me, facts)
    }

    /// What the policies in these sets say together.
    pub(super) fn answer<'a>(&self, question: &Question, sets: impl Iterator<Item = &'a PolicySet>) -> Verdict {
        let (mut allow, mut deny, mut failed) = (Vec::new(), Vec::new(), BTreeMap::new());
        for set in sets {
            let response = self.authorizer.is_authorized(&question.request, set, &question.entities);
            let found = if response.decision() == Decision::Allow { &mut allow } else { &mut deny };
            found.extend(response.diagnostics().reason().filter_map(number));
            for AuthorizationError::PolicyEvaluationError(error) in response.diagnostics().errors() {
                let broken = number(error.policy_id()).filter(|number| !self.rules[*number].allows);
                if let Some(number) = broken {
                    deny.push(number);
                    failed.insert(number, error.to_string());
                }
            }
        }
        let allowed = deny.is_empty() && !allow.is_empty();
        let mut led = if allowed { allow } else { deny };
        led.sort_unstable();
        led.dedup();
        let rules: Vec<RuleRef> = led.into_iter().map(|number| self.rules[number].named()).collect();
        let mut reason = told(allowed, &rules);
        if let Some((number, error)) = failed.first_key_value() {
            let cause = error.rsplit_once("`: ").map_or(error.as_str(), |(_, cause)| cause);
            reason = format!("{reason}; {} could not be evaluated ({cause}), so it denies", self.rules[*number].name);
        }
        Verdict { allowed, rules, reason }
    }
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("me", &self.me).field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}

impl Verdict {
    /// The rules that led to it, by name alone: where they are written is nothing for others to know.
    pub fn names(&self) -> String {
        let named: Vec<&str> = self.rules.iter().take(RULES_TOLD_MAX).map(|rule| &*rule.name).collect();
        match self.rules.len() {
            0 => "default: no rule allows it".to_owned(),
            all if all > RULES_TOLD_MAX => format!("{} and {} more", named.join(", "), all - RULES_TOLD_MAX),
            _ => named.join(", "),
        }
    }
}

impl Rule {
    /// Its name and place.
    pub fn named(&self) -> RuleRef {
        RuleRef { name: Arc::clone(&self.name), file: Arc::clone(&self.file), line: self.line }
    }
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}:{})", self.name, self.file, self.line)
    }
}

/// A policy's id is its number; all of them were given here.
fn number(id: &PolicyId) -> Option<usize> {
    AsRef::<str>::as_ref(id).parse().ok()
}

fn told(allowed: bool, rules: &[RuleRef]) -> String {
    let verdict = if allowed { "allowed" } else { "denied" };
    let named: Vec<String> = rules.iter().take(RULES_TOLD_MAX).map(RuleRef::to_string).collect();
    match rules.len() {
        0 => format!("{verdict}: no rule allows it"),
        all if all > RULES_TOLD_MAX => {
            format!("{verdict} by {} and {} more", named.join(", "), all - RULES_TOLD_MAX)
        }
        _ => format!("{verdict} by {}", named.join(", ")),
    }
}

/// Most rules that a reason names.
const RULES_TOLD_MAX: usize = 3;

/// A request with everything that is known of who asks and of what is asked for. Names and facts enter as values:
/// nothing of them is ever parsed.
pub(super) struct Question {
    pub(super) request: cedar_policy::Request,
    pub(super) entities: Entities,
    pub(super) region: String,
    pub(super) from: NodeFacts,
}

impl Question {
    fn new(request: &Request<'_>, me: &PeerId, facts: &dyn Facts) -> Self {
        let (from, here) = (facts.node(&request.from), facts.node(me));
        let (who, at) = (schema::node(&request.from.to_string()), schema::node(&me.to_string()));
        let mut entities = vec![node(who.clone(), &from)];
        if request.from != *me {
            entities.push(node(at.clone(), &here));
        }
        let resource = match request.action {
            Action::Connect { service } => part(schema::service(service), service, &at, &mut entities),
            Action::Message { agent: Some(agent) } => part(schema::agent(agent), agent, &at, &mut entities),
            _ => at,
        };
        let context = match request.action {
            Action::Command { command } => {
                let string = |value: &str| RestrictedExpression::new_string(value.to_owned());
                // What cannot be given from afar is asked for by nobody.
                let kind = command.from_afar().unwrap_or(CommandKind::Grave);
                let pairs = [("command", string(command.name())), ("kind", string(kind.as_str()))];
                let pairs = pairs.map(|(key, value)| (key.to_owned(), value));
                Context::from_pairs(pairs).expect("BUG: each key is given once")
            }
            Action::Flow { to } => {
                let flow = flow_name(to);
                let protocol = flow.map(|flow| flow.protocol).unwrap_or_default().to_owned();
                let port = flow.and_then(|flow| flow.port).unwrap_or_default();
                let fixed = [
                    ("protocol", RestrictedExpression::new_string(protocol)),
                    ("port", RestrictedExpression::new_long(port.into())),
                ];
                let beyond = flow.and_then(|flow| flow.beyond).map(|beyond| ("destination", network(&beyond)));
                let pairs = fixed.into_iter().chain(beyond).map(|(key, value)| (key.to_owned(), value));
                Context::from_pairs(pairs).expect("BUG: each key is given once")
            }
            Action::Route { prefix } => {
                let prefix: Option<Prefix> = prefix.parse().ok();
                let length = |prefix: Prefix| RestrictedExpression::new_long(prefix.length().into());
                let known = prefix.map(|prefix| [("prefix", network(&prefix)), ("length", length(prefix))]);
                let pairs = known.into_iter().flatten().map(|(key, value)| (key.to_owned(), value));
                Context::from_pairs(pairs).expect("BUG: each key is given once")
            }
            _ => Context::empty(),
        };
        let action = schema::action(request.action.name().as_str());
        Self {
            request: cedar_policy::Request::new(who, action, resource, context, None)
                .expect("BUG: without a schema no request is refused"),
            entities: Entities::from_entities(entities, None).expect("BUG: each entity is there once"),
            region: from.region.clone(),
            from,
        }
    }
}

/// A network, or a single address, as Cedar knows them.
fn network(prefix: &Prefix) -> RestrictedExpression {
    RestrictedExpression::new_ip(prefix.to_string())
}

/// A service or an agent of the node `at`.
fn part(of: EntityUid, name: &str, at: &EntityUid, entities: &mut Vec<Entity>) -> EntityUid {
    let attributes = [("name".to_owned(), RestrictedExpression::new_string(name.to_owned()))];
    let entity = Entity::new(of.clone(), attributes.into(), [at.clone()].into());
    entities.push(entity.expect("BUG: a string is a value"));
    of
}

fn node(uid: EntityUid, facts: &NodeFacts) -> Entity {
    let string = |value: &String| RestrictedExpression::new_string(value.clone());
    let age = i64::try_from(facts.certificate_age.as_secs()).unwrap_or(i64::MAX);
    let attributes = [
        ("name", string(&facts.name)),
        ("region", string(&facts.region)),
        ("reputation", RestrictedExpression::new_long(facts.reputation.into())),
        ("certificate_age_s", RestrictedExpression::new_long(age)),
        ("quarantined", RestrictedExpression::new_bool(facts.quarantined)),
        ("incident", string(&facts.incident)),
        ("trust_domain", string(&facts.trust_domain)),
        ("spiffe_id", string(&facts.spiffe_id)),
        ("federated", RestrictedExpression::new_bool(facts.federated)),
    ];
    let attributes = attributes.map(|(key, value)| (key.to_owned(), value));
    let parents = Some(&facts.region).filter(|region| !region.is_empty()).map(|region| schema::region(region));
    Entity::new(uid, attributes.into(), parents.into_iter().collect()).expect("BUG: each attribute is a plain value")
}
