//! The kernel's side: a TUN device.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use prunella_core::overlay::Prefix;
use route_manager::{Route, RouteManager};
use tun_rs::{AsyncDevice, DeviceBuilder};

use super::super::threads::Threads;

/// One queue of an interface that hands over IP packets and takes them. Before each stands what is left to do on it
/// ([`Offload`](prunella_core::overlay::Offload)).
pub trait Interface: fmt::Debug + Send + Sync + 'static {
    /// Receives one packet.
    ///
    /// # Errors
    /// If the interface is gone.
    fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Gives one packet to the machine.
    ///
    /// # Errors
    /// If it cannot take it now, or does not take such a packet.
    fn try_send(&self, packet: &[u8]) -> io::Result<()>;

    /// Has the machine send packets for a network here, from `source` if they are its own; or no more. It forgets by itself
    /// when the interface goes.
    ///
    /// # Errors
    /// If it refuses, as when another route has the same place.
    fn set_route(&self, prefix: &Prefix, source: Option<IpAddr>, is_routed: bool) -> io::Result<()>;
}

/// An interface as a node wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceSetup {
    /// Its name; at most 15 bytes.
    pub name: String,
    /// Its address.
    pub address: Ipv6Addr,
    /// How many bits of it all nodes have in common: packets to these go to the interface.
    pub prefix: u8,
    /// The longest packet that it hands over, in bytes.
    pub mtu: u16,
    /// How many queues it has.
    pub queues: usize,
}

/// Opens a TUN device with segmentation and checksum offload. Each queue is to be read by the thread of its number.
///
/// # Errors
/// If the device cannot be made: it takes the capability `CAP_NET_ADMIN`, and `/dev/net/tun`.
pub fn open_interface(setup: &InterfaceSetup, threads: &Threads) -> io::Result<Vec<Arc<dyn Interface>>> {
    let InterfaceSetup { name, address, prefix, mtu, queues } = setup;
    let is_multi_queue = *queues > 1;
    let entered = threads.of(0).enter();
    let device = DeviceBuilder::new()
        .name(name)
        .mtu(*mtu)
        .ipv6(*address, *prefix)
        .offload(true)
        .multi_queue(is_multi_queue)
        .build_async()?;
    drop(entered);
    await_address(*address);
    let index = device.if_index()?;
    let mut all = vec![Tun { device, index }];
    for number in 1..*queues {
        let _entered = threads.of(number).enter();
        all.push(Tun { device: all[0].device.try_clone()?, index });
    }
    Ok(all.into_iter().map(|queue| Arc::new(queue) as _).collect())
}

/// Waits until `address` may be bound: Linux counts one as tentative (RFC 4862, section 5.4) for a moment after it was given,
/// even where no duplicate can be. Who hears that the interface is up may listen there.
fn await_address(address: Ipv6Addr) {
    let is_tentative = || match UdpSocket::bind((address, 0)) {
        Ok(_) => false,
        Err(error) => error.kind() == io::ErrorKind::AddrNotAvailable,
    };
    for _ in 0..ADDRESS_LOOKS_MAX {
        if !is_tentative() {
            return;
        }
        thread::sleep(ADDRESS_PAUSE);
    }
}

/// Whether this machine passes packets on that are not for itself, as it must for networks behind it; `None` if it does not
/// say.
pub fn is_forwarding(is_v6: bool) -> Option<bool> {
    let path = if is_v6 { "/proc/sys/net/ipv6/conf/all/forwarding" } else { "/proc/sys/net/ipv4/ip_forward" };
    std::fs::read_to_string(path).ok().map(|told| told.trim() != "0")
}

struct Tun {
    device: AsyncDevice,
    /// What the kernel calls it.
    index: u32,
}

impl Interface for Tun {
    fn poll_recv(&self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.device.try_recv(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.device.poll_readable(cx))?,
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn try_send(&self, packet: &[u8]) -> io::Result<()> {
        self.device.try_send(packet).map(|_| ())
    }

    fn set_route(&self, prefix: &Prefix, source: Option<IpAddr>, is_routed: bool) -> io::Result<()> {
        let route = Route::new(prefix.address(), prefix.length()).with_if_index(self.index).with_metric(METRIC);
        let mut machine = RouteManager::new()?;
        if is_routed {
            machine.add(&source.into_iter().fold(route, Route::with_pref_source))
        } else {
            machine.delete(&route)
        }
    }
}

impl fmt::Debug for Tun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tun").finish_non_exhaustive()
    }
}

/// Behind every route that the machine has to the same network by itself.
const METRIC: u32 = 2048;
/// Longest wait for the interface's address: a second.
const ADDRESS_LOOKS_MAX: u32 = 1000;
/// Between two looks at it.
const ADDRESS_PAUSE: Duration = Duration::from_millis(1);
