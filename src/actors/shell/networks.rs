//! Networks behind nodes: which of those that others announce this node sends packets to, and over whom.
//!
//! ```text
//!   node records, policy, quarantine, links ── changed ──> judge: refused, or not
//!   members, what can be reached ─────────── each second ──> choose: the first that is there
//!                                                              │ differences
//!                              overlay interface (tables) <────┴────> the machine's routes
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prunella_core::limits::{RECONSIDERED_AT_ONCE_MAX, ROUTES_MAX};
use prunella_core::membership::Status;
use prunella_core::overlay::Prefix;
use prunella_core::{PeerId, Tag};
use ractor::rpc::CallResult;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use super::Shell;
use crate::actors::event_log::Event;
use crate::datapath::{self, Overlay, is_forwarding};
use crate::messages::{Mail, PathfinderQuery};
use crate::policy::{Action, Request};

/// What has become of networks that other nodes announce.
#[derive(Debug, Default)]
pub struct Networks {
    now: Mutex<Now>,
    changed: Notify,
}

/// What holds now.
#[derive(Debug, Default)]
struct Now {
    shown: Vec<NetworkRoute>,
    /// How many were refused beyond those that are shown.
    unshown: usize,
    /// Over whom each network is reached.
    used: BTreeMap<Prefix, PeerId>,
    /// The address from which this machine sends to networks of IPv4.
    own_v4: Option<Ipv4Addr>,
    /// Those for which the machine has a route.
    routed: BTreeSet<Prefix>,
    /// Why the machine has none.
    unrouted: BTreeMap<Prefix, String>,
}

/// A network that another node announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkRoute {
    /// The network.
    pub prefix: Prefix,
    /// Who announces it.
    pub node: PeerId,
    /// What becomes of it.
    pub state: NetworkState,
    /// The rules that led to it, or what is in the way.
    pub reason: String,
}

/// What becomes of a network that another node announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NetworkState {
    /// Packets for it are sent to that node.
    Used,
    /// Another node before the same network is sent them.
    Spare,
    /// The node cannot be reached.
    Away,
    /// This node does not believe it.
    Refused,
}

impl NetworkState {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            NetworkState::Used => "used",
            NetworkState::Spare => "spare",
            NetworkState::Away => "away",
            NetworkState::Refused => "refused",
        }
    }
}

impl Networks {
    /// Something has changed that matters for them.
    pub(super) fn changed(&self) {
        self.changed.notify_one();
    }

    /// Those that are told, by network and node, and how many more were refused.
    pub fn shown(&self) -> (Vec<NetworkRoute>, usize) {
        let now = self.now();
        (now.shown.clone(), now.unshown)
    }

