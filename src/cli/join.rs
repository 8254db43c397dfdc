//! `prunella join`: joins a mesh with a token.

use std::fmt;
use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::path::Path;

use clap::Args;

use super::failure::Failure;
use super::output::Output;
use super::parse;
use crate::api::setup::{self, JoinOptions};
use crate::api::{Error, ErrorKind};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The token that `prunella invite` printed; `-` reads it from standard input, where no other user can see it
    token: Secret,
    /// The node's name for people
    #[arg(long, value_parser = parse::node_name)]
    name: Option<String>,
    /// Where the node listens (UDP) [default: 0.0.0.0:4600]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// An address that other nodes can dial; may be given more than once
    #[arg(long, value_name = "ADDRESS:PORT")]
    advertise: Vec<SocketAddr>,
}

/// A word that is not printed again.
#[derive(Clone)]
struct Secret(String);

impl From<String> for Secret {
    fn from(word: String) -> Self {
        Self(word)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

pub(super) async fn run(arguments: Arguments, dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let Arguments { token, name, listen, advertise } = arguments;
    let token = if token.0 == "-" { read_token(io::stdin().lock())? } else { token.0 };
    let joined = setup::join(dir, JoinOptions { token, name, listen, advertise })
        .await
        .map_err(|error| Failure::new("join the mesh", error))?;
    let json = serde_json::json!({
        "peer": joined.peer,
        "trust_domain": joined.trust_domain,
        "inviter": joined.inviter,
    });
    let text = format!(
        "joined {} in {}\nthis node is {}\nadmitted by   {}\nnext: `prunella up` runs it\n",
        joined.trust_domain,
        dir.display(),
        joined.peer,
        joined.inviter
    );
    output.show_either(&json, &text)
}

fn read_token(input: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    input.take(TOKEN_TEXT_BYTES_MAX).read_line(&mut line).map_err(|error| {
        let text = format!("standard input cannot be read: {error}");
        Failure::new("read the token", Error::new(ErrorKind::InvalidInput, text))
    })?;
    Ok(line.trim().to_owned())
}

/// More than the longest token has in its text form.
const TOKEN_TEXT_BYTES_MAX: u64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_one_line() {
        assert_eq!(read_token(&b" token \nmore\n"[..]).unwrap(), "token");
    }
}
