//! What only actors know: they are all asked at once, and nobody waits long for any of them.

use std::time::Duration;

use prunella_core::gossip;
use prunella_core::peer::LinkReport;
use ractor::rpc::CallResult;
use ractor::{ActorRef, Message, RpcReplyPort};
use tokio::task::JoinSet;

use crate::actors::directory::peer_name;
use crate::actors::shell::Shell;
use crate::messages::{GossipQuery, LedgerQuery, LedgerState, Mail, PathfinderQuery, PeerQuery};

/// What actors have told in time.
#[derive(Debug, Default)]
pub struct Told {
    /// How the mesh stands, from the GossipActor.
    pub standing: Option<gossip::Standing>,
    /// How many nodes can be reached, from the PathfinderActor.
    pub reachable: Option<usize>,
    /// How the ledgers stand, from the LedgerActor.
    pub ledger: Option<LedgerState>,
    /// How links are, from the PeerActors, ordered by peer.
    pub links: Vec<LinkReport>,
    /// How many PeerActors have not answered.
    pub silent_peers: usize,
}

/// Asks all of them, and waits until all have answered or time is up.
pub async fn ask(shell: &Shell) -> Told {
    let directory = &shell.directory;
    let standing = told(shell, "gossip", directory.gossip(), |reply| Mail::Query(GossipQuery::Standing(reply)));
    let reachable =
        told(shell, "pathfinder", directory.pathfinder(), |reply| Mail::Query(PathfinderQuery::Reachable(reply)));
    let ledger = told(shell, "ledger", directory.ledger(), |reply| Mail::Query(LedgerQuery::State(reply)));
    let (standing, reachable, ledger, (links, silent_peers)) = tokio::join!(standing, reachable, ledger, links(shell));
    Told { standing, reachable: reachable.map(|known| known.len()), ledger, links, silent_peers }
}

/// How each link is, and how many PeerActors do not say.
async fn links(shell: &Shell) -> (Vec<LinkReport>, usize) {
    let peers = shell.directory.peers();
    let mut asked = JoinSet::new();
    for peer in &peers {
        let Some(actor) = reachable(shell, &peer_name(peer), shell.directory.peer(peer)) else { continue };
        asked.spawn(async move { call(&actor, |reply| Mail::Query(PeerQuery::Report(reply))).await });
    }
    let mut reports: Vec<LinkReport> = asked.join_all().await.into_iter().flatten().collect();
    reports.sort_by_key(|report| report.peer);
    let silent = peers.len() - reports.len();
    (reports, silent)
}

async fn told<M: Message, T: Send + 'static>(
    shell: &Shell,
    name: &str,
    actor: Option<ActorRef<M>>,
    question: impl FnOnce(RpcReplyPort<T>) -> M,
) -> Option<T> {
    call(&reachable(shell, name, actor)?, question).await
}

async fn call<M: Message, T: Send + 'static>(
    actor: &ActorRef<M>,
    question: impl FnOnce(RpcReplyPort<T>) -> M,
) -> Option<T> {
    match actor.call(question, Some(PATIENCE)).await {
        Ok(CallResult::Success(told)) => Some(told),
        _ => None,
    }
}

/// The actor, unless so much waits for it that it would not answer in time: questions have no bound of their own in a
/// mailbox, and one that is stuck is not to be buried under them.
fn reachable<M: Message>(shell: &Shell, name: &str, actor: Option<ActorRef<M>>) -> Option<ActorRef<M>> {
    let stats = shell.directory.register.named(name)?;
    actor.filter(|_| stats.waiting() <= WAITING_MAX)
}

/// How long an actor gets. A scrape that is late is worth less than one that lacks something.
const PATIENCE: Duration = Duration::from_millis(100);
/// With more than this in its mailbox an actor is not asked.
const WAITING_MAX: u64 = 1024;
