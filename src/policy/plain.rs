//! The plain file, in TOML or YAML: rules of allow and deny, limits, tests, and Cedar where that is not enough.

use std::collections::BTreeSet;

use prunella_core::PeerId;
use prunella_core::limits::REGION_BYTES_MAX;
use prunella_core::record::is_service_name;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::case::WrittenCase;
use super::command::{Command, CommandKind};
use super::compile::{Condition, PlainRule};
use super::facts::permille;
use super::limits::WrittenLimits;
use super::refused::{Refused, Source};
use super::request::{ActionName, check_flow_name, check_prefix};

/// A plain file as it is written, each of its parts with the offset at which it begins.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) rules: Vec<(usize, WrittenRule)>,
    pub(super) limits: Option<(usize, WrittenLimits)>,
    pub(super) tests: Vec<(usize, WrittenCase)>,
    /// Policies in Cedar, beside the rules.
    pub(super) cedar: Option<(usize, String)>,
    /// The policy that the tests are about, if it is in another file.
    pub(super) policy: Option<String>,
}

/// One rule.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenRule {
    name: Option<String>,
    effect: Effect,
    from: Vec<String>,
    action: ActionName,
    #[serde(default)]
    service: Vec<String>,
    #[serde(default)]
    command: Vec<String>,
    kind: Option<Vec<CommandKind>>,
    #[serde(default)]
    flow: Vec<String>,
    #[serde(default)]
    route: Vec<String>,
    region: Option<Vec<String>>,
    trust_domain: Option<Vec<String>>,
    spiffe_id: Option<Vec<String>>,
    federated: Option<bool>,
    incident: Option<Vec<String>>,
    quarantined: Option<bool>,
    reputation_below: Option<f64>,
    reputation_above: Option<f64>,
    certificate_older_than_s: Option<u64>,
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Effect {
    Allow,
    Deny,
}

/// Reads a plain file in TOML.
pub(super) fn toml(source: Source<'_>) -> Result<Written, Refused> {
    let file: File<Toml> = toml::from_str(source.text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        source.refuse(at, error.message().lines().next().unwrap_or_default())
    })?;
    Ok(file.place(|written: &toml::Spanned<()>| written.span().start))
}

/// Reads a plain file in YAML. Anchors, aliases and merge keys are refused: nothing in a policy is to be found elsewhere.
pub(super) fn yaml(source: Source<'_>) -> Result<Written, Refused> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_aliases: 0, max_anchors: 0, max_merge_keys: 0, max_documents: 1, max_depth: 16 },
    };
    let offset = |at: serde_saphyr::Location| source.offset(at.line() as usize, at.column() as usize);
    let file: File<Yaml> = serde_saphyr::from_str_with_options(source.text, options).map_err(|error| {
        let bare = error.without_snippet();
        let reason = bare.to_string();
        let reason = reason.lines().next().unwrap_or_default();
        // The place is told before the reason already.
        let reason = reason.rsplit_once(" at line ").map_or(reason, |(reason, _)| reason);
        source.refuse(bare.location().map_or(0, offset), reason)
    })?;
    Ok(file.place(|written: &serde_saphyr::Spanned<()>| offset(written.referenced)))
}

