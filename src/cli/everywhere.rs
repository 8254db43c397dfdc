//! `--all`: what reads is asked of every node of the mesh, and who did not answer is told.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::LocalSet;

use super::failure::Failure;
use super::node_command::NodeCommand;
use super::output::Output;
use super::session::Session;
use crate::api::client::Client;
use crate::api::vocabulary::TopologyNode;
use crate::api::{Error, ErrorKind, PeerId, Request, Response};

/// Reads the command anew: each node's run uses one up.
pub(super) type Reread<'a> = &'a dyn Fn() -> Result<NodeCommand, Failure>;

/// Runs the command at every node that the one behind `session` knows, itself included, and shows what each answers as soon as
/// those before it have. A few are asked at once.
pub(super) async fn run(reread: Reread<'_>, session: &mut Session<'_>) -> Result<(), Failure> {
    if matches!(reread()?, NodeCommand::Watch(_) | NodeCommand::Top(_)) {
        let text = "--all is for what is asked once";
        return Err(Failure::new("ask every node", Error::new(ErrorKind::InvalidInput, text)));
    }
    let nodes = nodes(session).await?;
    let (mut waiting, mut silent) = (VecDeque::new(), Vec::new());
    let local = LocalSet::new();
    let mut next = nodes.iter();
    let (json, total) = (session.output.is_json(), nodes.len());
    local
        .run_until(async {
            loop {
                while waiting.len() < AT_ONCE {
                    let Some(node) = next.next() else { break };
                    let client = node.client(&session.client);
                    let asking = tokio::task::spawn_local(ask(reread()?, client, json));
                    waiting.push_back((node, asking));
                }
                let Some((node, asking)) = waiting.pop_front() else { return Ok(()) };
                let answer = asking.await.expect("BUG: what asks neither panics nor is cancelled");
                if answer.is_err() {
                    silent.push(node.called());
                }
                show(node, answer, session.output)?;
                session.output.flush()?;
            }
        })
        .await?;
    if !json {
        let who =
            if silent.is_empty() { String::new() } else { format!(", {} not: {}", silent.len(), silent.join(" ")) };
        session.output.write(&format!("--- {} of {total} nodes answered{who}\n", total - silent.len()))?;
    }
    if silent.is_empty() { Ok(()) } else { Err(Failure::Told) }
}

/// A node that is asked.
struct Node {
    peer: PeerId,
    name: String,
    /// Whether it is the one that is asked for the others.
    is_here: bool,
}

impl Node {
    fn called(&self) -> String {
        if self.name.is_empty() { self.peer.short() } else { self.name.clone() }
    }

    fn client(&self, here: &Client) -> Client {
        if self.is_here { here.beside() } else { here.beside_at(&self.peer.to_string()) }
    }
}

/// Every node that is known, ordered by name.
async fn nodes(session: &mut Session<'_>) -> Result<Vec<Node>, Failure> {
    let doing = "ask every node";
    if session.client.far().is_some() {
        let text = "--all is asked of the node in DIR, and --node of another one: give one of them";
        return Err(Failure::new(doing, Error::new(ErrorKind::InvalidInput, text)));
    }
    let mut nodes: Vec<Node> = match session.ask(doing, &Request::Topology { after: None }).await? {
        Response::Topology(info) => {
            let me = info.me;
            let node = |n: TopologyNode| Node { is_here: n.peer == me, peer: n.peer, name: n.name };
            info.nodes.into_iter().map(node).collect()
        }
        other => return Err(Failure::unexpected(doing, &other)),
    };
    nodes.sort_by_key(|node| (node.called(), node.peer));
    Ok(nodes)
}

/// What one node says: the text or the JSON that the command prints.
async fn ask(command: NodeCommand, client: Client, json: bool) -> Result<String, Error> {
    let said = Said::default();
    let mut output = Output::to(Box::new(said.clone()), json);
    output.set_compact(true);
    let mut session = Session { client, output: &mut output, reads_only: true, is_paged: false };
    let late = || Error::new(ErrorKind::TimedOut, format!("no answer within {} seconds", PATIENCE.as_secs()));
    let done = tokio::time::timeout(PATIENCE, command.run(&mut session)).await.map_err(|_| late())?;
    let written = output.flush();
    match done.and(written) {
        Ok(()) | Err(Failure::Told | Failure::Interrupted) => Ok(said.text()),
        Err(Failure::Failed { error, .. }) => Err(error),
        Err(Failure::Unwritten(error)) => Err(Error::new(ErrorKind::Internal, error.to_string())),
    }
}

fn show(node: &Node, answer: Result<String, Error>, output: &mut Output) -> Result<(), Failure> {
    let name = node.called();
    if !output.is_json() {
        return output.write(&match answer {
            Ok(text) => format!("--- {name}\n{text}"),
            Err(error) => format!("--- {name} did not answer: {error}\n"),
        });
    }
    let mut line = json!({ "node": name, "peer": node.peer });
    match answer {
        Ok(text) => {
            let said: Vec<Value> =
                serde_json::Deserializer::from_str(&text).into_iter().filter_map(Result::ok).collect();
            line["answer"] = said.into_iter().next().unwrap_or_default();
        }
        Err(error) => line["error"] = json!(error),
    }
    output.write(&format!("{line}\n"))
}

/// What is written is kept.
#[derive(Clone, Default)]
struct Said(Rc<RefCell<Vec<u8>>>);

impl Said {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.borrow()).into_owned()
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How many nodes are asked at once.
const AT_ONCE: usize = 8;
/// How long each may take.
const PATIENCE: Duration = Duration::from_secs(10);
