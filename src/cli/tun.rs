//! `prunella tun`: what the overlay interface carries.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("ask what the overlay interface carries", &Request::Tun).await
}
