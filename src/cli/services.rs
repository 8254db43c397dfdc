//! `prunella services`: the services of the mesh and this node's forwards.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("list the services", &Request::Services { after: None, after_provider: None }).await
}
