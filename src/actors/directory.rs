//! Where each role lives now. After a restart an actor's reference is new, so nobody keeps one: everybody asks here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use prunella_core::limits::MAILBOX_MAX;
use prunella_core::wiring::Route;
use prunella_core::{
    Instant, PeerId, executor, gossip, ledger, monitor, pathfinder, peer, planner, policy, rebalancer,
};
use prunella_storage::Batch;
use ractor::{ActorCell, ActorRef, Message};
use tokio::sync::oneshot;

use super::backlog::{Backlog, NotKept};
use super::event_log::EventLog;
use super::insight::Insight;
use super::stats::{Register, Stats};
use crate::messages::{
    Failure, GossipQuery, KnowledgeMsg, LedgerQuery, Mail, NoQuery, PathfinderQuery, PeerQuery, RebalancerQuery,
};

/// A bounded way into an actor's mailbox. ractor's mailboxes are unbounded, so the bound is kept here, by credits.
#[derive(Debug)]
pub struct Mailbox<M: Message> {
    actor: ActorRef<M>,
    waiting: Arc<AtomicU64>,
    stats: Arc<Stats>,
}

impl<M: Message> Clone for Mailbox<M> {
    fn clone(&self) -> Self {
        Self { actor: self.actor.clone(), waiting: Arc::clone(&self.waiting), stats: Arc::clone(&self.stats) }
    }
}

impl<M: Message> Mailbox<M> {
    /// The way into `actor`, which begins its life; counted in `stats`.
    pub fn open(actor: ActorRef<M>, stats: Arc<Stats>, now: Instant) -> Self {
        Self { actor, waiting: stats.begin(now), stats }
    }

    /// Counts a message as taken out and handled: for the actor itself.
    pub fn handled(&self) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.stats.handled.fetch_add(1, Ordering::Relaxed);
    }

    /// What can be seen of the actor: for itself, to tell.
    pub fn insight(&self) -> &Insight {
        &self.stats.insight
    }

    /// Waits for as long as the actor is held up on purpose: for the actor itself, before it takes a message out.
    pub async fn pass(&self) {
        self.stats.hindrance.pass().await;
    }

    /// Puts a message into the mailbox; dropped and counted if it is full or the actor is gone.
    pub fn cast(&self, message: M) {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        if waiting >= MAILBOX_MAX as u64 || self.actor.send_message(message).is_err() {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.stats.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn cell(&self) -> ActorCell {
        self.actor.get_cell()
    }
}

type RoleMailbox<I, Q> = Mailbox<Mail<I, Q>>;

/// The mailboxes of the roles that run now.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) peers: BTreeMap<PeerId, RoleMailbox<peer::Input, PeerQuery>>,
    pub(super) gossip: Option<RoleMailbox<gossip::Input, GossipQuery>>,
    pub(super) pathfinder: Option<RoleMailbox<pathfinder::Input, PathfinderQuery>>,
    pub(super) monitor: Option<RoleMailbox<monitor::Input, NoQuery>>,
    pub(super) planner: Option<RoleMailbox<planner::Input, NoQuery>>,
    pub(super) executor: Option<RoleMailbox<executor::Input, NoQuery>>,
    pub(super) rebalancer: Option<RoleMailbox<rebalancer::Input, RebalancerQuery>>,
    pub(super) policy: Option<RoleMailbox<policy::Input, NoQuery>>,
    pub(super) ledger: Option<RoleMailbox<ledger::Input, LedgerQuery>>,
    pub(super) knowledge: Option<Mailbox<KnowledgeMsg>>,
    pub(super) surfaces: Option<ActorCell>,
}

/// Where each role lives now, and what is counted of every actor.
#[derive(Debug, Default)]
pub struct Directory {
    slots: RwLock<Slots>,
    /// What is to be kept and is not on disk yet.
    pub backlog: Backlog,
    /// What is counted of every actor.
    pub register: Register,
    /// What has happened, for those who follow it.
    pub events: EventLog,
}

