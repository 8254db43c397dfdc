//! What stands at the other end of a relay's wire: the same program in the driver, without any link.
//!
//! A wire takes what a program sends only if its other end has a program in its driver as well, as a network card has.

#![allow(dead_code, unreachable_pub, reason = "the tests and the benchmark each use a part of it")]

use std::net::{IpAddr, SocketAddr};

use aya::maps::{HashMap, MapData, PerCpuArray};
use aya::programs::Xdp;
use aya::programs::xdp::XdpMode;
use aya::{Ebpf, EbpfLoader};
use prunella_ebpf_common::{PortCounts, address_bytes};

use crate::namespaces::inside;

/// An attached program. It is detached when the value is dropped.
pub struct End {
    _program: Ebpf,
    counts: PerCpuArray<MapData, [u64; 8]>,
}

impl End {
    /// Attaches a program that lets everything pass.
    pub fn open(namespace: &str, interface: &str) -> Self {
        Self::attach(namespace, interface, None)
    }

    /// Attaches a program that drops frames for an address, and counts them.
    pub fn sink(namespace: &str, interface: &str, address: SocketAddr) -> Self {
        Self::attach(namespace, interface, Some(address))
    }

    /// How many frames were dropped.
    pub fn dropped(&self) -> u64 {
        PortCounts::sum(self.counts.get(&0, 0).unwrap().iter()).unknown_source
    }

    fn attach(namespace: &str, interface: &str, sink: Option<SocketAddr>) -> Self {
        let port = sink.map_or(0, |sink| sink.port()).to_be();
        let object = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/datapath.o"));
        let mut program = EbpfLoader::new().override_global("PORT", &port, true).load(object).unwrap();
        let mut local: HashMap<_, [u8; 16], u8> = program.take_map("LOCAL").unwrap().try_into().unwrap();
        if let Some(address) = sink.map(|sink: SocketAddr| -> IpAddr { sink.ip() }) {
            local.insert(address_bytes(address), 1, 0).unwrap();
        }
        let counts = program.take_map("PORT_COUNTS").unwrap().try_into().unwrap();
        let xdp: &mut Xdp = program.program_mut("datapath").unwrap().try_into().unwrap();
        xdp.load().unwrap();
        inside(namespace, || xdp.attach(interface, XdpMode::Driver).unwrap());
        Self { _program: program, counts }
    }
}
