//! Dials, links and control messages, as the transport of a real node handles them.

use std::collections::VecDeque;
use std::time::Duration;

use prunella_core::frame::{FrameKey, ReplayWindow};
use prunella_core::gossip::{Gate, Moment, Said};
use prunella_core::limits::{CONTROL_RATE_PER_SECOND, DIAL_TIMEOUT};
use prunella_core::wire::{Control, codec};
use prunella_core::wiring::Route;
use prunella_core::{Instant, LinkId, Rejected, gossip, peer};

use crate::config::Bug;
use crate::event::Event;
use crate::host::Link;
use crate::world::World;

/// Control messages under way on one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    /// By the receiving host: messages in the order in which they were sent.
    waiting: [(usize, VecDeque<Vec<u8>>); 2],
    /// By the receiving host: what its neighbor's messages have to pass.
    gates: [(usize, Gate); 2],
}

impl Connection {
    fn waiting_for(&mut self, host: usize) -> Option<&mut VecDeque<Vec<u8>>> {
        self.waiting.iter_mut().find(|(to, _)| *to == host).map(|(_, queue)| queue)
    }

    fn gate_of(&mut self, host: usize) -> Option<&mut Gate> {
        self.gates.iter_mut().find(|(to, _)| *to == host).map(|(_, gate)| gate)
    }
}

impl World {
    /// Begins a handshake.
    pub(crate) fn dial(&mut self, from: usize, to: usize) {
        let handshake = self.network.latency(from, to) * 3;
        let until = self.now + DIAL_TIMEOUT;
        let life = self.hosts[from].life;
        self.queue.push(self.now + handshake, Event::Dial { from, life, to, until });
    }

    /// Completes a handshake, tries again as long as its packets are lost, or gives up.
    pub(crate) fn on_dial(&mut self, from: usize, life: u64, to: usize, until: Instant) {
        if self.hosts[from].life != life || self.hosts[from].process.is_none() {
            return;
        }
        if self.network.passes_both(from, to) && self.hosts[to].is_running() {
            if self.keeps_old(from, to, from) || self.keeps_old(to, from, from) {
                self.queue.push(self.now, Event::DialFailed { from, life, to });
            } else {
                self.connect(from, to);
            }
        } else if self.now >= until {
            self.queue.push(self.now, Event::DialFailed { from, life, to });
        } else {
            self.queue.push(self.now + RETRANSMIT, Event::Dial { from, life, to, until });
        }
    }

    /// Tells the roles that a dial failed.
    pub(crate) fn on_dial_failed(&mut self, from: usize, life: u64, to: usize) {
        if self.hosts[from].life == life {
            let peer = self.hosts[to].peer_id();
            self.tell(from, Route::Peer(peer, peer::Input::DialFailed));
        }
    }

    /// Whether the end at `host` keeps the link that it has with `peer` when `dialer` has dialed another.
    fn keeps_old(&self, host: usize, peer: usize, dialer: usize) -> bool {
        let preferred = self.is_preferred(dialer, if dialer == host { peer } else { host });
        let same_life = |link: &Link| link.peer_life == self.hosts[peer].life;
        self.hosts[host].link_to(peer).is_some_and(|(_, old)| same_life(old) && old.preferred && !preferred)
    }

    fn is_preferred(&self, dialer: usize, acceptor: usize) -> bool {
        self.hosts[dialer].peer_id() < self.hosts[acceptor].peer_id()
    }

    fn connect(&mut self, from: usize, to: usize) {
        self.conns_ever += 1;
        let conn = self.conns_ever;
        let queues = [(from, VecDeque::new()), (to, VecDeque::new())];
        let gates = [from, to].map(|host| (host, Gate::greeted(CONTROL_RATE_PER_SECOND, self.now)));
        self.conns.insert(conn, Connection { waiting: queues, gates });
        let preferred = self.is_preferred(from, to);
        let keys = [self.draw_key(), self.draw_key()];
        for (host, peer, keys) in [(from, to, [keys[0], keys[1]]), (to, from, [keys[1], keys[0]])] {
            if let Some((old, _)) = self.hosts[host].link_to(peer) {
                self.drop_link(host, old);
            }
            self.establish(host, peer, Ends { conn, preferred, keys });
        }
    }

