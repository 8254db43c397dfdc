//! What the line editor asks while a line is typed: completions, partly from the node, and hints.

use std::borrow::Cow;
use std::cell::RefCell;
use std::time::Duration;

use clap::{Command, CommandFactory};
use rustyline::completion::Completer;
use rustyline::highlight::Highlighter;
use rustyline::hint::Hinter;
use rustyline::validate::Validator;
use rustyline::{Context, Helper};
use tokio::runtime::Runtime;

use super::Line;
use super::completion::{Wanted, usage, wanted};
use crate::api::client::Client;
use crate::api::{Request, Response};

/// The line editor's view of the parser and the node.
pub(super) struct LineHelper<'a> {
    parser: Command,
    client: RefCell<Client>,
    runtime: &'a Runtime,
}

impl<'a> LineHelper<'a> {
    /// Completes with the names that the node knows that `client` asks.
    pub(super) fn new(client: Client, runtime: &'a Runtime) -> Self {
        let mut parser = Line::command();
        parser.build();
        Self { parser, client: RefCell::new(client), runtime }
    }

    fn candidates(&self, wanted: Wanted) -> Vec<String> {
        match wanted {
            Wanted::Words(words) => words,
            Wanted::Node => names(self.ask(&Request::Peers { after: None })),
            Wanted::Actor => names(self.ask(&Request::Actors)),
            Wanted::Service => names(self.ask(&Request::Services { after: None, after_provider: None })),
            Wanted::Key => names(self.ask(&Request::SharedList { after: None })),
            Wanted::Anything => Vec::new(),
        }
    }

    /// Whoever presses Tab would rather have no completion than wait, or read an error in the middle of a line.
    fn ask(&self, request: &Request) -> Option<Response> {
        let mut client = self.client.borrow_mut();
        let asked = async { tokio::time::timeout(PATIENCE, client.request_all(request)).await };
        self.runtime.block_on(asked).ok()?.ok()
    }
}

/// The names of what is listed, sorted; a node without a name goes by the beginning of its id.
fn names(response: Option<Response>) -> Vec<String> {
    let mut names: Vec<String> = match response {
        Some(Response::Peers { peers, .. }) => {
            peers.into_iter().map(|peer| if peer.name.is_empty() { peer.peer.short() } else { peer.name }).collect()
        }
        Some(Response::Actors { actors }) => actors.into_iter().map(|actor| actor.name).collect(),
        Some(Response::Services { services, .. }) => services.into_iter().map(|service| service.name).collect(),
        Some(Response::SharedList { shared, .. }) => shared.into_iter().map(|info| info.key).collect(),
        _ => Vec::new(),
    };
    // What would have to be quoted is not completed: names are plain unless somebody plays tricks.
    names.retain(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "._-/:".contains(c)));
    names.sort();
    names.dedup();
    names
}

impl Completer for LineHelper<'_> {
    type Candidate = String;

    fn complete(&self, line: &str, pos: usize, _: &Context<'_>) -> rustyline::Result<(usize, Vec<String>)> {
        let (start, wanted) = wanted(&self.parser, &line[..pos]);
        let begun = &line[start..pos];
        let fitting = self.candidates(wanted).into_iter().filter(|name| name.starts_with(begun));
        Ok((start, fitting.map(|name| if pos == line.len() { format!("{name} ") } else { name }).collect()))
    }
}

impl Hinter for LineHelper<'_> {
    type Hint = String;

    fn hint(&self, line: &str, pos: usize, _: &Context<'_>) -> Option<String> {
        if pos == line.len() { usage(&self.parser, line) } else { None }
    }
}

impl Highlighter for LineHelper<'_> {
    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        // Dim, so that it is not taken for what was typed.
        Cow::Owned(format!("\x1b[2m{hint}\x1b[0m"))
    }
}

impl Validator for LineHelper<'_> {}
impl Helper for LineHelper<'_> {}

/// How long the node may take to complete a word.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::PeerId;
    use crate::api::vocabulary::{PeerInfo, Reach};

    #[test]
    fn nodes_are_completed_by_plain_names_or_ids() {
        let peer = |byte: u8, name: &str| PeerInfo {
            peer: PeerId::from_public_key([byte; 32]),
            name: name.into(),
            addresses: Vec::new(),
            state: Reach::Neighbor,
            relays: None,
        };
        let peers = vec![peer(1, "b"), peer(2, ""), peer(3, "a"), peer(4, "x; rm")];
        assert_eq!(names(Some(Response::Peers { peers, more: false })), ["a", "aibaeaqcai", "b"]);
        assert!(names(None).is_empty());
    }
}
