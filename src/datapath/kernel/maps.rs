//! The program's maps, as the kernel holds them.

use aya::Ebpf;
use aya::maps::{Array, HashMap, Map, MapData, MapError, PerCpuArray, PerCpuValues};
use aya::util::nr_cpus;
use prunella_ebpf_common::{LINK_STATE_BYTES, LinkCounts, PortCounts};

/// Handles of all maps that user space writes or reads.
pub(super) struct Maps {
    pub(super) sources: HashMap<MapData, [u8; 20], [u8; 40]>,
    pub(super) links: HashMap<MapData, [u8; 2], [u8; 40]>,
    pub(super) shut_out: HashMap<MapData, [u8; 20], u64>,
    pub(super) strangers: HashMap<MapData, [u8; 16], [u64; 3]>,
    pub(super) local: HashMap<MapData, [u8; 16], u8>,
    pub(super) interfaces: HashMap<MapData, u32, u32>,
    states: Array<MapData, [u8; LINK_STATE_BYTES]>,
    link_counts: PerCpuArray<MapData, [u64; 11]>,
    port_counts: PerCpuArray<MapData, [u64; 8]>,
}

impl Maps {
    /// Takes the maps out of the loaded program.
    ///
    /// # Errors
    /// If one is missing or of another size: then the program and this file do not belong together.
    pub(super) fn of(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        let mut take = |name: &str| -> Result<Map, MapError> {
            ebpf.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
        };
        Ok(Self {
            sources: take("SOURCES")?.try_into()?,
            links: take("LINKS")?.try_into()?,
            shut_out: take("SHUT_OUT")?.try_into()?,
            strangers: take("STRANGERS")?.try_into()?,
            local: take("LOCAL")?.try_into()?,
            interfaces: take("INTERFACES")?.try_into()?,
            states: take("STATES")?.try_into()?,
            link_counts: take("LINK_COUNTS")?.try_into()?,
            port_counts: take("PORT_COUNTS")?.try_into()?,
        })
    }

    /// Makes a place as if it had never been used.
    pub(super) fn clear(&mut self, slot: u32) -> Result<(), MapError> {
        self.states.set(slot, [0; LINK_STATE_BYTES], 0)?;
        let processors = nr_cpus().map_err(|(_, error)| MapError::from(error))?;
        self.link_counts.set(slot, PerCpuValues::try_from(vec![[0; 11]; processors])?, 0)
    }

    pub(super) fn link_counts(&self, slot: u32) -> LinkCounts {
        self.link_counts.get(&slot, 0).map(|words| LinkCounts::sum(words.iter())).unwrap_or_default()
    }

    pub(super) fn port_counts(&self) -> PortCounts {
        self.port_counts.get(&0, 0).map(|words| PortCounts::sum(words.iter())).unwrap_or_default()
    }
}
