//! Yggdrasil: a mesh that finds its own ways, over TCP, with addresses that are keys.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use prunella_bench::{LabError, until};
use serde_json::{Value, json};

use super::{EVERYWHERE, Running, System, absent, daemon, home, told, version, write};
use crate::compare::ground::{Ground, Shape};

pub(super) struct Yggdrasil;

impl System for Yggdrasil {
    fn name(&self) -> &'static str {
        "yggdrasil"
    }

    fn describe(&self) -> String {
        let version = version("yggdrasil");
        format!("Yggdrasil {version}: peers by TCP, discovery by multicast off, otherwise its defaults (MTU 65535)")
    }

    fn missing(&self) -> Option<String> {
        absent("yggdrasil", "yggdrasil")
    }

    fn shapes(&self) -> &'static [Shape] {
        EVERYWHERE
    }

    fn start(&self, ground: &Ground) -> Result<Running, LabError> {
        let mut files = Vec::new();
        for (number, host) in ground.hosts.iter().enumerate() {
            let generated = told(host, "yggdrasil", &["-genconf", "-json"])?;
            let unreadable = |error| LabError::Unreadable(format!("yggdrasil -genconf: {error}"));
            let mut config: Value = serde_json::from_str(&generated).map_err(unreadable)?;
            // The one with the smaller number is called.
            let earlier = ground.neighbors(number).filter(|(other, _)| *other < number);
            let peers: Vec<String> = earlier.map(|(_, end)| format!("tcp://{}:{PORT}", end.v4)).collect();
            config["Peers"] = json!(peers);
            config["Listen"] = json!([format!("tcp://0.0.0.0:{PORT}")]);
            config["MulticastInterfaces"] = json!([]);
            config["AdminListen"] = json!("none");
            config["IfName"] = json!("ygg0");
            let file = home(ground, self.name(), number)?.join("yggdrasil.conf");
            write(&file, &config.to_string())?;
            files.push(file.to_string_lossy().into_owned());
        }
        let last = &files[files.len() - 1];
        let address = told(ground.target(), "yggdrasil", &["-useconffile", last, "-address"])?;
        let unreadable = |error| LabError::Unreadable(format!("yggdrasil -address: {error}: {address}"));
        let address: IpAddr = address.trim().parse().map_err(unreadable)?;
        let began = Instant::now();
        let mut daemons = Vec::new();
        for (host, file) in ground.hosts.iter().zip(&files) {
            let daemon = daemon(host, "yggdrasil", &["-useconffile", file])?;
            // Whoever calls one that does not listen yet tries again much later.
            until("a listener", Duration::from_secs(10), || match daemon.log() {
                log if log.contains("TCP listener started") => Ok(()),
                log => Err(log),
            })?;
            daemons.push(daemon);
        }
        Ok(Running::daemons(began, daemons, address))
    }
}

const PORT: u16 = 9001;
