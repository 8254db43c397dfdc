//! `prunella incidents`: what was wrong, and what was done about it.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("list the incidents", &Request::Incidents).await
}
