//! Nebula: an overlay with lighthouses, which tell hosts where others are, and relays for those that cannot meet.

use std::time::Instant;

use prunella_bench::LabError;

use super::{EVERYWHERE, Running, System, absent, daemon, home, lines, overlay, told, version, write};
use crate::compare::ground::{Ground, Shape};

pub(super) struct Nebula;

impl System for Nebula {
    fn name(&self) -> &'static str {
        "nebula"
    }

    fn describe(&self) -> String {
        let version = version("nebula");
        format!(
            "Nebula {version}: those in the middle are lighthouses and relays, MTU 1300 (its default), any traffic allowed"
        )
    }

    fn missing(&self) -> Option<String> {
        absent("nebula", "nebula").or_else(|| absent("nebula-cert", "nebula"))
    }

    fn shapes(&self) -> &'static [Shape] {
        EVERYWHERE
    }

    fn start(&self, ground: &Ground) -> Result<Running, LabError> {
        let authority = home(ground, self.name(), ground.hosts.len())?;
        let path = |name: &str| authority.join(name).to_string_lossy().into_owned();
        let (root, root_key) = (path("ca.crt"), path("ca.key"));
        told(ground.source(), "nebula-cert", &["ca", "-name", "lab", "-out-crt", &root, "-out-key", &root_key])?;
        let mut files = Vec::new();
        for (number, host) in ground.hosts.iter().enumerate() {
            let (crt, key) = (path(&format!("h{number}.crt")), path(&format!("h{number}.key")));
            let (name, ip) = (format!("h{number}"), format!("{}/24", overlay(number)));
            let sign = ["sign", "-ca-crt", &root, "-ca-key", &root_key, "-name", &name, "-ip", &ip];
            told(host, "nebula-cert", &[&sign[..], &["-out-crt", &crt, "-out-key", &key]].concat())?;
            let file = home(ground, self.name(), number)?.join("config.yml");
            let pki = format!("pki:\n  ca: {root}\n  cert: {crt}\n  key: {key}\n");
            write(&file, &(pki + &config(ground, number)))?;
            files.push(file.to_string_lossy().into_owned());
        }
        let began = Instant::now();
        let start = |(host, file): (_, &String)| daemon(host, "nebula", &["-config", file]);
        let daemons = ground.hosts.iter().zip(&files).map(start).collect::<Result<_, _>>()?;
        Ok(Running::daemons(began, daemons, overlay(ground.hosts.len() - 1)))
    }
}

/// All but the keys.
fn config(ground: &Ground, number: usize) -> String {
    let last = ground.hosts.len() - 1;
    // In a pair the second is the lighthouse.
    let is_middle = |host: usize| if last == 1 { host == 1 } else { host != 0 && host != last };
    let middle: Vec<usize> = (0..=last).filter(|&host| is_middle(host) && host != number).collect();
    let known =
        lines(ground.neighbors(number), |(other, end)| format!("  \"{}\": [\"{}:{PORT}\"]", overlay(other), end.v4));
    let names =
        |hosts: &[usize]| hosts.iter().map(|&host| format!("\"{}\"", overlay(host))).collect::<Vec<_>>().join(", ");
    let (houses, relays) = match is_middle(number) {
        true => (String::new(), String::new()),
        false => (names(&middle), if last == 1 { String::new() } else { names(&middle) }),
    };
    format!(
        "static_host_map:\n{known}\
         lighthouse:\n  am_lighthouse: {is_house}\n  interval: 1\n  hosts: [{houses}]\n\
         listen:\n  host: 0.0.0.0\n  port: {PORT}\n\
         relay:\n  am_relay: {is_relay}\n  use_relays: true\n  relays: [{relays}]\n\
         tun:\n  dev: nebula0\n  mtu: 1300\n\
         logging:\n  level: warning\n  format: text\n\
         firewall:\n  outbound:\n    - port: any\n      proto: any\n      host: any\n\
         \x20 inbound:\n    - port: any\n      proto: any\n      host: any\n",
        is_house = is_middle(number),
        is_relay = is_middle(number) && last > 1,
    )
}

const PORT: u16 = 4242;