    fn establish(&mut self, host: usize, peer: usize, ends: Ends) {
        let peer_life = self.hosts[peer].life;
        let [send, receive] = ends.keys;
        let at = &mut self.hosts[host];
        let (id, label) = (at.next_link(), at.label(peer));
        let link = Link {
            conn: ends.conn,
            peer,
            peer_life,
            label,
            usable: true,
            preferred: ends.preferred,
            answered: self.now,
            asked: None,
            carried: false,
            send_key: FrameKey::from_bytes(send),
            receive_key: FrameKey::from_bytes(receive),
            window: ReplayWindow::new(),
            sequence: 0,
        };
        at.links.insert(id, link);
        let told = match self.config.bug {
            Some(Bug::SwappedLabels) => at.wrong_label(peer).unwrap_or(label),
            _ => label,
        };
        let input = peer::Input::LinkEstablished { link: id, label: told };
        let peer = self.hosts[peer].peer_id();
        self.tell(host, Route::Peer(peer, input));
        self.check_routes();
    }

    /// Ends this host's end of a link, as its own shell does when it closes it.
    pub(crate) fn close(&mut self, host: usize, id: LinkId) {
        let Some(link) = self.hosts[host].links.get(&id) else { return };
        let (conn, peer) = (link.conn, link.peer);
        self.queue.push(self.now, Event::Closed { conn, at: host });
        // The farewell is a single packet: if it is lost, the other end finds out by itself.
        if let Some(takes) = self.network.carry(host, peer) {
            self.queue.push(self.now + takes, Event::Closed { conn, at: peer });
        }
    }

    /// An end of a connection is over.
    pub(crate) fn on_closed(&mut self, conn: u64, at: usize) {
        if let Some(id) = self.hosts[at].link_of(conn) {
            self.drop_link(at, id);
        }
    }

    fn drop_link(&mut self, host: usize, id: LinkId) {
        let Some(link) = self.hosts[host].links.remove(&id) else { return };
        self.conns.remove(&link.conn);
        let peer = self.hosts[link.peer].peer_id();
        self.tell(host, Route::Peer(peer, peer::Input::LinkClosed { link: id }));
        self.check_routes();
    }

    /// Queues a control message on the link to a neighbor; without a link it is dropped, as by the real shell.
    pub(crate) fn send_control(&mut self, from: usize, to: usize, control: &Control) {
        let repairs = matches!(control, Control::Reconcile(_) | Control::Give(_));
        if repairs && self.config.bug == Some(Bug::NoAntiEntropy) {
            return;
        }
        let Some((_, link)) = self.hosts[from].link_to(to) else { return };
        let conn = link.conn;
        let Some(queue) = self.conns.get_mut(&conn).and_then(|c| c.waiting_for(to)) else { return };
        queue.push_back(codec::encode_message(control));
        let takes = self.network.latency(from, to);
        self.queue.push(self.now + takes, Event::Control { conn, to });
    }

    /// Delivers the oldest waiting message; a stream sends again what is lost, so it only comes later.
    pub(crate) fn on_control(&mut self, conn: u64, to: usize) {
        let Some(id) = self.hosts[to].link_of(conn) else { return };
        let from = self.hosts[to].links[&id].peer;
        if !self.network.passes(from, to) {
            return self.queue.push(self.now + RETRANSMIT, Event::Control { conn, to });
        }
        let Some(connection) = self.conns.get_mut(&conn) else { return };
        let Some(bytes) = connection.waiting_for(to).and_then(VecDeque::pop_front) else { return };
        let Some(gate) = connection.gate_of(to) else { return };
        let at = Moment { now: self.now, unix_ms: self.hosts[to].unix_ms(self.now) };
        let heard = gate.read(&bytes, at, &mut self.hosts[to].known);
        let from = self.hosts[from].peer_id();
        match heard {
            Ok(Said::Message { message, bad }) => {
                // Honest nodes may repeat themselves.
                if let Some(reason) = bad.iter().find(|reason| **reason != Rejected::Replayed) {
                    self.fail(format!("an honest node's record was rejected by node {to}: {reason}"));
                }
                self.tell(to, Route::Gossip(gossip::Input::Heard { from, message }));
            }
            Ok(Said::Hello { .. }) => {}
            Err(reason) => self.fail(format!("an honest node's message was rejected by node {to}: {reason}")),
        }
    }

    fn draw_key(&mut self) -> [u8; 16] {
        let words = [self.rng.next_u64().to_le_bytes(), self.rng.next_u64().to_le_bytes()];
        std::array::from_fn(|i| words[i / 8][i % 8])
    }
}

/// What both ends of a new connection agree on; the keys are for sending and for receiving.
struct Ends {
    conn: u64,
    preferred: bool,
    keys: [[u8; 16]; 2],
}

/// How soon a transport sends again what was lost.
const RETRANSMIT: Duration = Duration::from_millis(200);
