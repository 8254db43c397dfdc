//! What a command that talks to a running node needs: the node, and where to show its answers.

use super::failure::Failure;
use super::output::Output;
use crate::api::client::Client;
use crate::api::{Error, ErrorKind, Request, Response};

/// A conversation with one node.
pub(super) struct Session<'a> {
    /// The node.
    pub(super) client: Client,
    /// Where answers are shown.
    pub(super) output: &'a mut Output,
    /// Whether nothing is asked that changes something.
    pub(super) reads_only: bool,
    /// Whether what is longer than the screen goes through a pager.
    pub(super) is_paged: bool,
}

impl Session<'_> {
    /// Asks the node and shows its answer, a list with all of its pages; `doing` fits "failed to ...".
    pub(super) async fn show(&mut self, doing: &str, request: &Request) -> Result<(), Failure> {
        let response = self.ask(doing, request).await?;
        self.output.show(&response)
    }

    /// Asks the node to do something, and says `done` (with its end of line) once it is done.
    pub(super) async fn order(&mut self, doing: &str, request: &Request, done: &str) -> Result<(), Failure> {
        let response = self.ask(doing, request).await?;
        if self.output.is_json() { self.output.show(&response) } else { self.output.write(done) }
    }

    /// Asks the node, for all pages of a list; an error that it answers with is a failure.
    pub(super) async fn ask(&mut self, doing: &str, request: &Request) -> Result<Response, Failure> {
        if let Some(deed) = request.deed().filter(|_| self.reads_only) {
            let text = format!("`{deed}` changes something: only what reads is repeated, or asked of every node");
            return Err(Failure::new(doing, Error::new(ErrorKind::InvalidInput, text)));
        }
        match self.client.request_all(request).await {
            Ok(Response::Error { error }) | Err(error) => Err(Failure::new(doing, error)),
            Ok(response) => Ok(response),
        }
    }
}
