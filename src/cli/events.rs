//! `prunella events`: what has happened, and what happens.

use std::collections::BTreeMap;

use clap::Args;

use super::failure::Failure;
use super::render;
use super::session::Session;
use crate::api::vocabulary::{Cursor, Event, EventInfo, EventsInfo};
use crate::api::{PeerId, Request, Response};

/// What the user gives.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  prunella events --last 20
  prunella events --follow
  prunella events --follow --json | jq 'select(.event == \"incident-opened\")'

With --json each event is one line. Its cursor says where --after goes on; a node that was started
anew, or that had to forget what came after the cursor, says so with a line that has \"missed\".")]
pub(super) struct Arguments {
    /// Go on when all has been shown, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// How many of the past events to show at most
    #[arg(long, default_value_t = 50, value_name = "N", conflicts_with = "after")]
    last: u64,
    /// Show all that came after this place, as the cursor of an event says
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let Arguments { follow, last, after } = arguments;
    let mut names = Names::ask(session).await?;
    let mut cursor = after;
    loop {
        let asked = Request::Events { after: cursor, last: Some(last), wait_ms: 0 };
        let more = tell(session, &asked, &mut names, &mut cursor).await?;
        if !more {
            break;
        }
    }
    if !follow {
        return Ok(());
    }
    loop {
        session.output.flush()?;
        let asked = Request::Events { after: cursor, last: None, wait_ms: WAIT_MS };
        tell(session, &asked, &mut names, &mut cursor).await?;
    }
}

/// Asks for events, shows them, and moves on to where the next ones begin; whether there are more already.
async fn tell(
    session: &mut Session<'_>,
    asked: &Request,
    names: &mut Names,
    cursor: &mut Option<Cursor>,
) -> Result<bool, Failure> {
    let info = match session.ask("follow the events", asked).await? {
        Response::Events(info) => info,
        other => return Err(Failure::unexpected("follow the events", &other)),
    };
    tell_missed(session, &info)?;
    *cursor = Some(info.cursor);
    for event in info.events {
        names.learn(&event);
        names.show(session, &event)?;
    }
    Ok(info.more)
}

fn tell_missed(session: &mut Session<'_>, info: &EventsInfo) -> Result<(), Failure> {
    match (info.missed, session.output.is_json()) {
        (false, _) => Ok(()),
        (true, true) => session.output.write("{\"missed\":true}\n"),
        (true, false) => session.output.write("-- some of what happened is not told any more --\n"),
    }
}

/// The names of nodes, kept up to date by what happens.
struct Names(BTreeMap<PeerId, String>);

impl Names {
    async fn ask(session: &mut Session<'_>) -> Result<Self, Failure> {
        if session.output.is_json() {
            // Programs are told peer ids.
            return Ok(Self(BTreeMap::new()));
        }
        match session.ask("follow the events", &Request::Topology { after: None }).await? {
            Response::Topology(info) => Ok(Self(info.nodes.into_iter().map(|node| (node.peer, node.name)).collect())),
            other => Err(Failure::unexpected("follow the events", &other)),
        }
    }

    fn learn(&mut self, event: &EventInfo) {
        if let Event::NodeChanged { peer, name, .. } = &event.event {
            self.0.insert(*peer, name.clone());
        }
    }

    fn show(&self, session: &mut Session<'_>, event: &EventInfo) -> Result<(), Failure> {
        if session.output.is_json() {
            let line = serde_json::to_string(event).expect("BUG: every event has a JSON form");
            return session.output.write(&format!("{line}\n"));
        }
        let name = |peer: PeerId| match self.0.get(&peer) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => peer.short(),
        };
        session.output.write(&format!("{}\n", render::event(event, &name)))
    }
}

/// How long each question waits for the next event, in milliseconds.
const WAIT_MS: u64 = 20_000;
