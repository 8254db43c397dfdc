//! `prunella gossip`: how the node's gossip goes.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("ask how gossip goes", &Request::Gossip).await
}
