//! Plain QUIC: TCP connections as its streams, over one connection of quinn's.

use std::net::SocketAddr;
use std::time::Instant;

use prunella_bench::LabError;

use super::{PORTS, Reach, Running, System, THROUGH, await_udp, refused};
use crate::compare::ground::{Ground, Shape};
use crate::quic;

pub(super) struct Quinn;

impl System for Quinn {
    fn name(&self) -> &'static str {
        "plain-quic"
    }

    fn describe(&self) -> String {
        "TCP connections as streams of one quinn connection; two hops over a router of the kernel".to_owned()
    }

    fn shapes(&self) -> &'static [Shape] {
        THROUGH
    }

    fn start(&self, ground: &Ground) -> Result<Running, LabError> {
        ground.route_below()?;
        let keys = ground.lab.dir();
        quic::make_keys(keys).map_err(refused("make keys"))?;
        let program = std::env::current_exe().map_err(refused("find this program"))?;
        let (program, keys) = (program.to_string_lossy(), keys.to_string_lossy());
        let to = SocketAddr::from((ground.target_end().v4, PORT)).to_string();
        let began = Instant::now();
        let server = [&program, "quic-server", "--listen", &to, "--keys", &keys];
        let server = ground.target().start("quic", &server)?;
        await_udp(ground.target(), PORT)?;
        let ports = PORTS.map(|port| port.to_string());
        let client = [&program, "quic-client", "--to", &to, "--keys", &keys, "--port", &ports[0], "--port", &ports[1]];
        let client = ground.source().start("quic", &client)?;
        let pids = vec![server.id(), client.id()];
        let reach = Reach::forwards(PORTS.map(|port| (port, SocketAddr::from(([127, 0, 0, 1], port)))).into());
        Ok(Running { pids, began, reach, _kept: Box::new((server, client)) })
    }
}

const PORT: u16 = 4433;
