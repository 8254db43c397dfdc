//! What the policy language must mean, tested on the whole way from a file's text to a verdict.

mod files;
mod laws;
mod meaning;

use prunella_core::PeerId;

use super::policy_file::Form;
use super::{Action, Engine, NodeFacts, PolicyFile, Refused, Request, SameFacts};

fn peer(i: u8) -> PeerId {
    PeerId::from_public_key([i; 32])
}

/// This node.
fn me() -> PeerId {
    peer(99)
}

fn toml(text: &str) -> Result<PolicyFile, Refused> {
    PolicyFile::parse(text, "p.toml", Form::Toml)
}

fn cedar(text: &str) -> Result<PolicyFile, Refused> {
    PolicyFile::parse(text, "p.cedar", Form::Cedar)
}

fn engine(policy: Result<PolicyFile, Refused>) -> Engine {
    Engine::new(policy.unwrap_or_else(|refused| panic!("{}", refused.picture())), me())
}

fn connect(i: u8, service: &str) -> Request<'_> {
    Request { from: peer(i), action: Action::Connect { service } }
}

fn allows(engine: &Engine, request: &Request<'_>, facts: &NodeFacts) -> bool {
    engine.decide(request, &SameFacts(facts.clone())).allowed
}