impl WrittenRule {
    /// The rule, or the key that is wrong and why. `number` is its place in the file, from 1.
    pub(super) fn check(self, number: usize) -> Result<PlainRule, (&'static str, String)> {
        if self.from.is_empty() {
            return Err(("from", "it names nobody; write [\"*\"] for every member".to_owned()));
        }
        if self.action != ActionName::Connect && !self.service.is_empty() {
            return Err(("service", "only the action \"connect\" is about services".to_owned()));
        }
        self.check_commands()?;
        self.check_flows()?;
        self.check_routes()?;
        if let Some(bad) = self.service.iter().find(|name| !is_service_name(name)) {
            return Err(("service", format!("{bad:?} cannot be a service's name (a-z, 0-9 and the hyphen)")));
        }
        let conditions = self.conditions()?;
        let name = self.name.unwrap_or_else(|| format!("rule {number}"));
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(("name", format!("it must be 1 to {NAME_BYTES_MAX} bytes long")));
        }
        Ok(PlainRule {
            name,
            allows: self.effect == Effect::Allow,
            nodes: nodes(&self.from)?,
            action: self.action,
            names: self.service.into_iter().chain(self.command).chain(self.flow).chain(self.route).collect(),
            kinds: self.kind.into_iter().flatten().collect(),
            conditions,
        })
    }

    /// A rule about a command that is not there, or that nobody gives from afar, would be about nothing, without a word.
    fn check_commands(&self) -> Result<(), (&'static str, String)> {
        if self.action != ActionName::Command && !self.command.is_empty() {
            return Err(("command", "only the action \"command\" is about commands".to_owned()));
        }
        self.command
            .iter()
            .try_for_each(|name| Command::find_from_afar(name).map(drop))
            .map_err(|why| ("command", why))?;
        let reason = match &self.kind {
            Some(_) if self.action != ActionName::Command => "only the action \"command\" is about commands",
            Some(_) if !self.command.is_empty() => "commands are named, or meant by their kind: not both",
            Some(kinds) if kinds.is_empty() => "it must name something; leave it out if it does not matter",
            _ => return Ok(()),
        };
        Err(("kind", reason.to_owned()))
    }

    fn check_flows(&self) -> Result<(), (&'static str, String)> {
        if self.action != ActionName::Flow && !self.flow.is_empty() {
            return Err(("flow", "only the action \"flow\" is about flows".to_owned()));
        }
        self.flow.iter().try_for_each(|name| check_flow_name(name)).map_err(|why| ("flow", why))
    }

    fn check_routes(&self) -> Result<(), (&'static str, String)> {
        if self.action != ActionName::Route && !self.route.is_empty() {
            return Err(("route", "only the action \"route\" is about networks".to_owned()));
        }
        self.route.iter().try_for_each(|prefix| check_prefix(prefix)).map_err(|why| ("route", why))
    }

    fn conditions(&self) -> Result<Vec<Condition>, (&'static str, String)> {
        let permille = |key, share: f64| permille(&share.to_string()).map_err(|reason| (key, reason));
        let mut all = Vec::new();
        for (key, values) in [
            ("region", &self.region),
            ("trust_domain", &self.trust_domain),
            ("spiffe_id", &self.spiffe_id),
            ("incident", &self.incident),
        ] {
            let Some(values) = values else { continue };
            if values.is_empty() || values.iter().any(String::is_empty) {
                return Err((key, "it must name something; leave it out if it does not matter".to_owned()));
            }
            if key == "region" && values.iter().any(|region| region.len() > REGION_BYTES_MAX) {
                return Err((key, format!("no region's name is longer than {REGION_BYTES_MAX} bytes")));
            }
            all.push(match key {
                "region" => Condition::Region(values.clone()),
                "trust_domain" => Condition::TrustDomain(values.clone()),
                "spiffe_id" => Condition::SpiffeId(values.clone()),
                _ => Condition::Incident(values.clone()),
            });
        }
        all.extend(self.federated.map(Condition::Federated));
        all.extend(self.quarantined.map(Condition::Quarantined));
        if let Some(share) = self.reputation_below {
            all.push(Condition::ReputationBelow(permille("reputation_below", share)?));
        }
        if let Some(share) = self.reputation_above {
            all.push(Condition::ReputationAbove(permille("reputation_above", share)?));
        }
        match self.certificate_older_than_s {
            Some(seconds) if i64::try_from(seconds).is_err() => {
                return Err(("certificate_older_than_s", "it is too large".to_owned()));
            }
            seconds => all.extend(seconds.map(Condition::CertificateOlder)),
        }
        Ok(all)
    }
}

/// Names are what nodes say of themselves, so no rule may rest on one: a peer id is the only way to mean a node.
fn nodes(from: &[String]) -> Result<Option<BTreeSet<PeerId>>, (&'static str, String)> {
    if from == ["*"] {
        return Ok(None);
    }
    let peer = |text: &String| {
        let reason =
            "is not a peer id; a rule names nodes by peer id (see `prunella peers`), or everybody by \"*\" alone";
        text.parse().map_err(|_| ("from", format!("{text:?} {reason}")))
    };
    from.iter().map(peer).collect::<Result<BTreeSet<_>, _>>().map(Some)
}

/// Longest name of a rule, in bytes.
const NAME_BYTES_MAX: usize = 128;

/// A format that tells where its values stand.
trait Format {
    type At<T: DeserializeOwned>: DeserializeOwned;

    /// Takes a value apart into where it stands and what it is.
    fn part<T: DeserializeOwned>(at: Self::At<T>) -> (Self::At<()>, T);
}

struct Toml;

impl Format for Toml {
    type At<T: DeserializeOwned> = toml::Spanned<T>;

    fn part<T: DeserializeOwned>(at: Self::At<T>) -> (Self::At<()>, T) {
        (toml::Spanned::new(at.span(), ()), at.into_inner())
    }
}

struct Yaml;

impl Format for Yaml {
    type At<T: DeserializeOwned> = serde_saphyr::Spanned<T>;

    fn part<T: DeserializeOwned>(at: Self::At<T>) -> (Self::At<()>, T) {
        (serde_saphyr::Spanned::new((), at.referenced, at.defined), at.value)
    }
}

/// The whole file, in either format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, bound = "F: Format")]
struct File<F: Format> {
    #[serde(default = "Vec::new")]
    rule: Vec<F::At<WrittenRule>>,
    #[serde(default = "none")]
    limits: Option<F::At<WrittenLimits>>,
    #[serde(default = "Vec::new")]
    test: Vec<F::At<WrittenCase>>,
    #[serde(default = "none")]
    cedar: Option<F::At<String>>,
    policy: Option<String>,
}

impl<F: Format> File<F> {
    fn place(self, offset: impl Fn(&F::At<()>) -> usize) -> Written {
        fn split<F: Format, T: DeserializeOwned>(at: F::At<T>, offset: impl Fn(&F::At<()>) -> usize) -> (usize, T) {
            let (place, value) = F::part(at);
            (offset(&place), value)
        }
        Written {
            rules: self.rule.into_iter().map(|rule| split::<F, _>(rule, &offset)).collect(),
            limits: self.limits.map(|limits| split::<F, _>(limits, &offset)),
            tests: self.test.into_iter().map(|test| split::<F, _>(test, &offset)).collect(),
            cedar: self.cedar.map(|cedar| split::<F, _>(cedar, &offset)),
            policy: self.policy,
        }
    }
}

fn none<T>() -> Option<T> {
    None
}
