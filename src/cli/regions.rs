//! `prunella regions`: who stands close together.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("list the regions", &Request::Regions { from: 0 }).await
}
