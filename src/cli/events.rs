//! `prunella events`: what has happened, and what happens.

use std::collections::{BTreeMap, VecDeque};

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
    last: usize,
    /// Show all that came after this place, as the cursor of an event says
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,
}

pub(super) async fn run(arguments: Arguments, session: &mut Session<'_>) -> Result<(), Failure> {
    let Arguments { follow, last, after } = arguments;
    let mut names = Names::ask(session).await?;
    let keep = if after.is_some() { usize::MAX } else { last };
    let (mut past, mut cursor) = (VecDeque::new(), after);
    loop {
        let info = next(session, cursor, 0).await?;
        tell_missed(session, &info)?;
        cursor = Some(info.cursor);
        for event in info.events {
            names.learn(&event);
            past.push_back(event);
            if past.len() > keep {
                past.pop_front();
            }
        }
        if !info.more {
            break;
        }
    }
    for event in past {
        names.show(session, &event)?;
    }
    if !follow {
        return Ok(());
    }
    loop {
        session.output.flush()?;
        let info = next(session, cursor, WAIT_MS).await?;
        tell_missed(session, &info)?;
        cursor = Some(info.cursor);
        for event in info.events {
            names.learn(&event);
            names.show(session, &event)?;
        }
    }
}

async fn next(session: &mut Session<'_>, after: Option<Cursor>, wait_ms: u64) -> Result<EventsInfo, Failure> {
    match session.ask("follow the events", &Request::Events { after, wait_ms }).await? {
        Response::Events(info) => Ok(info),
        other => Err(Failure::unexpected("follow the events", &other)),
    }
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
