//! `prunella members`: who belongs to the mesh and is well.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("list the members", &Request::Members { after: None }).await
}
