//! Which requests a rule can be about at all: what the index sorts rules by.

use cedar_policy::{ActionConstraint, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use prunella_core::PeerId;

use super::request::ActionName;

/// A bound on the requests that a rule can be satisfied by. It may be too wide, and is never too narrow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    /// Of which actions.
    pub(super) actions: Vec<ActionName>,
    /// Of whom.
    pub(super) who: Who,
    /// About what.
    pub(super) what: What,
}

/// Whom a rule can be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Anybody.
    Anybody,
    /// These nodes.
    Nodes(Vec<PeerId>),
    /// Nodes of these regions.
    Regions(Vec<String>),
}

/// What a rule can be about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// Anything.
    Anything,
    /// A service, agent or command of one of these names.
    Named(Vec<String>),
}

impl Scope {
    /// What the head of a Cedar policy says; its conditions may say more.
    pub(super) fn of(policy: &Policy) -> Self {
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => ActionName::ALL.to_vec(),
            ActionConstraint::In(actions) => actions.iter().filter_map(action).collect(),
            ActionConstraint::Eq(of) => action(&of).into_iter().collect(),
        };
        let who = match policy.principal_constraint() {
            PrincipalConstraint::Any | PrincipalConstraint::Is(_) => Who::Anybody,
            PrincipalConstraint::Eq(of) | PrincipalConstraint::In(of) | PrincipalConstraint::IsIn(_, of) => who(&of),
        };
        let what = match policy.resource_constraint() {
            ResourceConstraint::Eq(of) if matches!(of.type_name().basename(), "Service" | "Agent") => {
                What::Named(vec![of.id().unescaped().to_owned()])
            }
            _ => What::Anything,
        };
        Self { actions, who, what }
    }
}

/// A node has nothing below it, so to be in a node is to be that node.
fn who(of: &EntityUid) -> Who {
    let id = of.id().unescaped();
    match of.type_name().basename() {
        "Node" => id.parse().map_or(Who::Anybody, |peer| Who::Nodes(vec![peer])),
        "Region" => Who::Regions(vec![id.to_owned()]),
        _ => Who::Anybody,
    }
}

fn action(of: &EntityUid) -> Option<ActionName> {
    ActionName::ALL.into_iter().find(|name| name.as_str() == of.id().unescaped())
}
