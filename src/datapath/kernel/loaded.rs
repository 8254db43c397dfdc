//! The program in the kernel: loaded, attached, and told of every change.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Mutex;

use aya::maps::MapError;
use aya::programs::xdp::XdpMode;
use aya::programs::{ProgramError, Xdp};
use aya::{Ebpf, EbpfLoader};
use prunella_core::limits::{KERNEL_NEIGHBOR_PER_SECOND, KERNEL_STRANGER_PER_SECOND};
use prunella_core::{Rejected, Tag};
use prunella_ebpf_common::{IS_GENERIC, TAKES_FRAMES, address_bytes};

use super::abilities::takes_frames;
use super::addresses::reached_at;
use super::clock::monotonic_ns;
use super::maps::Maps;
use super::observer::Observer;
use super::picture::{Picture, Slots};
use super::{AttachMode, Attached, GuardedSource, KernelError, Observed};
use crate::datapath::counters::{Counters, LinkStats};
use crate::datapath::port::lock;
use crate::datapath::tables::Tables;

/// The loaded program with its maps. Dropping it detaches it.
pub(in crate::datapath) struct Kernel(Mutex<Inside>);

struct Inside {
    /// `None` once it had to be detached; what it counted stays.
    program: Option<Ebpf>,
    bound: SocketAddr,
    maps: Maps,
    slots: Slots,
    /// What the maps hold.
    picture: Picture,
    local: BTreeSet<IpAddr>,
    /// The interfaces that the program is attached to, and what their map says of them.
    interfaces: BTreeMap<u32, (AttachMode, u32)>,
    /// `None` where the kernel has nothing to observe with.
    observer: Option<Observer>,
    /// What [`Kernel::attach`] has said.
    attached: Attached,
}

impl Kernel {
    /// Loads the program for a socket that is bound to `bound`.
    pub(super) fn load(bound: SocketAddr) -> Result<Self, KernelError> {
        let is_bound = u8::from(!bound.ip().to_canonical().is_unspecified());
        let address = address_bytes(bound.ip());
        let [port, stranger_ns, neighbor_ns] = [
            u64::from(bound.port().to_be()),
            1_000_000_000 / KERNEL_STRANGER_PER_SECOND,
            1_000_000_000 / KERNEL_NEIGHBOR_PER_SECOND,
        ];
        let (port, burst_ns) = (port as u16, 1_000_000_000u64);
        let mut program = EbpfLoader::new()
            .override_global("PORT", &port, true)
            .override_global("IS_BOUND", &is_bound, true)
            .override_global("BOUND", &address, true)
            .override_global("STRANGER_INTERVAL_NS", &stranger_ns, true)
            .override_global("STRANGER_BURST_NS", &burst_ns, true)
            .override_global("NEIGHBOR_INTERVAL_NS", &neighbor_ns, true)
            .override_global("NEIGHBOR_BURST_NS", &burst_ns, true)
            .load(PROGRAM)
            .map_err(|error| KernelError::Refused(chain(&error)))?;
        let maps = Maps::of(&mut program).map_err(|error| KernelError::Refused(chain(&error)))?;
        xdp(&mut program).and_then(Xdp::load).map_err(|error| KernelError::Refused(chain(&error)))?;
        let (slots, picture, local) = (Slots::new(), Picture::default(), BTreeSet::new());
        let (program, interfaces, attached) = (Some(program), BTreeMap::new(), Attached::default());
        let inside = Inside { program, bound, maps, slots, picture, local, interfaces, observer: None, attached };
        Ok(Self(Mutex::new(inside)))
    }

    /// Attaches the program: in the driver where that can both run it and take what it sends, otherwise in the kernel's
    /// generic part.
    pub(super) fn attach(&self, interfaces: &[String]) -> Result<Attached, KernelError> {
        let mut inside = lock(&self.0);
        let mut attached = Attached::default();
        for interface in interfaces {
            match inside.attach(interface) {
                Ok(mode) => {
                    attached.interfaces.push((interface.clone(), mode));
                    attached.shortcomings.extend(not_forwarding(interface, inside.bound));
                }
                Err(reason) => attached.shortcomings.push(format!("{interface}: {reason}")),
            }
        }
        if attached.interfaces.is_empty() {
            return Err(KernelError::NoInterface(attached.shortcomings.join("; ")));
        }
        if let Err(reason) = inside.observe(&attached) {
            attached.shortcomings.push(format!("links are not observed in the kernel: {reason}"));
        }
        inside.attached = attached.clone();
        Ok(attached)
    }

    /// What is attached; `None` once it had to be detached.
    pub(super) fn attached(&self) -> Option<Attached> {
        let inside = lock(&self.0);
        inside.program.is_some().then(|| inside.attached.clone())
    }

    pub(super) fn observed(&self) -> Vec<Observed> {
        lock(&self.0).observer.as_ref().map(Observer::neighbors).unwrap_or_default()
    }

