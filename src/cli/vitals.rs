//! `prunella vitals`: how the node's process is.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("ask for the vitals", &Request::Vitals).await
}
