//! `prunella config`: the configuration in force, and what of it may change while the node runs.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::Session;
use crate::api::{Request, Response};

/// What the user gives.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show each key with its value, where that comes from, and what a restart would change
    Show {
        /// Only keys that begin so, such as `probe`
        #[arg(value_name = "PREFIX")]
        prefix: Option<String>,
    },
    /// Set what may change while the node runs, until it is started anew: log.level
    Set {
        /// The key, with its section
        #[arg(value_name = "KEY")]
        key: String,
        /// The value
        #[arg(value_name = "VALUE")]
        value: String,
    },
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    match arguments.action {
        Action::Show { prefix } => {
            let doing = "show the configuration";
            let Response::Configuration { mut settings } = session.ask(doing, &Request::Configuration).await? else {
                return Ok(());
            };
            let prefix = prefix.unwrap_or_default();
            settings.retain(|setting| setting.key.starts_with(&prefix));
            session.output.show(&Response::Configuration { settings })
        }
        Action::Set { key, value } => {
            let doing = format!("set {key}");
            session.show(&doing, &Request::Configure { key, value }).await
        }
    }
}
