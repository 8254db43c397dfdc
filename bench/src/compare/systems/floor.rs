//! The least that any program between two hosts must do, to tell what is the system's own and what the machine's.

use std::net::SocketAddr;
use std::time::Instant;

use prunella_bench::LabError;

use super::{Running, System, THROUGH, overlay, refused};
use crate::compare::ground::{Ground, Shape};

pub(super) struct Floor;

impl System for Floor {
    fn name(&self) -> &'static str {
        "floor"
    }

    fn describe(&self) -> String {
        "packets of a TUN device as datagrams, one by one, not encrypted: two threads that wait, one in the middle; for what \
         is small only, as nothing is joined"
            .to_owned()
    }

    fn shapes(&self) -> &'static [Shape] {
        THROUGH
    }

    fn start(&self, ground: &Ground) -> Result<Running, LabError> {
        let program = std::env::current_exe().map_err(refused("find this program"))?;
        let program = program.to_string_lossy();
        let last = ground.hosts.len() - 1;
        let began = Instant::now();
        let start = |(number, host): (usize, &prunella_bench::Host)| {
            let mut words = vec![program.to_string(), "tunnel".into(), "--listen".into(), format!("0.0.0.0:{PORT}")];
            for (_, end) in ground.neighbors(number) {
                words.extend(["--to".to_owned(), SocketAddr::from((end.v4, PORT)).to_string()]);
            }
            if number == 0 || number == last {
                words.extend(["--address".to_owned(), overlay(number).to_string()]);
            }
            host.start("floor", &words.iter().map(String::as_str).collect::<Vec<_>>())
        };
        let daemons = ground.hosts.iter().enumerate().map(start).collect::<Result<_, _>>()?;
        Ok(Running::daemons(began, daemons, overlay(last)))
    }
}

const PORT: u16 = 4700;
