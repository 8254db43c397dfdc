//! What the node answers about its policy, and what an issuer does about everybody's.

use prunella_core::PeerId;
use prunella_core::limits::{POLICY_SET_BYTES_MAX, POLICY_SET_NAME_BYTES_MAX};
use prunella_core::policy::{Document, Source};

use super::answers::Answers;
use super::error::{Error, ErrorKind};
use super::vocabulary::{PolicyAsked, PolicyInfo, Response};
use crate::actors::shell::{RefusedDocument, Shell};
use crate::policy::request::About;
use crate::policy::{Facts, NodeFacts, PolicyFile, Request, Rule};
use crate::security::Statement;

impl Answers {
    /// The policy in force.
    pub(super) fn policy(&self) -> PolicyInfo {
        let policing = &self.shell().policing;
        let in_force = policing.in_force();
        let Document { version, source, name, .. } = &in_force.document;
        let rule = |rule: &Rule| format!("{}: {}", rule.name, one_line(&rule.text));
        PolicyInfo {
            source: name.clone(),
            is_of_mesh: *source == Source::Mesh,
            version: *version,
            digest: in_force.document.short_digest(),
            rules: in_force.engine.rules().iter().map(rule).collect(),
            limits: in_force.limits.sentences(),
            streams: policing.open_streams(),
            refused: policing.refused().as_ref().map(told_refused),
        }
    }

    pub(super) fn reload_policy(&self) -> Result<Response, Error> {
        let not_read = |reason| Error::new(ErrorKind::Configuration, format!("{reason}"));
        self.shell().reload_policy().map_err(not_read)?;
        Ok(Response::Done)
    }

    /// Says a policy to the whole mesh, if it is a good one.
    pub(super) fn set_policy(&self, name: String, text: String, version: Option<u64>) -> Result<Response, Error> {
        if name.is_empty() != text.is_empty() {
            let text = "a policy has a name and a text; without both, every node goes back to its own file";
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        if text.len() > POLICY_SET_BYTES_MAX || name.len() > POLICY_SET_NAME_BYTES_MAX {
            let text = format!(
                "{name} has {} bytes; a policy that is set for the whole mesh has at most {POLICY_SET_BYTES_MAX}, and \
                 its name {POLICY_SET_NAME_BYTES_MAX}: a longer one must be a file at each node",
                text.len()
            );
            return Err(Error::new(ErrorKind::OverLimit, text));
        }
        PolicyFile::of_bytes(text.as_bytes(), &name)
            .map_err(|refused| Error::new(ErrorKind::Configuration, refused.to_string()))?;
        let known = self.shell().policy_set().map_or(0, |document| document.version);
        let version = version.unwrap_or(known.saturating_add(1));
        if version <= known {
            let text = format!("version {version} is not newer than version {known}, which is set already");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        self.state(Statement::PolicySet { version, name, text: text.into_bytes() })
    }

    /// What the policy in force says to a request, and why.
    pub(super) fn explain_policy(&self, asked: &PolicyAsked) -> Result<Response, Error> {
        let invalid = |reason| Error::new(ErrorKind::InvalidInput, reason);
        let PolicyAsked { from, action, service, agent, command, flow, route, facts } = asked;
        let (service, agent, command) = (service.as_deref(), agent.as_deref(), command.as_deref());
        let about = About { service, agent, command, flow: flow.as_deref(), route: route.as_deref() };
        let shell = self.shell();
        let request = Request { from: self.find(from)?, action: action.on(about).map_err(invalid)? };
        let mut known = shell.node(&request.from);
        for (key, value) in facts {
            known.set(key, value).map_err(invalid)?;
        }
        let supposed = Supposed { shell, of: request.from, known };
        Ok(Response::PolicyExplained(shell.policing.in_force().engine.explain(&request, &supposed)))
    }
}

/// What the node knows, but of one node what is supposed of it.
struct Supposed<'a> {
    shell: &'a Shell,
    of: PeerId,
    known: NodeFacts,
}

impl Facts for Supposed<'_> {
    /// Nobody remembers what is asked here.
    fn generation(&self, about: &PeerId) -> u64 {
        self.shell.generation(about)
    }

    fn node(&self, about: &PeerId) -> NodeFacts {
        if *about == self.of { self.known.clone() } else { self.shell.node(about) }
    }
}

/// A refusal in a sentence.
pub(super) fn told_refused(refused: &RefusedDocument) -> String {
    let RefusedDocument { version, source, reason } = refused;
    match source {
        Source::Mesh => format!("version {version}, set for the whole mesh: {reason}"),
        Source::File => reason.clone(),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