    pub(super) fn sent_anew(&self) -> Vec<(Tag, u64)> {
        lock(&self.0).observer.as_ref().map(Observer::sent_anew).unwrap_or_default()
    }

    /// Writes into the maps what has changed.
    ///
    /// # Errors
    /// The reason, if the maps can no longer be what they should: the program has to go.
    pub(super) fn mirror(&self, tables: &Tables, is_impaired: bool) -> Result<(), String> {
        let mut inside = lock(&self.0);
        if inside.program.is_none() {
            return Ok(());
        }
        inside.mirror(tables, is_impaired)
    }

    /// Detaches the program for good. What it has counted stays counted.
    pub(super) fn detach(&self) {
        let mut inside = lock(&self.0);
        (inside.program, inside.observer) = (None, None);
    }

    pub(super) fn add_to_counters(&self, counters: &mut Counters) {
        let counts = lock(&self.0).maps.port_counts();
        counters.unknown_source += counts.unknown_source;
        counters.shut_out += counts.shut_out;
        counters.over_rate += counts.over_rate;
        counters.forwarded += counts.forwarded;
        counters.forwarded_in_kernel += counts.forwarded;
        let refused = [counts.malformed, counts.unsigned, counts.replayed, counts.unauthorized];
        REASONS.into_iter().zip(refused).for_each(|(reason, count)| counters.add_rejected(reason, count));
    }

    pub(super) fn add_to_stats(&self, stats: &mut [LinkStats]) {
        let inside = lock(&self.0);
        let now = monotonic_ns();
        for link in stats {
            let Some(slot) = inside.slots.of(link.id) else { continue };
            let counts = inside.maps.link_counts(slot.index);
            link.frames_received += counts.frames_received;
            link.bytes_received += counts.bytes_received;
            link.forwarded += counts.forwarded;
            link.carried += counts.carried;
            link.frames_sent += counts.frames_sent;
            link.bytes_sent += counts.bytes_sent;
            let refused = [counts.malformed, counts.unsigned, counts.replayed, counts.unauthorized];
            REASONS.into_iter().zip(refused).for_each(|(reason, count)| link.add_rejected(reason, count));
            if counts.heard_at > 0 {
                let silent_ms = now.saturating_sub(counts.heard_at) / 1_000_000;
                link.silent_ms = Some(link.silent_ms.map_or(silent_ms, |known| known.min(silent_ms)));
            }
        }
    }

    pub(super) fn sources(&self) -> Vec<GuardedSource> {
        let inside = lock(&self.0);
        let strangers = inside.maps.strangers.iter().flatten().map(|(address, [_, passed, dropped])| GuardedSource {
            source: SocketAddr::new(ip(&address), 0),
            shut_out: false,
            passed,
            dropped,
        });
        let shut_out = inside.maps.shut_out.iter().flatten().map(|(key, dropped)| GuardedSource {
            source: source_of(&key),
            shut_out: true,
            passed: 0,
            dropped,
        });
        strangers.chain(shut_out).collect()
    }
}

impl Inside {
    /// Observes links on the interfaces that the program is attached to.
    fn observe(&mut self, attached: &Attached) -> Result<(), String> {
        let mut observer = Observer::load(self.bound)?;
        attached.interfaces.iter().try_for_each(|(interface, _)| observer.attach(interface))?;
        observer.watch(self.picture.sources.keys().copied().collect()).map_err(|error| chain(&error))?;
        self.observer = Some(observer);
        Ok(())
    }

    fn attach(&mut self, interface: &str) -> Result<AttachMode, String> {
        let index = index_of(interface)?;
        let program = self.program.as_mut().ok_or("the program was detached")?;
        let mode = match xdp(program).and_then(|xdp| xdp.attach_to_if_index(index, XdpMode::Driver)) {
            Ok(_) if takes_frames(index) != Some(false) => AttachMode::Native,
            native => {
                if let Ok(link) = native {
                    xdp(program).and_then(|xdp| xdp.detach(link)).map_err(|error| chain(&error))?;
                }
                let generic = xdp(program).and_then(|xdp| xdp.attach_to_if_index(index, XdpMode::Skb));
                generic.map_err(|error| chain(&error))?;
                AttachMode::Generic
            }
        };
        self.describe(index, mode).map_err(|error| chain(&error))?;
        Ok(mode)
    }

    /// Tells the program what an interface can do now.
    fn describe(&mut self, index: u32, mode: AttachMode) -> Result<(), MapError> {
        let (is_generic, takes) = match mode {
            AttachMode::Native => (0, takes_frames(index) != Some(false)),
            AttachMode::Generic => (IS_GENERIC, takes_frames(index) == Some(true)),
        };
        let value = is_generic | if takes { TAKES_FRAMES } else { 0 };
        if self.interfaces.insert(index, (mode, value)) != Some((mode, value)) {
            self.maps.interfaces.insert(index, value, 0)?;
        }
        Ok(())
    }

