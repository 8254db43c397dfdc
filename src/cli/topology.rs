//! `prunella topology`: who is linked with whom.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("show the topology", &Request::Topology { after: None }).await
}
