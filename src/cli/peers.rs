//! `prunella peers`: the nodes that are known.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("list the peers", &Request::Peers { after: None }).await
}
