//! fastd: tunnels by UDP between peers that are named one by one; it passes on frames, and finds no ways.

use std::time::Instant;

use prunella_bench::LabError;

use super::{Running, System, THROUGH, absent, await_udp, daemon, home, lines, overlay, told, version, write};
use crate::compare::ground::{Ground, Shape};

pub(super) struct Fastd;

impl System for Fastd {
    fn name(&self) -> &'static str {
        "fastd"
    }

    fn describe(&self) -> String {
        format!("fastd {}: TAP, salsa2012+umac, MTU 1400; two hops by `forward yes`", version("fastd"))
    }

    fn missing(&self) -> Option<String> {
        absent("fastd", "fastd")
    }

    /// Not where frames could go around in circles.
    fn shapes(&self) -> &'static [Shape] {
        THROUGH
    }

    fn start(&self, ground: &Ground) -> Result<Running, LabError> {
        let mut keys = Vec::new();
        for host in &ground.hosts {
            let generated = told(host, "fastd", &["--generate-key"])?;
            let key = |name: &str| {
                let line = generated.lines().find_map(|line| line.strip_prefix(name));
                line.map(|key| key.trim().to_owned()).ok_or_else(|| LabError::Unreadable(generated.clone()))
            };
            keys.push((key("Secret:")?, key("Public:")?));
        }
        let mut files = Vec::new();
        for number in 0..ground.hosts.len() {
            let peers = lines(ground.neighbors(number), |(other, end)| {
                // The one with the smaller number is called: two that call each other at once wait for long.
                let remote = if other < number { format!("remote {}:{PORT};", end.v4) } else { String::new() };
                format!("peer \"h{other}\" {{ key \"{}\"; {remote} }}", keys[other].1)
            });
            let config = format!(
                "log level warn;\nmode tap;\ninterface \"fastd0\";\nmethod \"salsa2012+umac\";\nbind 0.0.0.0:{PORT};\n\
                 mtu 1400;\nforward yes;\nsecret \"{}\";\n{peers}\
                 on up \"ip addr add {}/24 dev $INTERFACE && ip link set $INTERFACE up\";\n",
                keys[number].0,
                overlay(number)
            );
            let file = home(ground, self.name(), number)?.join("fastd.conf");
            write(&file, &config)?;
            files.push(file.to_string_lossy().into_owned());
        }
        let began = Instant::now();
        let mut daemons = Vec::new();
        for (host, file) in ground.hosts.iter().zip(&files) {
            daemons.push(daemon(host, "fastd", &["--config", file])?);
            await_udp(host, PORT)?;
        }
        Ok(Running::daemons(began, daemons, overlay(ground.hosts.len() - 1)))
    }
}

const PORT: u16 = 10_000;