impl Directory {
    /// Changes the slots: for actors that start.
    pub(super) fn enter(&self, enter: impl FnOnce(&mut Slots)) {
        enter(&mut self.slots.write().unwrap_or_else(PoisonError::into_inner));
    }

    fn read<T>(&self, read: impl FnOnce(&Slots) -> T) -> T {
        read(&self.slots.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Delivers to a role's mailbox. Commands for the shell do not come here.
    pub fn deliver(&self, route: Route) {
        fn cast<I, Q>(slot: &Option<RoleMailbox<I, Q>>, input: I)
        where
            Mail<I, Q>: Message,
        {
            if let Some(mailbox) = slot {
                mailbox.cast(Mail::Input(input));
            }
        }
        self.read(|slots| match route {
            Route::Peer(peer, input) => {
                if let Some(mailbox) = slots.peers.get(&peer) {
                    mailbox.cast(Mail::Input(input));
                }
            }
            Route::Peers(input) => slots.peers.values().for_each(|m| m.cast(Mail::Input(input.clone()))),
            Route::Gossip(input) => cast(&slots.gossip, input),
            Route::Pathfinder(input) => cast(&slots.pathfinder, input),
            Route::Monitor(input) => cast(&slots.monitor, input),
            Route::Planner(input) => cast(&slots.planner, input),
            Route::Executor(input) => cast(&slots.executor, input),
            Route::Rebalancer(input) => cast(&slots.rebalancer, input),
            Route::Policy(input) => cast(&slots.policy, input),
            Route::Ledger(input) => cast(&slots.ledger, input),
            Route::Shell(_) => unreachable!("BUG: the dispatcher keeps commands for the shell"),
        });
    }

    /// Hands changes to the one writer in front of the store.
    pub fn keep(&self, batch: Batch) {
        let has_room = self.backlog.push(batch);
        self.nudge_writer(has_room);
    }

    /// Tells, once, when everything that was handed over so far is durable, or why it is not.
    pub fn durable(&self) -> oneshot::Receiver<Result<(), NotKept>> {
        let told = self.backlog.durable();
        self.nudge_writer(true);
        told
    }

    /// Has the one writer look what there is to do. One that is away finds it when it starts.
    pub(super) fn nudge_writer(&self, has_room: bool) {
        if let Some(mailbox) = self.read(|slots| slots.knowledge.clone()) {
            mailbox.stats.dropped.fetch_add(u64::from(!has_room), Ordering::Relaxed);
            mailbox.cast(KnowledgeMsg::Keep);
        }
    }

    /// The peers that have an actor, in ascending order.
    pub fn peers(&self) -> Vec<PeerId> {
        self.read(|slots| slots.peers.keys().copied().collect())
    }

    /// Takes out what is kept of the PeerActor with this name, when it will not come back.
    pub fn forget_peer(&self, name: &str) {
        self.enter(|slots| slots.peers.retain(|peer, _| peer_name(peer) != name));
        self.register.forget(name);
    }

    /// The RebalancerActor, to be asked.
    pub fn rebalancer(&self) -> Option<ActorRef<Mail<rebalancer::Input, RebalancerQuery>>> {
        self.read(|slots| slots.rebalancer.as_ref().map(|m| m.actor.clone()))
    }

    /// Asks a PeerActor; `None` if it is away.
    pub fn peer(&self, peer: &PeerId) -> Option<ActorRef<Mail<peer::Input, PeerQuery>>> {
        self.read(|slots| slots.peers.get(peer).map(|m| m.actor.clone()))
    }

    /// Asks the PathfinderActor; `None` if it is away.
    pub fn pathfinder(&self) -> Option<ActorRef<Mail<pathfinder::Input, PathfinderQuery>>> {
        self.read(|slots| slots.pathfinder.as_ref().map(|m| m.actor.clone()))
    }

    /// The GossipActor, to be asked.
    pub fn gossip(&self) -> Option<ActorRef<Mail<gossip::Input, GossipQuery>>> {
        self.read(|slots| slots.gossip.as_ref().map(|m| m.actor.clone()))
    }

    /// The LedgerActor, to be asked.
    pub fn ledger(&self) -> Option<ActorRef<Mail<ledger::Input, LedgerQuery>>> {
        self.read(|slots| slots.ledger.as_ref().map(|m| m.actor.clone()))
    }

    /// Makes the actor with this name fail; false if there is none.
    pub fn fail(&self, name: &str, how: Option<Failure>) -> bool {
        self.read(|slots| match name {
            "knowledge" => slots.knowledge.as_ref().is_some_and(|mailbox| {
                mailbox.fail(how, KnowledgeMsg::Fail);
                true
            }),
            "surfaces" => slots.surfaces.as_ref().is_some_and(|cell| {
                if let Some(stats) = self.register.named(name) {
                    stats.induced.store(true, Ordering::Relaxed);
                }
                cell.kill();
                true
            }),
            _ => slots.role(name).is_some_and(|role| {
                role.fail(how);
                true
            }),
        })
    }

    /// Has the actor with this name stop after the message that it is at, so that it is started anew; false if there is
    /// none. What holds it up on purpose does so no longer: it could not stop.
    pub fn restart(&self, name: &str) -> bool {
        let cell = self.read(|slots| match name {
            "knowledge" => slots.knowledge.as_ref().map(Mailbox::cell),
            "surfaces" => slots.surfaces.clone(),
            _ => slots.role(name).map(AnyRole::actor),
        });
        let (Some(cell), Some(stats)) = (cell, self.register.named(name)) else { return false };
        stats.induced.store(true, Ordering::Relaxed);
        stats.hindrance.set(None);
        cell.stop(Some("restarted on request".to_owned()));
        true
    }

    /// Asks the machine of the role with this name what it knows; `None` if there is none.
    pub fn look(&self, name: &str) -> Option<oneshot::Receiver<(String, bool)>> {
        self.read(|slots| slots.role(name).map(AnyRole::look))
    }
}

/// A role's mailbox, whatever it hears.
trait AnyRole {
    fn fail(&self, how: Option<Failure>);
    fn look(&self) -> oneshot::Receiver<(String, bool)>;
    fn actor(&self) -> ActorCell;
}

impl<I, Q> AnyRole for RoleMailbox<I, Q>
where
    Mail<I, Q>: Message,
{
    fn fail(&self, how: Option<Failure>) {
        self.fail(how, Mail::Fail);
    }

    fn look(&self) -> oneshot::Receiver<(String, bool)> {
        let (reply, told) = oneshot::channel();
        // If the actor is gone, nobody answers.
        let _ = self.actor.send_message(Mail::Look(reply.into()));
        told
    }

    fn actor(&self) -> ActorCell {
        self.cell()
    }
}

impl<M: Message> Mailbox<M> {
    /// Makes the actor fail, in one of its ways or by killing it.
    fn fail(&self, how: Option<Failure>, message: impl FnOnce(Failure) -> M) {
        self.stats.induced.store(true, Ordering::Relaxed);
        match how {
            Some(how) => self.cast(message(how)),
            None => self.cell().kill(),
        }
    }
}

impl Slots {
    /// The role with this name.
    fn role(&self, name: &str) -> Option<&dyn AnyRole> {
        fn any<R: AnyRole>(slot: &Option<R>) -> Option<&dyn AnyRole> {
            slot.as_ref().map(|role| role as &dyn AnyRole)
        }
        match name {
            "gossip" => any(&self.gossip),
            "pathfinder" => any(&self.pathfinder),
            "monitor" => any(&self.monitor),
            "planner" => any(&self.planner),
            "executor" => any(&self.executor),
            "rebalancer" => any(&self.rebalancer),
            "policy" => any(&self.policy),
            "ledger" => any(&self.ledger),
            _ => {
                let (_, mailbox) = self.peers.iter().find(|(peer, _)| peer_name(peer) == name)?;
                Some(mailbox)
            }
        }
    }
}

/// The name of the actor for a neighbor.
pub fn peer_name(peer: &PeerId) -> String {
    format!("peer/{}", peer.short())
}
