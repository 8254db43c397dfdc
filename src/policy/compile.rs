//! Plain rules as Cedar: one rule becomes one policy, and a sentence for people.

use std::collections::BTreeSet;
use std::fmt::Display;

use cedar_policy::EntityUid;
use prunella_core::PeerId;

use super::command::CommandKind;
use super::request::{ANY, ActionName, FlowName, flow_name};
use super::schema;
use super::scope::{Scope, What, Who};

/// A plain rule that was checked.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlainRule {
    /// Its name.
    pub(super) name: String,
    /// Whether it allows; otherwise it denies.
    pub(super) allows: bool,
    /// Whom it is about; `None`: every member.
    pub(super) nodes: Option<BTreeSet<PeerId>>,
    /// What they want to do.
    pub(super) action: ActionName,
    /// Services, commands, flows or networks; empty: all, of flows all to this node itself.
    pub(super) names: BTreeSet<String>,
    /// Kinds of commands; empty: see [`PlainRule::kinds_meant`].
    pub(super) kinds: BTreeSet<CommandKind>,
    /// What must be so as well.
    pub(super) conditions: Vec<Condition>,
}

/// What must be so of whoever asks.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Condition {
    /// It names one of these regions.
    Region(Vec<String>),
    /// It was admitted on the word of one of these trust domains.
    TrustDomain(Vec<String>),
    /// It was admitted as one of these workloads.
    SpiffeId(Vec<String>),
    /// Whether it was admitted on the word of another trust domain than the mesh's own.
    Federated(bool),
    /// The worst open incident about it is of one of these kinds.
    Incident(Vec<String>),
    /// Whether it is in quarantine.
    Quarantined(bool),
    /// It is believed less than this, in thousandths.
    ReputationBelow(u16),
    /// It is believed more than this, in thousandths.
    ReputationAbove(u16),
    /// Its certificate was issued more seconds ago than this.
    CertificateOlder(u64),
}

impl PlainRule {
    /// The rule as a Cedar policy. Names stand in it as string literals with everything escaped that could end one.
    pub(super) fn to_cedar(&self) -> String {
        let effect = if self.allows { "permit" } else { "forbid" };
        let nodes: Vec<EntityUid> = self.nodes.iter().flatten().map(|peer| schema::node(&peer.to_string())).collect();
        let services: Vec<EntityUid> = match self.action {
            ActionName::Connect => self.names.iter().map(|name| schema::service(name)).collect(),
            _ => Vec::new(),
        };
        let head = |word: &str, of: &[EntityUid]| match of {
            [one] => format!("{word} == {one}"),
            _ => word.to_owned(),
        };
        let mut text = format!(
            "@name({})\n{effect} (\n  {},\n  action == {},\n  {}\n)",
            quoted(&self.name),
            head("principal", &nodes),
            schema::action(self.action.as_str()),
            head("resource", &services),
        );
        let mut conditions = Vec::new();
        if nodes.len() > 1 {
            conditions.push(format!("[{}].contains(principal)", list(&nodes)));
        }
        if services.len() > 1 {
            conditions.push(format!("[{}].contains(resource)", list(&services)));
        }
        if self.action == ActionName::Command && !self.names.is_empty() {
            let names: Vec<String> = self.names.iter().map(|name| quoted(name)).collect();
            conditions.push(format!("[{}].contains(context.command)", list(&names)));
        }
        if self.action == ActionName::Flow && !self.names.is_empty() {
            let flows: Vec<String> = self.names.iter().map(|name| flow_to_cedar(name, self.allows)).collect();
            conditions.push(flows.join(" || "));
        } else if self.action == ActionName::Flow && self.allows {
            // As with names: networks behind this node are never allowed in passing.
            conditions.push(TO_THIS_NODE.to_owned());
        }
        if self.action == ActionName::Route && !self.names.is_empty() {
            let within: Vec<String> = self.names.iter().map(|name| within("context.prefix", name)).collect();
            conditions.push(within.join(" || "));
        }
        let kinds: Vec<String> = self.kinds_meant().iter().map(|kind| quoted(kind.as_str())).collect();
        if !kinds.is_empty() {
            conditions.push(format!("[{}].contains(context.kind)", list(&kinds)));
        }
        conditions.extend(self.conditions.iter().map(Condition::to_cedar));
        // Nothing crosses unless a rule says so by name: whoever allows something to everybody means the mesh's own.
        if self.allows && self.nodes.is_none() && !self.conditions.iter().any(Condition::is_about_origin) {
            conditions.push(Condition::Federated(false).to_cedar());
        }
        conditions.iter().for_each(|condition| text += &format!("\nwhen {{ {condition} }}"));
        text + ";"
    }

    /// The kinds of commands that it is about; empty: the kind does not matter. Nothing grave is allowed in passing, whereas
    /// what denies without a name denies all.
    fn kinds_meant(&self) -> BTreeSet<CommandKind> {
        let in_passing = self.action == ActionName::Command && self.allows && self.names.is_empty();
        if in_passing && self.kinds.is_empty() {
            [CommandKind::Read, CommandKind::Change].into()
        } else {
            self.kinds.clone()
        }
    }

