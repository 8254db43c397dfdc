//! Dials, links and control messages, as the transport of a real node handles them.

use std::collections::VecDeque;
use std::time::Duration;

use prunella_core::frame::{FrameKey, ReplayWindow};
use prunella_core::gossip::{Gate, Moment, Parting, Said};
use prunella_core::limits::{CONTROL_MESSAGE_BYTES_MAX, CONTROL_QUEUE_MAX, CONTROL_RATE_PER_SECOND, DIAL_TIMEOUT};
use prunella_core::wire::{Control, codec};
use prunella_core::wiring::Route;
use prunella_core::{Instant, LinkId, Rejected, gossip, ledger, peer, rebalancer};

use crate::config::Bug;
use crate::event::Event;
use crate::host::Link;
use crate::lie::{Taken, Utterance};
use crate::network::{Fate, RETRANSMIT};
use crate::sampling::Carriage;
use crate::world::World;

/// Control messages under way on one connection.
#[derive(Debug)]
pub(crate) struct Connection {
    streams: [Stream; 2],
}

/// One direction of a control stream.
#[derive(Debug)]
struct Stream {
    /// The receiving host.
    to: usize,
    /// Messages in the order in which they were sent.
    waiting: VecDeque<Utterance>,
    /// When the last one of them arrives: none overtakes another.
    due: Instant,
}

impl Stream {
    fn new(to: usize) -> Self {
        Self { to, waiting: VecDeque::new(), due: Instant::BOOT }
    }
}

impl Connection {
    fn towards(&mut self, host: usize) -> Option<&mut Stream> {
        self.streams.iter_mut().find(|stream| stream.to == host)
    }

    /// The most messages that wait in one direction.
    pub(crate) fn waiting(&self) -> usize {
        self.streams.iter().map(|stream| stream.waiting.len()).max().unwrap_or_default()
    }
}

