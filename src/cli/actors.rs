//! `prunella actors`: the tree of actors.

use super::failure::Failure;
use super::session::Session;
use crate::api::Request;

pub(super) async fn run(session: &mut Session<'_>) -> Result<(), Failure> {
    session.show("list the actors", &Request::Actors).await
}