    /// Networks for which the machine has no route although they are reached, with the reason.
    pub fn unrouted(&self) -> Vec<(Prefix, String)> {
        self.now().unrouted.iter().map(|(prefix, reason)| (*prefix, reason.clone())).collect()
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps up with what other nodes announce, for as long as it is polled.
pub async fn keep_networks(shell: Arc<Shell>, overlay: Arc<Overlay>) {
    loop {
        let remotes = shell.links().addresses();
        let judged = shell.judge_networks(&remotes).await;
        let is_any_accepted = judged.iter().any(|route| route.state != NetworkState::Refused);
        loop {
            let reachable = if is_any_accepted { shell.reachable().await } else { None };
            shell.use_networks(&overlay, judged.clone(), reachable.as_ref());
            tokio::select! {
                () = shell.networks.changed.notified() => break,
                // Neighbors come, go and roam.
                () = sleep(LOOK_EVERY), if !judged.is_empty() => if shell.links().addresses() != remotes { break },
            }
        }
        // However often something changes, others have their turn.
        sleep(BREATH).await;
    }
}

impl Shell {
    /// The networks that this node announces: without an interface it passes nothing on.
    pub fn announced(&self) -> Vec<Prefix> {
        if self.config.tun.device.is_empty() { Vec::new() } else { self.config.tun.announced() }
    }

    /// What an operator has to do before what is announced can be reached.
    pub fn network_warnings(&self) -> Vec<String> {
        let announced = self.announced();
        let off =
            |is_v6: bool| announced.iter().any(|prefix| prefix.is_v6() == is_v6) && is_forwarding(is_v6) == Some(false);
        let advice = [(true, "net.ipv6.conf.all.forwarding"), (false, "net.ipv4.ip_forward")];
        let (now, has_v4) = (self.networks.now(), announced.iter().any(|prefix| !prefix.is_v6()));
        let is_without = has_v4 && now.own_v4.is_none() && now.used.keys().any(|prefix| !prefix.is_v6());
        let without = "this machine has no address in a network of IPv4 that it announces: hosts there reach other \
                       networks, its own programs do not";
        advice
            .into_iter()
            .filter(|(is_v6, _)| off(*is_v6))
            .map(|(is_v6, key)| {
                let family = if is_v6 { "IPv6" } else { "IPv4" };
                format!("this machine forwards no {family}, so nobody reaches what is announced: `sysctl -w {key}=1`")
            })
            .chain(is_without.then(|| without.to_owned()))
            .collect()
    }

    /// Everything that others announce: refused, or not.
    async fn judge_networks(&self, remotes: &[(PeerId, SocketAddr)]) -> Vec<NetworkRoute> {
        let (me, own) = (self.credentials.peer(), self.announced());
        let all = self.known.announcers().into_iter().filter(|(peer, _)| *peer != me);
        let all: Vec<(PeerId, Prefix)> =
            all.flat_map(|(peer, announced)| announced.into_iter().map(move |prefix| (peer, prefix))).collect();
        let (mut judged, mut accepted) = (Vec::new(), 0);
        for portion in all.chunks(RECONSIDERED_AT_ONCE_MAX) {
            for &(node, prefix) in portion {
                let verdict = self.judge_network(node, prefix, &own, remotes).and_then(|rules| {
                    accepted += 1;
                    if accepted > ROUTES_MAX { Err(format!("there are {ROUTES_MAX} others")) } else { Ok(rules) }
                });
                let (state, reason) = match verdict {
                    Ok(rules) => (NetworkState::Used, rules),
                    Err(reason) => (NetworkState::Refused, reason),
                };
                judged.push(NetworkRoute { prefix, node, state, reason });
            }
            tokio::task::yield_now().await;
        }
        judged
    }

    /// The rules that allow a node to announce a network.
    ///
    /// # Errors
    /// Why this node does not believe it.
    fn judge_network(
        &self,
        node: PeerId,
        prefix: Prefix,
        own: &[Prefix],
        remotes: &[(PeerId, SocketAddr)],
    ) -> Result<String, String> {
        if self.roster.quarantine.contains(&node) {
            return Err("quarantine".to_owned());
        }
        if own.contains(&prefix) {
            return Err("this node announces it itself".to_owned());
        }
        if !prefix.is_v6() && own.iter().all(Prefix::is_v6) {
            return Err(
                "this node announces no network of IPv4, so it has no address from which to send there".to_owned()
            );
        }
        let name = prefix.to_string();
        let request = Request { from: node, action: Action::Route { prefix: &name } };
        let verdict = self.policing.in_force().engine.decide(&request, self);
        if !verdict.allowed {
            return Err(verdict.names());
        }
        match remotes.iter().find(|(_, remote)| prefix.contains(remote.ip().to_canonical())) {
            None => Ok(verdict.names()),
            Some((peer, remote)) => Err(format!(
                "it holds {}, where {} is a neighbor: frames to it would go round in circles",
                remote.ip().to_canonical(),
                self.known.name(peer)
            )),
        }
    }

    /// Whom paths lead to, as far as anybody knows; `None` if nobody answers.
    async fn reachable(&self) -> Option<BTreeMap<PeerId, usize>> {
        let actor = self.directory.pathfinder()?;
        let asked = actor.call(|reply| Mail::Query(PathfinderQuery::Reachable(reply)), Some(CALL_PATIENCE));
        match timeout(CALL_PATIENCE, asked).await {
            Ok(Ok(CallResult::Success(reachable))) => Some(reachable),
            _ => None,
        }
    }

    /// Chooses over whom each network is reached, and makes it so.
    fn use_networks(
        &self,
        overlay: &Overlay,
        mut judged: Vec<NetworkRoute>,
        reachable: Option<&BTreeMap<PeerId, usize>>,
    ) {
        let ill = self.known.ill();
        let is_away = |node: &PeerId| {
            ill.get(node) == Some(&Status::Down) || reachable.is_some_and(|reachable| !reachable.contains_key(node))
        };
        choose(&mut judged, is_away);
        let (mut there, mut used): (BTreeMap<Prefix, Vec<Tag>>, BTreeMap<Prefix, PeerId>) = Default::default();
        for route in &judged {
            if matches!(route.state, NetworkState::Used | NetworkState::Spare) {
                there.entry(route.prefix).or_default().push(route.node.tag());
            }
            if route.state == NetworkState::Used {
                used.insert(route.prefix, route.node);
            }
        }
        let own = self.announced();
        let own_v4 = own.iter().find_map(own_address_in);
        let mut now = self.networks.now();
        let is_moved = std::mem::replace(&mut now.own_v4, own_v4) != own_v4;
        let is_over = |prefix: &Prefix| !used.contains_key(prefix) || (is_moved && !prefix.is_v6());
        // The machine sends nothing here for which there is no node, before and after.
        for prefix in now.routed.clone().into_iter().filter(is_over) {
            if let Err(error) = overlay.set_route(&prefix, None, false) {
                tracing::debug!(%prefix, %error, "a route to a network was gone already");
            }
            now.routed.remove(&prefix);
        }
        overlay.set_networks(datapath::Networks::new(&own, there.into_iter().collect(), own_v4));
        now.unrouted.clear();
        for prefix in used.keys() {
            let source = if prefix.is_v6() { Some(IpAddr::V6(overlay.address())) } else { own_v4.map(IpAddr::V4) };
            let added = if now.routed.contains(prefix) { Ok(()) } else { overlay.set_route(prefix, source, true) };
            match added {
                Ok(()) => now.routed.insert(*prefix),
                Err(error) => now.unrouted.insert(*prefix, error.to_string()).is_some(),
            };
        }
        let before = std::mem::replace(&mut now.used, used.clone());
        let (shown, refused): (Vec<_>, Vec<_>) =
            judged.into_iter().partition(|route| route.state != NetworkState::Refused);
        now.unshown = refused.len().saturating_sub(ROUTES_MAX);
        now.shown = shown.into_iter().chain(refused.into_iter().take(ROUTES_MAX)).collect();
        now.shown.sort_by_key(|route| (route.prefix, route.state, route.node));
        drop(now);
        self.tell_networks(&before, &used);
    }

    fn tell_networks(&self, before: &BTreeMap<Prefix, PeerId>, now: &BTreeMap<Prefix, PeerId>) {
        for (prefix, peer) in before.iter().filter(|(prefix, _)| !now.contains_key(prefix)) {
            tracing::info!(%prefix, peer = %peer.short(), "a network is reached no more");
            self.tell(Event::NetworkLost { prefix: prefix.to_string(), peer: *peer });
        }
        for (prefix, peer) in now.iter().filter(|(prefix, peer)| before.get(prefix) != Some(peer)) {
            tracing::info!(%prefix, peer = %peer.short(), "a network is reached over a node");
            self.tell(Event::NetworkReached { prefix: prefix.to_string(), peer: *peer });
        }
    }
}

/// Of those that announce the same network and are not refused, the first that is there is used: the one of the lowest id,
/// so that every choice can be told beforehand. The others follow in their order.
fn choose(judged: &mut [NetworkRoute], is_away: impl Fn(&PeerId) -> bool) {
    judged.sort_by_key(|route| (route.prefix, route.node));
    let mut chosen: Option<Prefix> = None;
    for route in judged.iter_mut().filter(|route| route.state != NetworkState::Refused) {
        route.state = if is_away(&route.node) {
            NetworkState::Away
        } else if chosen.replace(route.prefix) == Some(route.prefix) {
            NetworkState::Spare
        } else {
            NetworkState::Used
        };
    }
}

/// This machine's address in a network of IPv4, if it has one there: from which it sends to others.
fn own_address_in(prefix: &Prefix) -> Option<Ipv4Addr> {
    let IpAddr::V4(first) = prefix.address() else { return None };
    // Connecting a UDP socket sends nothing: it only asks the system which address it would use.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    let towards = if prefix.length() >= 31 { first } else { Ipv4Addr::from_bits(first.to_bits() + 1) };
    socket.connect((towards, 9)).ok()?;
    match socket.local_addr().ok()?.ip() {
        IpAddr::V4(own) if prefix.contains(IpAddr::V4(own)) => Some(own),
        _ => None,
    }
}

/// Whether nodes can be reached is looked at this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two rounds.
const BREATH: Duration = Duration::from_millis(100);
const CALL_PATIENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_that_is_there_is_used_and_the_others_are_spare() {
        let mut nodes = [1, 2, 3, 4].map(|byte| PeerId::from_public_key([byte; 32]));
        nodes.sort();
        let route = |prefix: &str, node: PeerId| NetworkRoute {
            prefix: prefix.parse().unwrap(),
            node,
            state: NetworkState::Used,
            reason: String::new(),
        };
        let refused = NetworkRoute { state: NetworkState::Refused, ..route("10.20.0.0/16", nodes[0]) };
        let all = [route("10.20.0.0/16", nodes[3]), route("10.20.0.0/16", nodes[2]), refused]
            .into_iter()
            .chain([route("10.20.0.0/16", nodes[1]), route("fd00:20::/64", nodes[3])]);
        let mut judged: Vec<NetworkRoute> = all.collect();
        let states = |judged: &[NetworkRoute]| judged.iter().map(|route| route.state).collect::<Vec<_>>();
        use NetworkState::{Away, Refused, Spare, Used};
        choose(&mut judged, |_| false);
        assert_eq!(states(&judged), [Refused, Used, Spare, Spare, Used]);
        choose(&mut judged, |node| *node == nodes[1]);
        assert_eq!(states(&judged), [Refused, Away, Used, Spare, Used]);
        choose(&mut judged, |_| true);
        assert_eq!(states(&judged), [Refused, Away, Away, Away, Away]);
        choose(&mut judged, |_| false);
        assert_eq!(states(&judged)[1], Used, "it is as it was when all of them are back");
    }

    #[test]
    fn a_machine_knows_its_address_in_a_network() {
        assert_eq!(own_address_in(&"127.0.0.0/8".parse().unwrap()), Some(Ipv4Addr::LOCALHOST));
        assert_eq!(own_address_in(&"203.0.113.0/24".parse().unwrap()), None);
        assert_eq!(own_address_in(&"fd00:20::/64".parse().unwrap()), None);
    }
}
