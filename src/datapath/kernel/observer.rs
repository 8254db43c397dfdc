//! The observing programs: what the kernel sees of links and user space cannot.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::os::linux::fs::MetadataExt;
use std::time::Duration;

use aya::maps::{HashMap, MapData, MapError};
use aya::programs::tc::TcAttachOptions;
use aya::programs::{LinkOrder, ProgramError, RawTracePoint, SchedClassifier, TcAttachType};
use aya::{Ebpf, EbpfError, EbpfLoader};
use prunella_core::Tag;

use super::Observed;
use super::loaded::{chain, source_of};

/// The loaded programs with their maps. Dropping it detaches them.
pub(super) struct Observer {
    programs: Ebpf,
    neighbors: HashMap<MapData, [u8; 20], [u64; 5]>,
    sent_anew: HashMap<MapData, [u8; 16], u64>,
    /// The sources that are observed.
    known: BTreeSet<[u8; 20]>,
}

impl Observer {
    /// Loads the programs for the socket that is bound to `bound`, in the calling thread's network namespace, and attaches
    /// those that see the whole host.
    ///
    /// # Errors
    /// The reason, in words, if there is nothing to observe with.
    pub(super) fn load(bound: SocketAddr) -> Result<Self, String> {
        let told = |error: EbpfError| chain(&error);
        let namespace = fs::metadata("/proc/thread-self/ns/net").map_err(|error| error.to_string())?.st_ino() as u32;
        let port = bound.port().to_be();
        let prefix: [u8; 8] = *Tag(0).address().octets().first_chunk().expect("BUG: an address is sixteen bytes");
        let mut programs = EbpfLoader::new()
            .override_global("PORT", &port, true)
            .override_global("NAMESPACE", &namespace, true)
            .override_global("PREFIX", &prefix, true)
            .load(PROGRAMS)
            .map_err(told)?;
        let mut take = |name: &str| programs.take_map(name).expect("BUG: the programs have these maps");
        let told = |error: MapError| chain(&error);
        let neighbors = take("NEIGHBORS").try_into().map_err(told)?;
        let sent_anew = take("SENT_ANEW").try_into().map_err(told)?;
        for (name, place) in [("packet_dropped", "kfree_skb"), ("segment_sent_anew", "tcp_retransmit_skb")] {
            trace(&mut programs, name, place).map_err(|error| format!("{place}: {}", chain(&error)))?;
        }
        for name in [EGRESS, INGRESS] {
            classifier(&mut programs, name).and_then(SchedClassifier::load).map_err(|error| chain(&error))?;
        }
        Ok(Self { programs, neighbors, sent_anew, known: BTreeSet::new() })
    }

    /// Observes what probes do on an interface. Before Linux 6.6 programs there outlast the process, and are not wanted.
    ///
    /// # Errors
    /// The reason, in words.
    pub(super) fn attach(&mut self, interface: &str) -> Result<(), String> {
        for (name, way) in [(EGRESS, TcAttachType::Egress), (INGRESS, TcAttachType::Ingress)] {
            let options = TcAttachOptions::TcxOrder(LinkOrder::default());
            classifier(&mut self.programs, name)
                .and_then(|program| program.attach_with_options(interface, way, options))
                .map_err(|error| chain(&error))?;
        }
        Ok(())
    }

    /// Observes these sources and no others. What is known of one that stays, stays.
    ///
    /// # Errors
    /// If the kernel does not take it.
    pub(super) fn watch(&mut self, sources: BTreeSet<[u8; 20]>) -> Result<(), MapError> {
        for gone in self.known.difference(&sources) {
            self.neighbors.remove(gone)?;
        }
        for new in sources.difference(&self.known) {
            self.neighbors.insert(new, [0; 5], 0)?;
        }
        self.known = sources;
        Ok(())
    }

    pub(super) fn neighbors(&self) -> Vec<Observed> {
        let observed =
            |(key, [echoes, rtt_ns, rtt_least_ns, dropped_in, dropped_out]): ([u8; 20], [u64; 5])| Observed {
                neighbor: source_of(&key),
                echoes,
                rtt: Duration::from_nanos(rtt_ns),
                rtt_least: Duration::from_nanos(rtt_least_ns),
                dropped_in,
                dropped_out,
            };
        self.neighbors.iter().flatten().map(observed).collect()
    }

    pub(super) fn sent_anew(&self) -> Vec<(Tag, u64)> {
        let nodes = self.sent_anew.iter().flatten();
        nodes.filter_map(|(address, segments)| Some((Tag::from_address(&address.into())?, segments))).collect()
    }
}

fn trace(programs: &mut Ebpf, name: &str, place: &str) -> Result<(), ProgramError> {
    let program: &mut RawTracePoint = programs.program_mut(name).expect("BUG: there is such a program").try_into()?;
    program.load()?;
    program.attach(place).map(drop)
}

fn classifier<'a>(programs: &'a mut Ebpf, name: &str) -> Result<&'a mut SchedClassifier, ProgramError> {
    programs.program_mut(name).expect("BUG: there is such a program").try_into()
}

const EGRESS: &str = "probe_leaves";
const INGRESS: &str = "echo_comes";
/// The programs, as clang has made them.
const PROGRAMS: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/observe.o"));