    /// Which requests it can be about: more than the head of its policy tells.
    pub(super) fn scope(&self) -> Scope {
        let regions = self.conditions.iter().find_map(|condition| match condition {
            Condition::Region(names) => Some(names.clone()),
            _ => None,
        });
        let who = match (&self.nodes, regions) {
            (Some(nodes), _) => Who::Nodes(nodes.iter().copied().collect()),
            (None, Some(regions)) => Who::Regions(regions),
            (None, None) => Who::Anybody,
        };
        let names: Vec<String> = self.names.iter().cloned().collect();
        // A protocol alone means all of its ports, which have names of their own; a network means all within it.
        let is_named = !names.is_empty() && !matches!(self.action, ActionName::Flow | ActionName::Route);
        let what = if is_named { What::Named(names) } else { What::Anything };
        Scope { actions: vec![self.action], who, what }
    }

    /// The rule as a sentence.
    pub(super) fn sentence(&self) -> String {
        let effect = if self.allows { "allow" } else { "deny" };
        let from = match &self.nodes {
            None => "every member".to_owned(),
            Some(nodes) => nodes.iter().map(PeerId::short).collect::<Vec<_>>().join(", "),
        };
        let mut text = format!("{effect} {from} to {}", self.action);
        if !self.names.is_empty() {
            let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
            text += match self.action {
                ActionName::Connect => " to ",
                ActionName::Flow => " by ",
                _ => " ",
            };
            text += &names.join(", ");
        }
        if self.names.is_empty() && self.action == ActionName::Flow && self.allows {
            text += " to this node itself";
        }
        let kinds: Vec<&str> = self.kinds_meant().into_iter().map(CommandKind::sentence).collect();
        if !kinds.is_empty() {
            text += &format!(" what {}", kinds.join(" or "));
        }
        for (number, condition) in self.conditions.iter().enumerate() {
            text += if number == 0 { " if " } else { " and " };
            text += &condition.sentence();
        }
        text
    }
}

impl Condition {
    /// Whether it says on whose word a node was admitted.
    fn is_about_origin(&self) -> bool {
        matches!(self, Condition::TrustDomain(_) | Condition::SpiffeId(_) | Condition::Federated(_))
    }

    fn to_cedar(&self) -> String {
        let one_of = |values: &[String], attribute: &str| {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            format!("[{}].contains(principal.{attribute})", list(&values))
        };
        match self {
            Condition::Region(names) => one_of(names, "region"),
            Condition::TrustDomain(names) => one_of(names, "trust_domain"),
            Condition::SpiffeId(ids) => one_of(ids, "spiffe_id"),
            Condition::Federated(true) => "principal.federated".to_owned(),
            Condition::Federated(false) => "!principal.federated".to_owned(),
            Condition::Incident(kinds) => one_of(kinds, "incident"),
            Condition::Quarantined(true) => "principal.quarantined".to_owned(),
            Condition::Quarantined(false) => "!principal.quarantined".to_owned(),
            Condition::ReputationBelow(permille) => format!("principal.reputation < {permille}"),
            Condition::ReputationAbove(permille) => format!("principal.reputation > {permille}"),
            Condition::CertificateOlder(seconds) => format!("principal.certificate_age_s > {seconds}"),
        }
    }

    fn sentence(&self) -> String {
        let one_of = |values: &[String]| values.iter().map(|value| quoted(value)).collect::<Vec<_>>().join(" or ");
        match self {
            Condition::Region(names) => format!("its region is {}", one_of(names)),
            Condition::TrustDomain(names) => format!("its trust domain is {}", one_of(names)),
            Condition::SpiffeId(ids) => format!("its SPIFFE ID is {}", one_of(ids)),
            Condition::Federated(true) => "it comes from another trust domain".to_owned(),
            Condition::Federated(false) => "it comes from no other trust domain".to_owned(),
            Condition::Incident(kinds) => format!("the worst incident about it is {}", one_of(kinds)),
            Condition::Quarantined(true) => "it is in quarantine".to_owned(),
            Condition::Quarantined(false) => "it is not in quarantine".to_owned(),
            Condition::ReputationBelow(permille) => format!("its reputation is below {}", share(*permille)),
            Condition::ReputationAbove(permille) => format!("its reputation is above {}", share(*permille)),
            Condition::CertificateOlder(seconds) => format!("its certificate is older than {seconds} s"),
        }
    }
}

/// What a flow's name means, as Cedar: it was checked. A rule that denies what goes to this node denies what goes on from
/// it as well.
fn flow_to_cedar(name: &str, allows: bool) -> String {
    let Some(FlowName { protocol, port, beyond }) = flow_name(name) else { return "false".to_owned() };
    let of_protocol = (protocol != ANY).then(|| format!("context.protocol == {}", quoted(protocol)));
    let to_port = port.map(|port| format!("context.port == {port}"));
    let beyond = match beyond {
        Some(prefix) => {
            Some(format!("context has destination && {}", within("context.destination", &prefix.to_string())))
        }
        None => allows.then(|| TO_THIS_NODE.to_owned()),
    };
    let all: Vec<String> = [of_protocol, to_port, beyond].into_iter().flatten().collect();
    format!("({})", all.join(" && "))
}

fn within(what: &str, prefix: &str) -> String {
    format!("{what}.isInRange(ip({}))", quoted(prefix))
}

/// What a flow must be that goes to nothing behind this node.
const TO_THIS_NODE: &str = "!(context has destination)";

/// A string literal of Cedar.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.escape_debug())
}

/// Thousandths as a share of one.
fn share(permille: u16) -> f64 {
    f64::from(permille) / 1000.0
}

fn list<T: Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
