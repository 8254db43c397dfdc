//! Why a verdict is what it is: the rules that led to it, and what those that came near lacked.

use cedar_policy::{Policy, PolicyId, PolicySet};
use prunella_core::limits::NEAR_RULES_MAX;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::engine::{Engine, Question, RuleRef, Verdict};
use super::facts::{Facts, NodeFacts};
use super::policy_file::Rule;
use super::request::Request;

/// A verdict with everything that it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The verdict.
    pub verdict: Verdict,
    /// What the rules say that led to it, in the verdict's order.
    pub said: Vec<String>,
    /// If nothing allows it: the rules that would allow this action if more were so; the nearest first.
    pub near: Vec<NearRule>,
    /// How many such rules there are beyond these.
    pub more: usize,
    /// What was known of whoever asked.
    pub facts: NodeFacts,
}

/// A rule that would allow it, and what is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NearRule {
    /// The rule.
    pub rule: RuleRef,
    /// What it says.
    pub text: String,
    /// What is not so, in Cedar; never empty.
    pub unsatisfied: Vec<String>,
}

impl Engine {
    /// Decides as [`Engine::judge`] does, and says why.
    pub fn explain(&self, request: &Request<'_>, facts: &dyn Facts) -> Explanation {
        let verdict = self.judge(request, facts);
        let question = self.question(request, facts);
        let led = |rule: &&Rule| verdict.rules.iter().any(|led| led.name == rule.name);
        let said = self.rules().iter().filter(led).map(|rule| rule.text.clone()).collect();
        let mut near = Vec::new();
        if verdict.rules.is_empty() {
            let about = |rule: &&Rule| rule.allows && rule.scope.actions.contains(&request.action.name());
            near.extend(self.rules().iter().filter(about).map(|rule| self.near(rule, &question)));
        }
        near.sort_by_key(|near| near.unsatisfied.len());
        let more = near.len().saturating_sub(NEAR_RULES_MAX);
        near.truncate(NEAR_RULES_MAX);
        Explanation { verdict, said, near, more, facts: question.from }
    }

    fn near(&self, rule: &Rule, question: &Question) -> NearRule {
        let parts = rule.policy.to_json().map(|policy| parts(&policy)).unwrap_or_default();
        let unsatisfied = parts.iter().filter(|part| !self.holds(part, question)).map(Part::text).collect();
        NearRule { rule: rule.named(), text: rule.text.clone(), unsatisfied }
    }

    /// Whether a part alone is satisfied. One that cannot be evaluated alone, as it rests on another part, is not.
    fn holds(&self, part: &Part, question: &Question) -> bool {
        let Ok(set) = PolicySet::from_policies([part.policy.clone()]) else { return false };
        self.answer(question, std::iter::once(&set)).allowed
    }
}

/// One requirement of a policy, as a policy of its own.
struct Part {
    of: &'static str,
    policy: Policy,
}

/// What a policy requires, each as a policy that requires nothing else. The action is not among them.
fn parts(policy: &Value) -> Vec<Part> {
    let part = |of: &'static str, constraint: &Value| {
        let mut alone = json!({
            "effect": "permit",
            "principal": { "op": "All" },
            "action": { "op": "All" },
            "resource": { "op": "All" },
            "conditions": [],
        });
        alone[of] = constraint.clone();
        // The number of the first rule: whatever it is, the part allows.
        let policy = Policy::from_json(Some(PolicyId::new("0")), alone).ok()?;
        Some(Part { of, policy })
    };
    let scopes = ["principal", "resource"].into_iter().filter(|of| policy[of]["op"] != "All");
    let mut parts: Vec<Part> = scopes.filter_map(|of| part(of, &policy[of])).collect();
    for condition in policy["conditions"].as_array().into_iter().flatten() {
        let bodies = if condition["kind"] == "when" { conjuncts(&condition["body"]) } else { vec![&condition["body"]] };
        let alone = bodies.into_iter().map(|body| json!([{ "kind": condition["kind"], "body": body }]));
        parts.extend(alone.filter_map(|alone| part("conditions", &alone)));
    }
    parts
}

/// The operands of the conjunctions at the top of an expression, in their order.
fn conjuncts(body: &Value) -> Vec<&Value> {
    let (mut left, mut found) = (vec![body], Vec::new());
    while let Some(body) = left.pop() {
        match body.get("&&") {
            Some(both) => left.extend([&both["right"], &both["left"]]),
            None => found.push(body),
        }
    }
    found
}

impl Part {
    /// What is required, in Cedar.
    fn text(&self) -> String {
        let text = self.policy.to_cedar().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let inside = match self.of {
            "principal" => text.split_once('(').and_then(|(_, rest)| rest.rsplit_once(", action, resource")),
            "resource" => text.split_once("principal, action, ").and_then(|(_, rest)| rest.rsplit_once(')')),
            _ => {
                text.split_once(" when {").or(text.split_once(" unless {")).and_then(|(_, rest)| rest.rsplit_once('}'))
            }
        };
        let shown = inside.map_or(text.as_str(), |(inside, _)| inside).trim();
        if text.contains(" unless {") { format!("not ({shown})") } else { unfolded(shown) }
    }
}

/// `a > b` where Cedar, which keeps only two of the four comparisons, says `!(a <= b)`.
fn unfolded(text: &str) -> String {
    let inner = text.strip_prefix("!(").and_then(|rest| rest.strip_suffix(')'));
    let Some(inner) = inner.filter(|inner| !inner.contains(['(', '&', '|', '"'])) else { return text.to_owned() };
    let turned = [(" <= ", ">"), (" < ", ">=")].into_iter().find_map(|(folded, sign)| {
        let (left, right) = inner.split_once(folded)?;
        Some(format!("{left} {sign} {right}"))
    });
    turned.unwrap_or_else(|| text.to_owned())
}
