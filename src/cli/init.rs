//! `prunella init`: founds a mesh.

use std::net::SocketAddr;
use std::path::Path;

use clap::Args;

use super::failure::Failure;
use super::output::Output;
use super::parse;
use crate::api::setup::{self, Algorithm, InitOptions};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The node's name for people
    #[arg(long, value_parser = parse::node_name)]
    name: Option<String>,
    /// The mesh's name in certificates (SPIFFE trust domain)
    #[arg(long, value_name = "DOMAIN", default_value = "mesh.internal", value_parser = parse::trust_domain)]
    trust_domain: String,
    /// The algorithm of the nodes' certificates, for as long as the mesh lives: `ml-dsa-65` also keeps out whoever breaks
    /// Ed25519 one day, and costs larger handshakes
    #[arg(long, value_name = "ALGORITHM", default_value = "ed25519", value_parser = parse::algorithm)]
    certificates: Algorithm,
    /// Where the node listens (UDP) [default: 0.0.0.0:4600]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// An address that other nodes can dial; may be given more than once
    #[arg(long, value_name = "ADDRESS:PORT")]
    advertise: Vec<SocketAddr>,
}

pub(super) fn run(arguments: Arguments, dir: &Path, output: &mut Output) -> Result<(), Failure> {
    let Arguments { name, trust_domain, certificates, listen, advertise } = arguments;
    let founded = setup::init(dir, InitOptions { name, trust_domain, certificates, listen, advertise })
        .map_err(|error| Failure::new(format!("found a mesh in {}", dir.display()), error))?;
    let json = serde_json::json!({ "peer": founded.peer, "trust_domain": founded.trust_domain });
    let text = format!(
        "founded {} in {}\nthis node is {}\nnext: `prunella up` runs it, `prunella invite` admits another host\n",
        founded.trust_domain,
        dir.display(),
        founded.peer
    );
    output.show_either(&json, &text)
}
