//! `prunella store`: how the node's store does.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("ask how the store does", &Request::Store).await
}
