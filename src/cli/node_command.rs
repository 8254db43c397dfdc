//! The commands that ask a running node: the same for the command line and for the shell.

use std::pin::Pin;

use clap::Subcommand;

use super::failure::Failure;
use super::session::Session;
use super::{
    actor, actors, cert, chaos, config, down, events, expose, forward, gossip, inbox, incident, incidents, journal,
    kernel, kill, ledger, links, log, members, paths, peers, ping, policy, records, regions, reputation, services,
    shared, status, store, suspend, top, topology, trace, tun, vitals, watch,
};

/// A command that asks a running node.
#[derive(Debug, Subcommand)]
pub(super) enum NodeCommand {
    /// Show the node at a glance
    Status,
    /// Show how the node's process is: processor, memory, descriptors, how late its timers are; answered whatever its actors do
    Vitals,
    /// List the nodes that are known
    Peers,
    /// List the members of the mesh: alive, suspect or down, and who says so
    #[command(
        after_help = "A third of the neighbors of a node make it suspect when they accuse it of silence; when more
than two thirds have done so for long enough, it is down. With more than half of the known members
within reach there is a quorum; without one, shared values are read-only."
    )]
    Members,
    /// Show how far this node believes another, and why not further
    Reputation(reputation::Arguments),
    /// List the links to neighbors, and what round trips over them took
    Links,
    /// Show how the node's gossip goes: the tree's branches, what was exchanged with each neighbor, what was turned away
    #[command(
        after_help = "A neighbor that is eager is pushed what is new; one that is lazy is told that there is something, and asks for
what does not come. Neighbors tell each other a hash over all that they hold: where it differs, a round over a sketch, or a
full sync, finds out in what. MISSING are records that were announced and have not come."
    )]
    Gossip,
    /// List the signed records that the node holds, or show the whole of one
    Records(records::Arguments),
    /// Show how the node's store does: its size, what waits, how long writes take, what was wrong with it
    Store,
    /// Show what the overlay interface carries: tunnels, and flows with their verdicts
    Tun,
    /// Show what the kernel does for the node and what it has seen of links, strangers and lost packets
    Kernel,
    /// Show whether what roles hear is recorded for a replay, since when, and what is held
    Journal,
    /// List who stands close together, as far as latencies tell, and which node should name another region
    #[command(
        after_help = "Nodes that a chain of short links joins are one cluster. What is short follows from the links: within
a cluster no link that is needed is three times as long as the next shorter one, unless all are under
3 ms. A region is what nodes name in their configuration; neighbors are chosen by it."
    )]
    Regions,
    /// Show the whole mesh: who is linked with whom, and how far apart they are
    #[command(
        after_help = "A link counts when both of its ends report it; one that a single end reports has a question mark."
    )]
    Topology,
    /// List the paths to a node
    Paths(paths::Arguments),
    /// Tell why traffic to a node takes the path that it takes: `paths NODE --why`
    Why(paths::Why),
    /// Show the tree of actors with supervisors' strategies, mailboxes, restarts and failures; or those that cost most
    #[command(visible_alias = "tree")]
    Actors(actors::Arguments),
    /// Show all that can be seen of an actor: its messages by kind, how long they took, its failures, what it knows
    Actor(actor::Arguments),
    /// Watch the node live: a map, links, actors, incidents, paths
    #[command(
        after_help = "Keys: 1 to 5 or Tab choose the view, arrows a row, Enter looks closer, Esc goes back, s orders, / filters,
p pauses, ? lists the keys, q or Ctrl-C leaves. Each part of the picture is asked for by itself: what the node does not
answer is marked as stale and asked for again. It needs a terminal of 80x24 at least; NO_COLOR is honored."
    )]
    Top(top::Arguments),
    /// Run a command that only reads again and again
    #[command(
        after_help = "A terminal is cleared before each run; elsewhere a line with the time separates them, and with --json each
answer is one line. That the node does not answer ends nothing. In the shell Ctrl-C ends the watching alone."
    )]
    Watch(watch::Arguments),
    /// List the services of the mesh and this node's forwards
    Services,
    /// Show what has happened, and with --follow what happens: nodes, links, log, members, incidents, actors, services
    Events(events::Arguments),
    /// List what was wrong and what was done about it, newest first
    Incidents,
    /// Tell the story of one incident: what was seen, what was planned and tried, and how long each phase took
    #[command(
        after_help = "detect is the time from the last sign that all was well; analyze ends when it is known what the
incident follows from; plan when the last plan was made; execute counts the steps of that plan that
were in vain; verify ends when it was measured that the incident is over. A plan ranks its candidates:
expected effect, less cost and risk, all in thousandths.

