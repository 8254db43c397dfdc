//! `prunella policy`: the rules in force, or reading them again; and policy files without a running node.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::Output;
use super::render;
use super::session::Session;
use crate::api::policy::{ActionName, PolicyQuestion};
use crate::api::{PeerId, Request, policy};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    /// Read the policy file again
    #[arg(long)]
    reload: bool,
    #[command(subcommand)]
    offline: Option<Offline>,
}

/// What needs no running node.
#[derive(Debug, Subcommand)]
pub(super) enum Offline {
    /// Say what a policy file holds, or where and why it is refused (exit code 1)
    Check(CheckArguments),
    /// Say what a policy file decides on a request, by which rules, and what was not satisfied
    Explain(ExplainArguments),
    /// Run the tests in a file, and say what differed (exit code 1)
    Test {
        /// The file with the tests: the policy itself, or one that names it by its key `policy`
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct CheckArguments {
    /// The policy: plain in TOML or YAML, or Cedar, as the end of its name says
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the rules in Cedar, as they are enforced
    #[arg(long)]
    cedar: bool,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArguments {
    /// The policy
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Who asks: a peer id
    #[arg(long, value_name = "NODE")]
    from: PeerId,
    /// What it wants to do: relay, ping, connect, message, shell, command or admit
    #[arg(long, value_name = "ACTION", value_parser = action)]
    action: ActionName,
    /// The service that it wants to connect to
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The agent that it has a message for
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// The command that it wants to run
    #[arg(long, value_name = "NAME")]
    command: Option<String>,
    /// What is known of it: name, region, reputation (0 to 1), certificate_age_s, quarantined, incident, trust_domain
    #[arg(long = "fact", value_name = "KEY=VALUE", value_parser = fact)]
    facts: Vec<(String, String)>,
}

impl Arguments {
    /// What is asked for that needs no node, if that is asked for.
    pub(super) fn offline(&self) -> Option<&Offline> {
        self.offline.as_ref()
    }
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    match arguments {
        Arguments { offline: Some(command), .. } => offline(&command, session.output),
        Arguments { reload: true, .. } => {
            session.order("read the policy again", &Request::PolicyReload, "the rules were read again\n").await
        }
        Arguments { .. } => session.show("show the policy", &Request::Policy).await,
    }
}

/// What needs no running node.
pub(super) fn offline(command: &Offline, output: &mut Output) -> Result<(), Failure> {
    match command {
        Offline::Check(CheckArguments { file, cedar }) => {
            let found = policy::check(file);
            let text = if *cedar { render::policy_as_cedar(&found) } else { render::policy_check(&found) };
            output.show_either(&found, &text)?;
            if found.refused.is_none() { Ok(()) } else { Err(Failure::Told) }
        }
        Offline::Explain(ExplainArguments { file, from, action, service, agent, command, facts }) => {
            let question = PolicyQuestion {
                from: *from,
                action: *action,
                service: service.clone(),
                agent: agent.clone(),
                command: command.clone(),
                facts: facts.clone(),
            };
            let explained = policy::explain(file, &question).map_err(|error| Failure::new("ask the policy", error))?;
            output.show_either(&explained, &render::policy_explanation(&explained))
        }
        Offline::Test { file } => {
            let report = policy::test(file).map_err(|error| Failure::new("test the policy", error))?;
            output.show_either(&report, &render::policy_test(&report))?;
            if report.differences.is_empty() { Ok(()) } else { Err(Failure::Told) }
        }
    }
}

fn action(text: &str) -> Result<ActionName, String> {
    let known = ActionName::ALL.map(ActionName::as_str);
    let found = ActionName::ALL.into_iter().find(|name| name.as_str() == text);
    found.ok_or_else(|| format!("there is no such action; there are {}", known.join(", ")))
}

fn fact(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| "write it as KEY=VALUE".to_owned())?;
    Ok((key.to_owned(), value.to_owned()))
}