impl World {
    /// Begins a handshake.
    pub(crate) fn dial(&mut self, from: usize, to: usize) {
        // As the real transport: one dial per neighbor at a time, so that two of a node's own cannot replace each other.
        if !self.hosts[from].dialing.insert(to) {
            let life = self.hosts[from].life;
            return self.queue.push(self.now, Event::DialFailed { from, life, to });
        }
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
            self.hosts[from].dialing.remove(&to);
            if self.keeps_old(from, to, from) || self.keeps_old(to, from, from) {
                self.queue.push(self.now, Event::DialFailed { from, life, to });
            } else {
                self.connect(from, to);
            }
        } else if self.now >= until {
            self.hosts[from].dialing.remove(&to);
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
        self.conns.insert(conn, Connection { streams: [Stream::new(from), Stream::new(to)] });
        let preferred = self.is_preferred(from, to);
        let keys = [self.draw_key(), self.draw_key()];
        for (host, peer, keys) in [(from, to, [keys[0], keys[1]]), (to, from, [keys[1], keys[0]])] {
            // As the real transport: the end of a replaced link is told after the beginning of its successor, or it would
            // look as if the neighbor were gone.
            let old = self.hosts[host].link_to(peer).map(|(old, _)| old);
            self.establish(host, peer, Ends { conn, preferred, keys });
            if let Some(old) = old {
                self.drop_link(host, old);
            }
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
            carriage: Carriage::default(),
            // The handshake stands for the greetings.
            gate: Gate::greeted(CONTROL_RATE_PER_SECOND, self.now),
            rejected_in_row: 0,
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
        self.send_datagram(host, peer, FAREWELL_BYTES, |_| Event::Closed { conn, at: peer });
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

    /// Queues a control message on the link to a neighbor; without a link, or when too many wait, it is dropped, as by
    /// the real shell.
    pub(crate) fn send_control(&mut self, from: usize, to: usize, control: &Control) {
        let repairs = matches!(control, Control::Reconcile(_) | Control::Give(_));
        if repairs && self.config.bug == Some(Bug::NoAntiEntropy) {
            return;
        }
        let bytes = codec::encode_message(control);
        if bytes.len() > CONTROL_MESSAGE_BYTES_MAX {
            return self.fail(format!("node {from} wants to send a message of {} bytes", bytes.len()));
        }
        let own = self.note_said(from, control);
        if self.send_bytes(from, to, Utterance::honestly(bytes)) {
            self.registry.note_told(own);
        }
    }

    /// Queues what is said, true or not, on the link to a neighbor; false if there is no link, or no room.
    pub(crate) fn send_bytes(&mut self, from: usize, to: usize, said: Utterance) -> bool {
        let Some((_, link)) = self.hosts[from].link_to(to) else { return false };
        let conn = link.conn;
        let takes = self.network.stream(from, to, said.bytes.len(), self.now);
        let Some(stream) = self.conns.get_mut(&conn).and_then(|c| c.towards(to)) else { return false };
        if stream.waiting.len() >= CONTROL_QUEUE_MAX && said.is_honest() {
            return false;
        }
        stream.waiting.push_back(said);
        stream.due = stream.due.max(self.now + takes);
        self.queue.push(stream.due, Event::Control { conn, to });
        true
    }

    /// Delivers the oldest waiting message; a stream sends again what is lost, so it only comes later.
    pub(crate) fn on_control(&mut self, conn: u64, to: usize) {
        let Some(id) = self.hosts[to].link_of(conn) else { return };
        let from = self.hosts[to].links[&id].peer;
        if !self.network.passes(from, to) {
            return self.queue.push(self.now + RETRANSMIT, Event::Control { conn, to });
        }
        let Some(said) = self.conns.get_mut(&conn).and_then(|c| c.towards(to)?.waiting.pop_front()) else { return };
        if let Some(liar) = self.liars.iter_mut().find(|liar| liar.host == to) {
            liar.overhear(&said.bytes);
        }
        let taken = self.take_message(from, to, id, &said.bytes);
        self.judge_taken(from, to, &said, &taken);
        let in_row = self.hosts[to].links.get(&id).map_or(0, |link| link.rejected_in_row);
        if taken == Taken::Unframed || in_row >= REJECTED_IN_ROW_MAX {
            // Where the next message starts is unknown, or the neighbor is taken for broken.
            self.close(to, id);
        }
    }

    /// What a shell does with a message: the gossip role hears what the gate lets through of it, and why the rest was
    /// turned away.
    fn take_message(&mut self, from: usize, to: usize, id: LinkId, bytes: &[u8]) -> Taken {
        let at = Moment { now: self.now, unix_ms: self.hosts[to].unix_ms(self.now) };
        let Some(link) = self.hosts[to].links.get_mut(&id) else { return Taken::Heard(Vec::new()) };
        if bytes.len() > CONTROL_MESSAGE_BYTES_MAX {
            self.blame(from, to, Rejected::OverLimit);
            return Taken::Unframed;
        }
        match link.gate.read(bytes, at, &mut self.known) {
            Ok(Said::Message { message, bad }) => {
                link.rejected_in_row = 0;
                bad.iter().for_each(|reason| self.blame(from, to, *reason));
                let from = self.hosts[from].peer_id();
                self.tell(to, Route::Gossip(gossip::Input::Heard { from, message }));
                Taken::Heard(bad)
            }
            Ok(Said::Parting(parting)) => {
                let peer = self.hosts[from].peer_id();
                let heard = match parting {
                    Parting::Asked => rebalancer::Input::PartingAsked { peer },
                    Parting::Declined => rebalancer::Input::PartingDeclined { peer },
                };
                self.tell(to, Route::Rebalancer(heard));
                Taken::Heard(Vec::new())
            }
            Ok(Said::Ledger(message)) => {
                let from = self.hosts[from].peer_id();
                self.tell(to, Route::Ledger(ledger::Input::Heard { from, message }));
                Taken::Heard(Vec::new())
            }
            Ok(Said::Hello { .. }) => Taken::Heard(Vec::new()),
            Err(reason) => {
                let flood = reason == Rejected::Flood;
                link.rejected_in_row += u32::from(!flood);
                self.blame(from, to, reason);
                if flood { Taken::TooFast } else { Taken::Refused(reason) }
            }
        }
    }

    /// Tells the gossip role that something of a neighbor's was turned away, unless it has been told too much of that.
    fn blame(&mut self, from: usize, to: usize, reason: Rejected) {
        let now = self.now;
        if self.hosts[to].blame.take(now) {
            let from = self.hosts[from].peer_id();
            self.tell(to, Route::Gossip(gossip::Input::Rejected { from, reason }));
        }
    }

    /// Wires carry as much as is sent from now on: what waits in front of them arrives soon.
    pub(crate) fn hurry(&mut self) {
        for (conn, connection) in &mut self.conns {
            for stream in &mut connection.streams {
                stream.due = self.now + HURRY;
                for _ in 0..stream.waiting.len() {
                    self.queue.push(stream.due, Event::Control { conn: *conn, to: stream.to });
                }
            }
        }
    }

    /// Sends a datagram; `arrival` makes the event of each of its arrivals, from whether it is a copy.
    pub(crate) fn send_datagram(&mut self, from: usize, to: usize, bytes: usize, arrival: impl Fn(bool) -> Event) {
        self.datagrams += 1;
        match self.network.carry(from, to, bytes, self.datagrams, self.now) {
            Fate::Lost => {}
            Fate::Held => {
                self.held.insert(self.datagrams, arrival(false));
            }
            Fate::Arrives(times) => {
                for (nth, takes) in times.into_iter().enumerate() {
                    self.queue.push(self.now + takes, arrival(nth > 0));
                }
            }
        }
    }

    /// Lets go what a clog held back.
    pub(crate) fn unclog(&mut self, from: usize, to: usize) {
        let takes = self.network.latency(from, to);
        for number in self.network.unclog(from, to) {
            let event = self.held.remove(&number).expect("BUG: what is held is kept");
            self.queue.push(self.now + takes, event);
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

/// Rejected messages in a row after which a real transport closes a link.
const REJECTED_IN_ROW_MAX: u32 = 32;
/// About how long the packet is that closes a connection.
const FAREWELL_BYTES: usize = 40;
/// How long it takes what waits in front of a wire that has become wide.
const HURRY: Duration = Duration::from_millis(50);
