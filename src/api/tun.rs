//! The overlay interface of a node, if it is to have one.

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;

use prunella_core::Tag;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::configuration::MeshConfig;
use super::error::{Error, ErrorKind};
use super::names::MeshNames;
use super::readers;
use crate::actors::shell::{PolicyGate, Shell, keep_judging_flows, keep_networks};
use crate::datapath::{InterfaceSetup, OVERLAY_MTU, Questions};
use crate::names::{self, Zone};
use crate::supervision::tending::tend;
use crate::transport::{FindHook, Inbound, Sessions, Tunneling};

/// What runs for the interface.
#[derive(Debug, Default)]
pub(super) struct Tun {
    tasks: Vec<JoinHandle<()>>,
}

impl Tun {
    /// Opens the interface, and starts what makes tunnels and judges flows. Without one, peers hear that there is none: the
    /// queue of their streams is dropped.
    ///
    /// # Errors
    /// If the device cannot be made.
    pub(super) fn start(shell: &Arc<Shell>, sessions: Sessions, inbox: mpsc::Receiver<Inbound>) -> Result<Self, Error> {
        let Some(setup) = setup(&shell.config, shell.credentials.peer().tag()) else { return Ok(Self::default()) };
        let interfaces = shell.host.open_interface(&setup, shell.port.threads()).map_err(|error| {
            let text = format!(
                "cannot make the overlay interface {}: {error}; it takes root or the capability CAP_NET_ADMIN, and `/dev/net/tun`",
                setup.name
            );
            Error::new(ErrorKind::System, text)
        })?;
        let mut key = [0; 16];
        shell.host.fill_random(&mut key);
        let (overlay, Questions { wanted, unjudged, carriers }) = shell.port.start_overlay(interfaces, key);
        tracing::info!(device = setup.name, address = %setup.address, "the overlay interface is up");
        let known = Arc::downgrade(shell);
        let find: FindHook = Arc::new(move |tag| {
            let shell = known.upgrade()?;
            shell.known.with_tag(tag).filter(|peer| !shell.roster.quarantine.contains(peer))
        });
        let (port, host) = (Arc::clone(&shell.port), Arc::clone(&shell.host));
        let tunneling =
            Arc::new(Tunneling::new((port, Arc::clone(&overlay)), sessions, (inbox, wanted), Arc::clone(&find), host));
        let tunnels = tend("tunnels", move || Arc::clone(&tunneling).keep());
        let doors = Arc::clone(&shell.doors);
        let (services, gate) = (shell.services().clone(), Arc::new(PolicyGate { shell: Arc::downgrade(shell) }));
        let (address, opened) = (overlay.address(), Arc::clone(&doors));
        let doors =
            tend("doors", move || Arc::clone(&opened).keep(address, services.clone(), gate.clone(), find.clone()));
        shell.network_warnings().iter().for_each(|warning| tracing::warn!("{warning}"));
        let (routed, routing) = (Arc::clone(shell), Arc::clone(&overlay));
        let networks = tend("networks", move || keep_networks(Arc::clone(&routed), Arc::clone(&routing)));
        let flows = tokio::spawn(keep_judging_flows(Arc::clone(shell), overlay, unjudged));
        let names = tell_names(shell, setup.address);
        let carriers = readers::watch(carriers, "a queue of the overlay interface");
        Ok(Self { tasks: [tunnels, doors, networks, flows, carriers].into_iter().chain(names).collect() })
    }

    /// Ends what runs for it.
    pub(super) fn stop(&self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Tells names at the node's overlay address, if the configuration wants that.
fn tell_names(shell: &Arc<Shell>, address: Ipv6Addr) -> Option<JoinHandle<()>> {
    let domain = &shell.config.tun.domain;
    if domain.is_empty() {
        return None;
    }
    let (zone, names) = (Zone::new(domain), Arc::new(MeshNames(Arc::downgrade(shell))));
    Some(tend("names", move || {
        names::serve(SocketAddr::from((address, NAMES_PORT)), zone.clone(), Arc::clone(&names) as _)
    }))
}

/// The interface as the configuration wants it, if it wants one.
fn setup(config: &MeshConfig, me: Tag) -> Option<InterfaceSetup> {
    (!config.tun.device.is_empty()).then(|| InterfaceSetup {
        name: config.tun.device.clone(),
        address: me.address(),
        prefix: OVERLAY_PREFIX_BITS,
        mtu: OVERLAY_MTU,
        queues: readers::count(config.tun.queues),
    })
}

/// What all overlay addresses have in common, in bits: see [`Tag::address`].
const OVERLAY_PREFIX_BITS: u8 = 64;
/// DNS.
const NAMES_PORT: u16 = 53;
