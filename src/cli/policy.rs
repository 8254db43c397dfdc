//! `prunella policy`: what is in force at a node and in the mesh, and why; and policy files without a running node.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::output::Output;
use super::render;
use super::session::Session;
use crate::api::policy::{ActionName, PolicyQuestion};
use crate::api::vocabulary::PolicyAsked;
use crate::api::{Error, ErrorKind, PeerId, Request, policy};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    /// Read the policy file again
    #[arg(long)]
    reload: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Clone, Debug, Subcommand)]
pub(super) enum Command {
    /// Show the policy in force: its rules, its limits, and what was refused since
    Show,
    /// Set a policy for the whole mesh: every node decides by it, whatever its own file says (issuers only)
    #[command(
        after_help = "The policy is checked first, signed, and told to every node; each of them compiles it, takes \
it if its version is higher than the one it has, and keeps it. It may be 6 KiB long."
    )]
    Set {
        /// The policy: plain in TOML or YAML, or Cedar, as the end of its name says
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Its version, higher than every one before [default: the next one]
        #[arg(long, value_name = "NUMBER")]
        version: Option<u64>,
    },
    /// Have every node of the mesh go back to its own policy file (issuers only)
    Unset,
    /// Say what a policy file holds, or where and why it is refused (exit code 1)
    #[command(arg = super::done_here())]
    Check(CheckArguments),
    /// Say what the policy in force, or that of a file, decides on a request, by which rules, and what was not satisfied
    Explain(ExplainArguments),
    /// Run the tests in a file, and say what differed (exit code 1)
    #[command(arg = super::done_here())]
    Test {
        /// The file with the tests: the policy itself, or one that names it by its key `policy`
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

#[derive(Clone, Debug, Args)]
pub(super) struct CheckArguments {
    /// The policy: plain in TOML or YAML, or Cedar, as the end of its name says
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print the rules in Cedar, as they are enforced
    #[arg(long)]
    cedar: bool,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = "Commands, by what they do:
  read    status vitals peers members reputation links gossip records record store tun kernel journal regions
          config log topology events paths cert cert-smoke actors actor services incidents incident ping trace shared-get
          shared-list policy policy-explain ledger ledger-export ledger-verify ledger-prove
  change  cert-rotate tell unexpose unforward shared-set shared-remove policy-reload config-set log-set trace-actor resume
  grave   cert-revoke cert-reinstate expose forward restart suspend down
  Never from afar, whatever a policy says: policy-set kill chaos connect")]
pub(super) struct ExplainArguments {
    /// The policy [default: the one in force at the running node]
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
    /// Who asks: a peer id; of a running node also a prefix of one, or a node's name
    #[arg(long, value_name = "NODE")]
    from: String,
    /// What it wants to do: relay, ping, connect, message, shell, command, flow, route or admit
    #[arg(long, value_name = "ACTION", value_parser = action)]
    action: ActionName,
    /// The service that it wants to connect to
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The agent that it has a message for
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// The flow of IP packets that it wants: tcp/22, udp/53, icmp; to a network behind the node tcp/22@fd00:20::5
    #[arg(long, value_name = "FLOW")]
    flow: Option<String>,
    /// The network that it announces: fd00:20::/64, 10.20.0.0/16
    #[arg(long, value_name = "PREFIX")]
    route: Option<String>,
    /// The command that it wants to give, by its name below
    #[arg(long, value_name = "NAME")]
    command: Option<String>,
    /// What is supposed of it; a running node knows the rest, without one it is as of a sound node: name, region, reputation (0 to 1), certificate_age_s, quarantined, incident, trust_domain, spiffe_id, federated
    #[arg(long = "fact", value_name = "KEY=VALUE", value_parser = fact)]
    facts: Vec<(String, String)>,
}

impl Arguments {
    /// What is asked for that needs no node, if that is asked for.
    pub(super) fn offline(&self) -> Option<&Command> {
        self.command.as_ref().filter(|command| match command {
            Command::Check(_) | Command::Test { .. } => true,
            Command::Explain(ExplainArguments { file, .. }) => file.is_some(),
            Command::Show | Command::Set { .. } | Command::Unset => false,
        })
    }
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    if let Some(command) = arguments.offline() {
        return offline(command, session.output);
    }
    match arguments {
        Arguments { command: Some(Command::Set { file, version }), .. } => set(&file, version, session).await,
        Arguments { command: Some(Command::Unset), .. } => {
            let request = Request::PolicySet { name: String::new(), text: String::new(), version: None };
            session.order("unset the policy", &request, "every node goes back to its own policy file\n").await
        }
        Arguments { command: Some(Command::Explain(asked)), .. } => {
            let ExplainArguments { from, action, service, agent, command, flow, route, facts, .. } = asked;
            let asked = PolicyAsked { from, action, service, agent, command, flow, route, facts };
            session.show("ask the policy", &Request::PolicyExplain(asked)).await
        }
        Arguments { reload: true, .. } => {
            session.order("read the policy again", &Request::PolicyReload, "the rules were read again\n").await
        }
        Arguments { .. } => session.show("show the policy", &Request::Policy).await,
    }
}

async fn set(file: &Path, version: Option<u64>, session: &mut Session<'_>) -> Result<(), Failure> {
    let failed = |error| Failure::new("set the policy", error);
    let text = policy::text(file).map_err(failed)?;
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let request = Request::PolicySet { name, text, version };
    session.order("set the policy", &request, "the policy is set for the whole mesh\n").await
}

/// What needs no running node.
pub(super) fn offline(command: &Command, output: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Check(CheckArguments { file, cedar }) => {
            let found = policy::check(file);
            let text = if *cedar { render::policy_as_cedar(&found) } else { render::policy_check(&found) };
            output.show_either(&found, &text)?;
            if found.refused.is_none() { Ok(()) } else { Err(Failure::Told) }
        }
        Command::Explain(ExplainArguments {
            file: Some(file),
            from,
            action,
            service,
            agent,
            command,
            flow,
            route,
            facts,
        }) => {
            let wrong = |_| Error::new(ErrorKind::InvalidInput, format!("{from:?} is not a peer id"));
            let from: PeerId = from.parse().map_err(|error| Failure::new("ask the policy", wrong(error)))?;
            let question = PolicyQuestion {
                from,
                action: *action,
                service: service.clone(),
                agent: agent.clone(),
                flow: flow.clone(),
                route: route.clone(),
                command: command.clone(),
                facts: facts.clone(),
            };
            let explained = policy::explain(file, &question).map_err(|error| Failure::new("ask the policy", error))?;
            output.show_either(&explained, &render::policy_explanation(&explained))
        }
        Command::Test { file } => {
            let report = policy::test(file).map_err(|error| Failure::new("test the policy", error))?;
            output.show_either(&report, &render::policy_test(&report))?;
            if report.differences.is_empty() { Ok(()) } else { Err(Failure::Told) }
        }
        Command::Show | Command::Set { .. } | Command::Unset | Command::Explain(_) => {
            unreachable!("BUG: a running node is asked for it")
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Args;

    use super::*;
    use crate::api::policy;

    #[test]
    fn the_help_lists_every_command_under_what_it_does() {
        let help = ExplainArguments::augment_args(clap::Command::new("explain")).get_after_help().unwrap().to_string();
        let (mut listed, mut kind) = (BTreeMap::new(), "");
        for word in help
            .split_once(':')
            .unwrap()
            .1
            .replace("Never from afar, whatever a policy says:", "never")
            .split_whitespace()
        {
            match word {
                "read" | "change" | "grave" => {
                    kind = ["read", "change", "grave"].into_iter().find(|k| *k == word).unwrap()
                }
                "never" => kind = "never",
                name => assert_eq!(listed.insert(name.to_owned(), kind), None, "{name} is listed twice"),
            }
        }
        let known = policy::Command::ALL.map(|command| {
            (command.name().to_owned(), command.from_afar().map_or("never", policy::CommandKind::as_str))
        });
        assert_eq!(listed, known.into());
    }
}
