//! Exposed services at the node's overlay address: programs that know no Prunella reach them there, at their own ports.
//!
//! A service's target may be anything that this node can dial, an IPv4 address too; what other nodes see is IPv6. Whoever
//! connects has proven its address by its tunnel, so the policy decides as it does for streams.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prunella_core::limits::SERVICES_PER_NODE_MAX;
use prunella_core::wire::StreamOpen;
use prunella_core::{PeerId, Tag};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use super::carry::{abort, carry_locally};
use super::services::{Services, dial};
use super::session::Gate;
use super::tunnels::FindHook;
use crate::host::next_connection;

/// The ports at which services are open at the overlay address.
#[derive(Debug, Default)]
pub struct Doors {
    open: Mutex<BTreeMap<u16, String>>,
}

impl Doors {
    /// All of them, by port.
    pub fn all(&self) -> BTreeMap<u16, String> {
        self.lock().clone()
    }

    /// The service behind a port.
    pub fn service_at(&self, port: u16) -> Option<String> {
        self.lock().get(&port).cloned()
    }

    /// Opens a door for each exposed service whose port is free at `address`, and closes those of services that are exposed
    /// no more, for as long as it is polled. `find` tells who an address belongs to.
    pub async fn keep(self: Arc<Self>, address: Ipv6Addr, services: Services, gate: Arc<dyn Gate>, find: FindHook) {
        // They end with this task.
        let mut tasks = JoinSet::new();
        let mut running: BTreeMap<(u16, String), AbortHandle> = BTreeMap::new();
        let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let wanted: BTreeMap<u16, (String, String)> = services
                .exposed()
                .into_iter()
                .rev()
                .filter_map(|(name, target)| Some((port_of(&target)?, (name, target))))
                .collect();
            running.retain(|(port, target), task| {
                let stays = wanted.get(port).is_some_and(|(_, now)| now == target) && !task.is_finished();
                if !stays {
                    task.abort();
                    self.lock().remove(port);
                }
                stays
            });
            for (port, (name, target)) in wanted {
                let key = (port, target.clone());
                if running.contains_key(&key) {
                    self.lock().insert(port, name);
                    continue;
                }
                // Somebody listens there already, perhaps the service itself: then it is reached without a door.
                let Ok(listener) = TcpListener::bind(SocketAddr::from((address, port))).await else { continue };
                self.lock().insert(port, name);
                let door = Door { doors: self.clone(), gate: gate.clone(), find: find.clone(), port, target };
                running.insert(key, tasks.spawn(door.stand_open(listener, places.clone())));
            }
            while tasks.try_join_next().is_some() {}
            services.changed(LOOK_AGAIN).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u16, String>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One port.
struct Door {
    doors: Arc<Doors>,
    gate: Arc<dyn Gate>,
    find: FindHook,
    port: u16,
    target: String,
}

impl Door {
    async fn stand_open(self, listener: TcpListener, places: Arc<Semaphore>) {
        let door = Arc::new(self);
        let mut carried = JoinSet::new();
        loop {
            let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
            let (tcp, from) = next_connection(&listener, "the overlay address").await;
            while carried.try_join_next().is_some() {}
            let door = door.clone();
            carried.spawn(async move {
                door.carry(tcp, from).await;
                drop(place);
            });
        }
    }

    async fn carry(&self, near: TcpStream, from: SocketAddr) {
        let Some((peer, name)) = self.peer_at(from).zip(self.doors.service_at(self.port)) else { return abort(near) };
        let pass = match self.gate.decide(peer, &StreamOpen::Service { name }) {
            Ok(pass) => pass,
            Err(reason) => {
                tracing::debug!(peer = %peer.short(), %reason, "a connection at the overlay address was refused");
                return abort(near);
            }
        };
        let Ok(far) = dial(&self.target).await else { return abort(near) };
        if let Err(error) = carry_locally(near, far, &pass).await {
            tracing::debug!(peer = %peer.short(), %error, "a connection at the overlay address was aborted");
        }
    }

    fn peer_at(&self, from: SocketAddr) -> Option<PeerId> {
        let IpAddr::V6(v6) = from.ip() else { return None };
        (self.find)(Tag::from_address(&v6)?)
    }
}

fn port_of(target: &str) -> Option<u16> {
    target.rsplit_once(':')?.1.parse().ok()
}

/// Connections over all doors at once.
const CONNECTIONS_MAX: usize = 64 * SERVICES_PER_NODE_MAX;
/// A port that was taken may become free.
const LOOK_AGAIN: Duration = Duration::from_secs(5);
