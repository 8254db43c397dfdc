//! `prunella status`: the node at a glance.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("show the status", &Request::Status).await
}
