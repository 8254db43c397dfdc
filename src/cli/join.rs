//! `prunella join`: joins a mesh with a token, or as a workload that a SPIFFE agent on this machine knows.

use std::fmt;
use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::path::Path;

use clap::Args;

use super::failure::Failure;
use super::output::Output;
use super::parse;
use crate::api::setup::{self, Algorithm, JoinOptions, WorkloadJoinOptions};
use crate::api::{Error, ErrorKind};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The token that `prunella invite` printed; `-` reads it from standard input, where no other user can see it. With `--authority`: the issuer to join through, PEERID@HOST:PORT
    #[arg(value_name = "TOKEN")]
    token: Secret,
    /// Join without a token, on the word of the SPIFFE trust domain that has issued this workload's X.509-SVID. The mesh's authority: its fingerprint (`prunella authority show --json`), or a file with its certificate, such as a member's authority.pem
    #[arg(long, value_name = "FINGERPRINT|FILE")]
    authority: Option<String>,
    /// With `--authority`: the SPIFFE Workload API that gives the SVID [default: the environment's SPIFFE_ENDPOINT_SOCKET]
    #[arg(long, value_name = "unix:/PATH", requires = "authority")]
    workload_api: Option<String>,
    /// With `--authority`: of which algorithm the mesh's certificates are; a token tells by itself
    #[arg(long, value_name = "ALGORITHM", default_value = "ed25519", value_parser = parse::algorithm, requires = "authority")]
    certificates: Algorithm,
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
    let Arguments { token, authority, workload_api, certificates, name, listen, advertise } = arguments;
    let joined = match authority {
        Some(authority) => {
            let workload_api = workload_api.map_or_else(endpoint_of_environment, Ok)?;
            let inviter = token.0;
            let options =
                WorkloadJoinOptions { workload_api, authority, inviter, certificates, name, listen, advertise };
            setup::join_as_workload(dir, options).await
        }
        None => {
            let token = if token.0 == "-" { read_token(io::stdin().lock())? } else { token.0 };
            setup::join(dir, JoinOptions { token, name, listen, advertise }).await
        }
    };
    let joined = joined.map_err(|error| Failure::new("join the mesh", error))?;
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

/// Only asked for when `--authority` is given: where the variable is set for other programs, tokens work as ever.
fn endpoint_of_environment() -> Result<String, Failure> {
    std::env::var("SPIFFE_ENDPOINT_SOCKET").map_err(|_| {
        let text = "give --workload-api unix:/PATH, or set SPIFFE_ENDPOINT_SOCKET";
        Failure::new("join the mesh", Error::new(ErrorKind::InvalidInput, text))
    })
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