    fn mirror(&mut self, tables: &Tables, is_impaired: bool) -> Result<(), String> {
        let maps = &mut self.maps;
        let told = |error: MapError| chain(&error);
        for slot in self.slots.assign(tables)? {
            maps.clear(slot).map_err(told)?;
        }
        let (old, new) = (&self.picture, Picture::of(tables, &self.slots, is_impaired));
        for gone in old.links.keys().filter(|key| !new.links.contains_key(*key)) {
            maps.links.remove(gone).map_err(told)?;
        }
        for gone in old.sources.keys().filter(|key| !new.sources.contains_key(*key)) {
            maps.sources.remove(gone).map_err(told)?;
        }
        for gone in old.shut_out.difference(&new.shut_out) {
            maps.shut_out.remove(gone).map_err(told)?;
        }
        for (key, value) in new.sources.iter().filter(|(key, value)| old.sources.get(*key) != Some(value)) {
            maps.sources.insert(key, value, 0).map_err(told)?;
        }
        for (key, value) in new.links.iter().filter(|(key, value)| old.links.get(*key) != Some(value)) {
            maps.links.insert(key, value, 0).map_err(told)?;
        }
        for key in new.shut_out.difference(&old.shut_out) {
            maps.shut_out.insert(key, 0, 0).map_err(told)?;
        }
        let local = reached_at(self.bound);
        for gone in self.local.difference(&local) {
            maps.local.remove(&address_bytes(*gone)).map_err(told)?;
        }
        for address in local.difference(&self.local) {
            maps.local.insert(address_bytes(*address), 1, 0).map_err(told)?;
        }
        let watched = self.observer.as_mut().map(|observer| observer.watch(new.sources.keys().copied().collect()));
        if let Some(Err(error)) = watched {
            // Frames are forwarded all the same: nothing is decided by what is observed.
            self.observer = None;
            self.attached.shortcomings.push(format!("links are observed no more: {}", chain(&error)));
        }
        (self.picture, self.local) = (new, local);
        let interfaces: Vec<_> = self.interfaces.iter().map(|(index, (mode, _))| (*index, *mode)).collect();
        interfaces.into_iter().try_for_each(|(index, mode)| self.describe(index, mode)).map_err(told)
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kernel(..)")
    }
}

fn xdp(program: &mut Ebpf) -> Result<&mut Xdp, ProgramError> {
    program.program_mut("datapath").expect("BUG: the program has this name").try_into()
}

/// The interface's number in the calling thread's network namespace.
fn index_of(interface: &str) -> Result<u32, String> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)
        .map_err(|error| error.to_string())?;
    rustix::net::netdevice::name_to_index(&socket, interface).map_err(|_| "there is no such interface".to_owned())
}

/// Says so if the kernel tells no next hop for what comes in on the interface.
fn not_forwarding(interface: &str, bound: SocketAddr) -> Vec<String> {
    let families: &[&str] = if bound.is_ipv4() { &["ipv4"] } else { &["ipv4", "ipv6"] };
    let is_off = |family: &&&str| {
        let path = format!("/proc/sys/net/{family}/conf/{interface}/forwarding");
        fs::read_to_string(path).is_ok_and(|text| text.trim() == "0")
    };
    let off = families.iter().filter(is_off);
    off.map(|family| {
        format!("{interface}: net.{family}.conf.{interface}.forwarding is 0, so its frames go through user space")
    })
    .collect()
}

/// The source that a key names.
pub(super) fn source_of(key: &[u8; 20]) -> SocketAddr {
    SocketAddr::new(ip(key), u16::from_be_bytes([key[16], key[17]]))
}

fn ip(bytes: &[u8]) -> IpAddr {
    let bytes: [u8; 16] = bytes[..16].try_into().expect("BUG: an address is sixteen bytes");
    IpAddr::V6(Ipv6Addr::from(bytes)).to_canonical()
}

/// An error with all that lies behind it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let more = inner.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = inner.source();
    }
    let text: Vec<char> = text.split_whitespace().collect::<Vec<_>>().join(" ").chars().collect();
    match text.len().checked_sub(2 * ERROR_CHARS_MAX) {
        // The verifier's log can be very long: its beginning says what, and its end why.
        Some(more) if more > 0 => {
            let [what, why] = [&text[..ERROR_CHARS_MAX], &text[text.len() - ERROR_CHARS_MAX..]].map(String::from_iter);
            format!("{what} ... {why}")
        }
        _ => text.iter().collect(),
    }
}

/// The reasons for which the program turns frames away, in the order of its counts.
const REASONS: [Rejected; 4] = [Rejected::Malformed, Rejected::Unsigned, Rejected::Replayed, Rejected::Unauthorized];
/// How much of a long error is told, of its beginning and of its end.
const ERROR_CHARS_MAX: usize = 250;
/// The program, as clang has made it.
const PROGRAM: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/datapath.o"));
