//! `prunella journal`: whether what roles hear is recorded, and what is held of that.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("ask for the journal", &Request::Journal).await
}
