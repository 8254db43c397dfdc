//! `prunella down`: stops the node.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.order("stop the node", &Request::Shutdown, "the node stops\n").await
}
