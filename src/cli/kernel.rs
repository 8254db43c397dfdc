//! `prunella kernel`: what is done in the kernel.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("ask what is done in the kernel", &Request::Kernel).await
}