What the roles heard meanwhile is run again by `prunella replay`, if it was recorded."
    )]
    Incident(incident::Arguments),
    /// Show the configuration in force, and set what may change while the node runs
    Config(config::Arguments),
    /// Show what the node logs, or change it while it runs
    Log(log::Arguments),
    /// Measure round trips to a node
    Ping(ping::Arguments),
    /// Measure the round trip to every hop of the path in use; or show the messages of an actor as they come
    Trace(trace::Arguments),
    /// Publish a TCP service under a name
    Expose(expose::Arguments),
    /// Listen on this host and carry each connection to a service
    Forward(forward::Arguments),
    /// Write and read text that all nodes of the mesh share
    Shared(shared::Arguments),
    /// Show and explain the policy in force, read it again, or set it for all nodes; check and test policy files
    Policy(policy::Arguments),
    /// List, check and renew certificates; revoke and reinstate nodes
    Cert(cert::Arguments),
    /// Show this node's ledger, verify it, prove an entry of it, export it
    Ledger(ledger::Arguments),
    /// Stop an actor, whatever it is doing, to see it come back
    Kill(kill::Arguments),
    /// Have an actor handle nothing for a while, to see it healed: `chaos actor ACTOR --how stall` (needs `chaos.allow = true`)
    Stall(chaos::Stall),
    /// Have an actor stop after the message that it is at, and begin anew
    #[command(
        after_help = "Its supervisor starts it from what is kept, and with it those that stand on it. One that is stuck in a message
does not get to stop: `kill` ends it whatever it is doing."
    )]
    Restart(suspend::Named),
    /// Have an actor take no message for a while
    #[command(
        after_help = "Messages wait meanwhile, and are dropped when its mailbox is full. For the node it is stuck: after two seconds
with messages waiting that is an incident (`actor-stuck`), and the healing starts the actor anew, which ends the
suspension; the one writer of the store is only waited for."
    )]
    Suspend(suspend::Arguments),
    /// Have an actor that was suspended go on
    Resume(suspend::Named),
    /// Show how much waits for an actor, which message it is at and since when, and what came last
    #[command(
        after_help = "Messages that wait are counted and not looked into: of which kind each is, is known when the actor begins it.
`trace --actor` shows messages as they come, `actor` how many there were of each kind."
    )]
    Inbox(inbox::Arguments),
    /// Break things on purpose: links, actors, the machine (needs `chaos.allow = true`)
    Chaos(chaos::Arguments),
    /// Stop the node
    Down,
}

impl NodeCommand {
    /// What is done in place of it where nobody looks on and presses keys: the live view becomes a list.
    pub(super) fn printed_once(self) -> Self {
        match self {
            NodeCommand::Top(_) => NodeCommand::Actors(actors::Arguments::by_time()),
            other => other,
        }
    }

    /// As [`NodeCommand::run`], for a command that runs others.
    pub(super) fn boxed<'a>(
        self,
        session: &'a mut Session<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failure>> + 'a>> {
        Box::pin(self.run(session))
    }

    /// Asks the node and shows what it answers.
    pub(super) async fn run(self, session: &mut Session<'_>) -> Result<(), Failure> {
        match self {
            NodeCommand::Status => status::run(session).await,
            NodeCommand::Config(arguments) => config::run(arguments, session).await,
            NodeCommand::Log(arguments) => log::run(arguments, session).await,
            NodeCommand::Vitals => vitals::run(session).await,
            NodeCommand::Peers => peers::run(session).await,
            NodeCommand::Members => members::run(session).await,
            NodeCommand::Reputation(arguments) => reputation::run(arguments, session).await,
            NodeCommand::Links => links::run(session).await,
            NodeCommand::Gossip => gossip::run(session).await,
            NodeCommand::Records(arguments) => records::run(arguments, session).await,
            NodeCommand::Store => store::run(session).await,
            NodeCommand::Tun => tun::run(session).await,
            NodeCommand::Kernel => kernel::run(session).await,
            NodeCommand::Journal => journal::run(session).await,
            NodeCommand::Regions => regions::run(session).await,
            NodeCommand::Topology => topology::run(session).await,
            NodeCommand::Events(arguments) => events::run(arguments, session).await,
            NodeCommand::Paths(arguments) => paths::run(arguments, session).await,
            NodeCommand::Why(arguments) => paths::run(arguments.into(), session).await,
            NodeCommand::Actors(arguments) => actors::run(arguments, session).await,
            NodeCommand::Actor(arguments) => actor::run(arguments, session).await,
            NodeCommand::Top(arguments) => top::run(arguments, session).await,
            NodeCommand::Watch(arguments) => watch::run(arguments, session).await,
            NodeCommand::Services => services::run(session).await,
            NodeCommand::Incidents => incidents::run(session).await,
            NodeCommand::Incident(arguments) => incident::run(arguments, session).await,
            NodeCommand::Ping(arguments) => ping::run(arguments, session).await,
            NodeCommand::Trace(arguments) => trace::run(arguments, session).await,
            NodeCommand::Expose(arguments) => expose::run(arguments, session).await,
            NodeCommand::Forward(arguments) => forward::run(arguments, session).await,
            NodeCommand::Shared(arguments) => shared::run(arguments, session).await,
            NodeCommand::Policy(arguments) => policy::run(arguments, session).await,
            NodeCommand::Cert(arguments) => cert::run(arguments, session).await,
            NodeCommand::Ledger(arguments) => ledger::run(arguments, session).await,
            NodeCommand::Kill(arguments) => kill::run(arguments, session).await,
            NodeCommand::Stall(arguments) => chaos::stall(arguments, session).await,
            NodeCommand::Restart(arguments) => suspend::restart(arguments, session).await,
            NodeCommand::Suspend(arguments) => suspend::suspend(arguments, session).await,
            NodeCommand::Resume(arguments) => suspend::resume(arguments, session).await,
            NodeCommand::Inbox(arguments) => inbox::run(arguments, session).await,
            NodeCommand::Chaos(arguments) => chaos::run(arguments, session).await,
            NodeCommand::Down => down::run(session).await,
        }
    }
}
