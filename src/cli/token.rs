//! `prunella token`: tokens of the HTTP API.

use std::path::Path;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::failure::{Failure, complain};
use super::output::{Output, unix_ms_now};
use super::{parse, render};
use crate::api::tokens::{self, Scope};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  prunella token create ops --scope read --scope change --expires 30d
  curl -H \"Authorization: Bearer $TOKEN\" http://127.0.0.1:9090/v1/status
  prunella token revoke ops

Scopes are the kinds of commands, as `prunella policy explain --help` lists them: read, change, grave.
A running node knows of each change at once. It keeps digests only: a token is shown once.")]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a token and print it
    Create {
        /// By which name it goes in the ledger and in lists
        #[arg(value_name = "NAME")]
        name: String,
        /// What it allows; may be given more than once
        #[arg(long, value_name = "SCOPE", default_value = "read", value_parser = scope)]
        scope: Vec<Scope>,
        /// How long it is good: 15m, 1h, 30d, or never
        #[arg(long, value_name = "TIME", default_value = "30d", value_parser = life)]
        expires: Life,
    },
    /// List the tokens
    List,
    /// End a token
    Revoke {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
    },
}

/// How long a token is good; `None`: for ever.
#[derive(Clone, Copy, Debug)]
struct Life(Option<Duration>);

pub(super) fn run(arguments: Arguments, dir: &Path, output: &mut Output) -> Result<(), Failure> {
    match arguments.action {
        Action::Create { name, scope, expires } => {
            let made = tokens::create(dir, &name, &scope, expires.0, unix_ms_now() / 1000);
            let token = made.map_err(|error| Failure::new("make a token", error))?;
            output.show_either(&serde_json::json!({ "name": name, "token": token }), &format!("{token}\n"))?;
            output.flush()?;
            if output.is_terminal() && !output.is_json() {
                complain("This is the only time that it is shown. Whoever has it may do what its scopes allow.");
            }
            Ok(())
        }
        Action::List => {
            let tokens = tokens::list(dir).map_err(|error| Failure::new("list the tokens", error))?;
            output.show_either(&tokens, &render::tokens(&tokens, unix_ms_now()))
        }
        Action::Revoke { name } => {
            tokens::revoke(dir, &name).map_err(|error| Failure::new(format!("revoke {name}"), error))?;
            output.show_either(&serde_json::json!({ "revoked": name }), &format!("{name} is revoked\n"))
        }
    }
}

/// The scope of this name.
pub(super) fn scope(text: &str) -> Result<Scope, String> {
    let all = [Scope::Read, Scope::Change, Scope::Grave];
    all.into_iter().find(|scope| scope.name() == text).ok_or_else(|| "must be read, change or grave".to_owned())
}

fn life(text: &str) -> Result<Life, String> {
    if text == "never" { Ok(Life(None)) } else { parse::duration(text).map(|life| Life(Some(life))) }
}
