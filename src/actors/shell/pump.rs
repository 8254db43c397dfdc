//! The pump: carries what links and datapath tell into the mailboxes, and the ticks that no machine can know.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use prunella_core::gossip::Parting;
use prunella_core::wiring::Route;
use prunella_core::{LinkId, PeerId, gossip, ledger, pathfinder, peer, rebalancer};
use prunella_storage::{Batch, Tree};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};

use super::Shell;
use super::sampler::sample;
use crate::datapath::Event;
use crate::transport::{LinkEvent, Unanswered};

/// Where events come from.
pub struct Events {
    /// From the link endpoint.
    pub links: mpsc::Receiver<LinkEvent>,
    /// From the datapath.
    pub port: mpsc::Receiver<Event>,
    /// From the sessions.
    pub unanswered: mpsc::Receiver<Unanswered>,
}

/// Carries events, and samples, until a source ends: then the node is stopping.
pub async fn pump(shell: Arc<Shell>, events: Events) {
    tokio::select! {
        () = sample(&shell) => {}
        () = carry(&shell, events) => {}
    }
}

async fn carry(shell: &Shell, mut events: Events) {
    let mut activity = interval(ACTIVITY_EVERY);
    let mut clock = interval(gossip::CLOCK_EVERY);
    let mut carried = BTreeMap::new();
    for ticker in [&mut activity, &mut clock] {
        ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    loop {
        tokio::select! {
            // What proves that paths live goes first: under load, late news would look like silence.
            biased;
            event = events.port.recv() => match event {
                Some(event) => shell.on_port_event(event),
                None => return,
            },
            event = events.links.recv() => match event {
                Some(event) => shell.on_link_event(event),
                None => return,
            },
            unanswered = events.unanswered.recv() => match unanswered {
                Some(Unanswered { peer: destination, relays }) => {
                    shell.directory.deliver(Route::Pathfinder(pathfinder::Input::PeerUnanswered { destination, relays }));
                }
                None => return,
            },
            _ = activity.tick() => {
                shell.tell_activity(&mut carried);
                shell.tell_rounds();
            }
            _ = clock.tick() => {
                let unix_ms = shell.unix_ms();
                shell.directory.deliver(Route::Gossip(gossip::Input::Clock { unix_ms }));
                shell.directory.deliver(Route::Ledger(ledger::Input::Clock { unix_ms }));
            }
        }
    }
}

impl Shell {
    fn on_port_event(&self, event: Event) {
        match event {
            Event::ProbeReturned { link, path: 0, nonce, rtt } => {
                if let Some(peer) = self.owner(link) {
                    let returned = peer::Input::ProbeReturned { link, nonce, rtt };
                    self.directory.deliver(Route::Peer(peer, returned));
                }
            }
            Event::ProbeReturned { path, rtt, .. } if self.traces.answer(path, rtt) => {}
            Event::ProbeReturned { path, nonce, rtt, .. } => {
                let returned = pathfinder::Input::ProbeReturned { path, nonce, rtt };
                self.directory.deliver(Route::Pathfinder(returned));
            }
            Event::PathBroken { path, .. } => {
                self.directory.deliver(Route::Pathfinder(pathfinder::Input::PathBroken { path }));
            }
            Event::LinkMoved { link, remote } => self.follow(link, remote),
            Event::KernelLeft { reason } => {
                tracing::error!(reason, "frames are no longer forwarded in the kernel; user space does it");
            }
            Event::TracePassed { link, source, context, next } => self.tell_relayed(link, source, context, next),
            Event::RouteWanted { destination } => {
                let wanted = pathfinder::Input::TagWanted { tag: destination };
                self.directory.deliver(Route::Pathfinder(wanted));
            }
        }
    }

    fn on_link_event(&self, event: LinkEvent) {
        match event {
            LinkEvent::Established { peer, link, label, remote, dialed, .. } => {
                tracing::info!(peer = %peer.short(), %remote, dialed, "link established");
                self.owners.lock().unwrap_or_else(PoisonError::into_inner).insert(link, peer);
                self.dial_failures.lock().unwrap_or_else(PoisonError::into_inner).remove(&peer);
                if self.isolates(peer) {
                    return;
                }
                let addresses = if self.roster.addresses(&peer).is_empty() { vec![remote] } else { Vec::new() };
                self.take_in(peer, addresses, dialed);
                self.remember_neighbor(peer);
                self.directory.deliver(Route::Peer(peer, peer::Input::LinkEstablished { link, label }));
            }
            LinkEvent::Closed { peer, link, reason, parted } => {
                tracing::info!(peer = %peer.short(), reason, "link closed");
                self.owners.lock().unwrap_or_else(PoisonError::into_inner).remove(&link);
                if self.isolates(peer) {
                    return;
                }
                if parted && self.roster.takes_leave(&peer) {
                    return self.forget_neighbor(peer);
                }
                self.directory.deliver(Route::Peer(peer, peer::Input::LinkClosed { link }));
            }
            LinkEvent::DialFailed { peer, address, reason } => {
                self.tell_dial_failure(peer, address, reason);
                self.directory.deliver(Route::Peer(peer, peer::Input::DialFailed));
            }
            LinkEvent::Received { peer: from, message, .. } => {
                self.note_heard(from, &message);
                self.directory.deliver(Route::Gossip(gossip::Input::Heard { from, message }));
            }
            LinkEvent::Parting { peer, parting } => {
                let heard = match parting {
                    Parting::Asked => rebalancer::Input::PartingAsked { peer },
                    Parting::Declined => rebalancer::Input::PartingDeclined { peer },
                };
                self.directory.deliver(Route::Rebalancer(heard));
            }
            LinkEvent::Ledger { peer: from, message } => {
                self.directory.deliver(Route::Ledger(ledger::Input::Heard { from, message }));
            }
            LinkEvent::TurnedAway { peer, remote } => self.roster.quarantine.met(&peer, remote, self.clock.now()),
            LinkEvent::Rejected { peer, reason } => {
                tracing::debug!(peer = peer.map(|p| p.short()), %reason, "rejected on a link");
                // A neighbor's name is as bad after a few of them: a flood must not crowd out what others say.
                if let Some(from) = peer.filter(|_| self.take_blame()) {
                    self.directory.deliver(Route::Gossip(gossip::Input::Rejected { from, reason }));
                }
            }
        }
    }

    /// An operator wants to know why there is no link, but not again with every attempt.
    fn tell_dial_failure(&self, peer: PeerId, address: SocketAddr, reason: String) {
        let mut failures = self.dial_failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.get(&peer) == Some(&reason) {
            tracing::debug!(peer = %peer.short(), %address, reason, "dial failed again");
        } else {
            tracing::info!(peer = %peer.short(), %address, reason, "dial failed");
            failures.insert(peer, reason);
        }
    }

    /// Tells who is talked to, and which links have carried more than what keeps sessions alive since `carried`.
    fn tell_activity(&self, carried: &mut BTreeMap<LinkId, u64>) {
        let tags = self.port.active_destinations(ACTIVITY_EVERY * 2);
        if !tags.is_empty() {
            self.directory.deliver(Route::Pathfinder(pathfinder::Input::Active { tags }));
        }
        // Not only when it begins: whoever was restarted, or has missed it, learns it the next time.
        let links = self.port.link_stats();
        let before = std::mem::replace(carried, links.iter().map(|link| (link.id, link.carried)).collect());
        for link in links {
            if link.carried - before.get(&link.id).unwrap_or(&link.carried) >= CARRYING_FRAMES {
                self.directory.deliver(Route::Peer(link.peer, peer::Input::Carrying { link: link.id }));
            }
        }
    }

    /// So that a restarted node knows whom to dial before anybody tells it.
    fn remember_neighbor(&self, peer: PeerId) {
        let mut batch = Batch::new();
        let addresses = self.roster.addresses(&peer);
        let json = serde_json::to_vec(&addresses).expect("BUG: addresses are JSON");
        batch.put(Tree::Neighbors, peer.to_bytes(), json);
        self.directory.keep(batch);
    }
}

/// How often the pathfinder hears which destinations are talked to, and the peers that their links carry frames.
const ACTIVITY_EVERY: Duration = Duration::from_millis(500);
/// So many frames of others within that time make a link one that carries: a path in use is probed more often.
const CARRYING_FRAMES: u64 = 8;
